"""GWAS summary statistics from files, whatever the tool that wrote them and whatever their size.

The layouts are those of `summary_formats`. A file is read in blocks; of each, rows that are wanted are kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import polars as pl
from scipy import special

from invarmr.data.summary_statistics import COLUMNS, DROPPED, SummaryStatistics
from invarmr.data.variant_ids import base_id, position_of_id
from invarmr.errors import InputError
from invarmr.io.delimited import existing_file
from invarmr.io.summary_columns import Recognised, recognise
from invarmr.io.summary_rows import restated
from invarmr.io.summary_vcf import EXPANDED, expanded, is_vcf, traits_of
from invarmr.io.table_format import file_kind
from invarmr.io.tables import as_polars, read_table
from invarmr.io.text_blocks import MISSING_TEXTS, TextTable

__all__ = ["LAYOUTS", "Layout", "Wanted", "read_summary_statistics", "write_summary_statistics"]

Layout = Literal["TwoSampleMR", "GWAS-SSF"]
LAYOUTS: dict[Layout, dict[str, str]] = {
    "TwoSampleMR": {column: column for column in COLUMNS},
    "GWAS-SSF": {
        "chr": "chromosome",
        "pos": "base_pair_location",
        "effect_allele": "effect_allele",
        "other_allele": "other_allele",
        "beta": "beta",
        "se": "standard_error",
        "eaf": "effect_allele_frequency",
        "pval": "p_value",
        "SNP": "rsid",
        "samplesize": "n",
    },
}
"""Our columns in the order and under the names of each layout that can be written."""

_SEVERAL = r"[,;]"


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which rows of a large file are kept; a row is kept for any of the three reasons.

    Parameters
    ----------
    ids
        Variant ids.
    positions
        Positions as texts; chromosome and alleles are compared later, when studies are harmonised.
    p_below
        Rows with a smaller p-value, or with one that cannot be read.
    """

    ids: pl.Series
    positions: pl.Series
    p_below: float | None = None

    @classmethod
    def like(cls, statistics: SummaryStatistics | None, *, p_below: float | None = None) -> Wanted:
        """The variants of another study, and those below a p-value."""
        if statistics is None:
            return cls(ids=pl.Series([], dtype=pl.String), positions=pl.Series([], dtype=pl.String), p_below=p_below)
        ids = statistics.frame.select(base_id(pl.col("SNP"))).to_series()
        placed = pl.concat([statistics.frame["pos"].cast(pl.String), position_of_id(ids)["pos"]])
        return cls(ids=ids.unique(maintain_order=True), positions=placed.drop_nulls().unique(), p_below=p_below)


def read_summary_statistics(
    table: str | Path | object,
    *,
    name: str | None = None,
    columns: Mapping[str, str] | None = None,
    strict: bool = False,
    decimal_comma: bool = False,
    group: str | None = None,
    wanted: Wanted | None = None,
) -> SummaryStatistics:
    """Read the associations of variants with a trait.

    Parameters
    ----------
    table
        A file: text of any separator and name, also packed by gzip, bgzip or zstandard; OpenGWAS VCF; parquet or
        feather; or a polars or pandas data frame. Its layout is told by its header (`FORMATS` of
        `invarmr.io.summary_formats`, which says for each which allele is counted, and where that is documented); a
        suffix `.exposure` or `.outcome` is dropped. A ratio becomes its logarithm. What is missing is made from what
        is there: ids from chr:pos:other:effect, standard errors from the 95 % interval, from Z or from the p-value,
        effects from Z, sample size and frequency (in standard deviations of the trait; said in `notes`).
    name
        Phenotype of rows that state none; the file's name by default.
    columns
        What the header does not say: {"effect_allele": "A2", "other_allele": "A1", "beta": "my_effect"}. Goes first.
    strict
        Refuse a table for one bad row; otherwise such rows go to `dropped`, each with its line and reason.
    decimal_comma
        Whether 1,5 is one and a half.
    group
        Ancestry group, for tables with columns for several (Pan-UKB): "eur", "meta".
    wanted
        Rows to keep of a large file; None keeps all.

    Returns
    -------
    SummaryStatistics
        One row per usable line.

    Raises
    ------
    InputError
        A file that cannot be used as a whole: no known layout, an effect allele that the header does not settle, or no
        usable row; with `strict`, a bad row. Or `columns` names a column that is not there.

    Examples
    --------
    >>> regenie = {"ID": ["rs1"], "GENPOS": [5], "ALLELE0": ["A"], "ALLELE1": ["G"], "A1FREQ": [0.3], "BETA": [0.1],
    ...            "SE": [0.02], "LOG10P": [6.2]}
    >>> read_summary_statistics(regenie, name="BMI").frame.select("SNP", "effect_allele", "Phenotype").row(0)
    ('rs1', 'G', 'BMI')
    """
    opened = _open(table)
    recognised = recognise(opened.header, source=opened.source, columns=columns, group=group)
    rows = _Rows(opened.source)
    for raw, bad_lines in opened.blocks(recognised, wanted):
        rows.example = rows.example or _example(raw, recognised)
        rows.add(_picked(raw, recognised, wanted, decimal_comma=decimal_comma), recognised, decimal_comma=decimal_comma)
        rows.bad_lines += bad_lines
    return rows.statistics(name=name or opened.name, strict=strict, wanted=wanted, layout=recognised)


