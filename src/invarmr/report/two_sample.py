"""The page of a two-sample study: one self-contained file drawn from the folder's tables; nothing is estimated."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from invarmr.errors import InputError
from invarmr.report.numbers import NOTHING, show_effect, show_number, show_p, show_share
from invarmr.report.page import render
from invarmr.report.strobe import strobe_table
from invarmr.report.tables import Row, Table, columns_of

if TYPE_CHECKING:
    from invarmr.report.figures import Drawing

__all__ = ["two_sample_page"]

MOST_ROWS = 1_000
"""Variants in the page's table."""
_FILES = ("details.tsv", "harmonised.tsv", "sensitivity.tsv", "provenance.json")
_HEADLINES = ("Inverse variance weighted", "Wald ratio")


def two_sample_page(folder: Path) -> str:
    """The page of a folder that `invarmr mr` wrote, as text: without outside resources or scripts.

    Parameters
    ----------
    folder
        With `details.tsv`, `harmonised.tsv`, `sensitivity.tsv` and `provenance.json`.

    Raises
    ------
    InputError
        A file is not there.
    """
    missing = [name for name in _FILES if not (folder / name).exists()]
    if missing:
        raise InputError(f"{folder}: {', '.join(missing)} of a two-sample study was required, but is not there.")
    return render("two_sample.html.jinja", _page(folder))


def _page(folder: Path) -> dict[str, Any]:
    details, harmonised, checks = (_named(_read(folder / name)) for name in _FILES[:3])
    provenance = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
    studies = [
        _study(part, harmonised, checks, number)
        for number, part in enumerate(details.partition_by("id.exposure", "id.outcome", maintain_order=True))
    ]
    return {
        "studies": studies,
        "notes": provenance.get("notes") or [],
        "strobe": strobe_table(_facts(details, harmonised, checks, provenance)),
        "inputs": _inputs(provenance),
        "provenance": {
            "version": provenance.get("version", ""),
            "facts": [
                {"name": name, "value": str(value)}
                for name, value in (
                    ("Command", provenance.get("command")),
                    ("Seed", provenance.get("seed")),
                    ("Started", provenance.get("started")),
                    ("Versions", ", ".join(f"{n} {v}" for n, v in (provenance.get("versions") or {}).items())),
                )
                if value
            ],
            "settings": json.dumps(provenance.get("settings") or {}, indent=1, ensure_ascii=False),
        },
    }


def _read(path: Path) -> pl.DataFrame:
    return pl.read_csv(path, separator="\t", infer_schema_length=None)


