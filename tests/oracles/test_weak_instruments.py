"""Weak-instrument-robust tests: `ivmodels` on random designs, R's ivmodel on Card's data, and size by Monte Carlo.

R's numbers are of ivmodel 1.9.1 on the log wage rounded to single precision, as its data set holds it.
"""

from __future__ import annotations

import bz2
import json
import math
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ivmodels import tests as theirs
from ivmodels.confidence_set import ConfidenceSet as TheirSet
from scipy import stats

import invarmr
from invarmr.estimators.learning_error import learning_inflation
from invarmr.inference.anderson_rubin import anderson_rubin_set, anderson_rubin_test
from invarmr.inference.lagrange_multiplier import lagrange_multiplier_set, lagrange_multiplier_test
from invarmr.inference.learning_covariance import learning_covariance, with_learning
from invarmr.inference.likelihood_ratio import (
    conditional_likelihood_ratio_set,
    conditional_likelihood_ratio_test,
    likelihood_ratio_set,
    likelihood_ratio_test,
)

TESTS = {
    "AR": (anderson_rubin_test, anderson_rubin_set),
    "LM": (lagrange_multiplier_test, lagrange_multiplier_set),
    "LR": (likelihood_ratio_test, likelihood_ratio_set),
    "CLR": (conditional_likelihood_ratio_test, conditional_likelihood_ratio_set),
}


class Drawn:
    """Moderately strong to weak instruments, covariates, one exposure."""

    def __init__(self, seed: int, n: int, k: int, c: int, strength: float) -> None:
        rng = np.random.default_rng(seed)
        self.Z = rng.normal(size=(n, k)) @ rng.normal(size=(k, k)) + rng.normal(size=k) * 3
        self.C = rng.normal(size=(n, c)) + 0.3 * self.Z[:, :1]
        shared = rng.normal(size=n)
        self.D = strength * self.Z @ rng.uniform(0.5, 1, k) + self.C.sum(axis=1) + shared + rng.normal(size=n)
        self.Y = 0.7 * self.D - self.C.sum(axis=1) + shared + rng.normal(size=n) + 3
        self.arguments = {"Z": self.Z, "X": self.D[:, None], "y": self.Y, "C": self.C}
        self.design = design_of(self.Z, self.D, self.Y, self.C)


def design_of(Z: np.ndarray, D: np.ndarray, Y: np.ndarray, C: np.ndarray | None = None) -> invarmr.IVDesign:
    environment = np.arange(len(D)) % 2
    cohort = invarmr.Cohort.from_arrays(instrument=Z, exposure=D, outcome=Y, covariates=C, environment=environment)
    return invarmr.IVDesign.from_cohort(cohort)


drawn = st.builds(
    Drawn,
    st.integers(0, 2**31),
    st.integers(80, 400),
    st.integers(2, 8),
    st.integers(0, 3),
    st.sampled_from([0.02, 0.1, 0.3, 1.0]),
)
ALIKE = {"rel": 1e-6, "abs": 1e-9}


@settings(max_examples=40, deadline=None)
@given(drawn, st.floats(-3, 3))
def test_statistics_and_p_values(data: Drawn, value: float) -> None:
    beta = np.array([value])
    ar, p_ar = theirs.anderson_rubin_test(**data.arguments, beta=beta, critical_values="f")
    ours = anderson_rubin_test(data.design, value)
    assert (ours.statistic, ours.p_value) == (pytest.approx(ar, **ALIKE), pytest.approx(p_ar, **ALIKE))
    lm, p_lm = theirs.lagrange_multiplier_test(**data.arguments, beta=beta)
    ours = lagrange_multiplier_test(data.design, value)
    assert (ours.statistic, ours.p_value) == (pytest.approx(lm, **ALIKE), pytest.approx(p_lm, **ALIKE))
    lr, p_lr = theirs.likelihood_ratio_test(**data.arguments, beta=beta)
    ours = likelihood_ratio_test(data.design, value)
    assert (ours.statistic, ours.p_value) == (pytest.approx(lr, **ALIKE), pytest.approx(p_lr, **ALIKE))
    clr, p_clr = theirs.conditional_likelihood_ratio_test(**data.arguments, beta=beta, tol=1e-10)
    ours = conditional_likelihood_ratio_test(data.design, value)
    assert (ours.statistic, ours.p_value) == (pytest.approx(clr, **ALIKE), pytest.approx(p_clr, rel=1e-6, abs=1e-8))


