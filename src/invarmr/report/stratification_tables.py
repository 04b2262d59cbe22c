"""Tables of the stratification battery, and of the confidence sets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from invarmr.archive.disclosure import Disclosure
from invarmr.report.archive import Archive
from invarmr.report.numbers import NOTHING, show_effect, show_number, show_p, show_share
from invarmr.report.tables import Column, Row, Table, columns_of
from invarmr.report.wording import SET_NAMES

__all__ = ["combined_table", "control_table", "joint_table", "set_table"]

AGAINST = {"environment": "environment labels", "components": "principal components"}


def joint_table(archive: Archive, *, counts: Disclosure) -> Table:
    """Show the joint tests of the instruments against environment labels and components."""
    caption = "All instruments together against environment labels and principal components."
    if archive.stratification is None:
        reason = "the study has one environment and no principal components, or the run is older"
        return Table("joint", caption, reason=reason)
    rows = [
        Row(
            (
                f"{row['instruments']} instruments", AGAINST.get(row["against"], row["against"]), row["test"],
                show_number(row["statistic"]), row["df"] or NOTHING, show_p(row["p_value"]), show_share(row["share"]),
                show_share(row["chance"]), counts.text(row["reason"]),
            )
        )
        for row in archive.stratification.iter_rows(named=True)
    ]  # fmt: skip
    columns = (
        *columns_of(("Instruments", "Against", "Test"), "Statistic", "df", "p", "Share explained", "By chance"),
        Column("Rests on", numeric=False),
    )
    note = (
        "Share: of the instruments' joint variance; for HSIC, of the largest dependence that the measure can show. A "
        "component made of a few linked variants follows the instruments among them without any confounding."
    )
    return Table("joint", caption, columns, tuple(rows), note)


def combined_table(archive: Archive) -> Table:
    """Show the environments' estimates combined by fixed and by random effects."""
    caption = "Estimates of environments alone, combined."
    if archive.meta_analysis is None:
        return Table("combined", caption, reason="fewer than two environments could be estimated alone")
    rows = [
        Row(
            (
                SET_NAMES.get(row["instruments"], row["instruments"]), f"{row['model']} effects", *_effect(row),
                show_p(row["p_value"]), f"{row['n_environments']}", show_number(row["q"]), show_p(row["q_p_value"]),
                show_share(row["i2"]), show_number(row["tau2"]),
            ),
            "headline" if row["instruments"] == archive.headline.instruments else "",
        )
        for row in archive.meta_analysis.iter_rows(named=True)
    ]  # fmt: skip
    columns = columns_of(
        ("Instruments", "Model"), "Estimate", "Interval", "p", "Environments", "Q", "p of Q", "I²", "τ²"
    )
    return Table("combined", caption, columns, tuple(rows))


def control_table(archive: Archive, *, counts: Disclosure) -> Table:
    """Show every negative control with every instrument set."""
    caption = "Negative controls; the effect is 0 in truth."
    if archive.negative_controls is None:
        return Table("negative-controls", caption, reason="the study names no negative controls")
    rows = [
        Row(
            (
                row["control"], row["role"], SET_NAMES.get(row["instruments"], row["instruments"]), row["method"],
                *_effect(row), show_p(row["p_value"]), show_number(row["first_stage_f"]),
                show_p(row["joint_p_value"]), counts.show(row["n_samples"]),
            ),
            "headline" if row["headline"] else "",
        )
        for row in archive.negative_controls.iter_rows(named=True)
    ]  # fmt: skip
    columns = columns_of(
        ("Control", "Stands for", "Instruments", "Estimator"), "Estimate", "Interval", "p", "First-stage F",
        "p, instruments predict it", "People",
    )  # fmt: skip
    return Table("negative-controls", caption, columns, tuple(rows))


def _effect(row: Mapping[str, Any]) -> tuple[str, str]:
    value, lower, upper = show_effect(row["estimate"], row["ci_lower"], row["ci_upper"], row["std_error"])
    return value, NOTHING if row["ci_lower"] is None or row["ci_upper"] is None else f"{lower} to {upper}"


def set_table(archive: Archive) -> Table:
    """Show the confidence sets of the three tests."""
    caption = "Confidence sets of the headline's instruments, by the test that each inverts."
    if archive.confidence_sets is None:
        return Table("confidence-sets", caption, reason="there is no error variance to test against, or an older run")
    first = archive.confidence_sets.unique("test", keep="first", maintain_order=True)
    rows = [Row((row["test"], show_share(row["level"]), row["shown"])) for row in first.iter_rows(named=True)]
    columns = (Column("Test", numeric=False), Column("Level"), Column("Set", numeric=False))
    return Table("confidence-sets", caption, columns, tuple(rows))
