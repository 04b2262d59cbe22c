"""The Wald ratio of one variant: b = Gamma / gamma.

Symbols: gamma, Gamma associations with exposure and outcome; sigma_X, sigma_Y their standard errors:

    se = sigma_Y / |gamma|    or, to second order,    sqrt(sigma_Y^2 / gamma^2 + Gamma^2 sigma_X^2 / gamma^4)

Sources: Wald (1940), Annals of Mathematical Statistics 11:284; Thomas, Lawlor & Thompson (2007), Ann Epidemiol 17:511.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, final

from invarmr.data.harmonised import Associations
from invarmr.errors import InputError
from invarmr.estimators.summary.base import SummaryEstimator, check_ratios
from invarmr.estimators.summary.result import SummaryEstimate, two_sided

__all__ = ["WaldRatio"]


@final
@dataclass(frozen=True, kw_only=True)
class WaldRatio(SummaryEstimator):
    """Ratio of one variant's two associations.

    Parameters
    ----------
    order
        Of the delta method for the standard error: 1 (as TwoSampleMR) or 2.
    level
        Level of the confidence set.

    Examples
    --------
    >>> data = Associations.from_arrays(exposure=[0.2], exposure_std_error=[0.01], outcome=[0.1],
    ...                                 outcome_std_error=[0.02])
    >>> print(WaldRatio().fit(data))
    Wald ratio: 0.5000 (se 0.1000, 95 % set [0.304, 0.696], p 5.73e-07), 1 variants
    """

    order: Literal[1, 2] = 1
    method: ClassVar[str] = "Wald ratio"
    takes_correlation: ClassVar[bool] = True

    def why_not(self, n_variants: int) -> str:
        """One variant, no more."""
        return "" if n_variants == 1 else "takes exactly 1 variant"

    def fit(self, data: Associations, *, seed: int = 1) -> SummaryEstimate:
        """Estimate the effect.

        Raises
        ------
        InputError
            More than one variant, or an exposure association of exactly zero.
        """
        if data.n_variants != 1:
            raise InputError(f"Wald ratio takes exactly 1 variant, but there are {data.n_variants}.")
        check_ratios(data, self.method)
        return self._estimate(data, seed)

    def _estimate(self, data: Associations, seed: int) -> SummaryEstimate:
        b, se = float(data.ratio[0]), float(data.ratio_std_error(order=self.order)[0])
        p, interval, log10_p = two_sided(b, se, level=self.level)
        return SummaryEstimate(
            method=self.method, nsnp=1, b=b, se=se, pval=p, log10_pval=log10_p, confidence_set=interval
        )
