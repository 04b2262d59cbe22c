"""What learning the instruments from the same people adds to, or takes from, the variance of the effect.

Symbols: W learned instruments, V directions set aside, u = Y - theta D given the controls; in environment f, weight
pi_f, u_f the mean of u and k_f (q,) the covariance of V with u; L_j the leak of direction j of W into V (see `Leak`).

To first order the learned instrument's covariance with u is g_j = cov(W_j, u) + L_j s, s = cov(V, u) over all people,
and both terms come from the same noise: with s2 = var(u) and n people

    var(g_j) = s2 / n + s' Sigma_L s - 2 sum_f (pi_f / n) { u_f A_f s + k_f' B_f s },

the same for every j, so that the variance of the effect is multiplied by the one factor n var(g_j) / s2. It may be
below 1: learning balances W on V in the sample, as adjusting for a covariate would.

With the learned V partialled out, u is the residual on V, s the coefficient of u on V, and B_f - I takes the place of
B_f: the learned V has no covariance with the learned W within environments, so it carries the sample covariance
N_j = sum_f pi_f E_fj of W_j with V, and g_j = cov(W_j, u) + (L_j + N_j) s. Taking the directions as known is wrong by
this factor, whatever n. This package's; validation of it: `tests/oracles/test_learning_error.py`.
"""

from __future__ import annotations

import numpy as np

from invarmr.arrays import FloatArray
from invarmr.data.design import IVDesign

__all__ = ["learning_inflation"]


def learning_inflation(design: IVDesign, theta: float) -> float:
    """N var(g_j) / s2 for a design on learned instruments; 1 where nothing was learned or the leak is not known."""
    latent = design.latent
    if latent is None or latent.leak is None or latent.n_confounded == 0 or design.loadings is None:
        return 1.0
    if len(latent.leak.mean_map) != len(design.moments.environments):
        return 1.0
    moments, n = design.moments, design.moments.n_total
    weights = moments.n_samples / n
    V = np.zeros((len(moments.columns), latent.n_confounded))
    V[moments.index("instrument")] = latent.confounded_loadings
    total = (moments.within() if design.environment_effects else moments.total()) / n
    own = V.T @ moments.covariance() @ V
    direction, coefficients = _residual_direction(design, theta)
    A, B = latent.leak.mean_map, latent.leak.covariance_map
    s: FloatArray
    if design.confounded_loadings is None:
        s = np.asarray(V.T @ total @ direction)
    else:
        s, B = coefficients[-latent.n_confounded :], B - np.eye(latent.n_confounded)
    means = np.zeros(len(weights))
    if not design.environment_effects:
        means = (moments.mean - moments.grand_mean()) @ direction
    covariances = V.T @ moments.crossproduct @ direction / moments.n_samples[:, None]
    a, b = A @ s, B @ s
    leaked = weights @ (a**2 + np.einsum("fq,fqr,fr->f", b, own, b))
    shared = weights @ (means * a + np.einsum("fq,fq->f", covariances, b))
    factor = 1.0 + float(leaked - 2.0 * shared) / float(direction @ total @ direction)
    return max(factor, _SMALLEST)


_SMALLEST = 0.01
"""Bound below: a first-order factor cannot be trusted to nothing."""


def _residual_direction(design: IVDesign, theta: float) -> tuple[FloatArray, FloatArray]:
    """U, outcome minus theta exposure given the design's controls, in moment columns; its coefficients on them."""
    c, k = design.n_columns
    contrast = np.array([1.0, -theta])
    coefficients = design.crossproduct[1][:, k:] @ contrast
    return design.mapping[:, c + k :] @ contrast - design.mapping[:, :c] @ coefficients, coefficients
