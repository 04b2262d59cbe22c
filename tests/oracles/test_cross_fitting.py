"""Cross-fitted intervals and tests hold their level, and would not if learning were not counted, by Monte Carlo.

`validation/cross_fitting.py` is the long version, on other designs.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import invarmr
from invarmr.estimators.cross_fitting import cross_fit
from invarmr.inference.stacked_form import ROBUST_TESTS

pytestmark = pytest.mark.filterwarnings("ignore:PO:invarmr.errors.InvarmrWarning")

SEEDS = 100
DESIGNS = {False: {}, True: {"asymmetric": True}}
"""Whether the directions set aside are partialled out, and where that makes the error of learning weigh most."""
LEARNER = invarmr.StationaryInstruments(n_latent=2)


class Remembered:
    """Learns from the same people once."""

    def __init__(self) -> None:
        self.known = {}

    def fit(self, data, *, seed):
        key = (data.sample_ids.tobytes(), seed)
        if key not in self.known:
            self.known[key] = LEARNER.fit(data, seed=seed)
        return self.known[key]


@pytest.fixture(scope="module")
def draws(linear_study):
    out = {}
    for seed in range(SEEDS):
        for partial, settings in DESIGNS.items():
            cohort, learner = linear_study(seed, n=1_500, **settings).cohort, Remembered()
            for counted in (True, False):
                estimator = invarmr.LimitedInformationML(count_learning=counted)
                found = cross_fit(cohort, learner, estimator, n_parts=2, seed=seed, partial_confounded=partial)
                z = (found.estimate.estimate - 1.0) / found.estimate.std_error
                p = [found.form.test(name, 1.0).p_value for name in ROBUST_TESTS]
                parts = [(one.estimate.estimate - 1.0) / one.estimate.std_error for one in found.parts]
                differ = found.disagreement.statistic or 0.0
                row = (z, *p, found.heterogeneity.p_value, *parts, differ, found.disagreement.df)
                out.setdefault((partial, counted), []).append(row)
    return {key: np.array(rows) for key, rows in out.items()}


@pytest.mark.parametrize("partial", [False, True])
def test_counted_they_hold_their_level(draws, partial) -> None:
    rows = draws[partial, True]
    low, high = np.sqrt(stats.chi2.ppf([0.0005, 0.9995], SEEDS) / SEEDS)
    assert low - 0.05 < np.sqrt(np.mean(rows[:, 0] ** 2)) < high + 0.05
    for column in (5, 6):
        assert low - 0.05 < np.sqrt(np.mean(rows[:, column] ** 2)) < high + 0.05
    for column in range(1, 5):  # p-values of the robust tests and of the parts' agreement are uniform
        assert stats.kstest(rows[:, column], "uniform").pvalue > 0.001


def test_maps_differ_by_the_error_that_is_counted(draws) -> None:
    statistic, df = draws[False, True][:, 7], draws[False, True][:, 8]
    assert set(df) == {2}
    low, high = stats.chi2.ppf([0.0005, 0.9995], df.sum()) / df.sum()
    assert low - 0.05 < statistic.sum() / df.sum() < high + 0.05
    assert stats.kstest(stats.chi2.sf(statistic, 2), "uniform").pvalue > 0.001
    assert set(draws[True, True][:, 8]) == {0}  # not with the confounded part partialled out


def test_taken_as_known_they_do_not(draws) -> None:
    """Pooled W is then too wide, PO(V) too narrow, and parts of either are too narrow: they only gain noise."""
    low, high = np.sqrt(stats.chi2.ppf([1e-4, 0.9999], SEEDS) / SEEDS)
    assert np.sqrt(np.mean(draws[False, False][:, 0] ** 2)) < low
    assert np.sqrt(np.mean(draws[True, False][:, 0] ** 2)) > high
    for partial in (False, True):
        assert np.sqrt(np.mean(draws[partial, False][:, 5:7] ** 2)) > 1.15
    rejected = np.count_nonzero(draws[True, False][:, 2] < 0.05)
    assert stats.binomtest(rejected, SEEDS, 0.05).pvalue < 0.01
