from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from invarmr.data.cohort import Cohort
from invarmr.data.design import IVDesign
from invarmr.data.instrument_source import ArrayInstruments
from invarmr.data.latent_instruments import DimensionStep, LatentInstruments
from invarmr.errors import InputError, InvarmrWarning


def latent(**changes) -> LatentInstruments:
    plain = {
        "learner": "stationary",
        "instrument_names": ("rs1", "rs2", "rs3"),
        "center": np.array([1.0, 2.0, 3.0]),
        "loadings": np.array([[1.0], [0.0], [2.0]]),
        "confounded_loadings": np.eye(3)[:, 1:],
        "eigenvalues": np.arange(3.0),
    }
    return LatentInstruments(**{**plain, **changes})


def test_transform_is_centred_and_linear() -> None:
    values = np.random.default_rng(0).normal(size=(20_000, 3))
    found = latent(source=ArrayInstruments(values))
    np.testing.assert_allclose(found.transform(values)[:, 0], values[:, 0] - 1 + 2 * (values[:, 2] - 3))
    np.testing.assert_allclose(found.latent_instrument, found.transform(values))
    np.testing.assert_allclose(found.confounded_part, values[:, 1:] - [2, 3])
    assert (found.n_latent, found.n_confounded) == (1, 2)


def test_what_it_cannot_do() -> None:
    with pytest.raises(InputError, match=r"must have the 3 columns .* \(rs1 first\), but has 2"):
        latent().transform(np.zeros((4, 2)))
    with pytest.raises(InputError, match="instrument must be finite"):
        latent().transform([[0.0, np.nan, 1.0]])
    for name in ("latent_instrument", "confounded_part"):
        with pytest.raises(InputError, match="learned from moments, without people"):
            getattr(latent(), name)


def test_nothing_can_be_written_to() -> None:
    found = latent(trained_loadings=np.ones((3, 1)), learning_error=np.eye(2), fold=np.zeros(4, dtype=int))
    for name in (
        *("center", "loadings", "confounded_loadings", "eigenvalues"),
        *("trained_loadings", "learning_error", "fold"),
    ):
        with pytest.raises(ValueError, match="read-only"):
            getattr(found, name)[...] = 0


def test_people_can_be_exchanged() -> None:
    values = np.random.default_rng(0).normal(size=(5, 3))
    fold = np.arange(5)
    found = latent().with_people(source=ArrayInstruments(values), fold=fold)
    assert found.latent_instrument.shape == (5, 1)
    np.testing.assert_array_equal(found.fold, fold)


def test_verdict_of_a_plain_score() -> None:
    assert latent(confounded_loadings=np.zeros((3, 0))).verdict.status == "not identified"
    assert latent(shift_rank=0).verdict.status == "not identified"  # set aside, yet no difference was detected
    assert latent(shift_rank=1).verdict.status == "identified"
    assert "in means" in latent(shift_rank=1).verdict.reasons[0]
    assert "in means and covariances" in latent(covariance_informative=True).verdict.reasons[0]


def test_a_confounded_part_that_depends_on_the_latent_instruments_is_doubted() -> None:
    fine = DimensionStep(2, 0.5, 0.5, 0.4, 0.4, False, "")
    given = LatentInstruments(
        learner="stationary",
        instrument_names=("a", "b", "c"),
        center=np.zeros(3),
        loadings=np.eye(3)[:, :2],
        confounded_loadings=np.eye(3)[:, 2:],
        eigenvalues=np.arange(3.0),
        path=(fine,),
    )
    assert given.confounded_doubt == ""
    dependent = replace(given, path=(fine, replace(fine, independence_p=1e-5)))
    assert "are dependent (p = 1e-05)" in dependent.confounded_doubt
    assert replace(dependent, loadings=np.eye(3), confounded_loadings=np.zeros((3, 0))).confounded_doubt == ""
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(60, 3))
    cohort = Cohort.from_arrays(
        instrument=rows, exposure=rows.sum(axis=1), outcome=rng.normal(size=60), environment=np.arange(60) % 2,
        instrument_names=["a", "b", "c"],
    )  # fmt: skip
    IVDesign.from_cohort(cohort, dependent)
    with pytest.warns(InvarmrWarning, match=r"PO\(V\): on people not learned from"):
        IVDesign.from_cohort(cohort, dependent, partial_confounded=True)
