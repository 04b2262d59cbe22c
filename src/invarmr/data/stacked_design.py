"""Designs on disjoint parts of the people, stacked: instruments of each part's own, and a constant and controls too.

Symbols: K parts S_1..S_K of n_k people; Z_k (p_k columns) instruments of part k, given the controls there. The stacked
instruments are block-diagonal: those of part k are zero outside it. So the cross-products of the parts add up, and no
instrument of one part need mean what an instrument of another means.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np
from scipy import linalg

from invarmr.arrays import FloatArray, IntArray, read_only
from invarmr.data.cohort import Cohort
from invarmr.data.design import IVDesign, Partialled

__all__ = ["Design", "StackedDesign"]


@dataclass(frozen=True, eq=False, kw_only=True)
class StackedDesign:
    """Designs on disjoint parts of a cohort, as one design with one effect.

    Parameters
    ----------
    parts
        One design per part, each on the cohort of its own people.
    people
        The indices of these people in `cohort`, increasing.
    cohort
        Everybody.
    learning
        (2, 2, m, m) covariance, over the m stacked instruments, that learning them adds to their cross-products with
        (outcome, exposure); None: they were not learned, or it is not counted.
    """

    parts: tuple[IVDesign, ...]
    people: tuple[IntArray, ...]
    cohort: Cohort
    learning: FloatArray | None = None

    def __post_init__(self) -> None:
        if self.learning is not None:
            object.__setattr__(self, "learning", read_only(self.learning))

    @property
    def instrument_set(self) -> str:
        """Label, as in `estimates.tsv`."""
        return self.parts[0].instrument_set

    @cached_property
    def columns(self) -> tuple[slice, ...]:
        """Where the instruments of each part stand among the m stacked ones."""
        ends = np.cumsum([0, *(part.partialled.n_instruments for part in self.parts)])
        return tuple(slice(low, high) for low, high in pairwise(ends.tolist()))

    @cached_property
    def partialled(self) -> Partialled:
        """What every estimator needs: sums over the parts."""
        own = [part.partialled for part in self.parts]
        return Partialled(
            n_samples=sum(item.n_samples for item in own),
            n_instruments=sum(item.n_instruments for item in own),
            n_controls=sum(item.n_controls for item in own),
            total=np.sum([item.total for item in own], axis=0),
            projected=np.sum([item.projected for item in own], axis=0),
            whitened=np.vstack([item.whitened for item in own]),
            whitener=linalg.block_diag(*(item.whitener for item in own)),
        )

    def only(self, position: int) -> StackedDesign:
        """The same with one of the parts alone."""
        own = self.columns[position]
        return replace(
            self,
            parts=(self.parts[position],),
            people=(self.people[position],),
            learning=None if self.learning is None else self.learning[:, :, own, own],
        )

    def residual_rows(self) -> Iterator[tuple[FloatArray, FloatArray, IntArray]]:
        """Rows in blocks, as of an `IVDesign`: m stacked instruments, (Y, D), and the samples' indices in `cohort`."""
        for part, people, own in zip(self.parts, self.people, self.columns, strict=True):
            for instruments, pair, block in part.residual_rows():
                stacked = np.zeros((len(block), self.partialled.n_instruments))
                stacked[:, own] = instruments
                yield stacked, pair, people[block]


Design = IVDesign | StackedDesign
"""What a k-class estimator fits."""
