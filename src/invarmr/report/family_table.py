"""The table of families: the referee's lines, how mates resemble each other, and what parents do by other alleles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from invarmr.archive.disclosure import Disclosure
from invarmr.report.archive import Archive
from invarmr.report.numbers import NOTHING, show_effect, show_number, show_p
from invarmr.report.tables import Row, Table, columns_of

__all__ = ["family_table"]


def family_table(archive: Archive, *, counts: Disclosure) -> Table:
    """Show every line of `families.tsv`."""
    caption = "Families: the estimates against Mendel's law, and what trios show of assortment and dynastic effects."
    if archive.families is None:
        return Table("families", caption, reason="the study names no families, or they are too few ([families])")
    rows = [_row(row, counts) for row in archive.families.iter_rows(named=True)]
    columns = columns_of(("What",), "Value", "Interval", "p", "Would have been seen", "People", "Rests on")
    note = (
        "A referee's line is an estimate less the Mendelian one; a bias of the size under “would have been seen” is "
        "rejected with 80 % power. Below 0.01 for the learned instruments the verdict is rejected and the Mendelian "
        "estimate leads. Mates' correlations and effects of non-transmitted alleles are not in the verdict."
    )
    return Table("families", caption, columns, tuple(rows), note)


def _row(row: Mapping[str, Any], counts: Disclosure) -> Row:
    value, lower, upper = show_effect(row["estimate"], row["ci_lower"], row["ci_upper"], row["std_error"])
    referee = row["measure"] == "referee"
    what = f"referee: {row['compared']} less Mendelian" if referee else row["measure"]
    cells = (
        what,
        value,
        f"{lower} to {upper}",
        show_p(row["p_value"]),
        show_number(row["detectable"]),
        NOTHING if row["n_samples"] is None else counts.show(row["n_samples"]),
        row["reason"],
    )
    return Row(cells, "headline" if referee and row["compared"] == "learned" else "")
