"""Every fault of a pedigree is named, and what it concerns is left out."""

import numpy as np
import pytest

from invarmr.data.pedigree import Pedigree
from invarmr.errors import InputError


def kinds(pedigree):
    return [(fault.sample_id, fault.kind) for fault in pedigree.faults]


def test_a_sound_pedigree_has_no_fault_and_names_sibships():
    found = Pedigree.from_columns(
        ["a", "b", "c", "dad", "mum"],
        father=["dad", "dad", "dad", "0", None],
        mother=["mum", "mum", "other", "NA", ""],
        sex=[0, 1, 2, 1, 2],
        age=[10, 12, 20, 40, 40],
    )
    assert found.faults == ()
    assert found.sibship[0] == found.sibship[1] != ""
    # a half-sibling is no full sibling, but of the same family
    assert found.sibship[2] not in ("", found.sibship[0])
    assert len(set(found.families(np.array(["a", "b", "c", "stranger"])).tolist())) == 2


@pytest.mark.parametrize(
    ("columns", "kind"),
    [
        ({"father": ["x", "0", "0"], "mother": ["0", "0", "0"]}, "own parent"),
        ({"father": ["y", "0", "0"], "mother": ["y", "0", "0"]}, "one parent twice"),
        ({"father": ["y", "0", "0"], "mother": ["0", "0", "0"], "sex": [0, 2, 0]}, "father is female"),
        ({"father": ["0", "0", "0"], "mother": ["y", "0", "0"], "sex": [0, 1, 0]}, "mother is male"),
        ({"father": ["y", "0", "0"], "age": [50, 40, 1]}, "child not younger"),
        ({"father": ["y", "z", "x"]}, "cycle"),
        ({"father": ["y", "x", "0"]}, "cycle"),
    ],
)
def test_what_cannot_be_is_named_and_left_out(columns, kind):
    found = Pedigree.from_columns(["x", "y", "z"], **columns)
    assert ("x", kind) in kinds(found)
    assert found.father[0] == found.mother[0] == ""


def test_exchanged_columns_are_mended():
    found = Pedigree.from_columns(["x", "y", "z"], father=["y", "0", "0"], mother=["z", "0", "0"], sex=[0, 2, 1])
    assert kinds(found) == [("x", "parents exchanged")]
    assert (found.father[0], found.mother[0]) == ("z", "y")


def test_links_beside_a_cycle_stay():
    found = Pedigree.from_columns(["a", "b", "child"], father=["b", "a", "a"], mother=["", "", "m"])
    assert [who for who, _ in kinds(found)] == ["a", "b"]
    assert (found.father[2], found.mother[2]) == ("a", "m")


def test_named_relatives_are_one_family():
    found = Pedigree.from_columns(["a", "b"], relatives=[("a", "b")])
    assert found.families(np.array(["a", "b"])).tolist() == [0, 0]


def test_a_column_given_wins_over_parents():
    found = Pedigree.from_columns(["a", "b"], father=["f", "f"], mother=["m", "m"], sibship=["s", None])
    assert found.sibship.tolist() == ["s", "f x m"]


def test_bad_columns_are_refused():
    with pytest.raises(InputError, match=r"one row per person, but these come again: a"):
        Pedigree.from_columns(["a", "a"])
    with pytest.raises(InputError, match="father must have one value for each of the 2 people"):
        Pedigree.from_columns(["a", "b"], father=["c"])
    with pytest.raises(InputError, match="sex must have one value"):
        Pedigree.from_columns(["a", "b"], sex=[1])
