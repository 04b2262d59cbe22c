"""The likelihood ratio tests, plain and conditional, their law and their sets."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, special, stats

import invarmr
from invarmr.inference.anderson_rubin import anderson_rubin_set, anderson_rubin_test
from invarmr.inference.conditional_law import log_conditional_p_value
from invarmr.inference.likelihood_ratio import (
    conditional_likelihood_ratio_set,
    conditional_likelihood_ratio_test,
    likelihood_ratio_set,
    likelihood_ratio_test,
)

PAIRS = [
    (likelihood_ratio_test, likelihood_ratio_set),
    (conditional_likelihood_ratio_test, conditional_likelihood_ratio_set),
]
drawn = {
    "seed": st.integers(0, 2**31),
    "n": st.integers(60, 300),
    "k": st.integers(1, 7),
    "c": st.integers(0, 3),
    "strength": st.sampled_from([0.0, 0.05, 0.3, 2.0]),
}


@settings(max_examples=40, deadline=None)
@given(pair=st.sampled_from(PAIRS), level=st.sampled_from([0.5, 0.95, 0.999]), **drawn)
def test_the_set_is_what_the_test_does_not_reject(draw, pair, level, **shape) -> None:
    test, invert = pair
    data = draw(**shape)
    accepted = invert(data.design, level)
    ends = [end for interval in accepted.intervals for end in interval if math.isfinite(end)]
    assert invarmr.LimitedInformationML().fit(data.design).estimate in accepted
    for end in ends:
        assert test(data.design, end).p_value == pytest.approx(1 - level, rel=1e-6)
    for value in np.concatenate([np.linspace(-4, 5, 61), np.sinh(np.linspace(-15, 15, 40))]):
        if ends and np.abs(np.array(ends) - value).min() < 1e-7 * (1 + abs(value)):
            continue
        assert (value in accepted) != (test(data.design, value).p_value < 1 - level)


@settings(max_examples=10, deadline=None)
@given(**drawn)
def test_the_conditional_set_holds_the_plain_one(draw, **shape) -> None:
    data = draw(**shape)
    plain, conditional = likelihood_ratio_set(data.design), conditional_likelihood_ratio_set(data.design)
    assert all(end in conditional for pair in plain.intervals for end in pair if math.isfinite(end))


def test_with_one_instrument_both_are_ar(draw) -> None:
    data = draw(9, k=1)
    ar = anderson_rubin_test(data.design, 0.4)
    for test, invert in PAIRS:
        answer = test(data.design, 0.4)
        assert (answer.statistic, answer.p_value, answer.df) == pytest.approx((ar.statistic, ar.p_value, ar.df))
        assert invert(data.design).intervals == anderson_rubin_set(data.design).intervals


@pytest.mark.parametrize("k", [2, 3, 4, 11, 60, 300, 1000])
@pytest.mark.parametrize("q", [1e-3, 1.0, 30.0, 1e4])
@pytest.mark.parametrize("m", [1e-3, 1.0, 8.0, 60.0, 800.0])
def test_the_law_agrees_with_adaptive_quadrature_of_another_form(k, q, m) -> None:
    # given Q2 = r, LR > m exactly where Q1 > m (m + q - r) / (m + q); r = (m + q) sin^2 a, all smooth in a
    top, half = m + q, (k - 1) / 2
    constant = math.log(2) + half * math.log(top / 2) - special.gammaln(half)

    def integrand(a: float) -> float:
        sine = math.sin(a)
        density = (
            sine ** (k - 2) * math.exp(constant - top * sine**2 / 2)
            if k < 100
            else math.exp(constant - top * sine**2 / 2 + (k - 2) * math.log(sine))
        )
        return special.gammaincc(0.5, m * math.cos(a) ** 2 / 2) * density * math.cos(a)

    last = math.asin(math.sqrt(min(stats.chi2.isf(1e-250, k - 1) / top, 1.0)))
    edges = np.linspace(0, last, 41)
    tight = {"epsabs": 0.0, "epsrel": 1e-9, "limit": 200}
    parts = [integrate.quad(integrand, a, b, **tight)[0] for a, b in itertools.pairwise(edges)]
    expected = sum(parts) + stats.chi2.sf(top, k - 1)
    assert math.exp(log_conditional_p_value(m, q, k)) == pytest.approx(expected, rel=1e-7)


def test_the_law_at_its_ends() -> None:
    assert log_conditional_p_value(0.0, 3.0, 4) == 0.0
    assert math.exp(log_conditional_p_value(5.0, 0.0, 4)) == pytest.approx(stats.chi2.sf(5.0, 4))
    assert math.exp(log_conditional_p_value(5.0, 2.0, 1)) == pytest.approx(stats.chi2.sf(5.0, 1))
    assert math.exp(log_conditional_p_value(5.0, 1e10, 4)) == pytest.approx(stats.chi2.sf(5.0, 1), rel=1e-6)


def test_far_tails_stay_finite() -> None:
    log_p = log_conditional_p_value(1e5, 1e9, 10)
    assert log_p == pytest.approx(float(stats.norm.logsf(math.sqrt(1e5)) + math.log(2)), rel=1e-3)
    assert log_conditional_p_value(1e5, 1.0, 10) < log_conditional_p_value(1e4, 1.0, 10) < -4_000


def test_they_say_why_they_do_not_apply(draw) -> None:
    data = draw(4, n=60, k=3)
    exact = data.design_on(np.column_stack([data.Z, data.D]))
    for test, invert in PAIRS:
        assert not test(exact).applies
        with pytest.raises(invarmr.InputError, match="explain the exposure"):
            invert(exact)


def test_a_multiple_of_the_exposure_is_no_outcome(draw) -> None:
    data = draw(4, n=60, k=3)
    assert "exact multiple" in likelihood_ratio_test(data.design_on(data.Z, outcome=2 * data.D)).reason
