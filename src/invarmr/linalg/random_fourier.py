"""Flexible least squares: ridge regression on random Fourier features, with the penalty from the data.

Symbols: X (n, m) standardised; omega_k ~ N(0, I / s_k^2), b_k ~ U(0, 2 pi); features x, x^2 and
sqrt2 cos(omega_k'x + b_k); F (n, D) centred features, F'F = U diag(l) U'; B = U (l + lambda)^-1 U'F'Y.

Half of the frequencies have the scale s of the median distance of two rows, the others a third of it. lambda minimises
the generalised cross-validation score n RSS / (n - edf)^2 over a grid, for each column of Y. O(n D^2), never n x n.
Sources: Rahimi & Recht (2007), NIPS 20; Golub, Heath & Wahba (1979), Technometrics 21:215.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self, final

import numpy as np

from invarmr.arrays import FloatArray

__all__ = ["FourierRidge"]

_PENALTIES = np.geomspace(1e-6, 1e2, 17)  # per row, in units of a feature's mean square
_PAIRS = 2_000
_BLOCK = 16_384


@final
@dataclass(frozen=True, eq=False)
class FourierRidge:
    """A fitted regression of Y (n, k) on X (n, m); `predict` gives E[Y | X].

    Parameters
    ----------
    center, scale
        (m,) by which X is standardised.
    frequencies, phases
        (m, D), (D,) of the random features.
    feature_mean
        Means of all features.
    coefficients
        (features, k).
    intercept
        (k,) mean of Y.
    """

    center: FloatArray
    scale: FloatArray
    frequencies: FloatArray
    phases: FloatArray
    feature_mean: FloatArray
    coefficients: FloatArray
    intercept: FloatArray

    @classmethod
    def fit(cls, X: FloatArray, Y: FloatArray, *, rng: np.random.Generator, n_features: int = 200) -> Self:
        """Fit Y (n, k) on X (n, m); constant columns of X are without effect.

        Examples
        --------
        >>> rng = np.random.default_rng(0)
        >>> X = rng.normal(size=(2000, 1))
        >>> model = FourierRidge.fit(X, np.sin(3 * X), rng=rng)
        >>> float(np.abs(model.predict(X) - np.sin(3 * X)).mean()) < 0.01
        True
        """
        center, scale = X.mean(axis=0), X.std(axis=0)
        scale = np.where(scale > 0, scale, 1.0)
        omega, b = _draw_frequencies((X - center) / scale, n_features, rng)
        empty = cls(center, scale, omega, b, np.zeros(0), np.zeros((0, 0)), Y.mean(axis=0))
        return cls(center, scale, omega, b, *_solve(empty, X, Y), Y.mean(axis=0))

    def predict(self, X: FloatArray) -> FloatArray:
        """E[Y | X], (n, k)."""
        return np.vstack(
            [
                self.intercept + (self.features(X[start : start + _BLOCK]) - self.feature_mean) @ self.coefficients
                for start in range(0, len(X), _BLOCK)
            ]
        )

    def features(self, X: FloatArray) -> FloatArray:
        """Features (n, 2 m + D) of X (n, m)."""
        standard = (X - self.center) / self.scale
        waves = np.sqrt(2.0) * np.cos(standard @ self.frequencies + self.phases)
        return np.hstack([standard, standard**2, waves])


def _draw_frequencies(X: FloatArray, n_features: int, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    rows = rng.integers(len(X), size=(2, _PAIRS))
    distance = np.median(np.linalg.norm(X[rows[0]] - X[rows[1]], axis=1))
    width = distance if distance > 0 else 1.0
    scales = np.where(np.arange(n_features) % 2 == 0, width, width / 3)
    return rng.standard_normal((X.shape[1], n_features)) / scales, rng.uniform(0, 2 * np.pi, n_features)


def _solve(model: FourierRidge, X: FloatArray, Y: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Means of the features, and coefficients at the penalty that generalised cross-validation chooses."""
    n, target = len(X), Y - model.intercept
    gram: FloatArray | float = 0.0
    cross: FloatArray | float = 0.0
    total: FloatArray | float = 0.0
    for start in range(0, n, _BLOCK):
        F = model.features(X[start : start + _BLOCK])
        total, gram, cross = total + F.sum(axis=0), gram + F.T @ F, cross + F.T @ target[start : start + _BLOCK]
    mean = np.asarray(total) / n
    values, vectors = np.linalg.eigh(np.asarray(gram) - n * np.outer(mean, mean))
    values = np.clip(values, 0.0, None)
    rotated = vectors.T @ np.asarray(cross)
    penalties = _PENALTIES * n
    shrink = 1.0 / (values[:, None] + penalties)  # (D, grid)
    explained = np.einsum("dk,dl->lk", rotated**2, 2 * shrink - values[:, None] * shrink**2)
    free = n - 1.0 - (values[:, None] * shrink).sum(axis=0)
    score = ((target**2).sum(axis=0) - explained) / np.maximum(free, 1.0)[:, None] ** 2
    chosen = shrink[:, score.argmin(axis=0)]
    return mean, vectors @ (chosen * rotated)
