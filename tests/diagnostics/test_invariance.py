from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

import invarmr
from invarmr.diagnostics.invariance import invariance_checks, permutation_test


def test_naive_statistics() -> None:
    generator = np.random.default_rng(0)
    X = generator.normal(size=(120, 3)) @ generator.normal(size=(3, 3))
    codes = np.repeat([0, 1, 2], [50, 30, 40])
    result = permutation_test(X, codes, error=None, n_permutations=19, generator=generator)
    groups = [X[codes == e] for e in range(3)]
    within = sum(len(g) * np.cov(g.T, bias=True) for g in groups) / 120
    root = np.linalg.inv(np.linalg.cholesky(within)).T
    white = [(g - X.mean(axis=0)) @ root for g in groups]
    shift = sum(len(g) * (g.mean(axis=0) ** 2).sum() for g in white)
    second = [g.T @ g / len(g) for g in white]
    centre = np.average(second, axis=0, weights=[50, 30, 40])
    spread = sum(len(g) * ((m - centre) ** 2).sum() for g, m in zip(white, second, strict=True))
    assert result.mean_statistic == pytest.approx(shift, rel=1e-5)
    assert result.law_statistic == pytest.approx(2 * shift + spread, rel=1e-5)
    assert result.n_samples == 120


def test_uniform_under_the_null_and_small_under_alternatives() -> None:
    null, shifted, scaled = [], [], []
    codes = np.repeat([0, 1], [150, 100])
    for seed in range(120):
        generator = np.random.default_rng(seed)
        X = generator.standard_t(5, size=(250, 2))

        def test(values: np.ndarray, generator: np.random.Generator = generator):
            return permutation_test(values, codes, error=None, n_permutations=99, generator=generator)

        null.append(test(X))
        if seed < 10:
            shifted.append(test(X + 0.6 * codes[:, None]))
            scaled.append(test(X * (1 + codes[:, None])))
    for name in ("mean_p", "law_p"):
        p = np.array([getattr(result, name) for result in null])
        assert stats.kstest(p, "uniform").pvalue > 0.001
    assert max(result.mean_p for result in shifted) <= 0.05
    assert np.median([result.law_p for result in scaled]) <= 0.02
    assert np.median([result.mean_p for result in scaled]) > 0.1  # a change of variance moves no mean


def test_p_values_count_the_observed_draw() -> None:
    X = np.vstack([np.zeros((20, 1)), np.ones((20, 1))]) + np.random.default_rng(0).normal(size=(40, 1)) / 100
    result = permutation_test(
        X, np.repeat([0, 1], 20), error=None, n_permutations=49, generator=np.random.default_rng(0)
    )
    assert result.mean_p == 1 / 50


def test_learned_instruments_pass_where_observed_ones_fail(linear_study) -> None:
    p = []
    for seed in range(60):
        cohort = linear_study(seed, environments=3, n=1_200, asymmetric=True).cohort
        latent = invarmr.StationaryInstruments(n_latent=2).fit(cohort, seed=seed)
        checks = invariance_checks(cohort, latent, seed=seed, n_permutations=99)
        assert [check.p_value for check in checks[:2]] == [0.01, 0.01]
        p.append([check.p_value for check in checks[2:]])
    for column in np.array(p).T:  # means and law, both allowing for the error of learning
        assert stats.kstest(column, "uniform").pvalue > 0.001
    means, law = checks[2:]
    assert "allows for the error of learning" in means.reason
    assert means.conclusion.startswith("the learned instruments' means do")
    assert law.conclusion.startswith("the learned instruments' law does")


def test_without_the_allowance_they_would_not(linear_study) -> None:
    p = []
    for seed in range(40):
        cohort = linear_study(seed, environments=4, p=5, q=5, n=800).cohort
        latent = replace(
            invarmr.StationaryInstruments(n_latent=5).fit(cohort, seed=seed), learning_error=np.zeros((4, 4))
        )
        p.append(invariance_checks(cohort, latent, seed=seed, n_permutations=99)[2].p_value)
    assert stats.kstest(p, "uniform").pvalue < 0.01


def test_where_nobody_was_held_out(linear_study) -> None:
    cohort = linear_study(1, n=300).cohort
    latent = invarmr.StationaryInstruments().fit(cohort.folded_moments(np.arange(600) % 10))
    checks = invariance_checks(cohort, latent, seed=1)
    assert len(checks) == 4
    assert not any(check.applies for check in checks)
    assert {check.reason for check in checks} == {"nobody was held out when the instruments were learned"}


def test_a_sample_of_many_people_and_words_for_genotypes(linear_study) -> None:
    cohort = linear_study(1, n=1_000).cohort
    latent = invarmr.StationaryInstruments().fit(cohort, seed=1)
    checks = invariance_checks(cohort, latent, seed=1, n_permutations=19, max_samples=100)
    assert checks[0].reason.startswith("100 held-out people")
    genotypes = replace(cohort, instrument_kind="genotype")
    law = invariance_checks(genotypes, latent, seed=1, n_permutations=19, max_samples=100)[1]
    assert "2f(1-f)" in law.reason
    nothing = replace(latent, trained_loadings=np.zeros((4, 0)))
    assert len(invariance_checks(cohort, nothing, seed=1, n_permutations=19, max_samples=100)) == 2
