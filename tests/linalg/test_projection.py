from __future__ import annotations

import numpy as np
import pytest

from invarmr.linalg.projection import partial_out


@pytest.mark.parametrize("duplicated", [False, True])
def test_frisch_waugh(duplicated: bool) -> None:
    generator = np.random.default_rng(0)
    C, X = generator.normal(size=(50, 3)), generator.normal(size=(50, 4))
    if duplicated:
        C[:, 2] = C[:, 0] - C[:, 1]
    G = np.hstack([C, X]).T @ np.hstack([C, X])
    found, coefficients, rank = partial_out(G, np.arange(3, 7), np.arange(3))
    residual = X - C @ np.linalg.lstsq(C, X, rcond=None)[0]
    np.testing.assert_allclose(found, residual.T @ residual, atol=1e-9)
    np.testing.assert_allclose(C @ coefficients, X - residual, atol=1e-9)
    assert rank == (2 if duplicated else 3)
    np.testing.assert_array_equal(found, found.T)


def test_no_controls() -> None:
    G = np.diag([1.0, 2.0])
    found, coefficients, rank = partial_out(G, np.arange(2), np.arange(0))
    np.testing.assert_array_equal(found, G)
    assert (coefficients.shape, rank) == ((0, 2), 0)


def test_what_controls_explain_becomes_exactly_zero() -> None:
    generator = np.random.default_rng(0)
    C = generator.normal(size=(50, 2)) * [1, 1e4]
    X = np.column_stack([C @ [0.3, 0.7], generator.normal(size=50)])
    G = np.hstack([C, X]).T @ np.hstack([C, X])
    found, _, _ = partial_out(G, np.array([2, 3]), np.array([0, 1]))
    assert not found[0].any()
    assert not found[:, 0].any()
    assert found[1, 1] > 1
