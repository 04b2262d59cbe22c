from __future__ import annotations

import numpy as np
import pytest

from invarmr.arrays import finite_matrix, finite_vector, read_only
from invarmr.errors import InputError


def test_vectors_and_matrices_are_copies_in_double() -> None:
    given = np.arange(3, dtype=np.int8)
    vector = finite_vector(given, "x")
    assert vector.dtype == np.float64
    given[0] = 9
    assert vector[0] == 0
    assert finite_vector([[1], [2]], "x").shape == (2,)
    assert finite_matrix([1, 2], "x").shape == (2, 1)
    assert finite_matrix(np.zeros((0, 3)), "x").shape == (0, 3)
    assert finite_matrix(np.zeros((3, 0)), "x").shape == (3, 0)
    assert finite_vector([True, False], "x").tolist() == [1.0, 0.0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: finite_vector(["a"], "x"), "x must be numeric"),
        (lambda: finite_vector([1j], "x"), "complex128 values came"),
        (lambda: finite_matrix([[1, 2], [3]], "x"), "x must be numeric"),
        (lambda: finite_vector(1.0, "x"), r"one axis \(samples\), but has shape \(\)"),
        (lambda: finite_vector([1, 2], "x", 3), "x must have 3 values"),
        (lambda: finite_matrix(np.zeros((2, 2, 2)), "x"), "two axes"),
        (lambda: finite_matrix([1, 2], "x", 3), "x must have 3 rows"),
        (lambda: finite_matrix([[1, np.nan]] * 7, "x"), "7 of 7 rows .* 0, 1, 2, 3, 4 and 2 more"),
        (lambda: finite_vector([0, -np.inf], "x"), r"first rows: 1"),
    ],
)
def test_what_is_wrong_is_said(call, message) -> None:
    with pytest.raises(InputError, match=message):
        call()


def test_read_only_is_a_view() -> None:
    array = np.zeros(3)
    view = read_only(array)
    with pytest.raises(ValueError, match="read-only"):
        view[0] = 1
    array[0] = 1
    assert view[0] == 1
