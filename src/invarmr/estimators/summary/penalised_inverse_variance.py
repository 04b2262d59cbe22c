"""Penalised inverse-variance weighted (pIVW): the debiased ratio with its denominator pushed away from zero.

Symbols: w_j = 1 / sigma_Yj^2; tau^2 variance of balanced pleiotropic effects; lambda penalty;

    m1 = sum w gamma Gamma,   m2 = sum w (gamma^2 - sigma_X^2),   v2 = sum w^2 (4 (gamma^2 - sigma_X^2) sigma_X^2 + 2
    sigma_X^4)
    v12 = 2 sum w^2 Gamma gamma sigma_X^2,   m2' = m2 / 2 + sign(m2) (m2^2 / 4 + lambda v2)^1/2,   m1' = m1 + v12 (m2'
    - m2) / v2

    b = m1' / m2'

Set: Fieller's, {t : (m1' - t m2')^2 <= c (v1 - 2 t w v12 + t^2 w^2 v2)}, w = m2' / (2 m2' - m2), c a quantile of the
same statistic at b over drawn associations; perhaps unbounded. Source: Xu, Wang, Fung & Liu (2023), Biometrics 79:3020.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, final

import numpy as np

from invarmr.arrays import FloatArray
from invarmr.data.harmonised import Associations
from invarmr.errors import InputError
from invarmr.estimators.summary.base import SummaryEstimator, check_draws, drawn
from invarmr.estimators.summary.result import SummaryEstimate, two_sided
from invarmr.inference.confidence_set import ConfidenceSet

__all__ = ["PenalisedInverseVarianceWeighted"]


@final
@dataclass(frozen=True, kw_only=True)
class PenalisedInverseVarianceWeighted(SummaryEstimator):
    """Penalised inverse-variance weighted estimate: for many weak variants, more stable than the debiased one.

    Parameters
    ----------
    penalty
        lambda; 1 makes the estimate nearly unbiased and least variable (default); 0 is the debiased estimate.
    over_dispersion
        Estimate tau^2 (default), or take it as zero.
    fieller
        The bootstrapped Fieller set and p-value (default, as MendelianRandomization), or the normal ones.
    n_draws
        Of the bootstrap.
    level
        Level of the confidence set.

    Notes
    -----
    Extras: `tau2`; `condition`, as of the debiased estimate. With `fieller` the p-value counts draws, itself
    included, and is 1 / (n_draws + 1) at least.
    """

    penalty: float = 1.0
    over_dispersion: bool = True
    fieller: bool = True
    n_draws: int = 1000
    method: ClassVar[str] = "Penalised inverse variance weighted"
    minimum_variants: ClassVar[int] = 2

    def _estimate(self, data: Associations, seed: int) -> SummaryEstimate:
        check_draws(self.n_draws)
        if not self.penalty >= 0:
            raise InputError(f"penalty must be zero or positive, but is {self.penalty}.")
        gamma, Gamma = data.exposure, data.outcome
        w, s2 = data.outcome_std_error**-2.0, data.exposure_std_error**2
        parts = _parts(gamma[None, :], Gamma[None, :], data, 0.0, self.penalty)
        denominator = float(parts.m2[0])
        if denominator == 0:
            raise InputError(f"{self.method} needs exposure associations that differ from their errors' size.")
        b = float(parts.m1[0]) / denominator
        tau2 = 0.0
        if self.over_dispersion:
            tau2 = max(0.0, float((w * ((Gamma - b * gamma) ** 2 - 1.0 / w - b**2 * s2)).sum() / w.sum()))
        spread = w * gamma**2 * (1.0 + tau2 * w) + b**2 * s2 * w**2 * (gamma**2 + s2)
        se = float(np.sqrt(spread.sum())) / abs(denominator)
        p, interval, log10_p = two_sided(b, se, level=self.level)
        if self.fieller:
            p, interval = self._fieller(data, b, tau2, seed)
            log10_p = math.log10(p)
        return SummaryEstimate(
            method=self.method,
            nsnp=data.n_variants,
            b=b,
            se=se,
            pval=p,
            log10_pval=log10_p,
            confidence_set=interval,
            extras={"tau2": tau2, "condition": float(((gamma**2 / s2).mean() - 1.0) * math.sqrt(gamma.size))},
        )

    def _fieller(self, data: Associations, b: float, tau2: float, seed: int) -> tuple[float, ConfidenceSet]:
        spread = np.sqrt(data.outcome_std_error**2 + tau2)
        draws = drawn(
            np.random.default_rng(seed),
            self.n_draws,
            (data.exposure, data.exposure_std_error),
            (b * data.exposure, spread),
        )
        found = np.concatenate([_parts(x, y, data, tau2, self.penalty).statistic(b) for x, y in draws])
        found = found[found >= 0]
        here = _parts(data.exposure[None, :], data.outcome[None, :], data, tau2, self.penalty)
        bound = float(np.quantile(found, self.level))
        p = (1 + int((found >= here.m1[0] ** 2 / here.v1[0]).sum())) / (1 + found.size)
        square = float(here.m2[0] ** 2 - bound * here.v2[0])
        half = float(here.m1[0] * here.m2[0] - bound * here.v12[0])
        constant = float(here.m1[0] ** 2 - bound * here.v1[0])
        return p, ConfidenceSet(_roots(square, half, constant), self.level)


class _Parts(NamedTuple):
    """m1', m2', v1, w^2 v2 and w v12 of each row of associations, each (rows,)."""

    m1: FloatArray
    m2: FloatArray
    v1: FloatArray
    v2: FloatArray
    v12: FloatArray

    def statistic(self, b: float) -> FloatArray:
        """The studentised square at b (rows,)."""
        return np.asarray((self.m1 - b * self.m2) ** 2 / (self.v1 - 2.0 * b * self.v12 + b**2 * self.v2))


def _parts(x: FloatArray, y: FloatArray, data: Associations, tau2: float, penalty: float) -> _Parts:
    """The parts from associations x and y (rows, p)."""
    w, s2 = data.outcome_std_error**-2.0, data.exposure_std_error**2
    square = x**2 - s2
    v1 = (w**2 * (x**2 * y**2 - (y**2 - 1.0 / w - tau2) * square)).sum(axis=1)
    v2 = (w**2 * (4.0 * square * s2 + 2.0 * s2**2)).sum(axis=1)
    v12 = 2.0 * (w**2 * y * x * s2).sum(axis=1)
    m1, m2 = (w * x * y).sum(axis=1), (w * square).sum(axis=1)
    pushed = m2 / 2.0 + np.sign(m2) * np.sqrt(np.maximum(m2**2 / 4.0 + penalty * v2, 0.0))
    share = pushed / (2.0 * pushed - m2)
    return _Parts(m1 + v12 / v2 * (pushed - m2), pushed, v1, share**2 * v2, share * v12)


def _roots(square: float, half: float, constant: float) -> tuple[tuple[float, float], ...]:
    """{t : square t^2 - 2 half t + constant <= 0}; the whole line where there is no root.

    The set holds the estimate, so that it is never empty but where the estimated variance is negative.
    """
    inside = half**2 - square * constant
    if inside <= 0 or square == 0:
        return ((-math.inf, math.inf),)
    low, high = sorted(((half - math.sqrt(inside)) / square, (half + math.sqrt(inside)) / square))
    return ((low, high),) if square > 0 else ((-math.inf, low), (high, math.inf))
