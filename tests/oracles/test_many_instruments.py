"""Bekker's variance against full matrices, and what it is for: coverage with many instruments."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import invarmr


def design(generator: np.random.Generator, n: int, k: int, strength: float, covariates: int = 0, effect: float = 0.0):
    Z, C = generator.normal(size=(n, k)), generator.normal(size=(n, covariates))
    u = generator.normal(size=n)
    v = 0.8 * u + 0.6 * generator.normal(size=n)
    D = Z @ np.full(k, strength) + C.sum(axis=1) + v
    Y = effect * D + C.sum(axis=1) + u
    cohort = invarmr.Cohort.from_arrays(
        instrument=Z, exposure=D, outcome=Y, environment=["a"] * n, covariates=C if covariates else None
    )
    return invarmr.IVDesign.from_cohort(cohort), Z, np.column_stack([np.ones(n), C]), D, Y


@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.integers(0, 2**31), st.integers(2, 40), st.integers(0, 3), st.sampled_from([None, 1.0, 4.0]))
def test_variance_is_the_published_formula(seed: int, k: int, covariates: int, a: float | None) -> None:
    on, Z, C, D, Y = design(np.random.default_rng(seed), 150, k, 0.3, covariates, 0.5)
    fitted = (invarmr.LimitedInformationML() if a is None else invarmr.Fuller(a=a)).fit(on)
    M = np.eye(150) - C @ np.linalg.inv(C.T @ C) @ C.T
    X, y, Z = M @ D, M @ Y, M @ Z
    P = Z @ np.linalg.inv(Z.T @ Z) @ Z.T
    u = y - fitted.estimate * X
    alpha = u @ P @ u / (u @ u)
    s2 = u @ u / (150 - C.shape[1] - 1)
    tilde = X - u * (u @ X) / (u @ u)
    sigma = s2 * ((1 - alpha) ** 2 * tilde @ P @ tilde + alpha**2 * tilde @ (np.eye(150) - P) @ tilde)
    used = 1 - 1 / fitted.kappa
    H = X @ P @ X - used * X @ X
    assert fitted.std_error == pytest.approx(np.sqrt(sigma) / abs(H), rel=1e-8)
    if a is None:
        assert used == pytest.approx(alpha, rel=1e-7, abs=1e-12)


def test_it_covers_where_the_usual_one_does_not() -> None:
    seeds, hits = 1_000, {"many-instrument": 0, "homoskedastic": 0}
    for seed in range(seeds):
        on, *_ = design(np.random.default_rng([7, seed]), 300, 60, 0.06)
        for name in hits:
            hits[name] += 0.0 in invarmr.LimitedInformationML(std_errors=name).fit(on).confidence_set
    low, high = stats.binom.ppf([0.001, 0.999], seeds, 0.95)
    assert low <= hits["many-instrument"] <= high
    assert hits["homoskedastic"] < low


def test_with_few_strong_instruments_the_two_agree() -> None:
    on, *_ = design(np.random.default_rng(1), 20_000, 2, 1.0)
    many = invarmr.LimitedInformationML().fit(on).std_error
    assert many == pytest.approx(invarmr.LimitedInformationML(std_errors="homoskedastic").fit(on).std_error, rel=1e-3)
