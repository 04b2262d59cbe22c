"""A text table of any size, read in blocks of lines: memory does not grow with the file."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np
import polars as pl

from invarmr.errors import InputError
from invarmr.io.delimited import existing_file, field_counts, one_tab_between, read_bytes
from invarmr.io.table_format import LEADING_COMMENTS, file_kind, separator_of
from invarmr.io.tables import MISSING_CODES

__all__ = ["MISSING_TEXTS", "Block", "TextTable"]

MISSING_TEXTS = (*MISSING_CODES, "#NA", "NULL", "null", "None", "N/A", "n/a", "-nan")
"""Texts that stand for nothing in a table of any tool."""
BLOCK = 1 << 24
"""Bytes read at a time."""


@dataclass(frozen=True)
class Block:
    """Some lines of a table.

    Parameters
    ----------
    frame
        The columns asked for as text, null where missing, and `line`: the line of the file, as an editor counts.
    bad_lines
        Lines left out, with what is wrong with each.
    """

    frame: pl.DataFrame
    bad_lines: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True)
class TextTable:
    """A text table whose header has been read; made by `open`.

    Parameters
    ----------
    path
        The file.
    header
        Names of the columns, a leading `#` dropped.
    separator
        What separates them; None for any run of blanks and tabs.
    comments
        The lines before the header.
    first_lines
        The header and a few lines as they are in the file, for messages.
    """

    path: Path
    header: tuple[str, ...]
    separator: str | None
    comments: str = ""
    first_lines: tuple[str, ...] = field(default=())

    @classmethod
    def open(cls, path: str | Path) -> TextTable:
        """Read the first lines.

        Raises
        ------
        InputError
            Absent, empty, cannot be unpacked, no text, or a header that repeats a name.
        """
        path = existing_file(path, "table")
        with _opened(path) as file:
            text = _clean(file.read(1 << 20) + file.readline()).lstrip()
            while _comments_alone(text) and (more := file.read(1 << 20)):  # thousands of contigs
                text += _clean(more + file.readline())
        if not text:
            raise InputError(f"{path}: the file is empty: it holds no line of text.")
        if b"\x00" in text[:4096]:
            raise InputError(f"{path}: a text table was required, but this is a binary file. Name another file.")
        comments = LEADING_COMMENTS.match(text)
        text = text[comments.end() :] if comments else text
        separator = separator_of(text.removeprefix(b"#"), path.suffix)
        lines = text[: 1 << 18].decode(errors="replace").split("\n")
        names = [name.strip().strip('"') for name in lines[0].removeprefix("#").split(separator)]
        while names and separator is not None and names[-1] == "":
            names.pop()
        if _row_names(lines[1:], separator, len(names)):
            names.insert(0, "")
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise InputError(f"{path}: column names must be unique, but the header repeats {', '.join(repeated[:5])}.")
        said = comments.group().decode(errors="replace") if comments else ""
        return cls(path, tuple(names), separator, said, tuple(line for line in lines[:4] if line.strip()))

    def blocks(self, columns: Collection[str]) -> Iterator[Block]:
        """Walk the lines.

        Parameters
        ----------
        columns
            Names of the header to read.

        Raises
        ------
        InputError
            The file ends early or cannot be unpacked, or a quotation mark is not closed.
        """
        line, first = 1, True
        with _opened(self.path) as file:
            for text in _lines(file, self.path):
                if first:
                    rest = _after_header(text)
                    line += text[: len(text) - len(rest)].count(b"\n")
                    text, first = rest, False
                n_lines = text.count(b"\n")
                if n_lines:
                    yield self._parsed(text, columns, line)
                line += n_lines

    def _parsed(self, text: bytes, columns: Collection[str], line: int) -> Block:
        separator = self.separator
        if separator is None:
            text, separator = one_tab_between(text), "\t"
        mark, width = separator.encode(), len(self.header)
        bad: tuple[tuple[int, str], ...] = ()
        lines = np.arange(line, line + text.count(b"\n"))
        quoted = b'"' in text
        if not quoted and text.count(mark) != (width - 1) * lines.size:
            text, lines, bad = _regular(text, mark, width, lines)
        places = sorted(self.header.index(name) for name in columns)
        if not lines.size:
            empty = pl.DataFrame(schema=dict.fromkeys([self.header[place] for place in places], pl.String))
            return Block(empty.with_columns(line=pl.lit(None, pl.Int64)), bad)
        try:
            frame = _fields(text, separator, places, width, quoted=quoted)
        except pl.exceptions.PolarsError as error:
            if not quoted and not bad:  # a long line beside a short one: counted together they were right
                text, lines, bad = _regular(text, mark, width, lines)
                frame = _fields(text, separator, places, width, quoted=False)
            else:
                raise InputError(
                    f"{self.path}: lines {line} and after could not be read ({str(error).splitlines()[0]}). Look for a "
                    "stray quotation mark."
                ) from error
        frame.columns = [self.header[place] for place in places]
        if frame.height != lines.size:
            raise InputError(
                f"{self.path}: lines {line} and after: a quotation mark is not closed, or a line is empty."
            )
        if b" " in text:
            frame = frame.with_columns(pl.col(pl.String).str.strip_chars())
        return Block(frame.with_columns(line=pl.Series(lines)), bad)


def _comments_alone(text: bytes) -> bool:
    found = LEADING_COMMENTS.match(text)
    return found is not None and found.end() == len(text)


def _row_names(lines: list[str], separator: str | None, width: int) -> bool:
    """Whether every line begins with a row's number or quoted name that the header leaves out, as R writes tables."""
    rows = [line.split(separator) for line in lines[:20] if line.strip()]
    first = [row[0].strip('"') for row in rows]
    if not rows or any(len(row) != width + 1 or not row[-1] for row in rows):
        return False
    return first == [str(number + 1) for number in range(len(rows))] or all(row[0].startswith('"') for row in rows)


