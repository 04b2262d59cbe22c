"""Tables of what went in: people by stage and environment, variants kept and dropped."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

import polars as pl

from invarmr.archive.disclosure import Disclosure
from invarmr.report.archive import Archive
from invarmr.report.numbers import NOTHING, show_number, show_p
from invarmr.report.tables import Row, Table, columns_of

__all__ = ["drop_reasons", "sample_table", "variant_table"]

STAGES = ("read", "matched", "dropped", "used")
NO_PLACE = "environment not known"
PLACES_ACROSS = 7
VARIANTS_SHOWN = 1000


def sample_table(archive: Archive, *, counts: Disclosure) -> Table:
    """Show the people read, matched, dropped and used, one column an environment."""
    caption = "People at each stage, by environment."
    if archive.samples is None:
        return Table("samples", caption, reason="the run kept no counts of people by stage")
    frame = archive.samples
    cells: dict[tuple[str, str], Counter[str]] = {}
    for stage, place, n, reason in frame.select("stage", "environment", "n_samples", "reason").iter_rows():
        cells.setdefault((stage, reason), Counter())[place] += n or 0
    steps = sorted(cells, key=lambda step: _stage_place(step[0]))
    places = [name for name in dict.fromkeys(frame["environment"].to_list()) if name]
    places += [""] if any(own[""] for own in cells.values()) else []
    if len(places) > PLACES_ACROSS:
        return _samples_down(cells, steps, places, counts)
    rows = []
    for stage, reason in steps:
        own = cells[stage, reason]
        numbers = [counts.show(own[place]) if place in own else "" for place in places]
        mark = {"dropped": "off", "used": "headline"}.get(stage, "")
        rows.append(Row((stage, counts.text(reason), *numbers, counts.show(own.total())), mark))
    columns = columns_of(("Stage", "Reason"), *(place or NO_PLACE for place in places), "All")
    return Table("samples", caption, columns, tuple(rows))


def _samples_down(
    cells: Mapping[tuple[str, str], Counter[str]], steps: Sequence[tuple[str, str]], places: Sequence[str],
    counts: Disclosure,
) -> Table:  # fmt: skip
    """Turn the table on its side where there are too many environments for columns."""
    rows = [
        Row((place or NO_PLACE, *(counts.show(cells[step][place]) if place in cells[step] else "" for step in steps)))
        for place in places
    ]
    rows.append(Row(("All", *(counts.show(cells[step].total()) for step in steps)), "headline"))
    headings = [f"{stage}: {counts.text(reason)}" if reason else stage for stage, reason in steps]
    return Table(
        "samples", "People in each environment, by stage.", columns_of(("Environment",), *headings), tuple(rows)
    )


def _stage_place(stage: str) -> int:
    return STAGES.index(stage) if stage in STAGES else len(STAGES)


def drop_reasons(archive: Archive) -> Table:
    """Count the reasons for which variants were dropped."""
    caption = "Variants asked for, kept and dropped, with the reason."
    if archive.variants is None:
        return Table("drop-reasons", caption, reason="the instruments of this study are columns, not variants")
    frame = archive.variants
    found: Counter[str] = Counter()
    for reason in frame.filter(pl.col("status") == "dropped")["reason"].to_list():
        found.update({_kind_of(part) for part in reason.split("; ")})
    rows = [
        Row(("asked for", "", f"{frame.height:,}")),
        Row(("kept", "", f"{int((frame['status'] == 'kept').sum()):,}"), "headline"),
        *(Row(("dropped", reason, f"{n:,}"), "off") for reason, n in found.most_common()),
    ]
    note = "A variant with several reasons is counted under each." if found else ""
    return Table("drop-reasons", caption, columns_of(("Status", "Reason"), "Variants"), tuple(rows), note)


def _kind_of(reason: str) -> str:
    """Cut a reason before its first number, so that like reasons are counted together."""
    return re.split(r"\s(?=[\d.]+(?:e-?\d+)?\b)", reason, maxsplit=1)[0].strip(" ,:(") or "no reason given"


def variant_table(archive: Archive, *, counts: Disclosure) -> Table:
    """Show every variant asked for, up to 1,000, dropped ones first."""
    caption = "Every variant asked for."
    if archive.variants is None:
        return Table("variants", caption, reason="the instruments of this study are columns, not variants")
    frame = archive.variants.sort("status", maintain_order=True)
    masked = counts.smallest is not None
    numbers = [] if masked else ["Frequency", "Lowest call rate", "Hardy-Weinberg p", "Imputed"]
    rows = []
    for row in frame.head(VARIANTS_SHOWN).iter_rows(named=True):
        alleles = f"{row['effect_allele']} / {row['other_allele']}"
        place = f"{row['chromosome']}:{row['position']}" if row["position"] is not None else row["chromosome"]
        quality = (
            show_number(row["effect_allele_frequency"]), show_number(row["min_call_rate"], 4),
            show_p(row["hardy_weinberg_p"]), NOTHING if row["n_imputed"] is None else f"{row['n_imputed']:,}",
        )  # fmt: skip
        reason = _kind_of(row["reason"]) if masked and row["reason"] else row["reason"]
        cells = (row["variant"], place, alleles, row["status"], reason, *(() if masked else quality))
        rows.append(Row(cells, "off" if row["status"] == "dropped" else ""))
    notes = []
    if frame.height > VARIANTS_SHOWN:
        notes.append(f"The first {VARIANTS_SHOWN:,} of {frame.height:,}, dropped ones first; all are in variants.tsv.")
    if masked:
        notes.append("Frequencies and call rates are left out, because small counts could be derived from them.")
    columns = columns_of(("Variant", "Position", "Effect / other allele", "Status", "Reason"), *numbers)
    return Table("variants", caption, columns, tuple(rows), " ".join(notes))
