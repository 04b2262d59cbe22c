"""`auto`: from the simplest learner up, the first whose held-out checks pass.

The ladder is stationary (linear mixtures), polynomial (polynomial mixtures), flow (smooth mixtures; left out where
torch is not installed). A learner is left for the next one when held-out people reject what it learned: no number of
latent instruments keeps means and covariances, or the kept ones do not keep their law or depend on the directions set
aside (`held_out_laws`). A map that bends must also show that the data do: where moments reject every linear split, and
held-out people are no likelier under the bent map than under a linear one, its passing on fewer people counts for
nothing. A data set in which the environments cannot show what is confounded is not helped
by a more flexible learner: the ladder ends there, and the verdict says `not identified`.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, final

from invarmr.data.cohort import Cohort
from invarmr.data.latent_instruments import LadderStep, LatentInstruments
from invarmr.data.moments import EnvironmentMoments
from invarmr.errors import InputError
from invarmr.instruments.base import Learner
from invarmr.instruments.held_out_laws import law_tests
from invarmr.instruments.registry import LEARNERS, build_learner

__all__ = ["AutomaticInstruments"]

_NEURAL = ("flow",)


_STANDARD_ERRORS = 2.0
_AS_LINEAR = (
    "Held-out people are no likelier under its map than under a linear one, and with a linear one no number of latent "
    "instruments keeps means and covariances."
)


@final
@dataclass(frozen=True, kw_only=True)
class AutomaticInstruments(Learner):
    """The simplest learner whose result held-out people do not reject.

    Parameters
    ----------
    n_latent
        Number of latent instruments; None: chosen by each learner.
    n_folds, n_held_out
        As in `StationaryInstruments`.
    ladder
        Names of learners, from the simplest up. Those after `stationary` take scores only: allele copies of variants
        are linear in ancestry to the accuracy that matters, and their law cannot be the same where frequencies differ.
    rejection, n_permutations
        A test of law rejects where its permutation p-value is below `rejection`: with 199 permutations and 0.01, where
        no permutation reaches the observed statistic, which has probability 0.005 for each of the two tests.

    Notes
    -----
    Where every learner of the ladder is rejected, what held-out people speak against least comes back (the smallest
    p-value of its tests is the largest; `LawTest.tail_p` for tests of law), with the verdict `rejected`. The steps are
    in `LatentInstruments.ladder`.

    Examples
    --------
    >>> import numpy as np, invarmr
    >>> rng = np.random.default_rng(0)
    >>> site = np.repeat(["a", "b"], 2000)
    >>> confounder = rng.normal(2.0 * (site == "b"), 1.0)
    >>> confounded = rng.normal(size=4000) + (1 + (site == "b")) * confounder
    >>> valid = rng.normal(size=4000)
    >>> instrument = np.column_stack([valid + confounded, valid - confounded])
    >>> exposure = valid + confounded + confounder + rng.normal(size=4000)
    >>> cohort = invarmr.Cohort.from_arrays(
    ...     instrument=instrument, exposure=exposure, outcome=exposure + confounder, environment=site)
    >>> latent = invarmr.AutomaticInstruments().fit(cohort, seed=1)
    >>> [(step.learner, step.passed) for step in latent.ladder]
    [('stationary', True)]
    """

    n_latent: int | None = None
    n_folds: int = 10
    n_held_out: int = 3
    ladder: tuple[str, ...] = ("stationary", "polynomial", "flow")
    rejection: float = 0.01
    n_permutations: int = 199
    name: ClassVar[str] = "auto"

    def fit(self, data: Cohort | Sequence[EnvironmentMoments], *, seed: int = 1) -> LatentInstruments:
        """Climb the ladder.

        Parameters
        ----------
        data
            A cohort: the tests of law need people.
        seed
            Of everything that is drawn.

        Raises
        ------
        InputError
            Moments in place of a cohort, an unknown learner in the ladder, or what the first learner refuses.
        """
        if not isinstance(data, Cohort):
            raise InputError(
                "The automatic choice tests people and needs the cohort, but moments came. "
                "StationaryInstruments learns from moments alone."
            )
        return self.climb(data, self._learn(self._rungs(data)[0], data, seed), seed=seed)

    def climb(self, cohort: Cohort, first: LatentInstruments, *, seed: int) -> LatentInstruments:
        """Climb from `first`, which the lowest learner of the ladder has learned from `cohort` with the same seed."""
        rungs = self._rungs(cohort)
        latent = first
        step, p_value = self._judge(rungs[0], cohort, first, seed)
        steps, rejected = [step], [(p_value, first)]
        for name in rungs[1:]:
            if steps[-1].passed:
                break
            try:
                latent = self._learn(name, cohort, seed)
            except InputError as error:
                steps.append(LadderStep(learner=name, n_latent=0, passed=False, reason=str(error)))
                continue
            step, p_value = self._judge(name, cohort, latent, seed)
            if step.passed and first.verdict.status == "rejected" and _as_linear(latent):
                step = replace(step, passed=False, reason=_AS_LINEAR)
            steps.append(step)
            rejected.append((p_value, latent))
        if not steps[-1].passed:
            latent = max(rejected, key=lambda pair: pair[0])[1]  # the simplest of equals
        return replace(latent, ladder=tuple(steps))

    def _rungs(self, cohort: Cohort) -> tuple[str, ...]:
        known = tuple(name for name in LEARNERS if name != self.name)
        if not self.ladder:
            raise InputError(f"The ladder must have at least one learner ({', '.join(known)}), but is empty.")
        for name in self.ladder:
            if name not in known:
                raise InputError(f"The ladder must be made of {', '.join(known)}, but has {name!r}.")
        if cohort.instrument_kind == "genotype":
            return self.ladder[:1]
        torch = importlib.util.find_spec("torch") is not None
        return tuple(name for name in self.ladder if torch or name not in _NEURAL)

    def _learn(self, name: str, cohort: Cohort, seed: int) -> LatentInstruments:
        learner = build_learner(name, n_latent=self.n_latent, n_folds=self.n_folds, n_held_out=self.n_held_out)
        return learner.fit(cohort, seed=seed)

    def _judge(self, name: str, cohort: Cohort, latent: LatentInstruments, seed: int) -> tuple[LadderStep, float]:
        """The step, and the smallest p-value of the tests that it rests on (below 0: nothing was kept)."""
        learned = latent.verdict
        if learned.status == "rejected":
            p_value = latent.path[-1].smallest_p if latent.n_latent and latent.path else -1.0
            return LadderStep(learner=name, n_latent=0, passed=False, reason=learned.reasons[0]), p_value
        tests = law_tests(cohort, latent, seed=seed, n_permutations=self.n_permutations)
        failed = [test for test in tests if test.p_value < self.rejection]
        if failed:
            said = "; ".join(f"{test.name}, p = {test.p_value:.2g}" for test in failed)
            reason = f"Held-out people reject what it learned ({said})."
        elif tests:
            said = "; ".join(f"{test.name}, p = {test.p_value:.2g}" for test in tests)
            reason = f"Held-out people do not reject what it learned ({said})."
        else:
            reason = "Means and covariances pass on held-out people; tests of law do not apply to allele copies."
        step = LadderStep(learner=name, n_latent=latent.n_latent, passed=not failed, reason=reason)
        return step, min((test.tail_p for test in tests), default=1.0)


def _as_linear(latent: LatentInstruments) -> bool:
    """Whether the map gains less than two standard errors of held-out log density over a linear one, where told."""
    gain = latent.settings.get("gain_over_linear")
    return gain is not None and gain["held_out"] <= _STANDARD_ERRORS * gain["std_error"]
