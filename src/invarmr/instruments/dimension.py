"""How many latent instruments: a sequential test on held-out people.

Starting from all directions, the least invariant are set aside one by one until what remains passes, on people the
directions were not learned from, the tests that a block of invariant directions must pass:

* equal means: sum over directions j of t_j' Omega^+ t_j ~ chi2(m (E - 1)), t_j the held-out means of direction j and
  Omega = diag(1 / n_e) + M_V Sigma_L M_V' their covariance (sampling plus learning error; see `stationary_system`);
* equal covariances: the spread of the block's covariance between environments against its spread between random
  groups of people within environments, an F ratio that needs no normality. Where the directions are few for the people
  it is made on everybody, in the directions learned from everybody: see below;
* covariance with the directions set aside the same (zero) in every environment, allowing for learning error.

For allele copies exact equality of covariances is impossible: a frequency of 0.3 here and 0.4 there changes a variant's
variance 2f(1-f) by a seventh. The null hypothesis is then that the differences are immaterial (`Tolerance`), and the
reference distributions are the noncentral ones at that bound. Equality of means, on which the validity of a linear
instrument rests, is always tested exactly.

A single shifted direction is invisible in a test of two hundred, and many small shifts are invisible in a test of one:
so the first two tests are made on nested blocks of the 1, 2, 4, ... least invariant directions and on all, with
Bonferroni's correction over blocks.

Who is tested. A leak L of W^ into V moves the means and the covariances with V of W^ by L times those of V, of order
n^-1/2 like their noise: people who were learned from would find them too much alike, and people held out are needed.
It moves the covariances of W^ among themselves by L cov(V, W) + L C_V L', of order 1/n: so to first order these may be
tested on everybody in the directions learned from everybody, with more than three times the people and 2 + 1/4 times
the folds. In a small sample that is what tells the last confounded direction from a valid one. Two limits. The
remainder grows with the number of directions: everybody is asked where each environment has `PEOPLE_PER_COVARIANCE`
people for each of the r (r + 1) / 2 covariances, and people held out where it has not. And only the whole block is
tested so: its least invariant direction was picked for its differences in the same people.

In a replicate of a bootstrap, moments carry the noise of the people and that of drawing them, twice the variance:
`noise` = 2 there, and statistics are divided by it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import linalg, special

from invarmr.arrays import FloatArray, IntArray
from invarmr.data.latent_instruments import DimensionStep
from invarmr.data.moments import EnvironmentMoments, merge_moments
from invarmr.instruments.stationary_system import (
    StationarySystem,
    environment_covariances,
    leak_of,
)
from invarmr.linalg.threads import Each, in_turn

__all__ = [
    "EXACT",
    "GENOTYPES",
    "PEOPLE_PER_COVARIANCE",
    "HeldOut",
    "Tolerance",
    "choose_dimension",
    "covariance_spread_p",
    "shift_rank",
    "still_directions",
]


@dataclass(frozen=True)
class Tolerance:
    """Differences between environments that are regarded as immaterial.

    Parameters
    ----------
    covariance
        Per direction b of a block, root of mean_e ||(C_e b)_block||^2: 0.05 is a variance that differs by 5 %.
    independence
        Root of mean_e of the squared covariance of the block with one direction set aside.
    """

    covariance: float = 0.0
    independence: float = 0.0


EXACT = Tolerance()
GENOTYPES = Tolerance(covariance=0.05, independence=0.15)


PEOPLE_PER_COVARIANCE = 20
"""People in each environment, for each of the r (r + 1) / 2 covariances, from which on everybody is tested."""


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Moments of the people who are tested, held out as a rule, in a learned basis.

    Parameters
    ----------
    n_samples, means, covariances
        (E,), (E, r), (E, r, r) of the held-out people.
    folds
        K of (E, r, r): covariances of the held-out folds one by one.
    sizes
        (K, E): their samples, less one.
    within_spread
        (r, r): mean over environments and held-out folds of n (C_fold - C_environment)^2, entry by entry: the sampling
        variance of a covariance with one observation. Folds that were learned from have no part in it where directions
        are many: the basis is whitened on them, so that their covariances spread less.
    n_within
        Degrees of freedom per entry of `within_spread`: E (K - 1).
    """

    n_samples: IntArray
    means: FloatArray
    covariances: FloatArray
    folds: tuple[FloatArray, ...]
    sizes: FloatArray
    within_spread: FloatArray
    n_within: int

    @classmethod
    def from_folds(
        cls, folds: Sequence[EnvironmentMoments], system: StationarySystem, *, within: bool, each: Each = in_turn
    ) -> HeldOut:
        """Express held-out people, given fold by fold, in the basis of `system`."""
        B = system.basis
        test = merge_moments(folds)
        covariances = environment_covariances(test, within=within, basis=B, each=each)
        sizes = np.stack([np.maximum(fold.n_samples - 1, 1) for fold in folds]).astype(np.float64)
        rotated = (
            tuple(environment_covariances(fold, within=True, basis=B, each=each) for fold in folds)
            if within
            else tuple(B.T @ np.stack([fold.crossproduct for fold in folds]) @ B / sizes[:, :, None, None])
        )
        n_within = len(test.n_samples) * (len(folds) - 1)
        means = (test.mean - test.grand_mean()) @ B
        return cls(test.n_samples, means, covariances, rotated, sizes, _spread(rotated, sizes) / n_within, n_within)

    def rotated(self, U: FloatArray) -> HeldOut:
        """The same people in the directions U (r, m) of the basis."""
        folds = tuple(U.T @ fold @ U for fold in self.folds)
        spread = _spread(folds, self.sizes) / self.n_within
        covariances = U.T @ self.covariances @ U
        return HeldOut(self.n_samples, self.means @ U, covariances, folds, self.sizes, spread, self.n_within)

    @cached_property
    def between_spread(self) -> FloatArray:
        """(r, r): sum over environments of (n_e - 1) (C_e - C)^2, entry by entry."""
        return _squared_spread(self.covariances, self.n_samples - 1)


