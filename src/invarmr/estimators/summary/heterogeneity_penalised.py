"""Heterogeneity-penalised average: every subset of the variants is a model, weighted by how well its ratios agree.

Symbols: b_j ratios, s_j their standard errors (first order); for a subset S of n variants b_S and se_S its
inverse-variance weighted estimate and error (times phi where above 1), Q_S its heterogeneity, pi the prior probability
that a variant is valid:

    weight_S = pi^n (1 - pi)^(p - n) exp(-Q_S / 2) / prod_S s_j  for n >= 2,    l(b) = log sum_S weight_S N(b; b_S,
    se_S^2)

The estimate is the mode of l; the set holds every b with 2 {max l - l(b)} below the chi-squared_1 quantile, and may be
several intervals. Source: Burgess, Zuber, Gkatzionis & Foley (2018), International Journal of Epidemiology 47:1242.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from scipy import special

from invarmr.arrays import FloatArray
from invarmr.data.harmonised import Associations
from invarmr.errors import InputError
from invarmr.estimators.summary.base import SummaryEstimator
from invarmr.estimators.summary.result import SummaryEstimate, chi_squared_tail
from invarmr.inference.confidence_set import ConfidenceSet
from invarmr.inference.log_survival import log_survival_chi2

__all__ = ["HeterogeneityPenalised"]

_GRID = 5001
_NEGLIGIBLE = 1e-12


@final
@dataclass(frozen=True, kw_only=True)
class HeterogeneityPenalised(SummaryEstimator):
    """Heterogeneity-penalised model average: consistent where the largest group of agreeing variants is valid.

    Parameters
    ----------
    prior
        Probability that a variant is valid.
    lower, upper
        Ends of the grid of effects searched; None: the outermost ends of the ratios' 2-standard-error intervals.
    step
        Of the grid; None: 5,001 points. MendelianRandomization's default is 0.001 from -1 to 1, whatever the units.
    level
        Level of the confidence set.

    Notes
    -----
    `se` is NaN: the method states a set without one. The published weights hold 1 / prod s_j, whose unit depends on the
    number of variants: in larger units of the effect, smaller subsets weigh more, and the answer moves. At most 15
    variants (32,752 models).
    """

    prior: float = 0.5
    lower: float | None = None
    upper: float | None = None
    step: float | None = None
    method: ClassVar[str] = "Heterogeneity-penalised average"
    minimum_variants: ClassVar[int] = 3
    maximum_variants: ClassVar[int | None] = 15
    takes_ratios: ClassVar[bool] = True

    def _estimate(self, data: Associations, seed: int) -> SummaryEstimate:
        if not 0.0 < self.prior < 1.0:
            raise InputError(f"prior must lie in (0, 1), but is {self.prior}.")
        ratio, error = data.ratio, data.ratio_std_error()
        weight, centre, spread = _models(ratio, error, self.prior)
        low = float((ratio - 2.0 * error).min()) if self.lower is None else self.lower
        high = float((ratio + 2.0 * error).max()) if self.upper is None else self.upper
        if not low < high or (self.step is not None and not self.step > 0):
            raise InputError(f"lower < upper and step > 0 were required, but they are {low}, {high} and {self.step}.")
        points = _GRID if self.step is None else math.floor((high - low) / self.step + 1e-9) + 1
        grid = np.linspace(low, high, points) if self.step is None else low + self.step * np.arange(points)
        profile = _log_likelihood(grid, weight, centre, spread)
        top = int(profile.argmax())
        inside = 2.0 * (profile[top] - profile) < float(special.chdtri(1, 1.0 - self.level))
        null = float(_log_likelihood(np.zeros(1), weight, centre, spread)[0])
        edge = bool(inside[0] or inside[-1])
        return SummaryEstimate(
            method=self.method,
            nsnp=data.n_variants,
            b=float(grid[top]),
            se=math.nan,
            pval=chi_squared_tail(max(0.0, 2.0 * (float(profile[top]) - null)), 1),
            log10_pval=float(log_survival_chi2(max(0.0, 2.0 * (float(profile[top]) - null)), 1)) / math.log(10.0),
            confidence_set=ConfidenceSet(_runs(grid, inside), self.level),
            note="the set reaches the end of the effects searched: widen lower and upper" if edge else "",
        )


def _models(ratio: FloatArray, error: FloatArray, prior: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Weights, estimates and errors of all subsets of two variants or more that carry any weight to speak of."""
    p = ratio.size
    members = ((np.arange(1, 2**p)[:, None] >> np.arange(p)) & 1).astype(np.float64)
    n = members.sum(axis=1)
    members, n = members[n >= 2], n[n >= 2]
    precision = error**-2.0
    total = members @ precision
    centre = members @ (precision * ratio) / total
    q = np.maximum(members @ (precision * ratio**2) - total * centre**2, 0.0)
    log_weight = n * math.log(prior) + (p - n) * math.log1p(-prior) - 0.5 * q - members @ np.log(error)
    weight = np.exp(log_weight - log_weight.max())
    kept = weight > _NEGLIGIBLE * weight.sum()
    spread = np.maximum(1.0, np.sqrt(q / (n - 1.0))) / np.sqrt(total)
    return weight[kept] / weight[kept].sum(), centre[kept], spread[kept]


def _log_likelihood(grid: FloatArray, weight: FloatArray, centre: FloatArray, spread: FloatArray) -> FloatArray:
    rows = max(1, 2_000_000 // weight.size)
    log_weight = np.log(weight) - np.log(spread)
    parts = [
        special.logsumexp(log_weight - 0.5 * ((part[:, None] - centre) / spread) ** 2, axis=1)
        for part in np.array_split(grid, -(-grid.size // rows))
    ]
    return np.concatenate(parts)


def _runs(grid: FloatArray, inside: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> tuple[tuple[float, float], ...]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], inside, [False]]).astype(np.int8)))
    return tuple((float(grid[start]), float(grid[end - 1])) for start, end in edges.reshape(-1, 2))
