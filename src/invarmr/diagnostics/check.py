"""The answer of one diagnostic: what was tested, what came out, or why it does not apply."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

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


def not_applicable(assumption: Assumption, test: str, null: str, reason: str) -> Check:
    """A check that cannot be made here, because `reason`."""
    return Check(assumption=assumption, test=test, null=null, applies=False, conclusion="not applicable", reason=reason)
