"""Designs with several exposures: what is refused, what needs rows, and agreement with the path of one exposure."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import invarmr
from invarmr.data.several_exposures import SeveralExposures
from invarmr.diagnostics.several_exposures import several_exposures_checks
from invarmr.diagnostics.strength import kleibergen_paap_check
from invarmr.errors import InputError
from invarmr.estimators.several_exposures import SeveralExposuresKClass
from invarmr.inference.several_exposures import joint_test, subset_set, subset_test
from invarmr.inference.statistical_test import StatisticalTest


def arrays(n: int = 400, k: int = 4, seed: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    Z, h = rng.normal(size=(n, k)), rng.normal(size=(n, 1))
    X = Z[:, :2] + 0.3 * Z[:, 1:3] + h + rng.normal(size=(n, 2))
    return Z, X, X @ [1.0, -0.5] + h[:, 0] + rng.normal(size=n)


def design(**more: object) -> SeveralExposures:
    Z, X, Y = arrays()
    return SeveralExposures.from_arrays(instrument=Z, exposures=X, outcome=Y, exposure_names=["ldl", "hdl"], **more)


def cohort() -> invarmr.Cohort:
    Z, X, Y = arrays()
    return invarmr.Cohort.from_arrays(
        instrument=Z,
        exposure=X[:, 0],
        outcome=Y,
        environment=np.arange(len(Y)) % 2,
        covariates=np.column_stack([X[:, 1], np.arange(len(Y)) % 7]),
        covariate_names=["hdl", "age"],
    )


def test_a_covariate_of_a_cohort_becomes_an_exposure() -> None:
    people = cohort()
    several = SeveralExposures(design=invarmr.IVDesign.from_cohort(people), further=("hdl",))
    Z, X, Y = arrays()
    same = SeveralExposures.from_arrays(
        instrument=Z, exposures=X, outcome=Y, covariates=(np.arange(len(Y)) % 7)[:, None]
    )
    assert several.exposures == ("exposure", "hdl")
    for member in ("OLS", "2SLS", "LIML", "Fuller"):
        one, other = (SeveralExposuresKClass(member=member).fit(each) for each in (several, same))
        assert one.estimates == pytest.approx(other.estimates, rel=1e-9)
        assert one.covariance == pytest.approx(other.covariance, rel=1e-8)
    with_effects = SeveralExposures(
        design=invarmr.IVDesign.from_cohort(people, environment_effects=True), further=("hdl",)
    )
    assert with_effects.partialled.n_controls == several.partialled.n_controls + 1
    rows = np.vstack([values for _, values, _ in with_effects.residual_rows()])
    assert rows.T @ rows == pytest.approx(with_effects.partialled.total, rel=1e-8)


def test_effects_are_found_and_printed() -> None:
    answer = SeveralExposuresKClass(level=0.999).fit(design())
    assert answer.estimates == pytest.approx([1.0, -0.5], abs=0.25)
    assert str(answer).startswith("LIML, ldl: ")
    assert all(value in interval for value, interval in zip((1.0, -0.5), answer.confidence_sets, strict=True))
    assert all(p < 0.01 for p in answer.p_values)
    assert answer.wald_test({"ldl": 1.0, "hdl": -0.5}).p_value > 0.01
    assert answer.wald_test({"hdl": 0.0}).p_value == pytest.approx(answer.p_values[1])


def test_with_as_many_instruments_as_exposures_all_tests_are_ar() -> None:
    Z, X, Y = arrays(k=4)
    just = SeveralExposures.from_arrays(instrument=Z[:, :2], exposures=X, outcome=Y, exposure_names=["ldl", "hdl"])
    values = {"ldl": 0.8, "hdl": -0.1}
    assert len({round(joint_test(just, values, test).p_value, 12) for test in ("AR", "LM", "LR", "CLR")}) == 1
    sets = [subset_set(just, "ldl", test=test).intervals for test in ("AR", "CLR")]
    assert sets[0] == sets[1]
    fitted = [SeveralExposuresKClass(member=member).fit(just).estimates for member in ("2SLS", "LIML")]
    assert fitted[0] == pytest.approx(fitted[1])
    checks = several_exposures_checks(just, SeveralExposuresKClass(member="2SLS").fit(just))
    assert [check.applies for check in checks if check.test == "Sargan J"] == [False]


def test_far_tails_are_logarithms() -> None:
    found = joint_test(design(), {"ldl": 1e3, "hdl": 1e3})
    assert found.log10_p < -30
    n = 30_000
    Z, X, Y = arrays(n)
    many = SeveralExposures.from_arrays(instrument=Z, exposures=X, outcome=Y, exposure_names=["ldl", "hdl"])
    far = joint_test(many, {"ldl": 1e3, "hdl": -1e3})
    assert far.p_value == 0.0
    assert f"p = 10^{far.log10_p:.1f}" in str(far)


def test_kleibergen_paap_of_one_exposure_given_an_exogenous_one_is_that_of_one_exposure() -> None:
    """An instrument that is itself the second exposure: it explains that exposure alone."""
    people = cohort()
    one = invarmr.IVDesign.from_cohort(people)
    several = SeveralExposures(design=one, further=("hdl",))
    fitted = SeveralExposuresKClass(member="2SLS").fit(several)
    checks = {check.test: check for check in several_exposures_checks(several, fitted)}
    assert 0.2 < checks["Kleibergen-Paap F"].statistic / checks["Cragg-Donald F"].statistic < 5
    assert kleibergen_paap_check(one).applies
    from_moments = SeveralExposures(design=replace(one, cohort=None), further=("hdl",))
    again = several_exposures_checks(from_moments, SeveralExposuresKClass(member="2SLS").fit(from_moments))
    assert [check.test for check in again if not check.applies] == ["Kleibergen-Paap F"]
    with pytest.raises(InputError, match="needs the rows of the cohort"):
        SeveralExposuresKClass(std_errors="robust").fit(from_moments)


def test_clustered_strength() -> None:
    clustered = design(cluster=np.arange(400) // 4)
    fitted = SeveralExposuresKClass(std_errors="clustered").fit(clustered)
    check = {c.test: c for c in several_exposures_checks(clustered, fitted, clustered=True)}["Kleibergen-Paap F"]
    assert check.applies
    assert "clustered" in check.conclusion
    plain = several_exposures_checks(design(), fitted, clustered=True)
    assert not {c.test: c for c in plain}["Kleibergen-Paap F"].applies


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda d: joint_test(d, {"ldl": 1.0}), "hdl has none"),
        (lambda d: joint_test(d, {"ldl": 1.0, "tg": 1.0}), "but tg was named"),
        (lambda d: joint_test(d, {"ldl": 1.0, "hdl": np.nan}), "finite numbers"),
        (lambda d: joint_test(d, {"ldl": 1.0, "hdl": 0.0}, "score"), "test must be AR"),
        (lambda d: subset_test(d, {"ldl": 1.0, "hdl": 0.0}), "not all of the 2 exposures"),
        (lambda d: subset_test(d, {"ldl": 1.0}, "LM"), "but LM of 1 was asked for"),
        (lambda d: subset_set(d, "tg"), "but tg was named"),
        (lambda d: subset_set(d, "ldl", test="LM"), "but LM was asked for"),
        (lambda d: subset_set(d, "ldl", 1.5), "level must lie"),
        (lambda d: SeveralExposuresKClass(member="GMM").fit(d), "member must be OLS"),
        (lambda d: SeveralExposuresKClass(member="2SLS", std_errors="many-instrument").fit(d), "not for 2SLS"),
        (lambda d: SeveralExposuresKClass(std_errors="HC3").fit(d), "but is 'HC3'"),
        (lambda d: SeveralExposuresKClass(std_errors="clustered").fit(d), "a cluster for every sample"),
    ],
)
def test_what_cannot_be_asked_is_refused(call: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call(design())  # type: ignore[operator]


def test_what_cannot_be_built_is_refused() -> None:
    Z, X, Y = arrays()
    with pytest.raises(InputError, match="two columns or more"):
        SeveralExposures.from_arrays(instrument=Z, exposures=X[:, 0], outcome=Y)
    with pytest.raises(InputError, match="2 exposure names"):
        SeveralExposures.from_arrays(instrument=Z, exposures=X, outcome=Y, exposure_names=["one"])
    with pytest.raises(InputError, match="further must name covariates"):
        SeveralExposures(design=invarmr.IVDesign.from_cohort(cohort()), further=("tg",))
    few = SeveralExposures.from_arrays(instrument=Z[:, 0], exposures=X, outcome=Y)
    with pytest.raises(InputError, match="2 exposures need 2 instruments at least"):
        SeveralExposuresKClass().fit(few)
    alike = SeveralExposures.from_arrays(instrument=Z, exposures=X[:, [0, 0]] * [1.0, 2.0], outcome=Y)
    with pytest.raises(InputError, match="collinear"):
        SeveralExposuresKClass(member="2SLS").fit(alike)
    assert not joint_test(alike, {"exposure1": 0.0, "exposure2": 0.0}).applies
    assert not subset_test(alike, {"exposure1": 0.0}).applies
    assert "not applicable" in str(StatisticalTest.none("AR", "a = 1", "there is no error"))
