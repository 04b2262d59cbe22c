"""The generalised covariance measure: a test of conditional independence by flexible regressions.

Symbols: X (n, k), Y (n, l) tested for independence given Z (n, m); e_X, e_Y residuals of their regressions on Z;
R_ij = e_Xi e_Yj (n,), T_ij = sqrt(n) mean(R_ij) / sd(R_ij), S = max_ij |T_ij|. Under the null T is jointly normal with
the correlation of the R_ij, so p = P(max |N(0, corr)| >= S), by simulation (exact for one pair).

Valid when the product of the two regressions' mean squared errors is o(1/n). It has power against E[cov(X, Y | Z)] != 0
only: a dependence in which the conditional covariance vanishes on average is not seen.
Source: Shah & Peters (2020), Annals of Statistics 48:1514.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from invarmr.arrays import FloatArray, finite_matrix
from invarmr.errors import InputError
from invarmr.linalg.random_fourier import FourierRidge

__all__ = ["ConditionalIndependence", "conditional_independence"]

_BLOCK = 4_096


@dataclass(frozen=True, eq=False)
class ConditionalIndependence:
    """Answer of the test.

    Parameters
    ----------
    statistic
        S, the largest |T|.
    p_value
        Of independence of all pairs given Z.
    pairs
        T (k, l).
    n_samples
        n.
    """

    statistic: float
    p_value: float
    pairs: FloatArray
    n_samples: int


def conditional_independence(
    x: ArrayLike, y: ArrayLike, given: ArrayLike, *, seed: int = 1, n_features: int = 200, n_draws: int = 20_000
) -> ConditionalIndependence:
    """Test whether x and y are independent given `given`, with regressions on random Fourier features.

    Parameters
    ----------
    x, y, given
        (n, k), (n, l), (n, m).
    seed
        Of the features and of the draws.
    n_features
        Random features of each regression.
    n_draws
        Draws of the maximum; the p-value is at least 1 / (n_draws + 1) where there are several pairs.

    Raises
    ------
    InputError
        Unequal lengths, no column, or fewer than 50 rows.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> z = rng.normal(size=(4000, 1))
    >>> x, y = np.sin(2 * z) + rng.normal(size=z.shape), z**2 + rng.normal(size=z.shape)
    >>> conditional_independence(x, y, z).p_value > 0.05
    True
    >>> conditional_independence(x, y + 0.1 * x, z).p_value < 0.001
    True
    """
    X = finite_matrix(x, "x")
    Y, Z = finite_matrix(y, "y", len(X)), finite_matrix(given, "given", len(X))
    if len(X) < 50 or min(X.shape[1], Y.shape[1], Z.shape[1]) == 0:
        raise InputError(
            "At least 50 rows and one column each of x, y and given are required, but their shapes are "
            f"{X.shape}, {Y.shape} and {Z.shape}."
        )
    rng = np.random.default_rng(seed)
    both = np.hstack([X, Y])
    residual = both - FourierRidge.fit(Z, both, rng=rng, n_features=n_features).predict(Z)
    products = (residual[:, : X.shape[1], None] * residual[:, None, X.shape[1] :]).reshape(len(X), -1)
    spread = products.std(axis=0)
    safe = np.where(spread > 0, spread, 1.0)
    T = np.sqrt(len(X)) * products.mean(axis=0) / safe
    largest = float(np.abs(T).max())
    correlation = np.cov((products / safe).T).reshape(len(T), len(T))
    p = _tail(largest, correlation, n_draws=n_draws, rng=rng)
    return ConditionalIndependence(largest, p, T.reshape(X.shape[1], Y.shape[1]), len(X))


def _tail(statistic: float, correlation: FloatArray, *, n_draws: int, rng: np.random.Generator) -> float:
    """P(max |N(0, correlation)| >= statistic)."""
    size = len(correlation)
    if size == 1:
        return float(2.0 * special.ndtr(-statistic))
    values, vectors = np.linalg.eigh(correlation)
    root = vectors * np.sqrt(np.clip(values, 0.0, None))
    beyond = 0
    for start in range(0, n_draws, _BLOCK):
        draws = rng.standard_normal((min(_BLOCK, n_draws - start), size)) @ root.T
        beyond += int(np.count_nonzero(np.abs(draws).max(axis=1) >= statistic))
    return (1 + beyond) / (1 + n_draws)
