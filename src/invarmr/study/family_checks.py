"""What families say of a study's verdict: the referee's lines, mates and dynasties, and the Mendelian headline."""

from __future__ import annotations

from dataclasses import replace

from invarmr.data.latent_instruments import MENDELIAN
from invarmr.diagnostics.battery import Diagnostics
from invarmr.diagnostics.check import Check
from invarmr.diagnostics.exclusion import sargan_check
from invarmr.diagnostics.referee import judge_with_families, mendelian_verdict
from invarmr.diagnostics.relevance import first_stage_check
from invarmr.study.archive import Archive
from invarmr.study.family_estimates import family_lead

__all__ = ["with_families"]


def with_families(archive: Archive, found: Diagnostics) -> Diagnostics:
    """The diagnostics with the lines of families added, and the verdict that follows from both."""
    families = archive.family_estimates
    if families is None:
        return found
    referees = families.referees
    lines: tuple[Check, ...] = (*(item.check() for item in referees), *(item.check() for item in families.measures))
    lead = family_lead(archive)
    if lead is None:
        return replace(found, checks=found.checks + lines, verdict=judge_with_families(found.verdict, referees))
    design, estimate, people = lead
    own = (first_stage_check(design), sargan_check(design, estimate))
    named = tuple(replace(check, reason=f"{MENDELIAN} instruments; {check.reason}".removesuffix("; ")) for check in own)
    others = tuple(replace(check, role="describes") for check in (*found.checks, *lines))
    return replace(found, checks=(*named, *others), verdict=mendelian_verdict(own, people.counts))
