"""MR-Lasso: variants that need an intercept of their own are set aside, the others averaged.

Symbols: as in `lasso_path`; the estimate is inverse-variance weighted over the variants with a_j = 0.
Source: Rees, Wood, Dudbridge & Burgess (2019), PLoS One 14:e0222362.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from invarmr.data.harmonised import Associations
from invarmr.estimators.summary.base import SummaryEstimator
from invarmr.estimators.summary.lasso_path import valid_variants
from invarmr.estimators.summary.regression import precision_regression
from invarmr.estimators.summary.result import SummaryEstimate, two_sided

__all__ = ["Lasso"]


@final
@dataclass(frozen=True, kw_only=True)
class Lasso(SummaryEstimator):
    """MR-Lasso estimate (post-lasso): consistent where fewer than half of the variants are invalid.

    The standard error takes the chosen variants as given: choosing them is not counted, as in the method's own program.

    Parameters
    ----------
    penalty
        lambda; None: chosen from the data.
    level
        Level of the confidence set.

    Notes
    -----
    Extras: `penalty`, `n_valid`. `outliers` names the variants set aside; `per_variant["intercept"]` the lasso's a_j,
    for the allele that raises the exposure.
    """

    penalty: float | None = None
    method: ClassVar[str] = "MR-Lasso"
    minimum_variants: ClassVar[int] = 3

    def _estimate(self, data: Associations, seed: int) -> SummaryEstimate:
        data = data.oriented()
        precision = 1.0 / data.outcome_std_error
        rows, target = (data.exposure * precision)[:, None], data.outcome * precision
        valid, penalty, intercept = valid_variants(rows, target, precision, self.penalty)
        fitted = precision_regression(data.exposure[valid][:, None], data.outcome[valid], data.outcome_std_error[valid])
        b, se = float(fitted.coefficients[0]), float(fitted.std_errors("random")[0])
        p, interval, log10_p = two_sided(b, se, level=self.level)
        return SummaryEstimate(
            method=self.method,
            nsnp=data.n_variants,
            b=b,
            se=se,
            pval=p,
            log10_pval=log10_p,
            confidence_set=interval,
            extras={"penalty": penalty, "n_valid": int(valid.sum())},
            per_variant={"intercept": np.asarray(intercept)},
            outliers=tuple(name for name, good in zip(data.variants, valid, strict=True) if not good),
        )
