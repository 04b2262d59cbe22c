"""All sensitivity analyses of summary data in one long table.

Symbols: none.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from invarmr.data.harmonised import PAIR, HarmonisedStatistics
from invarmr.diagnostics.summary.direction import directionality
from invarmr.diagnostics.summary.heterogeneity import heterogeneity
from invarmr.diagnostics.summary.overlap import sample_overlap
from invarmr.diagnostics.summary.pleiotropy import egger_intercept
from invarmr.diagnostics.summary.single_variants import leave_one_out, radial_shares, single_variant
from invarmr.diagnostics.summary.strength import instrument_strength
from invarmr.inference.log_survival import log_survival_chi2

__all__ = ["sensitivity"]

_COLUMNS = {
    **dict.fromkeys((*PAIR, "analysis", "quantity", "SNP"), pl.String),
    **dict.fromkeys(("value", "se", "df", "pval"), pl.Float64),
    "note": pl.String,
}


def sensitivity(
    harmonised: HarmonisedStatistics,
    *,
    binary_exposure: bool = False,
    binary_outcome: bool = False,
    overlap: float | None = None,
) -> pl.DataFrame:
    """Heterogeneity, Egger intercept, strength, overlap, direction, and what single variants say, of every pair.

    Parameters
    ----------
    harmonised
        Rows with `mr_keep` are used.
    binary_exposure, binary_outcome
        The effects are log odds ratios of a binary trait (for the direction).
    overlap
        Share of the outcome study's people who are in the exposure study too; None: not known.

    Returns
    -------
    polars.DataFrame
        `id.exposure, id.outcome, outcome, exposure, analysis, quantity, SNP, value, se, df, pval, note,
        log10_pval` (right where `pval` is below the smallest float); null where a
        column does not apply.
    """
    q = heterogeneity(harmonised)
    strength = instrument_strength(harmonised)
    direction = directionality(harmonised, binary_exposure=binary_exposure, binary_outcome=binary_outcome)
    shared = sample_overlap(harmonised, overlap=overlap)
    one_out, single, radial = leave_one_out(harmonised), single_variant(harmonised), radial_shares(harmonised)
    parts = [
        _part(q, "heterogeneity", pl.format("Q, {}", "method"), value="Q", df="Q_df", pval="Q_pval"),
        _part(q, "heterogeneity", pl.format("I2, {}", "method"), value="I2"),
        _part(
            egger_intercept(harmonised), "pleiotropy", "Egger intercept", value="egger_intercept", se="se", pval="pval"
        ),
        _part(strength, "strength", "mean F", value="mean_f"),
        _part(strength, "strength", "weakest F", value="weakest_f"),
        _part(strength.filter(pl.col("i2_gx").is_not_null()), "strength", "I2_GX", value="i2_gx"),
        _part(shared, "sample overlap", "share of the outcome's people", value="overlap"),
        _part(
            shared,
            "sample overlap",
            "toward the observational association",
            value="toward_observational",
            note="statement",
        ),
        _part(shared, "sample overlap", "toward no effect", value="toward_null"),
        _part(direction, "direction", "r2 of the exposure", value="snp_r2.exposure", note="reason"),
        _part(direction, "direction", "r2 of the outcome", value="snp_r2.outcome", pval="steiger_pval", note="reason"),
        _part(one_out, "leave-one-out", "Inverse variance weighted", SNP="SNP", value="b", se="se", pval="p"),
        _part(single, "single variant", "Wald ratio", SNP="SNP", value="b", se="se", pval="p").filter(
            ~pl.col("SNP").str.starts_with("All - ")
        ),
        _part(radial, "radial", "root weight", SNP="SNP", value="root_weight"),
        _part(radial, "radial", "ratio", SNP="SNP", value="ratio"),
        _part(
            radial.with_columns(df=pl.lit(1.0)), "radial", "share of Q", SNP="SNP", value="q", df="df", pval="q_pval"
        ),
        _part(radial.unique(PAIR, maintain_order=True), "radial", "slope", value="slope"),
    ]
    table = pl.concat(parts).sort("id.exposure", "id.outcome", maintain_order=True)
    return table.with_columns(log10_pval=_logarithms(table)).select(*_COLUMNS, "log10_pval")


def _logarithms(table: pl.DataFrame) -> pl.Series:
    """Decimal logarithms of the p-values: where one is 0, of a value over its error or a Q, from its statistic."""
    p, value, se, df = (table[name].fill_null(np.nan).to_numpy() for name in ("pval", "value", "se", "df"))
    with np.errstate(divide="ignore"):
        log10 = np.log10(p)
    normal, q = (p == 0) & (se > 0), (p == 0) & np.isnan(se) & (df > 0)
    log10[normal] = log_survival_chi2((value[normal] / se[normal]) ** 2, 1) / np.log(10.0)
    log10[q] = [float(log_survival_chi2(a, b)) / np.log(10.0) for a, b in zip(value[q], df[q], strict=True)]
    return pl.Series(log10).fill_nan(None).replace(-np.inf, None)


def _part(table: pl.DataFrame, analysis: str, quantity: str | pl.Expr, **columns: str) -> pl.DataFrame:
    name = pl.lit(quantity) if isinstance(quantity, str) else quantity
    made = table.select(
        *PAIR,
        pl.lit(analysis).alias("analysis"),
        name.alias("quantity"),
        *(pl.col(there).alias(ours) for ours, there in columns.items()),
    )
    return made.select(
        (pl.col(column) if column in made.columns else pl.lit(None)).cast(kind).alias(column)
        for column, kind in _COLUMNS.items()
    )
