"""MR-PRESSO: pleiotropy residual sum and outlier test, its three parts for all draws at once.

Symbols: gamma, Gamma associations, w_j = 1 / sigma_Yj^2; b_(-j) the inverse-variance weighted estimate without j:

    RSS = sum_j w_j (Gamma_j - b_(-j) gamma_j)^2

against the same of draws gamma*_j ~ N(gamma_j, sigma_Xj^2), Gamma*_j ~ N(b_(-j) gamma_j, sigma_Yj^2).
b_(-j) = (S_xy - w_j gamma_j Gamma_j) / (S_xx - w_j gamma_j^2) needs two sums a draw, not a regression a variant.
Source: Verbanck, Chen, Neale & Do (2018), Nature Genetics 50:693.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from invarmr.arrays import BoolArray, FloatArray
from invarmr.data.harmonised import Associations
from invarmr.errors import InputError
from invarmr.estimators.summary.base import SummaryEstimator, drawn
from invarmr.estimators.summary.regression import precision_regression
from invarmr.estimators.summary.result import SummaryEstimate, two_sided

__all__ = ["Presso"]


@final
@dataclass(frozen=True, kw_only=True)
class Presso(SummaryEstimator):
    """MR-PRESSO: is there pleiotropy (global test), in which variants (outlier test), does it matter (distortion test).

    The estimate is inverse-variance weighted without the outliers, its standard error times phi and Student's t, as in
    the method's own program.

    Parameters
    ----------
    n_draws
        Draws; a variant's Bonferroni-corrected p-value cannot be below p / n_draws, so n_draws must exceed
        p / significance.
    significance
        Below which the global test opens the outlier test, and a variant is an outlier.
    level
        Level of the confidence set.

    Notes
    -----
    Extras: `raw_b`, `raw_se`, `global_rss`, `global_pval`; `distortion` ((raw - corrected) / |corrected|) and
    `distortion_pval` where outliers were found. `per_variant["outlier_pval"]` is Bonferroni-corrected. P-values count
    draws, so 0 stands for "below 1 / n_draws".
    """

    n_draws: int = 1000
    significance: float = 0.05
    method: ClassVar[str] = "MR-PRESSO"
    minimum_variants: ClassVar[int] = 4

    def _estimate(self, data: Associations, seed: int) -> SummaryEstimate:
        if self.n_draws < 1 or not 0.0 < self.significance < 1.0:
            raise InputError(
                f"n_draws must be positive and significance lie in (0, 1), but they are {self.n_draws} and "
                f"{self.significance}."
            )
        rng = np.random.default_rng(seed)
        raw_b, raw_se = _weighted(data)
        rss, p_global, p_variant = self._simulate(data, rng)
        extras = {"raw_b": raw_b, "raw_se": raw_se, "global_rss": rss, "global_pval": p_global}
        outlier = (p_variant <= self.significance) & (p_global < self.significance)
        b, se, note = raw_b, raw_se, ""
        if 0 < outlier.sum() < data.n_variants - 1:
            b, se = _weighted(data.take(~outlier))
            extras |= _distortion(data, outlier, raw_b, b, self.n_draws, rng)
        elif outlier.any():
            outlier[:] = False
            note = "nearly all variants are outliers: none is set aside"
        if data.n_variants / self.n_draws > self.significance:
            note = f"n_draws must exceed {data.n_variants / self.significance:.0f} for the outlier test to find any"
        kept = data.n_variants - int(outlier.sum())
        p, interval, log10_p = two_sided(b, se, df=kept - 1, distribution="t", level=self.level)
        return SummaryEstimate(
            method=self.method,
            nsnp=kept,
            b=b,
            se=se,
            pval=p,
            log10_pval=log10_p,
            confidence_set=interval,
            extras=extras,
            per_variant={"outlier_pval": p_variant},
            outliers=tuple(name for name, out in zip(data.variants, outlier, strict=True) if out),
            note=note,
        )

    def _simulate(self, data: Associations, rng: np.random.Generator) -> tuple[float, float, FloatArray]:
        """RSS, the share of draws above it, and each variant's corrected share."""
        weight = data.outcome_std_error**-2.0
        without = _leave_one_out(data.exposure, data.outcome, weight)
        residual = data.outcome - without * data.exposure
        rss = float((weight * residual**2).sum())
        above, beyond = 0, np.zeros(data.n_variants)
        expected = without * data.exposure
        parts = (data.exposure, data.exposure_std_error), (expected, data.outcome_std_error)
        for x, y in drawn(rng, self.n_draws, *parts):
            drawn_residual = y - _leave_one_out(x, y, weight) * x
            above += int(((drawn_residual**2) @ weight > rss).sum())
            beyond += ((y - without * x) ** 2 > residual**2).sum(axis=0)
        return rss, above / self.n_draws, np.minimum(1.0, beyond / self.n_draws * data.n_variants)


def _leave_one_out(x: FloatArray, y: FloatArray, weight: FloatArray) -> FloatArray:
    xy, xx = weight * x * y, weight * x * x
    return np.asarray((xy.sum(axis=-1, keepdims=True) - xy) / (xx.sum(axis=-1, keepdims=True) - xx))


def _weighted(data: Associations) -> tuple[float, float]:
    fitted = precision_regression(data.exposure[:, None], data.outcome, data.outcome_std_error)
    return float(fitted.coefficients[0]), float(fitted.std_errors("multiplicative")[0])


def _distortion(
    data: Associations, outlier: BoolArray, raw: float, corrected: float, n_draws: int, rng: np.random.Generator
) -> dict[str, float]:
    """Compare the change of the estimate with that of samples of variants that all hold the outliers."""
    inside, others = np.flatnonzero(outlier), np.flatnonzero(~outlier)
    weight = data.outcome_std_error**-2.0
    xy, xx = weight * data.exposure * data.outcome, weight * data.exposure**2
    chosen = rng.choice(others, size=(n_draws, max(others.size - inside.size, 0)))
    estimates = (xy[inside].sum() + xy[chosen].sum(axis=1)) / (xx[inside].sum() + xx[chosen].sum(axis=1))
    bias = (raw - corrected) / abs(corrected) if corrected else math.inf
    drawn_bias = (raw - estimates) / np.abs(estimates)
    return {"distortion": bias, "distortion_pval": float((np.abs(drawn_bias) > abs(bias)).mean())}
