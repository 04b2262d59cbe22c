from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import invarmr
from invarmr.diagnostics.dependence import component_dependence, hilbert_schmidt_test


def naive(x: np.ndarray, c: np.ndarray) -> float:
    """HSIC from n x n kernel matrices, normalised."""
    n = len(x)

    def kernel(a: np.ndarray) -> np.ndarray:
        a = a - a.mean(axis=0)
        white = a @ np.linalg.inv(np.linalg.cholesky(a.T @ a / n)).T / np.sqrt(a.shape[1])
        H = np.eye(n) - 1 / n
        return H @ (white @ white.T + 1) ** 2 @ H

    K, L = kernel(x), kernel(c)
    return float(np.sum(K * L) / np.sqrt(np.sum(K * K) * np.sum(L * L)))


def test_features_give_the_kernel_value():
    rng = np.random.default_rng(0)
    c = rng.normal(size=(300, 2))
    x = np.column_stack([c[:, 0] ** 2, rng.normal(size=300)]) + rng.normal(size=(300, 2))
    found, chance, p = hilbert_schmidt_test(x, c, n_permutations=99, generator=np.random.default_rng(1))
    assert found == pytest.approx(naive(x, c), rel=1e-4)
    assert p == pytest.approx(0.01)
    assert chance < found / 2


def test_random_features_come_near_it():
    rng = np.random.default_rng(0)
    x, c = rng.normal(size=(400, 30)), rng.normal(size=(400, 3))
    x[:, :3] += c
    found = hilbert_schmidt_test(x, c, n_permutations=0, generator=np.random.default_rng(1))[0]
    assert found == pytest.approx(naive(x, c), rel=0.25)


def test_size_and_power_for_a_relation_that_is_not_linear():
    generator = np.random.default_rng(3)
    null, curved = [], []
    for _ in range(60):
        x, c = generator.normal(size=(200, 20)), generator.normal(size=(200, 2))
        null.append(hilbert_schmidt_test(x, c, n_permutations=39, generator=generator)[2])
        x[:, 0] += 2 * c[:, 0] ** 2
        curved.append(hilbert_schmidt_test(x, c, n_permutations=39, generator=generator)[2])
    assert stats.binomtest(int(np.sum(np.array(null) <= 0.1)), 60, 0.1).pvalue > 0.001
    assert np.mean(np.array(curved) <= 0.05) > 0.8


def test_on_a_cohort(linear_study):
    study = linear_study(1, environments=3, n=1_500, asymmetric=True)
    n = study.cohort.n_samples
    ancestry = study.confounded[:, :1] + np.random.default_rng(0).normal(size=(n, 1))
    cohort = study.cohort.with_components(ancestry, ["PC1"])
    latent = invarmr.StationaryInstruments(n_latent=2).fit(cohort, seed=1)
    observed, learned = component_dependence(cohort, latent, seed=1, n_permutations=99)
    assert (observed.instruments, observed.p_value, observed.n_samples) == ("observed", 0.01, 1350)
    assert learned.p_value > 0.01
    assert "held-out people" in learned.reason
    assert "does not allow for the error of learning" in learned.reason
    again = component_dependence(cohort, latent, seed=1, n_permutations=99)
    assert again == (observed, learned)
    few = component_dependence(cohort, None, seed=1, n_permutations=19, max_samples=500)
    assert [(test.instruments, test.n_samples) for test in few] == [("observed", 500)]
    assert "500 people drawn from everyone" in few[0].reason
    assert component_dependence(study.cohort, latent, seed=1) == ()


def test_constant_instruments_depend_on_nothing():
    generator = np.random.default_rng(0)
    x, c = np.ones((50, 2)), generator.normal(size=(50, 1))
    assert hilbert_schmidt_test(x, c, n_permutations=9, generator=generator) == (0.0, 0.0, 1.0)
