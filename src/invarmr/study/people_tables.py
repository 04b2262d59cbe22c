"""The phenotype tables of a study as one: joined by id, mapped to the genotype file's ids, people left out counted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

import polars as pl

from invarmr.errors import InputError, first_few
from invarmr.io.sample_ids import ID_NAMES, Ids, match_ids, read_id_list
from invarmr.io.table_format import column_names
from invarmr.io.tables import read_table, require_columns
from invarmr.study.people_settings import CrosswalkConfig, PhenotypesConfig
from invarmr.study.presets import spelled_as_wanted

__all__ = ["GENOTYPE_ID", "Lost", "People", "named_by", "read_people"]

GENOTYPE_ID = "__genotype_id__"
"""Column with a person's id as the cross-walk has it in the genotype file; absent without a cross-walk."""
FAMILY = "FID"
RAW_COLUMNS = ("FID", "IID", "PAT", "MAT", "SEX", "PHENOTYPE")


@dataclass(frozen=True)
class Lost:
    """Samples at one step: `stage, environment, n_samples, reason` of `samples.tsv`."""

    stage: str
    environment: str
    n_samples: int
    reason: str


@dataclass(frozen=True, eq=False)
class People:
    """The joined tables.

    Parameters
    ----------
    frame
        One row a person: the id, `FID` where the first table has it, and the columns that were asked for.
    source
        Where they came from, for messages.
    lost
        What was lost on the way, before environments are known.
    plink
        Columns of tables in PLINK's layout, where -9 stands for a missing value.
    counted
        Columns of allele counts, of files written by `plink2 --export A` (.raw).
    available
        Every column that the tables have.
    """

    frame: pl.DataFrame
    source: str
    lost: list[Lost] = field(default_factory=list)
    plink: frozenset[str] = frozenset()
    counted: frozenset[str] = frozenset()
    available: tuple[str, ...] = ()


def named_by(pattern: str, columns: Sequence[str]) -> list[str]:
    """The columns a name stands for: itself, or all that fit its `*`, in their order.

    Examples
    --------
    >>> named_by("SCORE*_AVG", ["IID", "SCORE1_AVG", "SCORE1_SUM", "SCORE2_AVG"])
    ['SCORE1_AVG', 'SCORE2_AVG']
    """
    if pattern in columns or "*" not in pattern:
        return [pattern]
    return [name for name in columns if fnmatchcase(name, pattern)]


def read_people(
    settings: PhenotypesConfig, *, texts: Sequence[str], wanted: Sequence[str], preset: str | None
) -> People:
    """Read the tables, join them by id, leave out who is to be left out, and map ids where a cross-walk says so.

    Parameters
    ----------
    settings
        Paths, id column, cross-walk and lists of people to leave out.
    texts
        Columns to keep as text.
    wanted
        Columns to keep, by name or with a `*`; all must be there.
    preset
        The preset of the study, which knows other spellings of a column's name.

    Raises
    ------
    InputError
        A wanted column is in no table or in two, ids are repeated, or two people come to one id.
    """
    tables = [_read(path, settings, texts, wanted, preset) for path in settings.tables]
    _check_columns(tables, wanted)
    people = tables[0]
    for other in tables[1:]:
        people = _joined(people, other, settings.sample_id)
    listed = [(path, read_id_list(path)) for path in settings.exclude]
    people = _without(people, settings.sample_id, listed)
    if settings.crosswalk is not None:
        people = _mapped(people, settings.sample_id, settings.crosswalk)
        people = _without(people, GENOTYPE_ID, listed)
    if people.frame.height == 0:
        raise InputError(
            f"{people.source}: nobody is left. "
            + "; ".join(f"{item.n_samples} {item.reason}" for item in people.lost)
            + "."
        )
    return people


def _check_columns(tables: Sequence[People], wanted: Sequence[str]) -> None:
    source = ", ".join(table.source for table in tables)
    columns = list(dict.fromkeys(name for table in tables for name in table.available))
    require_columns(
        pl.DataFrame(schema=dict.fromkeys(columns, pl.String)),
        [name for name in dict.fromkeys(wanted) if "*" not in name],
        source,
    )
    for name in wanted:
        if not named_by(name, columns):
            raise InputError(f"{source}: no column fits '{name}'. There are: {first_few(columns, 20)}.")


