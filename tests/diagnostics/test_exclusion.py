from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

import invarmr
from invarmr.diagnostics.exclusion import hansen_check, sargan_check


def design(direct: float = 0.0, k: int = 3, n: int = 500, seed: int = 0) -> invarmr.IVDesign:
    generator = np.random.default_rng(seed)
    Z, u = generator.normal(size=(n, k)), generator.normal(size=n)
    D = Z.sum(axis=1) + u
    Y = D + u + direct * Z[:, 0] + generator.normal(size=n)
    return invarmr.IVDesign.from_cohort(
        invarmr.Cohort.from_arrays(instrument=Z, exposure=D, outcome=Y, environment=np.arange(n) % 2)
    )


def test_naive_sargan_and_what_it_sees() -> None:
    for direct, agree in ((0.0, True), (1.0, False)):
        on = design(direct)
        fitted = invarmr.TwoStageLeastSquares().fit(on)
        check = sargan_check(on, fitted)
        cohort = on.cohort
        assert cohort is not None
        Z = cohort.instruments.read(np.arange(500))
        Z = Z - Z.mean(axis=0)
        u = cohort.outcome - fitted.estimate * cohort.exposure
        u = u - u.mean()
        j = 500 * (u @ Z @ np.linalg.solve(Z.T @ Z, Z.T @ u)) / (u @ u)
        assert check.statistic == pytest.approx(j)
        assert check.p_value == pytest.approx(stats.chi2.sf(j, 2))
        assert ("do not contradict" in check.conclusion) == agree
        assert (hansen_check(on, fitted).p_value > 0.01) == agree


def test_size_of_both_tests() -> None:
    p = []
    for seed in range(300):
        on = design(seed=seed, n=400)
        fitted = invarmr.TwoStageLeastSquares().fit(on)
        p.append((sargan_check(on, fitted).p_value, hansen_check(on, fitted).p_value))
    for column in np.array(p).T:
        assert stats.kstest(column, "uniform").pvalue > 0.001


def test_where_it_does_not_apply_it_says_why() -> None:
    one = design(k=1)
    fitted = invarmr.TwoStageLeastSquares().fit(one)
    for check in (sargan_check(one, fitted), hansen_check(one, fitted)):
        assert not check.applies
        assert check.p_value is None
        assert "as many instruments as exposures" in check.reason
    on = design()
    without = hansen_check(replace(on, cohort=None), invarmr.TwoStageLeastSquares().fit(on))
    assert not without.applies
    assert "only moments" in without.reason


def test_learning_divides_j_and_is_named() -> None:
    on = design()
    fitted = invarmr.TwoStageLeastSquares().fit(on)
    plain, divided = (sargan_check(on, replace(fitted, learning_inflation=c)) for c in (1.0, 2.0))
    assert divided.statistic == pytest.approx(plain.statistic / 2)
    assert "error of learning" in divided.reason
    assert "error of learning" not in plain.reason
    assert hansen_check(on, replace(fitted, learning_inflation=2.0)).statistic == pytest.approx(
        hansen_check(on, fitted).statistic / 2
    )
