"""Jackknife estimators: naive n x n formulas, and what they are for: many instruments with unequal variances."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg, stats

import invarmr
from invarmr.estimators.jackknife import (
    HeteroskedasticFuller,
    HeteroskedasticLIML,
    JackknifeIV,
    UnbiasedJackknifeIV,
)

ALL = [JackknifeIV, UnbiasedJackknifeIV, HeteroskedasticLIML, HeteroskedasticFuller]


class Drawn:
    def __init__(self, seed: int, n: int, k: int, c: int) -> None:
        rng = np.random.default_rng(seed)
        self.n, self.k = n, k
        self.Z, self.C = rng.normal(size=(n, k)), rng.normal(size=(n, c))
        self.site = np.arange(n) % 3
        shared = rng.normal(size=n) * (0.3 + np.abs(self.Z[:, 0]))
        self.D = 0.4 * self.Z.sum(axis=1) + self.C.sum(axis=1) + shared + rng.normal(size=n) + self.site
        self.Y = 0.7 * self.D - self.C.sum(axis=1) + shared + rng.normal(size=n) + 100

    def design(self, *, fixed: bool = False, shift: float = 0.0) -> invarmr.IVDesign:
        cohort = invarmr.Cohort.from_arrays(
            instrument=self.Z, exposure=self.D, outcome=self.Y + shift, covariates=self.C, environment=self.site
        )
        return invarmr.IVDesign.from_cohort(cohort, environment_effects=fixed)

    def dense(self, *, fixed: bool = False):
        """P, its leverages, those of the controls, and y, x given the controls: all n x n."""
        constants = np.eye(3)[self.site] if fixed else np.ones((self.n, 1))
        W = np.linalg.qr(np.hstack([constants, self.C]))[0]
        HW = W @ W.T
        M = np.eye(self.n) - HW
        Q = np.linalg.qr(M @ self.Z)[0]
        return Q @ Q.T, HW, M @ self.Y, M @ self.D


drawn = st.builds(Drawn, st.integers(0, 2**31), st.integers(60, 120), st.integers(1, 8), st.integers(0, 3))


@settings(max_examples=20, deadline=None)
@given(drawn, st.booleans())
def test_jive_and_ujive_by_leave_one_out(data: Drawn, fixed: bool) -> None:
    P, HW, y, x = data.dense(fixed=fixed)
    whole = P + HW
    others = np.array([(whole[i] @ data.D - whole[i, i] * data.D[i]) / (1 - whole[i, i]) for i in range(data.n)])
    controls = np.array([(HW[i] @ data.D - HW[i, i] * data.D[i]) / (1 - HW[i, i]) for i in range(data.n)])
    design = data.design(fixed=fixed)
    jive = JackknifeIV().fit(design)
    assert jive.estimate == pytest.approx(others @ y / (others @ x), rel=1e-8)
    ujive = UnbiasedJackknifeIV().fit(design)
    fitted = others - controls
    assert ujive.estimate == pytest.approx(fitted @ y / (fitted @ x), rel=1e-8)
    u = y - ujive.estimate * x
    xi = u / (1 - np.diag(whole))
    square = P**2 - np.diag(np.diag(P) ** 2)
    variance = (np.sum(fitted**2 * u**2) + (x * xi) @ square @ (x * xi)) / (fitted @ x) ** 2
    assert ujive.std_error == pytest.approx(np.sqrt(variance), rel=1e-8)
    for answer in (jive, ujive):
        assert answer.first_stage_f == pytest.approx(invarmr.TwoStageLeastSquares().fit(design).first_stage_f)
        assert (answer.std_errors, answer.kappa, answer.n_instruments) == ("robust", 1.0, data.k)


@settings(max_examples=20, deadline=None)
@given(drawn, st.booleans(), st.sampled_from([None, 1.0, 4.0]))
def test_hlim_and_hful_by_their_matrices(data: Drawn, fixed: bool, constant: float | None) -> None:
    P, _, y, x = data.dense(fixed=fixed)
    off = P - np.diag(np.diag(P))
    X = np.column_stack([y, x])
    a = linalg.eigh(X.T @ off @ X, X.T @ X, eigvals_only=True)[0]
    estimator = HeteroskedasticLIML()
    if constant is not None:
        a = (a - (1 - a) * constant / data.n) / (1 - (1 - a) * constant / data.n)
        estimator = HeteroskedasticFuller(a=constant)
    H = x @ off @ x - a * x @ x
    theta = (x @ off @ y - a * x @ y) / H
    answer = estimator.fit(data.design(fixed=fixed))
    assert answer.estimate == pytest.approx(theta, rel=1e-7)
    assert answer.kappa == pytest.approx(1 / (1 - a), rel=1e-9)
    u = y - theta * x
    w = x - u * (u @ x) / (u @ u)
    p = P @ w
    middle = np.sum((p**2 - 2 * w * np.diag(P) * p) * u**2) + (w * u) @ (P**2) @ (w * u)
    assert answer.std_error == pytest.approx(np.sqrt(middle) / abs(H), rel=1e-6)


@pytest.mark.parametrize("estimator", ALL)
def test_nothing_depends_on_the_origin_of_the_outcome(estimator) -> None:
    data = Drawn(1, 200, 6, 2)
    near, far = estimator().fit(data.design()), estimator().fit(data.design(shift=1e4))
    assert far.estimate == pytest.approx(near.estimate, rel=1e-8)
    assert far.std_error == pytest.approx(near.std_error, rel=1e-8)


REPLICATES = 200


@pytest.fixture(scope="module")
def many():
    """Sixty instruments, 600 people; errors correlated only where the leverage is high: LIML and 2SLS are biased."""
    estimators = [invarmr.TwoStageLeastSquares(), invarmr.LimitedInformationML(), *(kind() for kind in ALL)]
    rows = []
    for seed in range(REPLICATES):
        rng = np.random.default_rng(seed)
        n, k = 600, 60
        size = np.exp(rng.normal(size=(n, 1)))
        Z = rng.normal(size=(n, k)) * size
        v = rng.normal(size=n)
        u = v * size[:, 0] * 0.5 + rng.normal(size=n)
        D = Z @ np.full(k, 0.04) + v
        cohort = invarmr.Cohort.from_arrays(instrument=Z, exposure=D, outcome=0.5 * D + u, environment=np.arange(n) % 2)
        design = invarmr.IVDesign.from_cohort(cohort)
        rows.append(
            [(fit.estimate - 0.5, fit.std_error, fit.first_stage_f) for fit in (e.fit(design) for e in estimators)]
        )
    return {e.method: np.array(row) for e, row in zip(estimators, np.swapaxes(rows, 0, 1), strict=True)}


@pytest.mark.parametrize("method", ["JIVE", "UJIVE", "HLIM", "HFUL"])
def test_they_are_unbiased_and_cover(many, method) -> None:
    error, std_error, _ = many[method].T
    assert stats.binomtest(int(np.sum(error > 0)), REPLICATES).pvalue > 1e-3  # the median is the truth
    covered = np.abs(error) < 1.96 * std_error
    assert 0.89 <= covered.mean() <= 0.99


def test_two_stage_least_squares_and_liml_are_biased_there(many) -> None:
    assert 2 < many["2SLS"][:, 2].mean() < 20
    for method in ("2SLS", "LIML"):
        assert stats.binomtest(int(np.sum(many[method][:, 0] > 0)), REPLICATES).pvalue < 1e-6
    assert abs(np.median(many["2SLS"][:, 0])) > 4 * abs(np.median(many["HFUL"][:, 0]))


def test_with_few_strong_instruments_all_agree_with_liml() -> None:
    rng = np.random.default_rng(5)
    Z, shared = rng.normal(size=(20_000, 2)), rng.normal(size=20_000)
    D = Z.sum(axis=1) + shared + rng.normal(size=20_000)
    cohort = invarmr.Cohort.from_arrays(
        instrument=Z, exposure=D, outcome=D + shared + rng.normal(size=20_000), environment=np.arange(20_000) % 2
    )
    design = invarmr.IVDesign.from_cohort(cohort)
    liml = invarmr.LimitedInformationML(std_errors="robust").fit(design)
    for kind in ALL:
        answer = kind(level=0.9).fit(design)
        assert answer.estimate == pytest.approx(liml.estimate, abs=0.02 * liml.std_error)
        assert answer.std_error == pytest.approx(liml.std_error, rel=0.01)
        assert answer.confidence_set.level == 0.9


@pytest.mark.parametrize("estimator", ALL)
def test_the_error_of_learning_is_counted(linear_study, estimator) -> None:
    study = linear_study(1, environments=3, asymmetric=True, n=1_200)
    latent = invarmr.StationaryInstruments(n_latent=2).fit(study.cohort, seed=1)
    design = invarmr.IVDesign.from_cohort(study.cohort, latent)
    counted, plain = estimator().fit(design), estimator(count_learning=False).fit(design)
    assert counted.learning_inflation != plain.learning_inflation == 1.0
    liml = invarmr.LimitedInformationML().fit(design)
    assert counted.estimate == pytest.approx(liml.estimate, abs=0.1 * liml.std_error)
    assert counted.std_error == pytest.approx(plain.std_error * np.sqrt(counted.learning_inflation), rel=0.05)


def test_the_noise_of_learning_is_left_out_too(linear_study) -> None:
    error = {True: [], False: []}
    for seed in range(25):
        study = linear_study(seed, environments=4, p=20, q=5, n=400)
        latent = invarmr.StationaryInstruments(n_latent=20).fit(study.cohort, seed=seed)
        design = invarmr.IVDesign.from_cohort(study.cohort, latent)
        for counted in error:
            error[counted].append(UnbiasedJackknifeIV(count_learning=counted).fit(design).estimate - 1)
    assert abs(np.mean(error[True])) < 0.005
    assert np.mean(error[False]) < -0.015


def test_wrong_input_is_refused() -> None:
    data = Drawn(2, 90, 3, 1)
    design = data.design()
    with pytest.raises(invarmr.InputError, match="need the rows"):
        JackknifeIV().fit(replace(design, cohort=None))
    with pytest.raises(invarmr.InputError, match="strictly between"):
        JackknifeIV(level=95)
    data.Z[:, 1] = np.arange(90) == 4
    with pytest.raises(invarmr.InputError, match=r"fit 1 samples alone .*sample 5\)"):
        UnbiasedJackknifeIV().fit(data.design())
    data.D = data.C[:, 0]
    with pytest.raises(invarmr.InputError, match="do not predict the exposure"):
        HeteroskedasticLIML().fit(data.design())
