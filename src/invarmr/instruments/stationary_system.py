"""The eigenproblem of analytic stationary subspace analysis, and the error with which it is solved.

Symbols: E environments with weights pi_e = n_e / n; m_e (d,) mean of environment e about the grand mean and S_e (d, d)
its covariance, S = sum pi_e S_e; in coordinates where S = I: C_e = S_e - I;

    Q = sum_e pi_e { m_e m_e' + 2 C_e^2 },     Q b = lambda b.

Small lambda: b'Z has the same mean, variance and covariance with the rest in every environment. Sources: von Buenau
et al. (2009), Physical Review Letters 103:214101; Hara et al. (2012), Neural Networks 33:7.

Learning error, to first order. Let W be the directions with lambda = 0 and V the others. A learned direction of W
leaks into V by L_jk = -(Q^ - Q)_jk / lambda_k, and the noise of Q^_jk is linear in that of means and covariances, so

    L_jk = -(1 / lambda_k) sum_f pi_f { e_fj m_fk + 2 sum_l E_f,jl C_f,lk },
    Sigma_L = cov(L_j) = Lambda^-1 [ sum_f (pi_f^2 / n_f) { m_f m_f' + 4 C_f (I + C_f) C_f } ]_VV Lambda^-1,

with e and E the noise of means and covariances; Sigma_L is the same for every j. Held-out tests of W must allow for
it: W^ differs between environments by L m_e even when W does not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import linalg

from invarmr.arrays import FloatArray, IntArray
from invarmr.data.latent_instruments import Leak
from invarmr.data.moments import EnvironmentMoments
from invarmr.linalg.symmetric import range_whitener
from invarmr.linalg.threads import Each, in_turn

__all__ = [
    "StationarySystem",
    "environment_covariances",
    "leak_of",
    "mean_learning_error",
    "solve_stationary",
]


@dataclass(frozen=True, eq=False)
class StationarySystem:
    """The solved eigenproblem.

    Parameters
    ----------
    eigenvalues
        (r,) ascending.
    basis
        (d, r): direction j per unit of each instrument; pooled within-environment covariance I.
    n_samples
        (E,).
    means
        (E, r) means in the basis, about the grand mean.
    deviations
        (E, r, r): C_e in the basis, shrunken by `shrinkage`.
    shrinkage
        (E,) factors 1 - rho_e.
    n_null
        Directions without variance that were dropped.
    """

    eigenvalues: FloatArray
    basis: FloatArray
    n_samples: IntArray
    means: FloatArray
    deviations: FloatArray
    shrinkage: FloatArray
    n_null: int


def environment_covariances(
    moments: EnvironmentMoments, *, within: bool, basis: FloatArray | None = None, each: Each = in_turn
) -> FloatArray:
    """Covariance of the columns in every environment, (E, d, d), or of the directions of a basis (d, r), (E, r, r).

    With `within`, each column is first scaled to its pooled variance in every environment, so that only correlations
    can differ. This is right for allele copies: their variance 2f(1-f) moves with the allele frequency f even for a
    combination of variants that is unrelated to ancestry. A column that is constant in an environment keeps its
    pooled variance there.
    """
    divisor = np.maximum(moments.n_samples - 1, 1)
    variances = np.einsum("ejj->ej", moments.crossproduct) / divisor[:, None]
    pooled = np.sqrt(moments.n_samples @ variances / moments.n_total)
    own = np.sqrt(variances)
    factor = np.divide(pooled, own, out=np.zeros_like(own), where=own > 0) if within else np.ones_like(own)
    factor /= np.sqrt(divisor)[:, None]
    constant = (own <= 0) & (pooled > 0) & within
    r = len(pooled) if basis is None else basis.shape[1]
    out: FloatArray = np.empty((len(factor), r, r))

    def fill(e: int) -> None:
        cross, still, C = moments.crossproduct[e], constant[e], out[e]
        if basis is None:
            np.multiply(cross, factor[e][:, None], out=C)
            C *= factor[e]
            C[still, still] = pooled[still] ** 2
        else:
            scaled, kept = basis * factor[e][:, None], basis[still] * pooled[still, None]
            np.matmul(scaled.T, cross @ scaled, out=C)
            C += kept.T @ kept

    list(each(fill, range(len(out))))
    return out


def _turned(matrices: FloatArray, R: FloatArray, each: Each) -> FloatArray:
    """R'M R of every symmetric matrix M (E, d, d), (E, r, r)."""
    out: FloatArray = np.empty((len(matrices), R.shape[1], R.shape[1]))
    list(each(lambda e: np.matmul(R.T, matrices[e] @ R, out=out[e]), range(len(out))))
    return out


