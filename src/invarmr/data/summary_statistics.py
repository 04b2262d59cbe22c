"""GWAS summary statistics of one trait or several: a table with TwoSampleMR's column names, validated once.

Symbols: none; rows are variants, `beta` is the change of the trait per copy of the effect allele.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, Self, final

import numpy as np
import polars as pl
from scipy import special

from invarmr.errors import InputError, first_few

__all__ = ["COLUMNS", "DROPPED", "SummaryStatistics"]

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
DROPPED: dict[str, pl.DataType] = {
    "SNP": pl.String(), "id": pl.String(), "line": pl.Int64(), "reason": pl.String(),
}  # fmt: skip
"""Columns of the rows that could not be used."""


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
    dropped
        `SNP, id, line, reason`: the rows that could not be used; `line` is null where there is no file.
    notes
        What a reader of the numbers must know: effects made from Z, say.
    """

    frame: pl.DataFrame
    dropped: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=DROPPED))
    notes: tuple[str, ...] = ()

    @classmethod
    def from_frame(
        cls,
        frame: pl.DataFrame,
        *,
        name: str = "trait",
        source: str = "summary statistics",
        bad_rows: Literal["refuse", "drop"] = "refuse",
    ) -> Self:
        """Validate a table whose columns already have the names of `COLUMNS`; others are ignored.

        Parameters
        ----------
        frame
            At least `SNP, effect_allele, beta, se`. Numbers may come as text. A p-value that is missing is computed
            from beta / se. Where it has a column `line`, that is the row's line in the file.
        name
            Phenotype, and id, of rows that state none.
        source
            What to call the table in messages: its path, say.
        bad_rows
            "refuse": one bad row refuses the table. "drop": it goes to `dropped` with its reason, as do rows without
            an effect and repeats; of a variant listed with several pairs of alleles each gets a name of its own,
            `rs1[G/A]` (other/effect). A table without a good row is refused.

        Raises
        ------
        InputError
            A column is missing; or, unless dropped, a row has no id, a beta without se, an allele not made of A, C, G,
            T (or I, D), text in a number, an se that is not positive, a frequency or p-value outside [0, 1], or
            repeats a variant.

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
        checks = _Checks(source, frame.height, drop=bad_rows == "drop")
        table = frame.select(
            (pl.col(column) if column in frame.columns else pl.lit(None)).alias(column) for column in COLUMNS
        )
        table = table.with_columns(_typed(table, column, checks) for column in COLUMNS)
        table = table.with_columns(
            pl.col("effect_allele", "other_allele").str.to_uppercase(), pl.col("Phenotype").fill_null(name)
        ).with_columns(pl.col("id").fill_null(pl.col("Phenotype")))
        _check_text(table, checks)
        _check_numbers(table, checks)
        if bad_rows == "refuse":
            checks(table, _repeated(table), "a variant must occur once per trait", "SNP")
            return cls(table.with_columns(pval=pl.col("pval").fill_null(_p_values(table))))
        nothing = table["beta"].is_null() & table["se"].is_null()
        checks(table, nothing, "an effect is needed: beta and se", "beta")
        line = frame["line"].cast(pl.Int64) if "line" in frame.columns else pl.lit(None, pl.Int64)
        good, dropped = checks.sorted_out(table.with_columns(line=line))
        return cls(good.with_columns(pval=pl.col("pval").fill_null(_p_values(good))), dropped)

    @property
    def n_variants(self) -> int:
        """Rows."""
        return self.frame.height

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids of the traits, in order of appearance."""
        return tuple(self.frame["id"].unique(maintain_order=True).to_list())

    def __str__(self) -> str:
        lost = f" ({self.dropped.height} rows dropped, see .dropped)" if self.dropped.height else ""
        return f"SummaryStatistics: {self.n_variants} variants of {first_few(self.ids)}{lost}"