def _spread(folds: Sequence[FloatArray], sizes: FloatArray) -> FloatArray:
    """Sum over environments and folds of n (C_fold - C_environment)^2, entry by entry."""
    return np.asarray(sum(_squared_spread(own, n) for own, n in zip(zip(*folds, strict=True), sizes.T, strict=True)))


def _squared_spread(covariances: Iterable[FloatArray], sizes: IntArray | FloatArray) -> FloatArray:
    """Sum over k of n_k (C_k - C)^2, entry by entry, C the mean of the C_k weighted by n_k."""
    pairs = list(zip(covariances, sizes, strict=True))
    centre = np.asarray(sum(n / sizes.sum() * C for C, n in pairs))
    return np.asarray(sum(n * (C - centre) ** 2 for C, n in pairs))


def still_directions(
    system: StationarySystem, held_out: HeldOut, p: int, *, rejection: float, tolerance: float, noise: float = 1.0
) -> FloatArray:
    """Directions (r, m) set aside whose covariances do not differ between environments: they show in means alone.

    The largest block of V, taken from the directions whose covariance varies least in the people learned from, that
    held-out people do not reject.
    """
    q = len(system.eigenvalues) - p
    weights = system.n_samples / system.n_samples.sum()
    C = system.deviations[:, p:, p:]
    _, U = linalg.eigh(np.einsum("e,eij,ejk->ik", weights, C, C))
    aside = np.zeros((len(system.eigenvalues), q))
    aside[p:] = U
    people = held_out.rotated(aside)
    for m in range(q, 0, -1):
        if covariance_spread_p(people, slice(0, m), tolerance=tolerance, noise=noise) >= rejection:
            return aside[:, :m]
    return aside[:, :0]


def choose_dimension(
    system: StationarySystem,
    held_out: HeldOut,
    *,
    rejection: float,
    tolerance: Tolerance = EXACT,
    at_most: int | None = None,
    n_latent: int | None = None,
    everybody: HeldOut | None = None,
    noise: float = 1.0,
) -> tuple[int, tuple[DimensionStep, ...]]:
    """The largest number of latent instruments that held-out people do not reject, and the path to it.

    `everybody` (in the basis learned from everybody) is who is tested for equal covariances of the whole block; None:
    people held out.
    `noise` multiplies the variance of sampling noise, 2 in a replicate of a bootstrap.

    With `at_most` the path ends at that number or below, whatever passes before; with `n_latent` only that number is
    tried. 0 means that every number was rejected.
    """
    r = len(system.eigenvalues)
    at_most = r if at_most is None else at_most
    everybody = held_out if everybody is None else everybody
    if n_latent is not None:
        return n_latent, (_try(system, held_out, everybody, n_latent, rejection, tolerance, noise),)
    path = []
    for p in range(r, 0, -1):
        step = _try(system, held_out, everybody, p, rejection, tolerance, noise)
        path.append(step)
        if not step.rejected and p <= at_most:
            return p, tuple(path)
    return 0, tuple(path)


def _try(
    system: StationarySystem,
    held_out: HeldOut,
    everybody: HeldOut,
    p: int,
    rejection: float,
    tolerance: Tolerance,
    noise: float = 1.0,
) -> DimensionStep:
    leak = leak_of(system, p).covariance
    contrasts = linalg.helmert(len(held_out.n_samples))
    mean_tests = _mean_tests(system, held_out, leak, contrasts, noise)
    covariance_tests = _covariance_tests(held_out, everybody, p, tolerance.covariance, noise)
    independence = _independence_tests(system, held_out, leak, contrasts, tolerance.independence, noise)
    tests = mean_tests + covariance_tests + independence
    worst_p, worst = min(tests)
    corrected = min(1.0, worst_p * len(tests))
    return DimensionStep(
        n_latent=p,
        mean_p=_corrected(mean_tests),
        covariance_p=_corrected(covariance_tests),
        independence_p=_corrected(independence),
        smallest_p=corrected,
        rejected=corrected < rejection,
        detail=worst,
    )


def _corrected(tests: list[tuple[float, str]]) -> float:
    return min(1.0, min(tests)[0] * len(tests)) if tests else 1.0


