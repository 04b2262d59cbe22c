"""Random folds of people, even within environments, by a person's id and not by the order of the rows."""

from __future__ import annotations

import numpy as np

from invarmr.arrays import IntArray, StrArray

__all__ = ["assign_folds", "split_people"]


def assign_folds(environment: IntArray, *, n_folds: int, seed: int, sample_ids: StrArray | None = None) -> IntArray:
    """Random fold (n,) of every sample, 0..n_folds-1, as even as possible within each environment.

    With `sample_ids` a person's fold follows from the id and not from the order of the rows.
    """
    return _dealt(environment, n_folds, np.random.default_rng(seed), sample_ids)


def split_people(
    environment: IntArray,
    *,
    n_parts: int,
    seed: int,
    sample_ids: StrArray | None = None,
    cluster: IntArray | None = None,
) -> IntArray:
    """Random part (n,) of every sample, 0..n_parts-1, for learning on some people and estimating on others.

    As `assign_folds`, from another stream of random numbers, and clusters stay whole: people who depend on each other
    (a family) are never on both sides. A cluster counts for the environment of its first member by id.

    Examples
    --------
    >>> environment = np.repeat([0, 1], 6)
    >>> part = split_people(environment, n_parts=3, seed=1)
    >>> np.bincount(part[environment == 0]).tolist(), np.bincount(part[environment == 1]).tolist()
    ([2, 2, 2], [2, 2, 2])
    >>> part = split_people(environment, n_parts=3, seed=1, cluster=np.arange(12) // 2)
    >>> bool((part[::2] == part[1::2]).all())
    True
    """
    generator = np.random.default_rng([seed, _STREAM])
    if cluster is None:
        return _dealt(environment, n_parts, generator, sample_ids)
    order = np.arange(len(environment)) if sample_ids is None else np.argsort(sample_ids, kind="stable")
    _, place, code = np.unique(cluster[order], return_index=True, return_inverse=True)
    first = order[place]
    part = np.empty(len(environment), dtype=np.intp)
    ids = None if sample_ids is None else sample_ids[first]
    part[order] = _dealt(environment[first], n_parts, generator, ids)[code]
    return part


_STREAM = 11
"""Of `split_people`, so that its parts have nothing to do with the folds of a learner with the same seed."""


def _dealt(environment: IntArray, n_folds: int, generator: np.random.Generator, ids: StrArray | None) -> IntArray:
    fold = np.empty(len(environment), dtype=np.intp)
    for code in range(int(environment.max()) + 1):
        members = np.flatnonzero(environment == code)
        if ids is not None:
            members = members[np.argsort(ids[members], kind="stable")]
        fold[generator.permutation(members)] = np.arange(len(members)) % n_folds
    return fold