@settings(max_examples=30, deadline=None)
@given(drawn, st.sampled_from([0.8, 0.95, 0.99]))
def test_sets(data: Drawn, level: float) -> None:
    alpha = 1 - level
    ar = TheirSet.from_quadric(theirs.inverse_anderson_rubin_test(**data.arguments, alpha=alpha, critical_values="f"))
    lr = TheirSet.from_quadric(theirs.inverse_likelihood_ratio_test(**data.arguments, alpha=alpha))
    clr = theirs.inverse_conditional_likelihood_ratio_test(**data.arguments, alpha=alpha, tol=1e-10)
    for other, ours in (
        (ar, anderson_rubin_set(data.design, level)),
        (lr, likelihood_ratio_set(data.design, level)),
        (clr, conditional_likelihood_ratio_set(data.design, level)),
    ):
        expected = sorted((float(low), float(high)) for low, high in other.boundaries)
        assert len(ours.intervals) == len(expected)
        for pair, reference in zip(ours.intervals, expected, strict=True):
            assert pair == pytest.approx(reference, rel=1e-6, abs=1e-6)


@settings(max_examples=15, deadline=None)
@given(drawn)
def test_ends_of_the_lm_set(data: Drawn) -> None:
    # ivmodels looks for sign changes on a grid from LIML outward, so it may miss ends, but finds none of its own
    try:
        found = theirs.inverse_lagrange_multiplier_test(**data.arguments, tol=1e-9, max_value=1e4)
    except AssertionError:  # an odd number of ends on its grid
        return
    ours = [end for pair in lagrange_multiplier_set(data.design).intervals for end in pair]
    for pair in found.boundaries:
        for end in pair:
            if math.isfinite(end):
                assert min(abs(end - own) for own in ours) < 1e-6 * (1 + abs(end))


@pytest.fixture(scope="module")
def card(oracles):
    folder = oracles / "iv_linearmodels"
    frame = pl.read_csv(bz2.decompress((folder / "card.csv.bz2").read_bytes()), null_values=["NA"])
    controls = ["exper", "expersq", "black", "south", "smsa", *(f"reg66{i}" for i in range(1, 9)), "smsa66"]
    wage = np.log(frame["wage"].to_numpy()).astype(np.float32).astype(float)
    expected = json.loads((oracles / "expected.json").read_text())["iv_card"]

    def design(*instruments: str) -> invarmr.IVDesign:
        return design_of(
            frame.select(instruments).to_numpy().astype(float),
            frame["educ"].to_numpy().astype(float),
            wage,
            frame.select(controls).to_numpy().astype(float),
        )

    return design, expected


def test_card_with_one_instrument(card) -> None:
    design, expected = card[0]("nearc4"), card[1]["nearc4"]
    answer = anderson_rubin_test(design)
    assert [answer.statistic, answer.p_value] == pytest.approx(expected["AR"], rel=2e-6)
    assert anderson_rubin_set(design).intervals[0] == pytest.approx((0.0248048360, 0.2848235933), abs=2e-10)
    # R finds the bound of its conditional set to four digits only (uniroot's default)
    assert conditional_likelihood_ratio_set(design).intervals[0] == pytest.approx(expected["CLR_ci"], abs=2e-6)


def test_card_with_two_instruments(card) -> None:
    design, expected = card[0]("nearc4", "nearc2"), card[1]["nearc4+nearc2"]
    answer = anderson_rubin_test(design)
    assert [answer.statistic, answer.p_value] == pytest.approx(expected["AR"], rel=2e-6)
    assert anderson_rubin_set(design).intervals[0] == pytest.approx(expected["AR_ci"], abs=1e-9)
    answer = conditional_likelihood_ratio_test(design)
    assert [answer.statistic, answer.p_value] == pytest.approx(expected["CLR"], rel=2e-6)
    assert conditional_likelihood_ratio_set(design).intervals[0] == pytest.approx(expected["CLR_ci"], abs=1e-7)


@settings(max_examples=10, deadline=None)
@given(drawn, st.integers(0, 2**31))
def test_rotating_the_instruments_changes_nothing(data: Drawn, seed: int) -> None:
    k = data.Z.shape[1]
    rng = np.random.default_rng(seed)  # condition at most 9: a nearly singular one would make a direction null
    turn = np.linalg.qr(rng.normal(size=(k, k)))[0] * rng.uniform(1 / 3, 3, k)
    turn = turn @ np.linalg.qr(rng.normal(size=(k, k)))[0]
    turned = design_of(data.Z @ turn, data.D, data.Y, data.C)
    for test, invert in TESTS.values():
        assert test(turned, 0.3).statistic == pytest.approx(test(data.design, 0.3).statistic, rel=1e-5, abs=1e-8)
        ours, other = invert(turned).intervals, invert(data.design).intervals
        assert len(ours) == len(other)
        assert [end for pair in ours for end in pair] == pytest.approx([e for p in other for e in p], rel=1e-4)


REPLICATES = 1_500


