"""Directional pleiotropy: is the intercept of MR Egger zero.

Symbols: a intercept, se its standard error; t = a / se with p - 2 degrees of freedom under a = 0. Source: Bowden, Davey
Smith & Burgess (2015), Int J Epidemiol 44:512.
"""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from invarmr.data.harmonised import Associations, HarmonisedStatistics
from invarmr.diagnostics.summary.rows import Row, rows_of_pairs
from invarmr.estimators.summary.egger import Egger

__all__ = ["egger_intercept"]


def egger_intercept(harmonised: HarmonisedStatistics, *, method: Egger | None = None) -> pl.DataFrame:
    """Intercept of MR Egger for every pair with three variants or more.

    Parameters
    ----------
    harmonised
        Rows with `mr_keep` are used.
    method
        MR Egger with settings of its own.

    Returns
    -------
    polars.DataFrame
        `id.exposure, id.outcome, outcome, exposure, egger_intercept, se, pval`, as TwoSampleMR's `mr_pleiotropy_test`.
    """
    egger = method or Egger()

    def measure(data: Associations, _: pl.DataFrame) -> Iterable[Row]:
        if egger.applies_to(data.n_variants):
            extras = egger.fit(data).extras
            yield {
                "egger_intercept": extras["intercept"],
                "se": extras["intercept_se"],
                "pval": extras["intercept_pval"],
            }

    return rows_of_pairs(harmonised, measure, dict.fromkeys(("egger_intercept", "se", "pval"), pl.Float64))
