"""Tables of the report: cells as text, with a caption; nothing is computed but sums of counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from invarmr.archive.disclosure import Disclosure
from invarmr.report.archive import Archive, EstimateRow
from invarmr.report.numbers import NOTHING, show_effect, show_number, show_p, show_share
from invarmr.report.wording import ASSUMPTIONS, SET_NAMES

__all__ = [
    "Column", "Row", "Table", "assumption_table", "battery_table", "columns_of", "diagnostic_table",
    "environment_table", "estimate_table", "input_table", "loading_table", "path_table", "timing_table",
]  # fmt: skip

PATH_SHOWN = 12
LOADINGS_SHOWN = (15, 8)


@dataclass(frozen=True)
class Column:
    """Heading of a column, and whether it holds numbers (set to the right)."""

    heading: str
    numeric: bool = True


@dataclass(frozen=True)
class Row:
    """Cells of one row as text; `mark` is a class of the page: headline, off, bad or nothing."""

    cells: tuple[str, ...]
    mark: str = ""


@dataclass(frozen=True)
class Table:
    """A table ready for the page, or, without rows, the reason why it is not there."""

    slug: str
    caption: str
    columns: tuple[Column, ...] = ()
    rows: tuple[Row, ...] = ()
    note: str = ""
    reason: str = ""


def columns_of(text: Sequence[str], *numeric: str) -> tuple[Column, ...]:
    """Columns of text, then columns of numbers."""
    return (*(Column(name, numeric=False) for name in text), *(Column(name) for name in numeric))


def _effect_cells(row: EstimateRow) -> tuple[str, str, str]:
    estimate, lower, upper = show_effect(row.estimate, row.ci_lower, row.ci_upper, row.std_error)
    interval = NOTHING if row.ci_lower is None or row.ci_upper is None else f"{lower} to {upper}"
    return estimate, show_number(row.std_error), interval


def estimate_table(archive: Archive, *, counts: Disclosure) -> Table:
    """Show every row of `estimates.tsv`."""
    rows = [
        Row(
            (
                SET_NAMES.get(row.instruments, row.instruments), row.method, *_effect_cells(row), show_p(row.p_value),
                show_number(row.first_stage_f), NOTHING if row.n_instruments is None else f"{row.n_instruments:,}",
                counts.show(row.n_samples), counts.text(row.note),
            ),
            "headline" if row.headline else "",
        )
        for row in archive.estimates
    ]  # fmt: skip
    level = show_share(archive.headline.level)
    columns = (
        *columns_of(("Instruments", "Estimator"), "Estimate", "Std. error", f"{level} interval", "p", "First-stage F",
                  "Instruments", "People"),
        Column("Note", numeric=False),
    )  # fmt: skip
    caption = "All estimates; the marked row is the headline."
    return Table("estimates", caption, columns, tuple(rows))


def assumption_table(archive: Archive) -> Table:
    """Show, for each instrument set of the study, what its estimates assume and when that fails."""
    rows = []
    for name in dict.fromkeys(row.instruments for row in archive.estimates):
        own = [row for row in archive.estimates if row.instruments == name]
        shown = "; ".join(f"{row.method} {_effect_cells(row)[0]}" for row in own)
        said = ASSUMPTIONS.get(name)
        needs, fails = (said.needs, said.fails) if said else (NOTHING, NOTHING)
        mark = "headline" if any(row.headline for row in own) else ""
        rows.append(Row((SET_NAMES.get(name, name), shown, needs, fails), mark))
    note = (
        "All sets but the first need besides that the instruments move the exposure (relevance) and act on the outcome "
        "through it alone (exclusion)."
    )
    columns = columns_of(("Instruments", "Estimates", "What they assume", "Wrong when"))
    return Table("assumptions", "What each estimate assumes.", columns, tuple(rows), note)


def path_table(archive: Archive) -> Table:
    """Show the numbers of latent instruments that were tried, the last twelve of a long path."""
    caption = "Numbers of latent instruments tried on held-out people, from the largest down."
    steps = archive.verdict.path
    if not steps:
        return Table("path", caption, reason="no latent instruments were learned in this run")
    rows = [
        Row(
            (
                f"{step.get('n_latent', NOTHING)}", show_p(step.get("mean_p")), show_p(step.get("covariance_p")),
                show_p(step.get("independence_p")), show_p(step.get("smallest_p")),
                "rejected" if step.get("rejected") else "not rejected", _finding(step),
            ),
            "" if step.get("rejected") else "headline",
        )
        for step in steps[-PATH_SHOWN:]
    ]  # fmt: skip
    columns = (
        *columns_of((), "Number tried", "p, equal means", "p, equal covariances", "p, independence", "Smallest p"),
        *columns_of(("Decision", "What the smallest p shows")),
    )
    note = "p-values are corrected for the number of tests (Bonferroni)."
    if len(steps) > PATH_SHOWN:
        note = f"The last {PATH_SHOWN} of {len(steps)} numbers tried; verdict.json has all. " + note
    return Table("path", caption, columns, tuple(rows), note)


def ladder_table(archive: Archive) -> Table:
    """Show the learners that the automatic choice tried, and why it stopped where it did."""
    caption = "Learners tried, from the simplest up; the first that held-out people do not reject is used."
    steps = archive.verdict.ladder
    if not steps:
        return Table("ladder", caption, reason="the study file names the learner, so none was chosen")
    rows = [
        Row(
            (
                str(step.get("learner", NOTHING)),
                str(step.get("n_latent", NOTHING)),
                "used" if step.get("passed") else "left",
                str(step.get("reason", "")),
            ),
            "headline" if step.get("passed") else "",
        )
        for step in steps
    ]
    columns = (*columns_of(("Learner",), "Latent instruments"), *columns_of(("Decision", "Why")))
    return Table("ladder", caption, columns, tuple(rows))


def _finding(step: Mapping[str, Any]) -> str:
    """What the smallest p-value shows, or does not."""
    detail = str(step.get("detail") or "")
    return detail if step.get("rejected") or not detail else f"nothing; smallest: {detail}"


def loading_table(archive: Archive, names: Sequence[str]) -> Table:
    """Show the first rows and columns of the loadings; `names` are the latent columns."""
    caption = "Loadings: weight of each variant's effect allele in each latent instrument."
    if archive.loadings is None or not names:
        return Table("loading-table", caption, reason="no latent instruments were kept, or the learner has no loadings")
    n_rows, n_columns = LOADINGS_SHOWN
    frame = archive.loadings
    rows = [
        Row((row["variant"], row["effect_allele"], *(show_number(row[name]) for name in names[:n_columns])))
        for row in frame.head(n_rows).iter_rows(named=True)
    ]
    cut = frame.height > n_rows or len(names) > n_columns
    note = f"A corner of {frame.height} × {len(names)}; all of it is in loadings.tsv." if cut else ""
    shown = [name.replace("latent", "latent ") for name in names[:n_columns]]
    return Table("loading-table", caption, columns_of(("Variant", "Effect allele"), *shown), tuple(rows), note)


BATTERY = ("even- and odd-chromosome scores", "negative-control ")
JOINT = "joint test against "


def diagnostic_table(archive: Archive, *, counts: Disclosure) -> Table:
    """Show the tests of the assumptions; a test that does not apply says why. Those of stratification stand apart."""
    caption = "Tests of the assumptions."
    if archive.diagnostics.is_empty():
        return Table("diagnostics", caption, reason="no diagnostics were asked for in this run")
    rows = [
        _diagnostic_row(row, counts)
        for row in archive.diagnostics.iter_rows(named=True)
        if not row["test"].startswith((*BATTERY, JOINT))
    ]
    return Table("diagnostics", caption, _diagnostic_columns(), tuple(rows))


def battery_table(archive: Archive, *, counts: Disclosure) -> Table:
    """Show the tests of the stratification battery that have no table of their own."""
    caption = "Scores of even and odd chromosomes, and negative controls with the headline's instruments."
    rows = [
        _diagnostic_row(row, counts)
        for row in archive.diagnostics.iter_rows(named=True)
        if row["test"].startswith(BATTERY) or (row["test"].startswith(JOINT) and row["applies"] is False)
    ]
    reason = "the instruments are scores, and the study names no negative controls"
    return Table("battery", caption, _diagnostic_columns(), tuple(rows), reason="" if rows else reason)


def _diagnostic_columns() -> tuple[Column, ...]:
    return (
        *columns_of(("Assumption", "Test", "Null hypothesis"), "Statistic", "df", "p"),
        *columns_of(("Conclusion",)),
    )


def _diagnostic_row(row: Mapping[str, Any], counts: Disclosure) -> Row:
    first = (row["assumption"], row["test"], row["null"])
    if row["applies"] is False:
        said = f"Not applicable, because {row['reason'] or 'no reason was kept'}"
        return Row((*first, NOTHING, NOTHING, NOTHING, counts.text(said)), "off")
    conclusion = row["conclusion"] + (f" ({row['reason']})" if row["reason"] else "")
    cells = (*first, show_number(row["statistic"]), _show_df(row["df"]), show_p(row["p_value"]))
    return Row((*cells, counts.text(conclusion)))


def _show_df(text: str) -> str:
    try:
        return show_number(float(text)) if float(text) % 1 else f"{int(float(text)):,}"
    except ValueError:
        return text or NOTHING


def environment_table(archive: Archive, *, counts: Disclosure) -> Table:
    """Show the estimates by environment."""
    caption = "The headline estimator in each environment alone, and when it is left out."
    if archive.environments is None:
        return Table("environments", caption, reason="no estimates by environment were made")
    levels = archive.environments["level"].drop_nulls()
    level = show_share(levels[0]) if len(levels) else ""
    rows = []
    for row in archive.environments.iter_rows(named=True):
        cells = [row["environment"], counts.show(row["n_samples"])]
        for prefix in ("", "left_out_"):
            parts = [row[prefix + name] for name in ("estimate", "ci_lower", "ci_upper", "std_error")]
            value, lower, upper = show_effect(*parts)
            cells += [value, NOTHING if parts[1] is None or parts[2] is None else f"{lower} to {upper}"]
        rows.append(Row((*cells, show_number(row["first_stage_f"]))))
    columns = columns_of(
        ("Environment",),
        "People",
        "Alone",
        f"{level} interval".lstrip(),
        "Left out",
        f"{level} interval when left out".lstrip(),
        "First-stage F alone",
    )
    return Table("environments", caption, columns, tuple(rows))


def input_table(archive: Archive) -> Table:
    """Show the files that went in, with their fingerprints."""
    caption = "Input files and their SHA-256 fingerprints."
    inputs: Iterable[Mapping[str, Any]] = archive.provenance.get("inputs") or ()
    rows = [Row((str(one.get("path", "")), _bytes(one.get("bytes")), str(one.get("sha256", "")))) for one in inputs]
    columns = (Column("File", numeric=False), Column("Bytes"), Column("SHA-256", numeric=False))
    return Table("inputs", caption, columns, tuple(rows), reason="" if rows else "no input files were recorded")


def _bytes(number: object) -> str:
    return f"{number:,}" if isinstance(number, int) else NOTHING


def timing_table(archive: Archive) -> Table:
    """Show the wall seconds of each step."""
    caption = "Wall seconds of each step."
    seconds: Mapping[str, Any] = archive.provenance.get("seconds") or {}
    rows = [Row((name, show_number(float(value)))) for name, value in seconds.items()]
    columns = columns_of(("Step",), "Seconds")
    return Table("seconds", caption, columns, tuple(rows), reason="" if rows else "no times were recorded")
