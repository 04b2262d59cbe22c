"""Tests of law: size where the null holds, power where means and covariances are blind."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import stats

import invarmr
from invarmr.instruments.held_out_laws import independence_test, law_tests, shape_test


def codes(n: int, environments: int = 2) -> np.ndarray:
    return np.repeat(np.arange(environments), n)


def test_size_of_both_tests_with_moving_means_and_covariances() -> None:
    """Under the null the law keeps its shape while V moves as it likes; 200 draws at level 0.1."""
    rejected = np.zeros(2)
    for seed in range(200):
        rng = np.random.default_rng(seed)
        k = codes(150)
        W = rng.exponential(size=(300, 2)) @ np.array([[1.0, 0.4], [0.0, 1.0]])
        V = rng.normal(k[:, None], 1 + k[:, None], size=(300, 2))
        generator = np.random.default_rng(seed + 1000)
        shape = shape_test(W, k, generator=generator, n_permutations=19)
        apart = independence_test(W, V, k, generator=generator, n_permutations=19)
        rejected += [shape.p_value <= 0.1, apart.p_value <= 0.1]
    low, high = stats.binom.interval(0.999, 200, 0.1)
    assert (rejected >= low).all(), rejected
    assert (rejected <= high).all(), rejected


def test_a_law_with_the_same_mean_and_covariance_but_another_shape_is_seen() -> None:
    rng = np.random.default_rng(1)
    k = codes(800)
    W = np.where(k[:, None] == 0, rng.normal(size=(1600, 1)), rng.exponential(size=(1600, 1)) - 1)
    assert shape_test(W, k, generator=rng, n_permutations=99).p_value == 0.01


def test_dependence_without_correlation_is_seen_and_correlation_alone_is_not() -> None:
    rng = np.random.default_rng(2)
    k = codes(800)
    V = rng.normal(size=(1600, 1))
    noise = rng.normal(size=(1600, 1))
    uncorrelated = V**2 - 1 + noise
    correlated = 0.3 * V + noise
    assert independence_test(uncorrelated, V, k, generator=rng, n_permutations=99).p_value == 0.01
    assert independence_test(correlated, V, k, generator=rng, n_permutations=99).p_value > 0.05


def polynomial_study(seed: int = 1, n: int = 3000) -> invarmr.Cohort:
    """Quadratic mixing of one valid and one confounded variable."""
    rng = np.random.default_rng(seed)
    k = codes(n)
    H = rng.normal(2.0 * k, 1)
    V, W = rng.normal(size=2 * n) + (1 + k) * H, rng.normal(size=2 * n)
    monomials = np.column_stack([V, W, V * V, V * W, W * W])
    D = V + W + H + rng.normal(size=2 * n)
    return invarmr.Cohort.from_arrays(
        instrument=monomials @ np.random.default_rng(9).normal(size=(5, 5)),
        exposure=D,
        outcome=D + H + rng.normal(size=2 * n),
        environment=k,
    )


def test_a_linear_split_of_a_quadratic_mixture_is_caught() -> None:
    cohort = polynomial_study()
    latent = invarmr.StationaryInstruments(n_latent=2).fit(cohort, seed=1)
    found = {test.name: test.p_value for test in law_tests(cohort, latent, seed=1, n_permutations=199)}
    assert min(found.values()) < 0.01


def test_where_the_tests_do_not_apply(linear_study) -> None:
    cohort = linear_study(1, n=400).cohort
    latent = invarmr.StationaryInstruments(n_latent=2).fit(cohort, seed=1)
    assert len(law_tests(cohort, latent, seed=1, n_permutations=9)) == 2
    everything = invarmr.StationaryInstruments(n_latent=4).fit(cohort, seed=1)
    assert [test.name for test in law_tests(cohort, everything, seed=1, n_permutations=9)] == [
        "same shape in every environment"
    ]
    assert law_tests(replace(cohort, instrument_kind="genotype"), latent, seed=1) == ()
    assert law_tests(cohort, replace(latent, fold=None), seed=1) == ()
    tiny = linear_study(1, n=(400, 100)).cohort
    few = invarmr.StationaryInstruments(n_latent=2).fit(tiny, seed=1)
    assert law_tests(tiny, few, seed=1) == ()


def test_the_same_seed_gives_the_same_answer(linear_study) -> None:
    cohort = linear_study(1, n=400).cohort
    latent = invarmr.StationaryInstruments(n_latent=2).fit(cohort, seed=1)
    first, second = (law_tests(cohort, latent, seed=3, n_permutations=9, max_samples=200) for _ in range(2))
    assert first == second
    assert first[0].n_samples == 200


def test_the_tail_follows_the_permutations_and_goes_on_beyond_them() -> None:
    """Near 1 and 1/2 the gamma tail is the permutation p-value; far out it tells what no permutation can."""
    seen = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        found = shape_test(rng.normal(size=(400, 2)), codes(200), generator=rng, n_permutations=199)
        seen.append((found.p_value, found.tail_p))
    p_value, tail_p = np.array(seen).T
    assert np.abs(p_value - tail_p).max() < 0.1  # 2.8 standard errors of 199 permutations at a p-value of 1/2
    k = codes(800)
    far = []
    for share in (0.5, 1.0):
        rng = np.random.default_rng(1)
        other = np.where(rng.random((1600, 1)) < share, rng.exponential(size=(1600, 1)) - 1, rng.normal(size=(1600, 1)))
        W = np.where(k[:, None] == 0, rng.normal(size=(1600, 1)), other)
        far.append(shape_test(W, k, generator=rng, n_permutations=199))
    assert [test.p_value for test in far] == [0.005, 0.005]
    assert far[1].tail_p < far[0].tail_p / 100 < 1e-5
