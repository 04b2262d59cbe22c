"""OpenGWAS VCF: the FORMAT fields of each trait as columns.

Source: Lyon et al. (2021), Genome Biology 22:32. ES effect of ALT, SE its standard error, LP -log10 p, AF frequency of
ALT, SS sample size, NC cases, EZ Z score, ID the study's own variant id.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

__all__ = ["EXPANDED", "expanded", "is_vcf", "traits_of"]

FIXED = ("CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT")
KEYS = {"ES": "vcf_effect", "SE": "SE", "LP": "LP", "AF": "AF", "SS": "SS", "NC": "NC", "EZ": "EZ"}
EXPANDED = ("CHROM", "POS", "ID", "REF", "ALT", *KEYS.values(), "vcf_sample")
"""Columns after expanding."""


def is_vcf(header: Sequence[str]) -> bool:
    """Whether a header, its `#` dropped, is that of a VCF with FORMAT columns."""
    return tuple(header[: len(FIXED)]) == FIXED and len(header) > len(FIXED)


def traits_of(header: Sequence[str]) -> list[str]:
    """Names of the sample columns: one a trait."""
    return list(header[len(FIXED) :])


def expanded(frame: pl.DataFrame, traits: Sequence[str]) -> pl.DataFrame:
    """One row for each line and trait, with the columns `EXPANDED` and `line`.

    Parameters
    ----------
    frame
        CHROM, POS, ID, REF, ALT, FORMAT, the columns of the traits, and `line`.
    traits
        Names of those columns.

    Examples
    --------
    >>> row = {"CHROM": "1", "POS": "5", "ID": "rs1", "REF": "A", "ALT": "G", "FORMAT": "ES:SE:LP", "line": 9}
    >>> expanded(pl.DataFrame(row | {"bmi": "0.1:0.02:6.2"}), ["bmi"]).select("vcf_effect", "LP", "AF").row(0)
    ('0.1', '6.2', None)
    """
    parts = []
    for (keys,), rows in frame.group_by("FORMAT", maintain_order=True):
        places = {key: place for place, key in enumerate(str(keys).split(":"))}
        for trait in traits:
            values = pl.col(trait).str.split(":")
            cells = [_cell(values, places.get(key)).alias(name) for key, name in KEYS.items()]
            own_id = _cell(values, places.get("ID"))
            places_of_row = ("CHROM", "POS", pl.coalesce("ID", own_id).alias("ID"), "REF", "ALT")
            parts.append(rows.select(*places_of_row, *cells, pl.lit(trait).alias("vcf_sample"), "line"))
    if not parts:
        return pl.DataFrame(schema={**dict.fromkeys(EXPANDED, pl.String), "line": pl.Int64})
    return pl.concat(parts).sort("line", maintain_order=True)


def _cell(values: pl.Expr, place: int | None) -> pl.Expr:
    if place is None:
        return pl.lit(None, pl.String)
    cell = values.list.get(place, null_on_oob=True)
    return pl.when(cell != ".").then(cell)
