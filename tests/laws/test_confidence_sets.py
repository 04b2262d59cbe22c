"""A value lies in the confidence set if and only if its test does not reject."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import invarmr
from invarmr.inference.wald import wald_p_value, wald_set

finite = st.floats(-1e6, 1e6)
positive = st.floats(1e-6, 1e6)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(finite, positive, st.sampled_from([0.5, 0.8, 0.9, 0.95, 0.99, 0.999999]))
def test_p_value_at_the_edge_is_one_minus_level(estimate: float, std_error: float, level: float) -> None:
    found = wald_set(estimate, std_error, level=level)
    for edge in (found.lower, found.upper):
        rounding = 1e-12 * (1 + abs(estimate) / std_error)
        assert wald_p_value(estimate, std_error, edge) == pytest.approx(1 - level, rel=1e-6 + 1e3 * rounding)
    assert estimate in found


@settings(max_examples=100, deadline=None, derandomize=True)
@given(finite, positive, st.floats(0.01, 0.99), st.floats(0.01, 0.99))
def test_sets_are_nested_in_their_level(estimate: float, std_error: float, one: float, other: float) -> None:
    small, large = (wald_set(estimate, std_error, level=level) for level in sorted((one, other)))
    assert large.lower <= small.lower <= small.upper <= large.upper


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.floats(-10, 10), st.floats(0.01, 5), st.floats(-10, 10))
def test_membership_and_test_agree(estimate: float, std_error: float, value: float) -> None:
    inside = value in wald_set(estimate, std_error, level=0.9)
    assert inside == (wald_p_value(estimate, std_error, value) >= 0.1)


def test_far_tails_stay_positive() -> None:
    assert 0 < wald_p_value(30.0, 1.0) < 1e-190
    assert wald_p_value(0.0, 1.0) == 1.0


@pytest.mark.parametrize("level", [0.8, 0.95, 0.99])
def test_every_estimate_carries_the_set_of_its_test(level: float) -> None:
    generator = np.random.default_rng(0)
    Z = generator.normal(size=(300, 3))
    D = Z.sum(axis=1) + generator.normal(size=300)
    cohort = invarmr.Cohort.from_arrays(
        instrument=Z, exposure=D, outcome=0.1 * D + generator.normal(size=300), environment=np.arange(300) % 2
    )
    design = invarmr.IVDesign.from_cohort(cohort)
    for kind in (
        invarmr.OrdinaryLeastSquares,
        invarmr.TwoStageLeastSquares,
        invarmr.LimitedInformationML,
        invarmr.Fuller,
    ):
        fitted = kind(level=level).fit(design)
        assert fitted.confidence_set.level == level
        assert (0.0 in fitted.confidence_set) == (fitted.p_value >= 1 - level)
        edge = wald_p_value(fitted.estimate, fitted.std_error, fitted.confidence_set.upper)
        assert edge == pytest.approx(1 - level, rel=1e-9)
        assert math.isclose(
            fitted.confidence_set.upper + fitted.confidence_set.lower, 2 * fitted.estimate, rel_tol=1e-9
        )
