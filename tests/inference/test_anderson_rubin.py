"""The Anderson-Rubin test and its set: naive dense formulas, empty and unbounded sets, robust and clustered errors."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import invarmr
from invarmr.inference.anderson_rubin import anderson_rubin_set, anderson_rubin_test
from invarmr.inference.robust_anderson_rubin import robust_form

drawn = {
    "seed": st.integers(0, 2**31),
    "n": st.integers(60, 300),
    "k": st.integers(1, 7),
    "c": st.integers(0, 3),
    "strength": st.sampled_from([0.0, 0.05, 0.3, 2.0]),
}


@settings(max_examples=25, deadline=None)
@given(value=st.floats(-5, 5), **drawn)
def test_it_is_the_f_test_of_the_instruments_on_the_residual(draw, value, **shape) -> None:
    data = draw(**shape)
    Z, pair = data.residuals
    u = pair @ [1.0, -value]
    fitted = Z @ np.linalg.lstsq(Z, u, rcond=None)[0]
    k, free = shape["k"], shape["n"] - shape["k"] - shape["c"] - 1
    f = (fitted @ fitted / k) / ((u - fitted) @ (u - fitted) / free)
    answer = anderson_rubin_test(data.design, value)
    assert answer.statistic == pytest.approx(f, rel=1e-8)
    assert answer.p_value == pytest.approx(stats.f.sf(f, k, free), rel=1e-7)
    assert answer.df == f"{k}, {free}"
    assert answer.applies


@settings(max_examples=15, deadline=None)
@given(value=st.floats(-5, 5), kind=st.sampled_from(["robust", "clustered"]), **drawn)
def test_robust_and_clustered_are_statsmodels_wald_tests(draw, value, kind, **shape) -> None:
    data = draw(**shape)
    X = np.column_stack([data.Z, np.ones(len(data.C)), data.C])
    model = sm.OLS(data.Y - value * data.D, X)
    if kind == "robust":
        fitted = model.fit(cov_type="HC1", use_t=True)
    else:
        fitted = model.fit(cov_type="cluster", cov_kwds={"groups": data.cluster}, use_t=True)
    k = shape["k"]
    wald = fitted.f_test(np.eye(k, X.shape[1]))
    answer = anderson_rubin_test(data.design, value, std_errors=kind)
    assert answer.statistic == pytest.approx(float(wald.fvalue), rel=1e-6)
    assert answer.p_value == pytest.approx(float(wald.pvalue), rel=1e-5, abs=1e-12)


@settings(max_examples=40, deadline=None)
@given(
    kind=st.sampled_from(["homoskedastic", "robust", "clustered"]),
    level=st.sampled_from([0.5, 0.9, 0.95, 0.999]),
    **drawn,
)
def test_the_set_is_what_the_test_does_not_reject(draw, kind, level, **shape) -> None:
    data = draw(**shape)
    accepted = anderson_rubin_set(data.design, level, std_errors=kind)
    ends = [end for pair in accepted.intervals for end in pair if math.isfinite(end)]
    for end in ends:
        p = anderson_rubin_test(data.design, end, std_errors=kind).p_value
        assert p == pytest.approx(1 - level, rel=1e-6)
    grid = np.concatenate([np.linspace(-4, 5, 91), np.sinh(np.linspace(-15, 15, 60)), ends or [0.0]])
    for value in grid:
        if ends and np.abs(np.array(ends) - value).min() < 1e-7 * (1 + abs(value)):
            continue
        rejected = anderson_rubin_test(data.design, value, std_errors=kind).p_value < 1 - level
        assert (value in accepted) != rejected


def test_an_empty_a_bounded_a_disjoint_and_an_unbounded_set(draw) -> None:
    rng = np.random.default_rng(3)
    Z = rng.normal(size=(400, 3))
    shared = rng.normal(size=400)

    def design(first: np.ndarray, direct: np.ndarray) -> invarmr.IVDesign:
        D = Z @ first + shared + rng.normal(size=400)
        Y = D + Z @ direct + shared + rng.normal(size=400)
        cohort = invarmr.Cohort.from_arrays(instrument=Z, exposure=D, outcome=Y, environment=np.arange(400) % 2)
        return invarmr.IVDesign.from_cohort(cohort)

    none = np.zeros(3)
    for kind in ("homoskedastic", "robust"):
        sets = [
            anderson_rubin_set(design(*coefficients), std_errors=kind)
            for coefficients in (
                (none + 0.5, np.array([1.0, -1.0, 0])),
                (none + 0.5, none),
                (none, none),
                (none, none + 1),
            )
        ]
        assert str(sets[0]) == "empty"
        assert len(sets[1].intervals) == 1
        assert sets[1].is_bounded
        assert 1.0 in sets[1]
        assert not sets[2].is_bounded
        assert not sets[3].is_bounded
        assert len(sets[3].intervals) == 2


def test_far_tails_keep_their_size(draw) -> None:
    answer = anderson_rubin_test(draw(1, n=600, k=2, strength=2.0).design, 1e3)
    assert 0 < answer.p_value < 1e-100
    assert math.log10(answer.p_value) == pytest.approx(answer.log10_p)
    rng = np.random.default_rng(1)
    Z = rng.normal(size=(20_000, 2))
    D = Z.sum(axis=1) + 0.1 * rng.normal(size=20_000)
    cohort = invarmr.Cohort.from_arrays(
        instrument=Z, exposure=D, outcome=D + 0.1 * rng.normal(size=20_000), environment=np.arange(20_000) % 2
    )
    answer = anderson_rubin_test(invarmr.IVDesign.from_cohort(cohort))
    free = 20_000 - 3
    assert answer.p_value == 0.0
    # P(F(2, m) > f) = (1 + 2 f / m)^(-m / 2) exactly
    assert answer.log10_p == pytest.approx(-free / 2 * math.log10(1 + 2 * answer.statistic / free), rel=1e-12)
    assert "p = 10^-" in str(answer)


def test_it_says_why_it_does_not_apply(draw) -> None:
    data = draw(4, n=60, k=3)
    exact = data.design_on(np.column_stack([data.Z, data.D]))
    answer = anderson_rubin_test(exact)
    assert not answer.applies
    assert answer.p_value is None
    assert "explain the exposure" in answer.reason
    assert "not applicable" in str(answer)
    with pytest.raises(invarmr.InputError, match="explain the exposure"):
        anderson_rubin_set(exact)
    moments_only = replace(data.design, cohort=None)
    assert "need the rows" in anderson_rubin_test(moments_only, std_errors="robust").reason
    assert anderson_rubin_test(moments_only).applies
    with pytest.raises(invarmr.InputError, match="need the rows"):
        anderson_rubin_set(moments_only, std_errors="clustered")
    without = replace(data.design, cohort=replace(data.design.cohort, cluster=None))
    assert "need a cluster" in anderson_rubin_test(without, std_errors="clustered").reason
    few = replace(data.design, cohort=replace(data.design.cohort, cluster=np.arange(60) % 3))
    assert "more clusters than instruments" in anderson_rubin_test(few, std_errors="clustered").reason


def test_wrong_input_is_refused(draw) -> None:
    design = draw(5).design
    with pytest.raises(invarmr.InputError, match="value must be a finite number"):
        anderson_rubin_test(design, math.nan)
    with pytest.raises(invarmr.InputError, match="strictly between 0 and 1"):
        anderson_rubin_set(design, 95)
    with pytest.raises(invarmr.InputError, match="std_errors must be"):
        anderson_rubin_test(design, std_errors="hc3")
    with pytest.raises(invarmr.InputError, match="std_errors must be"):
        robust_form(design, "homoskedastic")


def test_robust_form_of_one_instrument_equals_the_square_of_a_robust_t(draw) -> None:
    data = draw(6, k=1, strength=1.0)
    estimate = invarmr.LimitedInformationML(std_errors="robust").fit(data.design).estimate
    assert anderson_rubin_test(data.design, estimate, std_errors="robust").statistic == pytest.approx(0, abs=1e-15)
