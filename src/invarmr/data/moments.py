"""Per-environment counts, means and centred cross-products: all that linear learning and estimation needs.

Symbols: E environments, m columns, n_e samples, mean_e (m,), M_e = sum_i (x_i - mean_e)(x_i - mean_e)' (m, m).

Blocks are centred at their own mean before they are multiplied, and merged by the exact pairwise update
M = M_a + M_b + (n_a n_b / n) (mean_a - mean_b)(mean_a - mean_b)', so nothing cancels even where a column's mean is
millions of times its standard deviation. Source: Chan, Golub & LeVeque (1983), The American Statistician 37:242.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from invarmr.arrays import FloatArray, IntArray, read_only
from invarmr.errors import InputError, first_few

__all__ = ["EnvironmentMoments", "MomentAccumulator", "merge_moments"]


@dataclass(frozen=True, eq=False)
class EnvironmentMoments:
    """Counts, means and centred cross-products of named columns in every environment.

    Columns are named `role:name` (`instrument:rs123`, `covariate:age`, `component:PC1`, `truth:AFR`, `exposure`,
    `outcome`). The constant is implied: everything is centred. No missing values.

    Parameters
    ----------
    columns, environments
        Names of the m columns and E environments.
    n_samples
        (E,) counts.
    mean
        (E, m), in the columns' units.
    crossproduct
        (E, m, m), centred at the environment's mean, not divided by n.
    """

    columns: tuple[str, ...]
    environments: tuple[str, ...]
    n_samples: IntArray
    mean: FloatArray
    crossproduct: FloatArray

    def __post_init__(self) -> None:
        for name in ("n_samples", "mean", "crossproduct"):
            object.__setattr__(self, name, read_only(getattr(self, name)))

    @classmethod
    def from_arrays(
        cls,
        values: FloatArray,
        environment: IntArray,
        *,
        columns: Sequence[str],
        environments: Sequence[str],
        block: int = 16_384,
    ) -> Self:
        """Moments of `values` (n, m) with environment codes (n,), accumulated in blocks of rows."""
        accumulator = MomentAccumulator(columns, environments)
        for code in range(len(environments)):
            rows = np.flatnonzero(environment == code)
            for start in range(0, len(rows), block):
                accumulator.add(code, np.asarray(values[rows[start : start + block]], dtype=np.float64))
        result = accumulator.moments()
        return cls(result.columns, result.environments, result.n_samples, result.mean, result.crossproduct)

    def __add__(self, other: EnvironmentMoments) -> EnvironmentMoments:
        """Moments of both sets of samples together: exact, in any order, up to rounding."""
        if self.columns != other.columns or self.environments != other.environments:
            raise InputError(
                "Moments can be merged only over the same columns and environments in the same order; "
                f"columns {first_few(self.columns)} against {first_few(other.columns)}, "
                f"environments {first_few(self.environments)} against {first_few(other.environments)}."
            )
        n = self.n_samples + other.n_samples
        safe = np.maximum(n, 1)
        step = other.mean - self.mean
        mean = self.mean + (other.n_samples / safe)[:, None] * step
        weight = self.n_samples * other.n_samples / safe
        cross = self.crossproduct + other.crossproduct
        cross = cross + weight[:, None, None] * step[:, :, None] * step[:, None, :]
        return EnvironmentMoments(self.columns, self.environments, n, mean, cross)

    @property
    def n_total(self) -> int:
        """Number of samples over all environments."""
        return int(self.n_samples.sum())

    def index(self, *roles: str) -> IntArray:
        """Positions of the columns whose role (the part before the colon) is among `roles`."""
        return np.array([i for i, name in enumerate(self.columns) if name.split(":", 1)[0] in roles], dtype=np.intp)

    def covariance(self, columns: IntArray | None = None) -> FloatArray:
        """Covariance within every environment, (E, m, m), divisor n_e - 1."""
        cross = self.crossproduct if columns is None else self.crossproduct[:, columns[:, None], columns]
        return cross / np.maximum(self.n_samples - 1, 1)[:, None, None]

    def within(self) -> FloatArray:
        """Cross-product with the environments' means taken out: sum_e M_e, (m, m)."""
        return np.asarray(self.crossproduct.sum(axis=0))

    def grand_mean(self) -> FloatArray:
        """Mean over all samples, (m,)."""
        return np.asarray(self.n_samples @ self.mean / self.n_total)

    def total(self) -> FloatArray:
        """Cross-product about the grand mean, (m, m): within plus between environments."""
        deviation = self.mean - self.grand_mean()
        return self.within() + (deviation.T * self.n_samples) @ deviation

    def select(self, columns: IntArray) -> EnvironmentMoments:
        """The same moments for some of the columns, in the order given."""
        return EnvironmentMoments(
            tuple(self.columns[i] for i in columns),
            self.environments,
            self.n_samples,
            self.mean[:, columns],
            self.crossproduct[:, columns[:, None], columns],
        )

    def subset(self, environments: Iterable[int]) -> EnvironmentMoments:
        """The moments of some environments only, by position."""
        kept = np.array(list(environments), dtype=np.intp)
        return EnvironmentMoments(
            self.columns,
            tuple(self.environments[i] for i in kept),
            self.n_samples[kept],
            self.mean[kept],
            self.crossproduct[kept],
        )


