"""What learning the instruments from the same people adds to, or takes from, the variance of the effect.

Symbols: W learned instruments, V directions set aside, u = Y - theta D given the controls; in environment f, weight
pi_f, u_f the mean of u and k_f (q,) the covariance of V with u; L_j the leak of direction j of W into V (see `Leak`).

To first order the learned instrument's covariance with u is g_j = cov(W_j, u) + L_j's, s = cov(V, u) over all
people, and both terms come from the same noise: with s2 = var(u) and n people

    var(g_j) = s2 / n + s' Sigma_L s - 2 sum_f (pi_f / n) { u_f A_f s + k_f' B_f s },

the same for every j, so that the variance of the effect is multiplied by the one factor n var(g_j) / s2. It may be
below 1: learning balances W on V in the sample, as adjusting for a covariate would. With V partialled out, u is the
residual on
V and s the coefficient of u on V. Taking the directions as known is wrong by this factor, whatever n. This package's;
`validation` of it: `tests/oracles/test_learning_error.py`.
"""

from __future__ import annotations

import numpy as np

from invarmr.arrays import FloatArray
from invarmr.data.design import IVDesign
from invarmr.linalg.symmetric import solve_on_range

__all__ = ["learning_inflation"]


def learning_inflation(design: IVDesign, theta: float) -> float:
    """N var(g_j) / s2 for a design on learned instruments; 1 where nothing was learned or the leak is not known."""
    latent = design.latent
    if latent is None or latent.leak is None or latent.n_confounded == 0 or design.loadings is None:
        return 1.0
    if len(latent.leak.mean_map) != len(design.moments.environments):
        return 1.0
    moments = design.moments
    direction = _residual_direction(design, theta)
    instrument = moments.index("instrument")
    V = np.zeros((len(moments.columns), latent.n_confounded))
    V[instrument] = latent.confounded_loadings
    n = moments.n_total
    weights = moments.n_samples / n
    total = (moments.within() if design.environment_effects else moments.total()) / n
    s = V.T @ total @ direction
    if design.confounded_loadings is not None:
        s = np.asarray(solve_on_range(V.T @ total @ V, s)[0], dtype=np.float64)
        direction = direction - V @ s
    means = np.zeros(len(weights))
    if not design.environment_effects:
        means = (moments.mean - moments.grand_mean()) @ direction
    covariances = V.T @ moments.crossproduct @ direction / moments.n_samples[:, None]
    leak = latent.leak
    shared = weights / n @ (means * (leak.mean_map @ s) + np.einsum("fq,fq->f", covariances, leak.covariance_map @ s))
    variance = float(direction @ total @ direction)
    factor = 1.0 + n / variance * float(s @ leak.covariance @ s - 2.0 * shared)
    return max(factor, _SMALLEST)


_SMALLEST = 0.01
"""Bound below: a first-order factor cannot be trusted to nothing."""


def _residual_direction(design: IVDesign, theta: float) -> FloatArray:
    """U as a combination of the moment columns: outcome minus theta exposure, given the design's measured controls."""
    c, k = design.n_columns
    q = 0 if design.confounded_loadings is None else design.confounded_loadings.shape[1]
    mapping = design.mapping
    contrast = mapping[:, c + k] - theta * mapping[:, c + k + 1]
    if c == q:
        return np.asarray(contrast)
    measured = mapping[:, : c - q]
    total = design.moments.within() if design.environment_effects else design.moments.total()
    coefficients, _ = solve_on_range(measured.T @ total @ measured, measured.T @ total @ contrast)
    return np.asarray(contrast - measured @ coefficients)
