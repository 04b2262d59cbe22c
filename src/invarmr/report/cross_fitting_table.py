"""The table of cross-fitting: what was learned for each part of the people from all others, and the effect there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from invarmr.archive.disclosure import Disclosure
from invarmr.report.archive import Archive
from invarmr.report.numbers import NOTHING, show_effect, show_number, show_p, show_share
from invarmr.report.tables import Row, Table, columns_of

__all__ = ["cross_fitting_table"]

SETS = ("anderson_rubin", "lagrange_multiplier", "conditional_likelihood_ratio")


def cross_fitting_table(archive: Archive, *, counts: Disclosure) -> Table:
    """Show every part, and all of them together with their robust sets."""
    caption = "Cross-fitting: the effect on people whose instruments were learned from other people."
    if archive.cross_fitting is None:
        return Table("cross-fitting", caption, reason="the study does not ask for it ([estimate] cross_fitting)")
    rows = [_row(row, counts) for row in archive.cross_fitting.iter_rows(named=True)]
    whole = archive.cross_fitting.row(-1, named=True)
    columns = columns_of(
        ("Part", "Learner", "Verdict"), "Learned from", "People", "Latent instruments", "Estimate",
        f"{show_share(archive.headline.level)} interval", "First-stage F", "Anderson-Rubin set", "LM set",
        "Conditional LR set",
    )  # fmt: skip
    note = (
        "Intervals and sets count the error of learning, and what the parts have in common. The plain interval is the "
        "headline's: its instruments were learned from the same people."
    )
    if whole["heterogeneity_p_value"] is not None:
        note += (
            f" Do the parts agree? Q {show_number(whole['heterogeneity_q'])} on {whole['heterogeneity_df']} df, p "
            f"{show_p(whole['heterogeneity_p_value'])}."
        )
    if whole["disagreement_p_value"] is not None:
        note += (
            " Do the maps learned for them differ, on the same people, by more than the error of learning that is "
            f"counted? Chi-squared {show_number(whole['disagreement'])} on {whole['disagreement_df']} df, p "
            f"{show_p(whole['disagreement_p_value'])}."
        )
    return Table("cross-fitting", caption, columns, tuple(rows), note)


def _row(row: Mapping[str, Any], counts: Disclosure) -> Row:
    value, lower, upper = show_effect(row["estimate"], row["ci_lower"], row["ci_upper"], row["std_error"])
    everybody = row["part"] == "all"
    cells = (
        "all, together" if everybody else row["part"],
        row["learner"] or NOTHING,
        row["status"],
        NOTHING if row["n_learned"] is None else counts.show(row["n_learned"]),
        counts.show(row["n_samples"]),
        NOTHING if row["n_latent"] is None else f"{row['n_latent']}",
        value,
        NOTHING if row["ci_lower"] is None or row["ci_upper"] is None else f"{lower} to {upper}",
        show_number(row["first_stage_f"]),
        *(row[name] or NOTHING for name in SETS),
    )
    return Row(cells, "headline" if everybody else "")
