from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from invarmr.linalg.symmetric import inverse_root, range_whitener, solve_on_range


def covariance(seed: int, d: int, rank: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    root = generator.normal(size=(d, rank)) * generator.uniform(0.01, 100, (d, 1))
    return root @ root.T


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(0, 2**31), st.integers(1, 8), st.integers(1, 8))
def test_whitener_has_the_rank_and_whitens(seed: int, d: int, rank: int) -> None:
    rank = min(rank, d)
    S = covariance(seed, d, rank)
    R = range_whitener(S)
    assert R.shape == (d, rank)
    np.testing.assert_allclose(R.T @ S @ R, np.eye(rank), atol=1e-6)
    np.testing.assert_allclose(S @ R @ (R.T @ S), S, atol=1e-6 * np.abs(S).max())


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(0, 2**31), st.integers(1, 8), st.integers(1, 8))
def test_solve_reproduces_what_lies_in_the_range(seed: int, d: int, rank: int) -> None:
    rank = min(rank, d)
    S = covariance(seed, d, rank)
    B = S @ np.random.default_rng(seed + 1).normal(size=(d, 2))
    X, found = solve_on_range(S, B)
    assert found == rank
    scale = np.sqrt(np.diag(S))[:, None]
    np.testing.assert_allclose((S @ X) / scale, B / scale, atol=1e-6 * np.abs(B / scale).max())
    x, _ = solve_on_range(S, B[:, 0])
    np.testing.assert_allclose(x, X[:, 0], rtol=1e-10)


def test_nothing_to_solve() -> None:
    assert range_whitener(np.zeros((3, 3))).shape == (3, 0)
    X, rank = solve_on_range(np.zeros((0, 0)), np.zeros((0, 2)))
    assert (X.shape, rank) == ((0, 2), 0)
    X, rank = solve_on_range(np.diag([4.0, 0.0]), np.array([8.0, 0.0]))
    assert rank == 1
    np.testing.assert_allclose(X, [2.0, 0.0])


@pytest.mark.parametrize("seed", range(5))
def test_rank_does_not_depend_on_units(seed: int) -> None:
    S = covariance(seed, 6, 4)
    units = np.diag(10.0 ** np.random.default_rng(seed).integers(-6, 6, 6))
    assert range_whitener(units @ S @ units).shape == range_whitener(S).shape


def test_the_inverse_root_is_symmetric_whitens_and_is_zero_on_the_null_space() -> None:
    rng = np.random.default_rng(3)
    A = rng.normal(size=(5, 3))
    S = A @ A.T
    R = inverse_root(S)
    np.testing.assert_allclose(R, R.T)
    np.testing.assert_allclose(R @ S @ R, A @ np.linalg.pinv(A), atol=1e-8)  # the projection on the range
    null = np.linalg.svd(A.T)[2][3:]
    np.testing.assert_allclose(null @ R, 0, atol=1e-8)
    np.testing.assert_array_equal(inverse_root(np.zeros((2, 2))), np.zeros((2, 2)))
