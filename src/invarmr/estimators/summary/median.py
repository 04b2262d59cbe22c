"""The median of the ratios: simple, weighted, or with the weights of outlying variants penalised.

Symbols: b_j ratios in increasing order, w_j weights, s_j = (sum_{i<=j} w_i - w_j / 2) / sum w:

    b = b_k + (b_{k+1} - b_k) (0.5 - s_k) / (s_{k+1} - s_k),    s_k < 0.5 <= s_{k+1}

Standard errors by parametric bootstrap. Source: Bowden et al. (2016), Genetic Epidemiology 40:304.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, final

import numpy as np
from scipy import special

from invarmr.arrays import FloatArray
from invarmr.data.harmonised import Associations
from invarmr.estimators.summary.base import SummaryEstimator, check_draws, drawn
from invarmr.estimators.summary.result import SummaryEstimate, two_sided

__all__ = ["Median", "weighted_median"]

_LABELS = {"simple": "Simple median", "weighted": "Weighted median", "penalised": "Penalised weighted median"}


def weighted_median(ratio: FloatArray, weight: FloatArray) -> FloatArray:
    """Weighted medians of the rows of `ratio` (..., p), with weights (p,) that belong to the columns.

    Examples
    --------
    >>> float(weighted_median(np.array([3.0, 1.0, 2.0]), np.ones(3)))
    2.0
    """
    order = np.argsort(ratio, axis=-1)
    b, w = np.take_along_axis(ratio, order, axis=-1), weight[order]
    position = (np.cumsum(w, axis=-1) - 0.5 * w) / weight.sum()
    k = np.clip((position < 0.5).sum(axis=-1, keepdims=True) - 1, 0, ratio.shape[-1] - 2)
    low, high = (np.take_along_axis(b, place, axis=-1)[..., 0] for place in (k, k + 1))
    start, end = (np.take_along_axis(position, place, axis=-1)[..., 0] for place in (k, k + 1))
    share = np.clip((0.5 - start) / np.where(end > start, end - start, 1.0), 0.0, 1.0)
    return np.asarray(low + (high - low) * share)


@final
@dataclass(frozen=True, kw_only=True)
class Median(SummaryEstimator):
    """Median of the ratios: consistent where variants that carry half of the weight are valid.

    Parameters
    ----------
    weighting
        "simple" (equal weights), "weighted" (1 / variance of the ratio) or "penalised" (weights of variants far from
        the centre reduced by min(1, `penalty` x p-value of their heterogeneity)).
    order
        Of the delta method for the weights: 2 (TwoSampleMR, default) or 1 (MendelianRandomization).
    centre
        From which heterogeneity is measured: "median" (the weighted median, TwoSampleMR) or "ivw"
        (MendelianRandomization).
    penalty
        Factor of the p-value (`penk`).
    n_draws
        Of the bootstrap.
    level
        Level of the confidence set.

    Examples
    --------
    >>> data = Associations.from_arrays(exposure=[0.1, 0.2, 0.3], exposure_std_error=[0.01] * 3,
    ...                                 outcome=[0.05, 0.1, 0.9], outcome_std_error=[0.02] * 3)
    >>> round(Median(weighting="simple").fit(data).b, 6)
    0.5
    """

    weighting: Literal["simple", "weighted", "penalised"] = "weighted"
    order: Literal[1, 2] = 2
    centre: Literal["median", "ivw"] = "median"
    penalty: float = 20.0
    n_draws: int = 1000
    minimum_variants: ClassVar[int] = 3
    takes_ratios: ClassVar[bool] = True

    @property
    def method(self) -> str:
        """Label of the row."""
        return _LABELS[self.weighting]

    def _estimate(self, data: Associations, seed: int) -> SummaryEstimate:
        check_draws(self.n_draws)
        weight = self._weights(data)
        b = float(weighted_median(data.ratio, weight))
        parts = (data.exposure, data.exposure_std_error), (data.outcome, data.outcome_std_error)
        blocks = drawn(np.random.default_rng(seed), self.n_draws, *parts)
        se = float(np.concatenate([weighted_median(y / x, weight) for x, y in blocks]).std(ddof=1))
        p, interval, log10_p = two_sided(b, se, level=self.level)
        return SummaryEstimate(
            method=self.method,
            nsnp=data.n_variants,
            b=b,
            se=se,
            pval=p,
            log10_pval=log10_p,
            confidence_set=interval,
            per_variant={"weight": weight / weight.sum()},
        )

    def _weights(self, data: Associations) -> FloatArray:
        if self.weighting == "simple":
            return np.full(data.n_variants, 1.0 / data.n_variants)
        weight = data.ratio_std_error(order=self.order) ** -2.0
        if self.weighting == "weighted":
            return np.asarray(weight)
        if self.centre == "median":
            centre = float(weighted_median(data.ratio, weight))
        else:
            precision = data.outcome_std_error**-2.0
            centre = float((precision * data.exposure) @ data.outcome / ((precision * data.exposure) @ data.exposure))
        p = special.chdtrc(1, weight * (data.ratio - centre) ** 2)
        return np.asarray(weight * np.minimum(1.0, p * self.penalty))
