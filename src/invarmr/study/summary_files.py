"""The two files of a two-sample study: read as far as they are needed, with an account of every row that was lost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from invarmr.data.harmonised import HarmonisedStatistics
from invarmr.data.summary_statistics import SummaryStatistics
from invarmr.errors import InputError
from invarmr.io.summary_statistics import Wanted, read_summary_statistics

__all__ = [
    "MOST_LISTED",
    "VARIANTS",
    "Reading",
    "SummaryFile",
    "account_of_variants",
    "parse_columns",
    "read_pair",
    "said_of_files",
]

MOST_LISTED = 1000
"""Dropped rows of one file that are listed one by one; the others are counted."""
VARIANTS = {
    "SNP": pl.String, "id.exposure": pl.String, "id.outcome": pl.String, "kept": pl.Boolean, "stage": pl.String,
    "reason": pl.String, "line": pl.Int64, "n_rows": pl.Int64,
}  # fmt: skip
"""Columns of `variants.tsv`."""


@dataclass(frozen=True, kw_only=True)
class SummaryFile:
    """How one file is read.

    Parameters
    ----------
    name
        Phenotype where the file states none.
    columns
        What its header does not say.
    group
        Ancestry group, where it has several.
    """

    name: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    group: str | None = None


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How both files are read.

    Parameters
    ----------
    exposure, outcome
        The two files.
    strict
        Refuse a file for one bad row.
    decimal_comma
        Whether 1,5 is one and a half.
    """

    exposure: SummaryFile = SummaryFile()
    outcome: SummaryFile = SummaryFile()
    strict: bool = False
    decimal_comma: bool = False


def read_pair(
    exposure: Path, outcome: Path, reading: Reading, *, p_value: float | None, bidirectional: bool
) -> tuple[SummaryStatistics, SummaryStatistics]:
    """Read the exposure's variants (below `p_value`, where one is given), and of the outcome's file those rows alone.

    Both directions read the exposure's file again, for the outcome's own variants. Whatever the size of the files, only
    these rows are in memory.

    Raises
    ------
    InputError
        A file that cannot be used, or no variant below `p_value`.
    """

    def read(path: Path, how: SummaryFile, wanted: Wanted | None) -> SummaryStatistics:
        return read_summary_statistics(
            path,
            name=how.name,
            columns=how.columns,
            group=how.group,
            strict=reading.strict,
            decimal_comma=reading.decimal_comma,
            wanted=wanted,
        )

    below = p_value if bidirectional else None
    first = read(exposure, reading.exposure, None if p_value is None else Wanted.like(None, p_below=p_value))
    second = read(outcome, reading.outcome, Wanted.like(_strong(first, p_value), p_below=below))
    back = _strong(second, below)
    if below is not None and back.n_variants:
        first = read(exposure, reading.exposure, Wanted.like(back, p_below=below))
    return first, second


def _strong(statistics: SummaryStatistics, p_value: float | None) -> SummaryStatistics:
    if p_value is None:
        return statistics
    return SummaryStatistics(statistics.frame.filter(pl.col("pval") < p_value))


def said_of_files(exposure: SummaryStatistics, outcome: SummaryStatistics, *, listed: bool = True) -> Iterator[str]:
    """What must be said of the files: rows dropped (and whether they are listed), effects made from Z, and the like."""
    for role, statistics in (("exposure", exposure), ("outcome", outcome)):
        yield from (f"{role} file: {note}" for note in statistics.notes)
        lost = statistics.dropped
        if lost.height:
            first = lost["reason"].value_counts(sort=True).row(0)
            total = lost.height + statistics.n_variants
            where = ", each with its reason in variants.tsv" if listed else ""
            yield f"{role} file: {lost.height} of {total} rows were dropped{where} ({first[1]} x {first[0]})"


def account_of_variants(
    parts: list[tuple[HarmonisedStatistics, pl.DataFrame | None]],
    exposure: SummaryStatistics,
    outcome: SummaryStatistics,
) -> pl.DataFrame:
    """Every variant of a two-sample study, kept or dropped, and why; and every row of a file that could not be used.

    Parameters
    ----------
    parts
        For each direction what was harmonised, and the table of clumping or None.
    exposure, outcome
        As they were read.

    Returns
    -------
    polars.DataFrame
        `VARIANTS`; `stage` is "used", "harmonising", "clumping", "exposure file" or "outcome file"; `line` that of the
        file. Of each file the first `MOST_LISTED` dropped rows are listed, the others counted in `n_rows` of one row.
    """
    tables = []
    for harmonised, clumping in parts:
        rows = harmonised.frame.with_columns(kept=pl.col("mr_keep"))
        stage = pl.when("kept").then(pl.lit("used")).otherwise(pl.lit("harmonising"))
        tables.append(rows.with_columns(stage=stage))
        tables.append(harmonised.absent.with_columns(kept=pl.lit(False), stage=pl.lit("harmonising")))
        if clumping is not None:
            lost = clumping.filter(~pl.col("kept")).rename({"id": "id.exposure"})
            tables.append(lost.select("SNP", "id.exposure", "kept", "reason", stage=pl.lit("clumping")))
    for role, statistics in (("exposure", exposure), ("outcome", outcome)):
        dropped = statistics.dropped
        listed = dropped.head(MOST_LISTED).rename({"id": f"id.{role}"})
        tables.append(listed.with_columns(kept=pl.lit(False), stage=pl.lit(f"{role} file")))
        more = dropped.height - MOST_LISTED
        if more > 0:
            row = {"kept": False, "stage": f"{role} file", "reason": f"{more} further rows", "n_rows": more}
            tables.append(pl.DataFrame([row]))
    return pl.concat([_conform(table) for table in tables])


def _conform(table: pl.DataFrame) -> pl.DataFrame:
    one = pl.lit(1, pl.Int64)
    return table.select(
        (pl.col(name) if name in table.columns else one if name == "n_rows" else pl.lit(None)).cast(kind).alias(name)
        for name, kind in VARIANTS.items()
    )


def parse_columns(stated: list[str] | None, option: str) -> dict[str, str]:
    """Columns as they come from the command line: `beta=my_effect`.

    Raises
    ------
    InputError
        No `=`.

    Examples
    --------
    >>> parse_columns(["effect_allele=A1", "beta=log OR"], "--exposure-columns")
    {'effect_allele': 'A1', 'beta': 'log OR'}
    """
    found = {}
    for item in stated or []:
        ours, equals, there = item.partition("=")
        if not equals:
            raise InputError(f"{option} takes NAME=COLUMN (effect_allele=A1, say), but {item!r} has no '='.")
        found[ours.strip()] = there.strip()
    return found