def solve_stationary(
    moments: EnvironmentMoments, *, within: bool, shrink: bool = True, each: Each = in_turn
) -> StationarySystem:
    """Solve Q b = lambda S b for the instruments in `moments` (whose columns are all taken).

    With `shrink`, C_e is multiplied by 1 - rho_e, where rho_e is the share of ||C_e||^2 that sampling noise explains,
    (r (r + 1) / n_e) (1 - pi_e) / ||C_e||^2 (as in Ledoit & Wolf, 2004): with many instruments and few samples the
    noise of the covariances would otherwise drown the shifts of the means. A trace of C_e is always kept: without it
    the directions without shifts would have no order, and tests on the least invariant of them would hang on rounding.
    """
    n = moments.n_samples
    weights = n / n.sum()
    covariance = environment_covariances(moments, within=within, each=each)
    S = np.tensordot(weights, covariance, axes=1)
    R = range_whitener(S)
    r = R.shape[1]
    means = (moments.mean - moments.grand_mean()) @ R
    covariance -= S
    deviations = _turned(covariance, R, each)
    if shrink:
        size = np.einsum("ejk,ejk->e", deviations, deviations)
        noise = r * (r + 1) / n * (1 - weights)
        kept = 1 - np.clip(np.divide(noise, size, out=np.ones(len(n)), where=size > 0), 0.0, 1 - _SMALLEST_SHARE)
        deviations *= kept[:, None, None]
    else:
        kept = np.ones(len(n))
    Q = (means.T * weights) @ means
    for weight, square in zip(weights, each(lambda C: C @ C.T, deviations), strict=True):  # C is symmetric
        Q += 2 * weight * square
    values, U = linalg.eigh(Q)
    basis = R @ U
    units = basis * np.sqrt(np.diag(S))[:, None]
    signs = np.sign(units[np.abs(units).argmax(axis=0), np.arange(r)])
    U, basis = U * signs, basis * signs
    rotated = _turned(deviations, U, each)
    return StationarySystem(np.clip(values, 0.0, None), basis, n, means @ U, rotated, kept, S.shape[0] - r)


_SMALLEST_SHARE = 1e-3
"""Smallest factor 1 - rho_e."""


def leak_of(system: StationarySystem, n_latent: int) -> Leak:
    """How noise becomes leak when the first `n_latent` directions are W (see `Leak`).

    A_f = m_f Lambda^-1 and B_f = 2 (1 - rho_f)^2 C_f Lambda^-1 over V, less its mean
    over environments (zero but for unequal shrinkage). To first order a direction of V that is itself
    hardly learned would leak beyond all bounds: its total leak tan^2 over the W directions is replaced by sin^2.
    """
    V = slice(n_latent, None)
    floor = system.eigenvalues[:n_latent].mean() if n_latent else 0.0
    gap = np.maximum(system.eigenvalues[V] - floor, 1e-12)
    A = system.means[:, V] / gap
    B = 2 * system.shrinkage[:, None, None] * system.deviations[:, V, V] / gap
    B -= np.tensordot(system.n_samples / system.n_samples.sum(), B, axes=1)
    bound = np.sqrt(1.0 + n_latent * np.diag(_covariance(system, A, B, V)))
    A, B = A / bound, B / bound
    return Leak(A, B, _covariance(system, A, B, V))


def _covariance(system: StationarySystem, A: FloatArray, B: FloatArray, V: slice) -> FloatArray:
    weights = system.n_samples / system.n_samples.sum()
    q = A.shape[1]
    out = np.zeros((q, q))
    for f, (weight, count) in enumerate(zip(weights, system.n_samples, strict=True)):
        own = np.eye(q) + system.deviations[f, V, V]
        out += weight**2 / count * (np.outer(A[f], A[f]) + B[f].T @ own @ B[f])
    return out


def mean_learning_error(system: StationarySystem, n_latent: int) -> FloatArray:
    """M_V Sigma_L M_V' (E, E): covariance over environments of the mean shift that a leak into V gives a direction."""
    shifts = system.means[:, n_latent:]
    return np.asarray(shifts @ leak_of(system, n_latent).covariance @ shifts.T)
