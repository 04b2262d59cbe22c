"""Laws of the weak-instrument-robust tests and sets, over designs strong and weak."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import invarmr
from invarmr.inference.anderson_rubin import anderson_rubin_set, anderson_rubin_test
from invarmr.inference.lagrange_multiplier import lagrange_multiplier_set, lagrange_multiplier_test
from invarmr.inference.likelihood_ratio import (
    conditional_likelihood_ratio_set,
    conditional_likelihood_ratio_test,
    likelihood_ratio_set,
    likelihood_ratio_test,
)

FAMILY = {
    "AR": (anderson_rubin_test, anderson_rubin_set),
    "LM": (lagrange_multiplier_test, lagrange_multiplier_set),
    "LR": (likelihood_ratio_test, likelihood_ratio_set),
    "CLR": (conditional_likelihood_ratio_test, conditional_likelihood_ratio_set),
}


def design(seed: int, k: int, strength: float, *, scale: float = 1.0, shift: float = 0.0) -> invarmr.IVDesign:
    """A drawn design; the outcome is multiplied by `scale`, and `shift` times the exposure added."""
    rng = np.random.default_rng(seed)
    n = 150
    Z, h = rng.normal(size=(n, k)), rng.normal(size=n)
    D = strength * Z.sum(axis=1) + h + rng.normal(size=n)
    Y = scale * (0.5 * D + h + rng.normal(size=n)) + shift * D
    cohort = invarmr.Cohort.from_arrays(
        instrument=Z, exposure=D, outcome=Y, environment=np.arange(n) % 2, cluster=np.arange(n) // 3
    )
    return invarmr.IVDesign.from_cohort(cohort)


seeds, counts = st.integers(0, 2**31), st.integers(1, 6)
strengths = st.sampled_from([0.0, 0.05, 0.2, 1.0])


@pytest.mark.parametrize("name", FAMILY)
@settings(max_examples=25, deadline=None, derandomize=True)
@given(seed=seeds, k=counts, strength=strengths, level=st.sampled_from([0.5, 0.9, 0.95, 0.999]))
def test_the_p_value_at_every_edge_is_one_minus_level(
    name: str, seed: int, k: int, strength: float, level: float
) -> None:
    test, invert = FAMILY[name]
    on = design(seed, k, strength)
    for pair in invert(on, level).intervals:
        for end in pair:
            if math.isfinite(end):
                assert test(on, end).p_value == pytest.approx(1 - level, rel=1e-5)


@pytest.mark.parametrize("kind", ["robust", "clustered"])
@settings(max_examples=15, deadline=None, derandomize=True)
@given(seed=seeds, k=counts, strength=strengths)
def test_so_it_is_for_robust_and_clustered_ar(kind: str, seed: int, k: int, strength: float) -> None:
    on = design(seed, k, strength)
    for pair in anderson_rubin_set(on, std_errors=kind).intervals:
        for end in pair:
            if math.isfinite(end):
                assert anderson_rubin_test(on, end, std_errors=kind).p_value == pytest.approx(0.05, rel=1e-5)


@pytest.mark.parametrize("name", FAMILY)
@settings(max_examples=15, deadline=None, derandomize=True)
@given(seed=seeds, k=counts, strength=strengths, value=st.floats(-3, 3))
def test_membership_and_test_agree(name: str, seed: int, k: int, strength: float, value: float) -> None:
    test, invert = FAMILY[name]
    on = design(seed, k, strength)
    p = test(on, value).p_value
    if abs(p - 0.05) > 1e-6:
        assert (value in invert(on)) == (p > 0.05)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(seed=seeds, strength=strengths, value=st.floats(-3, 3))
def test_with_one_instrument_all_tests_are_one(seed: int, strength: float, value: float) -> None:
    on = design(seed, 1, strength)
    answers = [test(on, value) for test, _ in FAMILY.values()]
    for answer in answers[1:]:
        assert answer.statistic == pytest.approx(answers[0].statistic, rel=1e-8, abs=1e-12)
        assert answer.p_value == pytest.approx(answers[0].p_value, rel=1e-8, abs=1e-12)
    assert len({invert(on).intervals for _, invert in FAMILY.values()}) == 1


@pytest.mark.parametrize("name", FAMILY)
@settings(max_examples=15, deadline=None, derandomize=True)
@given(seed=seeds, k=counts, strength=strengths, scale=st.sampled_from([-3.0, 0.01, 100.0]), shift=st.floats(-2, 2))
def test_sets_move_with_the_outcome(name: str, seed: int, k: int, strength: float, scale: float, shift: float) -> None:
    """Y -> s Y + c D turns an effect theta into s theta + c."""
    _, invert = FAMILY[name]
    plain, moved = design(seed, k, strength), design(seed, k, strength, scale=scale, shift=shift)
    ends = [(scale * low + shift, scale * high + shift) for low, high in invert(plain).intervals]
    expected = sorted((min(pair), max(pair)) for pair in ends)
    found = invert(moved).intervals
    assert len(found) == len(expected)
    for pair, reference in zip(found, expected, strict=True):
        assert pair == pytest.approx(reference, rel=1e-5, abs=1e-6 * abs(scale))


@settings(max_examples=20, deadline=None, derandomize=True)
@given(seed=seeds, k=counts, strength=strengths)
def test_what_every_set_holds(seed: int, k: int, strength: float) -> None:
    """LIML lies in LM, LR and conditional LR; the plain LR set in the conditional one; AR may be empty."""
    on = design(seed, k, strength)
    liml = invarmr.LimitedInformationML().fit(on).estimate
    for name in ("LM", "LR", "CLR"):
        assert liml in FAMILY[name][1](on), name
    plain, conditional = likelihood_ratio_set(on), conditional_likelihood_ratio_set(on)
    for low, high in plain.intervals:
        assert any(a - 1e-9 <= low and high <= b + 1e-9 for a, b in conditional.intervals)