class MomentAccumulator:
    """Adds blocks of samples, one environment at a time, and gives their `EnvironmentMoments`."""

    def __init__(self, columns: Sequence[str], environments: Sequence[str]) -> None:
        self._columns, self._environments = tuple(columns), tuple(environments)
        m, size = len(self._columns), len(self._environments)
        self._n = np.zeros(size, dtype=np.int64)
        self._mean = np.zeros((size, m))
        self._cross = np.zeros((size, m, m))

    def add(self, environment: int, values: FloatArray) -> None:
        """Add the rows `values` (k, m), float64, of one environment."""
        n = len(values)
        if n == 0:
            return
        mean = values.mean(axis=0)
        centred = values - mean
        mean_error = centred.mean(axis=0)
        self._merge(environment, n, mean + mean_error, centred.T @ centred - n * np.outer(mean_error, mean_error))

    def add_split(self, environment: int, left: FloatArray, instruments: NDArray[Any], right: FloatArray) -> None:
        """Add rows given in three parts (columns in this order), the instruments being allele copies.

        Copies are small whole numbers, so that float32 products of (copies - 1) are exact; the other columns are split
        into whole numbers of a few bits each, whose products with the copies are exact too (Ozaki et al., 2012,
        Numerical Algorithms 59:95), and everything is put together and centred in float64. Imputed means among the
        copies are rounded to float32.

        Parameters
        ----------
        left, right
            (k, .) float64.
        instruments
            (k, d) int8, or float32 where calls were imputed; fastest in Fortran order.
        """
        n, d, c = len(left), instruments.shape[1], left.shape[1]
        if n == 0:
            return
        dense = np.hstack([left, right])
        dense_mean = dense.mean(axis=0)
        dense = dense - dense_mean
        pieces, units = _whole_pieces(dense)
        gram, mixed = np.zeros((d, d)), np.zeros((d, pieces.shape[1]))
        block = np.empty((d, min(n, _EXACT_ROWS)), dtype=np.float32)
        for start in range(0, n, _EXACT_ROWS):
            rows = slice(start, min(start + _EXACT_ROWS, n))
            X = block[:, : rows.stop - start]
            np.copyto(X, instruments[rows].T)
            X -= 1
            gram += X @ X.T
            mixed += X @ pieces[rows]
        width = dense.shape[1]
        shift = mixed[:, 0] / n
        cross = np.empty((len(self._columns),) * 2)
        z, rest = slice(c, c + d), np.r_[0:c, c + d : len(self._columns)]
        cross[z, z] = gram - n * np.outer(shift, shift)
        products = (mixed[:, 1:].reshape(d, -1, width) * units).sum(axis=1)
        cross[z, rest] = products - n * np.outer(shift, dense.mean(axis=0))
        cross[rest, z] = cross[z, rest].T
        cross[np.ix_(rest, rest)] = dense.T @ dense
        mean = np.empty(len(self._columns))
        mean[z], mean[rest] = shift + 1.0, dense_mean
        self._merge(environment, n, mean, cross)

    def _merge(self, environment: int, n: int, mean: FloatArray, cross: FloatArray) -> None:
        before = self._n[environment]
        total = before + n
        step = mean - self._mean[environment]
        self._mean[environment] += step * (n / total)
        self._cross[environment] += cross
        if before:
            self._cross[environment] += np.outer(step * (before * n / total), step)
        self._n[environment] = total

    def moments(self) -> EnvironmentMoments:
        """What has been added so far; the accumulator must not be used afterwards."""
        return EnvironmentMoments(self._columns, self._environments, self._n, self._mean, self._cross)


_EXACT_ROWS = 4_096
_PIECE_BITS = 12
_PIECES = 4


def _whole_pieces(dense: FloatArray) -> tuple[NDArray[np.float32], FloatArray]:
    """Split columns (n, w) into whole numbers below 2^12: ones and pieces (n, 1 + 4 w) float32, units (4, w).

    dense = sum_k units[k] * pieces[:, k], to 48 bits of each column's largest value; with copies in {-1, 0, 1} and
    4,096 rows, products stay within the 24 bits that float32 holds exactly.
    """
    largest = np.abs(dense).max(axis=0, initial=0.0)
    unit = np.where(largest > 0, largest, 1.0) / (2**_PIECE_BITS - 1)
    pieces, units, rest = [np.ones((len(dense), 1), dtype=np.float32)], [], dense
    for _ in range(_PIECES):
        whole = np.rint(rest / unit)
        rest = rest - whole * unit
        pieces.append(whole.astype(np.float32))
        units.append(unit)
        unit = unit / 2**_PIECE_BITS
    return np.hstack(pieces), np.stack(units)


def merge_moments(parts: Iterable[EnvironmentMoments]) -> EnvironmentMoments:
    """Merge several moments of the same columns and environments, exactly."""
    return reduce(lambda first, second: first + second, parts)
