"""`mr`: every method on every exposure-outcome pair, in the layout of TwoSampleMR's `mr()`.

Symbols: none.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

import polars as pl

from invarmr.data.harmonised import PAIR, HarmonisedStatistics, to_associations
from invarmr.errors import InputError, InvarmrWarning
from invarmr.estimators.summary.base import SummaryEstimator
from invarmr.estimators.summary.contamination_mixture import ContaminationMixture
from invarmr.estimators.summary.debiased import DebiasedInverseVarianceWeighted
from invarmr.estimators.summary.egger import BootstrapEgger, Egger
from invarmr.estimators.summary.grip import Grip
from invarmr.estimators.summary.heterogeneity_penalised import HeterogeneityPenalised
from invarmr.estimators.summary.inverse_variance import InverseVarianceWeighted
from invarmr.estimators.summary.lasso import Lasso
from invarmr.estimators.summary.maximum_likelihood import MaximumLikelihood
from invarmr.estimators.summary.median import Median
from invarmr.estimators.summary.mode import Mode
from invarmr.estimators.summary.penalised_inverse_variance import PenalisedInverseVarianceWeighted
from invarmr.estimators.summary.presso import Presso
from invarmr.estimators.summary.radial import RadialEgger, RadialInverseVarianceWeighted
from invarmr.estimators.summary.result import SummaryEstimate
from invarmr.estimators.summary.robust_adjusted_profile import RobustAdjustedProfileScore
from invarmr.estimators.summary.wald_ratio import WaldRatio

__all__ = ["COLUMNS", "DEFAULT_METHODS", "METHODS", "mr", "mr_details", "resolve_methods", "why_no_rows"]

METHODS: Mapping[str, SummaryEstimator] = {
    "mr_wald_ratio": WaldRatio(),
    "mr_egger_regression": Egger(),
    "mr_egger_regression_bootstrap": BootstrapEgger(),
    "mr_simple_median": Median(weighting="simple"),
    "mr_weighted_median": Median(),
    "mr_penalised_weighted_median": Median(weighting="penalised"),
    "mr_ivw": InverseVarianceWeighted(),
    "mr_ivw_mre": InverseVarianceWeighted(effects="multiplicative"),
    "mr_ivw_fe": InverseVarianceWeighted(effects="fixed"),
    "mr_simple_mode": Mode(weighting="simple"),
    "mr_weighted_mode": Mode(),
    "mr_penalised_mode": Mode(weighting="penalised"),
    "mr_simple_mode_nome": Mode(weighting="simple", nome=True),
    "mr_weighted_mode_nome": Mode(nome=True),
    "mr_two_sample_ml": MaximumLikelihood(),
    "mr_raps": RobustAdjustedProfileScore(dispersion_weights="equal"),
    "mr_divw": DebiasedInverseVarianceWeighted(),
    "mr_pivw": PenalisedInverseVarianceWeighted(),
    "mr_conmix": ContaminationMixture(),
    "mr_lasso": Lasso(),
    "mr_hetpen": HeterogeneityPenalised(),
    "mr_ivw_penalised": InverseVarianceWeighted(penalised=True),
    "mr_ivw_robust": InverseVarianceWeighted(robust=True),
    "mr_egger_penalised": Egger(penalised=True),
    "mr_egger_robust": Egger(robust=True),
    "mr_presso": Presso(),
    "mr_ivw_radial": RadialInverseVarianceWeighted(),
    "mr_egger_radial": RadialEgger(),
    "mr_grip": Grip(),
}
"""Methods by the names of TwoSampleMR's functions;
from `mr_divw` to `mr_hetpen` by those of MendelianRandomization, and
from `mr_ivw_penalised` to `mr_egger_robust` its options `penalized` and `robust`."""

DEFAULT_METHODS = (
    "mr_wald_ratio",
    "mr_egger_regression",
    "mr_weighted_median",
    "mr_ivw",
    "mr_simple_mode",
    "mr_weighted_mode",
)
"""Rows of `mr` unless others are asked for; the Wald ratio serves a single variant, the others several."""

COLUMNS = (*PAIR, "method", "nsnp", "b", "se", "pval")
"""Columns of `mr`: those of TwoSampleMR."""

_SCHEMA = {
    **dict.fromkeys(PAIR, pl.String),
    "method": pl.String,
    "nsnp": pl.Int64,
    "b": pl.Float64,
    "se": pl.Float64,
    "pval": pl.Float64,
    **dict.fromkeys(("log10_pval", "ci_lower", "ci_upper"), pl.Float64),
    "set": pl.String,
    **dict.fromkeys(("level", "intercept"), pl.Float64),
    **dict.fromkeys(("outliers", "note"), pl.String),
}


def resolve_methods(methods: Sequence[str | SummaryEstimator]) -> tuple[SummaryEstimator, ...]:
    """Estimators from a mix of names, labels ("MR Egger") and estimators.

    Raises
    ------
    InputError
        A name that is none of `METHODS` and no label of theirs; or no method.
    """
    by_label = {estimator.method: estimator for estimator in METHODS.values()}
    found = []
    for method in [methods] if isinstance(methods, str | SummaryEstimator) else methods:
        chosen = method if isinstance(method, SummaryEstimator) else METHODS.get(method) or by_label.get(method)
        if chosen is None:
            raise InputError(f"{method!r} is no method. Methods: {', '.join(METHODS)}.")
        found.append(chosen)
    if not found:
        raise InputError(f"one method at least was required. Methods: {', '.join(METHODS)}.")
    return tuple(found)


def mr(
    harmonised: HarmonisedStatistics,
    methods: Sequence[str | SummaryEstimator] = DEFAULT_METHODS,
    *,
    seed: int = 1,
) -> pl.DataFrame:
    """Estimate the effect for every exposure-outcome pair by every method that its number of variants allows.

    Parameters
    ----------
    harmonised
        Rows with `mr_keep` are used.
    methods
        Names of `METHODS`, their labels, or estimators with settings of their own: `Median(order=1)`.
    seed
        Each method starts from it afresh, so a row does not depend on the other rows asked for.

    Returns
    -------
    polars.DataFrame
        `id.exposure, id.outcome, outcome, exposure, method, nsnp, b, se, pval`: a row per pair and applicable method.
        With one variant IVW is the Wald ratio, so that only the latter is shown.

    Raises
    ------
    InputError
        An unknown method.

    Warns
    -----
    InvarmrWarning
        A method cannot use a pair's data (variants too weak, say): its row is left out, and the reason told.

    Examples
    --------
    >>> from invarmr.data.summary_statistics import SummaryStatistics
    >>> from invarmr.genetics.harmonise import harmonise
    >>> def gwas(name, betas):
    ...     rows = {"SNP": ["rs1", "rs2"], "effect_allele": ["A", "C"], "other_allele": ["G", "T"], "beta": betas,
    ...             "se": [0.01, 0.01]}
    ...     return SummaryStatistics.from_frame(pl.DataFrame(rows), name=name)
    >>> table = mr(harmonise(gwas("LDL", [0.1, 0.2]), gwas("CHD", [0.05, 0.1])), methods=["mr_ivw"])
    >>> table.select("exposure", "outcome", "method", "nsnp", pl.col("b").round(3)).row(0)
    ('LDL', 'CHD', 'Inverse variance weighted', 2, 0.5)
    """
    return mr_details(harmonised, methods, seed=seed).select(COLUMNS)


def mr_details(
    harmonised: HarmonisedStatistics,
    methods: Sequence[str | SummaryEstimator] = DEFAULT_METHODS,
    *,
    seed: int = 1,
) -> pl.DataFrame:
    """The table of `mr` with what its columns leave out.

    Parameters
    ----------
    harmonised, methods, seed
        As of `mr`.

    Returns
    -------
    polars.DataFrame
        The columns of `mr`, then `log10_pval` (right where `pval` is too small for a float), `ci_lower, ci_upper`
        (ends of
        the confidence set), `set` (as text: it may be in several parts), `level`, `intercept` (of MR Egger), `outliers`
        (variants that the method set aside) and `note`.

    Raises
    ------
    InputError
        An unknown method.

    Warns
    -----
    InvarmrWarning
        As of `mr`.
    """
    chosen = resolve_methods(methods)
    rows = []
    for names, part in harmonised.pairs():
        data = to_associations(part)
        for method in chosen:
            if not _shown(method, data.n_variants):
                continue
            try:
                answer = method.fit(data, seed=seed)
            except InputError as error:
                where = f"{names['exposure']} on {names['outcome']}"
                warnings.warn(f"{where}: no row for {method.method}: {error}", InvarmrWarning, stacklevel=3)
                continue
            rows.append({**names, **_cells(answer)})
    return pl.DataFrame(rows, schema=_SCHEMA)


def why_no_rows(
    harmonised: HarmonisedStatistics, methods: Sequence[str | SummaryEstimator], *, seed: int = 1
) -> list[str]:
    """Why each of the methods gives no row, for every pair: too few variants, or what its fit says.

    Parameters
    ----------
    harmonised, methods, seed
        As of `mr`.
    """
    said = []
    for names, part in harmonised.pairs():
        data = to_associations(part)
        for method in resolve_methods(methods):
            why = method.why_not(data.n_variants)
            if not why and not _shown(method, data.n_variants):
                why = "of one variant is the Wald ratio (mr_wald_ratio)"
            if not why:
                try:
                    method.fit(data, seed=seed)
                except InputError as error:
                    why = str(error).rstrip(".")
            if why:
                said.append(f"{names['exposure']} on {names['outcome']}: {method.method}: {why}")
    return said


def _cells(answer: SummaryEstimate) -> dict[str, object]:
    egger = answer.method.startswith("MR Egger")
    return {
        **{name: getattr(answer, name) for name in ("method", "nsnp", "b", "se", "pval", "log10_pval", "note")},
        "ci_lower": answer.confidence_set.lower,
        "ci_upper": answer.confidence_set.upper,
        "set": str(answer.confidence_set),
        "level": answer.confidence_set.level,
        "intercept": answer.extras["intercept"] if egger else None,
        "outliers": ", ".join(answer.outliers),
    }


def _shown(method: SummaryEstimator, n_variants: int) -> bool:
    if n_variants == 1 and isinstance(method, InverseVarianceWeighted):
        return False
    return method.applies_to(n_variants)