@dataclass(frozen=True)
class _Opened:
    """A table in blocks, whatever it is."""

    source: str
    name: str
    header: tuple[str, ...]
    text: TextTable | None = None
    frame: pl.DataFrame | None = None

    def blocks(
        self, recognised: Recognised, wanted: Wanted | None
    ) -> Iterator[tuple[pl.DataFrame, tuple[tuple[int, str], ...]]]:
        names = set(recognised.columns.values())
        if self.frame is not None:
            frame = self.frame.select(name for name in self.frame.columns if name in names)
            yield frame.with_row_index("line", offset=1).with_columns(pl.col("line").cast(pl.Int64)), ()
        elif self.text is not None and is_vcf(self.text.header):
            traits = traits_of(self.text.header)
            fixed = Recognised(layout=recognised.layout, columns={"SNP": "ID", "pos": "POS"})
            for block in self.text.blocks(("CHROM", "POS", "ID", "REF", "ALT", "FORMAT", *traits)):
                by_place = None if wanted is None else replace(wanted, p_below=None)
                raw = block.frame
                if wanted is not None and wanted.p_below is None:
                    raw = _picked(raw, fixed, by_place, decimal_comma=False)
                yield expanded(raw, traits), block.bad_lines
        elif self.text is not None:
            for block in self.text.blocks(names):
                yield block.frame, block.bad_lines


def _open(table: str | Path | object) -> _Opened:
    if not isinstance(table, str | Path):
        frame = as_polars(table)
        if frame.height == 0:
            raise InputError("summary statistics: at least one variant was required, but the table has no rows.")
        return _Opened("summary statistics", "trait", tuple(frame.columns), frame=_without_codes(frame))
    path = existing_file(table, "summary statistics")
    name = path.name.split(".")[0] if path.suffix in (".gz", ".bgz", ".zst") else path.stem
    name = name.removesuffix(".vcf")
    if file_kind(path) in ("parquet", "arrow"):
        frame = read_table(path)
        return _Opened(str(path), name, tuple(frame.columns), frame=_without_codes(frame))
    text = TextTable.open(path)
    header = EXPANDED if is_vcf(text.header) else text.header
    return _Opened(str(path), name, header, text=text)


