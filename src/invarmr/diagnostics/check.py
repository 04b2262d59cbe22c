"""The answer of one diagnostic: what was tested, what came out, or why it does not apply."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from invarmr.inference.tails import log_survival_chi2, log_survival_f

__all__ = ["REJECTION", "Assumption", "Check", "not_applicable"]

REJECTION = 0.01
"""Level of each test that can reject."""

Assumption = Literal["relevance", "exclusion", "exchangeability", "invariance", "independence", "stability"]


@dataclass(frozen=True, kw_only=True)
class Check:
    """One row of `diagnostics.tsv`.

    Parameters
    ----------
    assumption, test
        What is examined, and by which test.
    null
        The null hypothesis, in words.
    statistic, df, p_value
        None where the test does not apply or has none; `df` as text ("197" or "3, 5988").
    applies
        False when the test cannot be made here; `reason` then says why.
    conclusion
        One plain sentence.
    reason
        What the reader must know: why not applicable, what the numbers rest on.
    """

    assumption: Assumption
    test: str
    null: str
    statistic: float | None = None
    df: str = ""
    p_value: float | None = None
    applies: bool = True
    conclusion: str
    reason: str = ""

    @property
    def log10_p_value(self) -> float | None:
        """Decimal logarithm of the p-value; where that is 0, from `statistic` and `df`, by F or chi-squared.

        Examples
        --------
        >>> tail = {"statistic": 900.0, "df": "3, 20000", "p_value": 0.0}
        >>> far = Check(assumption="relevance", test="F", null="", conclusion="", **tail)
        >>> round(far.log10_p_value, 1)
        -548.4
        """
        if self.p_value is None or self.p_value > 0:
            return None if self.p_value is None else math.log10(self.p_value)
        degrees = [float(part) for part in self.df.split(",") if part.strip().replace(".", "", 1).isdigit()]
        if self.statistic is None or len(degrees) not in (1, 2):
            return None
        if len(degrees) == 2:
            return log_survival_f(self.statistic, *degrees) / math.log(10.0)
        return float(log_survival_chi2(self.statistic, degrees[0])) / math.log(10.0)

    @property
    def shown_p_value(self) -> str:
        """The p-value as text: two digits, or a power of ten where it is below 1e-300; "" where there is none."""
        if self.p_value is None:
            return ""
        log10 = self.log10_p_value
        return f"{self.p_value:.2g}" if self.p_value >= 1e-300 or log10 is None else f"10^{log10:.1f}"


def not_applicable(assumption: Assumption, test: str, null: str, reason: str) -> Check:
    """A check that cannot be made here, because `reason`."""
    return Check(assumption=assumption, test=test, null=null, applies=False, conclusion="not applicable", reason=reason)
