"""LEARN: the latent instruments of a study, by the learner that its study file asks for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from invarmr.arrays import IntArray
from invarmr.data.cohort import Cohort
from invarmr.data.latent_instruments import LatentInstruments
from invarmr.data.moments import EnvironmentMoments
from invarmr.errors import InputError, first_few
from invarmr.instruments.automatic import AutomaticInstruments
from invarmr.instruments.base import Learner
from invarmr.instruments.registry import build_learner
from invarmr.instruments.stationary import StationaryInstruments
from invarmr.study.config import LearnConfig, StudyConfig

__all__ = ["N_FOLDS", "learn_study", "learner_of"]

N_FOLDS = 10


def _shared(settings: LearnConfig) -> dict[str, Any]:
    """Settings that every learner has."""
    held_out = min(max(round(settings.held_out * N_FOLDS), 2), N_FOLDS - 2)
    return {"n_latent": settings.n_latent, "n_folds": N_FOLDS, "n_held_out": held_out}


def learner_of(settings: LearnConfig) -> Learner:
    """The learner of a study, with its settings.

    Raises
    ------
    InputError
        An option that the learner does not have, of another kind or range, or that a key of `[learn]` decides.
    """
    taken = [name for name in ("n_folds", "n_held_out") if name in settings.options]
    if taken:
        raise InputError(
            f"[learn] options names {first_few(taken)}, which the study decides: give the share held out as [learn] "
            "held_out."
        )
    return build_learner(settings.method, **(_shared(settings) | settings.options))


def learn_study(
    config: StudyConfig, cohort: Cohort, moments: tuple[EnvironmentMoments, ...], fold: IntArray
) -> LatentInstruments | None:
    """Latent instruments of a cohort; None where the study asks for none.

    Parameters
    ----------
    config
        The study's settings.
    cohort
        The people.
    moments, fold
        Of each fold of them; the fold of each person.
    """
    settings, seed = config.learn, config.run.seed
    if not settings.compares_environments:
        return None
    learner = learner_of(settings)
    linear = isinstance(learner, AutomaticInstruments) and learner.ladder[:1] == (StationaryInstruments.name,)
    if not linear and not isinstance(learner, StationaryInstruments):
        return learner.fit(cohort, seed=seed)
    # linear learning needs no second look at the people: the moments of their folds are at hand
    within = cohort.instrument_kind == "genotype"
    plain = StationaryInstruments(**_shared(settings))
    stationary = learner if isinstance(learner, StationaryInstruments) else plain
    latent = replace(stationary, scale_within_environment=within).fit(moments, seed=seed)
    latent = latent.with_people(source=cohort.instruments, fold=fold)
    return learner.climb(cohort, latent, seed=seed) if isinstance(learner, AutomaticInstruments) else latent
