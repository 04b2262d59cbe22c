from __future__ import annotations

import time

import numpy as np
import polars as pl
import pytest

from invarmr.data.harmonised import HarmonisedStatistics
from invarmr.data.summary_statistics import SummaryStatistics
from invarmr.errors import InputError
from invarmr.genetics.harmonise import harmonise

Row = tuple[str, str | None, float, float | None]


def study(rows: list[Row], name: str = "x") -> SummaryStatistics:
    effect, other, beta, eaf = zip(*rows, strict=True)
    frame = pl.DataFrame(
        {
            "SNP": [f"rs{i}" for i in range(len(rows))],
            "effect_allele": effect,
            "other_allele": other,
            "beta": beta,
            "eaf": eaf,
        },
        schema_overrides={"other_allele": pl.String, "eaf": pl.Float64, "beta": pl.Float64},
    )
    return SummaryStatistics.from_frame(
        frame.with_columns(se=pl.when(pl.col("beta").is_not_null()).then(0.1)), name=name
    )


def one(exposure: Row, outcome: Row, mode: object = 2) -> dict[str, object]:
    frame = harmonise(study([exposure], "x"), study([outcome], "y"), mode).frame  # type: ignore[arg-type]
    row = frame.row(0, named=True)
    alleles = row["effect_allele.outcome"] + "/" + row["other_allele.outcome"]
    return {
        "beta": row["beta.outcome"],
        "eaf": row["eaf.outcome"],
        "alleles": alleles,
        **{name: row[name] for name in ("palindromic", "ambiguous", "remove", "mr_keep", "reason")},
    }


@pytest.mark.parametrize(
    ("outcome", "beta", "eaf", "reason"),
    [
        (("A", "G", 1.0, 0.3), 1.0, 0.3, ""),
        (("G", "A", 1.0, 0.7), -1.0, 0.3, ""),
        (("T", "C", 1.0, 0.3), 1.0, 0.3, "matched on the other strand: T/C in the outcome"),
        (("C", "T", 1.0, 0.7), -1.0, 0.3, "matched on the other strand: C/T in the outcome"),
    ],
)
def test_alleles_match_swap_and_turn(outcome: Row, beta: float, eaf: float, reason: str):
    row = one(("A", "G", 1.0, 0.3), outcome)
    assert (row["beta"], row["eaf"], row["alleles"], row["reason"]) == (beta, pytest.approx(eaf), "A/G", reason)
    assert row["mr_keep"]


@pytest.mark.parametrize(
    ("pair", "f_exposure", "f_outcome", "beta", "kept"),
    [
        (("A", "T"), 0.3, 0.3, 1.0, (True, True, False)),
        (("A", "T"), 0.3, 0.7, -1.0, (True, True, False)),
        (("T", "A"), 0.3, 0.7, -1.0, (True, True, False)),
        (("T", "A"), 0.3, 0.3, 1.0, (True, True, False)),
        (("A", "T"), 0.3, 0.45, 1.0, (True, False, False)),
        (("A", "T"), 0.5, 0.3, 1.0, (True, False, False)),
        (("A", "T"), None, 0.3, 1.0, (True, False, False)),
        (("A", "T"), 0.42, 0.58, -1.0, (True, True, False)),
    ],
)
def test_palindromic_pairs_in_the_three_modes(
    pair: tuple[str, str], f_exposure: float | None, f_outcome: float, beta: float, kept: tuple[bool, ...]
):
    rows = [one(("A", "T", 1.0, f_exposure), (*pair, 1.0, f_outcome), mode) for mode in (1, 2, 3)]
    assert tuple(row["mr_keep"] for row in rows) == kept
    assert all(row["palindromic"] for row in rows)
    assert rows[1]["beta"] == beta
    assert rows[0]["beta"] == (1.0 if pair == ("A", "T") else -1.0)
    assert all(row["reason"] for row in rows if not row["mr_keep"])


def test_modes_have_names_and_numbers():
    for name, number in (("forward", 1), ("infer", 2), ("drop", 3)):
        assert one(("A", "T", 1.0, 0.3), ("A", "T", 1.0, 0.7), name) == one(
            ("A", "T", 1.0, 0.3), ("A", "T", 1.0, 0.7), number
        )


def test_alleles_that_do_not_fit_are_removed_with_the_reason():
    row = one(("A", "G", 1.0, 0.3), ("A", "C", 1.0, 0.3))
    assert (row["remove"], row["mr_keep"]) == (True, False)
    assert row["reason"] == "alleles A/G in the exposure, A/C in the outcome"
    assert row["alleles"] == "A/C"
    assert not one(("A", "AT", 1.0, 0.3), ("T", "TA", 1.0, 0.3))["mr_keep"]


@pytest.mark.parametrize(
    ("exposure", "outcome", "beta"),
    [
        (("AT", "A"), ("AT", "A"), 1.0),
        (("AT", "A"), ("A", "AT"), -1.0),
        (("I", "D"), ("AT", "A"), 1.0),
        (("I", "D"), ("A", "AT"), -1.0),
        (("AT", "A"), ("D", "I"), -1.0),
        (("D", "I"), ("D", "I"), 1.0),
        (("D", "I"), ("I", "D"), -1.0),
    ],
)
def test_insertions_and_deletions(exposure: tuple[str, str], outcome: tuple[str, str], beta: float):
    row = one((*exposure, 1.0, 0.3), (*outcome, 1.0, 0.3 if beta > 0 else 0.7))
    assert (row["beta"], row["mr_keep"]) == (beta, True)


