import json
from dataclasses import replace

import numpy as np
import pytest

from invarmr.data.design import IVDesign
from invarmr.errors import InputError
from invarmr.estimators.kclass import OrdinaryLeastSquares, TwoStageLeastSquares
from invarmr.simulate.latent import LatentDesign, latent_mixing, simulate_latent

N = 20_000
TWO_STAGE = TwoStageLeastSquares()


def draw(seed=1, n_samples=N, part="training", **settings):
    return simulate_latent(LatentDesign(**settings), seed=seed, part=part, n_samples=n_samples)


def by_environment(sample, values):
    return [values[sample.environment == e] for e in range(sample.design.n_environments)]


def fit(cohort, estimator=TWO_STAGE, **settings):
    return estimator.fit(IVDesign.from_cohort(cohort, **settings)).estimate


@pytest.fixture(scope="module")
def published():
    return draw(n_environments=3)


def test_moments_of_the_published_design(published):
    fixed = np.array([[1, 0.5], [0.5, 1]])
    scales = np.array([[1, 1], [2, 1], [1, 2]])
    se = 5 / np.sqrt(N)
    for e in range(3):
        H, V, W = (
            by_environment(published, values)[e]
            for values in (published.confounder, published.confounded_part, published.latent_instrument)
        )
        eta = np.diag(scales[e])
        np.testing.assert_allclose(H.mean(axis=0), 2 * e, atol=se)
        np.testing.assert_allclose(np.cov(H.T), np.eye(2), atol=2 * se)
        np.testing.assert_allclose(V.mean(axis=0), scales[e] * 2 * e, atol=3 * se)
        np.testing.assert_allclose(np.cov(V.T), fixed + eta @ eta, atol=10 * se)
        np.testing.assert_allclose(np.cov(V.T, H.T)[:2, 2:], eta, atol=4 * se)
        np.testing.assert_allclose(W.mean(axis=0), 0, atol=se)
        np.testing.assert_allclose(np.cov(W.T), fixed, atol=2 * se)
        assert np.abs(np.corrcoef(W.T, np.hstack([V, H]).T)[:2, 2:]).max() < se


@pytest.mark.parametrize("effects", ["symmetric", "asymmetric"])
def test_exposure_and_outcome_equations(effects):
    sample = draw(effects=effects, effect=0.7, relevance=0.3, direct_effect=0.2)
    V, W, H = sample.confounded_part, sample.latent_instrument, sample.confounder
    wanted = np.array([1, 1, 1, 1] if effects == "symmetric" else [1, 0, 1, 0])
    regressors = np.hstack([V, H, W])
    found = np.linalg.lstsq(regressors, sample.exposure, rcond=None)
    np.testing.assert_allclose(found[0], [*wanted, 0.3, 0.3], atol=0.05)
    assert abs(found[1][0] / len(V) - 1) < 0.05
    found = np.linalg.lstsq(np.column_stack([sample.exposure, regressors]), sample.outcome, rcond=None)
    np.testing.assert_allclose(found[0], [0.7, 0, 0, *wanted[2:], 0.2, 0.2], atol=0.05)
    assert abs(found[1][0] / len(V) - 1) < 0.05


def test_wishart_covariances_are_of_the_design_and_not_of_the_data():
    first, second = draw(covariance="wishart"), draw(covariance="wishart", seed=2)
    other = draw(covariance="wishart", mixing_seed=1)
    covariances = [np.cov(sample.latent_instrument.T) for sample in (first, second, other)]
    np.testing.assert_allclose(covariances[0], covariances[1], atol=0.1)
    assert np.abs(covariances[0] - covariances[2]).max() > 0.1
    many = np.mean(
        [np.cov(draw(covariance="wishart", mixing_seed=k, n_samples=400).latent_instrument.T) for k in range(150)],
        axis=0,
    )
    np.testing.assert_allclose(many, np.eye(2), atol=0.2)


@pytest.mark.parametrize(("shape", "low", "high"), [("bounded", -1.733, 1.733), ("skewed", -1.001, 15)])
def test_bounded_and_skewed_latents_keep_mean_and_variance(shape, low, high):
    sample = draw(shape=shape)
    for values in (sample.latent_instrument, by_environment(sample, sample.confounder)[0]):
        np.testing.assert_allclose(values.mean(axis=0), 0, atol=0.04)
        np.testing.assert_allclose(values.var(axis=0), 1, atol=0.08)
        assert values.min() > low
        assert values.max() < high
    skewness = (sample.latent_instrument**3).mean()
    assert abs(skewness - (2 if shape == "skewed" else 0)) < 0.5


def test_the_same_seed_shares_what_the_designs_share():
    symmetric, asymmetric = draw(n_samples=100), draw(n_samples=100, effects="asymmetric")
    for name in ("instrument", "latent_instrument", "confounded_part", "confounder"):
        np.testing.assert_array_equal(getattr(symmetric, name), getattr(asymmetric, name))
    assert not np.allclose(symmetric.exposure, asymmetric.exposure)
    other = draw(n_samples=100, mixing="mlp")
    np.testing.assert_array_equal(symmetric.latent_instrument, other.latent_instrument)
    np.testing.assert_array_equal(symmetric.exposure, other.exposure)


