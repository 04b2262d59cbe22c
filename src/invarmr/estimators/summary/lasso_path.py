"""The lasso on each variant's own intercept: which variants a common effect does not explain.

Symbols: p variants, K exposures; X (p, K) and y (p,) associations over the outcome's standard errors; P projection on
X; a_j intercepts, V the columns of (I - P) diag(1 / sigma_Y):

    minimise  || (I - P) y - V a ||^2 / (2 p) + lambda sum_j s_j |a_j|,    s_j the standard deviation of column j

along 100 values of lambda, from the smallest with a = 0 down to 1e-4 of it, as R's glmnet chooses them, which stops
when
the fit hardly improves. Then lambda: as it grows, variants enter the fit without an intercept; it grows until a step
raises their residual standard error above 1 by more than the 95 % point of chi-squared_1 over their number.
Sources: Rees, Wood, Dudbridge & Burgess (2019), PLoS One 14:e0222362; Grant & Burgess (2021), Statistics in Medicine
40:5813; Friedman, Hastie & Tibshirani (2010), Journal of Statistical Software 33:1.
"""

from __future__ import annotations

import numpy as np
from scipy import special

from invarmr.arrays import BoolArray, FloatArray
from invarmr.errors import InputError

__all__ = ["valid_variants"]

_STEPS = 100
_SMALLEST = 1e-4
_SWEEPS = 10_000


def valid_variants(
    X: FloatArray, y: FloatArray, scale: FloatArray, penalty: float | None
) -> tuple[BoolArray, float, FloatArray]:
    """Variants without an intercept (p,), the lambda they were found at, and the intercepts (p,).

    Parameters
    ----------
    X, y
        Associations over the outcome's standard errors.
    scale
        1 / sigma_Y (p,).
    penalty
        lambda; None: by the heterogeneity of the variants without an intercept.

    Raises
    ------
    InputError
        `penalty` not positive, or so small that no more variants than exposures are left.
    """
    p, K = X.shape
    Q, _ = np.linalg.qr(X)
    V = np.diag(scale) - Q @ (Q.T * scale)
    target = y - Q @ (Q.T @ y)
    spread = V.std(axis=0)
    V = V / spread
    gram, cross = V.T @ V / p, V.T @ target / p
    if penalty is not None:
        if not penalty > 0:
            raise InputError(f"penalty must be positive, but is {penalty}.")
        a = _descend(gram, cross, np.zeros(p), penalty)
        if (a == 0).sum() <= K:
            raise InputError(f"penalty {penalty:g} leaves {int((a == 0).sum())} variants for {K} exposures: raise it.")
        return a == 0, penalty, a / spread
    lambdas, path = _path(gram, cross, float(target @ target) / p)
    chosen = _choose(X, y, path == 0)
    return path[chosen] == 0, float(lambdas[chosen]), path[chosen] / spread


def _path(gram: FloatArray, cross: FloatArray, null: float) -> tuple[FloatArray, FloatArray]:
    """Lambdas in increasing order and their coefficients (lambdas, p)."""
    lambdas = np.abs(cross).max() * _SMALLEST ** np.linspace(0.0, 1.0, _STEPS)
    a: FloatArray = np.zeros(cross.size)
    explained, path = 0.0, []
    for step, penalty in enumerate(lambdas):
        a = _descend(gram, cross, a, float(penalty))
        path.append(a)
        before, explained = explained, float(2.0 * cross @ a - a @ gram @ a) / null
        if step >= 5 and (explained - before < 1e-5 * explained or explained > 0.999):
            break
    return lambdas[: len(path)][::-1], np.array(path)[::-1]


def _descend(gram: FloatArray, cross: FloatArray, start: FloatArray, penalty: float) -> FloatArray:
    """Coordinate descent from `start` to the minimum, until no coefficient moves."""
    a = start.copy()
    slope = cross - gram @ a
    diagonal = np.diag(gram)
    for _ in range(_SWEEPS):
        largest = 0.0
        for j in range(a.size):
            old = a[j]
            free = slope[j] + diagonal[j] * old
            new = np.sign(free) * max(abs(free) - penalty, 0.0) / diagonal[j]
            if new != old:
                slope -= gram[:, j] * (new - old)
                a[j] = new
                largest = max(largest, abs(new - old) * np.sqrt(diagonal[j]))
        if largest <= 1e-9 * (np.abs(a).max() + 1e-300):
            break
    return a


def _choose(X: FloatArray, y: FloatArray, valid: BoolArray) -> int:
    """Place of the chosen lambda along the path."""
    K = X.shape[1]
    counts = valid.sum(axis=1)
    error = np.array([_residual_std_error(X[rows], y[rows]) for rows in valid])
    with np.errstate(invalid="ignore"):
        jump = (error[1:] > 1.0) & (np.diff(error) > special.chdtri(1, 0.05) / counts[1:])
    found = np.flatnonzero(jump)
    chosen = int(found[0]) if found.size else len(counts) - 1
    return max(chosen, int(np.flatnonzero(counts > K)[0]))


def _residual_std_error(X: FloatArray, y: FloatArray) -> float:
    free = len(y) - X.shape[1]
    if free <= 0:
        return np.nan
    residual = y - X @ np.linalg.lstsq(X, y, rcond=None)[0]
    return float(np.sqrt(residual @ residual / free))
