"""What the id of a variant says: its place and alleles, where it is 1:1000:A:G or the like."""

from __future__ import annotations

import polars as pl

__all__ = ["base_id", "chromosome_name", "position_of_id"]

_PLACED = r"^(?:chr)?([0-9A-Za-z]+)[:_](\d+)(?:[:_]([A-Za-z]+)[:_/]([A-Za-z]+))?(?:[:_]b3[78])?$"
_CHROMOSOMES = {"23": "X", "24": "Y", "25": "XY", "26": "MT", "M": "MT"}
"""PLINK's numbers."""


def position_of_id(ids: pl.Series) -> pl.DataFrame:
    """Place and alleles (`chr, pos, ref, alt`, texts) of ids such as chr1:1000:A:G or 1_1000_A_G; null for others.

    Examples
    --------
    >>> position_of_id(pl.Series(["rs1", "chr1:1000:A:G", "X_5"])).rows()
    [(None, None, None, None), ('1', '1000', 'A', 'G'), ('X', '5', None, None)]
    """
    parts = {"chr": 1, "pos": 2, "ref": 3, "alt": 4}
    frame = ids.to_frame("id")
    return frame.select(pl.col("id").str.extract(_PLACED, place).alias(name) for name, place in parts.items())


def chromosome_name(name: pl.Expr) -> pl.Expr:
    """A chromosome as every tool's files have it: chr01 and 1, 23 and X are the same."""
    return name.str.to_uppercase().str.replace(r"^CHR", "").str.replace(r"^0(\d)$", "$1").replace(_CHROMOSOMES)


def base_id(name: pl.Expr) -> pl.Expr:
    """The id without the alleles that tell several pairs of one variant apart: rs1 of rs1[G/A]."""
    return name.str.replace(r"\[[^\]]*\]$", "")
