"""Names and labels given with arrays: of columns, samples and environments; checked once, at the entrance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from invarmr.arrays import IntArray, StrArray
from invarmr.errors import InputError, first_few

__all__ = ["encoded", "names_of", "sample_ids_of"]

_MISSING = ("", "NA", "nan", "<NA>", "NaT")


def names_of(given: Sequence[str] | None, source: object, stem: str, count: int) -> tuple[str, ...]:
    """Names of `count` columns: those given, those of a data frame, or `stem` and a number.

    Raises
    ------
    InputError
        Another number of names, or repeated ones.
    """
    columns = getattr(source, "columns", None)
    if given is None and columns is not None and len(columns) == count:
        given = [str(name) for name in columns]
    if given is None:
        return tuple(f"{stem}{i + 1}" if stem != "PC" else f"PC{i + 1}" for i in range(count))
    names = tuple(str(name) for name in given)
    if len(names) != count:
        raise InputError(f"There must be {count} {stem} names, one per column, but {len(names)} came.")
    if len(set(names)) != count:
        twice = sorted({name for name in names if names.count(name) > 1})
        raise InputError(f"{stem} names must differ, but these come more than once: {first_few(twice)}.")
    return names


def sample_ids_of(given: Sequence[str] | None, n: int) -> StrArray:
    """Ids of n samples: those given, or numbers from 1.

    Raises
    ------
    InputError
        Another number of ids, or repeated ones.
    """
    if given is None:
        return np.arange(1, n + 1).astype(f"<U{len(str(n))}")
    ids = np.array([str(name) for name in given], dtype=np.str_)
    if len(ids) != n:
        raise InputError(f"There must be {n} sample ids, one per row, but {len(ids)} came.")
    unique, counts = np.unique(ids, return_counts=True)
    if (counts > 1).any():
        raise InputError(
            f"Sample ids must be unique, but {int((counts > 1).sum())} come more than once: "
            f"{first_few(unique[counts > 1])}. Keep one row per sample."
        )
    return ids


def encoded(labels: Sequence[Any] | ArrayLike, name: str, n: int) -> tuple[IntArray, tuple[str, ...]]:
    """Codes 0..L-1 (n,) of labels of any kind, and the sorted levels as text.

    Raises
    ------
    InputError
        Not one label per sample, or a missing one.
    """
    values = np.asarray(labels)
    if values.ndim != 1 or len(values) != n:
        raise InputError(f"{name} must have {n} labels, one per sample, but has shape {values.shape}.")
    if values.dtype == object:
        missing = np.array([_is_missing(value) for value in values.tolist()], dtype=bool)
        levels, codes = _ordered(values) if not missing.any() else (values, np.arange(n))
    else:
        levels, codes = np.unique(values, return_inverse=True)
        missing = np.array([_is_missing(level) for level in levels.tolist()], dtype=bool)[codes]
    if missing.any():
        rows = np.flatnonzero(missing)
        raise InputError(
            f"{name} must be known for every sample, but {len(rows)} of {n} are missing (first rows: "
            f"{first_few(rows)}). Drop these samples or give them a level of their own."
        )
    return codes.astype(np.intp), tuple(str(level) for level in levels.tolist())


def _is_missing(label: object) -> bool:
    return label is None or str(label).strip() in _MISSING


def _ordered(values: NDArray[Any]) -> tuple[NDArray[Any], IntArray]:
    try:
        return np.unique(values, return_inverse=True)
    except TypeError:  # labels of several types have no order of their own
        return np.unique(values.astype(np.str_), return_inverse=True)
