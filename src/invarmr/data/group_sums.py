"""Sums of products of groups of samples (a fold in an environment, say), added chunk by chunk.

Symbols: G groups; k samples in a chunk; m columns, of which d instruments Z and w others X;
M = sum_i (x_i - mean)(x_i - mean)'.

The expensive part of adding a chunk may run in any thread; what it returns adds the result, and must be called in one
thread, in an order of its own: then the sums do not depend on which thread was first.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from invarmr.arrays import FloatArray, IntArray

__all__ = ["CHUNK", "CopySums", "GroupSums", "RowSums"]

CHUNK = 4_096
"""Samples in a chunk, at most: products of whole numbers are exact in float32 up to here (see `CopySums`)."""


class GroupSums(ABC):
    """Counts, means and centred cross-products of m columns in G groups.

    Parameters
    ----------
    n_groups, n_columns
        G and m.
    instruments
        Positions of the instruments among the columns.
    """

    def __init__(self, n_groups: int, n_columns: int, instruments: slice) -> None:
        self.n_samples: IntArray = np.zeros(n_groups, dtype=np.int64)
        self.mean: FloatArray = np.zeros((n_groups, n_columns))
        self.crossproduct: FloatArray = np.zeros((n_groups, n_columns, n_columns))
        self._z = instruments
        self._rest = np.r_[0 : instruments.start, instruments.stop : n_columns]

    @abstractmethod
    def multiplied(self, group: int, instruments: NDArray[Any], others: FloatArray) -> Callable[[], None]:
        """Multiply a chunk of one group, (k, d) and (k, w) with k >= 1; the function returned adds the products."""

    @abstractmethod
    def finish(self, group: int) -> None:
        """Make mean and cross-product of a group final; once, after the last chunk."""


@final
class RowSums(GroupSums):
    """Sums over rows of any floats.

    Chunks are centred at their own mean before they are multiplied, and merged by the exact pairwise update
    M = M_a + M_b + (n_a n_b / n) (mean_a - mean_b)(mean_a - mean_b)', so nothing cancels even where a column's mean is
    millions of times its standard deviation. Source: Chan, Golub & LeVeque (1983), The American Statistician 37:242.
    """

    def multiplied(self, group: int, instruments: NDArray[Any], others: FloatArray) -> Callable[[], None]:
        """Centre and multiply a chunk in float64."""
        values = np.empty((len(others), self.mean.shape[1]))
        values[:, self._z], values[:, self._rest] = instruments, others
        n = len(values)
        mean = values.mean(axis=0)
        values -= mean
        mean_error = values.mean(axis=0)
        cross = values.T @ values - n * np.outer(mean_error, mean_error)
        return lambda: self._merge(group, n, mean + mean_error, cross)

    def _merge(self, group: int, n: int, mean: FloatArray, cross: FloatArray) -> None:
        before = self.n_samples[group]
        total = before + n
        step = mean - self.mean[group]
        self.mean[group] += step * (n / total)
        self.crossproduct[group] += cross
        if before:
            self.crossproduct[group] += np.outer(step * (before * n / total), step)
        self.n_samples[group] = total

    def finish(self, group: int) -> None:
        """Nothing is left to do."""


@final
class CopySums(GroupSums):
    """Sums where the instruments are allele copies, whole ones multiplied in float32 without error.

    Copies are small whole numbers, so that float32 products of (copies - 1) are exact; the other columns are split
    into whole numbers of a few bits each, whose products with the copies are exact too (Ozaki et al., 2012,
    Numerical Algorithms 59:95), and everything is added and, at the end, centred in float64. Chunks with imputed calls
    or dosages among the copies (float32) are multiplied in float64, which takes twice as long.

    Parameters
    ----------
    n_groups, n_columns, instruments
        As in `GroupSums`.
    centre
        (G, w), near the mean of the other columns in each group: subtracted first, so that nothing cancels.
    """

    def __init__(self, n_groups: int, n_columns: int, instruments: slice, centre: FloatArray) -> None:
        super().__init__(n_groups, n_columns, instruments)
        self._centre = centre

    def multiplied(self, group: int, instruments: NDArray[Any], others: FloatArray) -> Callable[[], None]:
        """Multiply a chunk of at most `CHUNK` samples; instruments int8 or float32, fastest in Fortran order."""
        kind = np.float32 if instruments.dtype == np.int8 else np.float64
        rest = others - self._centre[group]
        pieces, units = _whole_pieces(rest)
        d = instruments.shape[1]
        whole = np.empty((d + len(pieces), len(rest)), dtype=kind)
        np.subtract(instruments.T, 1, out=whole[:d], dtype=kind, casting="unsafe")
        whole[d:] = pieces
        product, square = (whole @ whole.T)[:d], rest.T @ rest  # of a matrix with itself: half the work of two products
        gram, sums = product[:, :d], product[:, d]
        mixed = (product[:, d + 1 :].reshape(d, *units.shape) * units).sum(axis=1)

        def add() -> None:
            cross = self.crossproduct[group]
            cross[self._z, self._z] += gram
            cross[self._z, self._rest] += mixed
            cross[np.ix_(self._rest, self._rest)] += square
            self.mean[group, self._z] += sums
            self.mean[group, self._rest] += rest.sum(axis=0)
            self.n_samples[group] += len(rest)

        return add

    def finish(self, group: int) -> None:
        """From sums about one copy and the centre to mean and centred cross-product."""
        n, shift, cross = max(int(self.n_samples[group]), 1), self.mean[group], self.crossproduct[group]
        shift /= n
        cross[self._rest, self._z] = cross[self._z, self._rest].T
        cross -= np.outer(n * shift, shift)
        shift[self._z] += 1.0
        shift[self._rest] += self._centre[group]


_PIECE_BITS = 12
_PIECES = 4


def _whole_pieces(rest: FloatArray) -> tuple[NDArray[np.float32], FloatArray]:
    """Split columns (k, w) into whole numbers below 2^12: ones and pieces (1 + 4 w, k) float32, units (4, w).

    rest' = sum_j units[j] * pieces of j, to 48 bits of each column's largest value; with copies in {-1, 0, 1} and
    4,096 rows, products stay within the 24 bits that float32 holds exactly.
    """
    largest = np.abs(rest).max(axis=0, initial=0.0)
    unit = np.where(largest > 0, largest, 1.0) / (2**_PIECE_BITS - 1)
    pieces, units = [np.ones((1, len(rest)), dtype=np.float32)], []
    for _ in range(_PIECES):
        whole = np.rint(rest / unit)
        rest = rest - whole * unit
        pieces.append(whole.T.astype(np.float32))
        units.append(unit)
        unit = unit / 2**_PIECE_BITS
    return np.vstack(pieces), np.stack(units)
