"""Strength of the instruments: foreign numbers, naive formulas, and every reason not to apply."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

import invarmr
from invarmr.diagnostics.strength import (
    cragg_donald_check,
    effective_f_bound,
    effective_f_check,
    kleibergen_paap_check,
    stock_yogo_bound,
    strength_checks,
)


def drawn(seed: int = 0, *, n: int = 300, k: int = 4, strength: float = 0.3, noise: float = 1.0):
    rng = np.random.default_rng(seed)
    Z, C, cluster = rng.normal(size=(n, k)), rng.normal(size=(n, 2)), np.arange(n) // 6
    v = noise * (rng.normal(size=n) * (0.3 + np.abs(Z[:, 0])) + rng.normal(size=n // 6 + 1)[cluster])
    D = strength * Z.sum(axis=1) + C.sum(axis=1) + v
    cohort = invarmr.Cohort.from_arrays(
        instrument=Z,
        exposure=D,
        outcome=D + rng.normal(size=n),
        covariates=C,
        environment=np.arange(n) % 2,
        cluster=cluster,
    )
    return invarmr.IVDesign.from_cohort(cohort), np.column_stack([Z, np.ones(n), C]), D, cluster


@pytest.mark.parametrize(("clustered", "k"), [(False, 4), (True, 4), (False, 1), (True, 1)])
def test_kleibergen_paap_is_the_robust_first_stage_f(clustered, k) -> None:
    design, X, D, cluster = drawn(k=k)
    how = {"cov_type": "cluster", "cov_kwds": {"groups": cluster}} if clustered else {"cov_type": "HC1"}
    wald = sm.OLS(D, X).fit(use_t=True, **how).f_test(np.eye(k, X.shape[1]))
    check = kleibergen_paap_check(design, clustered=clustered)
    assert check.statistic == pytest.approx(float(wald.fvalue), rel=1e-9)
    assert check.p_value == pytest.approx(float(wald.pvalue), rel=1e-6)
    assert ("clustered" in check.conclusion) == clustered


def test_effective_f_by_its_definition() -> None:
    design, X, D, _ = drawn()
    n, k = len(D), 4
    Q, _ = np.linalg.qr(X[:, 4:])
    Z = X[:, :4] - Q @ (Q.T @ X[:, :4])
    d = D - Q @ (Q.T @ D)
    Z = np.linalg.qr(Z)[0]
    pi = Z.T @ d
    e = d - Z @ pi
    V = n / (n - k - 3) * (Z * e[:, None] ** 2).T @ Z
    check = effective_f_check(design)
    assert check.statistic == pytest.approx(pi @ pi / np.trace(V), rel=1e-9)
    for tau in (0.05, 0.1):
        assert f"{effective_f_bound(V, tau):.1f}" in check.conclusion


def test_effective_f_is_the_f_where_variances_are_equal_and_one_instrument_gives_the_robust_f() -> None:
    design, *_ = drawn(k=1)
    assert effective_f_check(design).statistic == pytest.approx(kleibergen_paap_check(design).statistic, rel=1e-9)
    rng = np.random.default_rng(2)
    Z = rng.normal(size=(50_000, 3))
    D = 0.05 * Z.sum(axis=1) + rng.normal(size=50_000)
    cohort = invarmr.Cohort.from_arrays(
        instrument=Z, exposure=D, outcome=D + rng.normal(size=50_000), environment=np.arange(50_000) % 2
    )
    large = invarmr.IVDesign.from_cohort(cohort)
    assert effective_f_check(large).statistic == pytest.approx(cragg_donald_check(large).statistic, rel=0.03)


def test_bounds_of_montiel_olea_and_pflueger() -> None:
    # printed by weakivtest for one instrument
    printed = {0.05: 37.418, 0.1: 23.109, 0.2: 15.062, 0.3: 12.039}
    for tau, bound in printed.items():
        assert effective_f_bound(np.eye(1), tau) == pytest.approx(bound, abs=0.02)
    assert effective_f_bound(np.eye(200), 0.1) < effective_f_bound(np.eye(5), 0.1) < 23.2
    with pytest.raises(invarmr.InputError, match="bias must lie"):
        effective_f_bound(np.eye(2), 10)


def test_bounds_of_stock_and_yogo() -> None:
    # their table 5.1, simulated
    printed = {3: (13.91, 9.08, 6.46, 5.39), 4: (16.85, 10.27, 6.71, 5.34), 5: (18.37, 10.83, 6.77, 5.25)}
    for k, row in printed.items():
        assert [stock_yogo_bound(k, bias) for bias in (0.05, 0.1, 0.2, 0.3)] == pytest.approx(row, abs=0.16)
    for k, bias in ((1, 0.1), (3, 0.0), (3, 1.0)):
        with pytest.raises(invarmr.InputError, match="two instruments or more"):
            stock_yogo_bound(k, bias)


def test_the_share_of_bias_is_what_the_bound_says() -> None:
    k, rng = 5, np.random.default_rng(3)
    noncentrality = 60.0
    z = rng.normal(size=(200_000, k))
    signal = z + np.sqrt(noncentrality / k)
    share = np.mean((signal * z).sum(axis=1) / (signal**2).sum(axis=1))
    bound = stock_yogo_bound(k, float(share))
    assert bound == pytest.approx(stats.ncx2.isf(0.05, k, noncentrality) / k, rel=0.02)


def test_conclusions_say_where_the_f_lies() -> None:
    assert "is above" in cragg_donald_check(drawn(strength=1.0)[0]).conclusion
    assert "not above" in cragg_donald_check(drawn(strength=0.02)[0]).conclusion
    assert "one instrument" in cragg_donald_check(drawn(k=1)[0]).conclusion
    shares = [effective_f_check(drawn(strength=s)[0]).conclusion for s in (0.02, 0.3, 2.0)]
    assert "possibly above 10 %" in shares[0]
    assert "below 5 %" in shares[2]
    assert len(strength_checks(drawn()[0], clustered=True)) == 3


def test_they_say_why_they_do_not_apply() -> None:
    design, *_ = drawn()
    moments_only = replace(design, cohort=None)
    for check in (kleibergen_paap_check(moments_only), effective_f_check(moments_only)):
        assert not check.applies
        assert "need the rows" in check.reason
    assert cragg_donald_check(moments_only).applies


def test_an_exposure_that_the_instruments_explain_entirely() -> None:
    rng = np.random.default_rng(1)
    Z = rng.integers(0, 3, size=(64, 1)).astype(float)
    cohort = invarmr.Cohort.from_arrays(
        instrument=Z, exposure=np.zeros(64) + Z[:, 0], outcome=rng.normal(size=64), environment=np.arange(64) % 2
    )
    design = invarmr.IVDesign.from_cohort(cohort)
    for check in (kleibergen_paap_check(design), effective_f_check(design)):
        assert "explain the exposure entirely" in check.reason
    assert cragg_donald_check(design).statistic > 1e10
