"""Moments of all people split at random into moments of disjoint folds, without the people.

Symbols: n people, m columns, mean and cross-product M about it; folds k of n_k people.

Where people are draws of one normal law, mean and M are sufficient for it: given them, the law of the folds' moments
depends on nothing unknown, and can be drawn. Folds of a standard normal sample are drawn (means, and Wishart
cross-products by Bartlett's decomposition), and mapped linearly to have exactly the mean and M that were given. The
folds are then distributed as those of a random split of the people, and independent of each other. For allele copies
this holds for means, and to the order n^-1/2 for cross-products, whose noise depends on fourth moments.
Sources: Neufeld et al. (2024), Journal of Machine Learning Research 25(57), for thinning; Olkin & Rubin (1964), Annals
of Mathematical Statistics 35:261, for the law of Wishart matrices given their sum.
"""

from __future__ import annotations

import numpy as np
from scipy import linalg

from invarmr.arrays import FloatArray, IntArray
from invarmr.data.moments import EnvironmentMoments
from invarmr.errors import InputError
from invarmr.linalg.symmetric import range_whitener

__all__ = ["split_moments"]


def split_moments(moments: EnvironmentMoments, *, n_folds: int = 10, seed: int = 1) -> tuple[EnvironmentMoments, ...]:
    """Split moments into those of `n_folds` random folds, which add up to them exactly.

    Parameters
    ----------
    moments
        Of all people.
    n_folds
        Folds, as even as possible within each environment.
    seed
        Of the draw.

    Raises
    ------
    InputError
        Fewer than two folds, or an environment with fewer than two people per fold, or with no more than columns.

    References
    ----------
    Neufeld, Dharamshi, Gao & Witten (2024). Data thinning for convolution-closed distributions. JMLR 25(57).

    Examples
    --------
    >>> import numpy as np
    >>> rows, site = np.random.default_rng(0).normal(size=(200, 2)), np.arange(200) % 2
    >>> whole = EnvironmentMoments.from_arrays(rows, site, columns=("instrument:a", "exposure"), environments="01")
    >>> folds = split_moments(whole, n_folds=4, seed=1)
    >>> [fold.n_total for fold in folds]
    [50, 50, 50, 50]
    """
    if n_folds < 2:
        raise InputError(f"n_folds must be two or more, but is {n_folds}.")
    m = len(moments.columns)
    needed = max(2 * n_folds, m + 1)
    small = [name for name, n in zip(moments.environments, moments.n_samples, strict=True) if n < needed]
    if small:
        raise InputError(
            f"To split {m} columns into {n_folds} folds every environment needs {needed} people or more, but "
            f"{', '.join(small[:5])} have fewer."
        )
    rng = np.random.default_rng(seed)
    sizes = np.stack([np.arange(n_folds) < n % n_folds for n in moments.n_samples]) + (
        moments.n_samples[:, None] // n_folds
    )
    parts = [_split(moments.mean[e], moments.crossproduct[e], sizes[e], rng) for e in range(len(moments.environments))]
    return tuple(
        EnvironmentMoments(
            moments.columns,
            moments.environments,
            sizes[:, k],
            np.stack([means[k] for means, _ in parts]),
            np.stack([crosses[k] for _, crosses in parts]),
        )
        for k in range(n_folds)
    )


def _split(mean: FloatArray, M: FloatArray, sizes: IntArray, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Means (K, m) and cross-products (K, m, m) of the folds of one environment."""
    R = range_whitener(M)
    r = R.shape[1]
    L = M @ R  # M = L L', since R'MR = I
    means = rng.normal(size=(len(sizes), r)) / np.sqrt(sizes)[:, None]
    means -= sizes @ means / sizes.sum()
    crosses = np.stack([_wishart(r, int(n) - 1, rng) for n in sizes])
    drawn = crosses.sum(axis=0) + (means.T * sizes) @ means
    to_given = L @ linalg.solve_triangular(linalg.cholesky(drawn, lower=True), np.eye(r), lower=True)
    return mean + means @ to_given.T, to_given @ crosses @ to_given.T


def _wishart(r: int, df: int, rng: np.random.Generator) -> FloatArray:
    """Draw a cross-product of `df` standard normal rows of r columns."""
    if df < r:
        rows = rng.normal(size=(df, r))
        return np.asarray(rows.T @ rows)
    A = np.tril(rng.normal(size=(r, r)), -1)
    A[np.diag_indices(r)] = np.sqrt(rng.chisquare(df - np.arange(r)))
    return np.asarray(A @ A.T)
