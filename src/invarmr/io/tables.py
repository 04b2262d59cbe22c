"""Tables of any kind (delimited text, parquet, feather, pandas, polars) into polars, ids kept as text."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl

from invarmr.errors import InputError, first_few
from invarmr.io.delimited import existing_file, field_counts, one_tab_between, read_bytes
from invarmr.io.table_format import LEADING_COMMENTS, file_kind, separator_of

__all__ = ["MISSING_CODES", "as_polars", "read_table", "require_columns"]

MISSING_CODES = ("", "NA", "NaN", "nan", ".")
"""What a text table may write for a missing value; -9 is a number unless `missing_codes` says otherwise."""


def read_table(
    path: str | Path,
    *,
    string_columns: Collection[str] | Literal["all"] = (),
    missing_codes: Sequence[str] = (),
    decimal_comma: bool = False,
) -> pl.DataFrame:
    """Read a table with a header line, whatever the file is called.

    Parameters
    ----------
    path
        Text, also packed by gzip, bgzip or zstandard; parquet; or feather. All is told by content: columns are
        separated by tabs, commas, semicolons or any white space (`separator_of`). Leading lines that begin with `##`
        or `#key=` are comments; a `#` before the first column name (plink2's `#IID`) is dropped.
    string_columns
        Columns kept as text, so that an id 001 does not become 1; "all" keeps every column as text. Names that the
        table does not have are ignored. Other columns become numbers where every value is one.
    missing_codes
        Read as missing besides `MISSING_CODES`, for example ("-9",). NaN is missing.
    decimal_comma
        Whether 1,5 is one and a half in a text table; its columns must then not be separated by commas.

    Returns
    -------
    polars.DataFrame
        One row per line, null where missing.

    Raises
    ------
    InputError
        Absent, empty, no table, without rows, with repeated column names, or with a line that has another
        number of columns than the header.
    """
    path = existing_file(path, "table")
    kind = file_kind(path)
    if kind == "zip":
        raise InputError(f"{path}: a table was required, but this is a zip or Excel file. Save it as .tsv or .csv.")
    if kind in ("parquet", "arrow") or path.suffix == ".parquet":
        frame = _read_binary(path, missing_codes, arrow=kind == "arrow")
        strings = list(frame.columns) if string_columns == "all" else list(dict.fromkeys(string_columns))
        frame = frame.with_columns(_as_text(frame[name]) for name in strings if name in frame.columns)
    else:
        frame = _read_text(path, string_columns, (*MISSING_CODES, *missing_codes), decimal_comma=decimal_comma)
    if frame.height == 0:
        raise InputError(f"{path}: the table has a header ({first_few(frame.columns)}) but no rows.")
    return frame.fill_nan(None)


def as_polars(frame: object) -> pl.DataFrame:
    """Turn a polars or pandas data frame, or a mapping of column name to values, into polars.

    Parameters
    ----------
    frame
        A pandas index is not read: `reset_index()` first where it holds ids. NaN, None and NA become null.

    Raises
    ------
    InputError
        None of these, or columns of unequal length.
    """
    if isinstance(frame, pl.LazyFrame):
        frame = frame.collect()
    if isinstance(frame, pl.DataFrame):
        return frame.fill_nan(None)
    try:
        if isinstance(frame, Mapping):
            return pl.DataFrame({str(name): values for name, values in frame.items()}).fill_nan(None)
        if all(hasattr(frame, name) for name in ("columns", "index", "iloc")):
            return pl.DataFrame(_from_pandas(frame)).fill_nan(None)
    except (pl.exceptions.PolarsError, TypeError) as error:
        raise InputError(f"the table could not be turned into columns: {error}.") from error
    raise InputError(
        "a table must be a polars or pandas data frame or a mapping of column name to values, but this is a "
        f"{type(frame).__name__}."
    )


def require_columns(frame: pl.DataFrame, columns: Sequence[str], path: str | Path) -> None:
    """Check that a table has the columns, naming the nearest existing ones where it has not.

    Parameters
    ----------
    frame
        The table.
    columns
        Names it must have.
    path
        Where it came from, for the message.

    Raises
    ------
    InputError
        Any column is not there.
    """
    missing = [name for name in columns if name not in frame.columns]
    if not missing:
        return
    found = {name.lower(): name for name in frame.columns}
    advice = []
    for name in missing:
        near = difflib.get_close_matches(name.lower(), list(found), n=2)
        hint = f" (did you mean {' or '.join(repr(found[n]) for n in near)}?)" if near else ""
        advice.append(f"'{name}'{hint}")
    raise InputError(
        f"{path}: the table must have the column{'s' if len(missing) > 1 else ''} {', '.join(advice)}. "
        f"It has: {first_few(frame.columns, 20)}."
    )


def _read_text(
    path: Path, string_columns: Collection[str] | str, missing_codes: Sequence[str], *, decimal_comma: bool
) -> pl.DataFrame:
    text = read_bytes(path)
    if text.startswith((b"PAR1", b"ARROW1")):
        raise InputError(f"{path}: this is a packed parquet or feather file. Unpack it first.")
    comments = LEADING_COMMENTS.match(text)
    skipped = comments.group().count(b"\n") if comments else 0
    text = (text[comments.end() :] if comments else text).removeprefix(b"#")
    separator = separator_of(text, path.suffix)
    if separator == "," and decimal_comma:
        raise InputError(
            f"{path}: with decimal commas the columns must be separated by tabs, semicolons or blanks, but these are "
            "separated by commas. Leave decimal_comma out, or write the table again."
        )
    if separator is None:
        text, separator = one_tab_between(text), "\t"
    header = _header(path, text, separator)
    _check_lengths(path, text, separator, len(header), first_line=skipped + 1)
    texts = header if string_columns == "all" else [name for name in header if name.strip() in string_columns]
    try:
        frame = pl.read_csv(
            text,
            separator=separator,
            schema_overrides=dict.fromkeys(texts, pl.String),
            null_values=list(missing_codes),
            infer_schema_length=None,
            decimal_comma=decimal_comma,
        )
    except pl.exceptions.PolarsError as error:
        reason = str(error).split("\n")[0]
        raise InputError(f"{path}: the table could not be read: {reason}. Look for a stray quotation mark.") from error
    frame.columns = [name.strip() for name in frame.columns]
    return frame.with_columns(pl.col(pl.String).str.strip_chars())


SEPARATOR_NAMES = {"\t": "tabs or blanks", ",": "commas", ";": "semicolons"}


def _header(path: Path, text: bytes, separator: str) -> list[str]:
    line = text[: text.index(b"\n") + 1]
    row = pl.read_csv(line, separator=separator, has_header=False, infer_schema=False, encoding="utf8-lossy").row(0)
    names = ["" if name is None else str(name) for name in row]
    plain = [name.strip() for name in names]
    repeated = sorted({name for name in plain if plain.count(name) > 1})
    if repeated:
        raise InputError(f"{path}: column names must be unique, but the header repeats {first_few(repeated)}.")
    return names


def _check_lengths(path: Path, text: bytes, separator: str, width: int, *, first_line: int) -> None:
    if b'"' in text:  # a quoted field may hold separators: polars checks these
        return
    found = field_counts(text, separator.encode())
    wrong = np.flatnonzero(found != width)
    if wrong.size:
        lines = [f"line {first_line + row} has {found[row]}" for row in wrong]
        raise InputError(
            f"{path}: every line must have {width} columns as the header has, but {first_few(lines)} "
            f"(columns separated by {SEPARATOR_NAMES[separator]}). Mend these lines."
        )


def _read_binary(path: Path, missing_codes: Sequence[str], *, arrow: bool) -> pl.DataFrame:
    try:
        frame = pl.read_ipc(path) if arrow else pl.read_parquet(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        kind = "feather" if arrow else "parquet"
        raise InputError(f"{path}: this could not be read as {kind} ({error}). Write it again.") from error
    if missing_codes:
        numbers = [number for code in missing_codes if (number := _number(code)) is not None]
        texts, figures = pl.col(pl.String), pl.col(pl.Int64, pl.Int32, pl.Int16, pl.Int8, pl.Float64, pl.Float32)
        frame = frame.with_columns(
            pl.when(texts.is_in(list(missing_codes))).then(None).otherwise(texts).name.keep(),
            pl.when(figures.cast(pl.Float64).is_in(numbers)).then(None).otherwise(figures).name.keep(),
        )
    return frame


def _number(code: str) -> float | None:
    try:
        return float(code)
    except ValueError:
        return None


def _as_text(column: pl.Series) -> pl.Series:
    if column.dtype.is_float():
        column = column.fill_nan(None)
        if bool((column.drop_nulls() % 1 == 0).all()):
            column = column.cast(pl.Int64, strict=False)
    return column.cast(pl.String)


def _from_pandas(frame: Any) -> dict[str, pl.Series]:  # noqa: ANN401 - pandas is not imported
    columns = {}
    for place, name in enumerate(frame.columns):
        column = frame.iloc[:, place]
        values = column.to_numpy()
        if values.dtype.kind in "biuf":
            columns[str(name)] = pl.Series(str(name), np.array(values))
        else:
            absent = column.isna().to_numpy()
            plain = [None if gap else value for value, gap in zip(column.tolist(), absent, strict=True)]
            columns[str(name)] = pl.Series(str(name), plain)
    return columns
