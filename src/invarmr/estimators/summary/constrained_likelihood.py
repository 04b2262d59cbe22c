"""Constrained maximum likelihood (cML): K variants are free of the line, averaged over K by BIC.

Symbols: theta effect; g (p,) true associations with the exposure; r (p,) direct effects, K of them not zero:

    l = sum (gamma - g)^2 / (2 sigma_X^2) + sum (Gamma - theta g - r)^2 / (2 sigma_Y^2)

minimised for K = 0..p - 2 in turns: r_j takes the K largest (Gamma_j - theta g_j)^2 / sigma_Yj^2, then g, then theta,
until theta moves by less than 1e-7. BIC_K = 2 l_K + K log n, weights exp(-BIC_K / 2):

    theta = sum_K w_K theta_K,    se = sum_K w_K {se_K^2 + (theta_K - theta)^2}^1/2

With perturbation theta_K, l_K are means and se_K standard deviations over draws of both associations, which counts the
choice of the invalid variants. Source: Xue, Shen & Pan (2021), American Journal of Human Genetics 108:1251.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from invarmr.arrays import FloatArray
from invarmr.data.harmonised import Associations
from invarmr.errors import InputError
from invarmr.estimators.summary.base import SummaryEstimator, check_draws
from invarmr.estimators.summary.result import SummaryEstimate, two_sided

__all__ = ["ConstrainedMaximumLikelihood"]

_STEPS = 100
_SETTLED = 1e-7


@final
@dataclass(frozen=True, kw_only=True)
class ConstrainedMaximumLikelihood(SummaryEstimator):
    """cML-MA-BIC, with data perturbation by default: consistent where the largest group of agreeing variants is valid.

    Parameters
    ----------
    sample_size
        n of the BIC: the smaller of the two studies.
    perturb
        Standard errors from perturbed data (cML-MA-BIC-DP), or from the likelihood.
    n_draws
        Of the perturbation.
    level
        Level of the confidence set.

    Notes
    -----
    `outliers` are the invalid variants of the K with the smallest BIC; extras: `n_invalid`, that K.
    """

    sample_size: float
    perturb: bool = True
    n_draws: int = 200
    method: ClassVar[str] = "Constrained maximum likelihood"
    minimum_variants: ClassVar[int] = 3

    def _estimate(self, data: Associations, seed: int) -> SummaryEstimate:
        check_draws(self.n_draws)
        if not self.sample_size > 1:
            raise InputError(f"sample_size must be the number of people, but is {self.sample_size}.")
        p = data.n_variants
        K = np.arange(p - 1)
        fits = [_fit(data, data.exposure[None, :], data.outcome[None, :], int(k)) for k in K]
        theta = np.array([fit[0][0] for fit in fits])
        half = np.array([fit[1][0] for fit in fits])
        variance = np.array([_variance(data, *(part[0] for part in (fit[0], *fit[2:]))) for fit in fits])
        best = int(np.argmin(2.0 * half + np.log(self.sample_size) * K))
        invalid = fits[best][3][0] != 0.0
        if self.perturb:
            rng = np.random.default_rng(seed)
            x = data.exposure + data.exposure_std_error * rng.standard_normal((self.n_draws, p))
            y = data.outcome + data.outcome_std_error * rng.standard_normal((self.n_draws, p))
            drawn = [_fit(data, x, y, int(k))[:2] for k in K]
            theta = np.array([values.mean() for values, _ in drawn])
            variance = np.array([values.var(ddof=1) for values, _ in drawn])
            half = np.array([values.mean() for _, values in drawn])
        bic = 2.0 * half + np.log(self.sample_size) * K
        usable = np.isfinite(variance)
        weight = np.where(usable, np.exp(-0.5 * (bic - bic.min())), 0.0)
        weight = weight / weight.sum()
        b = float(weight[usable] @ theta[usable])
        se = float(weight[usable] @ np.sqrt(variance[usable] + (theta[usable] - b) ** 2))
        p_value, interval, log10_p = two_sided(b, se, level=self.level)
        return SummaryEstimate(
            method=self.method,
            nsnp=p,
            b=b,
            se=se,
            pval=p_value,
            log10_pval=log10_p,
            confidence_set=interval,
            extras={"n_invalid": best},
            outliers=tuple(name for name, out in zip(data.variants, invalid, strict=True) if out),
        )


def _fit(
    data: Associations, x: FloatArray, y: FloatArray, K: int
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Theta and l (rows,), g and r (rows, p) of each row of associations with K invalid variants."""
    vx, vy = data.exposure_std_error**2, data.outcome_std_error**2
    rows = len(x)
    theta, g, r = np.zeros(rows), np.zeros_like(x), np.zeros_like(x)
    moving = np.ones(rows, dtype=bool)
    for _ in range(_STEPS):
        at = np.flatnonzero(moving)
        if at.size == 0:
            break
        t = theta[at, None]
        residual = y[at] - t * g[at]
        free = np.zeros_like(residual)
        if K:
            largest = np.argpartition(-(residual**2) / vy, K - 1, axis=1)[:, :K]
            np.put_along_axis(free, largest, np.take_along_axis(residual, largest, axis=1), axis=1)
        true = (x[at] / vx + t * (y[at] - free) / vy) / (1.0 / vx + t**2 / vy)
        new = ((y[at] - free) * true / vy).sum(axis=1) / (true**2 / vy).sum(axis=1)
        moving[at] = np.abs(new - theta[at]) > _SETTLED
        theta[at], g[at], r[at] = new, true, free
    out = r != 0.0
    g = np.where(out, x, g)
    r = np.where(out, y - theta[:, None] * g, 0.0)
    half = 0.5 * ((x - g) ** 2 / vx + (y - theta[:, None] * g - r) ** 2 / vy).sum(axis=1)
    return theta, half, g, r


def _variance(data: Associations, theta: float, g: FloatArray, r: FloatArray) -> float:
    """Inverse curvature of l in theta, g profiled out, over the valid variants; NaN where it is not positive."""
    valid = r == 0.0
    g, y = g[valid], data.outcome[valid]
    vx, vy = data.exposure_std_error[valid] ** 2, data.outcome_std_error[valid] ** 2
    curvature = float((g**2 / vy - ((y - 2.0 * theta * g) / vy) ** 2 / (1.0 / vx + theta**2 / vy)).sum())
    return 1.0 / curvature if curvature > 0 else np.nan
