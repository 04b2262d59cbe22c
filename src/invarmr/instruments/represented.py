"""From the features of a nonlinear learner to latent instruments: the stationary split of the features.

A representation that undoes the mixing leaves features that are a linear mixture of the invariant and the confounded
part, or near to one. What `stationary` does with linearly mixed instruments is then done with the features: the same
split in closed form, tests on the same held-out people, allowance for the error of learning, and verdict.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from invarmr.arrays import IntArray
from invarmr.data.cohort import Cohort
from invarmr.data.latent_instruments import LatentInstruments
from invarmr.data.representation import Representation, represent
from invarmr.instruments.base import assign_folds
from invarmr.instruments.stationary import StationaryInstruments

__all__ = ["learn_from_features", "training_people"]

N_FOLDS = 10
N_HELD_OUT = 3


def training_people(
    cohort: Cohort, *, seed: int, n_folds: int = N_FOLDS, n_held_out: int = N_HELD_OUT
) -> tuple[IntArray, IntArray]:
    """People whom a representation may be trained on, and those held out: the folds that `learn_from_features` uses."""
    fold = assign_folds(cohort.environment, n_folds=n_folds, seed=seed, sample_ids=cohort.sample_ids)
    return np.flatnonzero(fold < n_folds - n_held_out), np.flatnonzero(fold >= n_folds - n_held_out)


def learn_from_features(
    cohort: Cohort,
    representation: Representation,
    *,
    learner: str,
    settings: Mapping[str, Any],
    n_latent: int | None = None,
    seed: int = 1,
    n_folds: int = N_FOLDS,
    n_held_out: int = N_HELD_OUT,
    rejection: float = 0.01,
) -> LatentInstruments:
    """Split the features of a cohort into latent instruments and the rest, and test the split on held-out people.

    Parameters
    ----------
    cohort
        The people, with the instruments as observed.
    representation
        Trained on `training_people(cohort, seed=seed)[0]` alone, or the held-out tests mean nothing.
    learner, settings
        Who trained it, and how.
    n_latent
        Number of latent instruments; None: the largest that held-out people do not reject.
    seed, n_folds, n_held_out, rejection
        As in `StationaryInstruments`.
    """
    source = represent(cohort.instruments, representation)
    seen = replace(
        cohort,
        instruments=source,
        instrument_names=representation.feature_names,
        instrument_kind="score",
        weights=None,
        observed=cohort,
    )
    split = StationaryInstruments(
        n_latent=n_latent, n_folds=n_folds, n_held_out=n_held_out, rejection=rejection, held_out_only=True
    )
    latent = split.fit(seen, seed=seed)
    return replace(
        latent,
        learner=learner,
        instrument_names=cohort.instrument_names,
        feature_names=representation.feature_names,
        representation=representation,
        settings={**settings, "features": dict(latent.settings)},
    )
