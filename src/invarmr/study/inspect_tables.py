"""What is in a table: the columns of people's tables, the layout and rows of summary statistics, a list of variants."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl

from invarmr.data.summary_statistics import COLUMNS, SummaryStatistics
from invarmr.errors import InputError, first_few
from invarmr.io.instrument_list import read_instrument_list
from invarmr.io.sample_ids import ID_NAMES, Ids
from invarmr.io.summary_columns import Recognised, recognise
from invarmr.io.summary_names import GROUPS
from invarmr.io.summary_statistics import read_summary_statistics
from invarmr.io.summary_vcf import EXPANDED, is_vcf, traits_of
from invarmr.io.table_format import file_kind
from invarmr.io.tables import read_table
from invarmr.io.text_blocks import TextTable

__all__ = ["LOOKED_AT", "Column", "instrument_facts", "phenotype_table", "summary_facts"]

LOOKED_AT = 200_000
"""Rows of a summary-statistics file that are checked; the others are counted."""
_SHOWN = 12
_SEPARATORS = {"\t": "tabs", ",": "commas", ";": "semicolons", None: "blanks"}
_DISAGREE = 0.05


@dataclass(frozen=True)
class Column:
    """A column of a table of people.

    Parameters
    ----------
    name
        Its name.
    kind
        "id", "numbers" or "text".
    n_levels
        Different values.
    missing
        People without a value.
    minus_nine
        People with -9.
    levels
        A few of the values, of columns with few.
    """

    name: str
    kind: Literal["id", "numbers", "text"]
    n_levels: int
    missing: int
    minus_nine: int
    levels: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.kind == "id":
            return f"{self.name} (ids)"
        said: list[str] = [self.kind]
        if self.n_levels <= _SHOWN:
            said.append(f"{self.n_levels} values: {', '.join(self.levels)}")
        if self.missing:
            said.append(f"{self.missing:,} missing")
        if self.minus_nine:
            said.append(f"{self.minus_nine:,} are -9")
        return f"{self.name} ({'; '.join(said)})"


def phenotype_table(path: Path) -> tuple[list[tuple[str, str]], list[str], tuple[Column, ...], Ids]:
    """Facts and problems of a table of people, its columns, and its ids.

    Raises
    ------
    InputError
        It cannot be read.
    """
    header = read_header(path)
    names = {name.lower(): name for name in header}
    sample_id = next(names[name] for name in ID_NAMES if name in names) if set(ID_NAMES) & set(names) else header[0]
    texts = [name for name in header if name.lower() in (*ID_NAMES, "fid")]
    frame = read_table(path, string_columns=texts)
    columns = tuple(_column(frame[name], is_id=name in texts) for name in frame.columns)
    family = names.get("fid")
    within = frame[sample_id].cast(pl.String)
    problems = []
    absent, repeated = within.null_count(), within.drop_nulls().len() - within.drop_nulls().n_unique()
    if absent or repeated:
        problems.append(f"{sample_id}: {absent:,} people have no id, {repeated:,} ids are repeated. Mend these rows")
    decimal = [name for name in frame.columns if _has_decimal_commas(frame[name])]
    if decimal:
        problems.append(f"{first_few(decimal)}: numbers with decimal commas; set [phenotypes] decimal_comma = true")
    plink = header[0].upper() in ("FID", "IID")
    nines = [column.name for column in columns if column.minus_nine]
    if nines and not plink:
        problems.append(f'{first_few(nines)}: -9 is a number here; if it is missing, set missing_codes = ["-9"]')
    facts = [
        ("people", f"{frame.height:,}, ids like {first_few(within.head(3))} in {sample_id}"),
        ("columns", first_few([str(column) for column in columns if column.kind != "id"], 30)),
    ]
    if nines and plink:
        facts.append(("-9", "missing, as the table begins with FID or IID"))
    ids = Ids(within.fill_null(""), None if family is None else frame[family].cast(pl.String), str(path))
    return facts, problems, columns, ids


def read_header(path: Path) -> tuple[str, ...]:
    """Names of the columns, a leading `#` dropped."""
    kind = file_kind(path)
    if kind in ("parquet", "arrow"):
        return tuple(pl.read_parquet_schema(path) if kind == "parquet" else pl.read_ipc_schema(path))
    return TextTable.open(path).header


def _column(values: pl.Series, *, is_id: bool) -> Column:
    numeric = values.dtype.is_numeric()
    kind: Literal["id", "numbers", "text"] = "id" if is_id else "numbers" if numeric else "text"
    nines = int((values == -9).sum()) if numeric else 0
    known = values.filter(values != -9) if nines else values.drop_nulls()
    levels = known.unique()
    few = tuple(levels.sort().cast(pl.String)) if levels.len() <= _SHOWN else ()
    return Column(values.name, kind, levels.len(), values.null_count(), nines, few)


def _has_decimal_commas(values: pl.Series) -> bool:
    if values.dtype != pl.String:
        return False
    cells = values.drop_nulls()
    return cells.len() > 0 and float(cells.str.contains(r"^-?\d*,\d+$").sum()) > 0.5 * cells.len()


def summary_facts(path: Path) -> tuple[list[tuple[str, str]], list[str], pl.Series | None]:
    """Facts and problems of summary statistics, and the ids of the rows looked at.

    Raises
    ------
    InputError
        They cannot be read at all.
    """
    if file_kind(path) in ("parquet", "arrow"):
        frame = read_table(path)
        header, facts, n_rows = tuple(frame.columns), [("rows", f"{frame.height:,}")], frame.height
        head: object = frame.head(LOOKED_AT)
    else:
        table = TextTable.open(path)
        vcf = is_vcf(table.header)
        header = EXPANDED if vcf else table.header
        n_rows = _count(table)
        facts = [
            ("rows", f"{n_rows:,}, columns separated by {_SEPARATORS.get(table.separator, 'blanks')}"),
            *([("traits", first_few(traits_of(table.header)))] if vcf else []),
        ]
        head = path if n_rows <= LOOKED_AT or vcf else _head(table)
    group = _first_group(header)
    try:
        found = recognise(header, source=str(path), group=group)
    except InputError as error:
        return facts, [str(error)], None
    facts += _said_of(found)
    try:
        statistics = read_summary_statistics(head, name=path.name, group=group)
    except InputError as error:
        return facts, [str(error)], None
    looked = min(n_rows, LOOKED_AT)
    facts.append(("usable", f"{statistics.n_variants:,} of the {'first ' if looked < n_rows else ''}{looked:,} rows"))
    problems = [
        f"{count:,} rows would be dropped: {reason}"
        for reason, count in statistics.dropped["reason"].value_counts(sort=True).head(5).iter_rows()
    ]
    problems += [note for note in statistics.notes if not note.startswith("columns of")]
    if group is not None and len(_groups(header)) > 1:
        problems.append(
            f"columns for {', '.join(_groups(header))}: say which, --exposure-group {group} (shown here), for example"
        )
    problems += _disagreement(statistics, found)
    return facts, problems, statistics.frame["SNP"]


def _groups(header: tuple[str, ...]) -> list[str]:
    names = {name.lower() for name in header}
    return [group for group in GROUPS if f"beta_{group}" in names and "ref" in names and "alt" in names]


def _first_group(header: tuple[str, ...]) -> str | None:
    groups = _groups(header)
    return groups[0] if groups else None


def _said_of(found: Recognised) -> list[tuple[str, str]]:
    mapped = [f"{ours} <- {there}" for ours, there in found.columns.items()]
    return [
        ("layout", found.layout.name),
        ("effect allele", f"{found.layout.effect_allele} ({found.layout.source})"),
        ("columns", ", ".join(mapped)),
    ]


def _count(table: TextTable) -> int:
    return sum(block.frame.height + len(block.bad_lines) for block in table.blocks(table.header[:1]))


def _head(table: TextTable) -> pl.DataFrame:
    parts, n = [], 0
    for block in table.blocks(table.header):
        parts.append(block.frame.drop("line"))
        n += block.frame.height
        if n >= LOOKED_AT:
            break
    return pl.concat(parts).head(LOOKED_AT)


def _disagreement(statistics: SummaryStatistics, found: Recognised) -> list[str]:
    """Whether beta / se and the p-value tell different stories: an error of the odds ratio instead of its logarithm."""
    if not ({"pval", "minus_log10_p"} & found.columns.keys()) or "se" not in found.columns:
        return []
    frame = statistics.frame.filter(pl.col("pval") > 1e-300)
    if frame.height == 0:
        return []
    implied = SummaryStatistics.from_frame(frame.drop("pval").select(*(c for c in COLUMNS if c != "pval")))
    gap = np.abs(np.log10(frame["pval"].to_numpy()) - np.log10(np.maximum(implied.frame["pval"].to_numpy(), 1e-300)))
    far = float((gap > 0.3 + 0.05 * np.abs(np.log10(frame["pval"].to_numpy()))).mean())
    if far < _DISAGREE:
        return []
    return [
        f"in {100 * far:.0f} % of the rows beta / se does not give the p-value: is the standard error that of the odds "
        "ratio, not of its logarithm, or were p-values corrected? beta and se are used, not the p-value"
    ]


def instrument_facts(path: Path) -> tuple[list[tuple[str, str]], list[str], pl.Series]:
    """Facts and problems of a list of instruments, and its variants.

    Raises
    ------
    InputError
        It cannot be read.
    """
    frame = read_instrument_list(path)
    has = [name for name in ("other_allele", "effect_allele_frequency", "weight") if name in frame.columns]
    stated = [name for name in has if frame[name].null_count() < frame.height]
    facts = [
        ("variants", f"{frame.height:,}, ids like {first_few(frame['variant'].head(3))}"),
        ("states", ", ".join(name.replace("_", " ") for name in ("effect_allele", *stated))),
    ]
    problems = []
    if "weight" not in stated:
        problems.append("no weights: an allele score is then not computed")
    repeated = frame.height - frame["variant"].n_unique()
    if repeated:
        problems.append(f"{repeated:,} variants are listed more than once")
    return facts, problems, frame["variant"]
