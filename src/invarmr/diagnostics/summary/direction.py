"""Steiger's test: do the variants explain more of the exposure than of the outcome, as the causal order demands.

Symbols: r correlation of a variant with a trait, n samples:

    r^2 = F / (F + n - 2), F = (beta / se)^2        quantitative trait
    r^2 = v / (v + pi^2 / 3), v = 2 f (1 - f) beta^2        log odds of a binary trait, f allele frequency
    z = {atanh(r_X) - atanh(r_Y)} / {1 / (n_X - 3) + 1 / (n_Y - 3)}^1/2

Sources: Hemani, Tilling & Davey Smith (2017), PLoS Genetics 13:e1007081; Lee et al. (2012), Genetic
Epidemiology 36:214.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import polars as pl
from scipy import special

from invarmr.arrays import FloatArray
from invarmr.data.harmonised import Associations, HarmonisedStatistics
from invarmr.diagnostics.summary.rows import Row, rows_of_pairs

__all__ = ["directionality", "steiger_filter"]


def directionality(
    harmonised: HarmonisedStatistics, *, binary_exposure: bool = False, binary_outcome: bool = False
) -> pl.DataFrame:
    """Steiger's test of all variants of a pair together.

    Parameters
    ----------
    harmonised
        Needs `samplesize` (or `ncase` and `ncontrol`) of both studies, and `eaf` of binary traits.
    binary_exposure, binary_outcome
        The effects are log odds ratios of a binary trait.

    Returns
    -------
    polars.DataFrame
        `id.exposure, id.outcome, outcome, exposure, snp_r2.exposure, snp_r2.outcome, correct_causal_direction,
        steiger_pval` as TwoSampleMR's `directionality_test`, and `reason`: why not, where the test does not apply.
    """

    def measure(_: Associations, part: pl.DataFrame) -> Iterable[Row]:
        sides = _sides(part, binary_exposure, binary_outcome)
        missing = [role for role, (r2, n) in sides.items() if not (np.isfinite(r2).all() and np.isfinite(n).all())]
        if missing:
            yield {
                "reason": f"sample sizes (and frequencies, of a binary trait) of the {' and '.join(missing)} unknown"
            }
            return
        (r2_x, n_x), (r2_y, n_y) = sides["exposure"], sides["outcome"]
        total_x, total_y = min(float(r2_x.sum()), 1.0), min(float(r2_y.sum()), 1.0)
        p = _difference(np.array([total_x]), np.array([n_x.mean()]), np.array([total_y]), np.array([n_y.mean()]))
        yield {
            "snp_r2.exposure": total_x,
            "snp_r2.outcome": total_y,
            "correct_causal_direction": total_x > total_y,
            "steiger_pval": float(p[0]),
            "reason": "",
        }

    columns: dict[str, type[pl.DataType]] = {
        "snp_r2.exposure": pl.Float64,
        "snp_r2.outcome": pl.Float64,
        "correct_causal_direction": pl.Boolean,
        "steiger_pval": pl.Float64,
        "reason": pl.String,
    }
    return rows_of_pairs(harmonised, measure, columns)


def steiger_filter(
    harmonised: HarmonisedStatistics,
    *,
    significance: float = 1.0,
    binary_exposure: bool = False,
    binary_outcome: bool = False,
) -> HarmonisedStatistics:
    """Drop the variants that explain more of the outcome than of the exposure.

    Parameters
    ----------
    harmonised
        As for `directionality`.
    significance
        Drop only where the test's p-value is below it; 1 drops every variant in the wrong direction.
    binary_exposure, binary_outcome
        The effects are log odds ratios of a binary trait.

    Returns
    -------
    HarmonisedStatistics
        With columns `rsq.exposure, rsq.outcome, steiger_dir, steiger_pval` (as TwoSampleMR's `steiger_filtering`), and
        `mr_keep` false with its reason where dropped. Variants for which the test does not apply stay.
    """
    frame = harmonised.frame
    sides = _sides(frame, binary_exposure, binary_outcome)
    (r2_x, n_x), (r2_y, n_y) = sides["exposure"], sides["outcome"]
    known = np.isfinite(r2_x) & np.isfinite(r2_y)
    p = _difference(r2_x, n_x, r2_y, n_y)
    wrong = known & (r2_x <= r2_y) & ((p < significance) | (significance >= 1.0))
    added = frame.with_columns(
        pl.Series("rsq.exposure", r2_x).fill_nan(None),
        pl.Series("rsq.outcome", r2_y).fill_nan(None),
        pl.when(pl.Series(known)).then(pl.Series(r2_x > r2_y)).alias("steiger_dir"),
        pl.Series("steiger_pval", p).fill_nan(None),
    )
    dropped = pl.col("mr_keep") & pl.Series(wrong)
    return HarmonisedStatistics(
        added.with_columns(
            pl.when(dropped)
            .then(pl.lit("explains more of the outcome than of the exposure"))
            .otherwise("reason")
            .alias("reason"),
            pl.col("mr_keep") & ~pl.Series(wrong),
        ),
        harmonised.absent,
    )


def _sides(part: pl.DataFrame, *binary: bool) -> dict[str, tuple[FloatArray, FloatArray]]:
    """Per role r^2 and n (rows,); NaN where unknown."""
    found = {}
    for role, log_odds in zip(("exposure", "outcome"), binary, strict=True):
        names = ("beta", "se", "samplesize", "ncase", "ncontrol", "eaf")
        beta, se, n, cases, controls, f = (_numbers(part, f"{name}.{role}") for name in names)
        n = np.where(np.isfinite(n), n, cases + controls)
        n = np.where(n > 3, n, np.nan)
        if log_odds:
            v = 2.0 * f * (1.0 - f) * beta**2
            r2 = np.where(np.isfinite(n), v / (v + np.pi**2 / 3.0), np.nan)
        else:
            F = (beta / se) ** 2
            r2 = F / (F + n - 2.0)
        found[role] = (r2, n)
    return found


def _numbers(part: pl.DataFrame, name: str) -> FloatArray:
    if name not in part.columns:
        return np.full(part.height, np.nan)
    return part[name].cast(pl.Float64).fill_null(np.nan).to_numpy()


def _difference(r2_x: FloatArray, n_x: FloatArray, r2_y: FloatArray, n_y: FloatArray) -> FloatArray:
    with np.errstate(divide="ignore", invalid="ignore"):
        gap = np.arctanh(np.sqrt(r2_x)) - np.arctanh(np.sqrt(r2_y))
        z = gap / np.sqrt(1.0 / (n_x - 3.0) + 1.0 / (n_y - 3.0))
    return np.asarray(special.erfc(np.abs(z) / np.sqrt(2.0)))
