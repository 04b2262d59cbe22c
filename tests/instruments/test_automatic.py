"""The automatic choice: where the ladder ends, and what it says."""

from __future__ import annotations

import importlib.util
from dataclasses import replace

import pytest

import invarmr
from invarmr.data.latent_instruments import DimensionStep, LatentInstruments
from invarmr.errors import InputError
from invarmr.instruments import automatic
from invarmr.instruments.automatic import AutomaticInstruments


@pytest.fixture(scope="module")
def cohort(linear_study) -> invarmr.Cohort:
    return linear_study(1, n=600).cohort


def test_a_linear_mixture_needs_no_second_step(cohort) -> None:
    latent = AutomaticInstruments().fit(cohort, seed=1)
    assert [(step.learner, step.n_latent, step.passed) for step in latent.ladder] == [("stationary", 2, True)]
    assert "do not reject" in latent.ladder[0].reason
    assert latent.learner == "stationary"
    plain = invarmr.StationaryInstruments().fit(cohort, seed=1)
    assert latent.verdict == plain.verdict


def fake_learners(monkeypatch, cohort, behaviours):
    """Learners that return what `behaviours` says of each name."""
    first = invarmr.StationaryInstruments(n_latent=2).fit(cohort, seed=1)
    bad = replace(
        first,
        path=(DimensionStep(1, 0.0, 0.0, 0.0, 0.0, True, "means differ"),),
    )

    class Fake:
        def __init__(self, name: str) -> None:
            self.name = name

        def fit(self, data, *, seed: int) -> LatentInstruments:
            said = behaviours[self.name]
            if isinstance(said, str):
                raise InputError(said)
            return replace(first if said else bad, learner=self.name)

    monkeypatch.setattr(automatic, "build_learner", lambda name, **_: Fake(name))
    monkeypatch.setattr(automatic, "LEARNERS", dict.fromkeys(("stationary", "polynomial", "flow", "auto")))


def alter_learned(monkeypatch, alter):
    """What every learner returns goes through `alter(name, found)`."""
    made = automatic.build_learner

    class Altered:
        def __init__(self, name: str) -> None:
            self.name, self.learner = name, made(name)

        def fit(self, data, *, seed: int) -> LatentInstruments:
            return alter(self.name, self.learner.fit(data, seed=seed))

    monkeypatch.setattr(automatic, "build_learner", lambda name, **_: Altered(name))


THREE = ("stationary", "polynomial", "flow")


def test_the_first_that_passes_is_used_and_the_rest_not_tried(monkeypatch, cohort) -> None:
    fake_learners(monkeypatch, cohort, {"stationary": False, "polynomial": True, "flow": "must not be asked"})
    latent = AutomaticInstruments(ladder=THREE, n_permutations=19).fit(cohort, seed=1)
    assert latent.learner == "polynomial"
    assert [(step.learner, step.passed) for step in latent.ladder] == [("stationary", False), ("polynomial", True)]
    assert "means differ" in latent.ladder[0].reason


def test_a_learner_that_does_not_apply_is_a_step_and_not_an_error(monkeypatch, cohort) -> None:
    fake_learners(monkeypatch, cohort, {"stationary": False, "polynomial": "too few columns", "flow": True})
    latent = AutomaticInstruments(ladder=THREE, n_permutations=19).fit(cohort, seed=1)
    assert [step.reason for step in latent.ladder if step.learner == "polynomial"] == ["too few columns"]
    assert latent.learner == "flow"


def test_when_all_are_rejected_the_simplest_comes_back_rejected(monkeypatch, cohort) -> None:
    fake_learners(monkeypatch, cohort, {"stationary": False, "polynomial": False, "flow": "needs more people"})
    latent = AutomaticInstruments(ladder=THREE, n_permutations=19).fit(cohort, seed=1)
    assert latent.learner == "stationary"
    assert latent.verdict.status == "rejected"
    for name in THREE:
        assert f"{name}: " in latent.verdict.reasons[0]


def test_when_all_are_rejected_the_least_rejected_comes_back(monkeypatch, cohort) -> None:
    """The order is by the tail of the tests, where no permutation reaches any of the statistics."""
    fake_learners(monkeypatch, cohort, {"stationary": False, "polynomial": True, "flow": True})
    real = automatic.law_tests
    tails: dict[str, float] = {}

    def strict(people, latent, **settings):
        return tuple(
            replace(test, p_value=0.005, tail_p=tails[latent.learner]) for test in real(people, latent, **settings)
        )

    monkeypatch.setattr(automatic, "law_tests", strict)
    for better, worse in (("flow", "polynomial"), ("polynomial", "flow")):
        tails |= {better: 1e-3, worse: 1e-9}
        latent = AutomaticInstruments(ladder=THREE, n_permutations=19).fit(cohort, seed=1)
        assert [step.passed for step in latent.ladder] == [False, False, False]
        assert latent.learner == better
        assert latent.verdict.status == "rejected"


