"""Delimited text: the bytes of a file, its lines checked and split into text fields.

Everything that reads text goes through here, so a malformed line is named in the same way everywhere: the file,
the line as an editor counts it, the fields required and the fields found.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from invarmr.arrays import IntArray
from invarmr.errors import InputError, first_few

__all__ = ["existing_file", "field_counts", "one_tab_between", "read_bytes", "split_fields"]


def existing_file(path: str | Path, what: str) -> Path:
    """Return `path` if a file that is not empty lies there; `what` names it in the message.

    Raises
    ------
    InputError
        Nothing there, a folder, or an empty file.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path}: a file was required for the {what}, but this is a folder.")
    if not path.exists():
        raise InputError(f"{path}: the {what} was required here, but there is no such file. Check the path.")
    if path.stat().st_size == 0:
        raise InputError(f"{path}: the {what} is empty (0 bytes). Write it again or name another file.")
    return path


def read_bytes(path: Path) -> bytes:
    """Read the whole text of a file, every line ended by one newline; gzip, bgzip and zstandard are unpacked.

    Packed files are told by their first bytes.

    Raises
    ------
    InputError
        The file cannot be read or unpacked, or holds nothing but white space.
    """
    try:
        text = _unpacked(path)
    except (OSError, EOFError, zlib.error, pl.exceptions.PolarsError) as error:
        raise InputError(f"{path}: could not be read ({error}). Check or replace the file.") from error
    text = text.removeprefix(b"\xef\xbb\xbf").rstrip()
    if not text:
        raise InputError(f"{path}: the file is empty: it holds no line of text.")
    if b"\r" in text:
        text = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return text + b"\n"


def one_tab_between(text: bytes) -> bytes:
    """Turn any run of blanks and tabs between two fields into one tab, and drop those at the ends of a line."""
    text = text.replace(b" ", b"\t")
    while b"\t\t" in text:  # halves every run: a few passes, far faster than an expression
        text = text.replace(b"\t\t", b"\t")
    return text.replace(b"\n\t", b"\n").replace(b"\t\n", b"\n").removeprefix(b"\t")


def field_counts(text: bytes, separator: bytes = b"\t") -> IntArray:
    """Fields on each line, (lines,); nothing is taken as a quotation."""
    data = np.frombuffer(text, dtype=np.uint8)
    ends = np.flatnonzero(data == ord("\n"))
    separators = np.flatnonzero(data == ord(separator))
    return np.diff(np.searchsorted(separators, ends), prepend=0) + 1


def split_fields(
    path: Path,
    text: bytes,
    columns: Sequence[str],
    *,
    keep: Sequence[str],
    first_line: int = 1,
    what: str = "table",
) -> pl.DataFrame:
    """Split tab-separated lines into text fields; every line must have exactly the named columns.

    Parameters
    ----------
    path
        Named in messages.
    text
        Lines without a header, each ended by a newline; fields separated by one tab.
    columns
        Names of all columns, in file order.
    keep
        Those to return.
    first_line
        Line of the file on which `text` begins, as an editor counts.
    what
        Kind of file, for messages.

    Raises
    ------
    InputError
        A line has more or fewer fields; the first five such lines are named.
    """
    found = field_counts(text)
    wrong = np.flatnonzero(found != len(columns))
    if wrong.size:
        lines = [f"line {first_line + row} has {found[row]}" for row in wrong]
        raise InputError(
            f"{path}: every line of a {what} must have {len(columns)} columns ({', '.join(columns)}), but "
            f"{first_few(lines)}. Mend these lines."
        )
    places = sorted(columns.index(name) for name in keep)
    frame = _text_columns(text, "\t", places)
    frame.columns = [columns[place] for place in places]
    return frame.select(keep)


def _unpacked(path: Path) -> bytes:
    raw = path.read_bytes()
    if raw.startswith(b"\x1f\x8b") or path.suffix == ".gz":
        return gzip.decompress(raw)
    if raw.startswith(b"\x28\xb5\x2f\xfd"):  # polars unpacks it; a separator that occurs nowhere leaves whole lines
        return "\n".join(_text_columns(raw, "\x01", [0]).to_series(0)).encode()
    return raw


def _text_columns(source: bytes, separator: str, places: list[int]) -> pl.DataFrame:
    frame = pl.read_csv(
        source,
        separator=separator,
        columns=places,
        has_header=False,
        infer_schema=False,
        quote_char=None,
        encoding="utf8-lossy",
    )
    return frame.fill_null("")
