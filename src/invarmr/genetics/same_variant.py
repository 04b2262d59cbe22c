"""The same variant under two names: matched by position and alleles where ids differ.

Symbols: none. A pair of alleles is the same on either strand; a place is compared only where both files can be of one
genome build, which the variants that they name alike show.
"""

from __future__ import annotations

import polars as pl

from invarmr.data.variant_ids import base_id, chromosome_name, position_of_id

__all__ = ["LISTED_AS", "named_as", "why_no_common"]

LISTED_AS = "_listed_as"
"""Column with the id that a renamed row had."""
_OTHER_STRAND = {"A": "T", "T": "A", "C": "G", "G": "C"}
_SAME_BUILD = 0.9


def named_as(frame: pl.DataFrame, reference: pl.DataFrame) -> pl.DataFrame:
    """Give rows the ids that another study has for the same variants.

    Parameters
    ----------
    frame
        Rows of `SummaryStatistics.frame`.
    reference
        Those of the study whose ids are taken.

    Returns
    -------
    polars.DataFrame
        `frame` with `SNP` changed where the id is not one of the reference's, but the variant is: the same rs id with
        the same alleles (of several pairs), else the same chromosome, position and alleles; and the column
        `LISTED_AS`, null for rows that kept their id. Positions are taken from ids where there are none, and not
        compared where fewer than nine in ten of the variants named alike lie at the same place: the genome builds
        differ then.

    Examples
    --------
    >>> here = {"id": "bmi", "SNP": "1:500:G:A", "effect_allele": "A", "other_allele": "G", "chr": None, "pos": None}
    >>> there = here | {"SNP": "rs7", "chr": "1", "pos": 500}
    >>> schema = {"chr": pl.String, "pos": pl.Int64}
    >>> tables = (pl.DataFrame([row], schema_overrides=schema) for row in (here, there))
    >>> named_as(*tables).select("SNP", LISTED_AS).row(0)
    ('rs7', '1:500:G:A')
    """
    known = frame["SNP"].is_in(reference["SNP"].implode())
    plain = frame.with_columns(pl.lit(None, pl.String).alias(LISTED_AS))
    there = reference.filter(~pl.col("SNP").is_in(frame["SNP"].implode()))
    if bool(known.all()) or there.height == 0:
        return plain
    left = _keys(there.unique("SNP", maintain_order=True)).rename({"SNP": "_name"})
    right = _keys(frame.with_row_index("_row").filter(~known))
    ways = [["_base", "_pair"]]
    if _one_build(frame.filter(known), reference):
        ways.append(["_chr", "_pos", "_pair"])
    found = []
    for on in ways:
        keys = left.drop_nulls(on).unique(on, keep="first", maintain_order=True).select("_name", *on)
        found.append(right.drop_nulls(on).join(keys, on=on).select("_row", "id", "_name"))
    names = pl.concat(found).unique("_row", keep="first", maintain_order=True)
    names = names.unique(["id", "_name"], keep="first", maintain_order=True).select("_row", "_name")
    joined = plain.with_row_index("_row").join(names, on="_row", how="left", maintain_order="left")
    renamed = pl.col("_name").is_not_null()
    return joined.with_columns(
        pl.when(renamed).then("SNP").alias(LISTED_AS), pl.coalesce("_name", "SNP").alias("SNP")
    ).drop("_row", "_name")


def why_no_common(here: pl.DataFrame, there: pl.DataFrame) -> str:
    """Why two studies share no variant, as far as their ids and positions show, and what to do."""
    shown = [f"'{frame['SNP'][0]}'" for frame in (here, there)]
    placed = [_keys(frame.head(1000))["_pos"].is_not_null().any() for frame in (here, there)]
    if all(placed):
        return f"Ids are like {shown[0]} and {shown[1]}; positions do not agree either: are both of one genome build?"
    lacking = [name for name, has in zip(("exposure", "outcome"), placed, strict=True) if not has]
    return (
        f"Ids are like {shown[0]} and {shown[1]}; by position they cannot be matched, because the "
        f"{' and the '.join(lacking)} has none. Add the columns chr and pos to it, or ids of the other kind."
    )


def _keys(frame: pl.DataFrame) -> pl.DataFrame:
    place = position_of_id(frame["SNP"])
    one, two = pl.col("effect_allele"), pl.col("other_allele")
    here = _pair(one, two)
    turned = _pair(one.replace_strict(_OTHER_STRAND, default=None), two.replace_strict(_OTHER_STRAND, default=None))
    kept = [name for name in ("_row", "id", "SNP") if name in frame.columns]
    return frame.with_columns(_id_chr=place["chr"], _id_pos=place["pos"]).select(
        *kept,
        base_id(pl.col("SNP")).alias("_base"),
        chromosome_name(pl.coalesce("chr", "_id_chr")).alias("_chr"),
        pl.coalesce(pl.col("pos").cast(pl.Int64), pl.col("_id_pos").cast(pl.Int64, strict=False)).alias("_pos"),
        pl.min_horizontal(here, turned).alias("_pair"),
    )


def _pair(one: pl.Expr, two: pl.Expr) -> pl.Expr:
    text = pl.concat_str(pl.min_horizontal(one, two), pl.max_horizontal(one, two), separator="/")
    return pl.when(one.is_not_null() & two.is_not_null()).then(text)


def _one_build(known: pl.DataFrame, reference: pl.DataFrame) -> bool:
    places = ("SNP", "chr", "pos")
    both = known.select(places).join(reference.select(places).unique("SNP"), on="SNP").drop_nulls()
    if both.height == 0:
        return True
    same = (pl.col("pos") == pl.col("pos_right")) & (
        chromosome_name(pl.col("chr")) == chromosome_name(pl.col("chr_right"))
    )
    return float(both.select(same.mean()).item()) >= _SAME_BUILD
