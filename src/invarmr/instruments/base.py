"""The contract of every learner: frozen settings, and `fit(data, seed=...) -> LatentInstruments`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from invarmr.arrays import IntArray, StrArray
from invarmr.data.cohort import Cohort
from invarmr.data.latent_instruments import LatentInstruments
from invarmr.data.moments import EnvironmentMoments

__all__ = ["Learner", "assign_folds"]


class Learner(ABC):
    """A learner of latent instruments."""

    name: ClassVar[str]

    @abstractmethod
    def fit(self, data: Cohort | Sequence[EnvironmentMoments], *, seed: int) -> LatentInstruments:
        """Learn from a cohort, or (linear learners) from the moments of disjoint folds of its samples."""


def assign_folds(environment: IntArray, *, n_folds: int, seed: int, sample_ids: StrArray | None = None) -> IntArray:
    """Random fold (n,) of every sample, 0..n_folds-1, as even as possible within each environment.

    With `sample_ids` a person's fold follows from the id and not from the order of the rows.
    """
    generator = np.random.default_rng(seed)
    fold = np.empty(len(environment), dtype=np.intp)
    for code in range(int(environment.max()) + 1):
        members = np.flatnonzero(environment == code)
        if sample_ids is not None:
            members = members[np.argsort(sample_ids[members], kind="stable")]
        fold[generator.permutation(members)] = np.arange(len(members)) % n_folds
    return fold
