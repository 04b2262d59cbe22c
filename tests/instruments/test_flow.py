"""The flow as a learner: recovery, honesty, settings, fronts."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

import invarmr
from invarmr.instruments.base import assign_folds
from invarmr.instruments.flow import FlowInstruments
from invarmr.instruments.registry import build_learner

QUICK = {"map": "leaky", "n_layers": 1, "law": "gaussian", "n_starts": 8, "iterations": 100}


def sample(effects: str = "symmetric", n: int = 1_500, seed: int = 3, **settings: object) -> object:
    design = invarmr.LatentDesign(mixing="mlp", effects=effects, **settings)
    return invarmr.simulate_latent(design, seed=seed, n_samples=n)


def explained(target: np.ndarray, given: np.ndarray) -> np.ndarray:
    y, x = target - target.mean(axis=0), given - given.mean(axis=0)
    residual = y - x @ np.linalg.lstsq(x, y, rcond=None)[0]
    return 1 - residual.var(axis=0) / y.var(axis=0)


@pytest.fixture(scope="module")
def learned() -> tuple[object, invarmr.LatentInstruments]:
    drawn = sample()
    return drawn, FlowInstruments(n_starts=8).fit(drawn.cohort, seed=1)


def test_what_a_network_mixed_is_found(learned) -> None:
    drawn, latent = learned
    assert latent.n_latent == 2
    assert latent.verdict.status == "identified"
    assert explained(drawn.latent_instrument, latent.latent_instrument).min() > 0.98
    assert explained(drawn.confounded_part, latent.latent_instrument).max() < 0.01
    linear = invarmr.StationaryInstruments(n_latent=2).fit(drawn.cohort, seed=1)
    assert explained(drawn.latent_instrument, linear.latent_instrument).min() < 0.9


@pytest.mark.parametrize("effects", ["symmetric", "asymmetric"])
def test_the_effect_is_right_where_that_of_the_observed_instruments_is_not(learned, effects: str) -> None:
    latent = learned[1]
    cohort = sample(effects).cohort
    design = invarmr.IVDesign.from_cohort(cohort, latent.with_people(source=cohort.represented(latent).instruments))
    assert abs(invarmr.TwoStageLeastSquares().fit(design).estimate - 1) < 0.1
    observed = invarmr.TwoStageLeastSquares().fit(invarmr.IVDesign.from_cohort(cohort))
    assert observed.estimate - 1 > 0.2


def test_settings_say_what_was_tried(learned) -> None:
    settings = json.loads(json.dumps(dict(learned[1].settings)))
    assert settings["method"] == "flow"
    assert settings["steps"][0]["map"] == "leaky"
    assert [step["n_latent"] for step in settings["likelihood_path"]] == [1, 2, 3]
    assert settings["n_starts"] == 8


def test_the_same_seed_gives_the_same_instruments_and_new_people_the_same_map(learned) -> None:
    few = sample(n=300)
    settings = {**QUICK, "n_latent": 2, "n_starts": 4, "iterations": 20}
    first, second = (FlowInstruments(**settings).fit(few.cohort, seed=1) for _ in range(2))
    np.testing.assert_array_equal(first.latent_instrument, second.latent_instrument)
    assert not np.array_equal(FlowInstruments(**settings).fit(few.cohort, seed=2).loadings, first.loadings)
    drawn, latent = learned
    np.testing.assert_allclose(latent.transform(drawn.instrument[:7]), latent.latent_instrument[:7], atol=1e-10)


def test_held_out_people_have_no_part_in_the_map() -> None:
    cohort = sample(n=400).cohort
    fold = assign_folds(cohort.environment, n_folds=10, seed=1, sample_ids=cohort.sample_ids)
    changed = np.array(cohort.instruments.read(np.arange(cohort.n_samples)))
    changed[fold >= 7] *= 3
    other = replace(cohort, instruments=type(cohort.instruments)(changed))
    learner = FlowInstruments(n_latent=2, **{**QUICK, "n_starts": 2, "iterations": 20})
    few = changed[:5]
    first, second = (learner.train(people, seed=1).representation.apply(few) for people in (cohort, other))
    np.testing.assert_array_equal(first, second)


def test_number_of_latent_instruments_can_be_set() -> None:
    latent = FlowInstruments(n_latent=1, **QUICK).fit(sample(n=600).cohort, seed=1)
    assert latent.n_latent == 1
    assert "likelihood_path" not in latent.settings


def test_nothing_valid_is_not_accepted() -> None:
    latent = FlowInstruments(**{**QUICK, "n_starts": 4}).fit(sample(valid=False).cohort, seed=1)
    assert latent.verdict.status in ("rejected", "not identified")


def test_no_differences_between_environments_are_not_accepted() -> None:
    latent = FlowInstruments(**{**QUICK, "n_starts": 4}).fit(sample(shifts="none", n=1_000).cohort, seed=1)
    assert latent.verdict.status == "not identified"


def test_columns_that_are_sums_of_others_are_dropped() -> None:
    drawn = sample(n=600)
    Z = drawn.instrument
    wide = drawn.cohort_on(np.column_stack([Z, Z[:, 0] + 2 * Z[:, 1], np.ones(len(Z))]))
    quick = {**QUICK, "n_starts": 4, "iterations": 30}
    plain, more = (FlowInstruments(n_latent=2, **quick).train(c, seed=1) for c in (drawn.cohort, wide))
    assert more.representation.front.shape == (6, 4)
    assert more.steps[0].validation == pytest.approx(plain.steps[0].validation, abs=0.02)


def test_principal_components_lead_from_many_columns_to_few() -> None:
    drawn = sample(n=600)
    rng = np.random.default_rng(5)
    wide = drawn.instrument @ rng.normal(size=(4, 40)) * 5 + 0.05 * rng.normal(size=(drawn.n_samples, 40))
    cohort = drawn.cohort_on(wide)
    with pytest.raises(invarmr.InputError, match="at most 30 columns, but the instruments vary in 40"):
        FlowInstruments().fit(cohort)
    latent = FlowInstruments(n_latent=2, n_components=4, **QUICK).fit(cohort, seed=1)
    assert latent.representation.front.shape == (40, 4)
    assert explained(drawn.latent_instrument, latent.latent_instrument).min() > 0.9
    with pytest.raises(invarmr.InputError, match="n_components must not exceed the 40"):
        FlowInstruments(n_components=41).fit(cohort)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"map": "cubic"}, "map must be one of auto, leaky, spline, but is 'cubic'"),
        ({"law": "normal"}, "law must be one of auto, gaussian, shared, free"),
        ({"n_latent": 0}, "n_latent must be at least 1"),
        ({"n_starts": 0}, "n_starts must be at least 1"),
        ({"n_layers": -1}, "n_layers must be at least 1"),
        ({"n_components": 0}, "n_components must be at least 1"),
        ({"n_held_out": 9}, "but 9 of 10 are held out"),
    ],
)
def test_bad_settings_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(invarmr.InputError, match=message):
        FlowInstruments(**settings)


def test_what_a_flow_cannot_learn_from_is_refused() -> None:
    drawn = sample(n=300)
    with pytest.raises(invarmr.InputError, match="moments alone do not suffice"):
        FlowInstruments().fit([drawn.cohort.moments])
    with pytest.raises(invarmr.InputError, match="at most 3 with instruments that vary in 4 directions, but is 4"):
        FlowInstruments(n_latent=4).fit(drawn.cohort)
    counts = drawn.cohort_on(np.random.default_rng(1).integers(0, 3, (600, 4)), kind="genotype")
    with pytest.raises(invarmr.InputError, match="Allele counts are discrete"):
        FlowInstruments().fit(counts)
    with pytest.raises(invarmr.InputError, match=r"at least 50 people .* but 2 of 2 have fewer: 0 \(28\)"):
        FlowInstruments().fit(sample(n=40).cohort)
    alone = invarmr.Cohort.from_arrays(
        instrument=drawn.instrument, exposure=drawn.exposure, outcome=drawn.outcome, environment=np.zeros(600)
    )
    with pytest.raises(invarmr.InputError, match="At least two environments"):
        FlowInstruments().fit(alone)


@pytest.mark.skipif(torch.cuda.is_available(), reason="the message is that of a machine without CUDA")
@pytest.mark.parametrize("device", ["cuda", "abacus"])
def test_a_device_that_is_not_there_is_named(device: str) -> None:
    with pytest.raises(invarmr.InputError, match=f"The device '{device}' cannot be used"):
        FlowInstruments(device=device).fit(sample(n=100).cohort)


def test_the_registry_knows_it() -> None:
    assert build_learner("flow", n_latent=2) == FlowInstruments(n_latent=2)
