from __future__ import annotations

import numpy as np
import pytest

import invarmr
from invarmr.data.stacked_design import StackedDesign


@pytest.fixture(scope="module")
def arrays():
    rng = np.random.default_rng(1)
    n = 240
    Z = rng.normal(size=(n, 2))
    C = rng.normal(size=(n, 1))
    D = Z.sum(axis=1) + C[:, 0] + rng.normal(size=n)
    Y = 0.5 * D - C[:, 0] + rng.normal(size=n)
    return Z, C, D, Y


@pytest.fixture(scope="module")
def stacked(arrays):
    Z, C, D, Y = arrays
    cohort = invarmr.Cohort.from_arrays(
        instrument=Z, exposure=D, outcome=Y, environment=np.arange(240) % 2, covariates=C, cluster=np.arange(240) // 2
    )
    people = (np.arange(0, 100), np.arange(100, 240))
    designs = tuple(invarmr.IVDesign.from_cohort(cohort.subset(own)) for own in people)
    return StackedDesign(parts=designs, people=people, cohort=cohort)


def dense(arrays, people):
    """Block-diagonal instruments and controls, written out."""
    Z, C, D, Y = arrays
    inside = [np.isin(np.arange(len(D)), own).astype(float)[:, None] for own in people]
    instruments = np.hstack([Z * own for own in inside])
    controls = np.hstack([np.hstack([own, C * own]) for own in inside])
    return instruments, controls, np.column_stack([Y, D])


def test_it_is_the_regression_on_block_diagonal_instruments_and_controls(arrays, stacked) -> None:
    instruments, controls, pair = dense(arrays, stacked.people)
    Q, _ = np.linalg.qr(controls)
    Zt, pair = (values - Q @ (Q.T @ values) for values in (instruments, pair))
    fitted = Zt @ np.linalg.lstsq(Zt, pair, rcond=None)[0]
    own = stacked.partialled
    assert (own.n_samples, own.n_instruments, own.n_controls) == (240, 4, 4)
    np.testing.assert_allclose(own.total, pair.T @ pair, rtol=1e-10)
    np.testing.assert_allclose(own.projected, fitted.T @ fitted, rtol=1e-10)
    np.testing.assert_allclose(own.whitened.T @ own.whitened, own.projected, rtol=1e-10)
    expected = (fitted[:, 1] @ fitted[:, 0]) / (fitted[:, 1] @ fitted[:, 1])
    assert invarmr.TwoStageLeastSquares().fit(stacked).estimate == pytest.approx(expected, rel=1e-10)


def test_rows_give_the_same_sums_and_robust_errors_work(arrays, stacked) -> None:
    blocks = list(stacked.residual_rows())
    z, pair = (np.vstack([block[i] for block in blocks]) for i in (0, 1))
    rows = np.concatenate([block[2] for block in blocks])
    assert rows.tolist() == list(range(240))
    np.testing.assert_allclose(z.T @ z, np.eye(4), atol=1e-10)
    np.testing.assert_allclose(z.T @ pair, stacked.partialled.whitened, atol=1e-9)
    plain = invarmr.TwoStageLeastSquares().fit(stacked).std_error
    for kind in ("robust", "clustered"):
        assert invarmr.TwoStageLeastSquares(std_errors=kind).fit(stacked).std_error == pytest.approx(plain, rel=0.3)


def test_one_part_alone_is_the_design_of_its_people(stacked) -> None:
    for position in (0, 1):
        alone, own = stacked.only(position), stacked.parts[position]
        liml = invarmr.LimitedInformationML()
        assert liml.fit(alone).estimate == pytest.approx(liml.fit(own).estimate)
        assert liml.fit(alone).std_error == pytest.approx(liml.fit(own).std_error)
        assert alone.instrument_set == stacked.instrument_set == "observed"
