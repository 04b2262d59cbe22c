from __future__ import annotations

import numpy as np
import pytest

import invarmr
from invarmr.diagnostics.component_count import component_curve


@pytest.fixture(scope="module")
def cohort() -> invarmr.Cohort:
    rng = np.random.default_rng(0)
    n = 1_200
    A = rng.normal(size=(n, 3))
    Z = rng.normal(size=(n, 4)) + A[:, :1] + 0.5 * A[:, 1:2]
    D = Z.sum(axis=1) + A.sum(axis=1) + rng.normal(size=n)
    return invarmr.Cohort.from_arrays(
        instrument=Z,
        exposure=D,
        outcome=0.5 * D + 2 * A.sum(axis=1) + rng.normal(size=n),
        environment=np.arange(n) % 2,
        covariates=rng.normal(size=n),
        components=A,
    )


def test_every_count_is_a_plain_fit_with_that_many_components(cohort):
    kinds = (invarmr.OrdinaryLeastSquares(), invarmr.LimitedInformationML())
    rows = component_curve([(invarmr.IVDesign.from_cohort(cohort), kinds)])
    assert [(row.n_components, row.instruments) for row in rows] == [
        (count, label) for label in ("none", "observed") for count in range(4)
    ]
    for row in rows:
        part = invarmr.Cohort.from_arrays(
            instrument=cohort.instruments.read(np.arange(1_200)),
            exposure=cohort.exposure,
            outcome=cohort.outcome,
            environment=cohort.environment,
            covariates=np.column_stack([cohort.covariates, cohort.components[:, : row.n_components]]),
        )
        plain = kinds[row.instruments == "observed"].fit(invarmr.IVDesign.from_cohort(part))
        assert row.estimate.estimate == pytest.approx(plain.estimate)
        assert row.estimate.std_error == pytest.approx(plain.std_error)
    moves = [row.estimate.estimate for row in rows if row.instruments == "observed"]
    assert moves[0] > 0.8
    assert moves[2] == pytest.approx(0.5, abs=0.05)


def test_labels_environment_effects_and_errors_that_need_rows(cohort):
    design = invarmr.IVDesign.from_cohort(cohort, environment_effects=True)
    rows = component_curve([(design, (invarmr.TwoStageLeastSquares(std_errors="robust"),))])
    assert {row.instruments for row in rows} == {"observed+environment"}
    assert {row.estimate.std_errors for row in rows} == {"homoskedastic"}


def test_learned_instruments_keep_the_error_of_learning(linear_study):
    study = linear_study(0, environments=3, n=1_000, asymmetric=True)
    n = study.cohort.n_samples
    cohort = study.cohort.with_components(np.random.default_rng(0).normal(size=(n, 1)), ["PC1"])
    latent = invarmr.StationaryInstruments(n_latent=2).fit(cohort, seed=0)
    design = invarmr.IVDesign.from_cohort(cohort, latent)
    liml = invarmr.LimitedInformationML()
    none, one = component_curve([(design, (liml,))])
    assert none.estimate.estimate == pytest.approx(liml.fit(design).estimate)
    assert none.estimate.std_error == pytest.approx(liml.fit(design).std_error)
    assert one.estimate.learning_inflation != 1.0
    assert one.instruments == "learned"


def test_without_components_or_variation_there_are_no_rows(cohort):
    bare = invarmr.Cohort.from_arrays(
        instrument=cohort.instruments.read(np.arange(1_200)),
        exposure=cohort.exposure,
        outcome=cohort.outcome,
        environment=cohort.environment,
    )
    assert component_curve([(invarmr.IVDesign.from_cohort(bare), (invarmr.OrdinaryLeastSquares(),))]) == ()
    same = bare.with_components(cohort.exposure[:, None], ["PC1"])
    rows = component_curve([(invarmr.IVDesign.from_cohort(same), (invarmr.OrdinaryLeastSquares(),))])
    assert [row.n_components for row in rows] == [0]
