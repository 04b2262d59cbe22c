"""What every summary-data estimator shares: frozen settings, and one `fit` that checks and hands over.

Symbols: p variants, gamma and Gamma their associations with exposure and outcome.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from invarmr.arrays import FloatArray
from invarmr.data.harmonised import Associations
from invarmr.errors import InputError, first_few
from invarmr.estimators.summary.result import SummaryEstimate
from invarmr.inference.wald import check_level

__all__ = ["SummaryEstimator", "check_draws", "check_ratios", "drawn"]

_BLOCK = 1_000_000
"""Numbers drawn at a time, so that memory does not grow with draws x variants."""


@dataclass(frozen=True, kw_only=True)
class SummaryEstimator(ABC):
    """An estimator of the effect from `Associations`.

    Parameters
    ----------
    level
        Level of the confidence set.
    """

    level: float = 0.95
    minimum_variants: ClassVar[int] = 1
    maximum_variants: ClassVar[int | None] = None
    takes_correlation: ClassVar[bool] = False
    takes_ratios: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_level(self.level)

    @property
    @abstractmethod
    def method(self) -> str:
        """Label of the row."""

    @abstractmethod
    def _estimate(self, data: Associations, seed: int) -> SummaryEstimate:
        """Estimate from data that fit the method."""

    def applies_to(self, n_variants: int) -> bool:
        """Whether the method can use so few, or so many, variants."""
        return not self.why_not(n_variants)

    def why_not(self, n_variants: int) -> str:
        """Why the method cannot use so few, or so many, variants; empty where it can."""
        least, most = self.minimum_variants, self.maximum_variants
        if n_variants < least:
            return f"needs {least} variants at least"
        return f"takes {most} variants at most" if n_variants > (most or n_variants) else ""

    def fit(self, data: Associations, *, seed: int = 1) -> SummaryEstimate:
        """Estimate the effect.

        Parameters
        ----------
        data
            Associations of one exposure and one outcome.
        seed
            Of what is drawn; deterministic methods ignore it.

        Raises
        ------
        InputError
            Fewer variants than the method needs, or more than it can use; correlated variants where it takes them as
            independent, or an exposure association of exactly zero where it takes ratios.
        """
        bound = self.why_not(data.n_variants)
        if bound:
            raise InputError(f"{self.method} {bound}, but there are {data.n_variants}.")
        if data.correlation is not None and not self.takes_correlation:
            raise InputError(
                f"{self.method} takes variants as independent, but a correlation was given. Prune the variants, or use "
                "inverse variance weighted, MR Egger or maximum likelihood."
            )
        if self.takes_ratios:
            check_ratios(data, self.method)
        return self._estimate(data, seed)


def check_ratios(data: Associations, method: str) -> None:
    """Make sure that every ratio exists.

    Raises
    ------
    InputError
        An exposure association is exactly zero.
    """
    zero = np.flatnonzero(data.exposure == 0.0)
    if zero.size:
        raise InputError(
            f"{method} divides by the exposure associations, but they are exactly zero for "
            f"{first_few(data.variants[row] for row in zero)}. Drop these variants."
        )


def check_draws(n_draws: int) -> None:
    """Two draws at least, or there is no spread to measure.

    Raises
    ------
    InputError
        Fewer.
    """
    if n_draws < 2:
        raise InputError(f"n_draws must be 2 at least, but is {n_draws}.")


def drawn(
    rng: np.random.Generator, n_draws: int, *parts: tuple[FloatArray, FloatArray]
) -> Iterator[tuple[FloatArray, ...]]:
    """Normal draws (rows, p) for each (mean, standard deviation), in blocks of rows, `n_draws` rows in all."""
    p = parts[0][0].size
    rows = max(1, _BLOCK // max(p, 1))
    for start in range(0, n_draws, rows):
        size = (min(rows, n_draws - start), p)
        yield tuple(mean + std_error * rng.standard_normal(size) for mean, std_error in parts)
