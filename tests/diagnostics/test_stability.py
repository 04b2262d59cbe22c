from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

import invarmr
from invarmr.diagnostics.stability import environment_estimates, heterogeneity_check


def cohort(effects: tuple[float, ...], n: int = 600, seed: int = 0, flat: bool = False) -> invarmr.Cohort:
    generator = np.random.default_rng(seed)
    site = np.repeat(np.arange(len(effects)), n)
    Z, u = generator.normal(size=(len(site), 2)), generator.normal(size=len(site))
    D = Z.sum(axis=1) + u
    if flat:
        Z[site == 0] = 0.0
    Y = np.array(effects)[site] * D + u + generator.normal(size=len(site))
    return invarmr.Cohort.from_arrays(instrument=Z, exposure=D, outcome=Y, environment=site)


def test_each_environment_alone_and_without_it_are_plain_fits() -> None:
    people = cohort((1.0, 1.0, 1.0))
    design = invarmr.IVDesign.from_cohort(people)
    for estimator in (invarmr.TwoStageLeastSquares(), invarmr.LimitedInformationML()):
        found = environment_estimates(design, estimator)
        for e, item in enumerate(found):
            for kept, fitted in ((people.environment == e, item.own), (people.environment != e, item.left_out)):
                part = invarmr.Cohort.from_arrays(
                    instrument=people.instruments.read(np.flatnonzero(kept)),
                    exposure=people.exposure[kept],
                    outcome=people.outcome[kept],
                    environment=people.environment[kept],
                )
                plain = estimator.fit(invarmr.IVDesign.from_cohort(part))
                assert fitted.estimate == pytest.approx(plain.estimate)
                assert fitted.std_error == pytest.approx(plain.std_error)
            assert item.n_samples == 600


def test_naive_q() -> None:
    for effects, agree in (((1.0, 1.0, 1.0), True), ((1.0, 1.5, 1.0), False)):
        found = environment_estimates(invarmr.IVDesign.from_cohort(cohort(effects)), invarmr.TwoStageLeastSquares())
        theta = np.array([item.own.estimate for item in found])
        w = np.array([item.own.std_error for item in found]) ** -2.0
        q = np.sum(w * (theta - np.average(theta, weights=w)) ** 2)
        check = heterogeneity_check(found)
        assert check.statistic == pytest.approx(q)
        assert check.df == "2"
        assert check.p_value == pytest.approx(stats.chi2.sf(q, 2))
        assert (check.conclusion == "environments agree on the effect") == agree


def test_size_with_observed_and_with_learned_instruments(linear_study) -> None:
    observed, learned = [], []
    for seed in range(150):
        design = invarmr.IVDesign.from_cohort(cohort((1.0, 1.0), seed=seed))
        observed.append(heterogeneity_check(environment_estimates(design, invarmr.LimitedInformationML())).p_value)
        study = linear_study(seed, environments=3, n=1_000, asymmetric=True)
        latent = invarmr.StationaryInstruments(n_latent=2).fit(study.cohort, seed=seed)
        design = invarmr.IVDesign.from_cohort(study.cohort, latent)
        learned.append(heterogeneity_check(environment_estimates(design, invarmr.LimitedInformationML())).p_value)
    for p in (observed, learned):
        assert stats.kstest(p, "uniform").pvalue > 0.001


def test_robust_errors_need_the_people() -> None:
    design = invarmr.IVDesign.from_cohort(cohort((1.0, 1.0)))
    robust = invarmr.TwoStageLeastSquares(std_errors="robust")
    assert environment_estimates(design, robust)[0].own.std_errors == "robust"
    without = environment_estimates(replace(design, cohort=None), robust)
    assert all(item.own is item.left_out is None for item in without)
    assert environment_estimates(design, invarmr.LimitedInformationML())[0].own.std_errors == "many-instrument"


def test_environments_that_cannot_be_estimated_are_counted() -> None:
    found = environment_estimates(
        invarmr.IVDesign.from_cohort(cohort((1.0, 1.0, 1.0), flat=True)), invarmr.TwoStageLeastSquares()
    )
    assert found[0].own is None
    assert found[1].own is not None
    check = heterogeneity_check(found)
    assert check.applies
    assert check.reason == "1 environments could not be estimated"
    none = heterogeneity_check(tuple(replace(item, own=None) for item in found))
    assert not none.applies
    assert "fewer than two environments" in none.reason
