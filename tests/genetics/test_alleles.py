import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from invarmr.errors import InputError
from invarmr.genetics.alleles import complement, palindromic, settle_alleles


def available(*rows):
    """Rows: (variant, counted, other[, frequency])."""
    return pl.DataFrame(
        [(row[0], "1", 10 * i, *row[1:], *[None] * (4 - len(row))) for i, row in enumerate(rows)],
        schema={
            "variant": pl.String,
            "chromosome": pl.String,
            "position": pl.Int64,
            "counted_allele": pl.String,
            "other_allele": pl.String,
            "counted_allele_frequency": pl.Float64,
        },
        orient="row",
    )


def requested(*rows):
    """Rows: (variant, effect, other[, weight[, frequency]])."""
    names = ["variant", "effect_allele", "other_allele", "weight", "effect_allele_frequency"]
    kinds = [pl.String, pl.String, pl.String, pl.Float64, pl.Float64]
    filled = [(*row, *[None] * (5 - len(row))) for row in rows]
    return pl.DataFrame(filled, schema=dict(zip(names, kinds, strict=True)), orient="row")


def settled(request, *files, **bounds):
    return settle_alleles(requested(request), available(*files), **bounds).row(0, named=True)


def test_complement_and_palindromes():
    assert [complement(allele) for allele in ("A", "AAC", "I", "<X>", "0")] == ["T", "GTT", "I", "<X>", "0"]
    assert palindromic("A", "T")
    assert palindromic("G", "C")
    assert not palindromic("A", "C")
    assert not palindromic("AT", "AT")
    assert not palindromic("I", "I")


@pytest.mark.parametrize(
    ("request_", "file", "flip", "strand", "reason"),
    [
        (("v", "A", "G"), ("v", "A", "G"), False, False, ""),
        (("v", "G", "A"), ("v", "A", "G"), True, False, ""),
        (("v", "T", "C"), ("v", "A", "G"), False, True, "matched on the other strand: T/C asked"),
        (("v", "C", "T"), ("v", "A", "G"), True, True, "matched on the other strand: C/T asked"),
        (("v", "A", None), ("v", "A", "G"), False, False, ""),
        (("v", "G", None), ("v", "A", "G"), True, False, ""),
        (("v", "C", None), ("v", "A", "G"), True, True, "matched on the other strand: C/any asked"),
        (("v", "ACC", "A"), ("v", "A", "ACC"), True, False, ""),
        (("v", "I", "D"), ("v", "I", "D"), False, False, ""),
    ],
)
def test_matches(request_, file, flip, strand, reason):
    row = settled(request_, file)
    assert (row["status"], row["flip"], row["strand_flipped"], row["reason"]) == ("kept", flip, strand, reason)
    assert (row["effect_allele"], row["other_allele"]) == ((file[2], file[1]) if flip else (file[1], file[2]))
    assert (row["file_index"], row["chromosome"], row["position"]) == (0, "1", 0)


@pytest.mark.parametrize(
    ("request_", "files", "reason"),
    [
        (("w", "A", "G"), [("v", "A", "G")], "not in the genotype file"),
        (("v", "A", "G"), [("v", "C", "A")], "alleles A/G asked, C/A in the genotype file"),
        (("v", "GGT", "T"), [("v", "ACC", "A")], "alleles GGT/T asked, ACC/A in the genotype file"),
        (("v", "C", None), [("v", "A", "T")], "alleles C/any asked, A/T in the genotype file"),
        (("v", "A", "G"), [("v", "A,C", "G")], "more than one other allele"),
        (("v", "A", None), [("v", "A", "G"), ("v", "A", "C")], "the id occurs 2 times in the genotype file"),
        (("v", "A", "G"), [("v", "A", "G"), ("v", "G", "A")], "the alleles A/G fit 2 of them"),
        (("v", "A", "G"), [("v", "A", "C"), ("v", "G", "C")], "alleles A/G asked, A/C and G/C in the genotype file"),
    ],
)
def test_drops(request_, files, reason):
    row = settled(request_, *files)
    assert row["status"] == "dropped"
    assert reason in row["reason"]
    assert (row["effect_allele"], row["other_allele"]) == request_[1:]
    assert [row[name] for name in ("file_index", "flip", "strand_flipped")] == [None, None, None]


def test_alleles_single_out_a_repeated_id():
    files = [("v", "A", "C"), ("v", "G", "A"), ("v", "C", "T")]
    row = settled(("v", "A", "G"), *files)
    assert (row["file_index"], row["flip"], row["strand_flipped"]) == (1, True, False)


