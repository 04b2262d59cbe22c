from __future__ import annotations

import runpy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import invarmr
from invarmr.data.moments import EnvironmentMoments, merge_moments
from invarmr.errors import InputError
from invarmr.inference.bootstrap import _Blocks
from invarmr.simulate.latent import LatentDesign, simulate_latent

SCRIPT = Path(__file__).parents[2] / "validation" / "linear_design.py"
linear_study = runpy.run_path(str(SCRIPT), run_name="linear_design")["linear_study"]
LIML = invarmr.LimitedInformationML()


def learned(cohort, *, n_latent=2, **how):
    latent = invarmr.StationaryInstruments(n_latent=n_latent).fit(cohort, seed=1)
    return invarmr.IVDesign.from_cohort(cohort, latent, **how)


def bootstrap(design, *, learner=None, **how):
    again = invarmr.StationaryInstruments.like(design.latent) if learner is None else learner
    return invarmr.bootstrap_effect(design, again, LIML, **{"n_replicates": 100, **how})


@pytest.fixture(scope="module")
def cohort():
    return linear_study(3, n=2_000).cohort


@pytest.mark.parametrize("how", [{}, {"partial_confounded": True}, {"environment_effects": True}])
def test_its_spread_is_the_standard_error_that_counts_the_learning(cohort, how) -> None:
    design = learned(cohort, **how)
    found = bootstrap(design, n_replicates=150)
    expected = LIML.fit(design).std_error
    assert found.std_error == pytest.approx(expected, rel=0.2)  # 150 replicates: 6 % of noise, the rest is second order
    assert found.estimate == LIML.fit(design).estimate
    assert set(found.n_latent.tolist()) == {2}
    width = found.confidence_set.upper - found.confidence_set.lower
    assert width == pytest.approx(2 * 1.96 * found.std_error, rel=0.2)


def test_the_same_seed_gives_the_same_interval(cohort) -> None:
    design = learned(cohort)
    first, again, other = (bootstrap(design, n_replicates=20, seed=seed) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first.replicates, again.replicates)
    assert first.confidence_set == again.confidence_set
    assert first.confidence_set != other.confidence_set


def test_the_number_of_latent_instruments_is_chosen_again() -> None:
    small = linear_study(1, n=150, asymmetric=True).cohort
    found = bootstrap(learned(small, n_latent=None))
    assert len(np.unique(found.n_latent)) >= 2
    assert len(found.replicates) == np.count_nonzero(found.n_latent)
    assert f"{found.n_latent.max()} in " in str(found)


def test_replicates_reject_the_right_number_no_more_often_than_people_do(cohort) -> None:
    # replicates carry the noise of the people and of drawing them: counted, 1 % of them reject; else 7 %
    design = learned(cohort, n_latent=None)
    once = replace(invarmr.StationaryInstruments.like(design.latent), noise_variance=1.0)
    wrong = [0, 0]
    for seed in range(1, 9):
        design = learned(linear_study(seed, n=1_000).cohort, n_latent=None)
        for k, learner in enumerate((None, once)):
            wrong[k] += int(np.count_nonzero(bootstrap(design, learner=learner, seed=seed).n_latent < 2))
    assert wrong[0] <= 0.03 * 800
    assert wrong[1] > 2 * wrong[0]


def test_the_number_is_taken_where_there_are_many_directions(cohort) -> None:
    few = invarmr.StationaryInstruments().fit(cohort, seed=1)
    assert invarmr.StationaryInstruments.like(few).n_latent is None
    assert invarmr.StationaryInstruments.like(few, choose=False).n_latent == few.n_latent
    many = invarmr.StationaryInstruments(shrink=False).fit(linear_study(1, environments=4, p=5, q=5).cohort, seed=1)
    again = invarmr.StationaryInstruments.like(many)
    assert (again.n_latent, again.shrink) == (many.n_latent, False)
    assert invarmr.StationaryInstruments.like(many, choose=True).n_latent is None


def test_polynomial_is_the_stationary_bootstrap_of_its_components() -> None:
    cubic, linear = (simulate_latent(LatentDesign(mixing=m, n_samples=1_500), seed=2).cohort for m in ("poly3", "none"))
    found = []
    for cohort, learner in ((cubic, invarmr.PolynomialInstruments()), (linear, invarmr.StationaryInstruments())):
        latent = learner.fit(cohort, seed=4)
        found.append(bootstrap(invarmr.IVDesign.from_cohort(cohort, latent), n_replicates=30))
    np.testing.assert_array_equal(found[0].n_latent, found[1].n_latent)
    np.testing.assert_allclose(found[0].replicates, found[1].replicates, rtol=1e-4)


