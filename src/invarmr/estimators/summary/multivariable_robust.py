"""Multivariable median and multivariable MR-Lasso: direct effects of several exposures where some variants are invalid.

Symbols: gamma (p, K), Gamma (p,) associations, w_j = 1 / sigma_Yj^2:

    median  minimise sum_j w_j |Gamma_j - sum_k b_k gamma_jk|,    standard errors by parametric bootstrap
    lasso   as in `lasso_path`, then inverse-variance weighted over the variants without an intercept

The median is found exactly: a minimum passes through K variants, and moving along the K lines through K - 1 of them
is a weighted median each time. Sources: Grant & Burgess (2021), Statistics in Medicine 40:5813; Wesolowsky (1981),
Communications in Statistics B 10:479.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import numpy as np

from invarmr.arrays import FloatArray
from invarmr.data.harmonised import MultivariableAssociations
from invarmr.errors import InputError
from invarmr.estimators.summary.base import check_draws
from invarmr.estimators.summary.lasso_path import valid_variants
from invarmr.estimators.summary.multivariable import oriented, require_variants
from invarmr.estimators.summary.regression import precision_regression
from invarmr.estimators.summary.result import SummaryEstimate, two_sided
from invarmr.inference.wald import check_level

__all__ = ["MultivariableLasso", "MultivariableMedian", "least_absolute_deviations"]


@final
@dataclass(frozen=True, kw_only=True)
class MultivariableMedian:
    """Multivariable median: the direct effects that make the weighted sum of absolute residuals smallest.

    Assumes that variants with half of the weight are valid.

    Parameters
    ----------
    n_draws
        Of the bootstrap.
    level
        Level of the confidence sets.
    """

    n_draws: int = 1000
    level: float = 0.95

    def __post_init__(self) -> None:
        check_level(self.level)
        check_draws(self.n_draws)

    def fit(self, data: MultivariableAssociations, *, seed: int = 1) -> Mapping[str, SummaryEstimate]:
        """One estimate per exposure, by name.

        Raises
        ------
        InputError
            Not more variants than exposures, or exposures that the variants cannot tell apart.
        """
        p, K = data.exposure.shape
        require_variants(data, K + 1, "Multivariable median")
        weight = data.outcome_std_error**-2.0
        b = least_absolute_deviations(data.exposure, data.outcome, weight)
        rng = np.random.default_rng(seed)
        draws = np.empty((self.n_draws, K))
        for row in range(self.n_draws):
            x = data.exposure + data.exposure_std_error * rng.standard_normal((p, K))
            y = data.outcome + data.outcome_std_error * rng.standard_normal(p)
            draws[row] = least_absolute_deviations(x, y, weight, b)
        errors = draws.std(axis=0, ddof=1)
        return _answers("Median (multivariable)", data, b, errors, self.level)


@final
@dataclass(frozen=True, kw_only=True)
class MultivariableLasso:
    """Multivariable MR-Lasso (post-lasso).

    Parameters
    ----------
    penalty
        lambda; None: chosen from the data.
    orientate
        Name or place (0 is the first) of the exposure whose associations are made positive; the intercepts depend on
        it, the choice of variants and the estimates do not.
    level
        Level of the confidence sets.

    Notes
    -----
    Extras: `penalty`, `n_valid`; `outliers` names the variants set aside.
    """

    penalty: float | None = None
    orientate: str | int = 0
    level: float = 0.95

    def __post_init__(self) -> None:
        check_level(self.level)

    def fit(self, data: MultivariableAssociations) -> Mapping[str, SummaryEstimate]:
        """One estimate per exposure, by name.

        Raises
        ------
        InputError
            Fewer than two variants more than exposures, or exposures that the variants cannot tell apart.
        """
        K = data.exposure.shape[1]
        require_variants(data, K + 2, "Multivariable MR-Lasso")
        sign = oriented(data, self.orientate)
        exposure, outcome = data.exposure * sign[:, None], data.outcome * sign
        precision = 1.0 / data.outcome_std_error
        valid, penalty, _ = valid_variants(exposure * precision[:, None], outcome * precision, precision, self.penalty)
        fitted = precision_regression(exposure[valid], outcome[valid], data.outcome_std_error[valid])
        extras = {"penalty": penalty, "n_valid": float(valid.sum())}
        outliers = tuple(name for name, good in zip(data.variants, valid, strict=True) if not good)
        errors = fitted.std_errors("random")
        return _answers("MR-Lasso (multivariable)", data, fitted.coefficients, errors, self.level, extras, outliers)


def _answers(
    method: str,
    data: MultivariableAssociations,
    b: FloatArray,
    errors: FloatArray,
    level: float,
    extras: Mapping[str, float] | None = None,
    outliers: tuple[str, ...] = (),
) -> dict[str, SummaryEstimate]:
    answers = {}
    for name, value, error in zip(data.exposures, b.tolist(), errors.tolist(), strict=True):
        p, interval, log10_p = two_sided(value, error, level=level)
        answers[name] = SummaryEstimate(
            method=method,
            nsnp=data.n_variants,
            b=value,
            se=error,
            pval=p,
            log10_pval=log10_p,
            confidence_set=interval,
            extras=extras or {},
            outliers=outliers,
        )
    return answers


def least_absolute_deviations(
    X: FloatArray, y: FloatArray, weight: FloatArray, start: FloatArray | None = None
) -> FloatArray:
    """The coefficients (K,) that minimise sum_j w_j |y_j - x_j b|.

    Raises
    ------
    InputError
        X is not of full column rank.

    Examples
    --------
    >>> least_absolute_deviations(np.ones((3, 1)), np.array([1.0, 2.0, 9.0]), np.ones(3)).tolist()
    [2.0]
    """
    p, K = X.shape
    if np.linalg.matrix_rank(X) < K:
        raise InputError(f"the associations must tell the {K} exposures apart, but they are multiples of one another.")
    b = np.linalg.lstsq(X, y, rcond=None)[0] if start is None else start
    basis = _basis(X, np.abs(y - X @ b) * weight)
    b = np.linalg.solve(X[basis], y[basis])
    total = float(weight @ np.abs(y - X @ b))
    for _ in range(50 * p):
        directions = np.linalg.inv(X[basis])
        residual = y - X @ b
        for k in range(K):
            slope = X @ directions[:, k]
            moved = np.abs(slope) > 1e-12 * np.abs(slope).max()
            step, row = _weighted_median(residual, slope, weight, moved)
            candidate = b + step * directions[:, k]
            value = float(weight @ np.abs(y - X @ candidate))
            if value < total - 1e-13 * total:
                basis, b, total = np.r_[basis[:k], row, basis[k + 1 :]], candidate, value
                break
        else:
            return np.asarray(b)
    return np.asarray(b)


def _weighted_median(
    residual: FloatArray, slope: FloatArray, weight: FloatArray, moved: FloatArray
) -> tuple[float, int]:
    """The step t that minimises sum w |residual - t slope|, and the row that it passes through."""
    rows = np.flatnonzero(moved)
    steps = residual[rows] / slope[rows]
    order = np.argsort(steps)
    mass = np.cumsum((weight[rows] * np.abs(slope[rows]))[order])
    place = order[int(np.searchsorted(mass, mass[-1] / 2.0))]
    return float(steps[place]), int(rows[place])


def _basis(X: FloatArray, size: FloatArray) -> np.ndarray[tuple[int, ...], np.dtype[np.intp]]:
    """K rows of full rank, those of smallest residual first."""
    chosen: list[int] = []
    for row in np.argsort(size):
        if np.linalg.matrix_rank(X[[*chosen, int(row)]]) > len(chosen):
            chosen.append(int(row))
        if len(chosen) == X.shape[1]:
            break
    return np.array(chosen)
