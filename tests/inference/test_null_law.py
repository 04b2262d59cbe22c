"""Laws of the null laws: quantiles invert p-values, logarithms agree, tails go on; and scipy's numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from invarmr.inference.null_law import ChiSquared, Conditional, Correlation, FLaw, Normal, NullLaw

LAWS: list[NullLaw] = [
    ChiSquared(1),
    ChiSquared(7),
    ChiSquared(3, divisor=4),
    FLaw(3, 40),
    FLaw(200, 19_794.5),
    Normal(),
    Correlation(500),
    Conditional(1, 3.0),
    Conditional(5, 0.0),
    Conditional(5, 20.0),
    Conditional(8, 20.0, m=2),
]


@pytest.mark.parametrize("law", LAWS, ids=repr)
def test_quantiles_invert_p_values_and_logarithms_agree(law: NullLaw) -> None:
    before = math.inf
    for size in (0.5, 0.05, 1e-3, 1e-12):
        t = law.quantile(size)
        assert law.p_value(t) == pytest.approx(size, rel=1e-6)
        assert law.log_p(t) == pytest.approx(math.log(size), rel=1e-6)
        assert law.log10_p(t) == pytest.approx(math.log10(size), rel=1e-6)
        assert size < before
        before = size
    assert law.p_value(0.0) == pytest.approx(1.0)
    assert law.log_p(0.0) <= 0.0


@pytest.mark.parametrize("law", LAWS, ids=repr)
def test_the_logarithm_goes_on_where_the_p_value_is_zero(law: NullLaw) -> None:
    if isinstance(law, Correlation | FLaw):  # no statistic of these few degrees of freedom is far enough
        law = Correlation(5_000) if isinstance(law, Correlation) else FLaw(3, 20_000)
    far, farther = (0.9, 0.95) if isinstance(law, Correlation) else (5_000.0, 6_000.0)
    assert law.p_value(far) == 0.0
    assert -math.inf < law.log10_p(farther) < law.log10_p(far) < -300


def test_scipy_gives_the_same_numbers() -> None:
    for x in (0.3, 4.0, 30.0):
        assert ChiSquared(7).p_value(x) == pytest.approx(stats.chi2.sf(x, 7), rel=1e-13)
        assert ChiSquared(3, divisor=4).p_value(x) == pytest.approx(stats.chi2.sf(4 * x, 3), rel=1e-13)
        assert FLaw(3, 40).p_value(x) == pytest.approx(stats.f.sf(x, 3, 40), rel=1e-13)
        assert Normal().p_value(-x) == pytest.approx(2 * stats.norm.sf(x), rel=1e-13)
    assert Correlation(50).p_value(0.3) == pytest.approx(2 * stats.norm.sf(np.arctanh(0.3) * np.sqrt(50)), rel=1e-13)


def test_text() -> None:
    shown = [ChiSquared(3, divisor=4).df, FLaw(3, 39.6).df, Normal().df, Conditional(5, 1.0).df]
    assert shown == ["3", "3, 40", "", "5"]
    assert Conditional(8, 1.0, m=2).df == "2, 8"
