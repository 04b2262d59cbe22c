"""Debiased inverse-variance weighted: IVW with the error of the exposure associations taken out of the denominator.

Symbols: w_j = 1 / sigma_Yj^2, v_j = sigma_Xj^2 w_j; tau^2 variance of balanced pleiotropic effects:

    b = sum w gamma Gamma / sum w (gamma^2 - sigma_X^2)
    se^2 = sum { w gamma^2 (1 + tau^2 w) + b^2 v (w gamma^2 + v) } / {sum w (gamma^2 - sigma_X^2)}^2

Source: Ye, Shao & Kang (2021), Annals of Statistics 49:2079.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from invarmr.data.harmonised import Associations
from invarmr.errors import InputError
from invarmr.estimators.summary.base import SummaryEstimator
from invarmr.estimators.summary.result import SummaryEstimate, two_sided

__all__ = ["DebiasedInverseVarianceWeighted"]


@final
@dataclass(frozen=True, kw_only=True)
class DebiasedInverseVarianceWeighted(SummaryEstimator):
    """Debiased IVW: consistent with many weak variants, where IVW is pulled to zero.

    Parameters
    ----------
    over_dispersion
        Estimate tau^2 (MendelianRandomization's default), or take it as zero.
    level
        Level of the confidence set.

    Notes
    -----
    Extras: `tau2`; `condition`, kappa sqrt(p) with kappa = mean(gamma^2 / sigma_X^2) - 1: the normal approximation
    needs it large (above 20, say).
    """

    over_dispersion: bool = True
    method: ClassVar[str] = "Debiased inverse variance weighted"
    minimum_variants: ClassVar[int] = 2

    def _estimate(self, data: Associations, seed: int) -> SummaryEstimate:
        gamma, Gamma = data.exposure, data.outcome
        w, s2 = data.outcome_std_error**-2.0, data.exposure_std_error**2
        denominator = float((w * (gamma**2 - s2)).sum())
        condition = float(((gamma**2 / s2).mean() - 1.0) * np.sqrt(gamma.size))
        if denominator <= 0:
            raise InputError(
                f"{self.method} needs exposure associations stronger than their errors, but condition is "
                f"{condition:.2f} and the denominator {denominator:.3g}. Use stronger variants."
            )
        b = float((w * gamma * Gamma).sum() / denominator)
        tau2 = 0.0
        if self.over_dispersion:
            excess = (Gamma - b * gamma) ** 2 - 1.0 / w - b**2 * s2
            tau2 = max(0.0, float((w * excess).sum() / w.sum()))
        v = s2 * w
        spread = w * gamma**2 * (1.0 + tau2 * w) + b**2 * v * (w * gamma**2 + v)
        se = float(np.sqrt(spread.sum())) / denominator
        p, interval, log10_p = two_sided(b, se, level=self.level)
        return SummaryEstimate(
            method=self.method,
            nsnp=data.n_variants,
            b=b,
            se=se,
            pval=p,
            log10_pval=log10_p,
            confidence_set=interval,
            extras={"tau2": tau2, "condition": condition},
        )
