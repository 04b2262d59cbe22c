"""The families of a cohort: whose genotypes, given the parents' or the siblings', are random.

Symbols: z_i genotype of person i (d,); m, f those of the parents; W_i = z_i - E[z_i | family]:

    trio       W = z - (m + f) / 2                          where all three are called
    sibship    W_i = z_i - mean of those called in it       (k - 1 degrees of freedom)
    anyone else, and anything not called    W = 0

A call that is missing makes W = 0 for that variant (in trios: anyone's of the three), so that E[W | family] = 0 holds
as long as what is missing does not depend on what the child inherited. Within sibships rows are turned into k - 1
orthonormal contrasts, mean_{1..r} - x_{r+1} times (r / (r + 1))^1/2, so that a person's own noise counts once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from invarmr.arrays import BoolArray, FloatArray, IntArray, StrArray
from invarmr.data.genotypes import MISSING_CALL, GenotypeReader
from invarmr.data.instrument_source import InstrumentSource
from invarmr.data.pedigree import Pedigree

__all__ = ["ArrayCalls", "CallSource", "Deviations", "Families", "FileCalls"]

_BLOCK = 4_096


class CallSource(ABC):
    """Allele copies of people, parents included, NaN where not called.

    Attributes
    ----------
    n_variants
        Number of variants.
    """

    n_variants: int

    @abstractmethod
    def read(self, people: IntArray) -> FloatArray:
        """Copies (len(people), n_variants) of people in any order, also repeated."""


@final
class ArrayCalls(CallSource):
    """Calls held in memory, (people, variants), NaN where missing."""

    def __init__(self, values: FloatArray) -> None:
        self._values = np.asarray(values, dtype=np.float64)
        self.n_variants = self._values.shape[1]

    def read(self, people: IntArray) -> FloatArray:
        """Rows of the array."""
        return self._values[people]


@final
class FileCalls(CallSource):
    """Calls of some variants of a genotype file; `flip` where the effect allele is the one not counted."""

    def __init__(self, reader: GenotypeReader, variants: IntArray, flip: BoolArray) -> None:
        self._reader, self._variants, self._flip = reader, variants, flip
        self.n_variants = len(variants)

    def read(self, people: IntArray) -> FloatArray:
        """Copies of the effect allele."""
        wanted, place = np.unique(people, return_inverse=True)
        if len(wanted) == 0:
            return np.zeros((0, self.n_variants))
        raw = self._reader.read(self._variants, wanted)
        calls = np.where(raw == MISSING_CALL, np.nan, raw).astype(np.float64)
        calls[self._flip] = 2 - calls[self._flip]
        return np.asarray(calls.T[place])


@dataclass(frozen=True, eq=False)
class Families:
    """Trios and sibships of n people of a cohort.

    Parameters
    ----------
    calls
        Where genotypes are read from.
    own
        (n,) row of each person in `calls`.
    mother, father
        (n,) rows of the parents of a trio's child, -1 for everyone else.
    sibship
        (n,) code of the sibship, -1 outside; only sibships of two or more people who are not in trios.
    family
        (n,) code 0..G-1 of the family, for errors and folds.
    duo
        (n,) True where one parent alone is genotyped: counted, not used.
    """

    calls: CallSource
    own: IntArray
    mother: IntArray
    father: IntArray
    sibship: IntArray
    family: IntArray
    duo: BoolArray

    @classmethod
    def of(cls, pedigree: Pedigree, sample_ids: StrArray, calls: CallSource, genotyped: StrArray) -> Families:
        """The families of people, where `genotyped` names the rows of `calls`."""
        own = pedigree.aligned(sample_ids)
        row = {name: k for k, name in enumerate(genotyped.tolist())}

        def rows(names: StrArray) -> IntArray:
            return np.array([row.get(name, -1) if name else -1 for name in names.tolist()], dtype=np.intp)

        father, mother = rows(own.father), rows(own.mother)
        both = (father >= 0) & (mother >= 0)
        found = cls(
            calls=calls,
            own=rows(sample_ids),
            mother=np.where(both, mother, -1),
            father=np.where(both, father, -1),
            sibship=_codes(np.where(both, "", own.sibship)),
            family=pedigree.families(sample_ids),
            duo=(father >= 0) ^ (mother >= 0),
        )
        return replace(found, duo=found.duo & ~found.informative)

    @property
    def trio(self) -> BoolArray:
        """(n,) whether both parents are at hand."""
        return np.asarray(self.mother >= 0)

    @property
    def informative(self) -> BoolArray:
        """(n,) whether a person is in a trio or in a sibship."""
        return np.asarray(self.trio | (self.sibship >= 0))

    @property
    def counts(self) -> dict[str, int]:
        """Numbers of trios, sibships, siblings, duos and single people."""
        rest = ~self.informative & ~self.duo
        return {
            "trios": int(self.trio.sum()),
            "sibships": int(self.sibship.max(initial=-1)) + 1,
            "siblings": int((self.sibship >= 0).sum()),
            "duos": int(self.duo.sum()),
            "singletons": int(rest.sum()),
        }

    def without(self, people: BoolArray) -> Families:
        """The same with some people's trios and sibships left out, whole sibships at once."""
        bad = np.isin(self.sibship, self.sibship[people & (self.sibship >= 0)]) & (self.sibship >= 0)
        sibship = np.where(bad, -1, self.sibship)
        left = np.unique(sibship[sibship >= 0], return_inverse=True)[1]
        sibship[sibship >= 0] = left
        mother, father = (np.where(people, -1, rows) for rows in (self.mother, self.father))
        return replace(self, mother=mother, father=father, sibship=sibship)

    def subset(self, people: IntArray) -> Families:
        """Some of the people (increasing); a sibship that loses all but one of its members is one no more."""
        labels = np.where(self.sibship[people] >= 0, self.sibship[people].astype(str), "")
        return replace(
            self,
            own=self.own[people],
            mother=self.mother[people],
            father=self.father[people],
            sibship=_codes(labels),
            family=np.unique(self.family[people], return_inverse=True)[1],
            duo=self.duo[people],
        )

    def deviations(self, people: IntArray) -> FloatArray:
        """W of some people (increasing), (len(people), d): what each inherited less what was expected."""
        out = np.zeros((len(people), self.calls.n_variants))
        trio = np.flatnonzero(self.trio[people])
        if len(trio):
            child = people[trio]
            child_calls, mother, father = (
                self.calls.read(rows) for rows in (self.own[child], self.mother[child], self.father[child])
            )
            out[trio] = np.nan_to_num(child_calls - (mother + father) / 2, nan=0.0)
        asked = np.flatnonzero(self.sibship[people] >= 0)
        if len(asked):
            members = np.flatnonzero(np.isin(self.sibship, self.sibship[people[asked]]))
            out[asked] = self._within(members)[np.searchsorted(members, people[asked])]
        return out

    def _within(self, members: IntArray) -> FloatArray:
        """Deviations of whole sibships from their means."""
        calls = self.calls.read(self.own[members])
        code = np.unique(self.sibship[members], return_inverse=True)[1]
        called = np.isfinite(calls)
        sums = sparse.csr_array((np.ones(len(code)), (code, np.arange(len(code)))))
        count = sums @ called.astype(np.float64)
        mean = (sums @ np.where(called, calls, 0.0)) / np.maximum(count, 1)
        return np.where(called, calls - mean[code], 0.0)

    @cached_property
    def contrasts(self) -> sparse.csr_array:
        """(rows, n): one row per trio's child (a 1), then k - 1 orthonormal contrasts per sibship of k."""
        trio = np.flatnonzero(self.trio)
        order = np.argsort(self.sibship, kind="stable")
        order = order[self.sibship[order] >= 0]
        data: list[FloatArray] = [np.ones(len(trio))]
        row: list[IntArray] = [np.arange(len(trio))]
        column: list[IntArray] = [trio]
        start = len(trio)
        sizes = np.bincount(self.sibship[order]) if len(order) else np.zeros(0, dtype=np.intp)
        first = np.cumsum(sizes) - sizes
        for size in np.unique(sizes):
            block = _helmert(int(size))
            members = order[first[sizes == size][:, None] + np.arange(size)]  # (sibships, k)
            rows = start + np.arange(len(members) * (size - 1)).reshape(len(members), size - 1)
            data.append(np.broadcast_to(block, (len(members), *block.shape)).ravel())
            row.append(np.repeat(rows.ravel(), size))
            column.append(np.repeat(members[:, None, :], size - 1, axis=1).ravel())
            start += rows.size
        where = (np.concatenate(row), np.concatenate(column))
        return sparse.csr_array((np.concatenate(data), where), shape=(start, len(self.own)))

    @property
    def row_family(self) -> IntArray:
        """(rows,) family of each row of `contrasts`."""
        table = self.contrasts
        return np.asarray(self.family[table.indices[table.indptr[:-1]]])

    def blocks(self) -> Iterator[IntArray]:
        """Rows of `contrasts`, some thousands at a time."""
        rows = np.arange(self.contrasts.shape[0])
        for start in range(0, len(rows), _BLOCK):
            yield rows[start : start + _BLOCK]


