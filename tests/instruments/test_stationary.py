from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import invarmr
from invarmr.errors import InputError

DESIGNS = {
    "E=2": {"environments": 2},
    "E=2 asymmetric": {"environments": 2, "asymmetric": True},
    "E=3": {"environments": 3},
    "E=3 asymmetric": {"environments": 3, "asymmetric": True},
    "E=4 p=q=5": {"environments": 4, "p": 5, "q": 5},
}


def r2(target: np.ndarray, by: np.ndarray) -> float:
    """Mean share of the target's variance that is linear in `by`."""
    by = np.column_stack([np.ones(len(by)), by])
    residual = target - by @ np.linalg.lstsq(by, target, rcond=None)[0]
    return float(1 - (residual.var(axis=0) / target.var(axis=0)).mean())


@pytest.mark.parametrize("name", DESIGNS)
def test_recovers_the_valid_part_and_its_dimension(linear_study, name) -> None:
    right, seeds = 0, 40
    for seed in range(seeds):
        study = linear_study(seed, n=4_000, **DESIGNS[name])
        latent = invarmr.StationaryInstruments().fit(study.cohort, seed=seed)
        p = DESIGNS[name].get("p", 2)
        right += latent.n_latent == p
        if seed < 5 and latent.n_latent == p:
            learned = latent.latent_instrument
            assert r2(study.valid, learned) > 0.99
            assert r2(study.confounded, learned) < 0.01
            assert r2(study.confounded, latent.confounded_part) > 0.98
            assert latent.verdict.status == "identified"
            assert latent.covariance_informative
    assert right >= stats.binom.ppf(0.001, seeds, 0.99)  # rejected at level 0.01: 37 of 40


def test_a_shift_of_means_alone_is_not_identification(linear_study) -> None:
    study = linear_study(1, n=4_000, environments=2, eta=np.ones((2, 2)))
    latent = invarmr.StationaryInstruments().fit(study.cohort, seed=1)
    assert latent.n_latent == 3  # one direction of V does not move and cannot be told from W
    assert latent.saturated
    assert latent.shift_rank == 1
    assert not latent.covariance_informative
    assert latent.verdict.status == "not identified"
    assert "One more environment" in latent.verdict.reasons[0]
    assert not latent.verdict.interpretable


def test_more_environments_than_shifts_is_identification_by_means(linear_study) -> None:
    study = linear_study(1, n=6_000, environments=4, eta=np.ones((4, 2)))
    shifts = np.random.default_rng(0).normal(size=(4, 2)) * 2
    people = study.cohort
    values = np.column_stack([study.confounded + shifts[people.environment], study.valid])
    cohort = invarmr.Cohort.from_arrays(
        instrument=values, exposure=people.exposure, outcome=people.outcome, environment=people.environment
    )
    latent = invarmr.StationaryInstruments().fit(cohort, seed=1)
    assert latent.n_latent == 2
    assert latent.shift_rank == 2
    assert not latent.saturated
    assert latent.verdict.status == "identified"


def test_environments_that_do_not_differ_identify_nothing(linear_study) -> None:
    statuses = []
    for seed in range(10):
        study = linear_study(seed, n=2_000, environments=3, eta=np.ones((3, 2)), shift=0.0)
        latent = invarmr.StationaryInstruments().fit(study.cohort, seed=seed)
        statuses.append((latent.verdict.status, latent.n_confounded))
    assert statuses.count(("not identified", 0)) >= 9


