from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import invarmr
from invarmr.data.stacked_design import StackedDesign
from invarmr.errors import InputError
from invarmr.inference.anderson_rubin import anderson_rubin_set, anderson_rubin_test
from invarmr.inference.lagrange_multiplier import lagrange_multiplier_set, lagrange_multiplier_test
from invarmr.inference.likelihood_ratio import conditional_likelihood_ratio_set, conditional_likelihood_ratio_test
from invarmr.inference.stacked_form import ROBUST_TESTS, stacked_form
from invarmr.inference.statistical_test import NotApplicable

TESTS = (anderson_rubin_test, lagrange_multiplier_test, conditional_likelihood_ratio_test)
SETS = (anderson_rubin_set, lagrange_multiplier_set, conditional_likelihood_ratio_set)


def of_one(design, learning=None):
    everyone = np.arange(design.cohort.n_samples)
    return StackedDesign(parts=(design,), people=(everyone,), cohort=design.cohort, learning=learning)


@pytest.mark.parametrize("strength", [0.5, 0.05])
@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("position", range(3))
def test_without_learning_they_are_the_tests_and_sets_of_one_design(draw, strength, k, position) -> None:
    design = draw(2, k=k, strength=strength).design
    form = stacked_form(of_one(design))
    for value in (-3.0, 0.0, 0.7, 50.0):
        ours, theirs = form.test(ROBUST_TESTS[position], value), TESTS[position](design, value)
        assert ours.log10_p == pytest.approx(theirs.log10_p, rel=1e-8, abs=1e-9)
    for level in (0.5, 0.95, 0.999):
        ours = form.confidence_set(ROBUST_TESTS[position], level)
        theirs = SETS[position](design, level)
        assert len(ours.intervals) == len(theirs.intervals)
        for pair, other in zip(ours.intervals, theirs.intervals, strict=True):
            np.testing.assert_allclose(pair, other, rtol=1e-6)


@pytest.fixture(scope="module")
def uneven(linear_study):
    study = linear_study(3, n=800)
    found = invarmr.cross_fit(
        study.cohort, invarmr.StationaryInstruments(n_latent=2), invarmr.LimitedInformationML(), n_parts=3, seed=2
    )
    return found.design


@pytest.mark.parametrize("name", ROBUST_TESTS)
def test_the_p_value_at_every_edge_is_one_minus_the_level(uneven, name) -> None:
    form = stacked_form(uneven)
    found = form.confidence_set(name, 0.9)
    assert found.intervals
    for edge in np.ravel(found.intervals):
        assert form.test(name, edge).p_value == pytest.approx(0.1, rel=1e-6)
    for low, high in found.intervals:
        assert form.test(name, (low + high) / 2).p_value > 0.1
    outside = found.lower - 0.01 * (found.upper - found.lower)
    assert form.test(name, outside).p_value < 0.1


def test_the_formulas_again(uneven) -> None:
    form = stacked_form(uneven)
    V, g, theta = form.covariance, form.scores, 0.9
    b = np.array([1.0, -theta])
    V_uu = V[0, 0] - theta * (V[0, 1] + V[1, 0]) + theta**2 * V[1, 1]
    V_du = V[1, 0] - theta * V[1, 1]
    u, inverse = g @ b, np.linalg.inv(V_uu)
    G = g[:, 1] - V_du @ inverse @ u
    m = len(u)
    ar = u @ inverse @ u
    assert form.test("Anderson-Rubin", theta).statistic == pytest.approx(ar / m)
    assert form.test("Anderson-Rubin", theta).p_value == pytest.approx(stats.f.sf(ar / m, m, form.free))
    lm = (G @ inverse @ u) ** 2 / (G @ inverse @ G)
    assert form.test("Lagrange multiplier", theta).statistic == pytest.approx(lm)
    q = G @ np.linalg.inv(V[1, 1] - V_du @ inverse @ V_du.T) @ G
    lr = (ar - q + np.sqrt((ar - q) ** 2 + 4 * lm * q)) / 2
    assert form.test("conditional likelihood ratio", theta).statistic == pytest.approx(lr)
    factor = G @ V_uu @ G / (G @ G) / (b @ form.omega @ b)
    assert form.mean_factor(theta) == pytest.approx(factor)


def test_learning_moves_the_tests_and_can_be_left_out(uneven) -> None:
    counted, plain = stacked_form(uneven), stacked_form(uneven, count_learning=False)
    np.testing.assert_allclose(plain.covariance[0, 0], plain.omega[0, 0] * np.eye(6), atol=1e-12)
    for name in ROBUST_TESTS:
        assert counted.test(name, 1.02).p_value != pytest.approx(plain.test(name, 1.02).p_value, rel=0.01)


def test_no_variance_is_multiplied_by_less_than_a_hundredth(draw) -> None:
    design = draw(2).design
    taken = -5.0 * np.einsum("ab,ij->abij", design.partialled.total, np.eye(3))
    form = stacked_form(of_one(design, taken))
    whole = form.covariance.transpose(0, 2, 1, 3).reshape(6, 6)
    omega = np.kron(form.omega, np.eye(3))
    ratio = np.linalg.eigvalsh(
        np.linalg.solve(np.linalg.cholesky(omega), whole) @ np.linalg.inv(np.linalg.cholesky(omega)).T
    )
    np.testing.assert_allclose(ratio, 0.01, rtol=1e-6)
    assert np.isfinite(form.confidence_set("Lagrange multiplier").lower)


def test_what_cannot_be_tested_says_so(draw) -> None:
    form = stacked_form(of_one(draw(2).design))
    with pytest.raises(InputError, match="finite"):
        form.test("Anderson-Rubin", np.nan)
    with pytest.raises(InputError, match="level"):
        form.confidence_set("Anderson-Rubin", 95)
    one = draw(2)
    with pytest.raises(NotApplicable, match="exact multiple"):
        stacked_form(of_one(one.design_on(one.Z, outcome=2 * one.D)))
