"""Maximum likelihood: both sets of associations are normal around true ones that are proportional.

Symbols: gamma, Gamma (p,) associations with covariances Omega_X, Omega_Y; psi their correlation within a variant:

    l(b) = r' V^-1 r / 2,  r = Gamma - b gamma,  V = Omega_Y + b^2 Omega_X - 2 b psi sigma_X sigma_Y

is the likelihood with the true associations profiled out; se = l''(b)^-1/2. Source: Burgess, Butterworth & Thompson
(2013), Genetic Epidemiology 37:658.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, final

import numpy as np
from scipy import linalg, optimize

from invarmr.arrays import FloatArray
from invarmr.data.harmonised import Associations
from invarmr.errors import InputError
from invarmr.estimators.summary.base import SummaryEstimator
from invarmr.estimators.summary.regression import precision_regression
from invarmr.estimators.summary.result import SummaryEstimate, chi_squared_tail, two_sided

__all__ = ["MaximumLikelihood"]


@final
@dataclass(frozen=True, kw_only=True)
class MaximumLikelihood(SummaryEstimator):
    """Maximum likelihood estimate, of independent or correlated variants.

    Assumes every variant to be a valid instrument. Unlike inverse-variance weighting it counts the error of the
    exposure associations, and their correlation with the outcome associations where the samples overlap.

    Parameters
    ----------
    effects
        "fixed": standard error of the likelihood (TwoSampleMR, default); "random": times max(1, phi), phi^2 =
        Q / (p - 1) with Q = 2 l(b) (MendelianRandomization).
    overlap_correlation
        psi, correlation of a variant's two estimates by chance: 0 without sample overlap.
    level
        Level of the confidence set.

    Notes
    -----
    Extras: `Q` (likelihood ratio), `Q_df`, `Q_pval`, `residual_std_error`.
    """

    effects: Literal["fixed", "random"] = "fixed"
    overlap_correlation: float = 0.0
    method: ClassVar[str] = "Maximum likelihood"
    minimum_variants: ClassVar[int] = 2
    takes_correlation: ClassVar[bool] = True

    def _estimate(self, data: Associations, seed: int) -> SummaryEstimate:
        if not -1.0 < self.overlap_correlation < 1.0:
            raise InputError(f"overlap_correlation must lie in (-1, 1), but is {self.overlap_correlation}.")
        start = precision_regression(data.exposure[:, None], data.outcome, data.outcome_std_error, data.correlation)
        width = float(start.fixed_std_errors[0])
        first = float(start.coefficients[0])

        def objective(step: float) -> float:
            return self._half_deviance(data, first + step * width)

        found = optimize.minimize_scalar(objective, bracket=(-1.0, 1.0), tol=1e-10)
        step, h = float(found.x), 1e-2
        values = [objective(step + shift) for shift in (-2 * h, -h, 0.0, h, 2 * h)]
        curvature = np.array([-1.0, 16.0, -30.0, 16.0, -1.0]) @ np.array(values) / (12 * h * h)
        if not (found.success and curvature > 0):
            raise InputError("Maximum likelihood found no maximum: the exposure associations are too weak.")
        df, q = data.n_variants - 1, 2.0 * values[2]
        phi = float(np.sqrt(q / df))
        b = first + step * width
        se = width / float(np.sqrt(curvature)) * (max(1.0, phi) if self.effects == "random" else 1.0)
        p, interval, log10_p = two_sided(b, se, level=self.level)
        return SummaryEstimate(
            method=self.method,
            nsnp=data.n_variants,
            b=b,
            se=se,
            pval=p,
            log10_pval=log10_p,
            confidence_set=interval,
            extras={"Q": q, "Q_df": df, "Q_pval": chi_squared_tail(q, df), "residual_std_error": phi},
        )

    def _half_deviance(self, data: Associations, b: float) -> float:
        sigma_X, sigma_Y = data.exposure_std_error, data.outcome_std_error
        r: FloatArray = data.outcome - b * data.exposure
        if data.correlation is None:
            variance = sigma_Y**2 + b**2 * sigma_X**2 - 2.0 * b * self.overlap_correlation * sigma_X * sigma_Y
            return float(0.5 * (r**2 / variance).sum())
        scale = np.outer(sigma_Y, sigma_Y) + b**2 * np.outer(sigma_X, sigma_X)
        cross = np.outer(sigma_X, sigma_Y)
        scale = scale - b * self.overlap_correlation * (cross + cross.T)
        return float(0.5 * r @ linalg.solve(scale * data.correlation, r, assume_a="pos"))
