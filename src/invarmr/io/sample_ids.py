"""Sample ids as files write them: IID, FID_IID, with or without leading zeros; told apart by what two files share.

Two files of the same people often write their ids differently: a phenotype table has `FID_IID` where the genotype
file has both apart, or a spreadsheet has eaten the zeros of `000123`. `match_ids` tries each spelling for the file
as a whole and takes the one by which most people are in both; it never mixes spellings, and never guesses between
two people who come to the same id.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from invarmr.arrays import IntArray
from invarmr.errors import InputError, first_few
from invarmr.io.delimited import existing_file, one_tab_between, read_bytes
from invarmr.io.table_format import separator_of

__all__ = ["ID_NAMES", "IdMatch", "Ids", "match_ids", "read_id_list"]

ID_NAMES = ("iid", "eid", "id", "person_id", "research_id", "finngenid", "sample_id", "sample")
"""Lower-case names under which an id column is known where the study file does not name one."""

_ENOUGH = 0.5
_KEY = "key"


@dataclass(frozen=True, eq=False)
class Ids:
    """The ids of one file.

    Parameters
    ----------
    within
        Text column with one id per person.
    family
        Text column with family ids; None where the file has none.
    where
        What to call the file in messages: "the genotype file".
    """

    within: pl.Series
    family: pl.Series | None
    where: str

    def spelled(self) -> dict[str, pl.Series]:
        """Every spelling of these ids, by its name; null where a person has none."""
        out = {"id": self.within}
        if self.family is not None:
            out["FID_IID"] = self.family + "_" + self.within
        if bool(self.within.str.contains("_", literal=True).any()):
            out["id after its first _"] = self.within.str.extract(r"^[^_]*_(.+)$")
            out["id after its last _"] = self.within.str.extract(r"^.*_([^_]+)$")
        return out


@dataclass(frozen=True, eq=False)
class IdMatch:
    """Which people of one file are which of another.

    Parameters
    ----------
    left, right
        (m,) places in the two files, the same people in both, ascending in `right`.
    rule
        By what they were matched, in words.
    exact
        Whether the ids are simply the same.
    """

    left: IntArray
    right: IntArray
    rule: str
    exact: bool


def match_ids(left: Ids, right: Ids) -> IdMatch:
    """Match the people of two files by the spelling of ids that most of them share.

    Each spelling of one file (id; FID_IID; the part of the id after an underscore) is tried against the other's, as
    written and then without leading zeros, until one has everybody of the smaller file. The one with most people in
    both is taken, the plainer one of two that match as many. A spelling under which two people come to one id is not
    taken where another, without such a clash, matches half of the smaller file.

    Parameters
    ----------
    left, right
        Ids without repeats.

    Returns
    -------
    IdMatch
        Empty where no spelling has anybody in both.

    Raises
    ------
    InputError
        Two people of one file come to the same id under the spelling that alone matches.

    Examples
    --------
    >>> import polars as pl
    >>> table = Ids(pl.Series(["F1_007", "F2_012"]), None, "the table")
    >>> found = match_ids(table, Ids(pl.Series(["12", "7"]), pl.Series(["F2", "F1"]), "the genotype file"))
    >>> found.left.tolist(), found.right.tolist(), found.rule
    ([1, 0], [0, 1], 'id of the table = FID_IID of the genotype file, without leading zeros')
    """
    fewest = min(len(left.within), len(right.within))
    clear: _Rule | None = None
    doubtful: _Rule | None = None
    for rule in _rules(left, right):
        if rule.clear and rule.n_people > (clear.n_people if clear else 0):
            clear = rule
        elif not rule.clear and rule.n_people > (doubtful.n_people if doubtful else 0):
            doubtful = rule
        if clear is not None and clear.n_people == fewest:
            break
    chosen = clear
    if doubtful is not None and doubtful.n_people > (clear.n_people if clear else 0):
        chosen = clear if clear is not None and clear.n_people >= _ENOUGH * fewest else doubtful
    if chosen is None:
        return IdMatch(np.zeros(0, np.intp), np.zeros(0, np.intp), "", exact=True)
    places = [
        pl.DataFrame({_KEY: keys, name: np.arange(len(keys))}).drop_nulls(_KEY)
        for name, keys in (("left", chosen.first), ("right", chosen.second))
    ]
    joined = places[0].join(places[1], on=_KEY).sort("right", "left")
    if not chosen.clear:
        _refuse_ambiguity(joined, left, right, chosen.said)
    return IdMatch(
        joined["left"].to_numpy().astype(np.intp),
        joined["right"].to_numpy().astype(np.intp),
        chosen.said,
        exact=chosen.said == _said("id", left, "id", right),
    )


@dataclass(frozen=True, eq=False)
class _Rule:
    """One spelling of each file: how many ids are in both, and whether each of them is one person in both."""

    said: str
    first: pl.Series
    second: pl.Series
    n_people: int
    clear: bool


def _rules(left: Ids, right: Ids) -> Iterator[_Rule]:
    """Every pair of spellings, the plainer ones first."""
    one, two = left.spelled(), right.spelled()
    pairs = [(first, second) for first in one for second in two]
    parts = {pair: sum(name.startswith("id after") for name in pair) for pair in pairs}
    # with a part on one side and anything but the id on the other, people of two families may share the rest of an id
    pairs = sorted((pair for pair in pairs if parts[pair] == 0 or "id" in pair), key=lambda pair: parts[pair])
    for stripped in (False, True):
        for first, second in pairs:
            said, keys, others = _said(first, left, second, right), one[first], two[second]
            if stripped:
                said, short, shorter = f"{said}, without leading zeros", _stripped(keys), _stripped(others)
                if short.equals(keys) and shorter.equals(others):
                    continue
                keys, others = short, shorter
            yield _tried(said, keys, others)


def _tried(said: str, first: pl.Series, second: pl.Series) -> _Rule:
    both = second.filter(second.is_in(first.drop_nulls().unique().implode()).fill_null(value=False))
    n_people = both.n_unique()
    own = int(first.is_in(both.unique().implode()).sum())
    return _Rule(said, first, second, n_people, clear=len(both) == n_people == own)


def _said(first: str, left: Ids, second: str, right: Ids) -> str:
    return f"{first} of {left.where} = {second} of {right.where}"


def _stripped(keys: pl.Series) -> pl.Series:
    return keys.str.replace_all(r"(^|_)0+([0-9])", "${1}${2}")


def _refuse_ambiguity(joined: pl.DataFrame, left: Ids, right: Ids, rule: str) -> None:
    key = joined.filter(pl.col("left").is_duplicated() | pl.col("right").is_duplicated())[_KEY][0]
    rows = joined.filter(pl.col(_KEY) == key)
    sides = [(left, rows["left"].unique()), (right, rows["right"].unique())]
    ids, places = next((ids, places) for ids, places in sides if len(places) > 1)
    names = ids.within.gather(places)
    n = joined.filter(pl.col("left").is_duplicated() | pl.col("right").is_duplicated())[_KEY].n_unique()
    raise InputError(
        f"Ids match best as: {rule}. But {first_few(names)} of {ids.where} are then all '{key}'"
        + (f" (and {n - 1} more such)" if n > 1 else "")
        + ". Write ids that tell people apart in both files, or give a table of both ids as [phenotypes] crosswalk."
    )


_HEADER = re.compile(r"#?\s*(fid|iid|eid|id|.*[_ .]id(\.s)?|finngenid|samples?|person|s)", re.IGNORECASE)


def read_id_list(path: str | Path) -> Ids:
    """Read a list of people: one id a line, a PLINK list of FID and IID, or a table with an id column.

    The first line is a header if its first field is named like an id column (IID, eid, person_id, sample_id.s). Two
    columns without a header are FID and IID.

    Raises
    ------
    InputError
        The file is absent or empty.
    """
    path = existing_file(path, "list of people")
    text = read_bytes(path)
    separator = separator_of(text, path.suffix)
    lines = (one_tab_between(text) if separator is None else text).decode(errors="replace").splitlines()
    rows = [[field.strip().strip('"') for field in line.split(separator or "\t")] for line in lines if line.strip()]
    names = [name.lstrip("#").lower() for name in rows[0]] if _HEADER.fullmatch(rows[0][0]) else None
    column, family = _columns(names, len(rows[0]))
    rows = rows[1:] if names else rows
    ids = pl.Series([_field(row, column) for row in rows], dtype=pl.String)
    families = None if family is None else pl.Series([_field(row, family) for row in rows], dtype=pl.String)
    return Ids(ids, families, str(path))


def _columns(names: Sequence[str] | None, width: int) -> tuple[int, int | None]:
    if names is None:
        return (1, 0) if width == 2 else (0, None)
    family = names.index("fid") if "fid" in names else None
    known = [place for name in ID_NAMES for place, found in enumerate(names) if found == name]
    return (known[0] if known else 1 if family == 0 and len(names) > 1 else 0), family


def _field(row: Sequence[str], place: int) -> str:
    return row[place] if place < len(row) else ""
