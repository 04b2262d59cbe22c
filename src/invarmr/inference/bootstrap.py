"""A bootstrap that learns the instruments again, and chooses their number again, in every replicate.

Symbols: n people in K folds and E environments; J blocks of people in each fold and environment, with the moments of
each; theta the estimate, theta*_b that of replicate b.

A replicate draws, for every fold and environment, J blocks with replacement, merges their moments exactly, and hands
the K folds to the learner and the whole to the estimator: nothing looks at the people again, so that a replicate costs
the same for any n. Folds to learn from are drawn from the blocks of all such folds, and folds held out from those of
all folds held out, so that tests on them stay tests, and folds differ by no more than chance. A replicate has the noise
of the people and that of drawing them, and its learner counts both (`StationaryInstruments.noise_variance`).

The interval has the quantiles of theta*_b as its ends: where the number of latent instruments is uncertain, replicates
with one direction more or fewer are part of it, and theta itself may have one too many. Blocks of more than one person
are a bootstrap of independent people: they are drawn at random. Sources: Efron (1979), Annals of Statistics 7:1; Efron
& Tibshirani (1993), An Introduction to the Bootstrap, chapter 13.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from invarmr.arrays import FloatArray, IntArray, read_only
from invarmr.data.cohort import Cohort
from invarmr.data.design import IVDesign
from invarmr.data.latent_instruments import LatentInstruments
from invarmr.data.moments import EnvironmentMoments, merge_moments
from invarmr.errors import InputError
from invarmr.inference.confidence_set import ConfidenceSet
from invarmr.inference.wald import check_level

__all__ = ["BootstrapInterval", "bootstrap_effect"]


class _Estimated(Protocol):
    @property
    def estimate(self) -> float: ...


class _Estimator(Protocol):
    def fit(self, design: IVDesign) -> _Estimated: ...


class _Learner(Protocol):
    def fit_replicates(self, replicates: Sequence[Sequence[EnvironmentMoments]]) -> Sequence[LatentInstruments]: ...


@dataclass(frozen=True, eq=False)
class BootstrapInterval:
    """What a bootstrap says of an effect.

    Parameters
    ----------
    estimate
        Of the design, from everybody.
    confidence_set
        From the quantiles of the replicates.
    std_error
        Standard deviation of the replicates.
    replicates
        The estimate in each replicate that had latent instruments.
    n_latent
        Number of latent instruments in every replicate; 0 where held-out people rejected every number, so that there
        is no estimate.
    """

    estimate: float
    confidence_set: ConfidenceSet
    std_error: float
    replicates: FloatArray
    n_latent: IntArray

    def __post_init__(self) -> None:
        for name in ("replicates", "n_latent"):
            object.__setattr__(self, name, read_only(getattr(self, name)))

    def __str__(self) -> str:
        counts = np.bincount(self.n_latent)
        chosen = ", ".join(f"{p} in {count}" for p, count in enumerate(counts.tolist()) if count)
        return (
            f"{self.estimate:.4f} ({100 * self.confidence_set.level:g} % bootstrap set {self.confidence_set}; "
            f"latent instruments {chosen} of {len(self.n_latent)} replicates)"
        )


def bootstrap_effect(
    design: IVDesign,
    learner: _Learner,
    estimator: _Estimator,
    *,
    n_replicates: int = 200,
    level: float = 0.95,
    seed: int = 1,
    n_blocks: int = 50,
) -> BootstrapInterval:
    """Bootstrap an effect estimated with learned instruments, learning them again in every replicate.

    Parameters
    ----------
    design
        On instruments that `stationary` or `polynomial` learned from the cohort of the design. What other learners did
        before their stationary split is taken as known, and so are the linear directions that `polynomial` found: these
        are exact where the instruments carry no noise.
    learner
        Of moments: `StationaryInstruments.like(design.latent)`, which has the settings the instruments were learned
        with, and says when their number is chosen again.
    estimator
        `LimitedInformationML()`, say.
    n_replicates, level, seed
        Replicates, level of the interval, seed of the draws.
    n_blocks
        Blocks in each fold and environment; fewer where there are fewer people, or where so many columns would not fit
        in memory.

    Raises
    ------
    InputError
        A design without people or without learned instruments, fewer than 20 replicates, or no replicate with latent
        instruments.

    Examples
    --------
    >>> import invarmr
    >>> from invarmr.simulate.latent import LatentDesign, simulate_latent
    >>> cohort = simulate_latent(LatentDesign(mixing="poly2", n_samples=2_000), seed=1).cohort
    >>> latent = invarmr.PolynomialInstruments().fit(cohort, seed=1)
    >>> design = invarmr.IVDesign.from_cohort(cohort, latent)
    >>> learner = invarmr.StationaryInstruments.like(latent)
    >>> found = bootstrap_effect(design, learner, invarmr.LimitedInformationML(), n_replicates=40)
    >>> 1.0 in found.confidence_set
    True
    """
    check_level(level)
    if n_replicates < 20:
        raise InputError(f"n_replicates must be at least 20 (200 for an interval to report), but is {n_replicates}.")
    latent, cohort = design.latent, design.cohort
    if latent is None or cohort is None or latent.fold is None or latent.n_latent == 0:
        raise InputError(
            "The bootstrap learns instruments again from blocks of people: it needs a design from "
            "IVDesign.from_cohort(cohort, latent) with the cohort that latent was learned from."
        )
    generator = np.random.default_rng(seed)
    pools = _blocks(cohort, latent, n_blocks, generator)
    found, numbers = [], []
    at_once = max(1, min(_AT_ONCE, int(_MOST_NUMBERS / sum(pool.size_of_replicate for pool in pools))))
    for start in range(0, n_replicates, at_once):
        drawn = [
            [fold for pool in pools for fold in pool.draw(generator)] for _ in range(min(at_once, n_replicates - start))
        ]
        for folds, latent in zip(drawn, learner.fit_replicates(drawn), strict=True):
            numbers.append(latent.n_latent)
            if latent.n_latent:
                found.append(_again(folds, latent, design, estimator))
    if not found:
        raise InputError(
            "In no replicate did held-out people leave a latent instrument: there is nothing to bootstrap."
        )
    replicates = np.array(found)
    tail = (1.0 - level) / 2.0
    low, high = np.quantile(replicates, [tail, 1.0 - tail], method="weibull")
    return BootstrapInterval(
        estimate=float(estimator.fit(design).estimate),
        confidence_set=ConfidenceSet(((float(low), float(high)),), level),
        std_error=float(replicates.std(ddof=1)) if len(replicates) > 1 else 0.0,
        replicates=replicates,
        n_latent=np.array(numbers, dtype=np.intp),
    )


def _again(
    folds: Sequence[EnvironmentMoments], latent: LatentInstruments, design: IVDesign, estimator: _Estimator
) -> float:
    again = IVDesign.from_moments(
        merge_moments(folds),
        latent,
        controls=design.controls,
        environment_effects=design.environment_effects,
        partial_confounded=design.confounded_loadings is not None,
    )
    return float(estimator.fit(again).estimate)


_AT_ONCE = 50
"""Replicates that are drawn and learned from together; fewer where so many columns would not fit in memory."""
_MOST_NUMBERS = 3e7
"""Entries of the moments that are kept in memory: of all blocks, and of the replicates learned from together."""
_FEWEST_BLOCKS = 5


@dataclass(frozen=True, eq=False)
class _Blocks:
    """Blocks of people of some folds, as sums about a center.

    Parameters
    ----------
    columns, environments
        Names.
    center
        (m,).
    n_folds
        Folds that a replicate has of these people.
    counts, first, second
        (E, B), (E, B, m), (E, B, m^2): people, sums and sums of products of each block.
    """

    columns: tuple[str, ...]
    environments: tuple[str, ...]
    center: FloatArray
    n_folds: int
    counts: IntArray
    first: FloatArray
    second: FloatArray

    @classmethod
    def of(cls, parts: Sequence[EnvironmentMoments], *, n_folds: int) -> _Blocks:
        """Moments of blocks as sums."""
        counts = np.stack([part.n_samples for part in parts])
        means = np.stack([part.mean for part in parts])
        center = np.einsum("be,bem->m", counts, means) / counts.sum()
        first = means - center
        second = np.stack([part.crossproduct for part in parts])
        second = second + counts[:, :, None, None] * first[:, :, :, None] * first[:, :, None, :]
        return cls(
            columns=parts[0].columns,
            environments=parts[0].environments,
            center=center,
            n_folds=n_folds,
            counts=counts.T,
            first=np.ascontiguousarray((first * counts[:, :, None]).transpose(1, 0, 2)),
            second=np.ascontiguousarray(second.reshape(*counts.shape, -1).transpose(1, 0, 2)),
        )

    @property
    def size_of_replicate(self) -> int:
        """Entries of the moments of one replicate."""
        return self.n_folds * len(self.environments) * len(self.columns) ** 2

    def draw(self, generator: np.random.Generator) -> tuple[EnvironmentMoments, ...]:
        """Moments of each fold in one replicate: every fold draws from all blocks, as folds draw from people."""
        K, (E, B) = self.n_folds, self.counts.shape
        m = len(self.columns)
        times = generator.multinomial(B // K, np.full(B, 1.0 / B), size=(K, E))
        n = (times * self.counts).sum(axis=2)
        weights = times.astype(np.float64)
        mean = np.stack([weights[:, e] @ self.first[e] for e in range(E)], axis=1) / n[:, :, None]
        cross = np.stack([weights[:, e] @ self.second[e] for e in range(E)], axis=1).reshape(K, E, m, m)
        cross = cross - n[:, :, None, None] * mean[:, :, :, None] * mean[:, :, None, :]
        return tuple(
            EnvironmentMoments(self.columns, self.environments, n[k], mean[k] + self.center, cross[k]) for k in range(K)
        )


def _blocks(
    cohort: Cohort, latent: LatentInstruments, n_blocks: int, generator: np.random.Generator
) -> tuple[_Blocks, ...]:
    """Blocks of people, drawn at random within folds and environments: of those learned from, and of those held out."""
    seen, fold = cohort.represented(latent), np.asarray(latent.fold)
    K, E = int(fold.max()) + 1, len(cohort.environments)
    group = fold * E + cohort.environment
    basis = _components(latent, seen)
    m = len(seen.columns) - seen.n_instruments + basis.shape[1]
    room = max(_FEWEST_BLOCKS, int(_MOST_NUMBERS / (K * E * m * m)))
    J = min(n_blocks, int(np.bincount(group, minlength=K * E).min()), room)
    block = np.empty(len(fold), dtype=np.intp)
    for code in range(K * E):
        members = generator.permutation(np.flatnonzero(group == code))
        block[members] = (code // E) * J + np.arange(len(members)) % J
    parts = [_combined(part, basis) for part in seen.folded_moments(block)]
    held_out = K - len(latent.held_out)
    return (
        _Blocks.of(parts[: held_out * J], n_folds=held_out),
        _Blocks.of(parts[held_out * J :], n_folds=K - held_out),
    )


def _components(latent: LatentInstruments, cohort: Cohort) -> FloatArray:
    """What is learned from again: the directions that were learned, which span all that the learner split.

    Allele copies are kept as they are, because they are scaled one by one within every environment.
    """
    if cohort.instrument_kind == "genotype":
        return np.eye(cohort.n_instruments)
    return np.hstack([latent.loadings, latent.confounded_loadings])


def _combined(moments: EnvironmentMoments, basis: FloatArray) -> EnvironmentMoments:
    """Moments with the instruments replaced by their combinations (d, r)."""
    columns = moments.index("instrument")
    before, after = columns[0], columns[-1] + 1
    m = len(moments.columns)
    mapping = np.zeros((m, m - len(columns) + basis.shape[1]))
    mapping[:before, :before] = np.eye(before)
    mapping[columns, before : before + basis.shape[1]] = basis
    mapping[after:, before + basis.shape[1] :] = np.eye(m - after)
    names = tuple(f"instrument:component{j + 1}" for j in range(basis.shape[1]))
    return EnvironmentMoments(
        (*moments.columns[:before], *names, *moments.columns[after:]),
        moments.environments,
        moments.n_samples,
        moments.mean @ mapping,
        mapping.T @ moments.crossproduct @ mapping,
    )
