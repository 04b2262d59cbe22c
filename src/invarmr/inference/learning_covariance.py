"""What learning the instruments adds to the covariance of the reduced form, for every value of the effect at once.

Symbols: b = (1, -theta), u = (Y, D) b given the controls; W learned instruments, V directions set aside; in environment
f, weight pi_f; A_f, B_f maps of noise to leak (see `Leak`); s = cov(V, (Y, D)) (q, 2).

The learned instrument's covariance with u has n var(g_j) = var(u) + b'Q b, the same for every instrument j. All that
learning does is linear in (Y, D), so Q (2, 2) does not depend on theta:

    Q = sum_f pi_f { a_f'a_f + b_f'S_f b_f - m_f'a_f - a_f'm_f - k_f'b_f - b_f'k_f },

with a_f = A_f s, b_f = B_f s, S_f the covariance of V, m_f (1, 2) the means of (Y, D) given the controls and k_f (q, 2)
their covariances with V. Where V is partialled out, s is the coefficient of (Y, D) on V and B_f - I takes the place of
B_f. So a test at theta counts the learning at theta, and the sets that invert it do so exactly. In these words the
factor of `learning_inflation` is 1 + b'Q b / var(u). This package's; derivation in docs/methods/learning-error.md.
"""

from __future__ import annotations

import numpy as np
from scipy import linalg

from invarmr.arrays import FloatArray
from invarmr.data.design import IVDesign
from invarmr.data.stacked_design import Design, StackedDesign

__all__ = ["learning_covariance", "with_learning"]

_SMALLEST = 0.01
"""Bound below of the factor on any variance: a first-order factor cannot be trusted to nothing."""


def learning_covariance(design: Design) -> FloatArray:
    """Q (2, 2), in units of (outcome, exposure); zero where nothing was learned or the leak is not known.

    Of a stacked design the mean over its instruments, which is what learning adds to the noise that LIML subtracts.
    """
    if isinstance(design, StackedDesign):
        return (
            np.zeros((2, 2))
            if design.learning is None
            else np.einsum("abjj->ab", design.learning) / design.learning.shape[2]
        )
    return _of_everybody(design)


def _of_everybody(design: IVDesign) -> FloatArray:
    latent = design.latent
    if latent is None or latent.leak is None or latent.n_confounded == 0 or design.loadings is None:
        return np.zeros((2, 2))
    moments = design.moments
    if len(latent.leak.mean_map) != len(moments.environments):
        return np.zeros((2, 2))
    weights = moments.n_samples / moments.n_total
    V: FloatArray = np.zeros((len(moments.columns), latent.n_confounded))
    V[moments.index("instrument")] = latent.confounded_loadings
    c, k = design.n_columns
    coefficients = design.crossproduct[1][:, k:]
    pair = design.mapping[:, c + k :] - design.mapping[:, :c] @ coefficients
    own = V.T @ moments.crossproduct @ V / np.maximum(moments.n_samples - 1, 1)[:, None, None]
    A, B = latent.leak.mean_map, latent.leak.covariance_map
    s: FloatArray
    if design.confounded_loadings is None:
        total = (moments.within() if design.environment_effects else moments.total()) / moments.n_total
        s = np.asarray(V.T @ total @ pair)
    else:
        s, B = coefficients[-latent.n_confounded :], B - np.eye(latent.n_confounded)
    means = (moments.mean - moments.grand_mean()) @ pair
    if design.environment_effects:
        means = np.zeros_like(means)
    covariances = V.T @ moments.crossproduct @ pair / moments.n_samples[:, None, None]
    a, b = A @ s, B @ s
    leaked = np.einsum("f,fi,fj->ij", weights, a, a) + np.einsum("f,fqi,fqr,frj->ij", weights, b, own, b)
    shared = np.einsum("f,fi,fj->ij", weights, means, a) + np.einsum("f,fqi,fqj->ij", weights, covariances, b)
    return np.asarray(leaked - shared - shared.T)


def with_learning(covariance: FloatArray, design: Design) -> FloatArray:
    """Covariance of the reduced form plus Q, with no variance multiplied by less than 0.01."""
    Q = learning_covariance(design)
    if not Q.any():
        return covariance
    L = linalg.cholesky(covariance, lower=True)
    relative = linalg.solve_triangular(L, linalg.solve_triangular(L, Q, lower=True).T, lower=True)
    values, U = linalg.eigh(relative)
    half = (L @ U) * np.sqrt(np.maximum(1.0 + values, _SMALLEST))
    return np.asarray(half @ half.T)
