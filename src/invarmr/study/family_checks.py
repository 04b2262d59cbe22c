"""What families say of a study's verdict: the referee's lines, mates and dynasties, and the Mendelian headline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import polars as pl

from invarmr.data.latent_instruments import MENDELIAN
from invarmr.diagnostics.battery import Diagnostics
from invarmr.diagnostics.check import Check
from invarmr.diagnostics.exclusion import sargan_check
from invarmr.diagnostics.mates import FamilyMeasure
from invarmr.diagnostics.referee import Referee, judge_with_families, mendelian_verdict
from invarmr.diagnostics.relevance import first_stage_check
from invarmr.study.archive import Archive
from invarmr.study.family_estimates import family_lead
from invarmr.study.layout import require

__all__ = ["with_families"]


def with_families(archive: Archive, found: Diagnostics) -> Diagnostics:
    """The diagnostics with the lines of families added, and the verdict that follows from both."""
    if archive.config.families is None:
        return found
    table = pl.read_csv(require(archive.folder, "families.tsv", "estimate"), separator="\t")
    referees = [
        Referee(row["compared"], float(row["estimate"]), float(row["std_error"]))
        for row in table.iter_rows(named=True)
        if row["measure"] == "referee"
    ]
    measures = [_measure(row) for row in table.iter_rows(named=True) if row["measure"] != "referee"]
    lines: tuple[Check, ...] = (*(item.check() for item in referees), *(item.check() for item in measures))
    lead = family_lead(archive)
    if lead is None:
        return replace(found, checks=found.checks + lines, verdict=judge_with_families(found.verdict, referees))
    design, estimate, families = lead
    own = (first_stage_check(design), sargan_check(design, estimate))
    named = tuple(replace(check, reason=f"{MENDELIAN} instruments; {check.reason}".removesuffix("; ")) for check in own)
    return replace(found, checks=(*named, *found.checks, *lines), verdict=mendelian_verdict(own, families.counts))


def _measure(row: Mapping[str, Any]) -> FamilyMeasure:
    return FamilyMeasure(
        measure=str(row["measure"]),
        estimate=float(row["estimate"]),
        std_error=float(row["std_error"]),
        ci_lower=float(row["ci_lower"]),
        ci_upper=float(row["ci_upper"]),
        p_value=float(row["p_value"]),
        n_samples=int(row["n_samples"]),
        reason=str(row["reason"] or ""),
    )