@pytest.fixture(scope="module")
def weak_p_values():
    """p-values at the true effect with ten instruments whose first-stage F is about 1, and Wald's from 2SLS."""
    rng = np.random.default_rng(20)
    n, k = 300, 10
    out = {name: np.empty(REPLICATES) for name in (*TESTS, "robust AR", "Wald")}
    strength = np.empty(REPLICATES)
    for i in range(REPLICATES):
        Z = rng.normal(size=(n, k))
        shared = rng.normal(size=n)
        D = 0.01 * Z.sum(axis=1) + 0.9 * shared + 0.4 * rng.normal(size=n)
        Y = 0.5 * D + shared + 0.4 * rng.normal(size=n)
        design = design_of(Z, D, Y)
        for name, (test, _) in TESTS.items():
            out[name][i] = test(design, 0.5).p_value
        out["robust AR"][i] = anderson_rubin_test(design, 0.5, std_errors="robust").p_value
        fitted = invarmr.TwoStageLeastSquares().fit(design)
        out["Wald"][i] = 2 * stats.norm.sf(abs(fitted.estimate - 0.5) / fitted.std_error)
        strength[i] = fitted.first_stage_f
    assert 0.8 < strength.mean() < 1.5
    return out


@pytest.mark.parametrize("size", [0.01, 0.05, 0.2])
@pytest.mark.parametrize("name", ["AR", "LM", "CLR"])
def test_robust_tests_hold_their_size_with_weak_instruments(weak_p_values, name, size) -> None:
    low, high = stats.binom.ppf([0.0005, 0.9995], REPLICATES, size) / REPLICATES
    assert low <= np.mean(weak_p_values[name] < size) <= high


def test_wald_and_the_plain_likelihood_ratio_do_not(weak_p_values) -> None:
    assert np.mean(weak_p_values["Wald"] < 0.05) > 0.5
    assert np.mean(weak_p_values["LR"] < 0.05) > 0.12
    assert np.mean(weak_p_values["robust AR"] < 0.05) < 0.075


LEARNED = 250


@pytest.fixture(scope="module")
def learned(linear_study):
    """Designs on learned instruments whose true effect is 1, with the learned V partialled out or not."""
    out = []
    for seed in range(LEARNED):
        study = linear_study(seed, environments=3, asymmetric=True, n=1_200)
        latent = invarmr.StationaryInstruments(n_latent=2).fit(study.cohort, seed=seed)
        out.append([invarmr.IVDesign.from_cohort(study.cohort, latent, partial_confounded=v) for v in (False, True)])
    return out


@pytest.mark.parametrize("given_confounded", [False, True])
@pytest.mark.parametrize("name", ["AR", "LM", "CLR"])
def test_counting_the_learning_keeps_the_size(learned, name, given_confounded) -> None:
    test, _ = TESTS[name]
    p = np.array([test(pair[given_confounded], 1.0).p_value for pair in learned])
    low, high = stats.binom.ppf([0.0005, 0.9995], LEARNED, 0.05) / LEARNED
    assert low - 0.01 <= np.mean(p < 0.05) <= high + 0.01
    plain = np.array([test(pair[given_confounded], 1.0, count_learning=False).p_value for pair in learned])
    assert abs(np.mean(p < 0.05) - 0.05) < abs(np.mean(plain < 0.05) - 0.05) + 0.03


def test_the_covariance_of_learning_is_the_factor_of_the_standard_errors(learned) -> None:
    for design in learned[0]:
        parts, Q = design.partialled, learning_covariance(design)
        assert np.abs(Q).max() > 0
        for theta in (-2.0, 0.0, 0.7, 1.0, 5.0):
            b = np.array([1.0, -theta])
            factor = 1 + b @ Q @ b / (b @ parts.total @ b / parts.n_samples)
            assert learning_inflation(design, theta) == pytest.approx(max(factor, 0.01), rel=1e-6)


def test_learning_never_takes_a_variance_away(learned) -> None:
    design = learned[0][0]
    Q = learning_covariance(design)
    small = with_learning(np.eye(2) * 1e-9 * np.abs(Q).max(), design)
    assert np.linalg.eigvalsh(small)[0] > 0
    assert np.linalg.eigvalsh(with_learning(np.eye(2), design) - 0.01 * np.eye(2))[0] > -1e-12


def test_learning_is_not_counted_where_its_environments_are_others(learned) -> None:
    design = learned[0][0]
    assert np.any(learning_covariance(replace(design, environment_effects=True)) != learning_covariance(design))
    assert not learning_covariance(replace(design, moments=design.moments.subset([0, 1]))).any()


def test_sets_count_the_learning_at_every_value(learned) -> None:
    for design in learned[0]:
        for test, invert in TESTS.values():
            for low, high in invert(design).intervals:
                for end in (low, high):
                    if math.isfinite(end):
                        assert test(design, end).p_value == pytest.approx(0.05, rel=1e-5)
        robust = anderson_rubin_set(design, std_errors="robust")
        for end in robust.intervals[0]:
            assert anderson_rubin_test(design, end, std_errors="robust").p_value == pytest.approx(0.05, rel=1e-5)
