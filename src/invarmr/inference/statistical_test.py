"""The answer of a test of one effect or several: statistic and its law, or why there is none."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self, final

from invarmr.errors import InputError
from invarmr.inference.null_law import NullLaw

__all__ = ["NotApplicable", "StatisticalTest", "check_value", "hypothesis"]


class NotApplicable(InputError):
    """A test or set cannot be made for this design: a test then says so in its `reason`, a set is not given."""


@final
@dataclass(frozen=True, kw_only=True)
class StatisticalTest:
    """A test of the effect, or of some or all effects of several exposures.

    Parameters
    ----------
    test
        Name of the test.
    null
        The null hypothesis: `effect = 0`, `LDL = 0.5, HDL = 0`.
    statistic, law
        The statistic, and its law where the null hypothesis holds; None where the test does not apply.
    reason
        Why not applicable, or what the numbers rest on.

    Examples
    --------
    >>> from invarmr.inference.null_law import FLaw
    >>> print(StatisticalTest(test="Anderson-Rubin", null="effect = 0", statistic=5.4, law=FLaw(1, 2994)))
    Anderson-Rubin test of effect = 0: statistic 5.4 (df 1, 2994), p = 0.0202
    """

    test: str
    null: str
    statistic: float | None = None
    law: NullLaw | None = None
    reason: str = ""

    @classmethod
    def none(cls, test: str, null: str, reason: object) -> Self:
        """A test that cannot be made here, because `reason`."""
        return cls(test=test, null=null, reason=str(reason))

    @property
    def applies(self) -> bool:
        """False when the test cannot be made here; `reason` then says why."""
        return self.statistic is not None and self.law is not None

    @property
    def df(self) -> str:
        """Degrees of freedom, to be shown; "" where the test does not apply."""
        return "" if self.law is None else self.law.df

    @property
    def p_value(self) -> float | None:
        """From the law's survival function; 0 only where it is below the smallest float."""
        return None if self.statistic is None or self.law is None else self.law.p_value(self.statistic)

    @property
    def log10_p(self) -> float | None:
        """Decimal logarithm of the p-value, right also where that is 0."""
        return None if self.statistic is None or self.law is None else self.law.log10_p(self.statistic)

    def __str__(self) -> str:
        head = f"{self.test} test of {self.null}: "
        p = self.p_value
        if self.statistic is None or p is None:
            return f"{head}not applicable: {self.reason}"
        shown = f"{p:.4g}" if p > 0 else f"10^{self.log10_p:.1f}"
        return f"{head}statistic {self.statistic:.5g} (df {self.df}), p = {shown}"


def hypothesis(values: Mapping[str, float]) -> str:
    """Effects by name, as a null hypothesis.

    Examples
    --------
    >>> hypothesis({"LDL": 0.5, "HDL": 0.0})
    'LDL = 0.5, HDL = 0'
    """
    return ", ".join(f"{name} = {value:g}" for name, value in values.items())


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
