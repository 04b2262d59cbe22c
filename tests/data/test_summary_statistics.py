from __future__ import annotations

import polars as pl
import pytest

from invarmr.data.summary_statistics import COLUMNS, SummaryStatistics
from invarmr.errors import InputError

ROWS = {
    "SNP": ["rs1", "rs2"],
    "effect_allele": ["a", "C"],
    "other_allele": ["g", "T"],
    "beta": [0.1, -0.2],
    "se": [0.05, 0.1],
}


def table(**changes: list[object]) -> SummaryStatistics:
    return SummaryStatistics.from_frame(pl.DataFrame(ROWS | changes, strict=False), name="LDL", source="ldl.tsv")


def test_every_column_is_there_and_the_p_value_is_computed():
    frame = table().frame
    assert frame.columns == list(COLUMNS)
    assert frame["effect_allele"].to_list() == ["A", "C"]
    assert frame["pval"].to_list() == pytest.approx([0.0455002639] * 2)
    assert table().ids == ("LDL",)
    assert str(table()) == "SummaryStatistics: 2 variants of LDL"


def test_a_stated_p_value_stays_and_a_row_without_effect_is_allowed():
    frame = table(pval=[None, 0.3], beta=[None, -0.2], se=[None, 0.1]).frame
    assert frame["pval"].to_list() == [None, 0.3]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"se": [None, 0.1]}, r"ldl.tsv: every beta must have its se, but in 'se' row 1 \(rs1\) has nothing"),
        ({"beta": [0.1, None]}, r"every se must have its beta, but in 'beta' row 2 \(rs2\)"),
        ({"effect_allele": ["N", "C"]}, r"alleles must be made of .* row 1 \(rs1\) has 'N'"),
        ({"other_allele": ["N", "T"]}, r"alleles must be made of .* row 1 \(rs1\) has 'N'"),
        ({"other_allele": ["A", "T"]}, r"the two alleles must differ, .* row 1 \(rs1\) has 'A'"),
        ({"se": [0.05, -0.1]}, r"a standard error must be positive, but in 'se' row 2 \(rs2\) has -0.1"),
        ({"beta": ["0.1", "high"]}, r"'beta' must be a number, but in 'beta' row 2 \(rs2\) has 'high'"),
        ({"SNP": ["rs1", "rs1"]}, r"a variant must occur once per trait, .* row 1 \(rs1\) has 'rs1', row 2 \(rs1\)"),
        ({"SNP": [None, "rs1"]}, r"every row must name a variant"),
        ({"eaf": [0.2, 1.2]}, r"'eaf' must lie between 0 and 1"),
        ({"samplesize": [100, 0]}, r"'samplesize' must be positive"),
        ({"pos": [1.5, 2]}, r"'pos' must be a whole number"),
    ],
)
def test_one_message_names_what_is_wrong_and_the_rows(changes: dict[str, list[object]], message: str):
    with pytest.raises(InputError, match=message):
        table(**changes)


def test_only_the_first_five_rows_are_named():
    rows = {name: values[:1] * 8 for name, values in ROWS.items()} | {
        "SNP": [f"rs{i}" for i in range(8)],
        "se": [-1] * 8,
    }
    with pytest.raises(InputError, match=r"row 5 \(rs4\) has -1.0 and 3 more"):
        SummaryStatistics.from_frame(pl.DataFrame(rows))


def test_missing_columns_are_named():
    with pytest.raises(InputError, match=r"but se is missing. It has: SNP, effect_allele, other_allele, beta"):
        SummaryStatistics.from_frame(pl.DataFrame(ROWS).drop("se"))
    with pytest.raises(InputError, match="no rows"):
        SummaryStatistics.from_frame(pl.DataFrame(ROWS).clear())


def test_the_same_variant_may_serve_two_traits():
    assert table(SNP=["rs1", "rs1"], id=["a", "b"]).ids == ("a", "b")
