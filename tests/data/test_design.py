from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import invarmr
from invarmr.data import cohort as cohort_module
from invarmr.errors import InputError


def cohort(n: int = 120, **changes) -> invarmr.Cohort:
    generator = np.random.default_rng(0)
    Z, C = generator.normal(size=(n, 4)), generator.normal(size=(n, 2))
    D = Z.sum(axis=1) + C.sum(axis=1) + generator.normal(size=n)
    plain = {
        "instrument": Z,
        "exposure": D,
        "outcome": D + generator.normal(size=n),
        "environment": np.arange(n) % 3,
        "covariates": C,
        "components": generator.normal(size=(n, 1)) + Z[:, :1],
        "truth": generator.normal(size=(n, 1)),
    }
    return invarmr.Cohort.from_arrays(**{**plain, **changes})


@pytest.fixture(scope="module")
def latent():
    return invarmr.StationaryInstruments(n_latent=2, n_folds=4, n_held_out=2).fit(cohort(), seed=1)


def dense(people: invarmr.Cohort, controls, *, fixed: bool, latent=None, partial: bool = False):
    Z = people.instruments.read(np.arange(people.n_samples))
    columns = [np.eye(3)[people.environment] if fixed else np.ones((people.n_samples, 1))]
    columns += [getattr(people, name) for name in controls]
    if partial:
        columns.append(latent.confounded_part)
    C = np.hstack(columns)

    def residual(x):
        return x - C @ np.linalg.lstsq(C, x, rcond=None)[0]

    W = residual(Z if latent is None else latent.latent_instrument)
    return W, residual(np.column_stack([people.outcome, people.exposure])), np.linalg.matrix_rank(C)


@pytest.mark.parametrize("fixed", [False, True])
@pytest.mark.parametrize("partial", [False, True, None])
@pytest.mark.parametrize("controls", [(), ("covariates",), ("covariates", "components", "truth")])
def test_rows_and_moments_are_the_dense_computation(monkeypatch, latent, controls, partial, fixed) -> None:
    monkeypatch.setattr(cohort_module, "BLOCK", 13)
    people = cohort()
    learned = None if partial is None else latent
    design = invarmr.IVDesign.from_cohort(
        people, learned, controls=controls, environment_effects=fixed, partial_confounded=bool(partial)
    )
    W, pair, rank = dense(people, controls, fixed=fixed, latent=learned, partial=bool(partial))
    parts = design.partialled
    projected = W @ np.linalg.lstsq(W, pair, rcond=None)[0]
    np.testing.assert_allclose(parts.total, pair.T @ pair, rtol=1e-8)
    np.testing.assert_allclose(parts.projected, projected.T @ projected, rtol=1e-7)
    assert (parts.n_samples, parts.n_instruments, parts.n_controls) == (120, W.shape[1], rank)
    instruments, found, rows = (np.concatenate(part) for part in zip(*design.residual_rows(), strict=True))
    np.testing.assert_array_equal(rows, np.arange(120))
    np.testing.assert_allclose(found, pair, atol=1e-8)
    np.testing.assert_allclose(instruments @ parts.whitened, projected, atol=1e-7)
    np.testing.assert_allclose(instruments.T @ instruments, np.eye(W.shape[1]), atol=1e-8)


@pytest.mark.parametrize(
    ("options", "label"),
    [
        ({}, "observed"),
        ({"environment_effects": True}, "observed+environment"),
        ({"controls": ("covariates", "components")}, "observed+pcs"),
        ({"controls": ("truth",)}, "oracle"),
    ],
)
def test_labels(options, label, latent) -> None:
    assert invarmr.IVDesign.from_cohort(cohort(), **options).instrument_set == label
    if label != "oracle":
        learned = invarmr.IVDesign.from_cohort(cohort(), latent, **options).instrument_set
        assert learned == label.replace("observed", "learned")


def test_what_cannot_be_designed() -> None:
    people = cohort()
    for controls in (("pcs",), "components"):
        with pytest.raises(InputError, match="controls must be among covariates, components, truth"):
            invarmr.IVDesign.from_cohort(people, controls=controls)
    copied = cohort(instrument=people.covariates * [2, -3] + 5)
    with pytest.raises(InputError, match=r"None of the 2 instruments \(observed\) varies given the controls"):
        _ = invarmr.IVDesign.from_cohort(copied).partialled
    with pytest.raises(InputError, match="built from moments alone"):
        list(replace(invarmr.IVDesign.from_cohort(people), cohort=None).residual_rows())
    small = cohort(n=24, components=np.random.default_rng(1).normal(size=(24, 18)))
    with pytest.raises(InputError, match="more samples than instruments and controls, but 24 samples"):
        _ = invarmr.IVDesign.from_cohort(small, controls=("covariates", "components")).partialled


@pytest.mark.parametrize("seed", range(20))
def test_instruments_that_controls_explain_are_not_instruments(seed: int) -> None:
    generator = np.random.default_rng(seed)
    C = generator.normal(size=(300, 3)) * [1, 1e3, 1e-3] + 1e4
    good = generator.normal(size=(300, 2))
    copy = C @ generator.normal(size=(3, 2))
    D = good.sum(axis=1) + generator.normal(size=300)
    people = {"exposure": D, "outcome": D + generator.normal(size=300), "environment": ["a"] * 300, "covariates": C}
    plain = invarmr.IVDesign.from_cohort(invarmr.Cohort.from_arrays(instrument=good, **people))
    more = invarmr.IVDesign.from_cohort(invarmr.Cohort.from_arrays(instrument=np.hstack([good, copy]), **people))
    assert more.partialled.n_instruments == 2
    np.testing.assert_allclose(more.partialled.projected, plain.partialled.projected, rtol=1e-7)


def test_an_exposure_that_controls_explain_cannot_be_fitted() -> None:
    people = cohort()
    explained = cohort(exposure=people.covariates @ [3.0, 0.1] + 7)
    for estimator in (invarmr.OrdinaryLeastSquares(), invarmr.TwoStageLeastSquares(), invarmr.LimitedInformationML()):
        with pytest.raises(InputError, match="exposure does not vary once the controls"):
            estimator.fit(invarmr.IVDesign.from_cohort(explained))


def test_one_environment_of_a_design(latent) -> None:
    people = cohort()
    design = invarmr.IVDesign.from_cohort(people, latent, partial_confounded=True)
    alone = design.environment_design([1])
    assert alone.cohort is None
    assert alone.latent is None
    assert alone.partialled.n_samples == 40
    assert alone.n_columns == design.n_columns == (4, 2)
