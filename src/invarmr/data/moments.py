"""Per-environment counts, means and centred cross-products: all that linear learning and estimation needs.

Symbols: E environments, m columns, n_e samples, mean_e (m,), M_e = sum_i (x_i - mean_e)(x_i - mean_e)' (m, m).

How rows are added without cancellation: see `group_sums`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from invarmr.arrays import FloatArray, IntArray, read_only
from invarmr.data.group_sums import RowSums
from invarmr.errors import InputError, first_few

__all__ = ["EnvironmentMoments", "merge_moments"]


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
        sums = RowSums(len(environments), len(columns), slice(0, len(columns)))
        for code in range(len(environments)):
            rows = np.flatnonzero(environment == code)
            for start in range(0, len(rows), block):
                chunk = values[rows[start : start + block]]
                sums.multiplied(code, chunk, np.empty((len(chunk), 0)))()
        return cls(tuple(columns), tuple(environments), sums.n_samples, sums.mean, sums.crossproduct)

    def __add__(self, other: EnvironmentMoments) -> EnvironmentMoments:
        """Moments of both sets of samples together: exact, in any order, up to rounding."""
        return merge_moments([self, other])

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
        """The same moments for some of the columns, in the order given; a view where they are neighbours."""
        names = tuple(self.columns[i] for i in columns)
        if len(columns) and (np.diff(columns) == 1).all():
            run = slice(columns[0], columns[-1] + 1)
            mean, cross = self.mean[:, run], self.crossproduct[:, run, run]
        else:
            mean, cross = self.mean[:, columns], self.crossproduct[:, columns[:, None], columns]
        return EnvironmentMoments(names, self.environments, self.n_samples, mean, cross)

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


def merge_moments(parts: Iterable[EnvironmentMoments]) -> EnvironmentMoments:
    """Merge several moments of the same columns and environments, exactly: M = sum_k M_k + n_k delta_k delta_k'.

    delta_k is the mean of part k less that of all, in each environment.
    """
    first, *others = parts
    if not others:
        return first
    for other in others:
        _check_alike(first, other)
    n = np.stack([first.n_samples, *(other.n_samples for other in others)])
    steps = np.stack([np.zeros_like(first.mean), *(other.mean - first.mean for other in others)])
    step = np.einsum("ke,kem->em", n / np.maximum(n.sum(axis=0), 1), steps)
    cross = first.crossproduct.copy()
    for other in others:
        cross += other.crossproduct
    for e, delta in enumerate(np.moveaxis(steps - step, 1, 0)):
        cross[e] += (delta.T * n[:, e]) @ delta
    return EnvironmentMoments(first.columns, first.environments, n.sum(axis=0), first.mean + step, cross)


def _check_alike(first: EnvironmentMoments, other: EnvironmentMoments) -> None:
    if first.columns != other.columns or first.environments != other.environments:
        raise InputError(
            "Moments can be merged only over the same columns and environments in the same order; "
            f"columns {first_few(first.columns)} against {first_few(other.columns)}, "
            f"environments {first_few(first.environments)} against {first_few(other.environments)}."
        )
