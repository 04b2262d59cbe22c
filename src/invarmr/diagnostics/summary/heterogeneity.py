"""Heterogeneity of the ratios: Cochran's Q around IVW, Rucker's Q around MR Egger, I2.

Symbols: b IVW estimate, Gamma = a + b gamma the Egger line, w_j = 1 / sigma_Yj^2:

    Q  = sum w_j (Gamma_j - b gamma_j)^2      ~ chi-squared_{p-1}
    Q' = sum w_j (Gamma_j - a - b gamma_j)^2  ~ chi-squared_{p-2}
    I2 = max{0, (Q - df) / Q}

where no variant is pleiotropic (Q'; equally pleiotropic). Sources: Cochran (1954), Biometrics 10:101; Rucker et al.
(2011), Biostatistics 12:122; Higgins & Thompson (2002), Statistics in Medicine 21:1539.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import polars as pl

from invarmr.data.harmonised import Associations, HarmonisedStatistics
from invarmr.diagnostics.summary.rows import Row, rows_of_pairs
from invarmr.errors import InputError
from invarmr.estimators.summary.base import SummaryEstimator
from invarmr.estimators.summary.table import resolve_methods

__all__ = ["heterogeneity", "i_squared"]


def i_squared(q: float, df: float) -> float:
    """Share of the variation of the ratios that is more than chance, in [0, 1].

    Examples
    --------
    >>> i_squared(40.0, 10.0), i_squared(5.0, 10.0)
    (0.75, 0.0)
    """
    return max(0.0, (q - df) / q) if q > 0 else 0.0


def heterogeneity(
    harmonised: HarmonisedStatistics,
    methods: Sequence[str | SummaryEstimator] = ("mr_egger_regression", "mr_ivw"),
) -> pl.DataFrame:
    """Q of every pair, around the line of each method.

    Parameters
    ----------
    harmonised
        Rows with `mr_keep` are used.
    methods
        Methods that measure Q: IVW (any), MR Egger, maximum likelihood, radial.

    Returns
    -------
    polars.DataFrame
        `id.exposure, id.outcome, outcome, exposure, method, Q, Q_df, Q_pval` as TwoSampleMR's `mr_heterogeneity`, and
        `I2`; no row for a method that needs more variants, or leaves no degree of freedom.

    Raises
    ------
    InputError
        A method that measures no Q.
    """
    chosen = resolve_methods(methods)

    def measure(data: Associations, _: pl.DataFrame) -> Iterable[Row]:
        for method in chosen:
            if not method.applies_to(data.n_variants):
                continue
            extras = method.fit(data).extras
            if "Q" not in extras:
                raise InputError(f"{method.method} measures no Q. Use IVW, MR Egger, maximum likelihood or radial.")
            if extras["Q_df"] > 0:
                statistics = {name: extras[name] for name in ("Q", "Q_df", "Q_pval")}
                yield {"method": method.method, **statistics, "I2": i_squared(extras["Q"], extras["Q_df"])}

    numbers = dict.fromkeys(("Q", "Q_df", "Q_pval", "I2"), pl.Float64)
    return rows_of_pairs(harmonised, measure, {"method": pl.String, **numbers})
