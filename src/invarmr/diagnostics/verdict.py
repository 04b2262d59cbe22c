"""The verdict: whether the estimate may be interpreted, from everything that was checked.

Order of precedence: `rejected` (a test of the assumptions failed) over `not identified` (the data cannot tell) over
`weak` over `identified`. What is read is each check's role, never its name: the tests that can reject (held-out
invariance and independence; for scores, held-out law; over-identification; agreement of environments) are those whose
role is `decides`, each made at level 0.01. In simulations 5 of 120 valid studies were
rejected (`docs/methods/admixture-simulator.md`).
"""

from __future__ import annotations

from collections.abc import Sequence

from invarmr.data.latent_instruments import LatentInstruments, Verdict
from invarmr.diagnostics.check import Check
from invarmr.diagnostics.relevance import WEAK_BELOW

__all__ = ["judge"]


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
    failed = [check for check in checks if check.rejects]
    reasons = [check.sentence for check in failed]
    if learned.status == "rejected" or failed:
        first = list(learned.reasons)
        return Verdict("rejected", tuple(first + reasons if learned.status == "rejected" else reasons + first))
    if learned.status == "not identified":
        return learned
    tests = [check.sentence for check in checks if check.can_reject]
    strength = next((check for check in checks if check.measures_strength), None)
    if strength is not None and strength.statistic is not None and strength.statistic < WEAK_BELOW:
        tested = any(check.can_reject and check.assumption == "exclusion" for check in checks)
        weak = f"The learned instruments are weak: first-stage F {strength.statistic:.1f}, bound {WEAK_BELOW:g}. " + (
            "No test of the assumptions failed." if tested else "Whether they agree on the effect could not be tested."
        )
        return Verdict("weak", (weak, *learned.reasons, *tests))
    passed = [check.sentence for check in checks if check.can_reject or check.measures_strength]
    return Verdict("identified", (*learned.reasons, *passed))
