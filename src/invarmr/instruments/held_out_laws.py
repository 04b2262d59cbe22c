"""Beyond means and covariances: the law of the learned instruments, and their independence of what was set aside.

`stationary` matches means and covariances. Where the mixing is not linear that is not enough: polynomials of the
confounded part can match both. Two tests, on held-out people, of what means and covariances do not show:

* **same shape**: W, centred and whitened within every environment, has the same law in all of them. Statistic
  sum_e n_e ||m_e - m||^2, m_e the mean in environment e of random Fourier features cos(omega'w + b) of the Gaussian
  kernel (MMD; median heuristic); reference: environment labels permuted over people.
* **independence beyond correlation**: W, its least-squares fit on V within the environment taken out, is independent of
  V within every environment. Statistic sum_e n_e ||cov_e(phi(w), psi(v))||^2 with such features of both (HSIC);
  reference: W permuted over people within environments.

Features are taken of fitted quantities, and permuting these must be as good as fitting anew. To first order, centring
and whitening w move the mean of phi by -E[d phi]'m - tr(E[w d phi']'(C - 1)) / 2, m and C the mean and covariance of w
before; so phi - E[d phi]'w - tr(E[w d phi']'(w w' - 1)) / 2 takes its place, whose mean is the same and whose variance
is right. Taking the linear fit on v out of w moves the covariance with psi by a multiple of E[v psi]; so psi is taken
less its own linear fit on v, and phi less its own on w. By the independence of W and V the error of learning a linear
map (W^ = W + L V, V^ = V + M W, with L and M of order n^-1/2) then moves neither statistic to first order and need not
be allowed for. Allele copies cannot keep their law where frequencies differ; the tests are for scores.

Symbols: W (n, p), V (n, q), codes of E environments. Sources: Gretton et al. (2012), Journal of Machine Learning
Research 13:723; Gretton et al. (2008), Advances in Neural Information Processing Systems 20; Rahimi & Recht (2007),
ibid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from invarmr.arrays import FloatArray, IntArray
from invarmr.data.cohort import Cohort
from invarmr.data.latent_instruments import LatentInstruments
from invarmr.linalg.symmetric import inverse_root

__all__ = ["LawTest", "independence_test", "law_tests", "shape_test"]

N_FEATURES = 64
MOST_DIRECTIONS = 10
"""Of W (the least invariant) and of V (the most variable between environments) that enter."""
FEWEST_PEOPLE = 50
"""Held-out people that an environment needs to take part."""


@dataclass(frozen=True, kw_only=True)
class LawTest:
    """One test on held-out people.

    Parameters
    ----------
    name, null
        What is tested, and the null hypothesis in words.
    statistic, p_value
        (1 + #{permuted statistic >= statistic}) / (permutations + 1).
    tail_p
        P(G >= statistic) for G of the gamma law with the mean and variance of the permuted statistics: how far a
        statistic is that no permutation reaches. For putting rejected learners in order, not for rejecting.
    n_samples
        Held-out people used.
    """

    name: str
    null: str
    statistic: float
    p_value: float
    tail_p: float
    n_samples: int


def law_tests(
    cohort: Cohort, latent: LatentInstruments, *, seed: int, n_permutations: int = 199, max_samples: int = 4_000
) -> tuple[LawTest, ...]:
    """Test shape and independence of the learned instruments on people held out when learning.

    Parameters
    ----------
    cohort
        The people learned from.
    latent
        What was learned, with folds.
    seed, n_permutations
        Of features, permutations and the choice of at most `max_samples` people.

    Returns
    -------
    tuple
        Empty where the tests cannot be made: allele copies, nobody held out, fewer than two environments with 50
        held-out people. The second test is left out where no direction was set aside.
    """
    seen = cohort.represented(latent) if latent.n_latent else cohort
    if seen.instrument_kind == "genotype" or not latent.n_latent or latent.trained_loadings is None:
        return ()
    if latent.fold is None or not latent.held_out:
        return ()
    people = np.flatnonzero(np.isin(latent.fold, latent.held_out))
    counts = np.bincount(cohort.environment[people], minlength=len(cohort.environments))
    people = people[counts[cohort.environment[people]] >= FEWEST_PEOPLE]
    if np.count_nonzero(counts >= FEWEST_PEOPLE) < 2:
        return ()
    generator = np.random.default_rng(seed)
    if len(people) > max_samples:
        people = np.sort(generator.choice(people, max_samples, replace=False))
    _, codes = np.unique(cohort.environment[people], return_inverse=True)
    centred = seen.instruments.read(people).astype(np.float64) - latent.center
    W = centred @ latent.trained_loadings[:, -MOST_DIRECTIONS:]
    V = centred @ latent.confounded_loadings[:, -MOST_DIRECTIONS:]
    found = [shape_test(W, codes, generator=generator, n_permutations=n_permutations)]
    if V.shape[1]:
        found.append(independence_test(W, V, codes, generator=generator, n_permutations=n_permutations))
    return tuple(found)


def shape_test(W: FloatArray, codes: IntArray, *, generator: np.random.Generator, n_permutations: int = 199) -> LawTest:
    """Test that W (n, p), whitened within environments, has the same law in each."""
    white = _within(W, codes)
    features, slopes, bends = _features(white, generator)
    squares = np.einsum("ni,nj->nij", white, white) - np.eye(white.shape[1])
    features = features - features.mean(axis=0) - white @ slopes - np.tensordot(squares, bends, 2) / 2
    sizes = np.bincount(codes)
    places = np.arange(len(sizes))[:, None]

    def statistic(labels: IntArray) -> float:
        sums = (labels == places).astype(np.float64) @ features
        return float(np.sum(np.sum(sums**2, axis=1) / sizes))  # the grand mean of the features is 0

    observed = statistic(codes)
    drawn = [statistic(generator.permutation(codes)) for _ in range(n_permutations)]
    return LawTest(
        name="same shape in every environment",
        null="the learned instruments, centred and whitened within environments, have the same law in all of them",
        statistic=observed,
        p_value=_p(observed, drawn),
        tail_p=_tail_p(observed, drawn),
        n_samples=len(W),
    )


def independence_test(
    W: FloatArray, V: FloatArray, codes: IntArray, *, generator: np.random.Generator, n_permutations: int = 199
) -> LawTest:
    """Test that W (n, p), less its linear fit on V (n, q), is independent of V within environments."""
    groups = [np.flatnonzero(codes == e) for e in range(int(codes.max()) + 1)]
    V = _within(V, codes)
    W = _within(_residual(W, V, groups), codes)
    phi, psi = _features(W, generator)[0], _features(V, generator)[0]
    for group in groups:
        phi[group] -= phi[group].mean(axis=0)
        psi[group] -= psi[group].mean(axis=0)
    phi, psi = (_residual(*pair, groups).astype(np.float32) for pair in ((phi, W), (psi, V)))  # halves the time

    def statistic(orders: Sequence[IntArray]) -> float:
        pairs = zip(groups, orders, strict=True)
        return float(sum(np.sum((phi[order].T @ psi[group]) ** 2) / len(group) for group, order in pairs))

    observed = statistic(groups)
    drawn = [statistic([generator.permutation(group) for group in groups]) for _ in range(n_permutations)]
    return LawTest(
        name="independence beyond correlation",
        null="in every environment the learned instruments, less a linear fit, are independent of what was set aside",
        statistic=observed,
        p_value=_p(observed, drawn),
        tail_p=_tail_p(observed, drawn),
        n_samples=len(W),
    )


def _p(observed: float, drawn: list[float]) -> float:
    return (1 + sum(value >= observed for value in drawn)) / (len(drawn) + 1)


def _tail_p(observed: float, drawn: list[float]) -> float:
    mean, variance = float(np.mean(drawn)), float(np.var(drawn, ddof=1))
    if not variance > 0:
        return float(observed <= mean)
    return float(stats.gamma.sf(observed, mean**2 / variance, scale=variance / mean))


def _within(X: FloatArray, codes: IntArray) -> FloatArray:
    """Centre and whiten within every environment; a direction without variance stays at 0."""
    out = np.empty_like(X)
    for e in range(int(codes.max()) + 1):
        group = codes == e
        centred = X[group] - X[group].mean(axis=0)
        out[group] = centred @ inverse_root(centred.T @ centred / len(centred))
    return out


def _residual(W: FloatArray, V: FloatArray, groups: Sequence[IntArray]) -> FloatArray:
    """W less its least-squares fit on V, which is centred and white within every group."""
    out = np.empty_like(W)
    for group in groups:
        w, v = W[group] - W[group].mean(axis=0), V[group]
        out[group] = w - v @ (v.T @ w / len(group))
    return out


def _features(X: FloatArray, generator: np.random.Generator) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Random Fourier features (n, m) of the Gaussian kernel, E[d phi] (p, m) and E[w d phi'] (p, p, m), symmetric.

    The bandwidth is the median distance between rows of X.
    """
    first, second = generator.integers(0, len(X), (2, 500))
    distance = np.sqrt(np.sum((X[first] - X[second]) ** 2, axis=1))
    bandwidth = float(np.median(distance[distance > 0])) if np.any(distance > 0) else 1.0
    omega = generator.normal(size=(X.shape[1], N_FEATURES)) / bandwidth
    angle = X @ omega + generator.uniform(0, 2 * np.pi, N_FEATURES)
    falling = -np.sin(angle)
    bends = (X.T @ falling / len(X))[:, None, :] * omega
    return np.cos(angle), falling.mean(axis=0) * omega, (bends + bends.swapaxes(0, 1)) / 2
