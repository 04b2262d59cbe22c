"""Sublevel sets of the Anderson-Rubin statistic: every shape, made by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import linalg, stats

from invarmr.inference.log_survival import log_survival_chi2, log_survival_f
from invarmr.inference.null_law import ChiSquared
from invarmr.inference.quadratic_set import WHOLE_LINE, sublevel, superlevel, union
from invarmr.inference.reduced_form import ReducedForm
from invarmr.inference.statistical_test import StatisticalTest


def form(projected) -> ReducedForm:
    A = np.array(projected, dtype=float)
    return ReducedForm(A, np.eye(2), 2, 100, linalg.eigvalsh(A))


def test_intervals_halves_and_the_line() -> None:
    # AR = (9 - 2 * 3 theta * 0 + 4 theta^2 ...) / (1 + theta^2) with A = diag(9, 4): from 9 at 0 down to 4 at infinity
    wide = form([[9, 0], [0, 4]])
    assert sublevel(wide, 3.9) == ()
    assert sublevel(wide, 9.0) == WHOLE_LINE
    assert superlevel(wide, 9.1) == ()
    assert superlevel(wide, 4.0) == WHOLE_LINE
    edge = math.sqrt((9 - 6) / (6 - 4))
    assert sublevel(wide, 6.0) == ((-math.inf, pytest.approx(-edge)), (pytest.approx(edge), math.inf))
    assert superlevel(wide, 6.0) == ((pytest.approx(-edge), pytest.approx(edge)),)


@pytest.mark.parametrize("cross", [-2.0, 2.0])
def test_a_half_line_where_the_bound_is_reached_at_infinity(cross) -> None:
    tilted = form([[9, cross], [cross, 4]])
    # 4 (1 + theta^2) >= 9 - 2 cross theta + 4 theta^2 where 2 cross theta >= 5
    edge = 5 / (2 * cross)
    assert sublevel(tilted, 4.0) == (((edge, math.inf),) if cross > 0 else ((-math.inf, edge),))


def test_a_flat_form_is_all_or_nothing() -> None:
    flat = ReducedForm(4 * np.eye(2), np.eye(2), 2, 100, np.array([4.0, 4.5]))  # roots as rounding may leave them
    assert sublevel(flat, 4.0) == WHOLE_LINE
    crooked = ReducedForm(np.diag([5.0, 4.0]), np.eye(2), 2, 100, np.array([3.9, 5.0]))
    assert sublevel(crooked, 4.0) == ()


def test_union_joins_what_touches() -> None:
    assert union(((0, 1), (3, 4)), ((1, 2),), ()) == ((0, 2), (3, 4))
    assert union(((0, 5),), ((1, 2),)) == ((0, 5),)


@pytest.mark.parametrize("df", [1, 2, 7, 100, 5_000])
def test_log_survival_of_chi2_is_continuous_into_the_far_tail(df) -> None:
    edge = stats.chi2.isf(1e-279, df), stats.chi2.isf(1e-283, df)
    near, far = (float(log_survival_chi2(x, df)) / math.log(10) for x in edge)
    assert near == pytest.approx(-279, abs=1e-9)
    assert far == pytest.approx(-283, abs=1e-9)
    if df == 2:
        assert float(log_survival_chi2(1e6, 2)) == pytest.approx(-5e5, rel=1e-14)


@pytest.mark.parametrize("df", [1, 2, 7, 100])
def test_log_survival_of_f_agrees_with_scipy_and_goes_on(df) -> None:
    for residual in (10, 300, 50_000):
        for p in (0.3, 1e-10, 1e-279, 1e-285):
            x = float(stats.f.isf(p, df, residual))
            if math.isfinite(x) and stats.f.sf(x, df, residual) > 0:
                assert math.exp(log_survival_f(x, df, residual)) == pytest.approx(stats.f.sf(x, df, residual), rel=1e-9)
    assert log_survival_f(1e4, df, 50_000) > log_survival_f(2e4, df, 50_000)
    assert math.isfinite(log_survival_f(1e4, df, 50_000))


def test_a_test_prints_itself() -> None:
    shown = StatisticalTest(test="score", null="effect = 1.5", statistic=0.0, law=ChiSquared(1))
    assert shown.p_value == 1.0
    assert str(shown) == "score test of effect = 1.5: statistic 0 (df 1), p = 1"
