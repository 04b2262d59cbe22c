"""Logistic regression of a binary trait on every instrument, one at a time, all at once.

Symbols: C (n, q) constants and controls, z_j instrument j, x_ij = (C_i, z_ij), y 0 or 1, mu = 1 / (1 + exp(-x'beta)):

    gradient g_j = sum_i (y_i - mu_ij) x_ij,   H_j = sum_i mu_ij (1 - mu_ij) x_ij x_ij',   beta_j += H_j^-1 g_j.

The d fits run side by side: one pass over the rows gives all gradients and Hessians as products of matrices, because
H_j is made of C'W_j C, C'W_j z_j and z_j'W_j z_j. Each starts from the fit of the controls alone; a step that lowers
the likelihood is halved. Source: McCullagh & Nelder (1989), Generalized Linear Models, chapter 4.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from invarmr.arrays import FloatArray, IntArray
from invarmr.data.cohort import Cohort
from invarmr.linalg.symmetric import RANK_TOLERANCE, range_whitener

__all__ = ["LogisticFits", "logistic_fits"]

_STEPS = 50
_CLOSE = 1e-14
"""Newton decrement below which a fit has converged; its next step is below 1e-7 standard errors, and is still taken."""
_SEPARATED = 1e-6
"""Information on an instrument, as a share of that at no effect, below which cases and controls are separated."""
_PEOPLE = 4_096


@dataclass(frozen=True, eq=False)
class LogisticFits:
    """(d,) log odds ratios and standard errors; NaN where an instrument does not vary or the fit does not converge."""

    effect: FloatArray
    std_error: FloatArray


@dataclass(frozen=True, eq=False)
class _Rows:
    """Whitened constants and controls (n, q), cases (n,), and the instruments of the same people, block by block."""

    cohort: Cohort
    people: IntArray
    C: FloatArray
    y: FloatArray
    center: FloatArray

    def blocks(self) -> Iterator[tuple[FloatArray, FloatArray, FloatArray]]:
        for start in range(0, len(self.people), _PEOPLE):
            part = slice(start, start + _PEOPLE)
            Z = self.cohort.instruments.read(self.people[part]).astype(np.float64) - self.center
            yield self.C[part], self.y[part], Z


def logistic_fits(
    cohort: Cohort, cases: FloatArray, *, people: IntArray, controls: IntArray, environment_effects: bool
) -> LogisticFits:
    """Fit the regressions, reading the instruments in blocks of people.

    Parameters
    ----------
    cohort
        The people and their instruments.
    cases
        (n,) 1 for a case, 0 for a control.
    people
        Samples to use, increasing.
    controls
        Positions among covariates, components and truth, side by side in this order.
    environment_effects
        One constant per environment instead of one for all. An environment with cases or controls alone says nothing
        then, and is left out.

    Returns
    -------
    LogisticFits
        Maximum likelihood, standard errors from the information.

    References
    ----------
    McCullagh & Nelder (1989). Generalized Linear Models, second edition, chapter 4. Chapman & Hall.
    """
    d = cohort.n_instruments
    codes: IntArray = cohort.environment if environment_effects else np.zeros(cohort.n_samples, dtype=np.intp)
    share = np.bincount(codes[people], weights=cases[people]) / np.maximum(np.bincount(codes[people]), 1)
    people = people[(share[codes[people]] > 0) & (share[codes[people]] < 1)]
    if len(people) == 0:
        return LogisticFits(np.full(d, np.nan), np.full(d, np.nan))
    left = np.hstack([cohort.covariates, cohort.components, cohort.truth])[people][:, controls]
    C = _orthonormal(left, codes[people])
    center = cohort.instruments.read(people[:_PEOPLE]).mean(axis=0, dtype=np.float64)
    rows = _Rows(cohort, people, C, cases[people], center)
    return _newton(rows, _null_fit(C, rows.y), d)


def _orthonormal(values: FloatArray, codes: IntArray) -> FloatArray:
    """Constants of the groups, and the controls within groups, all with mean square 1 and uncorrelated: (n, q)."""
    present, codes = np.unique(codes, return_inverse=True)
    constants = (codes[:, None] == np.arange(len(present))).astype(np.float64)
    counts = constants.sum(axis=0)
    spread = np.square(values - values.mean(axis=0)).mean(axis=0)
    free = values - (constants.T @ values / counts[:, None])[codes]
    moment = free.T @ free / len(values)
    gone = np.diag(moment) <= RANK_TOLERANCE * spread
    moment[gone], moment[:, gone] = 0.0, 0.0
    return np.hstack([constants * np.sqrt(len(values) / counts), free @ range_whitener(moment)])


def _null_fit(C: FloatArray, y: FloatArray) -> FloatArray:
    """Coefficients of the controls alone (q,); where controls separate the cases, those of the last step."""
    alpha = np.zeros(C.shape[1])
    for _ in range(_STEPS):
        mu = _probability(C @ alpha)
        H = C.T @ (C * (mu * (1 - mu))[:, None])
        gradient = C.T @ (y - mu)
        try:
            step = np.linalg.solve(H, gradient)
        except np.linalg.LinAlgError:
            return alpha
        alpha = alpha + step * min(1.0, 5.0 / max(float(np.abs(step).max()), 1e-300))
        if gradient @ step < _CLOSE:
            break
    return alpha


def _newton(rows: _Rows, start: FloatArray, d: int) -> LogisticFits:
    q = len(start)
    beta = np.hstack([np.tile(start, (d, 1)), np.zeros((d, 1))])
    step, best = np.zeros_like(beta), np.full(d, -np.inf)
    done, failed = np.zeros(d, dtype=bool), np.zeros(d, dtype=bool)
    variance = np.full(d, np.nan)
    at_null: FloatArray | None = None
    for _ in range(_STEPS):
        likelihood, gradient, H = _pass(rows, beta)
        schur = _information(H, q)
        if at_null is None:
            at_null = schur
            failed = at_null <= RANK_TOLERANCE * np.maximum(H[:, q, q], 1e-300)
        worse = ~done & ~failed & (likelihood < best - 1e-9 * np.abs(best))
        step[worse] /= 2
        beta[worse] -= step[worse]
        moving = ~done & ~failed & ~worse
        failed |= moving & (schur <= _SEPARATED * at_null)
        moving &= ~failed
        if moving.any():
            step[moving] = np.linalg.solve(H[moving], gradient[moving][:, :, None])[:, :, 0]
            best[moving] = likelihood[moving]
            beta[moving] += step[moving]
            close = moving & (np.einsum("jk,jk->j", gradient, step) < _CLOSE)
            variance[close] = 1.0 / schur[close]
            done |= close
        if (done | failed).all():
            break
    return LogisticFits(np.where(done, beta[:, q], np.nan), np.sqrt(np.where(done, variance, np.nan)))


def _information(H: FloatArray, q: int) -> FloatArray:
    """Information on the instrument given the controls, (d,): the Schur complement of its corner of H."""
    try:
        explained = np.linalg.solve(H[:, :q, :q], H[:, :q, q][:, :, None])[:, :, 0]
    except np.linalg.LinAlgError:  # some fit is separated by its controls
        inverses = np.linalg.pinv(H[:, :q, :q], hermitian=True)
        explained = np.einsum("jkl,jl->jk", inverses, H[:, :q, q])
    return np.asarray(H[:, q, q] - np.einsum("jk,jk->j", H[:, :q, q], explained))


def _pass(rows: _Rows, beta: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Log likelihood (d,), gradients (d, q + 1) and informations (d, q + 1, q + 1) at the coefficients."""
    d, q = len(beta), beta.shape[1] - 1
    upper = np.triu_indices(q)
    likelihood, gradient, H = np.zeros(d), np.zeros((d, q + 1)), np.zeros((d, q + 1, q + 1))
    for C, y, Z in rows.blocks():
        eta = C @ beta[:, :q].T + Z * beta[:, q]
        mu = _probability(eta)
        likelihood += y @ eta - np.logaddexp(0.0, eta).sum(axis=0)
        W, residual = mu * (1 - mu), y[:, None] - mu
        gradient[:, :q] += residual.T @ C
        gradient[:, q] += np.einsum("ij,ij->j", residual, Z)
        pairs = W.T @ (C[:, upper[0]] * C[:, upper[1]])
        H[:, upper[0], upper[1]] += pairs
        W *= Z
        H[:, :q, q] += W.T @ C
        H[:, q, q] += np.einsum("ij,ij->j", W, Z)
    H[:, upper[1], upper[0]] = H[:, upper[0], upper[1]]
    H[:, q, :q] = H[:, :q, q]
    return likelihood, gradient, H


def _probability(eta: FloatArray) -> FloatArray:
    return np.asarray(0.5 * (1.0 + np.tanh(eta / 2)))