def _without_codes(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(pl.col(pl.String).replace(dict.fromkeys(MISSING_TEXTS)))


def _picked(raw: pl.DataFrame, recognised: Recognised, wanted: Wanted | None, *, decimal_comma: bool) -> pl.DataFrame:
    """The rows that are wanted; a list of ids (rs1,rs2) becomes the one that is."""
    if wanted is None:
        return raw
    found = recognised.columns
    keep = pl.repeat(False, raw.height, dtype=pl.Boolean, eager=True)
    if "SNP" in found:
        name = found["SNP"]
        ids = raw[name].cast(pl.String)
        keep |= ids.is_in(wanted.ids.implode()).fill_null(False)
        listed = ids.str.contains(_SEVERAL).fill_null(False)
        if bool(listed.any()):
            one = ids.filter(listed).str.replace_all(";", ",").str.split(",")
            hit = one.list.eval(pl.element().filter(pl.element().is_in(wanted.ids.implode()))).list.first()
            chosen = pl.DataFrame({"at": listed.arg_true(), "hit": hit}).filter(pl.col("hit").is_not_null())
            ids = ids.scatter(chosen["at"], chosen["hit"])
            keep = keep.scatter(chosen["at"], True)
            raw = raw.with_columns(ids.alias(name))
        if bool(ids.head(1000).str.contains(r"^rs\d+:").any()):
            keep |= ids.str.extract(r"^(rs\d+):").is_in(wanted.ids.implode()).fill_null(False)
    keep |= _places(raw, found).is_in(wanted.positions.implode()).fill_null(False)
    if wanted.p_below is not None:
        keep |= _small(raw, found, wanted.p_below, decimal_comma=decimal_comma)
    return raw.filter(keep)


def _example(raw: pl.DataFrame, recognised: Recognised) -> str:
    """The id of the first row, for messages."""
    name = recognised.columns.get("SNP", recognised.columns.get("variant", recognised.columns.get("pos", "")))
    return "" if not raw.height or not name else str(raw[name][0])


def _places(raw: pl.DataFrame, found: Mapping[str, str]) -> pl.Series:
    if "pos" in found:
        return raw[found["pos"]].cast(pl.String)
    name = found.get("variant", found.get("SNP"))
    if name is None or not bool(raw[name].cast(pl.String).head(1000).str.contains(r"^[^:_]+[:_]\d+").any()):
        return pl.repeat(None, raw.height, dtype=pl.String, eager=True)
    return raw[name].cast(pl.String).str.extract(r"^[^:_]+[:_](\d+)")


def _small(raw: pl.DataFrame, found: Mapping[str, str], bound: float, *, decimal_comma: bool) -> pl.Series:
    """Rows with a p-value below the bound, or without one that can be read."""

    def number(field: str) -> pl.Expr:
        if field not in found:
            return pl.lit(None, pl.Float64)
        cells = pl.col(found[field])
        return (cells.cast(pl.String).str.replace(",", ".") if decimal_comma else cells).cast(pl.Float64, strict=False)

    ln = number("ln_p")
    p = pl.coalesce(
        number("pval"),
        10.0 ** -number("minus_log10_p").abs(),
        pl.when(ln < 0).then(ln.exp()).otherwise(ln),
    )
    z = pl.coalesce(number("z"), number("beta") / number("se")).abs()
    from_z = (z > -float(special.ndtri(bound / 2))).fill_null(True)
    return raw.select(pl.when(p.is_null()).then(from_z).otherwise(p < bound)).to_series()


class _Rows:
    """What is kept of a file."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.parts: list[pl.DataFrame] = []
        self.made: dict[str, int] = {}
        self.other_tests: dict[str, int] = {}
        self.bad_lines: tuple[tuple[int, str], ...] = ()
        self.example = ""

    def add(self, raw: pl.DataFrame, recognised: Recognised, *, decimal_comma: bool) -> None:
        """Rows of a block, already picked."""
        rows = restated(raw, recognised, decimal_comma=decimal_comma)
        for total, part in ((self.made, rows.made), (self.other_tests, rows.other_tests)):
            for name, count in part.items():
                total[name] = total.get(name, 0) + count
        if rows.frame.height:
            self.parts.append(rows.frame)

    def statistics(self, *, name: str, strict: bool, wanted: Wanted | None, layout: Recognised) -> SummaryStatistics:
        """Check all rows together."""
        if strict and self.bad_lines:
            line, reason = self.bad_lines[0]
            raise InputError(
                f"{self.source}: line {line}: {reason} ({len(self.bad_lines)} such lines). Mend these lines."
            )
        if not self.parts:
            raise InputError(f"{self.source}: {self._why_none(name, wanted)}")
        frame = pl.concat(self.parts, how="vertical_relaxed")
        bad_rows: Literal["refuse", "drop"] = "refuse" if strict else "drop"
        found = SummaryStatistics.from_frame(frame, name=name, source=self.source, bad_rows=bad_rows)
        lines = pl.DataFrame(
            [(None, name, line, reason) for line, reason in self.bad_lines], schema=DROPPED, orient="row"
        )
        return SummaryStatistics(found.frame, pl.concat([found.dropped, lines]), tuple(self._notes(layout)))

    def _why_none(self, name: str, wanted: Wanted | None) -> str:
        if self.other_tests:
            return f"only rows of TEST = ADD are read, but there are only {', '.join(self.other_tests)}."
        if self.bad_lines:
            return f"no line can be used: line {self.bad_lines[0][0]}: {self.bad_lines[0][1]}."
        if wanted is None or not self.example:
            return "at least one variant was required, but the table has no rows."
        if not wanted.ids.len():
            return f"no variant of {name} has a p-value below {wanted.p_below:g}. Raise --p-value."
        hint = "" if wanted.positions.len() else " The other file has no positions to match by: add chr and pos to it."
        return (
            f"the two studies must have variants in common, but none of the {wanted.ids.len()} variants of the other "
            f"file is here: its ids are like '{wanted.ids[0]}', here they are like '{self.example}'.{hint}"
        )

    def _notes(self, layout: Recognised) -> Iterator[str]:
        for what, count in self.made.items():
            units = ": they are in standard deviations of the trait, not in its units" if "made from Z" in what else ""
            yield f"{count} {what}{units}"
        if self.other_tests:
            shown = ", ".join(f"{count} of {test}" for test, count in self.other_tests.items())
            yield f"rows of other tests than ADD were left out: {shown}"
        if layout.group is not None:
            yield f"columns of {layout.group}"


def write_summary_statistics(
    statistics: SummaryStatistics, path: str | Path, *, layout: Layout = "TwoSampleMR"
) -> Path:
    """Write associations as a tab-separated table that other tools read.

    Parameters
    ----------
    statistics
        Of one trait or several.
    path
        File to write.
    layout
        "TwoSampleMR": its column names, empty where unknown. "GWAS-SSF": the columns of the GWAS Catalog's standard,
        `#NA` where unknown, and without the variants that have no association.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    InputError
        An unknown layout.

    References
    ----------
    Hayhurst et al. (2022). A community driven GWAS summary statistics standard. bioRxiv 2022.07.15.500230.
    """
    if layout not in LAYOUTS:
        raise InputError(f"layout must be one of {', '.join(LAYOUTS)}, but is {layout!r}.")
    frame = statistics.frame.select(pl.col(ours).alias(there) for ours, there in LAYOUTS[layout].items())
    if layout == "GWAS-SSF":
        frame = frame.filter(pl.col("beta").is_not_null()).with_columns(pl.col("n").cast(pl.Int64))
    path = Path(path)
    frame.write_csv(path, separator="\t", null_value="#NA" if layout == "GWAS-SSF" else "")
    return path
