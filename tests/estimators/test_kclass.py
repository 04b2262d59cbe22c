from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest
from scipy import linalg

import invarmr
from invarmr.errors import InputError
from invarmr.estimators.kclass import first_stage, liml_kappa


def design(n: int = 200, k: int = 3, **changes) -> invarmr.IVDesign:
    generator = np.random.default_rng(0)
    Z, u = generator.normal(size=(n, k)), generator.normal(size=n)
    D = Z.sum(axis=1) + u + generator.normal(size=n)
    plain = {"instrument": Z, "exposure": D, "outcome": D + u, "environment": np.arange(n) % 2}
    return invarmr.IVDesign.from_cohort(invarmr.Cohort.from_arrays(**{**plain, **changes}))


def test_one_instrument_is_the_ratio_for_the_whole_family() -> None:
    on = design(k=1)
    cohort = on.cohort
    z = cohort.instruments.read(np.arange(200))[:, 0]
    ratio = np.cov(z, cohort.outcome)[0, 1] / np.cov(z, cohort.exposure)[0, 1]
    assert invarmr.TwoStageLeastSquares().fit(on).estimate == pytest.approx(ratio)
    assert invarmr.LimitedInformationML().fit(on).estimate == pytest.approx(ratio)
    assert invarmr.LimitedInformationML().fit(on).kappa == 1.0
    assert invarmr.Fuller().fit(on).kappa == pytest.approx(1 - 1 / (200 - 1 - 1))


def test_kappa_is_the_smallest_root() -> None:
    parts = design().partialled
    outside = parts.total - parts.projected
    assert liml_kappa(parts, outside) == pytest.approx(
        linalg.eigh(parts.total, outside, eigvals_only=True)[0], rel=1e-10
    )


def test_an_instrument_that_is_the_exposure() -> None:
    Z = np.random.default_rng(1).normal(size=(200, 3))
    on = design(instrument=Z, exposure=Z[:, 0])
    f, r2 = first_stage(on.partialled)
    assert r2 == pytest.approx(1.0)
    assert f > 1e12
    least_squares = invarmr.OrdinaryLeastSquares().fit(on)
    for estimator in (invarmr.TwoStageLeastSquares(), invarmr.LimitedInformationML()):
        assert estimator.fit(on).estimate == pytest.approx(least_squares.estimate, abs=1e-6)
    residual = replace(on.partialled, projected=on.partialled.total)
    assert first_stage(residual) == (np.inf, 1.0)


@pytest.mark.parametrize("factor", [1.0, -2.0, 1e6])
def test_an_outcome_that_is_the_exposure(factor: float) -> None:
    D = np.random.default_rng(1).normal(size=200)
    on = design(exposure=D, outcome=factor * D)
    for estimator in (invarmr.OrdinaryLeastSquares(), invarmr.TwoStageLeastSquares(), invarmr.LimitedInformationML()):
        with pytest.raises(InputError, match="exact multiple of the exposure"):
            estimator.fit(on)


def test_an_outcome_that_controls_explain() -> None:
    C = np.random.default_rng(1).normal(size=200)
    with pytest.raises(InputError, match="does not vary"):
        invarmr.OrdinaryLeastSquares().fit(design(covariates=C, outcome=3 * C + 1))


def test_settings_are_frozen_and_checked() -> None:
    with pytest.raises(FrozenInstanceError):
        invarmr.Fuller().a = 4.0
    with pytest.raises(InputError, match="level"):
        invarmr.TwoStageLeastSquares(level=95)
    with pytest.raises(InputError, match="std_errors must be homoskedastic"):
        invarmr.TwoStageLeastSquares(std_errors="HC3").fit(design())
    for estimator in (invarmr.OrdinaryLeastSquares, invarmr.TwoStageLeastSquares):
        with pytest.raises(InputError, match="many-instrument errors exist for LIML and Fuller"):
            estimator(std_errors="many-instrument").fit(design())


def test_the_estimate_says_what_it_is() -> None:
    on = design()
    fitted = invarmr.LimitedInformationML(level=0.9).fit(on)
    assert (fitted.method, fitted.instruments, fitted.std_errors) == ("LIML", "observed", "many-instrument")
    assert (fitted.n_samples, fitted.n_instruments) == (200, 3)
    text = str(fitted)
    for words in ("LIML (observed)", "90 % set [", "n 200", "3 instruments", "first-stage F"):
        assert words in text
    plain = invarmr.OrdinaryLeastSquares().fit(on)
    assert plain.instruments == "none"
    assert plain.first_stage_f is None
    assert plain.n_instruments == 0
    assert "first-stage" not in str(plain)
