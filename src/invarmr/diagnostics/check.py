"""The answer of one diagnostic: what was tested, what came out, or why it does not apply."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from invarmr.inference.null_law import NullLaw

__all__ = ["REJECTION", "Assumption", "Check", "Role", "not_applicable"]

REJECTION = 0.01
"""Level of each test that can reject."""

Assumption = Literal["relevance", "exclusion", "exchangeability", "invariance", "independence", "stability"]
Role = Literal["decides", "describes"]
"""Whether the verdict follows from a check, or the check is there to be read."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """One row of `diagnostics.tsv`.

    Parameters
    ----------
    assumption, test
        What is examined, and by which test: for the reader, nothing is decided by the name.
    null
        The null hypothesis, in words.
    statistic
        None where the test does not apply or has none.
    law
        Of the statistic where the null hypothesis holds; it gives `df` and `p_value`. None for a description and for a
        p-value that permutations counted.
    df, p_value
        Follow from the law; given only where there is none.
    role
        `decides`: the verdict follows from it (of relevance: how strong the instruments are; else: a rejection).
    applies
        False when the test cannot be made here; `reason` then says why.
    conclusion
        One plain sentence.
    reason
        What the reader must know: why not applicable, what the numbers rest on.

    Examples
    --------
    >>> from invarmr.inference.null_law import FLaw
    >>> far = Check(assumption="relevance", test="F", null="", statistic=900.0, law=FLaw(3, 20_000), conclusion="")
    >>> far.df, far.p_value, far.shown_p_value
    ('3, 20000', 0.0, '10^-548.4')
    """

    assumption: Assumption
    test: str
    null: str
    statistic: float | None = None
    law: NullLaw | None = None
    df: str = ""
    p_value: float | None = None
    role: Role = "describes"
    applies: bool = True
    conclusion: str
    reason: str = ""

    def __post_init__(self) -> None:
        if self.law is not None and self.statistic is not None:
            object.__setattr__(self, "df", self.law.df)
            object.__setattr__(self, "p_value", self.law.p_value(self.statistic))

    @property
    def can_reject(self) -> bool:
        """Whether a small p-value of this check rejects the assumptions; strength is judged by its size instead."""
        return self.applies and self.role == "decides" and self.assumption != "relevance"

    @property
    def rejects(self) -> bool:
        """Whether it does, at level `REJECTION`."""
        return self.can_reject and self.p_value is not None and self.p_value < REJECTION

    @property
    def measures_strength(self) -> bool:
        """Whether the verdict calls the instruments weak or strong by this statistic."""
        return self.applies and self.role == "decides" and self.assumption == "relevance"

    @property
    def log10_p_value(self) -> float | None:
        """Decimal logarithm of the p-value; where that is 0, by the law; None where nothing finer is known."""
        if self.law is not None and self.statistic is not None:
            return self.law.log10_p(self.statistic)
        return math.log10(self.p_value) if self.p_value else None

    @property
    def shown_p_value(self) -> str:
        """The p-value as text: two digits, or a power of ten where it is below 1e-300; "" where there is none."""
        if self.p_value is None:
            return ""
        log10 = self.log10_p_value
        return f"{self.p_value:.2g}" if self.p_value >= 1e-300 or log10 is None else f"10^{log10:.1f}"

    @property
    def sentence(self) -> str:
        """The conclusion with the test that gave it."""
        p = "" if self.p_value is None else f", p = {self.shown_p_value}"
        shown = "" if self.measures_strength else f" ({self.test}{p})"
        return f"{self.conclusion[0].upper()}{self.conclusion[1:]}{shown}."


def not_applicable(assumption: Assumption, test: str, null: str, reason: str, *, role: Role = "describes") -> Check:
    """A check that cannot be made here, because `reason`."""
    conclusion = "not applicable"
    return Check(
        assumption=assumption, test=test, null=null, role=role, applies=False, conclusion=conclusion, reason=reason
    )
