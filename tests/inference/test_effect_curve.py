from __future__ import annotations

import numpy as np
import pytest

import invarmr
from invarmr.errors import InputError
from invarmr.inference.anderson_rubin import anderson_rubin_test
from invarmr.inference.effect_curve import effect_curve
from invarmr.inference.likelihood_ratio import conditional_likelihood_ratio_test
from invarmr.inference.statistical_test import NotApplicable


def design(strength: float = 0.5, k: int = 3, *, n: int = 600, exact: bool = False) -> invarmr.IVDesign:
    rng = np.random.default_rng(2)
    Z, u = rng.normal(size=(n, k)), rng.normal(size=n)
    D = strength * Z.sum(axis=1) + u
    Y = D if exact else D + u + rng.normal(size=n)
    cohort = invarmr.Cohort.from_arrays(instrument=Z, exposure=D, outcome=Y, environment=np.arange(n) % 2)
    return invarmr.IVDesign.from_cohort(cohort)


@pytest.mark.parametrize(("strength", "k"), [(0.5, 3), (0.5, 1), (0.02, 3)])
def test_the_curves_are_the_tests_and_cut_the_sets_at_their_ends(strength, k):
    given = design(strength, k)
    fitted = invarmr.LimitedInformationML().fit(given)
    curve = effect_curve(given, fitted.estimate, fitted.std_error, level=0.9)
    assert (np.diff(curve.values) > 0).all()
    for i in (0, 50, len(curve.values) - 1):
        value = float(curve.values[i])
        assert curve.anderson_rubin[i] == pytest.approx(anderson_rubin_test(given, value).p_value, rel=1e-9)
        wanted = conditional_likelihood_ratio_test(given, value).p_value
        assert curve.conditional_likelihood_ratio[i] == pytest.approx(wanted, rel=1e-9)
    for name, p in (
        ("Wald", curve.wald),
        ("Anderson-Rubin", curve.anderson_rubin),
        ("conditional likelihood ratio", curve.conditional_likelihood_ratio),
    ):
        inside = np.array([float(value) in curve.sets[name] for value in curve.values])
        assert ((p > 0.1 - 1e-6) == inside).mean() > 0.98
        for lower, upper in curve.sets[name].intervals:
            for end in (lower, upper):
                if curve.values[0] <= end <= curve.values[-1]:
                    assert p[curve.values == end] == pytest.approx(0.1, abs=1e-6)
    peak = curve.values[np.argmax(curve.wald)]
    assert peak == fitted.estimate


def test_unbounded_sets_leave_a_finite_picture():
    given = design(0.0)
    fitted = invarmr.LimitedInformationML().fit(given)
    curve = effect_curve(given, fitted.estimate, fitted.std_error)
    assert not curve.sets["Anderson-Rubin"].is_bounded
    assert np.isfinite(curve.values).all()
    assert np.ptp(curve.values) <= 20 * 2 * 1.96 * fitted.std_error * 1.001


def test_no_error_variance_and_bad_levels_are_refused():
    with pytest.raises(NotApplicable):
        effect_curve(design(exact=True), 1.0, 0.1)
    with pytest.raises(InputError, match="level must lie"):
        effect_curve(design(), 1.0, 0.1, level=95)
