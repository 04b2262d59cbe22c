from __future__ import annotations

import polars as pl

from invarmr.data.summary_statistics import SummaryStatistics
from invarmr.genetics.harmonise import harmonise
from invarmr.genetics.same_variant import LISTED_AS, named_as, why_no_common


def _study(rows: list[tuple[str, str, str, str | None, int | None]], name: str = "x") -> SummaryStatistics:
    frame = pl.DataFrame(
        rows,
        schema={
            "SNP": pl.String, "effect_allele": pl.String, "other_allele": pl.String, "chr": pl.String, "pos": pl.Int64,
        },
        orient="row",
    )  # fmt: skip
    return SummaryStatistics.from_frame(frame.with_columns(beta=0.1, se=0.01, eaf=0.2), name=name, bad_rows="drop")


def _names(here: SummaryStatistics, there: SummaryStatistics) -> list[tuple[str, str | None]]:
    return named_as(here.frame, there.frame).select("SNP", LISTED_AS).rows()


def test_alleles_are_the_same_on_either_strand_and_in_either_order():
    there = _study([("rs1", "A", "G", "1", 5)])
    for effect, other in (("A", "G"), ("G", "A"), ("T", "C"), ("C", "T")):
        assert _names(_study([("m", effect, other, "chr01", 5)]), there) == [("rs1", "m")]
    for effect, other in (("A", "T"), ("AG", "G"), ("A", "C")):
        assert _names(_study([("m", effect, other, "1", 5)]), there) == [("m", None)]
    assert _names(_study([("m", "A", "G", "1", 6), ("n", "A", "G", "2", 5)]), there) == [("m", None), ("n", None)]


def test_ids_that_are_shared_stay_and_lead():
    there = _study([("rs1", "A", "G", "1", 5), ("rs2", "A", "G", "1", 6)])
    assert _names(_study([("rs1", "A", "G", "1", 5), ("m", "G", "A", "1", 6)]), there) == [("rs1", None), ("rs2", "m")]
    # the same place as rs1, which has its own row already
    assert _names(_study([("rs1", "A", "G", "1", 5), ("m", "A", "G", "1", 5)]), there) == [("rs1", None), ("m", None)]


def test_positions_of_another_build_are_not_compared():
    there = _study([(f"rs{i}", "A", "G", "1", i) for i in range(20)])
    moved = [(f"rs{i}", "A", "G", "1", i + 1) for i in range(19)] + [("m", "A", "G", "1", 19)]
    assert _names(_study(moved), there)[-1] == ("m", None)
    same = [(f"rs{i}", "A", "G", "1", i) for i in range(19)]
    assert _names(_study([*same, moved[-1]]), there)[-1] == ("rs19", "m")


def test_of_several_pairs_of_alleles_the_one_that_fits_is_taken():
    several = [("rs1", "T", "G", "1", 5), ("rs1", "A", "G", "1", 5)]
    here, there = _study([("rs1", "A", "G", None, None)]), _study(several)
    assert _names(there, here) == [("rs1[G/T]", None), ("rs1", "rs1[G/A]")]
    assert _names(here, there) == [("rs1[G/A]", "rs1")]
    found = harmonise(here, there)
    assert found.frame.select("SNP", "effect_allele.outcome", "mr_keep").rows() == [("rs1", "A", True)]


def test_why_nothing_is_shared():
    placed, plain = _study([("1:5:A:G", "A", "G", None, None)]), _study([("rs1", "A", "G", None, None)])
    assert "because the outcome has none. Add the columns chr and pos" in why_no_common(placed.frame, plain.frame)
    assert "of one genome build?" in why_no_common(placed.frame, placed.frame)
