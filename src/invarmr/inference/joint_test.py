"""The answer of a test of the effects of several exposures."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self, final

__all__ = ["JointTest"]


@final
@dataclass(frozen=True, kw_only=True)
class JointTest:
    """A test of the effects of some or all exposures; the effects of the others are left free.

    Parameters
    ----------
    test
        Name of the test.
    values
        The tested effect of each exposure that is tested.
    null
        The null hypothesis, in words.
    statistic, df
        None and "" where the test does not apply; `df` as text.
    p_value, log10_p
        P-value (0 where it is below the smallest float) and its decimal logarithm.
    applies
        False when the test cannot be made here; `reason` then says why.
    reason
        Why not applicable, or what the numbers rest on.

    Examples
    --------
    >>> print(JointTest.of("Anderson-Rubin", {"LDL": 0.5, "HDL": 0.0}, statistic=2.0, df="4, 94", log_p=math.log(0.1)))
    Anderson-Rubin test of LDL = 0.5, HDL = 0: statistic 2 (df 4, 94), p = 0.1
    """

    test: str
    values: Mapping[str, float]
    null: str
    statistic: float | None = None
    df: str = ""
    p_value: float | None = None
    log10_p: float | None = None
    applies: bool = True
    reason: str = ""

    @classmethod
    def of(
        cls, test: str, values: Mapping[str, float], *, statistic: float, df: str, log_p: float, reason: str = ""
    ) -> Self:
        """A test that was made, from the natural logarithm of its p-value."""
        log_p = min(log_p, 0.0)
        return cls(
            test=test,
            values=dict(values),
            null=f"the effects are {_shown(values)}",
            statistic=statistic,
            df=df,
            p_value=math.exp(log_p),
            log10_p=log_p / math.log(10.0),
            reason=reason,
        )

    @classmethod
    def none(cls, test: str, values: Mapping[str, float], reason: str) -> Self:
        """A test that cannot be made here, because `reason`."""
        return cls(
            test=test, values=dict(values), null=f"the effects are {_shown(values)}", applies=False, reason=reason
        )

    def __str__(self) -> str:
        head = f"{self.test} test of {_shown(self.values)}: "
        if self.statistic is None or self.p_value is None or self.log10_p is None:
            return f"{head}not applicable: {self.reason}"
        p = f"{self.p_value:.4g}" if self.p_value > 0 else f"10^{self.log10_p:.1f}"
        return f"{head}statistic {self.statistic:.5g} (df {self.df}), p = {p}"


def _shown(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name} = {value:g}" for name, value in values.items())
