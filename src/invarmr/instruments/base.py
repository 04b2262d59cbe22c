"""The contract of every learner: frozen settings, and `fit(data, seed=...) -> LatentInstruments`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from invarmr.data.cohort import Cohort
from invarmr.data.folds import assign_folds
from invarmr.data.latent_instruments import LatentInstruments
from invarmr.data.moments import EnvironmentMoments

__all__ = ["Learner", "assign_folds"]


class Learner(ABC):
    """A learner of latent instruments."""

    name: ClassVar[str]

    @abstractmethod
    def fit(self, data: Cohort | Sequence[EnvironmentMoments], *, seed: int) -> LatentInstruments:
        """Learn from a cohort, or (linear learners) from the moments of disjoint folds of its samples."""
