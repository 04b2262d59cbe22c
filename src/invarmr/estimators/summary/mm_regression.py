"""MM-regression: robust regression that half of the rows cannot break, and 95 % as efficient as least squares.

Symbols: X (p, k) regressors and y (p,), already divided by standard errors; rho_c Tukey's biweight with tuning c,
scaled to a maximum of 1; r residuals.

    S:  the coefficients whose M-scale s is smallest, s the root of sum rho_1.548(r / s) / (p - k) = 1 / 2
    M:  sum psi_4.685(r / s) x = 0 from there, s kept;   covariance of Croux, Dhaene & Hoorelbeke

The S-estimate starts from every subset of k rows (or 2,000 of them, always the same ones), is improved by reweighting,
and the best ten are iterated to the end: no chance enters the answer. Defaults and covariance are those of R's
`robustbase::lmrob`, whose own search draws 500 subsets. Sources: Yohai (1987), Annals of Statistics 15:642; Croux,
Dhaene &
Hoorelbeke (2003), Discussion Paper 03.16, K.U. Leuven; Koller & Stahel (2011), Computational Statistics & Data Analysis
55:2504.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np

from invarmr.arrays import FloatArray, IntArray
from invarmr.errors import InputError

__all__ = ["MMRegression", "mm_regression"]

_SCALE_TUNING = 1.547645
_TUNING = 4.685061
_SUBSETS = 2_000
_FULLY = 10


@dataclass(frozen=True, eq=False)
class MMRegression:
    """Coefficients (k,), their standard errors, the scale of the residuals, and the rows' weights psi(t) / t (p,)."""

    coefficients: FloatArray
    std_errors: FloatArray
    scale: float
    weights: FloatArray


def mm_regression(X: FloatArray, y: FloatArray) -> MMRegression:
    """Fit y on X robustly.

    Raises
    ------
    InputError
        No more rows than twice the coefficients, or more than half of the rows lie on one plane exactly.
    """
    p, k = X.shape
    if p <= 2 * k:
        raise InputError(f"robust regression needs more than {2 * k} variants for {k} coefficients, but there are {p}.")
    first, scale = _s_estimate(X, y)
    if scale <= 1e-12 * float(np.abs(y).max()):
        raise InputError("robust regression needs residuals, but more than half of the variants fit exactly.")
    coefficients = first
    for _ in range(500):
        weight = _weight((y - X @ coefficients) / scale, _TUNING)
        change = _solve(X, y, weight) - coefficients
        coefficients = coefficients + change
        if np.abs(change).max() <= 1e-13 * max(np.abs(coefficients).max(), scale / np.abs(X).max()):
            break
    residual = (y - X @ coefficients) / scale
    covariance = _covariance(X, residual, (y - X @ first) / scale, scale)
    return MMRegression(coefficients, np.sqrt(np.diag(covariance)), scale, _weight(residual, _TUNING))


def _rho(t: FloatArray, tuning: float) -> FloatArray:
    inside = np.minimum((t / tuning) ** 2, 1.0)
    return np.asarray(1.0 - (1.0 - inside) ** 3)


def _weight(t: FloatArray, tuning: float) -> FloatArray:
    """psi(t) / t, psi(t) = t {1 - (t / c)^2}^2 inside the tuning constant."""
    return np.asarray((1.0 - np.minimum((t / tuning) ** 2, 1.0)) ** 2)


def _psi_slope(t: FloatArray, tuning: float) -> FloatArray:
    u = np.minimum((t / tuning) ** 2, 1.0)
    return np.asarray((1.0 - u) * (1.0 - 5.0 * u))


def _solve(X: FloatArray, y: FloatArray, weight: FloatArray) -> FloatArray:
    root = np.sqrt(weight)
    return np.asarray(np.linalg.lstsq(X * root[:, None], y * root, rcond=None)[0])


def _scale(residual: FloatArray, k: int, steps: int, start: FloatArray | None = None) -> FloatArray:
    """M-scales (s,) of the rows of residuals (s, p) of k coefficients: iterated from the median or `start`."""
    free = residual.shape[1] - k
    s = np.median(np.abs(residual), axis=1) / 0.6745 if start is None else start
    for _ in range(steps):
        safe = np.where(s > 0, s, 1.0)
        new = safe * np.sqrt(2.0 * _rho(residual / safe[:, None], _SCALE_TUNING).sum(axis=1) / free) * (s > 0)
        settled = np.abs(new - s) <= 1e-14 * s
        s = new
        if settled.all():
            break
    return np.asarray(s)


def _subsets(p: int, k: int) -> IntArray:
    if comb(p, k) <= _SUBSETS:
        return np.array(list(combinations(range(p), k)))
    rng = np.random.default_rng(0)
    return np.array([rng.choice(p, k, replace=False) for _ in range(_SUBSETS)])


def _s_estimate(X: FloatArray, y: FloatArray) -> tuple[FloatArray, float]:
    subsets = _subsets(*X.shape)
    spread = np.abs(np.linalg.det(X[subsets]))
    usable = subsets[spread > 1e-10 * spread.max()]
    starts = np.linalg.solve(X[usable], y[usable][..., None])[..., 0]
    rough = _scale(y - starts @ X.T, X.shape[1], 5)
    order = np.argsort(rough)[: 5 * _FULLY]
    improved = [_reweighted(X, y, start, float(s), 2) for start, s in zip(starts[order], rough[order], strict=True)]
    best = sorted(improved, key=lambda found: found[1])[:_FULLY]
    finished = [_reweighted(X, y, start, s, 500) for start, s in best]
    coefficients, scale = min(finished, key=lambda found: found[1])
    return coefficients, scale


def _reweighted(X: FloatArray, y: FloatArray, start: FloatArray, scale: float, steps: int) -> tuple[FloatArray, float]:
    """Coefficients after so many steps of reweighting, each with a step of the scale; and their scale."""
    k, coefficients, s = X.shape[1], start, np.array([scale])
    for _ in range(steps):
        if s[0] <= 0:
            break
        s = _scale((y - X @ coefficients)[None, :], k, 1, s)
        weight = _weight((y - X @ coefficients) / s[0], _SCALE_TUNING)
        new = _solve(X, y, weight)
        settled = np.abs(new - coefficients).max() <= 1e-13 * np.abs(new).max()
        coefficients = new
        if settled:
            break
    return coefficients, float(_scale((y - X @ coefficients)[None, :], k, 1000, s)[0])


def _covariance(X: FloatArray, r: FloatArray, r0: FloatArray, scale: float) -> FloatArray:
    """That of the MM-estimate with its initial S-estimate: r and r0 the residuals of both, over the scale."""
    p = len(r)
    slope = _psi_slope(r, _TUNING)
    chi0 = _rho(r0, _SCALE_TUNING)
    chi_slope = 6.0 / _SCALE_TUNING**2 * r0 * _weight(r0, _SCALE_TUNING)
    A = np.linalg.inv(X.T @ (X * slope[:, None])) * (p * scale)
    a = A @ (X.T @ (slope * r)) / (p * float((chi_slope * r0).mean()))
    psi = r * _weight(r, _TUNING)
    mixed = A @ (X.T @ (psi * chi0)) / p
    u1 = A @ (X.T @ (X * psi[:, None] ** 2)) @ A / p
    u2 = np.outer(a, mixed)
    return np.asarray((u1 - u2 - u2.T + float((chi0**2 - 0.25).mean()) * np.outer(a, a)) / p)
