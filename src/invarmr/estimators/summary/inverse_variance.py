"""Inverse-variance weighted: the ratios averaged by their precision.

Symbols: gamma, Gamma (p,) associations with exposure and outcome; Omega covariance of Gamma; phi residual standard
error:

    b = gamma' Omega^-1 Gamma / gamma' Omega^-1 gamma,    se = (gamma' Omega^-1 gamma)^-1/2 x max(1, phi)

which is the weighted regression of Gamma on gamma through the origin. Sources: Burgess, Butterworth & Thompson (2013),
Genetic Epidemiology 37:658; Burgess et al. (2016), Statistics in Medicine 35:1880 (correlated variants).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, final

import numpy as np

from invarmr.data.harmonised import Associations
from invarmr.estimators.summary.base import SummaryEstimator, check_ratios
from invarmr.estimators.summary.regression import Effects, penalised_std_error, precision_regression, qualifier
from invarmr.estimators.summary.result import Distribution, SummaryEstimate, chi_squared_tail, two_sided

__all__ = ["InverseVarianceWeighted"]

_LABELS = {
    "random": "Inverse variance weighted",
    "multiplicative": "Inverse variance weighted (multiplicative random effects)",
    "fixed": "Inverse variance weighted (fixed effects)",
}


@final
@dataclass(frozen=True, kw_only=True)
class InverseVarianceWeighted(SummaryEstimator):
    """Inverse-variance weighted estimate, of independent or correlated variants.

    Assumes every variant to be a valid instrument, or pleiotropic effects that average to zero and are unrelated to
    instrument strength (InSIDE).

    Parameters
    ----------
    effects
        "random": standard error times max(1, phi) (`mr_ivw` of TwoSampleMR; the default of MendelianRandomization for
        more than three variants); "multiplicative": times phi (`mr_ivw_mre`); "fixed": as it is (`mr_ivw_fe`).
    order
        Of the delta method for the weights: 1 (both packages' default) or 2.
    penalised
        Reduce the weight of variants whose ratio is far from the median ratio (`mr_ivw(penalized=TRUE)` of
        MendelianRandomization).
    robust
        MM-regression instead of least squares: variants far from the line count little (`mr_ivw(robust=TRUE)`).
    distribution
        Of b / se: "normal" (both packages' default) or "t".
    level
        Level of the confidence set.

    Notes
    -----
    Extras: `Q`, `Q_df`, `Q_pval` (Cochran), `residual_std_error` (phi).

    Examples
    --------
    >>> data = Associations.from_arrays(exposure=[0.2, 0.1], exposure_std_error=[0.01, 0.01], outcome=[0.1, 0.06],
    ...                                 outcome_std_error=[0.02, 0.02])
    >>> print(InverseVarianceWeighted().fit(data))
    Inverse variance weighted: 0.5200 (se 0.0894, 95 % set [0.3447, 0.6953], p 6.11e-09), 2 variants
    """

    effects: Effects = "random"
    order: Literal[1, 2] = 1
    penalised: bool = False
    robust: bool = False
    distribution: Distribution = "normal"
    takes_correlation: ClassVar[bool] = True

    @property
    def method(self) -> str:
        """Label of the row."""
        return _LABELS[self.effects] + qualifier(penalised=self.penalised, robust=self.robust)

    def _estimate(self, data: Associations, seed: int) -> SummaryEstimate:
        spread = data.outcome_std_error
        if self.order == 2:
            spread = data.ratio_std_error(order=2) * np.abs(data.exposure)
        if self.penalised:
            check_ratios(data, self.method)
            residual = data.outcome - float(np.median(data.ratio)) * data.exposure
            spread = penalised_std_error(spread, residual, data.correlation)
        fitted = precision_regression(
            data.exposure[:, None], data.outcome, spread, data.correlation, robust=self.robust
        )
        b, se = float(fitted.coefficients[0]), float(fitted.std_errors(self.effects)[0])
        use: Distribution = self.distribution if fitted.df > 0 else "normal"
        p, interval, log10_p = two_sided(b, se, df=fitted.df, distribution=use, level=self.level)
        return SummaryEstimate(
            method=self.method,
            nsnp=data.n_variants,
            b=b,
            se=se,
            pval=p,
            log10_pval=log10_p,
            confidence_set=interval,
            extras={
                "Q": fitted.q,
                "Q_df": fitted.df,
                "Q_pval": chi_squared_tail(fitted.q, fitted.df),
                "residual_std_error": fitted.phi,
            },
        )
