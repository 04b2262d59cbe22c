"""What kind of table a file is, told by its content: the ending of its name decides nothing but a tie."""

from __future__ import annotations

import gzip
import re
import zlib
from pathlib import Path
from typing import Literal

import polars as pl

from invarmr.errors import InputError
from invarmr.io.delimited import existing_file, read_bytes

__all__ = ["LEADING_COMMENTS", "column_names", "file_kind", "separator_of"]

Kind = Literal["parquet", "arrow", "gzip", "zstandard", "zip", "text"]

LEADING_COMMENTS = re.compile(rb"\A(?:#(?:#|\w+=)[^\n]*\n)+")
MAGIC: dict[bytes, Kind] = {
    b"PAR1": "parquet",
    b"ARROW1": "arrow",
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstandard",
    b"PK\x03\x04": "zip",
}
ENDINGS = {".csv": ",", ".tsv": "\t"}
_LINES_LOOKED_AT = 20
_QUOTED = re.compile(r'"[^"]*"')


def file_kind(path: Path) -> Kind:
    """Tell parquet, feather (arrow), gzip (also bgzip), zstandard, zip and text apart by their first bytes."""
    with path.open("rb") as file:
        start = file.read(8)
    return next((kind for magic, kind in MAGIC.items() if start.startswith(magic)), "text")


def separator_of(text: bytes, ending: str = "") -> str | None:
    r"""The separator of a text table: tab, comma, semicolon, or None for any run of blanks and tabs.

    The separator is the one of which the header and the next lines hold the same number, the most frequent where
    several do. Where none does, white space if that splits all lines alike, else the most frequent one of the
    header. A header without any of the three is separated by white space, unless the lines then differ in length
    and the file's ending says otherwise: a table of one column, whose texts hold blanks.

    Parameters
    ----------
    text
        The table from its header on.
    ending
        `.csv` or `.tsv`; consulted for a table of one column alone.

    Examples
    --------
    >>> separator_of(b"IID;bmi\n1;22,5\n"), separator_of(b"IID\tage, years\n1\t50\n")
    (';', '\t')
    >>> separator_of(b"FID IID\n1 1\n") is None
    True
    """
    lines = text[: 1 << 20].decode(errors="replace").split("\n")[: _LINES_LOOKED_AT + 1]
    lines = [_QUOTED.sub("q", line) for line in lines if line.strip()]
    counts = {mark: [line.count(mark) for line in lines] for mark in "\t,;"}
    found = {mark: each for mark, each in counts.items() if each[0]}
    words = {len(line.split()) for line in lines}
    if not found:
        return None if len(words) == 1 or ending not in ENDINGS else ENDINGS[ending]
    steady = [mark for mark, each in found.items() if len(set(each)) == 1]
    if not steady and len(words) == 1 and words != {1}:
        return None
    return max(steady or found, key=lambda mark: found[mark][0])


def column_names(path: str | Path) -> tuple[str, ...]:
    """Names of the columns of a table, from its first lines alone; a `#` before the first one is kept.

    Raises
    ------
    InputError
        The file is absent, empty, or cannot be unpacked.
    """
    path = existing_file(path, "table")
    kind = file_kind(path)
    if kind in ("parquet", "arrow"):
        try:
            return tuple(pl.read_parquet_schema(path) if kind == "parquet" else pl.read_ipc_schema(path))
        except (pl.exceptions.PolarsError, OSError) as error:
            raise InputError(f"{path}: this could not be read as {kind} ({error}). Write it again.") from error
    text = _start(path, kind)
    comments = LEADING_COMMENTS.match(text)
    text = text[comments.end() :] if comments else text
    separator = separator_of(text, path.suffix)
    line = text.partition(b"\n")[0].decode(errors="replace")
    return tuple(name.strip().strip('"') for name in line.split(separator))


def _start(path: Path, kind: Kind, size: int = 1 << 18) -> bytes:
    try:
        if kind == "gzip":
            with gzip.open(path) as packed:
                text = packed.read(size) + packed.readline()
        elif kind == "text":
            with path.open("rb") as file:
                text = file.read(size) + file.readline()
        else:
            return read_bytes(path)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: could not be read ({error}). Check or replace the file.") from error
    text = text.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    whole = text[: text.rindex(b"\n") + 1] if b"\n" in text else text  # the last line may be cut
    return whole.lstrip(b"\n")
