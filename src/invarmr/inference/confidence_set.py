"""Confidence sets: unions of intervals that may be empty, unbounded or disjoint, and say so."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["ConfidenceSet"]


@dataclass(frozen=True)
class ConfidenceSet:
    """A union of closed intervals at a stated level.

    Parameters
    ----------
    intervals
        Disjoint (lower, upper) pairs in increasing order; infinite bounds allowed; empty: the empty set.
    level
        Confidence level in (0, 1), 0.95 say.

    Examples
    --------
    >>> print(ConfidenceSet(((0.5, 1.5),), 0.95))
    [0.5, 1.5]
    >>> print(ConfidenceSet(((-math.inf, -1.0), (2.0, math.inf)), 0.95))
    (-inf, -1] U [2, inf)
    >>> print(ConfidenceSet((), 0.95))
    empty
    """

    intervals: tuple[tuple[float, float], ...]
    level: float

    @property
    def lower(self) -> float:
        """Smallest member; NaN for the empty set."""
        return self.intervals[0][0] if self.intervals else math.nan

    @property
    def upper(self) -> float:
        """Largest member; NaN for the empty set."""
        return self.intervals[-1][1] if self.intervals else math.nan

    @property
    def is_bounded(self) -> bool:
        """Whether both ends are finite (the empty set is bounded)."""
        return all(math.isfinite(end) for pair in self.intervals for end in pair)

    def __contains__(self, value: float) -> bool:
        return any(low <= value <= high for low, high in self.intervals)

    def __str__(self) -> str:
        def side(low: float, high: float) -> str:
            left = f"[{low:.4g}" if math.isfinite(low) else "(-inf"
            right = f"{high:.4g}]" if math.isfinite(high) else "inf)"
            return f"{left}, {right}"

        return " U ".join(side(low, high) for low, high in self.intervals) or "empty"
