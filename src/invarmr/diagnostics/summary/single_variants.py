"""What single variants say: their Wald ratios, and the estimate without each.

Symbols: none. Source of the layout: Hemani et al. (2018), eLife 7:e34408.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import polars as pl

from invarmr.data.harmonised import Associations, HarmonisedStatistics
from invarmr.diagnostics.summary.rows import Row, rows_of_pairs
from invarmr.estimators.summary.base import SummaryEstimator
from invarmr.estimators.summary.inverse_variance import InverseVarianceWeighted
from invarmr.estimators.summary.radial import RadialInverseVarianceWeighted
from invarmr.estimators.summary.result import SummaryEstimate
from invarmr.estimators.summary.table import resolve_methods
from invarmr.estimators.summary.wald_ratio import WaldRatio
from invarmr.inference.wald import wald_p_value

__all__ = ["leave_one_out", "radial_shares", "single_variant"]

_COLUMNS = {"SNP": pl.String, "b": pl.Float64, "se": pl.Float64, "p": pl.Float64}


def _row(name: str, answer: SummaryEstimate) -> Row:
    return {"SNP": name, "b": answer.b, "se": answer.se, "p": answer.pval}


def single_variant(
    harmonised: HarmonisedStatistics,
    *,
    methods: Sequence[str | SummaryEstimator] = ("mr_ivw", "mr_egger_regression"),
    seed: int = 1,
) -> pl.DataFrame:
    """Wald ratio of each variant, and all together.

    Parameters
    ----------
    harmonised
        Rows with `mr_keep` are used.
    methods
        For the rows of all variants together.
    seed
        Of what these draw.

    Returns
    -------
    polars.DataFrame
        `id.exposure, id.outcome, outcome, exposure, SNP, b, se, p`: a row per variant and, named "All - " and the
        method, per method; as TwoSampleMR's `mr_singlesnp`. Variants without exposure association have no row.
    """
    chosen = resolve_methods(methods)

    def measure(data: Associations, _: pl.DataFrame) -> Iterable[Row]:
        for place, name in enumerate(data.variants):
            if data.exposure[place] != 0.0:
                yield _row(name, WaldRatio().fit(data.take(np.array([place]))))
        for method in chosen:
            if data.n_variants > 1 and method.applies_to(data.n_variants):
                yield _row(f"All - {method.method}", method.fit(data, seed=seed))

    return rows_of_pairs(harmonised, measure, _COLUMNS)


def leave_one_out(
    harmonised: HarmonisedStatistics, *, method: SummaryEstimator | None = None, seed: int = 1
) -> pl.DataFrame:
    """Estimate without each variant in turn, and with all.

    Parameters
    ----------
    harmonised
        Rows with `mr_keep` are used.
    method
        IVW by default.
    seed
        Of what the method draws.

    Returns
    -------
    polars.DataFrame
        `id.exposure, id.outcome, outcome, exposure, SNP, b, se, p`: a row per variant left out, and "All"; as
        TwoSampleMR's `mr_leaveoneout`. A pair with too few variants to leave one out has the row "All" alone.
    """
    estimator = method or InverseVarianceWeighted()

    def measure(data: Associations, _: pl.DataFrame) -> Iterable[Row]:
        p = data.n_variants
        if estimator == InverseVarianceWeighted() and data.correlation is None and p > 2:
            yield from _without_each(data)
        elif estimator.applies_to(p - 1):
            for place, name in enumerate(data.variants):
                yield _row(name, estimator.fit(data.take(np.arange(p) != place), seed=seed))
        if estimator.applies_to(p):
            yield _row("All", estimator.fit(data, seed=seed))

    return rows_of_pairs(harmonised, measure, _COLUMNS)


def _without_each(data: Associations) -> Iterable[Row]:
    """IVW without each variant, from the sums over all: what a fit of its own gives, without p fits."""
    w = data.outcome_std_error**-2.0
    x, y = data.exposure, data.outcome
    xx, xy, yy = (w * a * b for a, b in ((x, x), (x, y), (y, y)))
    left, cross, rest = (values.sum() - values for values in (xx, xy, yy))
    b = cross / left
    q = np.maximum(rest - b * cross, 0.0)
    se = np.maximum(1.0, np.sqrt(q / (data.n_variants - 2))) / np.sqrt(left)
    for name, value, error in zip(data.variants, b.tolist(), se.tolist(), strict=True):
        yield {"SNP": name, "b": value, "se": error, "p": wald_p_value(value, error)}


def radial_shares(harmonised: HarmonisedStatistics) -> pl.DataFrame:
    """Each variant's place in the radial plot, and its share of the heterogeneity, by radial IVW with its defaults.

    Returns
    -------
    polars.DataFrame
        `id.exposure, id.outcome, outcome, exposure, SNP, ratio, root_weight, q, q_pval, slope`: a row per variant of
        the pairs with two variants or more; none for a pair that holds an exposure association of exactly zero.
    """
    method = RadialInverseVarianceWeighted()

    def measure(data: Associations, _: pl.DataFrame) -> Iterable[Row]:
        if not method.applies_to(data.n_variants) or (data.exposure == 0.0).any():
            return
        answer = method.fit(data)
        parts = answer.per_variant
        for place, name in enumerate(data.variants):
            yield {
                "SNP": name,
                "ratio": float(data.ratio[place]),
                **{column: float(parts[column][place]) for column in ("root_weight", "q", "q_pval")},
                "slope": answer.b,
            }

    numbers = dict.fromkeys(("ratio", "root_weight", "q", "q_pval", "slope"), pl.Float64)
    return rows_of_pairs(harmonised, measure, {"SNP": pl.String, **numbers})
