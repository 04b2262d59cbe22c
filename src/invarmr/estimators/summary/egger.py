"""MR Egger: the outcome associations regressed on the exposure associations with an intercept.

Symbols: gamma > 0, Gamma associations after orientation; sigma_Y standard error of Gamma; phi residual standard error:

    Gamma_j = intercept + b gamma_j + error_j,    weights 1 / sigma_Yj^2,    se times max(1, phi)

The intercept is the mean pleiotropic effect. Sources: Bowden, Davey Smith & Burgess (2015), Int J Epidemiol 44:512;
Burgess & Thompson (2017), Eur J Epidemiol 32:377.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from invarmr.data.harmonised import Associations
from invarmr.errors import InputError
from invarmr.estimators.summary.base import SummaryEstimator, check_draws, drawn
from invarmr.estimators.summary.regression import Effects, penalised_std_error, precision_regression, qualifier
from invarmr.estimators.summary.result import Distribution, SummaryEstimate, chi_squared_tail, two_sided
from invarmr.inference.confidence_set import ConfidenceSet

__all__ = ["BootstrapEgger", "Egger"]


@final
@dataclass(frozen=True, kw_only=True)
class Egger(SummaryEstimator):
    """MR Egger, of independent or correlated variants.

    Assumes pleiotropic effects unrelated to instrument strength (InSIDE), and exposure associations measured almost
    without error (see I2_GX).

    Parameters
    ----------
    distribution
        Of b / se: "t" with p - 2 degrees of freedom (TwoSampleMR, default) or "normal" (MendelianRandomization).
    effects
        "random": standard errors times max(1, phi), as both packages.
    penalised
        Reduce the weight of variants far from the first line (`mr_egger(penalized=TRUE)` of MendelianRandomization).
    robust
        MM-regression instead of least squares: variants far from the line count little (`mr_egger(robust=TRUE)`).
    level
        Level of the confidence set.

    Notes
    -----
    Extras: `intercept`, `intercept_se`, `intercept_pval`, `Q` (Rucker), `Q_df`, `Q_pval`, `residual_std_error`.

    Examples
    --------
    >>> data = Associations.from_arrays(exposure=[0.1, 0.2, -0.3], exposure_std_error=[0.01] * 3,
    ...                                 outcome=[0.07, 0.12, -0.17], outcome_std_error=[0.02] * 3)
    >>> answer = Egger().fit(data)
    >>> round(answer.b, 6), round(answer.extras["intercept"], 6)
    (0.5, 0.02)
    """

    distribution: Distribution = "t"
    effects: Effects = "random"
    penalised: bool = False
    robust: bool = False
    minimum_variants: ClassVar[int] = 3
    takes_correlation: ClassVar[bool] = True

    @property
    def method(self) -> str:
        """Label of the row."""
        return "MR Egger" + qualifier(penalised=self.penalised, robust=self.robust)

    def _estimate(self, data: Associations, seed: int) -> SummaryEstimate:
        data = data.oriented()
        X = np.column_stack([np.ones(data.n_variants), data.exposure])
        spread = data.outcome_std_error
        if self.penalised:
            first = precision_regression(X, data.outcome, spread, data.correlation)
            spread = penalised_std_error(spread, data.outcome - X @ first.coefficients, data.correlation)
        fitted = precision_regression(X, data.outcome, spread, data.correlation, robust=self.robust)
        errors = fitted.std_errors(self.effects)
        intercept, b = fitted.coefficients.tolist()
        p, interval, log10_p = two_sided(
            b, float(errors[1]), df=fitted.df, distribution=self.distribution, level=self.level
        )
        p_intercept, _, _ = two_sided(
            intercept, float(errors[0]), df=fitted.df, distribution=self.distribution, level=self.level
        )
        return SummaryEstimate(
            method=self.method,
            nsnp=data.n_variants,
            b=b,
            se=float(errors[1]),
            pval=p,
            log10_pval=log10_p,
            confidence_set=interval,
            extras={
                "intercept": intercept,
                "intercept_se": float(errors[0]),
                "intercept_pval": p_intercept,
                "Q": fitted.q,
                "Q_df": fitted.df,
                "Q_pval": chi_squared_tail(fitted.q, fitted.df),
                "residual_std_error": fitted.phi,
            },
        )


@final
@dataclass(frozen=True, kw_only=True)
class BootstrapEgger(SummaryEstimator):
    """MR Egger averaged over draws of both associations from their sampling distributions, as TwoSampleMR does.

    The interval holds the central quantiles; the p-value is the share of draws on the other side of zero than the mean
    (one-sided, as TwoSampleMR's).

    Parameters
    ----------
    n_draws
        Draws.
    level
        Level of the confidence set.
    """

    n_draws: int = 1000
    method: ClassVar[str] = "MR Egger (bootstrap)"
    minimum_variants: ClassVar[int] = 3

    def _estimate(self, data: Associations, seed: int) -> SummaryEstimate:
        check_draws(self.n_draws)
        weight = data.outcome_std_error**-2.0
        total = weight.sum()
        if np.ptp(np.abs(data.exposure)) == 0:
            raise InputError("MR Egger needs exposure associations that differ in size, but all are equal.")
        slopes, intercepts = [], []
        parts = (data.exposure, data.exposure_std_error), (data.outcome, data.outcome_std_error)
        for x, y in drawn(np.random.default_rng(seed), self.n_draws, *parts):
            y, x = y * np.sign(x), np.abs(x)
            mean_x, mean_y = x @ weight / total, y @ weight / total
            centred = x - mean_x[:, None]
            slope = ((centred * y) @ weight) / ((centred**2) @ weight)
            slopes.append(slope)
            intercepts.append(mean_y - slope * mean_x)
        slope, intercept = np.concatenate(slopes), np.concatenate(intercepts)
        tail = (1.0 - self.level) / 2.0
        low, high = np.quantile(slope, [tail, 1.0 - tail]).tolist()
        b, a = float(slope.mean()), float(intercept.mean())
        return SummaryEstimate(
            method=self.method,
            nsnp=data.n_variants,
            b=b,
            se=float(slope.std(ddof=1)),
            pval=float((np.sign(b) * slope < 0).mean()),
            confidence_set=ConfidenceSet(((low, high),), self.level),
            extras={
                "intercept": a,
                "intercept_se": float(intercept.std(ddof=1)),
                "intercept_pval": float((np.sign(a) * intercept < 0).mean()),
            },
        )
