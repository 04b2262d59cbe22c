"""Regression of outcome associations on exposure associations, weighted by their precision.

Symbols: X (p, k) regressors, y (p,) outcome associations, Omega = diag(sigma_Y) rho diag(sigma_Y) their covariance:

    coefficients = (X' Omega^-1 X)^-1 X' Omega^-1 y,    Q = (y - X coef)' Omega^-1 (y - X coef),    phi^2 = Q / (p - k)

Source: Burgess, Dudbridge & Thompson (2016), Statistics in Medicine 35:1880 (correlated variants).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import linalg, special

from invarmr.arrays import FloatArray
from invarmr.errors import InputError
from invarmr.estimators.summary.mm_regression import mm_regression

__all__ = ["Effects", "PrecisionRegression", "penalised_std_error", "precision_regression", "qualifier"]

Effects = Literal["random", "multiplicative", "fixed"]
"""Standard errors times max(1, phi), times phi, or as they are."""


@dataclass(frozen=True, eq=False)
class PrecisionRegression:
    """Coefficients (k,), their standard errors with phi = 1, Q, its degrees of freedom, and phi."""

    coefficients: FloatArray
    fixed_std_errors: FloatArray
    q: float
    df: int

    @property
    def phi(self) -> float:
        """Residual standard error; 1 without degrees of freedom."""
        return float(np.sqrt(self.q / self.df)) if self.df > 0 else 1.0

    def std_errors(self, effects: Effects) -> FloatArray:
        """Standard errors (k,)."""
        factor = {"fixed": 1.0, "multiplicative": self.phi, "random": max(1.0, self.phi)}[effects]
        return self.fixed_std_errors * factor


def precision_regression(
    X: FloatArray,
    y: FloatArray,
    std_error: FloatArray,
    correlation: FloatArray | None = None,
    *,
    robust: bool = False,
) -> PrecisionRegression:
    """Fit y on X with covariance of the given standard errors and correlation.

    With `robust` by MM-regression, whose scale then stands for phi, as in MendelianRandomization.

    Raises
    ------
    InputError
        X is not of full column rank, or a robust fit of correlated variants, or of too few, was asked for.
    """
    rows, target = X / std_error[:, None], y / std_error
    if robust:
        if correlation is not None:
            raise InputError("robust regression takes variants as independent, but a correlation was given.")
        found, df = mm_regression(rows, target), rows.shape[0] - rows.shape[1]
        return PrecisionRegression(found.coefficients, found.std_errors / found.scale, df * found.scale**2, df)
    if correlation is not None:
        L = linalg.cholesky(correlation, lower=True)
        rows = linalg.solve_triangular(L, rows, lower=True)
        target = linalg.solve_triangular(L, target, lower=True)
    Q, R = np.linalg.qr(rows)
    diagonal = np.abs(np.diag(R))
    if rows.shape[0] < rows.shape[1] or diagonal.min() <= 1e-10 * np.abs(R).max():
        raise InputError(
            f"the associations must tell the {X.shape[1]} coefficients apart, but {X.shape[0]} variants with these "
            "exposure associations do not (equal, or multiples of one another)."
        )
    inverse = linalg.solve_triangular(R, np.eye(R.shape[0]))
    coefficients = inverse @ (Q.T @ target)
    residual = target - rows @ coefficients
    return PrecisionRegression(
        coefficients=coefficients,
        fixed_std_errors=np.sqrt((inverse**2).sum(axis=1)),
        q=float(residual @ residual),
        df=rows.shape[0] - rows.shape[1],
    )


def qualifier(*, penalised: bool, robust: bool) -> str:
    """What a method's label gains: "", " (penalised)", " (robust)" or " (penalised, robust)"."""
    words = [word for word, used in (("penalised", penalised), ("robust", robust)) if used]
    return f" ({', '.join(words)})" if words else ""


PENALTY = 100.0
"""Factor of the p-value of heterogeneity in penalised regression, as MendelianRandomization has it."""


def penalised_std_error(std_error: FloatArray, residual: FloatArray, correlation: FloatArray | None) -> FloatArray:
    """Standard errors inflated so that a variant's weight falls by min(1, 100 x p-value of its residual).

    Raises
    ------
    InputError
        Correlated variants, of which none has a residual of its own.
    """
    if correlation is not None:
        raise InputError("penalised weights take variants as independent, but a correlation was given.")
    p = special.chdtrc(1, (residual / std_error) ** 2)
    return np.asarray(std_error / np.sqrt(np.clip(PENALTY * p, np.finfo(float).tiny, 1.0)))
