"""Several exposures against `linearmodels` and `ivmodels` on random designs, and Card's data with age."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ivmodels import tests as theirs
from ivmodels.confidence_set import ConfidenceSet as TheirSet
from linearmodels.iv import IV2SLS, IVLIML
from scipy import stats

from invarmr.data.several_exposures import SeveralExposures
from invarmr.diagnostics.several_exposures import several_exposures_checks
from invarmr.estimators.several_exposures import SeveralExposuresKClass
from invarmr.inference.several_exposures import joint_test, subset_set, subset_test

ALIKE = {"rel": 1e-6, "abs": 1e-9}


class Drawn:
    def __init__(self, seed: int, n: int, m: int, extra: int, c: int, strength: float) -> None:
        rng = np.random.default_rng(seed)
        k = m + extra
        self.Z = rng.normal(size=(n, k)) + rng.normal(size=k)
        self.C = rng.normal(size=(n, c)) + 0.3 * self.Z[:, :1]
        shared = rng.normal(size=(n, 1)) * (0.5 + np.abs(self.Z[:, :1]) / 3)
        self.X = strength * self.Z @ rng.normal(size=(k, m)) + self.C.sum(axis=1, keepdims=True) + shared
        self.X = self.X + rng.normal(size=(n, m))
        self.Y = self.X @ np.arange(1.0, m + 1) - self.C.sum(axis=1) + shared[:, 0] + rng.normal(size=n) + 3
        self.cluster = np.arange(n) // 4
        self.names = [f"x{i}" for i in range(m)]
        self.design = SeveralExposures.from_arrays(
            instrument=self.Z,
            exposures=self.X,
            outcome=self.Y,
            covariates=self.C,
            exposure_names=self.names,
            cluster=self.cluster,
        )
        self.constants = np.column_stack([np.ones(n), self.C])

    def split(self, tested: int) -> dict[str, np.ndarray]:
        return {
            "Z": self.Z,
            "X": self.X[:, :tested],
            "y": self.Y,
            "C": self.C,
            "W": self.X[:, tested:] if tested < self.X.shape[1] else None,
        }


drawn = st.builds(
    Drawn,
    st.integers(0, 2**31),
    st.integers(100, 300),
    st.integers(2, 3),
    st.integers(1, 4),
    st.integers(0, 2),
    st.sampled_from([0.05, 0.2, 1.0]),
)


@settings(max_examples=12, deadline=None, derandomize=True)
@given(drawn)
def test_estimates_and_errors_are_those_of_linearmodels(data: Drawn) -> None:
    kinds = (
        ("homoskedastic", {"cov_type": "unadjusted"}),
        ("robust", {"cov_type": "robust"}),
        ("clustered", {"cov_type": "clustered", "clusters": data.cluster}),
    )
    for member, model in (("2SLS", IV2SLS), ("LIML", IVLIML), ("Fuller", IVLIML)):
        more = {"fuller": 1} if member == "Fuller" else {}
        fitted = model(data.Y, data.constants, data.X, data.Z, **more)
        for ours, settings_ in kinds:
            other = fitted.fit(debiased=True, **settings_)
            answer = SeveralExposuresKClass(member=member, std_errors=ours).fit(data.design)
            names = list(other.params.index[-len(data.names) :])
            assert answer.estimates == pytest.approx(other.params[names].to_numpy(), rel=1e-7, abs=1e-8)
            covariance = other.cov.loc[names, names].to_numpy()
            assert answer.covariance == pytest.approx(covariance, rel=1e-6, abs=1e-9 * np.abs(covariance).max())
    checks = {check.test: check for check in several_exposures_checks(data.design, answer)}
    two_stage = IV2SLS(data.Y, data.constants, data.X, data.Z).fit(cov_type="unadjusted")
    by_stage = {
        check.test: check
        for check in several_exposures_checks(data.design, SeveralExposuresKClass(member="2SLS").fit(data.design))
    }
    assert by_stage["Sargan J"].statistic == pytest.approx(two_stage.sargan.stat, rel=1e-7)
    wu = two_stage.wu_hausman()
    assert checks["Wu-Hausman F"].statistic == pytest.approx(wu.stat, rel=1e-6)
    assert checks["Wu-Hausman F"].p_value == pytest.approx(wu.pval, rel=1e-6, abs=1e-12)


@settings(max_examples=12, deadline=None, derandomize=True)
@given(drawn, st.floats(-2, 4), st.floats(-2, 4))
def test_joint_tests_are_those_of_ivmodels(data: Drawn, one: float, two: float) -> None:
    m = len(data.names)
    beta = np.array([one, two, 0.5])[:m]
    values = dict(zip(data.names, beta.tolist(), strict=True))
    arguments = data.split(m)
    expected = {
        "AR": theirs.anderson_rubin_test(**arguments, beta=beta, critical_values="f"),
        "LM": theirs.lagrange_multiplier_test(**arguments, beta=beta),
        "LR": theirs.likelihood_ratio_test(**arguments, beta=beta),
        "CLR": theirs.conditional_likelihood_ratio_test(
            **arguments, beta=beta, critical_values="kleibergen2007generalizing", tol=1e-10
        ),
    }
    for test, (statistic, p) in expected.items():
        ours = joint_test(data.design, values, test)
        assert ours.statistic == pytest.approx(statistic, **ALIKE), test
        assert ours.p_value == pytest.approx(p, rel=1e-5, abs=1e-8), test


@settings(max_examples=12, deadline=None, derandomize=True)
@given(drawn, st.floats(-2, 4))
def test_subset_tests_and_sets_are_those_of_ivmodels(data: Drawn, value: float) -> None:
    arguments, beta = data.split(1), np.array([value])
    expected = {
        "AR": theirs.anderson_rubin_test(**arguments, beta=beta, critical_values="f"),
        "LR": theirs.likelihood_ratio_test(**arguments, beta=beta),
        "CLR": theirs.conditional_likelihood_ratio_test(**arguments, beta=beta, tol=1e-10),
    }
    for test, (statistic, p) in expected.items():
        ours = subset_test(data.design, {data.names[0]: value}, test)
        assert ours.statistic == pytest.approx(statistic, **ALIKE), test
        assert ours.p_value == pytest.approx(p, rel=1e-5, abs=1e-8), test
    inverses = {
        "AR": lambda: TheirSet.from_quadric(theirs.inverse_anderson_rubin_test(**arguments, critical_values="f")),
        "LR": lambda: TheirSet.from_quadric(theirs.inverse_likelihood_ratio_test(**arguments)),
        "CLR": lambda: theirs.inverse_conditional_likelihood_ratio_test(**arguments, tol=1e-10),
    }
    for test, invert in inverses.items():
        ours = subset_set(data.design, data.names[0], test=test)
        try:
            reference = sorted((float(low), float(high)) for low, high in invert().boundaries)
        except ValueError:  # its search for the ends of an unbounded set fails
            continue
        if ours.intervals == ((-math.inf, math.inf),):  # its quadric may hold a gap there that its own test does not
            gaps = [(a[1] + b[0]) / 2 for a, b in pairwise(reference)]
            assert all(subset_test(data.design, {data.names[0]: gap}, test).p_value >= 0.05 for gap in gaps), test
            continue
        assert len(ours.intervals) == len(reference), test
        for pair, expected_pair in zip(ours.intervals, reference, strict=True):
            assert pair == pytest.approx(expected_pair, rel=1e-5, abs=1e-5), test


@settings(max_examples=10, deadline=None, derandomize=True)
@given(drawn, st.sampled_from([0.8, 0.95]))
def test_the_p_value_at_the_edge_of_a_subset_set_is_one_minus_level(data: Drawn, level: float) -> None:
    for test in ("AR", "LR", "CLR"):
        for pair in subset_set(data.design, data.names[-1], level, test).intervals:
            for end in pair:
                if math.isfinite(end):
                    p = subset_test(data.design, {data.names[-1]: end}, test).p_value
                    assert p == pytest.approx(1 - level, rel=1e-4)


@settings(max_examples=8, deadline=None, derandomize=True)
@given(drawn)
def test_rank_and_rotation(data: Drawn) -> None:
    fitted = SeveralExposuresKClass(member="2SLS").fit(data.design)
    checks = {check.test: check for check in several_exposures_checks(data.design, fitted)}
    k = data.Z.shape[1]
    statistic, p = theirs.rank_test(data.Z, data.X, C=data.C)
    assert k * checks["Cragg-Donald F"].statistic == pytest.approx(statistic, rel=1e-7)
    assert checks["Cragg-Donald F"].p_value == pytest.approx(p, rel=1e-6, abs=1e-12)
    rng = np.random.default_rng(1)
    turned = SeveralExposures.from_arrays(
        instrument=data.Z @ (rng.normal(size=(k, k)) + 3 * np.eye(k)),
        exposures=data.X,
        outcome=data.Y,
        covariates=data.C,
        exposure_names=data.names,
        cluster=data.cluster,
    )
    again = SeveralExposuresKClass(member="2SLS").fit(turned)
    assert again.estimates == pytest.approx(fitted.estimates, rel=1e-6, abs=1e-8)
    for check in several_exposures_checks(turned, again):
        assert check.statistic == pytest.approx(checks[check.test].statistic, rel=1e-5)


def test_subset_tests_hold_their_size_where_one_exposure_is_weak() -> None:
    rng = np.random.default_rng(3)
    replicates, n = 600, 200
    p = {"AR": np.empty(replicates), "CLR": np.empty(replicates)}
    for i in range(replicates):
        Z = rng.normal(size=(n, 5))
        h = rng.normal(size=n)
        X = np.column_stack([0.08 * Z[:, 0], 0.08 * Z[:, 1:3].sum(axis=1)]) + h[:, None] * [0.9, 0.9]
        X = X + 0.4 * rng.normal(size=(n, 2))
        Y = X @ [0.5, 1.0] + h + 0.4 * rng.normal(size=n)
        design = SeveralExposures.from_arrays(instrument=Z, exposures=X, outcome=Y, exposure_names=["a", "b"])
        for test in p:
            p[test][i] = subset_test(design, {"a": 0.5}, test).p_value
    high = stats.binom.ppf(0.9995, replicates, 0.05) / replicates
    for test, values in p.items():
        assert np.mean(values < 0.05) <= high, test
