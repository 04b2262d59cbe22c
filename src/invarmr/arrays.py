"""Array aliases with named axes, and the few checks on shape, finiteness and dtype.

Symbols: n samples, d instruments, c covariates, E environments, m columns of a moment matrix.
"""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from invarmr.errors import InputError, first_few

__all__ = ["BoolArray", "FloatArray", "IntArray", "StrArray", "finite_matrix", "finite_vector", "read_only"]

FloatArray = NDArray[np.floating[Any]]
IntArray = NDArray[np.integer[Any]]
BoolArray = NDArray[np.bool_]
StrArray = NDArray[np.str_]
A = TypeVar("A", bound=NDArray[Any])


def read_only(array: A) -> A:
    """Return a view of `array` that cannot be written through."""
    view = array.view()
    view.flags.writeable = False
    return view


def finite_vector(values: ArrayLike, name: str, length: int | None = None, *, axis: str = "sample") -> FloatArray:
    """Turn `values` into a finite float vector (n,), or say what is wrong with it.

    Raises
    ------
    InputError
        Not numeric, not one-dimensional, of another length than `length`, or with NaN or infinities.
    """
    array = _numeric(values, name)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise InputError(f"{name} must have one axis (samples), but has shape {array.shape}.")
    if length is not None and array.shape[0] != length:
        raise InputError(f"{name} must have {length} values, one per {axis}, but has {array.shape[0]}.")
    return _finite(array, name)


def finite_matrix(values: ArrayLike, name: str, rows: int | None = None) -> FloatArray:
    """Turn `values` into a finite float matrix (rows, columns); a vector becomes one column.

    Raises
    ------
    InputError
        Not numeric, more than two axes, another number of rows than `rows`, or with NaN or infinities.
    """
    array = _numeric(values, name)
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2:
        raise InputError(f"{name} must have two axes (samples, columns), but has shape {array.shape}.")
    if rows is not None and array.shape[0] != rows:
        raise InputError(f"{name} must have {rows} rows, one per sample, but has {array.shape[0]}.")
    return _finite(array, name)


def _numeric(values: ArrayLike, name: str) -> FloatArray:
    try:
        given = np.asarray(values)
        if given.dtype.kind in "cmM":
            raise TypeError(f"{given.dtype} values came")
        return np.array(given, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} must be numeric, but could not be read as numbers: {error}.") from error


def _finite(array: FloatArray, name: str) -> FloatArray:
    finite = np.isfinite(array)
    bad = np.flatnonzero(~(finite if array.ndim == 1 else finite.all(axis=1)))
    if bad.size:
        raise InputError(
            f"{name} must be finite, but {bad.size} of {array.shape[0]} rows hold NaN or infinity "
            f"(first rows: {first_few(bad)}). Drop or impute them first."
        )
    return array
