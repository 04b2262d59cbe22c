"""What an estimate was made with goes where the estimate is made again: to every environment, and without it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import invarmr
from invarmr.data.several_exposures import SeveralExposures
from invarmr.diagnostics.several_exposures import several_exposures_checks
from invarmr.estimators.several_exposures import SeveralExposuresKClass


@pytest.fixture(scope="module")
def study(linear_study):
    return linear_study(3, environments=3, n=2_000, asymmetric=True, cluster=np.arange(6_000) // 5)


ESTIMATORS = [
    invarmr.Fuller(a=4.0, level=0.8),
    invarmr.LimitedInformationML(level=0.9, std_errors="homoskedastic"),
    invarmr.LimitedInformationML(std_errors="robust"),
    invarmr.TwoStageLeastSquares(std_errors="clustered", level=0.5),
    invarmr.OrdinaryLeastSquares(level=0.8),
]


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=repr)
def test_environments_are_estimated_as_the_estimate_was(study, estimator) -> None:
    design = invarmr.IVDesign.from_cohort(study.cohort)
    fitted = estimator.fit(design)
    assert fitted.estimator == estimator
    found = invarmr.diagnose(design, fitted).environments
    for e, item in enumerate(found):
        for kept, again in ((study.cohort.environment == e, item.own), (study.cohort.environment != e, item.left_out)):
            people = np.flatnonzero(kept)
            alone = invarmr.Cohort.from_arrays(
                instrument=study.cohort.instruments.read(people),
                exposure=study.cohort.exposure[people],
                outcome=study.cohort.outcome[people],
                environment=study.cohort.environment[people],
                cluster=study.cohort.cluster[people],
            )
            plain = estimator.fit(invarmr.IVDesign.from_cohort(alone))
            assert again.confidence_set.level == estimator.level
            assert again.std_errors == fitted.std_errors
            assert (again.estimate, again.std_error) == pytest.approx((plain.estimate, plain.std_error), rel=1e-8)


def test_an_estimate_can_be_made_again_elsewhere(study) -> None:
    first, second = (invarmr.IVDesign.from_cohort(study.cohort, environment_effects=own) for own in (False, True))
    for estimator in ESTIMATORS:
        assert estimator.fit(first).estimator.fit(second) == estimator.fit(second)


def test_rank_statistics_far_out_have_the_logarithm_of_their_own_law() -> None:
    """`statistic` is r / k, and r is chi-squared: the logarithm once took r / k for r."""
    rng = np.random.default_rng(1)
    n, k, m = 20_000, 4, 2
    Z, h = rng.normal(size=(n, k)), rng.normal(size=(n, 1))
    X = Z @ [[1, 0], [1, 0], [0, 1], [0.5, 1]] + h + rng.normal(size=(n, m))
    design = SeveralExposures.from_arrays(instrument=Z, exposures=X, outcome=X @ [1.0, -0.5] + rng.normal(size=n))
    checks = several_exposures_checks(design, SeveralExposuresKClass().fit(design))
    for name in ("Cragg-Donald F", "Kleibergen-Paap F"):
        (check,) = (item for item in checks if item.test == name)
        assert check.p_value == 0.0
        expected = stats.chi2.logsf(k * check.statistic, k - m + 1) / np.log(10)
        if not np.isfinite(expected):  # chi2_3: 2 phi(x) (1 / x + x) and smaller, x the root
            x = np.sqrt(k * check.statistic)
            expected = (-(x**2) / 2 - np.log(np.sqrt(np.pi / 2)) + np.log(x)) / np.log(10)
        assert check.log10_p_value == pytest.approx(expected, rel=1e-5)
