"""Contamination mixture: each variant is valid, or draws its ratio around zero; the profile over who is which.

Symbols: b_j ratios, s_j their standard errors (first order), psi standard deviation of the invalid ones:

    l(b) = sum_j log max{ N(b_j; b, s_j^2), N(b_j; 0, psi^2 + s_j^2) }

The set holds every b with 2 {l(max) - l(b)} < phi^2 x chi-squared quantile, phi^2 the dispersion of the valid ratios (1
at least); it may be several intervals. Source: Burgess, Foley, Allara, Staley & Howson (2020), Nat Commun 11:376.
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

__all__ = ["ContaminationMixture"]

_GRID = 5001
_BLOCK = 1_000_000


@final
@dataclass(frozen=True, kw_only=True)
class ContaminationMixture(SummaryEstimator):
    """Contamination mixture estimate: consistent where the largest group of variants with the same ratio is valid.

    Parameters
    ----------
    invalid_sd
        psi; None: 1.5 times the standard deviation of the ratios.
    lower, upper
        Ends of the grid of effects searched; None: the outermost ends of the ratios' 2-standard-error intervals.
    step
        Of the grid; None: 5,001 points. MendelianRandomization's default is 0.01, whatever the units.
    level
        Level of the confidence set.

    Notes
    -----
    `se` is NaN: the method states a set and a p-value without one. Extras: `invalid_sd`, `dispersion` (phi) and
    `likelihood_ratio` of no effect. The p-value is that of likelihood_ratio / phi^2, so that it agrees with the set;
    MendelianRandomization 0.10 prints that of likelihood_ratio x phi^2, which is far smaller where phi exceeds 1.
    `per_variant["valid"]` is 1 for the variants taken as valid, `outliers` names the others.
    """

    invalid_sd: float | None = None
    lower: float | None = None
    upper: float | None = None
    step: float | None = None
    method: ClassVar[str] = "Contamination mixture"
    minimum_variants: ClassVar[int] = 3
    takes_ratios: ClassVar[bool] = True

    def _estimate(self, data: Associations, seed: int) -> SummaryEstimate:
        ratio, error = data.ratio, data.ratio_std_error()
        psi = 1.5 * float(ratio.std(ddof=1)) if self.invalid_sd is None else self.invalid_sd
        if not psi > 0:
            raise InputError(f"invalid_sd must be positive, but is {psi}: the ratios do not differ.")
        grid = self._grid(ratio, error)
        profile = np.concatenate(
            [_log_likelihood(part, ratio, error, psi)[0] for part in np.array_split(grid, self._parts(grid, ratio))]
        )
        top = int(profile.argmax())
        b = float(grid[top])
        valid = _log_likelihood(np.array([b]), ratio, error, psi)[1][0]
        phi = 1.0
        if valid.sum() > 1:
            phi = max(1.0, math.sqrt(float((((ratio - b) / error) ** 2)[valid].sum()) / (int(valid.sum()) - 1)))
        drop = 2.0 * (profile[top] - profile) / phi**2
        inside = drop < float(special.chdtri(1, 1.0 - self.level))
        null = float(_log_likelihood(np.array([0.0]), ratio, error, psi)[0][0])
        edge = inside[0] or inside[-1]
        ratio_statistic = max(0.0, 2.0 * (float(profile[top]) - null))
        return SummaryEstimate(
            method=self.method,
            nsnp=data.n_variants,
            b=b,
            se=math.nan,
            pval=chi_squared_tail(ratio_statistic / phi**2, 1),
            log10_pval=float(log_survival_chi2(ratio_statistic / phi**2, 1)) / math.log(10.0),
            confidence_set=ConfidenceSet(_runs(grid, inside), self.level),
            extras={"invalid_sd": psi, "dispersion": phi, "likelihood_ratio": ratio_statistic},
            per_variant={"valid": valid.astype(np.float64)},
            outliers=tuple(name for name, good in zip(data.variants, valid, strict=True) if not good),
            note="the set reaches the end of the effects searched: widen lower and upper" if edge else "",
        )

    def _grid(self, ratio: FloatArray, error: FloatArray) -> FloatArray:
        low = float((ratio - 2.0 * error).min()) if self.lower is None else self.lower
        high = float((ratio + 2.0 * error).max()) if self.upper is None else self.upper
        if not low < high or (self.step is not None and not self.step > 0):
            raise InputError(f"lower < upper and step > 0 were required, but they are {low}, {high} and {self.step}.")
        if self.step is None:
            return np.linspace(low, high, _GRID)
        return low + self.step * np.arange(math.floor((high - low) / self.step + 1e-9) + 1)

    def _parts(self, grid: FloatArray, ratio: FloatArray) -> int:
        return -(-grid.size * ratio.size // _BLOCK)


def _log_likelihood(
    grid: FloatArray, ratio: FloatArray, error: FloatArray, psi: float
) -> tuple[FloatArray, np.ndarray[tuple[int, ...], np.dtype[np.bool_]]]:
    """The profile l (grid,), and which variants it takes as valid (grid, p)."""
    wide = psi**2 + error**2
    valid = -0.5 * ((ratio - grid[:, None]) / error) ** 2 - 0.5 * np.log(2.0 * np.pi * error**2)
    invalid = -0.5 * ratio**2 / wide - 0.5 * np.log(2.0 * np.pi * wide)
    return np.maximum(valid, invalid).sum(axis=1), valid > invalid


def _runs(grid: FloatArray, inside: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> tuple[tuple[float, float], ...]:
    """Intervals of consecutive grid points inside the set."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], inside, [False]]).astype(np.int8)))
    return tuple((float(grid[start]), float(grid[end - 1])) for start, end in edges.reshape(-1, 2))
