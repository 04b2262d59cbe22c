from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import invarmr
from invarmr.estimators.estimate import Estimate
from invarmr.inference.wald import wald_set


def test_the_one_line_answer() -> None:
    fitted = Estimate(
        method="2SLS",
        instruments="learned",
        estimate=0.5,
        std_error=0.1,
        std_errors="robust",
        confidence_set=wald_set(0.5, 0.1),
        p_value=1e-6,
        n_samples=1000,
        n_instruments=3,
        first_stage_f=12.34,
        partial_r2=0.1,
        kappa=1.0,
    )
    assert str(fitted) == (
        "2SLS (learned): 0.5000 (se 0.1000, 95 % set [0.304, 0.696]), n 1000, 3 instruments, first-stage F 12.3"
    )
    assert fitted.learning_inflation == 1.0


def test_far_tails_are_logarithms() -> None:
    generator = np.random.default_rng(1)
    Z = generator.normal(size=(5_000, 2))
    D = Z.sum(axis=1) + generator.normal(size=5_000)
    cohort = invarmr.Cohort.from_arrays(
        instrument=Z, exposure=D, outcome=D + generator.normal(size=5_000), environment=np.arange(5_000) % 2
    )
    fitted = invarmr.TwoStageLeastSquares().fit(invarmr.IVDesign.from_cohort(cohort))
    assert fitted.p_value == 0.0
    z = fitted.estimate / fitted.std_error
    assert fitted.log10_p_value == pytest.approx((stats.norm.logsf(z) + np.log(2)) / np.log(10), rel=1e-9)