def _read(
    path: Path, settings: PhenotypesConfig, texts: Sequence[str], wanted: Sequence[str], preset: str | None
) -> People:
    header = column_names(path)
    bare = [name.lstrip("#") for name in header]
    known = spelled_as_wanted(preset, wanted, bare)
    spelled = {name: known.get(name, name) for name in bare}
    ids = [name for name in bare if name.lower() in ID_NAMES]
    keep = {settings.sample_id, FAMILY, *ids, *(name for name in bare if spelled[name] in texts)}
    frame = read_table(
        path, string_columns=keep, missing_codes=settings.missing_codes or (), decimal_comma=settings.decimal_comma
    )
    frame = frame.rename({name: spelled[name] for name in frame.columns if spelled.get(name, name) != name})
    frame = frame.with_columns(pl.col(pl.String).str.strip_chars().replace("", None))  # parquet may hold blanks
    frame = _with_id(frame, settings.sample_id, path)
    _check_sample_ids(frame[settings.sample_id], str(path))
    columns = [name for asked in wanted for name in named_by(asked, frame.columns)]
    family = [FAMILY] if FAMILY in frame.columns else []
    kept = [name for name in dict.fromkeys([settings.sample_id, *family, *columns]) if name in frame.columns]
    own = frozenset(kept) - {settings.sample_id, FAMILY}
    plink = bare[0] == FAMILY or header[0] == "#IID"
    raw = tuple(bare[: len(RAW_COLUMNS)]) == RAW_COLUMNS
    counted = own - set(RAW_COLUMNS) if raw else frozenset()
    return People(
        frame.select(kept), str(path), [], own if plink else frozenset(), counted, available=tuple(frame.columns)
    )


def _with_id(frame: pl.DataFrame, name: str, path: Path) -> pl.DataFrame:
    """The table with its id column under the wanted name; a column named like an id serves where that is absent."""
    if name in frame.columns:
        return frame
    others = [column for column in frame.columns if column.lower() in ID_NAMES]
    if len(others) != 1:
        require_columns(frame, [name], path)
    return frame.rename({others[0]: name})


def _check_sample_ids(ids: pl.Series, path: str) -> None:
    if ids.null_count():
        rows = [place + 2 for place in ids.is_null().arg_true()]
        raise InputError(f"{path}: every row needs a sample id ({ids.name}), but lines {first_few(rows)} have none.")
    if ids.n_unique() < len(ids):
        repeated = ids.filter(ids.is_duplicated()).unique(maintain_order=True)
        raise InputError(
            f"{path}: sample ids ({ids.name}) must be unique, but {len(repeated)} come more than once: "
            f"{first_few(repeated)}. Keep one row per sample."
        )


def ids_of(frame: pl.DataFrame, name: str, where: str) -> Ids:
    """The ids of a phenotype table, with its families where it has them."""
    return Ids(frame[name], frame[FAMILY].cast(pl.String) if FAMILY in frame.columns else None, where)


def _joined(people: People, other: People, sample_id: str) -> People:
    shared = [name for name in other.frame.columns if name in people.frame.columns and name not in (sample_id, FAMILY)]
    if shared:
        raise InputError(
            f"{first_few(shared)} is a column of {people.source} and of {other.source}: which one is meant? Rename or "
            "remove one of them."
        )
    first, second = people.frame, other.frame
    matching = match_ids(
        ids_of(first, sample_id, _names(people.source)), ids_of(second, sample_id, _names(other.source))
    )
    if not len(matching.left):
        raise InputError(
            f"No person is in both tables: {people.source} ({first_few(first[sample_id])}) and {other.source} "
            f"({first_few(second[sample_id])}). Name the column of ids that both have in [phenotypes] sample_id."
        )
    lost = [Lost("matched", "", len(matching.left), f"by {matching.rule}")]
    for table, n in ((people, first.height), (other, second.height)):
        if n > len(matching.left):
            missing = other.source if table is people else people.source
            reason = f"in {_names(table.source)}, not in {_names(missing)}"
            lost.append(Lost("dropped", "", n - len(matching.left), reason))
    left = first[matching.left]
    own = [name for name in second.columns if name not in left.columns]
    frame = left.hstack(second[matching.right].select(own))
    order = pl.Series(matching.left).arg_sort()
    return People(
        frame[order],
        f"{people.source}, {other.source}",
        [*people.lost, *lost],
        people.plink | other.plink,
        people.counted | other.counted,
    )