def test_allele_copies_are_scaled_again_in_every_replicate() -> None:
    generator = np.random.default_rng(1)
    site = np.repeat([0, 1], 700)
    copies = generator.binomial(2, 0.3 + 0.2 * site[:, None] * (np.arange(8) < 3))
    exposure = copies.sum(axis=1) + generator.normal(size=1_400)
    cohort = invarmr.Cohort.from_arrays(
        instrument=copies,
        exposure=exposure,
        outcome=exposure + generator.normal(size=1_400),
        environment=site,
        covariates=generator.normal(size=(1_400, 2)),
        instrument_kind="genotype",
    )
    design = learned(cohort, n_latent=7)
    assert invarmr.StationaryInstruments.like(design.latent).scale_within_environment
    found = bootstrap(design, n_replicates=100)
    assert set(found.n_latent.tolist()) == {7}
    assert found.std_error == pytest.approx(LIML.fit(design).std_error, rel=0.3)


def test_replicates_have_the_moments_of_the_people_on_average() -> None:
    generator = np.random.default_rng(1)
    rows, site = generator.normal(5.0, [1.0, 3.0], size=(1_200, 2)), np.arange(1_200) % 2
    rows[:, 1] += rows[:, 0] * (1 + site)
    parts = [
        EnvironmentMoments.from_arrays(
            rows[b::60], site[b::60] * 0 + (np.arange(20) % 2), columns=("instrument:a", "exposure"), environments="01"
        )
        for b in range(60)
    ]
    whole = merge_moments(parts)
    pool = _Blocks.of(parts, n_folds=3)
    draws = [pool.draw(generator) for _ in range(400)]
    assert {len(folds) for folds in draws} == {3}
    merged = [merge_moments(folds) for folds in draws]
    assert all(np.array_equal(item.n_samples, whole.n_samples) for item in merged)
    mean = np.mean([item.mean for item in merged], axis=0)
    np.testing.assert_allclose(mean, whole.mean, atol=5 * np.std([item.mean for item in merged], axis=0).max() / 20)
    spread = np.std([item.mean[:, 0] for item in merged], axis=0)
    own = np.sqrt(whole.crossproduct[:, 0, 0]) / whole.n_samples
    np.testing.assert_allclose(spread, own, rtol=0.15)
    cross = np.mean([item.crossproduct for item in merged], axis=0)
    np.testing.assert_allclose(cross, whole.crossproduct, rtol=0.03)


def test_how_many_are_learned_together_changes_nothing(cohort, monkeypatch) -> None:
    design = learned(cohort)
    whole = bootstrap(design, n_replicates=20)
    monkeypatch.setattr("invarmr.inference.bootstrap._AT_ONCE", 7)
    np.testing.assert_allclose(bootstrap(design, n_replicates=20).replicates, whole.replicates, rtol=1e-10)

    class Counting:
        def fit_replicates(self, replicates):
            sizes.append(len(replicates))
            return invarmr.StationaryInstruments.like(design.latent).fit_replicates(replicates)

    sizes: list[int] = []
    monkeypatch.setattr("invarmr.inference.bootstrap._MOST_NUMBERS", 3 * 10 * 2 * 6**2)
    bootstrap(design, learner=Counting(), n_replicates=20)
    assert sizes == [3] * 6 + [2]


def test_what_cannot_be_bootstrapped_says_so(cohort) -> None:
    design = learned(cohort)
    with pytest.raises(InputError, match="n_replicates must be at least 20"):
        bootstrap(design, n_replicates=10)
    with pytest.raises(InputError, match="needs a design from"):
        invarmr.bootstrap_effect(invarmr.IVDesign.from_cohort(cohort), invarmr.StationaryInstruments(), LIML)
    with pytest.raises(InputError, match="level must lie"):
        bootstrap(design, level=95)

    class Never:
        def fit_replicates(self, replicates):
            nothing = invarmr.LatentInstruments(
                learner="none",
                instrument_names=("a",),
                center=np.zeros(1),
                loadings=np.zeros((1, 0)),
                confounded_loadings=np.zeros((1, 1)),
                eigenvalues=np.zeros(1),
            )
            return (nothing,) * len(replicates)

    with pytest.raises(InputError, match="In no replicate"):
        bootstrap(design, learner=Never(), n_replicates=20)
