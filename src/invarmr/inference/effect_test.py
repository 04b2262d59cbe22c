"""The answer of a test of effect = value: statistic, degrees of freedom, p-value, or why there is none."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

from invarmr.errors import InputError

__all__ = ["EffectTest", "NotApplicable", "check_value"]


class NotApplicable(InputError):
    """A test or set cannot be made for this design: a test then says so in its `reason`, a set is not given."""


@dataclass(frozen=True, kw_only=True)
class EffectTest:
    """A test of one value of the effect.

    Parameters
    ----------
    test
        Name of the test.
    value
        The tested effect, in units of outcome per unit of exposure.
    null
        The null hypothesis, in words.
    statistic, df
        None and "" where the test does not apply; `df` as text ("2" or "2, 2992").
    p_value
        From the survival function; 0 only where it is below the smallest float, and `log10_p` then says how small.
    log10_p
        Decimal logarithm of the p-value.
    applies
        False when the test cannot be made here; `reason` then says why.
    reason
        Why not applicable, or what the numbers rest on.

    Examples
    --------
    >>> print(EffectTest.of("Anderson-Rubin", 0.0, statistic=5.4, df="1, 2994", log_p=math.log(0.02)))
    Anderson-Rubin test of effect = 0: statistic 5.4 (df 1, 2994), p = 0.02
    """

    test: str
    value: float
    null: str
    statistic: float | None = None
    df: str = ""
    p_value: float | None = None
    log10_p: float | None = None
    applies: bool = True
    reason: str = ""

    @classmethod
    def of(cls, test: str, value: float, *, statistic: float, df: str, log_p: float, reason: str = "") -> Self:
        """A test that was made, from the natural logarithm of its p-value."""
        log_p = min(log_p, 0.0)
        return cls(
            test=test,
            value=value,
            null=_null(value),
            statistic=statistic,
            df=df,
            p_value=math.exp(log_p),
            log10_p=log_p / math.log(10.0),
            reason=reason,
        )

    @classmethod
    def none(cls, test: str, value: float, reason: str) -> Self:
        """A test that cannot be made here, because `reason`."""
        return cls(test=test, value=value, null=_null(value), applies=False, reason=reason)

    def __str__(self) -> str:
        head = f"{self.test} test of effect = {self.value:g}: "
        if self.statistic is None or self.p_value is None or self.log10_p is None:
            return f"{head}not applicable: {self.reason}"
        p = f"{self.p_value:.4g}" if self.p_value > 0 else f"10^{self.log10_p:.1f}"
        return f"{head}statistic {self.statistic:.5g} (df {self.df}), p = {p}"


def _null(value: float) -> str:
    return f"the effect is {value:g}"


def check_value(value: float) -> float:
    """The tested effect, if it is a finite number.

    Raises
    ------
    InputError
        NaN or infinite.
    """
    if not math.isfinite(value):
        raise InputError(f"value must be a finite number, the effect to be tested, but is {value!r}.")
    return float(value)
