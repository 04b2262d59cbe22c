"""Who is whose child: a pedigree, each of its faults named.

A fault never stops a study: the link it concerns is taken out and named. What genotypes say of the links that are
left is in `genetics.mendel`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse
from scipy.sparse import csgraph

from invarmr.arrays import BoolArray, FloatArray, IntArray, StrArray
from invarmr.errors import InputError, first_few

__all__ = ["Fault", "Pedigree"]

_UNKNOWN = ("", "0", "NA", "nan", "None", ".", "-9")
MALE, FEMALE = 1, 2


@dataclass(frozen=True)
class Fault:
    """Something in a pedigree that cannot be, and what was done: who, kind of fault, and the sentence."""

    sample_id: str
    kind: str
    reason: str


@dataclass(frozen=True, eq=False)
class Pedigree:
    """Parents and sibships of people; build it with `from_columns`.

    Parameters
    ----------
    sample_ids
        (n,) ids of the people who have a row.
    father, mother
        (n,) ids of the parents, "" where unknown; parents need no row of their own.
    sibship
        (n,) label of the sibship, "" for none: the column given, else the parents' two ids.
    relatives
        Pairs of further ids of one family, in no stated relation (errors are counted by family).
    faults
        What was wrong, in the order of the checks.
    """

    sample_ids: StrArray
    father: StrArray
    mother: StrArray
    sibship: StrArray
    relatives: tuple[tuple[str, str], ...] = ()
    faults: tuple[Fault, ...] = ()

    @classmethod
    def from_columns(
        cls,
        sample_ids: Sequence[Any] | ArrayLike,
        *,
        father: Sequence[Any] | ArrayLike | None = None,
        mother: Sequence[Any] | ArrayLike | None = None,
        sibship: Sequence[Any] | ArrayLike | None = None,
        sex: ArrayLike | None = None,
        age: ArrayLike | None = None,
        relatives: Iterable[tuple[str, str]] = (),
    ) -> Self:
        """Build a pedigree from columns, and take out what cannot be.

        Parameters
        ----------
        sample_ids
            n unique ids.
        father, mother, sibship
            (n,) ids and labels; "", "0", "NA", "." and None are unknown.
        sex
            (n,) 1 male, 2 female, 0 unknown.
        age
            (n,) in any one unit, NaN unknown; a child must be younger than its parents.
        relatives
            Pairs of ids of one family.

        Returns
        -------
        Pedigree
            Links left out (one fault each): a person who is his own parent or ancestor, one person as both parents, a
            father who is female or a mother who is male (both at once: the columns are exchanged, which is mended), a
            parent who is not older than the child.

        Raises
        ------
        InputError
            Columns of unequal length, or an id that comes twice.

        Examples
        --------
        >>> found = Pedigree.from_columns(["kid", "ann"], father=["bob", "0"], mother=["ann", "0"], sex=[0, 1])
        >>> found.mother.tolist(), found.faults[0].reason
        (['', ''], 'mother ann of kid is recorded as male; the link was left out')
        """
        ids = np.array([str(name) for name in np.asarray(sample_ids, dtype=object)], dtype=np.str_)
        if len(np.unique(ids)) < len(ids):
            values, counts = np.unique(ids, return_counts=True)
            raise InputError(
                f"A pedigree needs one row per person, but these come again: {first_few(values[counts > 1])}."
            )
        n = len(ids)
        parents = np.stack([_labels(father, n, "father"), _labels(mother, n, "mother")]).astype(object)
        place = {name: row for row, name in enumerate(ids.tolist())}
        sexes = np.zeros(n, dtype=np.int64) if sex is None else _column(sex, n, "sex").astype(np.int64)
        ages = np.full(n, np.nan) if age is None else _column(age, n, "age").astype(np.float64)
        faults = [
            *_exchanged(ids, parents, place, sexes),
            *_impossible(ids, parents, place, sexes, ages),
            *_cycles(ids, parents, place),
        ]
        both = (parents[0] != "") & (parents[1] != "")
        own = np.where(both, [f"{a} x {b}" for a, b in parents.T], "")
        given = _labels(sibship, n, "sibship")
        return cls(
            sample_ids=ids,
            father=parents[0].astype(np.str_),
            mother=parents[1].astype(np.str_),
            sibship=np.where(given != "", given, own).astype(np.str_),
            relatives=tuple(relatives),
            faults=tuple(faults),
        )

    def aligned(self, sample_ids: StrArray) -> Pedigree:
        """The rows of some people, in their order; unknown parents where the pedigree has no row."""
        place = {name: row for row, name in enumerate(self.sample_ids.tolist())}
        rows = np.array([place.get(name, -1) for name in sample_ids.tolist()], dtype=np.intp)

        def column(values: StrArray) -> StrArray:
            if len(values) == 0:
                return np.full(len(rows), "", dtype=np.str_)
            return np.where(rows >= 0, values[rows], "")

        return Pedigree(
            sample_ids, column(self.father), column(self.mother), column(self.sibship), self.relatives, self.faults
        )

    def families(self, sample_ids: StrArray) -> IntArray:
        """Code 0..G-1 of the family of each person: all who are connected by parents, sibships or named relations."""
        links = [
            *zip(self.sample_ids.tolist(), self.father.tolist(), strict=True),
            *zip(self.sample_ids.tolist(), self.mother.tolist(), strict=True),
            *(
                (a, f"sibship {b}" if b else "")
                for a, b in zip(self.sample_ids.tolist(), self.sibship.tolist(), strict=True)
            ),
            *self.relatives,
        ]
        pairs = [(a, b) for a, b in links if a and b]
        names, codes = np.unique(
            np.array([*sample_ids.tolist(), *(name for pair in pairs for name in pair)], dtype=np.str_),
            return_inverse=True,
        )
        n = len(sample_ids)
        left, right = codes[n::2], codes[n + 1 :: 2]
        graph = sparse.coo_array((np.ones(len(left)), (left, right)), shape=(len(names), len(names)))
        component = csgraph.connected_components(graph, directed=False)[1]
        return np.asarray(np.unique(component[codes[:n]], return_inverse=True)[1])


def _column(values: ArrayLike, n: int, name: str) -> FloatArray:
    column = np.asarray(values)
    if column.shape != (n,):
        raise InputError(
            f"{name} must have one value for each of the {n} people of the pedigree, but has {column.shape}."
        )
    return column


def _labels(values: Sequence[Any] | ArrayLike | None, n: int, name: str) -> StrArray:
    """Labels as text, "" where unknown."""
    if values is None:
        return np.full(n, "", dtype=np.str_)
    given = np.asarray(values, dtype=object)
    if given.shape != (n,):
        raise InputError(
            f"{name} must have one value for each of the {n} people of the pedigree, but has {given.shape}."
        )
    text = [str(value).strip() for value in given]
    return np.array(["" if value in _UNKNOWN else value for value in text], dtype=np.str_)


def _exchanged(ids: StrArray, parents: Any, place: dict[str, int], sexes: IntArray) -> list[Fault]:  # noqa: ANN401 - object array
    """Fathers who are women beside mothers who are men: the two columns were exchanged."""
    out = []
    for row in np.flatnonzero((parents[0] != "") & (parents[1] != "")):
        father, mother = parents[:, row]
        found = [sexes[place[name]] if name in place else 0 for name in (father, mother)]
        if found == [FEMALE, MALE]:
            parents[:, row] = mother, father
            out.append(Fault(str(ids[row]), "parents exchanged", f"father and mother of {ids[row]} were exchanged"))
    return out


def _impossible(ids: StrArray, parents: Any, place: dict[str, int], sexes: IntArray, ages: FloatArray) -> list[Fault]:  # noqa: ANN401
    """Links to oneself, to one person twice, of the wrong sex or age: taken out of `parents`."""
    out = []
    for row in np.flatnonzero((parents != "").any(axis=0)):
        name = str(ids[row])
        if parents[0, row] == parents[1, row]:
            out.append(Fault(name, "one parent twice", f"father and mother of {name} are both {parents[0, row]}"))
            parents[:, row] = ""
            continue
        for k, (role, wrong, sex) in enumerate((("father", FEMALE, "female"), ("mother", MALE, "male"))):
            parent = str(parents[k, row])
            if not parent:
                continue
            there = place.get(parent)
            kind = ""
            if parent == name:
                kind, said = "own parent", f"{name} is named as {role} of himself or herself"
            elif there is not None and sexes[there] == wrong:
                kind, said = f"{role} is {sex}", f"{role} {parent} of {name} is recorded as {sex}"
            elif there is not None and ages[there] <= ages[row]:
                kind = "child not younger"
                said = f"{name} (age {ages[row]:g}) is not younger than the {role} {parent} (age {ages[there]:g})"
            if kind:
                out.append(Fault(name, kind, f"{said}; the link was left out"))
                parents[k, row] = ""
    return out


def _cycles(ids: StrArray, parents: Any, place: dict[str, int]) -> list[Fault]:  # noqa: ANN401 - object array
    """People who are their own ancestors: every link inside such a circle is taken out."""
    child, parent = [], []
    for k in (0, 1):
        for row in np.flatnonzero(parents[k] != ""):
            if parents[k, row] in place:
                child.append(int(row))
                parent.append(place[parents[k, row]])
    graph = sparse.coo_array((np.ones(len(child)), (child, parent)), shape=(len(ids), len(ids)))
    count, component = csgraph.connected_components(graph, directed=True, connection="strong")
    circular: BoolArray = np.bincount(component, minlength=count)[component] > 1
    out = []
    for row in np.flatnonzero(circular):
        others = [k for k in (0, 1) if place.get(parents[k, row], -1) >= 0 and circular[place[parents[k, row]]]]
        for k in [k for k in others if component[place[parents[k, row]]] == component[row]]:
            said = f"{ids[row]} is an ancestor of its own parent {parents[k, row]}; the link was left out"
            out.append(Fault(str(ids[row]), "cycle", said))
            parents[k, row] = ""
    return out
