"""How learned instruments, and all that is computed from them, must change when the data are written in another way."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import invarmr
from invarmr.instruments.base import assign_folds

SEEDS = st.integers(0, 2**31)
FOLDS = 10


def rows(cohort: invarmr.Cohort) -> np.ndarray:
    return cohort.instruments.read(np.arange(cohort.n_samples))


def rebuilt(cohort: invarmr.Cohort, **changes) -> invarmr.Cohort:
    given = {
        "instrument": rows(cohort),
        "exposure": cohort.exposure,
        "outcome": cohort.outcome,
        "environment": cohort.environment,
        "instrument_kind": cohort.instrument_kind,
    }
    return invarmr.Cohort.from_arrays(**{**given, **changes})


def genotypes(seed: int, n: int = 700) -> invarmr.Cohort:
    """Allele copies of two source populations mixed in unequal shares: the share is the confounder."""
    generator = np.random.default_rng(seed)
    site = np.repeat([0, 1, 2], n)
    ancestry = generator.beta(1 + site, 3 - site)
    low, high = generator.uniform(0.1, 0.4, (2, 8))
    frequency = low + ancestry[:, None] * np.where(np.arange(8) < 5, 0.0, high)
    copies = generator.binomial(2, frequency)
    exposure = copies @ generator.uniform(0.2, 0.5, 8) + 2 * ancestry + generator.normal(size=3 * n)
    outcome = 0.3 * exposure + 2 * ancestry + generator.normal(size=3 * n)
    return invarmr.Cohort.from_arrays(
        instrument=copies, exposure=exposure, outcome=outcome, environment=site, instrument_kind="genotype"
    )


def learn(cohort: invarmr.Cohort, fold: np.ndarray) -> invarmr.LatentInstruments:
    learner = invarmr.StationaryInstruments(scale_within_environment=cohort.instrument_kind == "genotype")
    latent = learner.fit(cohort.folded_moments(fold))
    return latent.with_people(source=cohort.instruments, fold=fold)


def same_decisions(
    first: invarmr.LatentInstruments, second: invarmr.LatentInstruments, tolerance: float = 1e-6
) -> None:
    assert (first.n_latent, first.n_confounded, first.n_null) == (second.n_latent, second.n_confounded, second.n_null)
    assert first.saturated == second.saturated
    assert first.shift_rank == second.shift_rank
    assert first.covariance_informative == second.covariance_informative
    assert first.verdict.status == second.verdict.status
    np.testing.assert_allclose(first.eigenvalues, second.eigenvalues, rtol=1e-5, atol=1e-9)
    for one, other in zip(first.path, second.path, strict=True):
        assert one.detail == other.detail or one.smallest_p == other.smallest_p  # ties at 0 or 1
        for name in ("mean_p", "covariance_p", "independence_p", "smallest_p"):
            assert getattr(one, name) == pytest.approx(getattr(other, name), rel=tolerance, abs=1e-12)


def same_instruments(first: np.ndarray, second: np.ndarray) -> None:
    """Equal up to the sign of each column."""
    assert first.shape == second.shape
    signs = np.sign(np.einsum("ij,ij->j", first, second))
    np.testing.assert_allclose(first * signs, second, atol=1e-5)


def estimates(cohort: invarmr.Cohort, latent: invarmr.LatentInstruments) -> np.ndarray:
    out = []
    for partial in (False, True):
        design = invarmr.IVDesign.from_cohort(cohort, latent, partial_confounded=partial)
        for estimator in (invarmr.TwoStageLeastSquares(), invarmr.LimitedInformationML()):
            fitted = estimator.fit(design)
            out.append((fitted.estimate, fitted.std_error, fitted.first_stage_f, fitted.learning_inflation))
    return np.array(out)


def compare(before: invarmr.Cohort, after: invarmr.Cohort, fold: np.ndarray, fold_after: np.ndarray, order=slice(None)):
    first, second = learn(before, fold), learn(after, fold_after)
    same_decisions(second, first)
    same_instruments(second.latent_instrument, first.latent_instrument[order])
    same_instruments(second.confounded_part, first.confounded_part[order])
    np.testing.assert_allclose(estimates(after, second), estimates(before, first), rtol=1e-5)
    return first, second


@pytest.fixture(params=["score", "genotype"])
def make_cohort(request, linear_study):
    def make(seed: int) -> invarmr.Cohort:
        if request.param == "genotype":
            return genotypes(seed)
        return linear_study(seed, environments=3, n=700, asymmetric=True).cohort

    return make


@pytest.mark.parametrize("seed", range(4))
def test_the_order_of_people_is_immaterial(make_cohort, seed: int) -> None:
    cohort = make_cohort(seed)
    fold = assign_folds(cohort.environment, n_folds=FOLDS, seed=seed)
    order = np.random.default_rng(seed).permutation(cohort.n_samples)
    shuffled = rebuilt(
        cohort,
        instrument=rows(cohort)[order],
        exposure=cohort.exposure[order],
        outcome=cohort.outcome[order],
        environment=cohort.environment[order],
    )
    compare(cohort, shuffled, fold, fold[order], order)


@pytest.mark.parametrize("seed", range(4))
def test_which_allele_is_counted_is_immaterial(seed: int) -> None:
    cohort = genotypes(seed)
    fold = assign_folds(cohort.environment, n_folds=FOLDS, seed=seed)
    swapped = rows(cohort).copy()
    swapped[:, ::2] = 2 - swapped[:, ::2]
    first, second = compare(cohort, rebuilt(cohort, instrument=swapped), fold, fold)
    signs = np.where(np.arange(8) % 2 == 0, -1.0, 1.0)[:, None]
    own = np.sign(np.einsum("ij,ij->j", second.loadings * signs, first.loadings))
    np.testing.assert_allclose(second.loadings * signs * own, first.loadings, atol=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_another_basis_of_the_scores(linear_study, seed: int) -> None:
    cohort = linear_study(seed, environments=2, n=800).cohort
    fold = assign_folds(cohort.environment, n_folds=FOLDS, seed=seed)
    turn = np.random.default_rng(seed).normal(size=(4, 4)) + 2 * np.eye(4)
    first, second = compare(cohort, rebuilt(cohort, instrument=rows(cohort) @ turn + 100.0), fold, fold)
    back = turn @ second.loadings
    signs = np.sign(np.einsum("ij,ij->j", back, first.loadings))
    np.testing.assert_allclose(back * signs, first.loadings, atol=1e-6)


@settings(max_examples=6, deadline=None, derandomize=True)
@given(SEEDS, st.sampled_from([-2.0, 1e-3, 1e4]))
def test_learning_never_looks_at_exposure_or_outcome(linear_study, seed: int, c: float) -> None:
    cohort = linear_study(seed, n=500).cohort
    fold = assign_folds(cohort.environment, n_folds=FOLDS, seed=1)
    other = rebuilt(cohort, exposure=c * cohort.exposure + 1, outcome=np.sin(np.arange(cohort.n_samples)))
    first, second = learn(cohort, fold), learn(other, fold)
    np.testing.assert_array_equal(first.loadings, second.loadings)
    assert first.path == second.path


@pytest.mark.parametrize("c", [-2.0, 1e4])
def test_units_of_exposure_and_outcome(make_cohort, c: float) -> None:
    cohort = make_cohort(5)
    fold = assign_folds(cohort.environment, n_folds=FOLDS, seed=5)
    before = estimates(cohort, learn(cohort, fold))
    exposed = rebuilt(cohort, exposure=c * cohort.exposure + 7)
    after = estimates(exposed, learn(exposed, fold))
    np.testing.assert_allclose(after, before * [1 / c, 1 / abs(c), 1, 1], rtol=1e-6)
    scaled = rebuilt(cohort, outcome=c * cohort.outcome - 7)
    after = estimates(scaled, learn(scaled, fold))
    np.testing.assert_allclose(after, before * [c, abs(c), 1, 1], rtol=1e-6)


def test_sites_that_share_halves_learn_what_the_whole_would(make_cohort) -> None:
    cohort = make_cohort(9)
    fold = assign_folds(cohort.environment, n_folds=FOLDS, seed=9)
    site = np.random.default_rng(9).integers(0, 2, cohort.n_samples)
    shared = [
        invarmr.merge_moments(cohort.moments_of(np.flatnonzero((fold == k) & (site == s))) for s in (0, 1))
        for k in range(FOLDS)
    ]
    learner = invarmr.StationaryInstruments(scale_within_environment=cohort.instrument_kind == "genotype")
    merged, whole = learner.fit(shared), learn(cohort, fold)
    same_decisions(merged, whole)
    np.testing.assert_allclose(merged.loadings, whole.loadings, atol=1e-8)
    assert merged.source is None


@pytest.mark.parametrize("seed", range(3))
def test_labels_of_environments_do_not_matter(make_cohort, seed: int) -> None:
    cohort = make_cohort(seed)
    fold = assign_folds(cohort.environment, n_folds=FOLDS, seed=seed)
    renamed = np.array(["z", "m", "a"])[cohort.environment]
    compare(cohort, rebuilt(cohort, environment=renamed), fold, fold)
