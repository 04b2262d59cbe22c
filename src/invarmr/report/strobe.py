"""The STROBE-MR checklist: its twenty items, what a run can say of each, and what its authors must.

Item texts are shortened; the full statement and its explanation are the source's. Source: Skrivankova et al. (2021),
JAMA 326:1614 (statement) and BMJ 375:n2233 (explanation and elaboration).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from invarmr.archive.disclosure import Disclosure
from invarmr.errors import InputError
from invarmr.report.archive import Archive
from invarmr.report.numbers import NOTHING
from invarmr.report.tables import Row, Table, columns_of

__all__ = ["AUTHORS", "STROBE_MR", "StrobeItem", "strobe_facts", "strobe_table"]

AUTHORS = "to be stated by the authors"


@dataclass(frozen=True)
class StrobeItem:
    """One line of the checklist: its number, the part of the paper, and what is to be reported there."""

    number: str
    part: str
    what: str


STROBE_MR: tuple[StrobeItem, ...] = (
    StrobeItem("1", "Title and abstract", "Mendelian randomization named as the design"),
    StrobeItem(
        "2", "Introduction", "background: the exposure, why a causal effect is plausible, why this design helps"
    ),
    StrobeItem("3", "Introduction", "objectives and prespecified causal hypotheses; that assumptions are needed"),
    StrobeItem("4a", "Methods", "setting: design of each data source, underlying population, places, dates"),
    StrobeItem("4b", "Methods", "participants: eligibility, selection, sample size, power"),
    StrobeItem("4c", "Methods", "measurement, quality control and selection of the variants"),
    StrobeItem("4d", "Methods", "measurement and diagnostic criteria of exposure, outcome and covariates"),
    StrobeItem("4e", "Methods", "ethics approval and consent"),
    StrobeItem("5", "Methods", "the three core assumptions, and those of each further analysis"),
    StrobeItem("6a", "Methods", "handling of quantitative variables: scale, units, model"),
    StrobeItem("6b", "Methods", "handling of the variants and of their weights"),
    StrobeItem("6c", "Methods", "estimator, covariates, and how they are the same in both samples"),
    StrobeItem("6d", "Methods", "missing data"),
    StrobeItem("6e", "Methods", "multiple testing"),
    StrobeItem("7", "Methods", "how the assumptions were assessed or justified"),
    StrobeItem("8", "Methods", "sensitivity analyses and additional analyses"),
    StrobeItem("9a", "Methods", "software, versions and settings"),
    StrobeItem("9b", "Methods", "whether, when and where the protocol was registered"),
    StrobeItem("10a", "Results", "individuals at each stage, and reasons for exclusion"),
    StrobeItem("10b", "Results", "summary statistics of exposure, outcome and other variables"),
    StrobeItem("10c", "Results", "heterogeneity of the studies, where sources are meta-analyses"),
    StrobeItem("10d", "Results", "two samples: similarity of variant-exposure associations; overlap of the samples"),
    StrobeItem("11a", "Results", "associations of the variants with exposure and with outcome"),
    StrobeItem("11b", "Results", "estimates of the effect with their uncertainty, on an interpretable scale"),
    StrobeItem("11c", "Results", "absolute risk, where it applies"),
    StrobeItem("11d", "Results", "plots of the results"),
    StrobeItem("12a", "Results", "assessment of the assumptions"),
    StrobeItem("12b", "Results", "further statistics: heterogeneity, strength"),
    StrobeItem("13a", "Results", "sensitivity analyses to violations of the assumptions"),
    StrobeItem("13b", "Results", "other sensitivity or additional analyses"),
    StrobeItem("13c", "Results", "direction of the effect (bidirectional analysis)"),
    StrobeItem("13d", "Results", "comparison with estimates of other designs"),
    StrobeItem("13e", "Results", "further plots (leave-one-out, say)"),
    StrobeItem("14", "Discussion", "key results with reference to the objectives"),
    StrobeItem("15", "Discussion", "limitations: validity of the assumptions, bias, imprecision"),
    StrobeItem("16a", "Discussion", "meaning: cautious interpretation, and comparison with other studies"),
    StrobeItem("16b", "Discussion", "mechanism, and whether the gene-environment equivalence is plausible"),
    StrobeItem("16c", "Discussion", "clinical relevance, and what effect of an intervention it suggests"),
    StrobeItem("17", "Discussion", "generalisability to other populations, periods, levels of exposure"),
    StrobeItem("18", "Other", "funding of the study and of its sources"),
    StrobeItem("19", "Other", "data and code: where, and how they are accessed"),
    StrobeItem("20", "Other", "conflicts of interest"),
)
"""The items, in order."""


def strobe_table(facts: Mapping[str, str], *, slug: str = "strobe-mr") -> Table:
    """The checklist filled with what a run says; every other item is left to the authors.

    Parameters
    ----------
    facts
        Text by item number.
    slug
        Id on the page.

    Raises
    ------
    InputError
        A number that is no item.

    Examples
    --------
    >>> table = strobe_table({"9a": "invarmr 0.1"})
    >>> [row.cells[3] for row in table.rows if row.cells[0] in ("9a", "20")]
    ['invarmr 0.1', 'to be stated by the authors']
    """
    unknown = sorted(set(facts) - {item.number for item in STROBE_MR})
    if unknown:
        raise InputError(f"STROBE-MR has no item {', '.join(unknown)}.")
    rows = tuple(
        Row(
            (item.number, item.part, item.what, facts.get(item.number) or AUTHORS),
            "" if facts.get(item.number) else "off",
        )
        for item in STROBE_MR
    )
    filled = sum(1 for row in rows if row.mark == "")
    return Table(
        slug=slug,
        caption=f"STROBE-MR: {filled} of {len(rows)} items filled from this run; check them, and state the others.",
        columns=columns_of(("Item", "Part", "What is to be reported", "In this run")),
        rows=rows,
        note="Item texts are shortened from the STROBE-MR statement (Skrivankova et al. 2021, JAMA 326:1614).",
    )


def strobe_facts(archive: Archive, *, counts: Disclosure | None = None) -> dict[str, str]:
    """What a finished study can say of the checklist, by item number; for `strobe_table`.

    Parameters
    ----------
    archive
        Of the study.
    counts
        How counts of people are shown; None: as they are.
    """
    shown = counts or Disclosure()
    head, verdict = archive.headline, archive.verdict
    tests = [str(name) for name in archive.diagnostics["test"].unique(maintain_order=True)]
    dropped = NOTHING
    if archive.variants is not None and "status" in archive.variants.columns:
        kept = int((archive.variants["status"] == "kept").sum())
        dropped = f"{kept} of {archive.variants.height} variants kept; each reason in variants.tsv"
    facts = {
        "4b": f"{shown.show(head.n_samples)} people"
        + (f" in {archive.n_environments} environments" if archive.n_environments else ""),
        "4c": dropped,
        "5": "see Methods on this page: what is assumed of the instruments, and of those learned from them",
        "6b": f"{head.n_instruments} instruments ({head.instruments})",
        "6c": f"{head.method}, with the covariates and controls named under Methods",
        "7": "tests: " + ", ".join(tests),
        "8": f"{len(archive.estimates)} estimators and instrument sets side by side",
        "9a": f"invarmr {archive.provenance.get('version', '')}; settings and versions under Provenance",
        "10a": "samples.tsv: people read, matched and dropped at each stage, with the reason",
        "11b": "the headline and the table of all estimates",
        "11d": "forest of all estimates",
        "12a": f"verdict: {verdict.status}",
        "12b": "Diagnostics: strength, over-identification, invariance, independence",
        "13a": "estimates with other instrument sets, by environment, and leaving each environment out",
        "19": "inputs with their SHA-256 under Provenance",
    }
    return {number: text for number, text in facts.items() if text and text != NOTHING}
