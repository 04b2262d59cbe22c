"""RAPS: the robust adjusted profile score, for many weak variants with balanced and some outlying pleiotropy.

Symbols: gamma, Gamma (p,) associations, sigma_X, sigma_Y their errors; tau^2 variance of the pleiotropic effects;
s^2 = sigma_Y^2 + tau^2 + b^2 sigma_X^2; t = (Gamma - b gamma) / s; u = -dt/db; psi slope of the loss;
delta = E Z psi(Z):

    sum psi(t) u = 0        (the slope of the profile likelihood, its residuals bounded by the loss)
    sum m {t psi(t) - delta} / s^2 = 0        (over-dispersion; m = sigma_X^2, or 1)

u is independent of t, from which the variance follows:

    se^2 = c1 V2 / (delta V1)^2 + 4 b^2 c2 V3 / (c3 V1)^2     (second term with over-dispersion only)

V1 = sum {(gamma^2 - sigma_X^2) (sigma_Y^2 + tau^2) + (Gamma^2 - sigma_Y^2 - tau^2) sigma_X^2} / s^4,
V2 = V1 + sum sigma_X^2 (sigma_Y^2 + tau^2) / s^4, V3 = sum sigma_X^4 / s^4. With m = 1 the variance is the sandwich of
the observed slopes of the two equations instead, with g = (gamma / sigma_X^2 + b Gamma / y2) / (1 / sigma_X^2 + b^2 /
y2), y2 = sigma_Y^2 + tau^2, the associations' maximum likelihood given b.
Sources: Zhao, Wang, Hemani, Bowden & Small (2020), Annals of Statistics 48:1742; Zhao, Chen, Wang & Small (2019),
International Journal of Epidemiology 48:1478.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, final

import numpy as np
from scipy import optimize

from invarmr.arrays import FloatArray
from invarmr.data.harmonised import Associations
from invarmr.errors import InputError
from invarmr.estimators.summary.base import SummaryEstimator
from invarmr.estimators.summary.result import SummaryEstimate, two_sided
from invarmr.estimators.summary.robust_loss import Loss, loss_moments, loss_slope, loss_value

__all__ = ["RobustAdjustedProfileScore"]

_GRID = 401
_ROUNDS = 200


@final
@dataclass(frozen=True, kw_only=True)
class RobustAdjustedProfileScore(SummaryEstimator):
    """Robust adjusted profile score estimate.

    Assumes true associations that are proportional but for pleiotropic effects, normal with mean zero and unrelated to
    instrument strength, and few variants that depart from that.

    Parameters
    ----------
    loss
        "l2" (not robust), "huber" (default) or "tukey".
    over_dispersion
        Estimate tau^2 (default), or take it as zero.
    dispersion_weights
        m in the equation of over-dispersion. "exposure": sigma_X^2, the paper and mr.raps 0.2 (CRAN; default); "equal":
        1, mr.raps 0.4 (GitHub), which TwoSampleMR calls, with its standard error.
    level
        Level of the confidence set.

    Notes
    -----
    Extras: `tau2`. The equations are solved to machine precision, so that answers differ from those programs' by the
    tolerances at which they stop.
    """

    loss: Loss = "huber"
    over_dispersion: bool = True
    dispersion_weights: Literal["exposure", "equal"] = "exposure"
    method: ClassVar[str] = "Robust adjusted profile score (RAPS)"
    minimum_variants: ClassVar[int] = 3

    def _estimate(self, data: Associations, seed: int) -> SummaryEstimate:
        if self.loss not in ("l2", "huber", "tukey"):
            raise InputError(f"loss must be 'l2', 'huber' or 'tukey', but is {self.loss!r}.")
        if self.dispersion_weights not in ("exposure", "equal"):
            raise InputError(f"dispersion_weights must be 'exposure' or 'equal', but is {self.dispersion_weights!r}.")
        equal = self.over_dispersion and self.dispersion_weights == "equal"
        score = _Profile(data, self.loss, np.ones(data.n_variants) if equal else data.exposure_std_error**2)
        tau2, b = 0.0, score.best_effect(0.0)
        note = ""
        if self.over_dispersion:
            b, tau2, settled = _alternate(score, b)
            note = "" if settled else "effect and over-dispersion did not settle"
        se = score.observed_std_error(b, tau2) if equal else score.std_error(b, tau2, self.over_dispersion)
        p, interval, log10_p = two_sided(b, se, level=self.level)
        return SummaryEstimate(
            method=self.method,
            nsnp=data.n_variants,
            b=b,
            se=se,
            pval=p,
            log10_pval=log10_p,
            confidence_set=interval,
            extras={"tau2": tau2},
            per_variant={"standardised_residual": score.residual(np.array([b]), tau2)[0]},
            note=note,
        )


def _alternate(score: _Profile, b: float) -> tuple[float, float, bool]:
    tau2 = 0.0
    for _ in range(_ROUNDS):
        before, tau2_before = b, tau2
        tau2 = score.over_dispersion(b)
        b = score.best_effect(tau2)
        if abs(b - before) <= 1e-9 * max(abs(b), score.scale) and abs(tau2 - tau2_before) <= 1e-9 * (tau2 + score.unit):
            return b, tau2, True
    return b, tau2, False


class _Profile:
    """The two estimating equations on one data set."""

    def __init__(self, data: Associations, loss: Loss, weights: FloatArray) -> None:
        self.data, self.loss, self.weights = data, loss, weights
        used = data.exposure != 0.0
        ratio = np.abs(data.outcome[used] / data.exposure[used]) if used.any() else np.ones(1)
        self.scale = float(np.median(ratio)) or 1.0
        self.unit = float(np.median(data.outcome_std_error) ** 2)
        self.bound = 2.0 * float(np.quantile(ratio, 0.95)) or self.scale

    def residual(self, b: FloatArray, tau2: float) -> FloatArray:
        """Standardised residuals t (len(b), p)."""
        d, column = self.data, b[:, None]
        s = np.sqrt(d.outcome_std_error**2 + tau2 + column**2 * d.exposure_std_error**2)
        return np.asarray((d.outcome - column * d.exposure) / s)

    def best_effect(self, tau2: float) -> float:
        """The b with the smallest total loss, given tau^2: a grid, then Brent's method around its best point."""
        bound = self.bound
        for _ in range(20):
            grid = np.linspace(-bound, bound, _GRID)
            best = int(loss_value(self.residual(grid, tau2), self.loss).sum(axis=1).argmin())
            if 0 < best < _GRID - 1:
                break
            bound *= 2.0
        else:
            raise InputError("RAPS found no finite estimate: the exposure associations are too weak.")
        found = optimize.minimize_scalar(
            lambda b: float(loss_value(self.residual(np.array([b]), tau2), self.loss).sum()),
            bounds=(grid[best - 1], grid[best + 1]),
            method="bounded",
            options={"xatol": 1e-7 * self.scale},
        )
        return self._polished(float(found.x), tau2, grid[1] - grid[0])

    def _polished(self, b: float, tau2: float, width: float) -> float:
        """The root of the score next to a minimum of the loss, which Brent's method finds to half the digits."""
        low, high = b - 1e-3 * width, b + 1e-3 * width
        if self._score(low, tau2) * self._score(high, tau2) < 0:
            return float(optimize.brentq(lambda value: self._score(value, tau2), low, high, xtol=1e-14 * self.scale))
        return b

    def _score(self, b: float, tau2: float) -> float:
        d = self.data
        t = self.residual(np.array([b]), tau2)[0]
        s2 = d.outcome_std_error**2 + tau2 + b**2 * d.exposure_std_error**2
        u = (d.exposure * (d.outcome_std_error**2 + tau2) + b * d.outcome * d.exposure_std_error**2) / s2**1.5
        return float(loss_slope(t, self.loss) @ u)

    def over_dispersion(self, b: float) -> float:
        """tau^2 given b: the root of the second equation; 0 where the residuals are not over-dispersed."""
        d, delta = self.data, loss_moments(self.loss).delta

        def excess(tau2: float) -> float:
            s2 = d.outcome_std_error**2 + tau2 + b**2 * d.exposure_std_error**2
            t = (d.outcome - b * d.exposure) / np.sqrt(s2)
            return float((self.weights * (t * loss_slope(t, self.loss) - delta) / s2).sum())

        if excess(0.0) <= 0.0:
            return 0.0
        high = float(np.max((d.outcome - b * d.exposure) ** 2)) / delta + self.unit
        return float(optimize.brentq(excess, 0.0, high, xtol=1e-12 * self.unit))

    def observed_std_error(self, b: float, tau2: float) -> float:
        """By the sandwich of the observed slopes (m = 1)."""
        d, c = self.data, loss_moments(self.loss)
        x2, y2 = d.exposure_std_error**2, d.outcome_std_error**2 + tau2
        v = y2 + b**2 * x2
        slope = loss_slope((d.outcome - b * d.exposure) / np.sqrt(v), self.loss)
        information = 1.0 / x2 + b**2 / y2
        g = (d.exposure / x2 + b * d.outcome / y2) / information
        by_effect = (d.outcome / y2 * slope / information - c.delta * g * d.exposure / np.sqrt(v)) / np.sqrt(v)
        by_tau2 = -b * d.outcome / y2**2 / information * slope / np.sqrt(v)
        first, last = float(by_effect.sum()), c.c3 / 2.0 * float((v**-2.0).sum())
        if first >= 0:
            raise InputError("RAPS has no standard error here: the associations are not stronger than their errors.")
        share = float(by_tau2.sum()) / last
        return float(np.sqrt(c.c1 * (g**2 / v).sum() + share**2 * c.c2 * (v**-2.0).sum())) / -first

    def std_error(self, b: float, tau2: float, over_dispersion: bool) -> float:
        """By the sandwich formula of the module's docstring."""
        d, c = self.data, loss_moments(self.loss)
        x2, y2 = d.exposure_std_error**2, d.outcome_std_error**2 + tau2
        s4 = (y2 + b**2 * x2) ** 2
        V1 = float((((d.exposure**2 - x2) * y2 + (d.outcome**2 - y2) * x2) / s4).sum())
        if V1 <= 0:
            raise InputError("RAPS has no standard error here: the associations are not stronger than their errors.")
        V2 = V1 + float((x2 * y2 / s4).sum())
        variance = c.c1 * V2 / (c.delta * V1) ** 2
        if over_dispersion:
            variance += 4.0 * b**2 * c.c2 * float((x2**2 / s4).sum()) / (c.c3 * V1) ** 2
        return float(np.sqrt(variance))
