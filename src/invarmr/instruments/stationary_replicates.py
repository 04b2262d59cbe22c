"""`stationary` learned in all replicates of a bootstrap at once, for few directions of scores.

The same arithmetic as `stationary_system` and `dimension`, with one more leading axis b over replicates: with a handful
of directions one replicate is a hundred small matrix operations, whose cost is that of calling them. Only what
replicates are asked is computed: the number of latent instruments, the directions and their leak; not the path and what
verdicts need. That both give the same is tested (`tests/instruments/test_stationary_replicates.py`).

Symbols: b replicates, k folds, e (f) environments, i, j, l directions; others as in `stationary_system`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import linalg, special

from invarmr.arrays import BoolArray, FloatArray, IntArray
from invarmr.data.latent_instruments import Leak
from invarmr.data.moments import EnvironmentMoments
from invarmr.instruments.dimension import PEOPLE_PER_COVARIANCE, blocks

__all__ = ["Replicates", "Split", "split_replicates"]

_CLEAR = 1e-3
"""Smallest diagonal of the Cholesky factor of a correlation matrix that leaves no doubt of full rank."""
_SMALLEST_SHARE = 1e-3


@dataclass(frozen=True, eq=False)
class Split:
    """What one replicate learned: center, p directions, the others, all eigenvalues, and the leak."""

    n_latent: int
    center: FloatArray
    basis: FloatArray
    eigenvalues: FloatArray
    leak: Leak


@dataclass(frozen=True, eq=False)
class Replicates:
    """Moments (b, k, e), (b, k, e, d), (b, k, e, d, d) of the folds of every replicate."""

    n: IntArray
    mean: FloatArray
    cross: FloatArray

    @classmethod
    def of(cls, replicates: Sequence[Sequence[EnvironmentMoments]]) -> Replicates:
        """Stack the moments of folds."""
        n = np.array([[fold.n_samples for fold in folds] for folds in replicates])
        mean = np.array([[fold.mean for fold in folds] for folds in replicates])
        return cls(n, mean, np.array([[fold.crossproduct for fold in folds] for folds in replicates]))

    def folds(self, which: slice) -> Replicates:
        """Some of the folds."""
        return Replicates(self.n[:, which], self.mean[:, which], self.cross[:, which])

    def merged(self) -> tuple[IntArray, FloatArray, FloatArray]:
        """Moments (b, e), (b, e, d), (b, e, d, d) of all folds together."""
        n = self.n.sum(axis=1)
        mean = np.einsum("bke,bked->bed", self.n / n[:, None], self.mean)
        off = self.mean - mean[:, None]
        return n, mean, self.cross.sum(axis=1) + np.einsum("bke,bkei,bkej->beij", self.n, off, off)


@dataclass(frozen=True, eq=False)
class _Systems:
    """Solved eigenproblems: (b, r), (b, d, r), (b, e), (b, e, r), (b, e, r, r), (b, e), (b, d)."""

    eigenvalues: FloatArray
    basis: FloatArray
    n: IntArray
    means: FloatArray
    deviations: FloatArray
    shrinkage: FloatArray
    center: FloatArray

    def leaks(self, p: int) -> tuple[FloatArray, FloatArray, FloatArray]:
        """A (b, e, q), B (b, e, q, q) and Sigma_L (b, q, q): see `leak_of`."""
        floor = self.eigenvalues[:, :p].mean(axis=1) if p else np.zeros(len(self.n))
        gap = np.maximum(self.eigenvalues[:, p:] - floor[:, None], 1e-12)
        weights = self.n / self.n.sum(axis=1, keepdims=True)
        C = self.deviations[:, :, p:, p:]
        A = self.means[:, :, p:] / gap[:, None]
        B = 2 * self.shrinkage[:, :, None, None] * C / gap[:, None, None]
        B = B - np.einsum("be,beij->bij", weights, B)[:, None]

        def covariance() -> FloatArray:
            per = weights**2 / self.n
            moved = np.einsum("be,bei,bej->bij", per, A, A)
            turned = np.swapaxes(B, -1, -2) @ (np.eye(C.shape[-1]) + C) @ B
            return np.asarray(moved + np.einsum("be,beij->bij", per, turned))

        bound = np.sqrt(1.0 + p * np.einsum("bii->bi", covariance()))
        A, B = A / bound[:, None], B / bound[:, None, None]
        return A, B, covariance()


def _solve(n: IntArray, mean: FloatArray, cross: FloatArray, *, shrink: bool) -> _Systems | None:
    """`solve_stationary` in every replicate; None where the rank of any is in doubt."""
    weights = n / n.sum(axis=1, keepdims=True)
    covariance = cross / np.maximum(n - 1, 1)[:, :, None, None]
    S = np.einsum("be,beij->bij", weights, covariance)
    size = np.sqrt(np.einsum("bii->bi", S))
    try:
        factor = np.linalg.cholesky(S / size[:, :, None] / size[:, None, :])
    except np.linalg.LinAlgError:
        return None
    if not np.einsum("bii->bi", factor).min() > _CLEAR:
        return None
    R = np.swapaxes(np.linalg.inv(factor), -1, -2) / size[:, :, None]
    r = R.shape[-1]
    center = np.einsum("be,bed->bd", weights, mean)
    means = (mean - center[:, None]) @ R
    deviations = np.swapaxes(R, -1, -2)[:, None] @ (covariance - S[:, None]) @ R[:, None]
    kept = np.ones(n.shape)
    if shrink:
        squares = np.einsum("beij,beij->be", deviations, deviations)
        noise = r * (r + 1) / n * (1 - weights)
        share = np.divide(noise, squares, out=np.ones(n.shape), where=squares > 0)
        kept = 1 - np.clip(share, 0.0, 1 - _SMALLEST_SHARE)
        deviations = deviations * kept[:, :, None, None]
    Q = np.einsum("be,bei,bej->bij", weights, means, means)
    Q = Q + 2 * np.einsum("be,beij->bij", weights, deviations @ deviations)
    values, U = np.linalg.eigh(Q)
    basis = R @ U
    units = basis * size[:, :, None]
    largest = np.abs(units).argmax(axis=1)
    signs = np.sign(np.take_along_axis(units, largest[:, None], axis=1))[:, 0]
    U, basis = U * signs[:, None], basis * signs[:, None]
    deviations = np.swapaxes(U, -1, -2)[:, None] @ deviations @ U[:, None]
    return _Systems(np.clip(values, 0.0, None), basis, n, means @ U, deviations, kept, center)


@dataclass(frozen=True, eq=False)
class _People:
    """`HeldOut` in every replicate: (b, e), (b, e, r), (b, e, r, r), (b, r, r), (b, r, r), and degrees of freedom."""

    n: IntArray
    means: FloatArray
    covariances: FloatArray
    between: FloatArray
    within: FloatArray
    n_within: int

    @classmethod
    def of(cls, folds: Replicates, basis: FloatArray) -> _People:
        n, mean, cross = folds.merged()
        weights = n / n.sum(axis=1, keepdims=True)
        means = (mean - np.einsum("be,bed->bd", weights, mean)[:, None]) @ basis[:, None][:, 0]
        turned = np.swapaxes(basis, -1, -2)
        C = turned[:, None] @ (cross / np.maximum(n - 1, 1)[:, :, None, None]) @ basis[:, None]
        sizes = np.maximum(folds.n - 1, 1)
        own = turned[:, None, None] @ (folds.cross / sizes[..., None, None]) @ basis[:, None, None]
        centre = np.einsum("bke,bkeij->beij", sizes / sizes.sum(axis=1, keepdims=True), own)
        n_within = n.shape[1] * (folds.n.shape[1] - 1)
        within = np.einsum("bke,bkeij->bij", sizes, (own - centre[:, None]) ** 2) / n_within
        free = n - 1
        middle = np.einsum("be,beij->bij", free / free.sum(axis=1, keepdims=True), C)
        between = np.einsum("be,beij->bij", free, (C - middle[:, None]) ** 2)
        return cls(n, means, C, between, within, n_within)

    def spread_p(self, block: slice, noise: float) -> FloatArray:
        """p-values (b,) of `covariance_spread_p`."""
        between = self.between[:, block, block].sum(axis=(1, 2))
        within = self.within[:, block, block].sum(axis=(1, 2))
        m = self.between[:, block, block].shape[1]
        entries = m * (m + 1) / 2
        df = (self.n.shape[1] - 1) * entries
        ratio = np.divide(between, within, out=np.zeros(len(within)), where=within > 0) * entries / noise / df
        return np.where(within > 0, special.fdtrc(df, self.n_within * entries, ratio), 1.0)


def split_replicates(
    replicates: Sequence[Sequence[EnvironmentMoments]],
    *,
    n_held_out: int,
    rejection: float,
    shrink: bool,
    n_latent: int | None,
    noise: float,
    held_out_only: bool = False,
) -> tuple[Split, ...] | None:
    """Learn in every replicate from moments of the instruments in folds, the last `n_held_out` held out.

    None where the rank of the instruments is in doubt in any replicate: then each has to be learned by itself.
    """
    data = Replicates.of(replicates)
    if data.n.min() < 2:
        return None
    K = data.n.shape[1]
    everyone = data.merged()
    trained = _solve(*data.folds(slice(0, K - n_held_out)).merged(), shrink=shrink)
    final = _solve(*everyone, shrink=shrink)
    if trained is None or final is None:
        return None
    if n_latent is None:
        r = trained.basis.shape[-1]
        enough = final.n.min(axis=1) >= PEOPLE_PER_COVARIANCE * (r * (r + 1) // 2)
        chosen = _choose(data, trained, final, n_held_out, rejection, noise, enough & (not held_out_only))
    else:
        chosen = np.full(len(data.n), n_latent)
    leaks = {p: final.leaks(p) for p in np.unique(chosen).tolist()}
    return tuple(
        Split(p, final.center[b], final.basis[b], final.eigenvalues[b], Leak(*(part[b] for part in leaks[p])))
        for b, p in enumerate(chosen.tolist())
    )


def _choose(
    data: Replicates,
    trained: _Systems,
    final: _Systems,
    n_held_out: int,
    rejection: float,
    noise: float,
    everybody_asked: BoolArray,
) -> IntArray:
    """The largest number not rejected, at most the rank less that of the shifts of means; 0: all are rejected."""
    K, r = data.n.shape[1], trained.basis.shape[-1]
    held_out = _People.of(data.folds(slice(K - n_held_out, K)), trained.basis)
    everybody = _People.of(data, final.basis)
    at_most = r - _shift_ranks(final, rejection, noise)
    chosen = np.zeros(len(data.n), dtype=np.intp)
    open_: BoolArray = np.ones(len(data.n), dtype=bool)
    for p in range(r, 0, -1):
        tests = _tests(trained, held_out, everybody, everybody_asked, p, noise)
        kept = (np.minimum(1.0, tests.min(axis=0) * len(tests)) >= rejection) & (p <= at_most)
        chosen[open_ & kept] = p
        open_ &= ~kept
        if not open_.any():
            break
    return chosen


def _tests(
    system: _Systems, held_out: _People, everybody: _People, asked: BoolArray, p: int, noise: float
) -> FloatArray:
    """p-values (tests, b) at one number of latent instruments: see `dimension`."""
    N = linalg.helmert(system.n.shape[1])
    leak = system.leaks(p)[2]
    sampling = np.eye(system.n.shape[1]) / held_out.n[:, None]
    shifts = system.means[:, :, p:]
    omega = noise * N @ (sampling + shifts @ leak @ np.swapaxes(shifts, -1, -2)) @ N.T
    t = N @ held_out.means[:, :, :p]
    weights = held_out.n / held_out.n.sum(axis=1, keepdims=True)
    variance = np.einsum("be,bejj->bj", weights, held_out.covariances[:, :, :p, :p])
    total = np.cumsum((np.einsum("bej,bej->bj", t, np.linalg.solve(omega, t)) / variance)[:, ::-1], axis=1)
    out = [special.chdtrc(m * len(N), total[:, m - 1]) for m in blocks(p)]
    for m in blocks(p):
        block = slice(p - m, p)
        alone = held_out.spread_p(block, noise)
        out.append(np.where(asked, everybody.spread_p(block, noise), alone) if m == p else alone)
    for k in range(leak.shape[-1]):
        own = system.deviations[:, :, p + k, p:]
        unit = held_out.within[:, :p, p + k].mean(axis=1)
        omega = noise * N @ (unit[:, None, None] * sampling + own @ leak @ np.swapaxes(own, -1, -2)) @ N.T
        t = N @ held_out.covariances[:, :, :p, p + k]
        statistic = np.einsum("bej,bej->b", t, np.linalg.solve(omega, t))
        df = p * len(N)
        out.append(special.fdtrc(df, p * held_out.n_within, statistic / df))
    return np.stack(out)


def _shift_ranks(system: _Systems, rejection: float, noise: float) -> IntArray:
    """`shift_rank` of everybody."""
    values = np.linalg.svd(system.means * np.sqrt(system.n)[:, :, None], compute_uv=False) ** 2 / noise
    r, free = system.basis.shape[-1], system.n.shape[1] - 1
    ranks = np.full(len(values), min(free, r))
    for s in range(min(free, r) - 1, -1, -1):
        left = special.chdtrc((free - s) * (r - s), values[:, s:].sum(axis=1))
        ranks[left >= rejection] = s
    return ranks
