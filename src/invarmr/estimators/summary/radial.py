"""Radial IVW and Egger: each variant a point (sqrt W, b sqrt W), its distance from the line its share of Q.

Symbols: b_j ratios, W_j their weights:

    IVW:  b_j sqrt(W_j) = b sqrt(W_j) + error,    Egger:  b_j sqrt(W_j) = intercept + b sqrt(W_j) + error
    W_j = gamma^2 / sigma_Y^2 (first order),  1 / (sigma_Y^2 / gamma^2 + Gamma^2 sigma_X^2 / gamma^4) (second),
          gamma^2 / (sigma_Y^2 + b^2 sigma_X^2) (modified second, b from the first-order fit, or iterated)

Q_j = W_j (b_j - b)^2 (less the intercept for Egger) is chi-squared with 1 degree of freedom for a valid variant.
Source: Bowden et al. (2018), Int J Epidemiol 47:1264.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, final

import numpy as np
from scipy import special

from invarmr.arrays import FloatArray
from invarmr.data.harmonised import Associations
from invarmr.errors import InputError
from invarmr.estimators.summary.base import SummaryEstimator
from invarmr.estimators.summary.regression import precision_regression
from invarmr.estimators.summary.result import Distribution, SummaryEstimate, chi_squared_tail, two_sided

__all__ = ["RadialEgger", "RadialInverseVarianceWeighted"]

RadialWeights = Literal["first", "second", "modified", "iterated"]
_ROUNDS = 1000


def _weights(data: Associations, kind: RadialWeights) -> FloatArray:
    if kind in ("first", "second"):
        return np.asarray(data.ratio_std_error(order=1 if kind == "first" else 2) ** -2.0)
    if kind not in ("modified", "iterated"):
        raise InputError(f"weights must be 'first', 'second', 'modified' or 'iterated', but is {kind!r}.")
    weight = data.ratio_std_error() ** -2.0
    b = float(weight @ data.ratio / weight.sum())
    for _ in range(1 if kind == "modified" else _ROUNDS):
        weight = data.exposure**2 / (data.outcome_std_error**2 + b**2 * data.exposure_std_error**2)
        before, b = b, float(weight @ data.ratio / weight.sum())
        if abs(b - before) <= 1e-12 * abs(b):
            break
    return np.asarray(weight)


def _outliers(data: Associations, q: FloatArray, significance: float) -> tuple[FloatArray, tuple[str, ...]]:
    p = special.chdtrc(1, q)
    return p, tuple(name for name, value in zip(data.variants, p, strict=True) if value < significance)


def _check(significance: float) -> None:
    if not 0.0 < significance < 1.0:
        raise InputError(f"significance must lie in (0, 1), but is {significance}.")


@final
@dataclass(frozen=True, kw_only=True)
class RadialInverseVarianceWeighted(SummaryEstimator):
    """IVW on the radial scale, with each variant's share of the heterogeneity.

    Parameters
    ----------
    weights
        "first" (equal to IVW), "second", "modified" (RadialMR's and TwoSampleMR's default) or "iterated".
    significance
        Below which a variant's share of Q names it in `outliers`; divide by p for Bonferroni's correction.
    distribution
        Of b / se.
    level
        Level of the confidence set.

    Notes
    -----
    Standard errors are times phi (not max(1, phi)), as RadialMR's. Extras: `Q`, `Q_df`, `Q_pval`. Outliers are named,
    not removed: refit on `data.take(...)`.
    """

    weights: RadialWeights = "modified"
    significance: float = 0.05
    distribution: Distribution = "normal"
    method: ClassVar[str] = "IVW radial"
    minimum_variants: ClassVar[int] = 2
    takes_ratios: ClassVar[bool] = True

    def _estimate(self, data: Associations, seed: int) -> SummaryEstimate:
        _check(self.significance)
        root = np.sqrt(_weights(data, self.weights))
        fitted = precision_regression(root[:, None], data.ratio * root, np.ones(data.n_variants))
        b, se = float(fitted.coefficients[0]), float(fitted.std_errors("multiplicative")[0])
        q = (root * (data.ratio - b)) ** 2
        p_variant, outliers = _outliers(data, q, self.significance)
        p, interval, log10_p = two_sided(b, se, df=fitted.df, distribution=self.distribution, level=self.level)
        return SummaryEstimate(
            method=self.method,
            nsnp=data.n_variants,
            b=b,
            se=se,
            pval=p,
            log10_pval=log10_p,
            confidence_set=interval,
            extras={"Q": fitted.q, "Q_df": fitted.df, "Q_pval": chi_squared_tail(fitted.q, fitted.df)},
            per_variant={"q": q, "q_pval": p_variant, "root_weight": root},
            outliers=outliers,
        )


@final
@dataclass(frozen=True, kw_only=True)
class RadialEgger(SummaryEstimator):
    """MR Egger on the radial scale, with each variant's share of Rucker's Q.

    Parameters
    ----------
    weights, significance, level
        As of `RadialInverseVarianceWeighted`.
    distribution
        Of b / se: "t" with p - 2 degrees of freedom.

    Notes
    -----
    Standard errors are times phi. Extras: `intercept`, `intercept_se`, `intercept_pval` (of the radial line, in
    units of standard errors), `Q`, `Q_df`, `Q_pval`.
    """

    weights: RadialWeights = "modified"
    significance: float = 0.05
    distribution: Distribution = "t"
    method: ClassVar[str] = "Egger radial"
    minimum_variants: ClassVar[int] = 3
    takes_ratios: ClassVar[bool] = True

    def _estimate(self, data: Associations, seed: int) -> SummaryEstimate:
        _check(self.significance)
        root = np.sqrt(_weights(data, self.weights))
        X = np.column_stack([np.ones(data.n_variants), root])
        fitted = precision_regression(X, data.ratio * root, np.ones(data.n_variants))
        errors = fitted.std_errors("multiplicative")
        intercept, b = fitted.coefficients.tolist()
        q = (data.ratio * root - X @ fitted.coefficients) ** 2
        p_variant, outliers = _outliers(data, q, self.significance)
        p, interval, log10_p = two_sided(
            b, float(errors[1]), df=fitted.df, distribution=self.distribution, level=self.level
        )
        p_intercept, _, _ = two_sided(intercept, float(errors[0]), df=fitted.df, distribution=self.distribution)
        return SummaryEstimate(
            method=self.method,
            nsnp=data.n_variants,
            b=b,
            se=float(errors[1]),
            pval=p,
            log10_pval=log10_p,
            confidence_set=interval,
            extras={
                "intercept": intercept,
                "intercept_se": float(errors[0]),
                "intercept_pval": p_intercept,
                "Q": fitted.q,
                "Q_df": fitted.df,
                "Q_pval": chi_squared_tail(fitted.q, fitted.df),
            },
            per_variant={"q": q, "q_pval": p_variant, "root_weight": root},
            outliers=outliers,
        )
