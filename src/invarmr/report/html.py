"""The report: one self-contained page, drawn from the archive of a finished run alone.

Nothing is estimated here. Whatever the page shows was written to the archive by the run, so the page can be drawn
again at any time, elsewhere and without the data.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from invarmr.archive.disclosure import Disclosure
from invarmr.archive.files import write_text
from invarmr.archive.folder import changed_folder
from invarmr.report import cross_fitting_table, data_tables, family_table, stratification_tables, tables
from invarmr.report.archive import Archive, read_archive
from invarmr.report.methods import GLOSSARY, methods_text, references
from invarmr.report.numbers import show_effect, show_number, show_p, show_share
from invarmr.report.page import render
from invarmr.report.strobe import strobe_facts, strobe_table
from invarmr.report.wording import METHOD_NAMES, SET_NAMES, SET_PHRASES, STATUS_WORDS, doubts

if TYPE_CHECKING:
    from invarmr.report.figures import Drawing

__all__ = ["report_page", "write_report"]


def write_report(archive: Path | str) -> Path:
    """Draw the report of a finished run.

    Parameters
    ----------
    archive
        Folder of the run.

    Returns
    -------
    Path
        `report.html` in the folder: one file without outside resources or scripts, the same bytes for the same
        archive. It replaces an earlier one in one step.

    Raises
    ------
    InputError
        The folder is no archive, its files were changed since they were written, or a required one is not there.
    """
    with changed_folder(archive, kind="study", command="report") as workspace:
        write_text(workspace.path / "report.html", report_page(workspace.path))
    return Path(archive) / "report.html"


def report_page(folder: Path) -> str:
    """The page of a finished run as text.

    Parameters
    ----------
    folder
        Its tables; where small counts were masked when they were written, the page masks them too.

    Raises
    ------
    InputError
        A required file is not there, or a file lacks a column or holds a value of the wrong kind.
    """
    archive = read_archive(folder)
    return render("report.html.jinja", _page(archive, Disclosure(archive.setting("disclosure", "smallest_count"))))


def _page(archive: Archive, counts: Disclosure) -> dict[str, Any]:
    """Everything the template names."""
    return {
        "archive": archive,
        "answer": _answer(archive, counts),
        "headline": _headline(archive, counts),
        "doubts": doubts(archive),
        "tables": _tables(archive, counts),
        "figures": _figures(archive, counts),
        "methods": methods_text(archive, counts=counts),
        "references": references(archive),
        "glossary": GLOSSARY,
        "provenance": _provenance(archive),
        "smallest_count": counts.smallest,
    }


def _answer(archive: Archive, counts: Disclosure) -> dict[str, Any]:
    """The question, the verdict, and the facts of the study in a line."""
    headline, verdict = archive.headline, archive.verdict
    words = STATUS_WORDS[verdict.status]
    label = archive.setting("phenotypes", "environment")
    facts = [f"{counts.show(headline.n_samples)} people"]
    if archive.n_environments:
        facts.append(f"{archive.n_environments} environments" + (f" ({label})" if label else ""))
    if archive.truth is not None:
        facts.append("simulated, so the true effect is known")
    return {
        "exposure": headline.exposure,
        "outcome": headline.outcome,
        "facts": facts,
        "status": verdict.status,
        "slug": verdict.status.replace(" ", "-"),
        "badge": words.badge,
        "sign": words.sign,
        "meaning": words.meaning,
        "reasons": [counts.text(reason) for reason in verdict.reasons],
        "interpretable": verdict.interpretable,
        "masked": counts.smallest,
    }


def _headline(archive: Archive, counts: Disclosure) -> dict[str, Any]:
    """The leading estimate as text."""
    row = archive.headline
    estimate, lower, upper = show_effect(row.estimate, row.ci_lower, row.ci_upper, row.std_error)
    p = show_p(row.p_value)
    details = [f"standard error {show_number(row.std_error)}", f"p {p if p.startswith('<') else '= ' + p}"]
    if row.first_stage_f is not None:
        details.append(f"first-stage F {show_number(row.first_stage_f)}")
    truth = archive.true_effect
    return {
        "estimate": estimate,
        "interval": f"{lower} to {upper}",
        "level": show_share(row.level),
        "details": details,
        "how": _how(archive),
        "note": counts.text(row.note),
        "truth": None if truth is None else show_effect(truth, row.ci_lower, row.ci_upper, row.std_error)[0],
        "set": SET_NAMES.get(row.instruments, row.instruments),
        "nothing_learned": archive.verdict.n_latent == 0 and archive.setting("learn", "method", "none") != "none",
    }


def _how(archive: Archive) -> str:
    row = archive.headline
    text = f"{row.method} ({METHOD_NAMES[row.method]})" if row.method in METHOD_NAMES else row.method
    text += f" with {SET_PHRASES.get(row.instruments, row.instruments)}"
    if row.instruments.startswith("learned"):
        rest = archive.verdict.n_confounded
        text += f": {archive.verdict.n_latent} kept" + (f" and {rest} set aside" if rest is not None else "")
    return text


def _tables(archive: Archive, counts: Disclosure) -> dict[str, tables.Table]:
    names = [name for name in (archive.loadings.columns if archive.loadings is not None else ()) if "latent" in name]
    found = [
        tables.estimate_table(archive, counts=counts),
        tables.assumption_table(archive),
        data_tables.sample_table(archive, counts=counts),
        data_tables.drop_reasons(archive),
        data_tables.variant_table(archive, counts=counts),
        tables.ladder_table(archive),
        tables.path_table(archive),
        tables.loading_table(archive, names),
        tables.diagnostic_table(archive, counts=counts),
        tables.environment_table(archive, counts=counts),
        stratification_tables.joint_table(archive, counts=counts),
        tables.battery_table(archive, counts=counts),
        stratification_tables.combined_table(archive),
        stratification_tables.control_table(archive, counts=counts),
        stratification_tables.set_table(archive),
        cross_fitting_table.cross_fitting_table(archive, counts=counts),
        family_table.family_table(archive, counts=counts),
        tables.input_table(archive),
        tables.timing_table(archive),
        strobe_table(strobe_facts(archive, counts=counts)),
    ]
    return {table.slug.replace("-", "_"): table for table in found}


def _figures(archive: Archive, counts: Disclosure) -> dict[str, Drawing]:
    """All figures; matplotlib is loaded here and not before."""
    from invarmr.report import curve_figures, forest_figures, learning_figures, sensitivity_figures, structure_figures

    found = [
        forest_figures.estimate_forest(archive),
        structure_figures.component_map(archive),
        learning_figures.eigenvalue_plot(archive),
        learning_figures.invariance_plot(archive),
        learning_figures.loading_plot(archive),
        structure_figures.balance_plot(archive),
        forest_figures.environment_forest(archive),
        sensitivity_figures.sensitivity_plot(archive),
        curve_figures.effect_curve_plot(archive),
        curve_figures.component_count_plot(archive),
        forest_figures.negative_control_forest(archive),
    ]
    return {figure.slug.replace("-", "_"): figure for figure in found}


@dataclass(frozen=True)
class _Fact:
    name: str
    value: str


def _provenance(archive: Archive) -> dict[str, Any]:
    source = archive.provenance
    command = source.get("command", "")
    versions: Mapping[str, Any] = source.get("versions") or {}
    facts = [
        _Fact("Command", " ".join(command) if isinstance(command, list) else str(command)),
        _Fact("invarmr", str(source.get("version", ""))),
        _Fact("Seed", str(source.get("seed", ""))),
        _Fact("Started", str(source.get("started", ""))),
        _Fact("Versions", ", ".join(f"{name} {version}" for name, version in versions.items())),
    ]
    settings = source.get("settings") or {}
    return {
        "facts": [fact for fact in facts if fact.value],
        "version": source.get("version", ""),
        "settings": json.dumps(settings, indent=1, ensure_ascii=False),
        "truth": json.dumps(archive.truth.get("design"), indent=1) if archive.truth else "",
    }