def test_where_nothing_is_invariant_everything_is_rejected() -> None:
    generator = np.random.default_rng(0)
    site = np.repeat([0, 1, 2, 3], 3_000)
    shifts = np.array([[0, 0, 0], [2, 0, 0], [0, 2, 0], [0, 0, 2.0]])
    Z = generator.normal(size=(12_000, 3)) * (1 + site[:, None] / 3) + shifts[site]
    D = Z.sum(axis=1) + generator.normal(size=12_000)
    cohort = invarmr.Cohort.from_arrays(
        instrument=Z, exposure=D, outcome=D + generator.normal(size=12_000), environment=site
    )
    latent = invarmr.StationaryInstruments().fit(cohort, seed=1)
    assert latent.n_latent == 0
    assert len(latent.path) == 3
    assert all(step.rejected for step in latent.path)
    assert latent.verdict.status == "rejected"
    with pytest.raises(InputError, match="No latent instrument was found"):
        invarmr.IVDesign.from_cohort(cohort, latent)
    forced = invarmr.StationaryInstruments(n_latent=2).fit(cohort, seed=1)
    assert forced.n_latent == 2
    assert forced.verdict.status == "rejected"


def test_a_given_number_is_used_and_tested(linear_study) -> None:
    cohort = linear_study(2, n=4_000, environments=2).cohort
    for p, status in ((1, "identified"), (2, "identified"), (3, "rejected"), (4, "rejected")):
        latent = invarmr.StationaryInstruments(n_latent=p).fit(cohort, seed=1)
        assert (latent.n_latent, latent.n_confounded) == (p, 4 - p)
        assert len(latent.path) == 1
        assert latent.verdict.status == status


def test_duplicates_and_constants_are_dropped_and_counted(linear_study) -> None:
    cohort = linear_study(3, n=2_000).cohort
    Z = cohort.instruments.read(np.arange(cohort.n_samples))
    padded = invarmr.Cohort.from_arrays(
        instrument=np.column_stack([Z, Z[:, 0], np.full(len(Z), 3.0)]),
        exposure=cohort.exposure,
        outcome=cohort.outcome,
        environment=cohort.environment,
    )
    latent = invarmr.StationaryInstruments().fit(padded, seed=3)
    plain = invarmr.StationaryInstruments().fit(cohort, seed=3)
    assert (latent.n_null, plain.n_null) == (2, 0)
    assert latent.n_latent == plain.n_latent == 2
    np.testing.assert_allclose(np.abs(latent.latent_instrument), np.abs(plain.latent_instrument), atol=1e-6)


def test_cohort_moments_and_transform_say_the_same(linear_study) -> None:
    cohort = linear_study(4, n=1_000).cohort
    latent = invarmr.StationaryInstruments().fit(cohort, seed=7)
    assert latent.fold is not None
    by_moments = invarmr.StationaryInstruments().fit(cohort.folded_moments(latent.fold), seed=99)
    np.testing.assert_array_equal(latent.loadings, by_moments.loadings)
    assert latent.path == by_moments.path
    values = cohort.instruments.read(np.arange(cohort.n_samples))
    np.testing.assert_allclose(latent.transform(values), latent.latent_instrument)
    np.testing.assert_allclose(by_moments.transform(values), latent.latent_instrument)
    covariance = np.cov(np.hstack([latent.latent_instrument, latent.confounded_part]).T)
    assert np.diag(covariance)[:2] == pytest.approx([1.0, 1.0], abs=0.01)


