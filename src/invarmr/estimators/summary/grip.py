"""MR-GRIP: MR Egger made independent of which allele is counted.

Symbols: gamma, Gamma associations; sigma_Y standard error of Gamma:

    Gamma_j gamma_j = a + b gamma_j^2 + error_j,    weights 1 / (gamma_j^2 sigma_Yj^2)

Without the intercept it is inverse-variance weighted. Source: Dudbridge, Voller, Woolf et al. (2025), MR-GRIP, as in
TwoSampleMR's `mr_grip`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from invarmr.data.harmonised import Associations
from invarmr.estimators.summary.base import SummaryEstimator
from invarmr.estimators.summary.regression import precision_regression
from invarmr.estimators.summary.result import SummaryEstimate, chi_squared_tail, two_sided

__all__ = ["Grip"]


@final
@dataclass(frozen=True, kw_only=True)
class Grip(SummaryEstimator):
    """MR-GRIP estimate: allows directional pleiotropy, and needs no orientation of the alleles.

    Assumes that the products of pleiotropic effects and exposure associations are unrelated to the squared
    associations.

    Parameters
    ----------
    level
        Level of the confidence set.

    Notes
    -----
    Extras: `intercept`, `intercept_se`, `Q`, `Q_df`, `Q_pval`. Standard errors are times phi, Student's t with p - 2
    degrees of freedom, as TwoSampleMR's.
    """

    method: ClassVar[str] = "MR GRIP"
    minimum_variants: ClassVar[int] = 3
    takes_ratios: ClassVar[bool] = True

    def _estimate(self, data: Associations, seed: int) -> SummaryEstimate:
        x = data.exposure
        X = np.column_stack([np.ones(data.n_variants), x**2])
        fitted = precision_regression(X, data.outcome * x, np.abs(x) * data.outcome_std_error)
        errors = fitted.std_errors("multiplicative")
        b, se = float(fitted.coefficients[1]), float(errors[1])
        p, interval, log10_p = two_sided(b, se, df=fitted.df, distribution="t", level=self.level)
        return SummaryEstimate(
            method=self.method,
            nsnp=data.n_variants,
            b=b,
            se=se,
            pval=p,
            log10_pval=log10_p,
            confidence_set=interval,
            extras={
                "intercept": float(fitted.coefficients[0]),
                "intercept_se": float(errors[0]),
                "Q": fitted.q,
                "Q_df": fitted.df,
                "Q_pval": chi_squared_tail(fitted.q, fitted.df),
            },
        )
