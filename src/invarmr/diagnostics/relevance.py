"""Relevance: whether the instruments move the exposure enough.

Symbols: F first-stage F, an F in the strict sense; R2 partial R2. Threshold 10: Staiger & Stock (1997), Econometrica
65:557.
"""

from __future__ import annotations

from invarmr.data.design import IVDesign
from invarmr.diagnostics.check import Check
from invarmr.estimators.kclass import first_stage
from invarmr.inference.null_law import FLaw

__all__ = ["WEAK_BELOW", "first_stage_check", "partial_r2_check"]

WEAK_BELOW = 10.0
"""First-stage F below which instruments are called weak."""


def first_stage_check(design: IVDesign) -> Check:
    """F test that no instrument predicts the exposure, given the controls."""
    parts = design.partialled
    f, _ = first_stage(parts)
    free = parts.n_samples - parts.n_instruments - parts.n_controls
    strong = f >= WEAK_BELOW
    return Check(
        assumption="relevance",
        test="first-stage F",
        null="no instrument predicts the exposure, given the controls",
        statistic=f,
        law=FLaw(parts.n_instruments, free),
        role="decides",
        conclusion=f"the instruments are {'strong enough' if strong else 'weak'} (F {f:.1f}, bound {WEAK_BELOW:g})",
    )


def partial_r2_check(design: IVDesign) -> Check:
    """Share of the exposure's variance that the instruments explain, given the controls."""
    _, r2 = first_stage(design.partialled)
    return Check(
        assumption="relevance",
        test="partial R2",
        null="none: a description",
        statistic=r2,
        conclusion=f"the instruments explain {100 * r2:.2g} % of the exposure's variance",
    )