@final
class Deviations(InstrumentSource):
    """W as instruments: of every person (zero outside families), or of the rows of `Families.contrasts`.

    Parameters
    ----------
    families
        The families.
    by_row
        Rows of `contrasts` instead of people.
    """

    def __init__(self, families: Families, *, by_row: bool = False) -> None:
        self.families, self._by_row = families, by_row
        self.n_samples = families.contrasts.shape[0] if by_row else len(families.own)
        self.n_instruments = families.calls.n_variants
        self.bytes_per_sample = 8 * self.n_instruments

    def read(self, samples: IntArray) -> NDArray[Any]:
        """Rows of `samples` (increasing), float64."""
        if not self._by_row:
            return self.families.deviations(samples)
        table = self.families.contrasts[samples]
        people = np.unique(table.indices)
        return np.asarray(table[:, people] @ self.families.deviations(people))


def _helmert(k: int) -> FloatArray:
    """(k - 1, k) orthonormal contrasts: mean of the first r less the next."""
    out = np.zeros((k - 1, k))
    for r in range(1, k):
        out[r - 1, :r] = 1 / r
        out[r - 1, r] = -1
        out[r - 1] *= np.sqrt(r / (r + 1))
    return out


def _codes(labels: StrArray) -> IntArray:
    """Codes 0.. of labels that come at least twice, -1 for the others and for ""."""
    _, code, count = np.unique(labels, return_inverse=True, return_counts=True)
    shared = (count[code] > 1) & (labels != "")
    out = np.full(len(labels), -1, dtype=np.intp)
    out[shared] = np.unique(code[shared], return_inverse=True)[1]
    return out
