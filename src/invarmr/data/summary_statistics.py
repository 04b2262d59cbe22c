"""GWAS summary statistics of one trait or several: a table with TwoSampleMR's column names, validated once.

Symbols: none; rows are variants, `beta` is the change of the trait per copy of the effect allele.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self, final

import numpy as np
import polars as pl
from scipy import special

from invarmr.errors import InputError, first_few

__all__ = ["COLUMNS", "SummaryStatistics"]

COLUMNS: dict[str, pl.DataType] = {
    "SNP": pl.String(),
    "effect_allele": pl.String(),
    "other_allele": pl.String(),
    "beta": pl.Float64(),
    "se": pl.Float64(),
    "eaf": pl.Float64(),
    "pval": pl.Float64(),
    "samplesize": pl.Float64(),
    "ncase": pl.Float64(),
    "ncontrol": pl.Float64(),
    "chr": pl.String(),
    "pos": pl.Int64(),
    "Phenotype": pl.String(),
    "id": pl.String(),
}
"""Every column of a table of summary statistics, and its type; null where a study does not state it."""

REQUIRED = ("SNP", "effect_allele", "beta", "se")
ALLELE = r"^(?:[ACGT]+|[ID])$"


@final
@dataclass(frozen=True, eq=False)
class SummaryStatistics:
    """Per-variant associations with a trait, complete enough to harmonise.

    Build it with `from_frame`, or from a file with `read_summary_statistics`.

    Parameters
    ----------
    frame
        The columns of `COLUMNS`, all of them, in that order. `beta` and `se` are both present or both null in a row;
        alleles are upper case; a variant occurs once per `id`.
    """

    frame: pl.DataFrame

    @classmethod
    def from_frame(cls, frame: pl.DataFrame, *, name: str = "trait", source: str = "summary statistics") -> Self:
        """Validate a table whose columns already have the names of `COLUMNS`; others are ignored.

        Parameters
        ----------
        frame
            At least `SNP, effect_allele, beta, se`. Numbers may come as text. A p-value that is missing is computed
            from beta / se.
        name
            Phenotype, and id, of rows that state none.
        source
            What to call the table in messages: its path, say.

        Raises
        ------
        InputError
            A column is missing; a row has no id, a beta without se, an allele not made of A, C, G, T (or I, D), text
            in a number, an se that is not positive, a frequency or p-value outside [0, 1], or repeats a variant.

        Examples
        --------
        >>> rows = pl.DataFrame({"SNP": ["rs1"], "effect_allele": ["a"], "beta": [0.1], "se": [0.05]})
        >>> SummaryStatistics.from_frame(rows, name="LDL").frame["effect_allele"].item()
        'A'
        """
        missing = [column for column in REQUIRED if column not in frame.columns]
        if missing:
            raise InputError(
                f"{source}: summary statistics must have the columns {', '.join(REQUIRED)}, but "
                f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing. It has: "
                f"{first_few(frame.columns, 20)}."
            )
        if frame.height == 0:
            raise InputError(f"{source}: at least one variant was required, but the table has no rows.")
        table = frame.select(
            (pl.col(column) if column in frame.columns else pl.lit(None)).alias(column) for column in COLUMNS
        )
        table = table.with_columns(_typed(table, column, source) for column in COLUMNS)
        table = table.with_columns(
            pl.col("effect_allele", "other_allele").str.to_uppercase(), pl.col("Phenotype").fill_null(name)
        ).with_columns(pl.col("id").fill_null(pl.col("Phenotype")))
        _check_text(table, source)
        _check_numbers(table, source)
        return cls(table.with_columns(pval=pl.col("pval").fill_null(_p_values(table))))

    @property
    def n_variants(self) -> int:
        """Rows."""
        return self.frame.height

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids of the traits, in order of appearance."""
        return tuple(self.frame["id"].unique(maintain_order=True).to_list())

    def __str__(self) -> str:
        return f"SummaryStatistics: {self.n_variants} variants of {first_few(self.ids)}"


def _typed(table: pl.DataFrame, column: str, source: str) -> pl.Series:
    values, kind = table[column], COLUMNS[column]
    if kind == pl.String():
        return _text(values)
    numbers = values.cast(pl.Float64, strict=False)
    bad = (numbers.is_null() & values.is_not_null()) | ~numbers.fill_nan(None).is_finite().fill_null(True)
    _refuse(table, bad, source, f"'{column}' must be a number", column)
    numbers = numbers.fill_nan(None)
    if kind == pl.Int64():
        _refuse(table, (numbers % 1 != 0).fill_null(False), source, f"'{column}' must be a whole number", column)
    return numbers.cast(kind)


def _text(values: pl.Series) -> pl.Series:
    if values.dtype.is_float() and bool((values.drop_nulls() % 1 == 0).all()):
        values = values.cast(pl.Int64)
    text = values.cast(pl.String).str.strip_chars()
    return text.set(text == "", None)


def _check_text(table: pl.DataFrame, source: str) -> None:
    _refuse(table, table["SNP"].is_null(), source, "every row must name a variant", "SNP")
    required = "alleles must be made of the letters A, C, G, T (or be I, D)"
    good = table["effect_allele"].str.contains(ALLELE).fill_null(False)
    _refuse(table, ~good, source, required, "effect_allele")
    good = table["other_allele"].str.contains(ALLELE).fill_null(True)
    _refuse(table, ~good, source, required, "other_allele")
    same = (table["effect_allele"] == table["other_allele"]).fill_null(False)
    _refuse(table, same, source, "the two alleles must differ", "other_allele")
    repeated = table.select(pl.struct("id", "SNP").is_duplicated()).to_series()
    _refuse(table, repeated, source, "a variant must occur once per trait", "SNP")


def _check_numbers(table: pl.DataFrame, source: str) -> None:
    alone = table["beta"].is_not_null() & table["se"].is_null()
    _refuse(table, alone, source, "every beta must have its se", "se")
    alone = table["beta"].is_null() & table["se"].is_not_null()
    _refuse(table, alone, source, "every se must have its beta", "beta")
    _refuse(table, (table["se"] <= 0).fill_null(False), source, "a standard error must be positive", "se")
    for column in ("eaf", "pval"):
        outside = ~table[column].is_between(0, 1).fill_null(True)
        _refuse(table, outside, source, f"'{column}' must lie between 0 and 1", column)
    for column in ("samplesize", "ncase", "ncontrol"):
        _refuse(table, (table[column] <= 0).fill_null(False), source, f"'{column}' must be positive", column)


def _p_values(table: pl.DataFrame) -> pl.Series:
    z = (table["beta"] / table["se"]).abs().to_numpy()
    return pl.Series("pval", special.erfc(z / np.sqrt(2.0))).fill_nan(None)


def _refuse(table: pl.DataFrame, bad: pl.Series, source: str, required: str, column: str) -> None:
    rows = np.flatnonzero(bad.to_numpy())
    if rows.size == 0:
        return
    shown = table[rows[:5].tolist()]
    cells = [
        f"row {row + 1}{'' if variant is None else f' ({variant})'} has {'nothing' if value is None else repr(value)}"
        for row, variant, value in zip(rows[:5].tolist(), shown["SNP"], shown[column], strict=True)
    ]
    cells += [""] * (rows.size - len(cells))
    raise InputError(f"{source}: {required}, but in '{column}' {first_few(cells)}. Mend or remove these rows.")
