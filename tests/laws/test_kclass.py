"""How estimates must change when the data are written in another way."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import invarmr
from invarmr.diagnostics.exclusion import hansen_check, sargan_check

ESTIMATORS = [
    invarmr.OrdinaryLeastSquares(),
    invarmr.OrdinaryLeastSquares(std_errors="robust"),
    invarmr.TwoStageLeastSquares(),
    invarmr.TwoStageLeastSquares(std_errors="robust"),
    invarmr.TwoStageLeastSquares(std_errors="clustered"),
    invarmr.LimitedInformationML(),
    invarmr.LimitedInformationML(std_errors="robust"),
    invarmr.Fuller(a=4.0),
]
every_estimator = pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda e: f"{e.method}-{e.std_errors}")
seeds = st.integers(0, 2**31)


def draw(seed: int) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    n = 240
    Z = generator.binomial(2, 0.4, size=(n, 3)).astype(float)
    u = generator.normal(size=n)
    C = generator.normal(size=(n, 1))
    D = Z @ [0.5, 0.7, 0.9] + C[:, 0] + u + generator.normal(size=n)
    return {
        "instrument": Z,
        "exposure": D,
        "outcome": 0.5 * D + u,
        "environment": np.arange(n) % 3,
        "covariates": C,
        "cluster": np.arange(n) // 8,
    }


def fit(estimator: invarmr.TwoStageLeastSquares, data: dict[str, np.ndarray], **options) -> invarmr.Estimate:
    return estimator.fit(invarmr.IVDesign.from_cohort(invarmr.Cohort.from_arrays(**data), **options))


def same(first: invarmr.Estimate, second: invarmr.Estimate, estimate: float = 1.0, tolerance: float = 1e-8) -> None:
    assert first.estimate == pytest.approx(second.estimate * estimate, rel=tolerance)
    assert first.std_error == pytest.approx(second.std_error * abs(estimate), rel=tolerance)
    assert first.p_value == pytest.approx(second.p_value, rel=1e-5, abs=1e-300)
    strengths = [-1.0 if one.first_stage_f is None else one.first_stage_f for one in (first, second)]
    assert strengths[0] == pytest.approx(strengths[1], rel=tolerance)
    assert first.kappa == pytest.approx(second.kappa, rel=tolerance)


@every_estimator
@settings(max_examples=5, deadline=None, derandomize=True)
@given(seeds)
def test_the_order_of_people_is_immaterial(estimator, seed: int) -> None:
    data = draw(seed)
    order = np.random.default_rng(seed + 1).permutation(240)
    same(fit(estimator, {name: values[order] for name, values in data.items()}), fit(estimator, data))


@every_estimator
@settings(max_examples=5, deadline=None, derandomize=True)
@given(seeds)
def test_which_allele_is_counted_is_immaterial(estimator, seed: int) -> None:
    data = draw(seed)
    swapped = data["instrument"].copy()
    swapped[:, [0, 2]] = 2 - swapped[:, [0, 2]]
    same(fit(estimator, {**data, "instrument": swapped}), fit(estimator, data))


@every_estimator
@settings(max_examples=5, deadline=None, derandomize=True)
@given(seeds, st.sampled_from([-3.0, 1e-4, 1e5]))
def test_units(estimator, seed: int, c: float) -> None:
    data = draw(seed)
    before = fit(estimator, data)
    same(fit(estimator, {**data, "exposure": c * data["exposure"]}), before, 1 / c)
    same(fit(estimator, {**data, "outcome": c * data["outcome"]}), before, c)


@every_estimator
@settings(max_examples=5, deadline=None, derandomize=True)
@given(seeds, st.sampled_from([-7.0, 1e4]))
def test_constants_and_multiples_of_covariates_do_not_matter(estimator, seed: int, c: float) -> None:
    data = draw(seed)
    moved = {name: data[name] + c for name in ("instrument", "exposure", "outcome", "covariates")}
    same(fit(estimator, {**data, **moved}), fit(estimator, data), tolerance=1e-7)
    leaned = {**data, "outcome": data["outcome"] + 5 * data["covariates"][:, 0]}
    same(fit(estimator, leaned), fit(estimator, data))


@every_estimator
@settings(max_examples=5, deadline=None, derandomize=True)
@given(seeds)
def test_another_basis_of_the_same_instruments(estimator, seed: int) -> None:
    data = draw(seed)
    turn = np.random.default_rng(seed).normal(size=(3, 3)) + 3 * np.eye(3)
    turned = fit(estimator, {**data, "instrument": data["instrument"] @ turn})
    same(turned, fit(estimator, data), tolerance=1e-7)
    repeated = np.column_stack([data["instrument"], data["instrument"][:, :1], np.ones(240), data["covariates"]])
    same(fit(estimator, {**data, "instrument": repeated}), fit(estimator, data), tolerance=1e-7)


@settings(max_examples=10, deadline=None, derandomize=True)
@given(seeds)
def test_moments_merged_from_halves_give_the_same_estimate(seed: int) -> None:
    data = draw(seed)
    cohort = invarmr.Cohort.from_arrays(**data)
    fold = np.random.default_rng(seed).integers(0, 2, 240)
    merged = invarmr.merge_moments(cohort.folded_moments(fold))
    for environment_effects in (False, True):
        for estimator in (invarmr.TwoStageLeastSquares(), invarmr.LimitedInformationML()):
            whole = invarmr.IVDesign.from_cohort(cohort, environment_effects=environment_effects)
            parts = replace(whole, moments=merged)
            same(estimator.fit(parts), estimator.fit(whole))


@settings(max_examples=10, deadline=None, derandomize=True)
@given(seeds)
def test_environment_effects_are_dummies(seed: int) -> None:
    data = draw(seed)
    dummies = np.eye(3)[data["environment"]][:, 1:]
    with_dummies = {**data, "covariates": np.hstack([data["covariates"], dummies])}
    for estimator in ESTIMATORS:
        same(fit(estimator, data, environment_effects=True), fit(estimator, with_dummies), tolerance=1e-7)


@settings(max_examples=10, deadline=None, derandomize=True)
@given(seeds)
def test_over_identification_does_not_see_units_or_bases(seed: int) -> None:
    data = draw(seed)
    turned = {**data, "instrument": data["instrument"] @ (np.eye(3) + 0.3), "outcome": -9 * data["outcome"]}
    for check, std_errors in ((sargan_check, "homoskedastic"), (hansen_check, "robust")):
        found = []
        for version in (data, turned):
            design = invarmr.IVDesign.from_cohort(invarmr.Cohort.from_arrays(**version))
            found.append(check(design, invarmr.TwoStageLeastSquares(std_errors=std_errors).fit(design)).statistic)
        assert found[0] == pytest.approx(found[1], rel=1e-6)


def test_kappa_orders_the_family() -> None:
    data = draw(3)
    kappa = {e.method: fit(e, data).kappa for e in ESTIMATORS}
    assert kappa["OLS"] == 0.0
    assert kappa["2SLS"] == 1.0
    assert kappa["Fuller"] < kappa["LIML"]
    assert kappa["LIML"] >= 1.0
