"""Kleibergen's LM test and its set, against a dense formula and a fine grid."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import invarmr
from invarmr.inference.anderson_rubin import anderson_rubin_set, anderson_rubin_test
from invarmr.inference.lagrange_multiplier import lagrange_multiplier_set, lagrange_multiplier_test

drawn = {
    "seed": st.integers(0, 2**31),
    "n": st.integers(60, 300),
    "c": st.integers(0, 3),
    "strength": st.sampled_from([0.0, 0.05, 0.3, 2.0]),
}


@settings(max_examples=25, deadline=None)
@given(value=st.floats(-5, 5), k=st.integers(2, 7), **drawn)
def test_it_is_the_projection_on_the_first_stage_free_of_the_error(draw, value, k, **shape) -> None:
    data = draw(k=k, **shape)
    Z, pair = data.residuals
    Q, _ = np.linalg.qr(Z)
    u, x = pair @ [1.0, -value], pair[:, 1]
    outside = u - Q @ (Q.T @ u)
    x_free = Q.T @ (x - u * (outside @ x) / (outside @ outside))
    free = shape["n"] - k - shape["c"] - 1
    lm = free * (x_free @ (Q.T @ u)) ** 2 / (x_free @ x_free) / (outside @ outside)
    answer = lagrange_multiplier_test(data.design, value)
    assert answer.statistic == pytest.approx(lm, rel=1e-6, abs=1e-9)
    assert answer.p_value == pytest.approx(stats.chi2.sf(answer.statistic, 1), rel=1e-9)


@settings(max_examples=40, deadline=None)
@given(k=st.integers(2, 7), level=st.sampled_from([0.5, 0.95, 0.999]), **drawn)
def test_the_set_is_what_the_test_does_not_reject(draw, k, level, **shape) -> None:
    data = draw(k=k, **shape)
    accepted = lagrange_multiplier_set(data.design, level)
    ends = [end for pair in accepted.intervals for end in pair if math.isfinite(end)]
    assert accepted.intervals
    assert len(ends) <= 4
    for end in ends:
        assert lagrange_multiplier_test(data.design, end).p_value == pytest.approx(1 - level, rel=1e-5)
    for value in np.concatenate([np.linspace(-4, 5, 91), np.sinh(np.linspace(-15, 15, 60))]):
        if ends and np.abs(np.array(ends) - value).min() < 1e-6 * (1 + abs(value)):
            continue
        rejected = lagrange_multiplier_test(data.design, value).p_value < 1 - level
        assert (value in accepted) != rejected


def test_it_is_zero_at_liml_and_where_ar_is_largest(draw) -> None:
    data = draw(8, k=4, n=300, strength=0.5)
    liml = invarmr.LimitedInformationML().fit(data.design).estimate
    assert lagrange_multiplier_test(data.design, liml).statistic == pytest.approx(0.0, abs=1e-9)
    accepted = lagrange_multiplier_set(data.design)
    assert liml in accepted
    assert len(accepted.intervals) >= 2


def test_with_one_instrument_it_is_ar(draw) -> None:
    data = draw(9, k=1)
    lm, ar = lagrange_multiplier_test(data.design, 0.4), anderson_rubin_test(data.design, 0.4)
    assert (lm.statistic, lm.p_value, lm.df) == pytest.approx((ar.statistic, ar.p_value, ar.df))
    assert lagrange_multiplier_set(data.design).intervals == anderson_rubin_set(data.design).intervals


def test_it_says_why_it_does_not_apply(draw) -> None:
    data = draw(4, n=60, k=3)
    exact = data.design_on(np.column_stack([data.Z, data.D]))
    assert not lagrange_multiplier_test(exact).applies
    with pytest.raises(invarmr.InputError, match="explain the exposure"):
        lagrange_multiplier_set(exact)
