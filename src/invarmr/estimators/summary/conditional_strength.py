"""Conditional F: how strongly the variants move each exposure given the others.

Symbols: gamma (p, K) associations, delta (K - 1,) coefficients of exposure k on the others, c = (1, -delta):

    F_k = Q_k / (p - K + 1),    Q_k = sum_j (c'gamma_j)^2 / v_j,    v_j the variance of c'gamma_j

Without sample sizes delta is the weighted regression of gamma_k on the others, and v_j = c' diag(sigma_j) rho
diag(sigma_j) c
with rho the exposures' correlation (Sanderson, Spiller & Bowden). With sample sizes delta is that of the unweighted
regression, and the covariance of the associations of exposures k and l is that of least squares on all variants at
once: with a_jk = 1 / (n_k sigma_jk^2 + gamma_jk^2),

    (rho_kl - sum_j (a_jk a_jl)^1/2 gamma_jk gamma_jl) / {(a_jk a_jl)^1/2 (n_k - p + 1)^1/2 (n_l - p + 1)^1/2}

That is where MendelianRandomization starts; it then searches for a smaller Q_k by a gradient that leaves out the
dependence of v_j on delta, and so stops at once for some exposures and elsewhere for others. (The true minimum of Q_k
over delta is the same for every exposure: it asks about all of them together.)

Sources: Sanderson, Spiller & Bowden (2021), Statistics in Medicine 40:5434; Patel, Gill, Shungin et al. (2024),
Statistics in Medicine 43:342.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from invarmr.arrays import FloatArray, finite_matrix
from invarmr.data.harmonised import MultivariableAssociations
from invarmr.errors import InputError
from invarmr.estimators.summary.regression import precision_regression

__all__ = ["conditional_f"]


def conditional_f(
    data: MultivariableAssociations,
    *,
    correlation: ArrayLike | None = None,
    sample_size: ArrayLike | None = None,
) -> dict[str, float]:
    """Conditional F of each exposure: how strongly the variants move it given the others; weak below 10.

    Parameters
    ----------
    data
        At least as many variants as exposures.
    correlation
        (K, K) phenotypic correlation of the exposures, where their associations come from the same people; None: from
        different people.
    sample_size
        People behind the associations of the exposures, one number or (K,); None: the form that needs none.

    Returns
    -------
    dict
        F by exposure.

    Raises
    ------
    InputError
        Fewer variants than exposures, a correlation that is not (K, K), or fewer people than variants.
    """
    p, K = data.exposure.shape
    if p < K:
        raise InputError(f"Conditional F needs {K} variants at least for {K} exposures, but there are {p}.")
    rho = np.eye(K) if correlation is None else finite_matrix(correlation, "correlation", K)
    if rho.shape != (K, K):
        raise InputError(f"correlation must be of shape ({K}, {K}), but is {rho.shape}.")
    weight = data.exposure_std_error
    covariance: FloatArray = weight[:, :, None] * rho * weight[:, None, :]
    if sample_size is not None:
        covariance, weight = _joint(data, rho, _sizes(sample_size, p, K)), np.ones((p, K))
    found = {}
    for k, name in enumerate(data.exposures):
        others = [column for column in range(K) if column != k]
        contrast = np.zeros(K)
        contrast[k] = 1.0
        if others:
            fitted = precision_regression(data.exposure[:, others], data.exposure[:, k], weight[:, k])
            contrast[others] = -fitted.coefficients
        variance = np.einsum("k,jkl,l->j", contrast, covariance, contrast)
        found[name] = float(((data.exposure @ contrast) ** 2 / variance).sum() / (p - K + 1))
    return found


def _joint(data: MultivariableAssociations, rho: FloatArray, n: FloatArray) -> FloatArray:
    """Covariance (p, K, K) of each variant's associations in the regression on all variants."""
    p = data.n_variants
    a = np.sqrt(1.0 / (n * data.exposure_std_error**2 + data.exposure**2))
    unexplained = rho - (a * data.exposure).T @ (a * data.exposure)
    people = np.sqrt(n - p + 1.0)
    return np.asarray(unexplained / np.outer(people, people) / (a[:, :, None] * a[:, None, :]))


def _sizes(values: ArrayLike, p: int, K: int) -> FloatArray:
    try:
        n = np.broadcast_to(np.asarray(values, dtype=np.float64), (K,))
    except ValueError as error:
        raise InputError(f"sample_size must be one number or {K}, one per exposure.") from error
    if not (n > p).all():
        raise InputError(f"sample_size must exceed the number of variants ({p}), but is {n.tolist()}.")
    return np.asarray(n)