def test_the_first_of_repeated_requests_is_kept():
    frame = settle_alleles(requested(("v", "G", "A"), ("w", "A", "C"), ("v", "A", "G")), available(("v", "A", "G")))
    assert frame["status"].to_list() == ["kept", "dropped", "dropped"]
    assert frame["reason"][2] == "asked for more than once: the first request was kept"


UNVERIFIED = "palindromic A/T, strand not verifiable"


@pytest.mark.parametrize(
    ("request_", "file", "status", "flip", "strand", "reason"),
    [
        (("v", "A", "T"), ("v", "A", "T"), "kept", False, False, UNVERIFIED),
        (("v", "T", "A"), ("v", "A", "T", 0.5), "kept", True, False, UNVERIFIED),
        (("v", "A", "T", 0.1), ("v", "A", "T"), "kept", False, False, UNVERIFIED),
        (("v", "A", "T", 0.1), ("v", "A", "T", 0.2), "kept", False, False, UNVERIFIED),
        (("v", "A", "T", 0.1), ("v", "A", "T", 0.45), "dropped", None, None, "frequency 0.450 in the genotype file"),
        (("v", "T", "A", 0.1), ("v", "A", "T", 0.58), "dropped", None, None, "frequency 0.420 in the genotype file"),
        (("v", "A", "T", 0.1, 0.5), ("v", "A", "T", 0.2), "dropped", None, None, "where the weight comes from"),
        (("v", "A", "T", 0.1, 0.3), ("v", "A", "T", 0.2), "kept", False, False, "agrees with the frequency"),
        (("v", "A", "T", 0.1, 0.7), ("v", "A", "T", 0.2), "kept", True, True, "turned by the frequency"),
        (("v", "T", "A", 0.1, 0.7), ("v", "A", "T", 0.2), "kept", True, False, "agrees with the frequency"),
        (("v", "T", None, 0.1, 0.1), ("v", "A", "T", 0.2), "kept", False, True, "turned by the frequency"),
    ],
)
def test_palindromes(request_, file, status, flip, strand, reason):
    row = settled(request_, file)
    assert (row["status"], row["flip"], row["strand_flipped"]) == (status, flip, strand)
    assert reason in row["reason"]


def test_palindrome_bounds_can_be_set():
    row = settled(("v", "A", "T", 1.0), ("v", "A", "T", 0.45), palindrome_low=0.5, palindrome_high=0.5)
    assert row["status"] == "kept"
    with pytest.raises(InputError, match=r"low <= high, but they are 0\.6 and 0\.5"):
        settled(("v", "A", "T"), palindrome_low=0.6, palindrome_high=0.5)


def test_all_variants_of_the_file():
    frame = settle_alleles(
        None, available(("a", "A", "G"), ("b", "A", "T"), (".", "A", "C"), (".", "A", "T"), ("m", "A,C", "T"))
    )
    assert frame["status"].to_list() == ["kept", "kept", "dropped", "dropped", "dropped"]
    assert frame["file_index"].to_list() == [0, 1, None, None, None]
    assert frame["effect_allele"].to_list() == ["A", "A", "A", "A", "A,C"]
    assert frame["flip"].to_list() == [False, False, None, None, None]
    assert frame["reason"][2] == "the id occurs 2 times in the genotype file"
    assert "more than two" in frame["reason"][4]


def test_optional_columns_and_no_requests():
    file = available(("a", "A", "G")).drop("counted_allele_frequency")
    frame = settle_alleles(pl.DataFrame({"variant": ["a"], "effect_allele": ["G"]}), file)
    assert frame["flip"].to_list() == [True]
    nothing = settle_alleles(requested().clear(), file)
    assert nothing.height == 0
    assert nothing.schema == frame.schema == settle_alleles(None, file).schema


letters = st.sampled_from("ACGT")


@given(st.tuples(letters, letters), st.tuples(letters, letters))
def test_asking_for_the_swapped_pair_swaps_the_flip(asked, held):
    if asked[0] == asked[1] or held[0] == held[1]:
        return
    stated, swapped = (settled(("v", *pair), ("v", *held)) for pair in (asked, asked[::-1]))
    assert stated["status"] == swapped["status"]
    if stated["status"] == "kept":
        assert stated["flip"] != swapped["flip"]
        effect = complement(stated["effect_allele"]) if stated["strand_flipped"] else stated["effect_allele"]
        assert effect == asked[0]