def _named(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(pl.col("exposure", "outcome").cast(pl.String).str.replace(r" \|\| id:.*$", ""))


def _study(details: pl.DataFrame, harmonised: pl.DataFrame, checks: pl.DataFrame, number: int) -> dict[str, Any]:
    """One direction: its tables and figures."""
    first = details.row(0, named=True)
    pair = {name: str(first[name]) for name in ("id.exposure", "id.outcome")}
    here = [pl.col(name).cast(pl.String) == value for name, value in pair.items()]
    variants, tests = harmonised.filter(*here), checks.filter(*here)
    lead = next((row for row in details.iter_rows(named=True) if row["method"] in _HEADLINES), first)
    slug = f"study{number + 1}"
    return {
        "slug": slug,
        "exposure": first["exposure"],
        "outcome": first["outcome"],
        "lead": _lead(lead),
        "facts": _counts(variants),
        "warnings": _warnings(details, tests),
        "overlap": _statement(tests, "sample overlap"),
        "figures": _figures(details, variants, tests, slug),
        "tables": {
            "estimates": _estimates(details, slug),
            "checks": _checks(tests, slug),
            "variants": _variants(variants, slug),
        },
    }


def _lead(row: Mapping[str, Any]) -> dict[str, Any]:
    estimate, lower, upper = show_effect(row["b"], row["ci_lower"], row["ci_upper"], row["se"])
    p = show_p(row["pval"], row["log10_pval"])
    return {
        "method": row["method"],
        "estimate": estimate,
        "interval": f"{lower} to {upper}",
        "level": show_share(row["level"]),
        "details": f"standard error {show_number(row['se'])}; p {p if p.startswith('<') else '= ' + p}; "
        f"{row['nsnp']} variants",
    }


def _counts(variants: pl.DataFrame) -> str:
    kept = int(variants["mr_keep"].sum())
    return f"{kept} of {variants.height} variants used, {variants.height - kept} dropped"


def _value(tests: pl.DataFrame, analysis: str, quantity: str) -> dict[str, Any] | None:
    found = tests.filter((pl.col("analysis") == analysis) & (pl.col("quantity") == quantity))
    return found.row(0, named=True) if found.height else None


def _statement(tests: pl.DataFrame, analysis: str) -> str:
    notes = tests.filter(pl.col("analysis") == analysis)["note"].drop_nulls().unique(maintain_order=True).to_list()
    return next((str(note) for note in notes if note), "")


def _warnings(details: pl.DataFrame, tests: pl.DataFrame) -> list[str]:
    """What the checks say against the headline, in words; the numbers are those of sensitivity.tsv."""
    found = []
    strength = _value(tests, "strength", "mean F")
    if strength and strength["value"] < 10:
        found.append(f"The variants are weak together: mean F {show_number(strength['value'])}, below 10.")
    q = _value(tests, "heterogeneity", "Q, Inverse variance weighted")
    if q and q["pval"] < 0.05:
        found.append(
            f"The variants disagree more than chance allows (Cochran's Q, p {_p(q['pval'])}): some are not valid."
        )
    intercept = _value(tests, "pleiotropy", "Egger intercept")
    if intercept and intercept["pval"] < 0.05:
        found.append(f"MR Egger's intercept is not zero (p {_p(intercept['pval'])}): pleiotropy leans to one side.")
    signs = {math.copysign(1.0, b) for b in details["b"].to_list() if b is not None and math.isfinite(b) and b != 0.0}
    if len(signs) > 1:
        found.append("The methods disagree on the direction of the effect.")
    x, y = _value(tests, "direction", "r2 of the exposure"), _value(tests, "direction", "r2 of the outcome")
    if x and y and x["value"] is not None and y["value"] is not None and x["value"] <= y["value"]:
        found.append(
            "The variants explain more of the outcome than of the exposure (Steiger): the order may be reversed."
        )
    return found


def _p(value: float) -> str:
    shown = show_p(value)
    return shown if shown.startswith("<") else f"= {shown}"


def _estimates(details: pl.DataFrame, slug: str) -> Table:
    rows = []
    for row in details.iter_rows(named=True):
        estimate, lower, upper = show_effect(row["b"], row["ci_lower"], row["ci_upper"], row["se"])
        shown = row["set"] if "U" in (row["set"] or "") else f"{lower} to {upper}"
        cells = (row["method"], str(row["nsnp"]), estimate, show_number(row["se"]), shown)
        notes = (row["outliers"] and f"set aside: {row['outliers']}", row["note"])
        note = "; ".join(text for text in notes if text)
        rows.append(Row((*cells, show_p(row["pval"], row["log10_pval"]), note), ""))
    level = show_share(details["level"][0])
    columns = (
        *columns_of(("Method",), "Variants", "Estimate", "Std. error", f"{level} set", "p"),
        *columns_of(("Note",)),
    )
    return Table(f"{slug}-estimates", "Every method.", columns, tuple(rows))


def _checks(tests: pl.DataFrame, slug: str) -> Table:
    apart = ("leave-one-out", "single variant", "radial")
    rows = [
        Row(
            (
                row["analysis"], row["quantity"], show_number(row["value"]), show_number(row["se"]),
                _degrees(row["df"]), show_p(row["pval"], row["log10_pval"]), row["note"] or "",
            )
        )
        for row in tests.filter(~pl.col("analysis").is_in(apart)).iter_rows(named=True)
    ]  # fmt: skip
    columns = (*columns_of(("Analysis", "Quantity"), "Value", "Std. error", "df", "p"), *columns_of(("Note",)))
    reason = "no sensitivity analysis applies"
    return Table(f"{slug}-checks", "Sensitivity analyses.", columns, tuple(rows), reason=reason)


def _degrees(df: float | None) -> str:
    return NOTHING if df is None else f"{df:g}"


def _variants(variants: pl.DataFrame, slug: str) -> Table:
    names = (
        "effect_allele.exposure",
        "other_allele.exposure",
        "beta.exposure",
        "se.exposure",
        "beta.outcome",
        "se.outcome",
    )
    rows = []
    for row in variants.sort("mr_keep", "SNP").head(MOST_ROWS).iter_rows(named=True):
        alleles = "/".join(str(row.get(name) or "?") for name in names[:2])
        effects = [show_number(row.get(name)) for name in names[2:]]
        kept = bool(row["mr_keep"])
        cells = (str(row["SNP"]), alleles, *effects, "used" if kept else "dropped", row.get("reason") or "")
        rows.append(Row(cells, "" if kept else "off"))
    columns = (
        *columns_of(("Variant", "Alleles"), "Exposure", "se", "Outcome", "se"),
        *columns_of(("", "Reason or remark")),
    )
    caption = "Every variant of the exposure, dropped ones first, on the exposure's effect allele (the first)."
    note = (
        f"The first {MOST_ROWS:,} of {variants.height:,}; harmonised.tsv holds all."
        if len(rows) < variants.height
        else ""
    )
    return Table(f"{slug}-variants", caption, columns, tuple(rows), note)


def _figures(details: pl.DataFrame, variants: pl.DataFrame, tests: pl.DataFrame, slug: str) -> dict[str, Drawing]:
    """All figures of one direction; matplotlib is loaded here and not before."""
    from invarmr.report import two_sample_figures as draw

    kept = variants.filter("mr_keep")
    ordinary = details.filter(pl.col("b").is_finite())
    headline = ordinary.filter(pl.col("method").is_in([*_HEADLINES, "MR Egger", "Weighted median"]))
    parts = {name: tests.filter(pl.col("analysis") == name) for name in _ROWS}
    without = parts["leave-one-out"].filter(pl.col("SNP") != "All")
    combined = ordinary.filter(pl.col("method") == _HEADLINES[0])
    return {
        "methods": draw.method_forest(ordinary, f"{slug}-methods"),
        "scatter": draw.scatter(kept, ordinary, f"{slug}-scatter"),
        "single": draw.single_variant_forest(parts["single variant"], headline, f"{slug}-single"),
        "without": draw.leave_one_out_forest(without, combined, f"{slug}-without"),
        "funnel": draw.funnel(parts["single variant"], ordinary, f"{slug}-funnel"),
        "radial": draw.radial_plot(_radial(parts["radial"]), f"{slug}-radial"),
    }


_ROWS = ("leave-one-out", "single variant", "radial")


def _radial(rows: pl.DataFrame) -> pl.DataFrame:
    """One row per variant from the long table: root weight, ratio, p-value of its share of Q; and the line's slope."""
    slope = rows.filter(pl.col("quantity") == "slope")["value"]
    wide = rows.filter(pl.col("quantity") == "root weight").select("SNP", root_weight="value")
    ratio = rows.filter(pl.col("quantity") == "ratio").select("SNP", ratio="value")
    share = rows.filter(pl.col("quantity") == "share of Q").select("SNP", "pval")
    joined = wide.join(ratio, on="SNP").join(share, on="SNP")
    return joined.with_columns(slope=pl.lit(slope[0] if slope.len() else None, dtype=pl.Float64))


def _inputs(provenance: Mapping[str, Any]) -> Table:
    rows = tuple(
        Row((str(entry["path"]), f"{entry['bytes']:,}", str(entry["sha256"])))
        for entry in provenance.get("inputs") or []
    )
    columns = (*columns_of(("File",), "Bytes"), *columns_of(("SHA-256",)))
    return Table("inputs", "Files read.", columns, rows, reason="the study was made in Python from tables in memory")


def _facts(
    details: pl.DataFrame, harmonised: pl.DataFrame, checks: pl.DataFrame, provenance: Mapping[str, Any]
) -> dict[str, str]:
    """What this run says of the STROBE-MR checklist."""
    settings = provenance.get("settings") or {}
    methods = ", ".join(details["method"].unique(maintain_order=True).to_list())
    kept = int(harmonised["mr_keep"].sum())
    strength = checks.filter(pl.col("quantity") == "mean F")["value"].to_list()
    pairs = details.select("exposure", "outcome").unique(maintain_order=True).rows()
    sizes = {
        role: [int(n) for n in harmonised[f"samplesize.{role}"].drop_nulls().unique().sort().to_list()]
        for role in ("exposure", "outcome")
        if f"samplesize.{role}" in harmonised.columns
    }
    stated = "; ".join(f"{role}: {_range(values)}" for role, values in sizes.items() if values)
    selected = "all variants of the exposure's file"
    if settings.get("p_value"):
        selected = f"variants with p below {settings['p_value']:g}"
    if settings.get("clump"):
        selected += f", clumped by the LD of {settings['clump']}"
    facts = {
        "4b": f"people per variant, {stated}" if stated else "",
        "4c": f"{selected}; harmonised in mode “{settings.get('mode', '')}”; {kept} of {harmonised.height} rows kept",
        "5": "relevance, independence, exclusion restriction; those of each method in the manual's page on it",
        "6b": "effects per copy of the exposure's effect allele; weights by the precision of the outcome associations",
        "6c": methods,
        "6d": "variants without an effect in one study are dropped, each with its reason in the table of variants",
        "7": "mean F, Cochran's and Rucker's Q, MR Egger's intercept, Steiger's test: table of sensitivity analyses",
        "8": "methods that assume different things of the variants; leave-one-out; single variants; radial plot"
        + ("; Steiger filtering" if settings.get("steiger") else ""),
        "9a": f"invarmr {provenance.get('version', '')}, seed {provenance.get('seed', '')}; versions under Provenance",
        "10d": _statement(checks, "sample overlap"),
        "11a": "table of variants, and harmonised.tsv",
        "11b": "; ".join(f"{x} on {y}" for x, y in pairs)
        + ": table of estimates, in units of outcome per unit of exposure",
        "11d": "scatter with method lines, forest of methods, funnel",
        "12a": "what the checks say against the estimate: first section",
        "12b": "mean F " + ", ".join(show_number(value) for value in strength) if strength else "",
        "13a": "table of sensitivity analyses",
        "13c": "both directions are on this page" if settings.get("bidirectional") else "",
        "13e": "single-variant and leave-one-out forests, radial plot",
        "19": "files read, with their SHA-256, under Provenance",
    }
    return {number: text for number, text in facts.items() if text and text != NOTHING}


def _range(values: list[int]) -> str:
    return f"{values[0]:,}" if len(values) == 1 else f"{values[0]:,} to {values[-1]:,}"
