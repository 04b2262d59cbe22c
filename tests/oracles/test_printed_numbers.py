"""Numbers printed by others on public data: Card (1995), Mroz (1987), Stata's housing data. Source: expected.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import invarmr
from invarmr.diagnostics.exclusion import sargan_check

CARD_CONTROLS = [
    *("exper", "expersq", "black", "south", "smsa", "smsa66"),
    *(f"reg66{i}" for i in range(1, 9)),
]


@pytest.fixture(scope="module")
def expected(oracles: Path) -> dict[str, Any]:
    return json.loads((oracles / "expected.json").read_text())


def design(frame: pd.DataFrame, outcome: str, exposure: str, instruments: list[str], controls: list[str], **more: Any):
    cohort = invarmr.Cohort.from_arrays(
        instrument=frame[instruments],
        exposure=frame[exposure],
        outcome=frame[outcome],
        environment=["one"] * len(frame),
        covariates=frame[controls],
        **more,
    )
    return invarmr.IVDesign.from_cohort(cohort)


@pytest.fixture(scope="module")
def card(oracles: Path) -> pd.DataFrame:
    frame = pd.read_csv(oracles / "iv_linearmodels" / "card.csv.bz2")
    return frame.assign(lwage=np.log(frame.wage))


@pytest.fixture(scope="module")
def mroz(oracles: Path) -> pd.DataFrame:
    frame = pd.read_csv(oracles / "iv_linearmodels" / "mroz.csv.bz2")
    return frame[frame.inlf == 1].dropna(subset=["lwage"])


@pytest.fixture(scope="module")
def housing(oracles: Path) -> invarmr.IVDesign:
    frame = pd.read_csv(oracles / "iv_linearmodels" / "housing.csv")
    regions = [f"region {name}" for name in sorted(frame.region.unique())[1:]]
    for name in regions:
        frame[name] = (frame.region == name.removeprefix("region ")).astype(float)
    return design(frame, "rent", "hsngval", ["faminc", *regions], ["pcturban"], cluster=frame.division)


ROUNDING = 2e-7
"""Card's log wages are held to six decimals, cut in several ways in several copies: this much of a coefficient."""


def check(estimator: Any, on: invarmr.IVDesign, printed: list[float], places: int) -> None:
    fitted = estimator.fit(on)
    assert [fitted.estimate, fitted.std_error] == pytest.approx(printed, abs=max(0.51 * 10.0**-places, ROUNDING))


def test_card_with_one_instrument(card, expected) -> None:
    numbers = expected["iv_card"]["nearc4"]
    on = design(card, "lwage", "educ", ["nearc4"], CARD_CONTROLS)
    check(invarmr.OrdinaryLeastSquares(), on, numbers["ols"], 7)
    check(invarmr.TwoStageLeastSquares(), on, numbers["tsls"], 7)
    check(invarmr.LimitedInformationML(std_errors="homoskedastic"), on, numbers["tsls"], 7)
    check(invarmr.Fuller(std_errors="homoskedastic"), on, numbers["fuller1"], 7)
    check(invarmr.TwoStageLeastSquares(), on, numbers["card1995"], 3)
    assert invarmr.TwoStageLeastSquares().fit(on).first_stage_f == pytest.approx(numbers["F"], abs=5.1e-7)
    robust = invarmr.TwoStageLeastSquares(std_errors="robust").fit(on)
    assert robust.std_error == pytest.approx(numbers["linearmodels_robust_se"], rel=0.005)  # HC0 there


def test_card_with_two_instruments(card, expected) -> None:
    numbers = expected["iv_card"]["nearc4+nearc2"]
    on = design(card, "lwage", "educ", ["nearc4", "nearc2"], CARD_CONTROLS)
    check(invarmr.TwoStageLeastSquares(), on, numbers["tsls"], 7)
    check(invarmr.LimitedInformationML(std_errors="homoskedastic"), on, numbers["liml"], 7)
    check(invarmr.Fuller(std_errors="homoskedastic"), on, numbers["fuller1"], 7)
    two_stage = invarmr.TwoStageLeastSquares().fit(on)
    assert two_stage.first_stage_f == pytest.approx(numbers["F"], abs=5.1e-7)
    assert invarmr.LimitedInformationML().fit(on).kappa == pytest.approx(numbers["liml_k"], abs=5.1e-8)
    sargan = sargan_check(on, two_stage)
    assert [sargan.statistic, sargan.p_value] == pytest.approx(numbers["sargan"], abs=2e-6)


def test_mroz(mroz, expected) -> None:
    numbers = expected["iv_mroz"]
    one = design(mroz, "lwage", "educ", ["fatheduc"], [])
    check(invarmr.OrdinaryLeastSquares(), one, numbers["ols"], 4)
    check(invarmr.TwoStageLeastSquares(), one, numbers["fatheduc only"], 4)
    both = design(mroz, "lwage", "educ", ["fatheduc", "motheduc"], ["exper", "expersq"])
    check(invarmr.TwoStageLeastSquares(), both, numbers["2sls motheduc+fatheduc"], 3)


@pytest.mark.parametrize(
    ("std_errors", "t"), [("homoskedastic", 6.6118735487), ("robust", 3.2315305906), ("clustered", 5.3839720729)]
)
def test_housing_two_stage_least_squares_as_stata_prints_it(housing, expected, std_errors, t) -> None:
    fitted = invarmr.TwoStageLeastSquares(std_errors=std_errors).fit(housing)
    assert fitted.estimate == pytest.approx(expected["iv_housing"]["2sls"]["hsngval"], abs=5.1e-12)
    if std_errors == "clustered":  # Stata's clusters here are the nine divisions
        assert housing.cohort is not None
        assert housing.cohort.cluster is not None
        assert housing.cohort.cluster.max() == 8
    assert fitted.estimate / fitted.std_error == pytest.approx(t, abs=5.1e-10)


@pytest.mark.parametrize(
    ("std_errors", "t"), [("homoskedastic", 6.2001021269), ("robust", 3.2529790022), ("clustered", 5.9089571618)]
)
def test_housing_liml_as_stata_prints_it(housing, expected, std_errors, t) -> None:
    fitted = invarmr.LimitedInformationML(std_errors=std_errors).fit(housing)
    assert fitted.estimate == pytest.approx(expected["iv_housing"]["liml"]["hsngval"], abs=5.1e-12)
    assert fitted.kappa == pytest.approx(expected["iv_housing"]["liml"]["kappa"], abs=5.1e-10)
    assert fitted.estimate / fitted.std_error == pytest.approx(t, abs=5.1e-10)


def test_housing_sargan_is_stata_s_gmm_j_with_unadjusted_weights(housing, expected) -> None:
    sargan = sargan_check(housing, invarmr.TwoStageLeastSquares().fit(housing))
    assert sargan.statistic == pytest.approx(expected["iv_housing"]["J"], abs=5.1e-10)
    assert sargan.df == "3"
    assert np.isfinite(sargan.p_value)
