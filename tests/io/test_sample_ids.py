"""Ids of the same people written differently: matched as a whole, told how, never guessed."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from invarmr.errors import InputError
from invarmr.io.sample_ids import Ids, match_ids, read_id_list

PEOPLE = [("F1", "0012"), ("F2", "0345"), ("F2", "7"), ("F3", "88")]


def ids(within, family=None, where="the table"):
    return Ids(pl.Series(list(within), dtype=pl.String), None if family is None else pl.Series(family), where)


GENOTYPES = ids([i for _, i in PEOPLE], [f for f, _ in PEOPLE], "the genotype file")

SPELLINGS = {
    "as they are": ([i for _, i in PEOPLE], None, "id of the table = id of"),
    "FID_IID": ([f"{f}_{i}" for f, i in PEOPLE], None, "id of the table = FID_IID of"),
    "no zeros": (["12", "345", "7", "88"], None, "= id of the genotype file, without leading zeros"),
    "FID_IID without zeros": ([f"{f}_{i.lstrip('0')}" for f, i in PEOPLE], None, "FID_IID .* without leading zeros"),
    "other families": ([f"0_{i}" for _, i in PEOPLE], None, "id after its first _ of the table = id of"),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 1, 0), (2, 0)])
def test_every_spelling_is_matched_and_said(spelling, order):
    import re

    within, family, said = SPELLINGS[spelling]
    found = match_ids(ids([within[k] for k in order], family), GENOTYPES)
    assert [order[k] for k in found.left] == found.right.tolist() == sorted(order)
    assert re.search(said, found.rule)
    assert found.exact == (spelling == "as they are" or found.rule == "id of the table = id of the genotype file")


def test_genotype_ids_that_are_doubled():
    found = match_ids(ids(["7", "12"]), ids(["12_12", "7_7"], where="the genotype file"))
    assert found.left.tolist() == [1, 0]
    assert found.rule.startswith("id of the table = id after its first _")


def test_both_files_have_families():
    table = ids(["1", "2"], ["A", "B"])
    found = match_ids(table, ids(["B_2", "A_1"], where="the genotype file"))
    assert found.left.tolist() == [1, 0]
    assert found.rule == "FID_IID of the table = id of the genotype file"


def test_two_people_of_one_id_are_refused_by_name():
    with pytest.raises(InputError, match="007, 7 of the table are then all '7'"):
        match_ids(ids(["007", "7", "008", "009"]), ids(["0007", "08", "09"], where="the genotype file"))
    with pytest.raises(InputError, match="F1_7, F2_7 of the table are then all '7'"):
        match_ids(ids(["F1_7", "F2_7", "F3_8"]), ids(["7", "8"], where="the genotype file"))


def test_ids_that_differ_by_zeros_alone_stay_apart_where_both_files_tell_them_apart():
    found = match_ids(ids(["7", "007", "12"]), ids(["007", "7", "13"], where="the genotype file"))
    assert found.exact
    assert found.left.tolist() == [1, 0]


def test_nobody_in_both():
    assert len(match_ids(ids(["a", "b"]), GENOTYPES).left) == 0


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=30, unique=True), st.randoms(use_true_random=False))
def test_matching_recovers_the_people(numbers, random):
    shuffled = numbers.copy()
    random.shuffle(shuffled)
    table = ids([f"{n:07d}" for n in shuffled])
    for there in (
        ids([str(n) for n in numbers]),
        ids([f"{n}_{n}" for n in numbers]),
        ids([f"{n:07d}" for n in numbers]),
    ):
        found = match_ids(table, there)
        assert [shuffled[k] for k in found.left] == [numbers[k] for k in found.right] == numbers


@pytest.mark.parametrize(
    ("text", "within", "family"),
    [
        ("1001\n1002\n", ["1001", "1002"], None),
        ("#IID\n1001\n1002\n", ["1001", "1002"], None),
        ("1 1001\n2 1002\n", ["1001", "1002"], ["1", "2"]),
        ("#FID\tIID\n1\t1001\n2\t1002\n", ["1001", "1002"], ["1", "2"]),
        ("sample_id.s\n1001\n1002\n", ["1001", "1002"], None),
        ("eid,reason\n1001,moved\n1002,\n", ["1001", "1002"], None),
    ],
)
def test_lists_of_people(tmp_path, text, within, family):
    (tmp_path / "w1.csv").write_text(text)
    found = read_id_list(tmp_path / "w1.csv")
    assert found.within.to_list() == within
    assert (None if found.family is None else found.family.to_list()) == family
