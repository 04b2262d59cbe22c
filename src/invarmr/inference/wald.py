"""The Wald test of effect = value, and the interval that inverts it.

Symbols: theta estimate, se standard error, z = (theta - value) / se, standard normal under the null.
Source: Wald (1943), Transactions of the American Mathematical Society 54:426.
"""

from __future__ import annotations

import math

from scipy import special

from invarmr.errors import InputError
from invarmr.inference.confidence_set import ConfidenceSet

__all__ = ["check_level", "wald_p_value", "wald_set"]


def check_level(level: float) -> float:
    """The confidence level, if it is one: strictly between 0 and 1 (0.95, never 0.05 or 95).

    Raises
    ------
    InputError
        Outside (0, 1).
    """
    if not 0.0 < level < 1.0:
        raise InputError(f"level must lie strictly between 0 and 1 (0.95, say), but is {level!r}.")
    return level


def wald_p_value(estimate: float, std_error: float, value: float = 0.0) -> float:
    """Two-sided p-value, 2 (1 - Phi(|z|)), from the survival function, so that far tails stay positive.

    Examples
    --------
    >>> round(wald_p_value(1.959963984540054, 1.0), 12)
    0.05
    """
    return float(special.erfc(abs(estimate - value) / std_error / math.sqrt(2.0)))


def wald_set(estimate: float, std_error: float, *, level: float = 0.95) -> ConfidenceSet:
    """Estimate +- z std_error: the values the Wald test does not reject at 1 - level.

    Examples
    --------
    >>> print(wald_set(1.0, 0.5))
    [0.02002, 1.98]
    """
    half = -float(special.ndtri((1.0 - check_level(level)) / 2.0)) * std_error
    return ConfidenceSet(((estimate - half, estimate + half),), level)