def blocks(p: int) -> list[int]:
    """Sizes of the nested blocks that are tested: 1, 2, 4, ... and p."""
    sizes = [2**k for k in range(p.bit_length()) if 2**k < p]
    return [*sizes, p]


def _mean_tests(
    system: StationarySystem, held_out: HeldOut, leak: FloatArray, contrasts: FloatArray, noise: float = 1.0
) -> list[tuple[float, str]]:
    p = held_out.means.shape[1] - leak.shape[0]
    shifts = system.means[:, p:]
    error = shifts @ leak @ shifts.T
    omega = noise * contrasts @ (np.diag(1.0 / held_out.n_samples) + error) @ contrasts.T
    t = contrasts @ held_out.means[:, :p]
    variance = held_out.n_samples @ np.einsum("ejj->ej", held_out.covariances)[:, :p] / held_out.n_samples.sum()
    statistic = np.einsum("ej,ej->j", t, np.linalg.solve(omega, t)) / variance
    total = np.cumsum(statistic[::-1])
    df = contrasts.shape[0]
    return [
        (float(special.chdtrc(m * df, total[m - 1])), f"means of the {_leading(m, p)} differ between environments")
        for m in blocks(p)
    ]


def _covariance_tests(
    held_out: HeldOut, everybody: HeldOut, p: int, tolerance: float, noise: float
) -> list[tuple[float, str]]:
    return [
        (
            covariance_spread_p(everybody if m == p else held_out, slice(p - m, p), tolerance=tolerance, noise=noise),
            f"covariances of the {_leading(m, p)} differ between environments",
        )
        for m in blocks(p)
    ]


def covariance_spread_p(held_out: HeldOut, block: slice, *, tolerance: float = 0.0, noise: float = 1.0) -> float:
    """p-value of equal covariances of a block of m directions in all environments.

    F = [sum_e n_e ||C_e - C||^2 / (E - 1)] / [spread between folds within environments], with (E - 1) m (m + 1) / 2 and
    E (K - 1) m (m + 1) / 2 degrees of freedom, noncentral by sum_e n_e m tolerance^2 / 2 (Patnaik's approximation).
    """
    n = held_out.n_samples - 1
    spread = held_out.between_spread[block, block]
    between, within = float(spread.sum()), float(held_out.within_spread[block, block].sum())
    m = spread.shape[0]
    entries = m * (m + 1) / 2
    df = (len(n) - 1) * entries
    if within <= 0:
        return 1.0
    scaled, df = _patnaik(between / within * entries / noise, df, float(n.sum()) * m * tolerance**2 / 2 / noise)
    return float(special.fdtrc(df, held_out.n_within * entries, scaled / df))


def _patnaik(statistic: float, df: float, noncentrality: float) -> tuple[float, float]:
    """A noncentral chi2 as c chi2(f): statistic / c and f. Source: Patnaik (1949), Biometrika 36:202."""
    c = (df + 2 * noncentrality) / (df + noncentrality)
    return statistic / c, (df + noncentrality) ** 2 / (df + 2 * noncentrality)


def _independence_tests(
    system: StationarySystem,
    held_out: HeldOut,
    leak: FloatArray,
    contrasts: FloatArray,
    tolerance: float,
    noise: float = 1.0,
) -> list[tuple[float, str]]:
    out = []
    n = held_out.n_samples
    p = held_out.means.shape[1] - leak.shape[0]
    for k in range(leak.shape[0]):
        own = system.deviations[:, p + k, p:]
        sampling = held_out.within_spread[:p, p + k].mean()
        omega = contrasts @ (np.diag(sampling / n) + own @ leak @ own.T) @ contrasts.T
        t = contrasts @ held_out.covariances[:, :p, p + k]
        statistic = float(np.sum(t * np.linalg.solve(omega, t))) / noise
        scaled, df = _patnaik(statistic, p * contrasts.shape[0], float(n.sum()) * tolerance**2 / noise)
        p_value = float(special.fdtrc(df, p * held_out.n_within, scaled / df))
        out.append((p_value, f"covariance with set-aside direction {k + 1} differs between environments"))
    return out


def _leading(m: int, p: int) -> str:
    if m == p:
        return f"{p} directions together" if p > 1 else "one direction left"
    return "least invariant direction" if m == 1 else f"{m} least invariant directions"


def shift_rank(moments: EnvironmentMoments, basis: FloatArray, *, rejection: float, noise: float = 1.0) -> int:
    """Number of independent directions in which the means differ between environments, at most E - 1.

    Sequential test on the canonical variates: with s directions the sum of the remaining eigenvalues of
    sum_e n_e m_e m_e' is chi2((E - 1 - s)(r - s)). Source: Bartlett (1938), Proc. Cambridge Phil. Soc. 34:33.
    """
    means = (moments.mean - moments.grand_mean()) @ basis * np.sqrt(moments.n_samples)[:, None]
    values = np.sort(np.linalg.svd(means, compute_uv=False) ** 2)[::-1] / noise
    rank = basis.shape[1]
    free = len(moments.n_samples) - 1
    for s in range(min(free, rank)):
        if special.chdtrc((free - s) * (rank - s), values[s:].sum()) >= rejection:
            return s
    return int(min(free, rank))