def test_the_seed_decides_the_folds_and_nothing_else(linear_study) -> None:
    cohort = linear_study(4, n=1_000).cohort
    one, again, other = (invarmr.StationaryInstruments().fit(cohort, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.loadings, again.loadings)
    np.testing.assert_array_equal(one.fold, again.fold)
    assert one.path == again.path
    assert (one.fold != other.fold).any()
    np.testing.assert_allclose(one.loadings, other.loadings, atol=1e-9)  # learned from everybody


def test_genotypes_are_compared_by_correlation(linear_study) -> None:
    cohort = linear_study(4, n=1_000).cohort
    assert invarmr.StationaryInstruments().fit(cohort).settings["scale_within_environment"] is False
    assert invarmr.StationaryInstruments(scale_within_environment=True).fit(cohort).settings["scale_within_environment"]


def test_what_cannot_be_learned(linear_study) -> None:
    cohort = linear_study(4, n=200).cohort
    learner = invarmr.StationaryInstruments
    with pytest.raises(InputError, match="must not exceed the rank of the instruments, 4"):
        learner(n_latent=5).fit(cohort)
    with pytest.raises(InputError, match="n_latent must be at least 1"):
        learner(n_latent=0).fit(cohort)
    for folds, held_out in ((10, 0), (10, 9), (3, 2), (2, 1)):
        with pytest.raises(InputError, match="n_held_out must be at least two, and leave"):
            learner(n_folds=folds, n_held_out=held_out).fit(cohort)
    with pytest.raises(InputError, match="10 folds are needed"):
        learner().fit([cohort.moments])
    alone = learner(n_folds=4, n_held_out=2)
    with pytest.raises(InputError, match="At least two environments"):
        alone.fit([cohort.moments.subset([0])] * 4)
    assert alone.fit([cohort.moments] * 4).n_latent >= 0


def test_small_environments_and_still_instruments(linear_study) -> None:
    cohort = linear_study(4, n=(500, 12)).cohort
    with pytest.raises(InputError, match=r"at least 2 samples in each of the 10 folds, 20 in all, .* 1 \(12\)"):
        invarmr.StationaryInstruments().fit(cohort)
    still = invarmr.Cohort.from_arrays(
        instrument=np.ones((100, 1)),
        exposure=np.arange(100.0),
        outcome=np.arange(100.0) ** 2,
        environment=np.arange(100) % 2,
    )
    with pytest.raises(InputError, match="None of the 1 instruments varies"):
        invarmr.StationaryInstruments().fit(still)


def test_held_out_tests_hold_their_size_on_split_moments(linear_study):
    p = []
    for seed in range(120):
        study = linear_study(seed, environments=3, n=1_000, asymmetric=True)
        latent = invarmr.StationaryInstruments(n_latent=2).fit(study.cohort.moments, seed=seed)
        p.append(latent.path[-1].smallest_p)
    p = np.minimum(p, 1.0)
    assert np.mean(p < 0.05) < 0.05 + 3.3 * np.sqrt(0.05 * 0.95 / 120)
    assert np.mean(p < 0.5) > 0.1


def test_what_is_not_identified_is_named_with_what_would_identify_it() -> None:
    rng = np.random.default_rng(4)
    environment = np.repeat([0, 1], 2_000)
    Z = rng.normal(size=(4_000, 4)) + np.outer(environment, [0.0, 0.0, 2.0, 0.3])
    outcome = rng.normal(size=4_000)
    cohort = invarmr.Cohort.from_arrays(
        instrument=Z,
        exposure=Z.sum(axis=1) + outcome,
        outcome=outcome,
        environment=environment,
        instrument_names=["a", "b", "moved", "nudged"],
    )
    latent = invarmr.StationaryInstruments().fit(cohort, seed=1)
    assert latent.verdict.status == "not identified"
    assert latent.means_alone == ("moved",)
    assert "(led by moved)" in latent.verdict.reasons[0]
    assert "its mean lies off the line or plane" in latent.verdict.reasons[0]


def test_fewer_than_pass_may_be_asked_for_without_a_doubt_about_identification():
    """W2, set aside, moves by the error of learning alone; a shift of V in means alone still counts."""
    verdicts = [invarmr.StationaryInstruments(n_latent=1).fit(linear(seed), seed=seed).verdict for seed in range(20)]
    assert sum(verdict.status == "identified" for verdict in verdicts) >= 19
    design = invarmr.LatentDesign(mixing="poly1", shifts="mean", effects="asymmetric")
    shifted = invarmr.simulate_latent(design, seed=1).cohort
    latent = invarmr.StationaryInstruments(n_latent=1).fit(shifted, seed=1)
    assert latent.saturated
    assert latent.verdict.status == "not identified"
    assert not latent.covariance_informative


def linear(seed: int) -> invarmr.Cohort:
    """The published linear design."""
    return invarmr.simulate_latent(invarmr.LatentDesign(mixing="poly1", mixing_seed=seed), seed=seed).cohort
