"""A nonlinear learner's way through the package: features, their stationary split, design, diagnostics."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import invarmr
from invarmr.data.representation import Representation
from invarmr.instruments.represented import learn_from_features, training_people


class Arcsinh(Representation):
    """Undoes the hyperbolic sine that the observed instruments went through."""

    feature_names = ("u1", "u2", "u3")

    def apply(self, instrument: np.ndarray) -> np.ndarray:
        return np.arcsinh(instrument)


class Reciprocal(Representation):
    """Not finite at zero."""

    feature_names = ("u1",)

    def apply(self, instrument: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore"):
            return 1.0 / instrument[:, :1]


def study(seed: int = 1, n: int = 3000) -> tuple[invarmr.Cohort, invarmr.Cohort]:
    """The cohort as observed, and the one that knows the features."""
    rng = np.random.default_rng(seed)
    environment = np.repeat([0, 1, 2], n)
    confounder = rng.normal(environment, 1)
    confounded = rng.normal(size=3 * n) + np.array([1.0, 2.0, 1.5])[environment] * confounder
    valid = rng.normal(size=(3 * n, 2))
    mixed = np.column_stack([confounded, valid]) @ rng.normal(size=(3, 3))
    exposure = confounded + valid.sum(axis=1) + confounder + rng.normal(size=3 * n)
    outcome = exposure + confounder + rng.normal(size=3 * n)
    return tuple(
        invarmr.Cohort.from_arrays(instrument=Z, exposure=exposure, outcome=outcome, environment=environment)
        for Z in (np.sinh(mixed), mixed)
    )


@pytest.fixture(scope="module")
def learned() -> tuple[invarmr.Cohort, invarmr.Cohort, invarmr.LatentInstruments]:
    cohort, plain = study()
    latent = learn_from_features(cohort, Arcsinh(), learner="toy", settings={"depth": 1}, seed=1)
    return cohort, plain, latent


def test_the_split_is_that_of_the_features(learned) -> None:
    cohort, plain, latent = learned
    linear = invarmr.StationaryInstruments().fit(plain, seed=1)
    assert latent.n_latent == linear.n_latent == 2
    np.testing.assert_allclose(latent.latent_instrument, linear.latent_instrument, atol=1e-9)
    np.testing.assert_allclose(latent.confounded_part, linear.confounded_part, atol=1e-9)
    assert latent.learner == "toy"
    assert latent.settings["depth"] == 1
    assert latent.instrument_names == cohort.instrument_names
    assert latent.feature_names == ("u1", "u2", "u3")


def test_estimates_and_checks_are_those_of_the_features(learned) -> None:
    cohort, plain, latent = learned
    linear = invarmr.StationaryInstruments(held_out_only=True).fit(plain, seed=1)  # as features are tested
    results = []
    for people, found in ((cohort, latent), (plain, linear)):
        design = invarmr.IVDesign.from_cohort(people, found, environment_effects=True, partial_confounded=True)
        estimate = invarmr.LimitedInformationML(std_errors="robust").fit(design)
        results.append((estimate.estimate, estimate.std_error, invarmr.diagnose(design, estimate, n_permutations=19)))
    (theta, se, checks), (theta_linear, se_linear, checks_linear) = results
    assert theta == pytest.approx(theta_linear, rel=1e-8)
    assert se == pytest.approx(se_linear, rel=1e-8)
    assert checks.verdict == checks_linear.verdict
    assert len(checks.checks) == len(checks_linear.checks)
    learned_rows = [check for check in checks.checks if "learned" in check.null]
    same = [check for check in checks_linear.checks if "learned" in check.null]
    for ours, theirs in zip(learned_rows, same, strict=True):
        assert ours.p_value == pytest.approx(theirs.p_value, abs=1e-6)
    # what is called observed is what was observed, not the features
    assert checks.balance[0].names == cohort.instrument_names
    before, after = checks.balance[0].r2_environment, checks_linear.balance[0].r2_environment
    assert not np.allclose(before, after, rtol=1e-3)


def test_new_people_are_mapped_and_the_same_people_are_not_mapped_again(learned) -> None:
    cohort, _, latent = learned
    fresh, _ = study(seed=2, n=500)
    rows = fresh.instruments.read(np.arange(10))
    expected = (np.arcsinh(rows) - latent.center) @ latent.loadings
    np.testing.assert_allclose(latent.transform(rows), expected)
    seen = fresh.represented(latent)
    assert seen.instruments is not latent.source
    np.testing.assert_allclose(seen.instruments.read(np.arange(10)), np.arcsinh(rows))
    assert cohort.represented(latent).instruments is latent.source
    assert seen.represented(latent) is seen


def test_without_the_map_other_people_are_refused(learned) -> None:
    _, _, latent = learned
    stored = replace(latent, representation=None)
    fresh, _ = study(seed=2, n=500)
    with pytest.raises(invarmr.InputError, match="not at hand"):
        fresh.represented(stored)
    with pytest.raises(invarmr.InputError, match="An archive keeps the values"):
        stored.transform(fresh.instruments.read(np.arange(3)))


def test_a_map_that_is_not_finite_is_refused() -> None:
    cohort, _ = study(n=200)
    values = cohort.instruments.read(np.arange(600)).copy()
    values[5, 0] = 0.0
    broken = invarmr.Cohort.from_arrays(
        instrument=values, exposure=cohort.exposure, outcome=cohort.outcome, environment=cohort.environment
    )
    with pytest.raises(invarmr.InputError, match="finite for everybody, but is not for 1 of 600"):
        learn_from_features(broken, Reciprocal(), learner="toy", settings={}, seed=1)


def test_training_people_are_the_folds_that_were_not_held_out(learned) -> None:
    cohort, _, latent = learned
    training, held_out = training_people(cohort, seed=1)
    assert len(training) + len(held_out) == cohort.n_samples
    np.testing.assert_array_equal(np.flatnonzero(np.isin(latent.fold, latent.held_out)), held_out)