def test_parts_and_seeds_are_independent_streams_of_one_population():
    samples = [draw(part=part, mixing="linear") for part in ("training", "validation", "test")]
    samples.append(draw(seed=2, mixing="linear"))
    for k, first in enumerate(samples):
        for second in samples[k + 1 :]:
            for name in ("latent_instrument", "confounded_part", "exposure", "outcome"):
                a, b = (np.ravel(getattr(sample, name)[:N]) for sample in (first, second))
                assert abs(np.corrcoef(a, b)[0, 1]) < 0.05
    means = [sample.instrument.mean(axis=0) for sample in samples]
    assert np.ptp(means, axis=0).max() < 0.1
    assert len({sample.sample_ids[0] for sample in samples[:3]}) == 3


def test_drawing_again_gives_the_same_bytes():
    first, second = draw(n_samples=500, noise=0.1), draw(n_samples=500, noise=0.1)
    for name in ("instrument", "exposure", "outcome", "environment", "confounder"):
        assert getattr(first, name).tobytes() == getattr(second, name).tobytes()
    with pytest.raises(ValueError, match="read-only"):
        first.instrument[0] = 0


def test_one_mixing_per_name_and_number_of_environments():
    U = np.random.default_rng(0).normal(size=(20, 4))
    design = LatentDesign()
    Z = latent_mixing(design)(U)
    same = replace(design, effects="asymmetric", n_samples=5, relevance=0.0, effect=2.0)
    np.testing.assert_array_equal(latent_mixing(same)(U), Z)
    for changed in (replace(design, n_environments=3), replace(design, mixing_seed=1)):
        assert not np.allclose(latent_mixing(changed)(U), Z)
    sample = draw(n_samples=50)
    u = np.hstack([sample.confounded_part, sample.latent_instrument])
    np.testing.assert_array_equal(latent_mixing(design)(u), sample.instrument)


@pytest.mark.parametrize("mixing", ["poly1", "poly2", "poly3", "mlp"])
def test_biases_of_the_study_on_one_draw(mixing):
    sample = draw(n_samples=12_000, mixing=mixing)
    assert fit(sample.cohort) - 1 == pytest.approx(0.30, abs=0.02)
    assert fit(sample.cohort, OrdinaryLeastSquares()) - 1 == pytest.approx(0.30, abs=0.01)
    assert fit(sample.cohort, controls=("truth",)) == pytest.approx(1, abs=0.02)
    assert fit(sample.cohort_on(sample.latent_instrument)) == pytest.approx(1, abs=0.04)


def test_nothing_is_valid_where_asked_for():
    sample = draw(valid=False, mixing="linear")
    assert sample.confounder.shape[1] == 4
    assert fit(sample.cohort_on(sample.latent_instrument)) - 1 > 0.1
    assert fit(sample.cohort, controls=("truth",)) == pytest.approx(1, abs=0.02)
    means = [values.mean(axis=0) for values in by_environment(sample, sample.latent_instrument)]
    assert np.abs(means[1] - means[0]).min() > 1


def test_irrelevant_and_weak_instruments_have_no_and_little_first_stage():
    strengths = []
    for relevance in (0.0, 0.02, 1.0):
        sample = draw(relevance=relevance)
        strengths.append(TWO_STAGE.fit(IVDesign.from_cohort(sample.cohort_on(sample.latent_instrument))).first_stage_f)
    assert strengths[0] < 8
    assert strengths[0] < strengths[1] < strengths[2] / 50


def test_noise_is_a_share_of_each_columns_spread():
    clean, noisy = draw(mixing="poly2"), draw(mixing="poly2", noise=0.5)
    share = (noisy.instrument - clean.instrument).std(axis=0) / clean.instrument.std(axis=0)
    np.testing.assert_allclose(share[clean.instrument.std(axis=0) > 1e-9], 0.5, atol=0.06)


def test_discrete_instruments_are_like_genotypes():
    sample = draw(mixing="discrete", n_instruments=12, n_samples=5_000)
    assert sample.cohort.instrument_kind == "genotype"
    assert set(np.unique(sample.instrument)) == {0, 1, 2}
    flipped = draw(mixing="discrete", n_instruments=12, n_samples=5_000, noise=0.3).instrument != sample.instrument
    assert 0.01 < flipped.mean() < 0.5
    rare = [np.bincount(column.astype(int), minlength=3).min() for column in sample.instrument.T]
    assert np.median(rare) > 100


@pytest.mark.parametrize(("p", "q", "E"), [(5, 5, 2), (10, 10, 20), (1, 3, 4)])
def test_other_sizes(p, q, E):
    sample = draw(n_valid=p, n_confounded=q, n_environments=E, mixing="linear", n_samples=200)
    assert sample.instrument.shape == (200 * E, p + q)
    assert sample.cohort.environments == tuple(str(e) for e in range(E))


def test_truth_travels(published):
    truth = json.loads(json.dumps(published.truth))
    assert truth["effect"] == 1.0
    assert LatentDesign(**truth["design"]) == published.design
    np.testing.assert_array_equal(published.cohort.truth, published.confounder)
    assert published.n_samples == 3 * N


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"seed": -1}, "seed must be a whole number from 0 up"),
        ({"part": "holdout"}, "part must be one of training, validation, test"),
        ({"n_samples": 1}, "at least 2 rows per environment"),
    ],
)
def test_bad_calls(settings, message):
    with pytest.raises(InputError, match=message):
        draw(**settings)
