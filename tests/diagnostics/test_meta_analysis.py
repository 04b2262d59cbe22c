from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from statsmodels.stats.meta_analysis import combine_effects

import invarmr
from invarmr.diagnostics.meta_analysis import combine_environments
from invarmr.diagnostics.stability import EnvironmentEstimate, environment_estimates


def estimates(effects: tuple[float, ...]) -> tuple[EnvironmentEstimate, ...]:
    rng = np.random.default_rng(1)
    site = np.repeat(np.arange(len(effects)), 400)
    Z, u = rng.normal(size=(len(site), 2)), rng.normal(size=len(site))
    D = Z.sum(axis=1) + u
    Y = np.array(effects)[site] * D + u + rng.normal(size=len(site))
    cohort = invarmr.Cohort.from_arrays(instrument=Z, exposure=D, outcome=Y, environment=site)
    return environment_estimates(invarmr.IVDesign.from_cohort(cohort), invarmr.TwoStageLeastSquares())


@pytest.mark.parametrize("effects", [(1.0, 1.0, 1.0), (0.6, 1.0, 1.5, 1.2)])
def test_both_models_are_those_of_statsmodels(effects):
    each = estimates(effects)
    theta = np.array([item.own.estimate for item in each])
    variance = np.array([item.own.std_error for item in each]) ** 2
    wanted = combine_effects(theta, variance, method_re="dl", use_t=False)
    fixed, random = combine_environments(each, instruments="observed", level=0.9)
    assert (fixed.model, random.model) == ("fixed", "random")
    assert fixed.estimate == pytest.approx(wanted.mean_effect_fe)
    assert fixed.std_error == pytest.approx(wanted.sd_eff_w_fe)
    assert fixed.q == pytest.approx(wanted.q)
    assert fixed.q_df == len(effects) - 1
    assert fixed.q_p_value == pytest.approx(wanted.test_homogeneity().pvalue)
    assert fixed.tau2 == pytest.approx(max(wanted.tau2, 0))
    assert fixed.i2 == pytest.approx(max(wanted.i2, 0))
    cut = wanted.tau2 < 0  # statsmodels goes on with a negative variance
    assert cut == (len(effects) == 3)
    assert random.estimate == pytest.approx(wanted.mean_effect_fe if cut else wanted.mean_effect_re)
    assert random.std_error == pytest.approx(wanted.sd_eff_w_fe if cut else wanted.sd_eff_w_re)
    assert random.confidence_set.level == 0.9
    assert random.confidence_set.upper == pytest.approx(random.estimate + 1.6448536 * random.std_error)
    assert random.std_error >= fixed.std_error


def test_environments_that_cannot_be_estimated_are_left_out():
    each = estimates((1.0, 1.0, 1.0))
    part = (replace(each[0], own=None), *each[1:])
    assert combine_environments(part, instruments="observed")[0].n_environments == 2
    assert combine_environments(tuple(replace(item, own=None) for item in each[:2]) + each[2:], instruments="x") == ()