def _after_header(text: bytes) -> bytes:
    text = text.lstrip()
    comments = LEADING_COMMENTS.match(text)
    text = text[comments.end() :] if comments else text
    return text[text.index(b"\n") + 1 :]


def _fields(text: bytes, separator: str, places: list[int], width: int, *, quoted: bool) -> pl.DataFrame:
    return pl.read_csv(
        text,
        separator=separator,
        has_header=False,
        new_columns=[f"column_{place + 1}" for place in range(width)],
        columns=places,
        infer_schema=False,
        quote_char='"' if quoted else None,
        null_values=list(MISSING_TEXTS),
        encoding="utf8-lossy",
    )


def _regular(
    text: bytes, mark: bytes, width: int, lines: np.ndarray[tuple[int], np.dtype[np.int64]]
) -> tuple[bytes, np.ndarray[tuple[int], np.dtype[np.int64]], tuple[tuple[int, str], ...]]:
    """Leave out the lines with another number of fields; a separator at the end of a line is no field."""
    found = field_counts(text, mark)
    if bool((found == width + 1).all()) and text.count(mark + b"\n") == lines.size:
        return text.replace(mark + b"\n", b"\n"), lines, ()
    split = text.split(b"\n")
    bad = []
    for place in np.flatnonzero(found != width).tolist():
        if split[place].strip():
            bad.append((int(lines[place]), f"the line has {found[place]} fields, the header {width}"))
        split[place] = b""
    kept = found == width
    return b"".join(piece + b"\n" for piece in split if piece), lines[kept], tuple(bad)


def _lines(file: BinaryIO, path: Path) -> Iterator[bytes]:
    rest = b""
    while True:
        try:
            piece = file.read(BLOCK)
        except (OSError, EOFError, zlib.error) as error:
            raise InputError(f"{path}: could not be read ({error}). Check or replace the file.") from error
        if not piece:
            break
        text = rest + piece
        cut = text.rfind(b"\n") + 1
        rest = text[cut:]
        if cut:
            yield _clean(text[:cut])
    if rest.strip():
        yield _clean(rest) + b"\n"


def _clean(text: bytes) -> bytes:
    text = text.removeprefix(b"\xef\xbb\xbf")
    return text.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in text else text


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    kind = file_kind(path)
    if kind == "zstandard":
        yield io.BytesIO(read_bytes(path))
        return
    if kind == "zip":
        raise InputError(
            f"{path}: a table was required, but this is a zip or Excel file. Unpack it, or save it as .tsv."
        )
    try:
        with gzip.open(path) if kind == "gzip" else path.open("rb") as file:
            yield file  # type: ignore[misc]
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: could not be read ({error}). Check or replace the file.") from error
