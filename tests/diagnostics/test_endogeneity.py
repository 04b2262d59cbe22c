"""Wu-Hausman and Basmann: `linearmodels`, Wooldridge's Mroz example, and a calibration under the null."""

from __future__ import annotations

import bz2

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from linearmodels.iv import IV2SLS
from scipy import stats

import invarmr
from invarmr.diagnostics.endogeneity import basmann_check, wu_hausman_check


def design_of(Z, D, Y, C=None) -> invarmr.IVDesign:
    cohort = invarmr.Cohort.from_arrays(
        instrument=Z, exposure=D, outcome=Y, covariates=C, environment=np.arange(len(D)) % 2
    )
    return invarmr.IVDesign.from_cohort(cohort)


def drawn(seed: int, n: int, k: int, c: int, confounding: float):
    rng = np.random.default_rng(seed)
    Z, C, shared = rng.normal(size=(n, k)), rng.normal(size=(n, c)), rng.normal(size=n)
    D = 0.4 * Z.sum(axis=1) + C.sum(axis=1) + shared + rng.normal(size=n)
    return Z, D, D - C.sum(axis=1) + confounding * shared + rng.normal(size=n), C


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31), st.integers(60, 300), st.integers(2, 6), st.integers(0, 3), st.sampled_from([0.0, 1.0]))
def test_linearmodels_agrees(seed, n, k, c, confounding) -> None:
    Z, D, Y, C = drawn(seed, n, k, c, confounding)
    design = design_of(Z, D, Y, C)
    theirs = IV2SLS(Y, np.column_stack([np.ones(n), C]), D, Z).fit(cov_type="unadjusted")
    hausman, basmann = theirs.wu_hausman(), theirs.basmann_f
    ours = wu_hausman_check(design)
    assert (ours.statistic, ours.p_value) == pytest.approx((hausman.stat, hausman.pval), rel=1e-7, abs=1e-12)
    assert ours.df == f"{hausman.df}, {hausman.df_denom}"
    ours = basmann_check(design, invarmr.LimitedInformationML().fit(design))  # they take kappa of LIML
    assert (ours.statistic, ours.p_value) == pytest.approx((basmann.stat, basmann.pval), rel=1e-7, abs=1e-12)


def test_mroz(oracles) -> None:
    raw = bz2.decompress((oracles / "iv_linearmodels" / "mroz.csv.bz2").read_bytes())
    frame = pl.read_csv(raw, null_values=["NA", ""], infer_schema_length=None).drop_nulls("lwage")
    columns = [
        frame.select(names).to_numpy().astype(float)
        for names in (["motheduc", "fatheduc"], ["educ"], ["lwage"], ["exper", "expersq"])
    ]
    check = wu_hausman_check(design_of(columns[0], columns[1][:, 0], columns[2][:, 0], columns[3]))
    n, free = len(frame), int(check.df.split(", ")[1])
    assert (n, free) == (428, 423)
    # linearmodels prints the same statistic scaled by n / (n - c - 2), and its chi-squared p-value
    assert check.statistic * n / free == pytest.approx(2.8256, abs=5e-5)
    assert stats.chi2.sf(check.statistic * n / free, 1) == pytest.approx(0.0928, abs=5e-5)


def test_it_tells_a_confounded_exposure_from_a_clean_one() -> None:
    confounded = wu_hausman_check(design_of(*drawn(1, 2_000, 3, 1, 1.0)))
    clean = wu_hausman_check(design_of(*drawn(2, 2_000, 3, 1, 0.0)))
    assert "differ: the exposure is confounded" in confounded.conclusion
    assert "do not differ clearly" in clean.conclusion
    assert confounded.p_value < 1e-10


def test_basmann_sees_an_instrument_with_a_way_of_its_own() -> None:
    Z, D, Y, C = drawn(3, 2_000, 3, 1, 1.0)
    bad = design_of(Z, D, Y + Z[:, 0], C)
    check = basmann_check(bad, invarmr.LimitedInformationML().fit(bad))
    assert "contradict each other: at least one" in check.conclusion
    assert (
        "do not contradict"
        in basmann_check(design_of(Z, D, Y, C), invarmr.LimitedInformationML().fit(design_of(Z, D, Y, C))).conclusion
    )


def test_they_say_why_they_do_not_apply() -> None:
    Z, D, Y, C = drawn(4, 200, 3, 1, 1.0)
    one = design_of(Z[:, :1], D, Y, C)
    assert "nothing to compare" in basmann_check(one, invarmr.TwoStageLeastSquares().fit(one)).reason
    assert "all or nothing" in wu_hausman_check(design_of(np.column_stack([Z, D]), D, Y, C)).reason
    exact = design_of(Z, D, D + Z @ np.array([1.0, 2.0, 3.0]), None)
    assert wu_hausman_check(exact).applies
    assert "no error of the outcome" in wu_hausman_check(design_of(Z, D, 2 * D, None)).reason


def test_the_error_of_learning_is_counted(linear_study) -> None:
    study = linear_study(1, environments=3, asymmetric=True, n=1_200)
    latent = invarmr.StationaryInstruments(n_latent=2).fit(study.cohort, seed=1)
    design = invarmr.IVDesign.from_cohort(study.cohort, latent)
    estimate = invarmr.TwoStageLeastSquares().fit(design)
    assert estimate.learning_inflation != 1.0
    assert "error of learning" in wu_hausman_check(design).reason
    assert "for learning" in basmann_check(design, estimate).reason