def _names(source: str) -> str:
    """The names of files without their folders, which are nobody's business in an archive."""
    return " and ".join(Path(path).name for path in source.split(", "))


def _without(people: People, column: str, lists: Sequence[tuple[Path, Ids]]) -> People:
    """Leave out everybody whom a list names, as id or FID_IID; without leading zeros if nobody fits as written."""
    frame, lost = people.frame, list(people.lost)
    for path, listed in lists:
        out = _named(ids_of(frame, column, ""), listed, lambda keys: keys)
        if not out.any():
            out = _named(
                ids_of(frame, column, ""), listed, lambda keys: keys.str.replace_all(r"(^|_)0+([0-9])", "${1}${2}")
            )
        lost.append(Lost("dropped", "", int(out.sum()), f"in the list {path.name} ({len(listed.within)} ids)"))
        frame = frame.filter(~out)
    return People(frame, people.source, lost, people.plink, people.counted)


def _named(ids: Ids, listed: Ids, spell: Callable[[pl.Series], pl.Series]) -> pl.Series:
    theirs = [keys for name, keys in listed.spelled().items() if not name.startswith("id after")]
    wanted = spell(pl.concat([keys.rename("key") for keys in theirs])).drop_nulls().unique().implode()
    out = pl.repeat(False, len(ids.within), eager=True, dtype=pl.Boolean)
    for name, keys in ids.spelled().items():
        if not name.startswith("id after"):
            out = out | spell(keys).is_in(wanted).fill_null(value=False)
    return out


def _mapped(people: People, sample_id: str, crosswalk: CrosswalkConfig) -> People:
    table = read_table(crosswalk.path, string_columns="all")
    require_columns(table, [crosswalk.table_id, crosswalk.genotype_id], crosswalk.path)
    table = table.select(crosswalk.table_id, crosswalk.genotype_id).drop_nulls().unique(maintain_order=True)
    for name, other in (
        (crosswalk.table_id, crosswalk.genotype_id),
        (crosswalk.genotype_id, crosswalk.table_id),
    ):
        twice = table.filter(table[name].is_duplicated())
        if twice.height:
            one = twice[name][0]
            raise InputError(
                f"{crosswalk.path}: a cross-walk must map each person to one id, but {name} '{one}' stands beside "
                f"{other} {first_few(twice.filter(pl.col(name) == one)[other])}"
                f" ({twice[name].n_unique()} such in all). Remove the wrong lines."
            )
    walk = Ids(table[crosswalk.table_id], None, f"the cross-walk {crosswalk.path.name}")
    frame = people.frame
    matching = match_ids(ids_of(frame, sample_id, "the phenotype table"), walk)
    if not len(matching.left):
        raise InputError(
            f"{crosswalk.path}: nobody of the phenotype table ({first_few(frame[sample_id])}) is in the cross-walk's "
            f"column {crosswalk.table_id} ({first_few(walk.within)}). Check from and to."
        )
    lost = [Lost("matched", "", len(matching.left), f"by {matching.rule}")]
    if frame.height > len(matching.left):
        reason = f"not in the cross-walk {crosswalk.path.name}"
        lost.append(Lost("dropped", "", frame.height - len(matching.left), reason))
    order = pl.Series(matching.left).arg_sort()
    ids = table[crosswalk.genotype_id][matching.right].alias(GENOTYPE_ID)
    mapped = frame[matching.left].with_columns(ids)[order]
    return People(mapped, people.source, [*people.lost, *lost], people.plink, people.counted)