@pytest.mark.parametrize(("gain", "passed"), [(0.011, True), (0.009, False)])
def test_a_bent_map_must_gain_where_moments_reject_the_linear_one(monkeypatch, cohort, gain, passed) -> None:
    """Two standard errors; where only the law rejected the linear learner, no gain is asked for."""
    behaviours = {"stationary": False, "polynomial": "too few columns", "flow": True}
    fake_learners(monkeypatch, cohort, behaviours)
    settings = {"gain_over_linear": {"held_out": gain, "std_error": 0.005}}
    alter_learned(monkeypatch, lambda name, found: replace(found, settings=settings) if name == "flow" else found)
    latent = AutomaticInstruments(ladder=THREE, n_permutations=19).fit(cohort, seed=1)
    assert latent.ladder[-1].passed is passed
    assert (latent.verdict.status == "rejected") is not passed
    if not passed:
        assert "no likelier under its map than under a linear one" in latent.ladder[-1].reason
    behaviours["stationary"] = True
    real = automatic.law_tests

    def strict(people, latent, **how):
        found = real(people, latent, **how)
        return found if latent.learner == "flow" else tuple(replace(test, p_value=0.005) for test in found)

    monkeypatch.setattr(automatic, "law_tests", strict)
    latent = AutomaticInstruments(ladder=THREE, n_permutations=19).fit(cohort, seed=1)
    assert (latent.learner, latent.ladder[-1].passed) == ("flow", True)


def test_what_kept_nothing_comes_back_last(monkeypatch, cohort) -> None:
    """A learner that no number of latent instruments survived gives way to any that kept some."""
    fake_learners(monkeypatch, cohort, {"stationary": False, "polynomial": False, "flow": False})
    alter_learned(
        monkeypatch,
        lambda name, found: found if name == "polynomial" else replace(found, loadings=found.loadings[:, :0]),
    )
    latent = AutomaticInstruments(ladder=THREE, n_permutations=19).fit(cohort, seed=1)
    assert (latent.learner, latent.n_latent, latent.verdict.status) == ("polynomial", 2, "rejected")


def test_the_tests_of_law_can_reject_what_moments_let_pass(monkeypatch, cohort) -> None:
    fake_learners(monkeypatch, cohort, {"stationary": True, "polynomial": True, "flow": True})
    real = automatic.law_tests

    def strict(people, latent, **settings):
        found = real(people, latent, **settings)
        return found if latent.learner == "flow" else tuple(replace(test, p_value=0.005) for test in found)

    monkeypatch.setattr(automatic, "law_tests", strict)
    latent = AutomaticInstruments(ladder=THREE, n_permutations=19).fit(cohort, seed=1)
    assert [step.passed for step in latent.ladder] == [False, False, True]
    assert "independence beyond correlation, p = 0.005" in latent.ladder[0].reason


def test_allele_copies_stop_at_the_linear_learner(monkeypatch, cohort) -> None:
    fake_learners(monkeypatch, cohort, {"stationary": True, "polynomial": "must not be asked", "flow": "nor this"})
    people = replace(cohort, instrument_kind="genotype")
    latent = AutomaticInstruments(ladder=THREE).fit(people, seed=1)
    assert [step.learner for step in latent.ladder] == ["stationary"]
    assert "do not apply to allele copies" in latent.ladder[0].reason


def test_without_torch_the_flow_is_left_out(monkeypatch, cohort) -> None:
    fake_learners(monkeypatch, cohort, {"stationary": False, "polynomial": False, "flow": True})
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    latent = AutomaticInstruments(ladder=THREE, n_permutations=19).fit(cohort, seed=1)
    assert [step.learner for step in latent.ladder] == ["stationary", "polynomial"]


@pytest.mark.parametrize(
    ("ladder", "message"), [((), "at least one learner"), (("stationary", "ica"), "'ica'"), (("auto",), "'auto'")]
)
def test_wrong_ladders(cohort, ladder, message) -> None:
    with pytest.raises(InputError, match=message):
        AutomaticInstruments(ladder=ladder).fit(cohort, seed=1)


def test_moments_are_not_enough(cohort) -> None:
    with pytest.raises(InputError, match="needs the cohort"):
        AutomaticInstruments().fit([cohort.moments], seed=1)
