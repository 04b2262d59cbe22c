"""Multivariable IVW and MR Egger: the direct effects of several exposures, and how strongly variants tell them apart.

Symbols: gamma (p, K) associations with K exposures, Gamma (p,) with the outcome, w_j = 1 / sigma_Yj^2, phi residual
standard error:

    Gamma_j = (intercept +) sum_k b_k gamma_jk + error_j,    weights w_j,    se times max(1, phi)

Conditional F of exposure k: delta from gamma_k on the other exposures, then F_k = Q_k / (p - K + 1),
Q_k = sum_j (gamma_jk - delta' gamma_j,-k)^2 / v_jk with v_jk the variance of that difference.
MendelianRandomization prints another conditional F (a two-step GMM statistic that needs sample sizes), near this one
but not equal.

Sources: Burgess & Thompson (2015), Am J Epidemiol 181:251; Rees, Wood & Burgess (2017), Statistics in Medicine 36:4705;
Sanderson, Spiller & Bowden (2021), Statistics in Medicine 40:5434.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import ArrayLike

from invarmr.arrays import FloatArray, finite_matrix
from invarmr.data.harmonised import MultivariableAssociations
from invarmr.errors import InputError
from invarmr.estimators.summary.regression import Effects, PrecisionRegression, precision_regression
from invarmr.estimators.summary.result import Distribution, SummaryEstimate, chi_squared_tail, two_sided
from invarmr.inference.wald import check_level

__all__ = ["MultivariableEgger", "MultivariableInverseVarianceWeighted", "conditional_f"]


@final
@dataclass(frozen=True, kw_only=True)
class MultivariableInverseVarianceWeighted:
    """Multivariable inverse-variance weighted estimate of each exposure's direct effect.

    Parameters
    ----------
    effects
        "random": standard errors times max(1, phi) (MendelianRandomization); "multiplicative": times phi
        (`mv_multiple` of TwoSampleMR); "fixed": as they are.
    distribution
        Of b / se: "normal" (both packages' default) or "t".
    level
        Level of the confidence sets.
    """

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
            Not more variants than exposures, or exposures that the variants cannot tell apart.
        """
        K = data.exposure.shape[1]
        _require(data, K + 1, "Multivariable inverse variance weighted")
        fitted = precision_regression(data.exposure, data.outcome, data.outcome_std_error)
        errors = fitted.std_errors(self.effects)
        return {
            name: _answer(self, "Inverse variance weighted (multivariable)", data, fitted, errors, column)
            for column, name in enumerate(data.exposures)
        }


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
        _require(data, K + 2, "Multivariable MR Egger")
        chosen = data.exposures.index(self.orientate) if self.orientate in data.exposures else self.orientate
        if not isinstance(chosen, int) or not 0 <= chosen < K:
            raise InputError(f"orientate must name one of {', '.join(data.exposures)}, but is {self.orientate!r}.")
        sign = np.where(data.exposure[:, chosen] < 0, -1.0, 1.0)
        X = np.column_stack([np.ones(data.n_variants), data.exposure * sign[:, None]])
        fitted = precision_regression(X, data.outcome * sign, data.outcome_std_error)
        errors = fitted.std_errors(self.effects)
        intercept, error = float(fitted.coefficients[0]), float(errors[0])
        p, _ = two_sided(intercept, error, df=fitted.df, distribution=self.distribution)
        extras = {"intercept": intercept, "intercept_se": error, "intercept_pval": p}
        return {
            name: _answer(self, "MR Egger (multivariable)", data, fitted, errors, column + 1, extras)
            for column, name in enumerate(data.exposures)
        }


def _require(data: MultivariableAssociations, least: int, method: str) -> None:
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
    p, interval = two_sided(b, se, df=fitted.df, distribution=settings.distribution, level=settings.level)
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
        confidence_set=interval,
        extras={**fit, **(extras or {})},
    )


def conditional_f(data: MultivariableAssociations, *, correlation: ArrayLike | None = None) -> dict[str, float]:
    """Conditional F of each exposure: how strongly the variants move it given the others; weak below 10.

    Parameters
    ----------
    data
        At least as many variants as exposures.
    correlation
        (K, K) phenotypic correlation of the exposures, where their associations come from the same people; None: from
        different people.

    Returns
    -------
    dict
        F by exposure.

    Raises
    ------
    InputError
        Fewer variants than exposures, or a correlation that is not (K, K).
    """
    p, K = data.exposure.shape
    _require(data, K, "Conditional F")
    rho = np.eye(K) if correlation is None else finite_matrix(correlation, "correlation", K)
    if rho.shape != (K, K):
        raise InputError(f"correlation must be of shape ({K}, {K}), but is {rho.shape}.")
    found = {}
    for k, name in enumerate(data.exposures):
        others = [column for column in range(K) if column != k]
        contrast = np.zeros(K)
        contrast[k] = 1.0
        if others:
            fitted = precision_regression(data.exposure[:, others], data.exposure[:, k], data.exposure_std_error[:, k])
            contrast[others] = -fitted.coefficients
        scaled = data.exposure_std_error * contrast
        variance = np.einsum("jk,kl,jl->j", scaled, rho, scaled)
        found[name] = float(((data.exposure @ contrast) ** 2 / variance).sum() / (p - K + 1))
    return found