class _Checks:
    """What must hold of every row: the first fault of each is kept, or the table refused at once."""

    def __init__(self, source: str, n_rows: int, *, drop: bool) -> None:
        self.source = source
        self.drop = drop
        self.reason = pl.Series("reason", [None], dtype=pl.String).new_from_index(0, n_rows)

    def __call__(self, table: pl.DataFrame, bad: pl.Series, required: str, column: str) -> None:
        """Note the rows that are `bad`; `required` says what must hold, `column` where it does not."""
        if not bool(bad.any()):
            return
        if not self.drop:
            _refuse(table, bad, self.source, required, column)
        cells = table[column].cast(pl.String)
        came = pl.select(
            pl.when(cells.is_null())
            .then(pl.lit(f"{required}, but '{column}' is empty"))
            .otherwise(pl.format(f"{required}, but '{column}' is {{}}", cells.str.slice(0, 40)))
        ).to_series()
        self.reason = self.reason.zip_with(~(bad & self.reason.is_null()), came)

    def sorted_out(self, table: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Good rows, each variant once; and the others with their reasons."""
        table = table.with_columns(self.reason)
        table = _named_apart(_without_repeats(table))
        bad = table["reason"].is_not_null()
        if bool(bad.all()):
            required = pl.col("reason").str.extract(r"^(.*?)(?:, but |$)")
            counts = table.group_by(required.alias("what"), maintain_order=True).agg(pl.len(), pl.col("reason").first())
            top = counts.sort("len", descending=True, maintain_order=True).head(3)
            shown = "; ".join(f"{count} x {reason}" for _, count, reason in top.iter_rows())
            raise InputError(f"{self.source}: no row can be used: {shown} (the first).{_advice(table)}")
        return table.filter(~bad).select(*COLUMNS), table.filter(bad).select(*DROPPED)


def _advice(table: pl.DataFrame) -> str:
    decimal = table["reason"].str.contains(r"must be a number, but '\w+' is -?\d*,\d").any()
    return " The numbers have decimal commas: say --decimal-comma (decimal_comma=True in Python)." if decimal else ""


def _repeated(table: pl.DataFrame) -> pl.Series:
    return table.select(pl.struct("id", "SNP").is_duplicated()).to_series()


def _without_repeats(table: pl.DataFrame) -> pl.DataFrame:
    """Of rows that say the same, the first; none of rows that say different things of the same alleles."""
    one, two = pl.col("effect_allele"), pl.col("other_allele").fill_null("?")
    pair = pl.concat_str(pl.min_horizontal(one, two), pl.max_horizontal(one, two), separator="/")
    table = table.with_row_index("_row").with_columns(pair.alias("_pair"))
    good = table.filter(pl.col("reason").is_null())
    if not good.select(pl.struct("id", "SNP", "_pair").is_duplicated().any()).item():
        return table.drop("_row", "_pair")
    said = ("effect_allele", "beta", "se")
    group = ("id", "SNP", "_pair")
    found = good.with_columns(
        (pl.struct(said).n_unique().over(group) > 1).alias("_differ"),
        (pl.col("_row") != pl.col("_row").first().over(group)).alias("_later"),
        pl.len().over(group).alias("_times"),
    ).select(
        "_row",
        pl.when("_differ")
        .then(pl.format("the variant occurs in {} rows that differ", "_times"))
        .when("_later")
        .then(pl.lit("repeats an earlier row"))
        .alias("_why"),
    )
    joined = table.join(found, on="_row", how="left", maintain_order="left")
    return joined.with_columns(reason=pl.coalesce("reason", "_why")).drop("_row", "_pair", "_why")


def _named_apart(table: pl.DataFrame) -> pl.DataFrame:
    """A variant with several pairs of alleles: each pair gets a name of its own."""
    good = pl.col("reason").is_null()
    several = good & (good.sum().over("id", "SNP") > 1)
    name = pl.format("{}[{}/{}]", "SNP", pl.col("other_allele").fill_null("?"), "effect_allele")
    return table.with_columns(SNP=pl.when(several).then(name).otherwise("SNP"))


def _typed(table: pl.DataFrame, column: str, checks: _Checks) -> pl.Series:
    values, kind = table[column], COLUMNS[column]
    if kind == pl.String():
        return _text(values)
    numbers = values.cast(pl.Float64, strict=False)
    bad = (numbers.is_null() & values.is_not_null()) | ~numbers.fill_nan(None).is_finite().fill_null(True)
    checks(table, bad, f"'{column}' must be a number", column)
    numbers = numbers.set(bad, None).fill_nan(None)
    if kind == pl.Int64():
        part = (numbers % 1 != 0).fill_null(False)
        checks(table, part, f"'{column}' must be a whole number", column)
        numbers = numbers.set(part, None)
    return numbers.cast(kind)


def _text(values: pl.Series) -> pl.Series:
    if values.dtype.is_float() and bool((values.drop_nulls() % 1 == 0).all()):
        values = values.cast(pl.Int64)
    text = values.cast(pl.String).str.strip_chars()
    return text.set(text == "", None)


def _check_text(table: pl.DataFrame, checks: _Checks) -> None:
    checks(table, table["SNP"].is_null(), "every row must name a variant", "SNP")
    required = "alleles must be made of the letters A, C, G, T (or be I, D)"
    good = table["effect_allele"].str.contains(ALLELE).fill_null(False)
    checks(table, ~good, required, "effect_allele")
    good = table["other_allele"].str.contains(ALLELE).fill_null(True)
    checks(table, ~good, required, "other_allele")
    same = (table["effect_allele"] == table["other_allele"]).fill_null(False)
    checks(table, same, "the two alleles must differ", "other_allele")


def _check_numbers(table: pl.DataFrame, checks: _Checks) -> None:
    alone = table["beta"].is_not_null() & table["se"].is_null()
    checks(table, alone, "every beta must have its se", "se")
    alone = table["beta"].is_null() & table["se"].is_not_null()
    checks(table, alone, "every se must have its beta", "beta")
    checks(table, (table["se"] <= 0).fill_null(False), "a standard error must be positive", "se")
    for column in ("eaf", "pval"):
        outside = ~table[column].is_between(0, 1).fill_null(True)
        checks(table, outside, f"'{column}' must lie between 0 and 1", column)
    for column in ("samplesize", "ncase", "ncontrol"):
        checks(table, (table[column] <= 0).fill_null(False), f"'{column}' must be positive", column)


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
