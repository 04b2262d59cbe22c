"""Multivariable IVW and MR Egger: the direct effects of several exposures, and how strongly variants tell them apart.

Symbols: gamma (p, K) associations with K exposures, Gamma (p,) with the outcome, w_j = 1 / sigma_Yj^2, phi residual
standard error:

    Gamma_j = (intercept +) sum_k b_k gamma_jk + error_j,    weights w_j,    se times max(1, phi)

Sources: Burgess & Thompson (2015), Am J Epidemiol 181:251; Rees, Wood & Burgess (2017), Statistics in Medicine 36:4705.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import numpy as np

from invarmr.arrays import FloatArray
from invarmr.data.harmonised import MultivariableAssociations
from invarmr.errors import InputError
from invarmr.estimators.summary.regression import Effects, PrecisionRegression, precision_regression
from invarmr.estimators.summary.result import Distribution, SummaryEstimate, chi_squared_tail, two_sided
from invarmr.inference.wald import check_level

__all__ = ["MultivariableEgger", "MultivariableInverseVarianceWeighted", "oriented", "require_variants"]


@final
@dataclass(frozen=True, kw_only=True)
class MultivariableInverseVarianceWeighted:
    """Multivariable inverse-variance weighted estimate of each exposure's direct effect.

    Parameters
    ----------
    effects
        "random": standard errors times max(1, phi) (MendelianRandomization); "multiplicative": times phi
        (`mv_multiple` of TwoSampleMR); "fixed": as they are.
    robust
        MM-regression instead of least squares (`mr_mvivw(robust=TRUE)` of MendelianRandomization).
    distribution
        Of b / se: "normal" (both packages' default) or "t".
    level
        Level of the confidence sets.
    """

    effects: Effects = "random"
    robust: bool = False
    distribution: Distribution = "normal"
    level: float = 0.95

    def __post_init__(self) -> None:
        check_level(self.level)

    def fit(self, data: MultivariableAssociations) -> Mapping[str, SummaryEstimate]:
        """One estimate per exposure, by name.

        Raises
        ------
        InputError
            Not more variants than exposures, or exposures that the variants cannot tell apart.
        """
        K = data.exposure.shape[1]
        require_variants(data, K + 1, "Multivariable inverse variance weighted")
        fitted = precision_regression(data.exposure, data.outcome, data.outcome_std_error, robust=self.robust)
        errors = fitted.std_errors(self.effects)
        label = "Inverse variance weighted (multivariable" + (", robust)" if self.robust else ")")
        return {name: _answer(self, label, data, fitted, errors, column) for column, name in enumerate(data.exposures)}


@final
@dataclass(frozen=True, kw_only=True)
class MultivariableEgger:
    """Multivariable MR Egger: an intercept for directional pleiotropy, alleles oriented by one exposure.

    Parameters
    ----------
    orientate
        Name or place (0 is the first) of the exposure whose associations are made positive; the answer depends on it.
    effects, level
        As of `MultivariableInverseVarianceWeighted`.
    distribution
        Of b / se: "normal" (MendelianRandomization) or "t".

    Notes
    -----
    Extras besides Q: `intercept`, `intercept_se`, `intercept_pval`.
    """

    orientate: str | int = 0
    effects: Effects = "random"
    distribution: Distribution = "normal"
    level: float = 0.95

    def __post_init__(self) -> None:
        check_level(self.level)

    def fit(self, data: MultivariableAssociations) -> Mapping[str, SummaryEstimate]:
        """One estimate per exposure, by name.

        Raises
        ------
        InputError
            `orientate` is no exposure, or as of `MultivariableInverseVarianceWeighted`.
        """
        K = data.exposure.shape[1]
        require_variants(data, K + 2, "Multivariable MR Egger")
        sign = oriented(data, self.orientate)
        X = np.column_stack([np.ones(data.n_variants), data.exposure * sign[:, None]])
        fitted = precision_regression(X, data.outcome * sign, data.outcome_std_error)
        errors = fitted.std_errors(self.effects)
        intercept, error = float(fitted.coefficients[0]), float(errors[0])
        p, _, _ = two_sided(intercept, error, df=fitted.df, distribution=self.distribution)
        extras = {"intercept": intercept, "intercept_se": error, "intercept_pval": p}
        return {
            name: _answer(self, "MR Egger (multivariable)", data, fitted, errors, column + 1, extras)
            for column, name in enumerate(data.exposures)
        }


def oriented(data: MultivariableAssociations, exposure: str | int) -> FloatArray:
    """Signs (p,) that make the associations with one exposure, by name or place, positive.

    Raises
    ------
    InputError
        There is no such exposure.
    """
    place = data.exposures.index(exposure) if exposure in data.exposures else exposure
    if not isinstance(place, int) or not 0 <= place < len(data.exposures):
        raise InputError(f"orientate must name one of {', '.join(data.exposures)}, but is {exposure!r}.")
    return np.where(data.exposure[:, place] < 0, -1.0, 1.0)


def require_variants(data: MultivariableAssociations, least: int, method: str) -> None:
    """Make sure that there are so many variants.

    Raises
    ------
    InputError
        Fewer.
    """
    if data.n_variants < least:
        raise InputError(
            f"{method} needs {least} variants at least for {len(data.exposures)} exposures, but there are "
            f"{data.n_variants}."
        )


def _answer(
    settings: MultivariableInverseVarianceWeighted | MultivariableEgger,
    method: str,
    data: MultivariableAssociations,
    fitted: PrecisionRegression,
    errors: FloatArray,
    place: int,
    extras: Mapping[str, float] | None = None,
) -> SummaryEstimate:
    b, se = float(fitted.coefficients[place]), float(errors[place])
    p, interval, log10_p = two_sided(b, se, df=fitted.df, distribution=settings.distribution, level=settings.level)
    fit = {
        "Q": fitted.q,
        "Q_df": fitted.df,
        "Q_pval": chi_squared_tail(fitted.q, fitted.df),
        "residual_std_error": fitted.phi,
    }
    return SummaryEstimate(
        method=method,
        nsnp=data.n_variants,
        b=b,
        se=se,
        pval=p,
        log10_pval=log10_p,
        confidence_set=interval,
        extras={**fit, **(extras or {})},
    )