@pytest.mark.parametrize(
    ("exposure", "outcome", "beta", "keep"),
    [
        (("A", "G", 1.0, 0.3), ("A", None, 1.0, 0.3), 1.0, True),
        (("A", "G", 1.0, 0.3), ("G", None, 1.0, 0.7), -1.0, True),
        (("A", "G", 1.0, 0.3), ("A", None, 1.0, 0.7), 1.0, False),
        (("A", "G", 1.0, 0.3), ("A", None, 1.0, None), 1.0, False),
        (("A", "G", 1.0, 0.3), ("T", None, 1.0, 0.3), 1.0, False),
        (("A", "T", 1.0, 0.3), ("A", None, 1.0, 0.3), 1.0, False),
        (("A", None, 1.0, 0.3), ("A", "G", 1.0, 0.3), 1.0, True),
        (("A", None, 1.0, 0.3), ("G", "A", 1.0, 0.7), -1.0, True),
        (("A", None, 1.0, 0.3), ("A", "T", 1.0, 0.3), 1.0, False),
        (("A", None, 1.0, 0.3), ("A", None, 1.0, 0.3), 1.0, True),
        (("A", None, 1.0, 0.3), ("G", None, 1.0, 0.7), 1.0, False),
    ],
)
def test_a_missing_other_allele_needs_the_frequencies(exposure: Row, outcome: Row, beta: float, keep: bool):
    frame = harmonise(study([exposure]), study([outcome])).frame
    assert (frame["beta.outcome"].item(), frame["mr_keep"].item()) == (beta, keep)
    assert keep or frame["reason"].item()


def test_a_row_without_effect_and_a_variant_without_outcome_have_reasons():
    exposure = study([("A", "G", 1.0, 0.3), ("A", "G", 1.0, 0.3), ("A", "C", 1.0, 0.3)])
    outcome = study([("A", "G", None, 0.3), ("A", "G", 1.0, 0.3)], "y")  # type: ignore[list-item]
    result = harmonise(exposure, outcome)
    assert result.dropped.rows() == [
        ("rs0", "x", "y", "no effect in one of the studies"),
        ("rs2", "x", "y", "not in the outcome study"),
    ]
    assert result.associations().variants == ("rs1",)


def test_every_pair_of_traits_is_harmonised():
    both = pl.concat([study([("A", "G", 1.0, 0.3)], name).frame for name in ("a", "b")])
    result = harmonise(SummaryStatistics.from_frame(both), study([("G", "A", 1.0, 0.7)], "y"))
    assert [names["id.exposure"] for names, _ in result.pairs()] == ["a", "b"]
    with pytest.raises(InputError, match="one exposure-outcome pair"):
        result.associations()


def test_a_variant_that_one_of_two_outcomes_lacks_is_named_for_that_one():
    exposure = study([("A", "G", 1.0, 0.3), ("A", "C", 1.0, 0.3)])
    outcomes = pl.concat(
        [study([("A", "G", 1.0, 0.3), ("A", "C", 1.0, 0.3)], "y").frame, study([("A", "G", 1.0, 0.3)], "z").frame]
    )
    result = harmonise(exposure, SummaryStatistics.from_frame(outcomes))
    assert result.absent.rows() == [("rs1", "x", "z", "not in the outcome study")]


def test_wrong_settings_and_strangers_are_refused():
    left = study([("A", "G", 1.0, 0.3)])
    with pytest.raises(InputError, match="mode must be"):
        harmonise(left, left, "guess")  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"either side of 0\.5"):
        harmonise(left, left, palindrome_low=0.6)
    stranger = SummaryStatistics.from_frame(left.frame.with_columns(SNP=pl.lit("chr1:5")))
    with pytest.raises(InputError, match="variants in common"):
        harmonise(left, stranger)


def naive(exposure: Row, outcome: Row) -> float | None:
    """The rules for one variant with complete alleles, one `if` at a time: the outcome's effect, None where dropped."""
    (a1, a2, _, fa), (b1, b2, beta, fb) = exposure, outcome
    pair = dict(zip("ACGT", "TGCA", strict=True))
    if (a1, a2) != (b1, b2) and (a1, a2) != (b2, b1) and pair[a1] != a2:
        b1, b2 = pair[b1], pair[b2]  # type: ignore[index]
    if (a1, a2) == (b2, b1):
        beta, fb = -beta, 1 - fb  # type: ignore[operator]
    elif (a1, a2) != (b1, b2):
        return None
    if pair[a1] == a2:
        if 0.42 < fa < 0.58 or 0.42 < fb < 0.58:  # type: ignore[operator]
            return None
        return -beta if (fa < 0.5) != (fb < 0.5) else beta  # type: ignore[operator]
    return beta


def random_rows(seed: int, n: int) -> list[Row]:
    rng = np.random.default_rng(seed)
    return [(*rng.permutation(list("ACGT"))[:2].tolist(), float(rng.normal()), float(rng.uniform())) for _ in range(n)]


def test_a_thousand_random_variants_follow_the_rules_one_by_one():
    exposure, outcome = random_rows(1, 1000), random_rows(2, 1000)
    frame = harmonise(study(exposure), study(outcome, "y")).frame
    got = {row["SNP"]: row["beta.outcome"] if row["mr_keep"] else None for row in frame.iter_rows(named=True)}
    assert got == {f"rs{i}": naive(*rows) for i, rows in enumerate(zip(exposure, outcome, strict=True))}


def test_a_hundred_thousand_variants_take_less_than_two_seconds():
    rows = random_rows(1, 1000) * 100
    exposure, outcome = study(rows), study(random_rows(2, 1000) * 100, "y")
    start = time.process_time()
    result = harmonise(exposure, outcome)
    assert time.process_time() - start < 2.0
    assert isinstance(result, HarmonisedStatistics)
