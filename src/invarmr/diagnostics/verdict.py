"""The verdict: whether the estimate may be interpreted, from everything that was checked.

Order of precedence: `rejected` (a test of the assumptions failed) over `not identified` (the data cannot tell) over
`weak` over `identified`. Each of the tests that can reject (held-out invariance and independence; for scores, held-out
law; over-identification; agreement of environments) is made at level 0.01. In simulations 5 of 120 valid studies were
rejected (`docs/methods/admixture-simulator.md`).
"""

from __future__ import annotations

from collections.abc import Sequence

from invarmr.data.latent_instruments import LatentInstruments, Verdict
from invarmr.diagnostics.check import REJECTION, Check
from invarmr.diagnostics.invariance import LAW_TESTS
from invarmr.diagnostics.relevance import WEAK_BELOW

__all__ = ["judge"]

_REJECTING = ("Sargan J", "Hansen J", "Cochran Q over environments", *LAW_TESTS)


def judge(latent: LatentInstruments | None, checks: Sequence[Check]) -> Verdict:
    """Combine what learning says with over-identification, agreement of environments and strength."""
    if latent is None:
        return Verdict(
            "not identified",
            (
                "No instruments were learned: the estimate takes the observed instruments as unrelated to every "
                "confounder, ancestry included, which these data were not asked to show.",
            ),
        )
    learned = latent.verdict
    failed = [
        check
        for check in checks
        if check.test in _REJECTING and check.p_value is not None and check.p_value < REJECTION
    ]
    reasons = [
        f"{check.conclusion[0].upper()}{check.conclusion[1:]} ({check.test}, p = {check.shown_p_value})."
        for check in failed
    ]
    if learned.status == "rejected" or failed:
        first = list(learned.reasons)
        return Verdict("rejected", tuple(first + reasons if learned.status == "rejected" else reasons + first))
    if learned.status == "not identified":
        return learned
    passed = _passed(checks)
    strength = next((check for check in checks if check.test == "first-stage F"), None)
    if strength is not None and strength.statistic is not None and strength.statistic < WEAK_BELOW:
        tested = any(check.test in _REJECTING[:2] and check.applies for check in checks)
        weak = f"The learned instruments are weak: first-stage F {strength.statistic:.1f}, bound {WEAK_BELOW:g}. " + (
            "No test of the assumptions failed." if tested else "Whether they agree on the effect could not be tested."
        )
        others = [reason for reason in passed if not reason.startswith("The instruments are weak")]
        return Verdict("weak", (weak, *learned.reasons, *others))
    return Verdict("identified", (*learned.reasons, *passed))


def _passed(checks: Sequence[Check]) -> list[str]:
    out = []
    for check in checks:
        if check.test in (*_REJECTING, "first-stage F") and check.applies:
            p = "" if check.p_value is None else f", p = {check.shown_p_value}"
            shown = f" ({check.test}{p})" if check.test != "first-stage F" else ""
            out.append(f"{check.conclusion[0].upper()}{check.conclusion[1:]}{shown}.")
    return out
