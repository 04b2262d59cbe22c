"""Write and read the files of a result folder: tables as the schema has them, JSON, arrays."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from invarmr.archive.schema import NUMBER, TEXT, TRUTH, WHOLE, Columns
from invarmr.errors import InputError, first_few

__all__ = ["read_json", "read_table", "whole_file", "write_arrays", "write_json", "write_table", "write_text"]


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A private name beside `path`, renamed to it at the end, or removed if anything fails."""
    path.parent.mkdir(parents=True, exist_ok=True)
    stream, name = tempfile.mkstemp(prefix=".invarmr-", dir=path.parent)
    os.close(stream)
    temporary = Path(name)
    umask = os.umask(0o077)
    os.umask(umask)
    try:
        yield temporary
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_table(path: Path, frame: pl.DataFrame) -> None:
    """Write a tab-separated table."""
    with whole_file(path) as temporary:
        frame.write_csv(temporary, separator="\t")


def write_text(path: Path, text: str) -> None:
    """Write text as UTF-8."""
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, content: Mapping[str, Any] | Sequence[Any] | None) -> None:
    """Write JSON."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray[Any, Any]]) -> None:
    """Write named arrays as .npz."""
    with whole_file(path) as temporary, temporary.open("wb") as stream:
        np.savez(stream, **arrays)  # type: ignore[arg-type]  # numpy's stub takes **kwargs of arrays as positional


def read_table(path: Path, columns: Columns, *, others: type[pl.DataType] = TEXT) -> pl.DataFrame | None:
    """Read one tab-separated table; None where it is absent or has no rows.

    Raises
    ------
    InputError
        It is no such table, lacks a column, or holds a value of the wrong kind; the message names the column.
    """
    if not path.exists() or path.stat().st_size == 0:
        return None
    try:
        raw = pl.read_csv(path, separator="\t", infer_schema=False)
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{path}: a tab-separated table was required, but it could not be read: {reason}.") from error
    missing = [name for name in columns if name not in raw.columns]
    if missing:
        raise InputError(
            f"{path}: the column {first_few(missing)} was required, but the table has {first_few(raw.columns, 20)}. "
            "Was the file written by another version?"
        )
    if raw.is_empty():
        return None
    return raw.select([_typed(path, raw[name], columns.get(name, others)) for name in raw.columns])


def _typed(path: Path, values: pl.Series, kind: pl.DataType | type[pl.DataType]) -> pl.Series:
    """Turn text into the column's kind; empty fields become null (text: the empty text)."""
    if kind == TEXT:
        return values.fill_null("")
    if kind == TRUTH:
        typed = values.replace_strict({"true": True, "false": False}, default=None, return_dtype=pl.Boolean)
    else:
        typed = values.cast(NUMBER, strict=False).fill_nan(None)
        typed = typed.cast(WHOLE, strict=False) if kind == WHOLE else typed
    wrong = values.filter(typed.is_null() & values.is_not_null() & ~values.str.to_lowercase().is_in(["", "nan"]))
    if len(wrong):
        required = "true or false" if kind == TRUTH else "whole numbers" if kind == WHOLE else "numbers"
        raise InputError(f"{path}: the column '{values.name}' must hold {required}, but has {first_few(wrong)}.")
    return typed


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises
    ------
    InputError
        It is not there, not JSON, or not an object.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: this file of a finished run was required, but could not be read.") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: JSON was required, but this is not valid: {error}.") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: a JSON object was required, but this is a {type(content).__name__}.")
    return content
