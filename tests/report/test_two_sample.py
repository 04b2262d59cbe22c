"""The page of a two-sample study, and the STROBE-MR checklist."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from invarmr.archive.disclosure import Disclosure
from invarmr.errors import InputError
from invarmr.report.archive import read_archive
from invarmr.report.numbers import show_p
from invarmr.report.strobe import AUTHORS, STROBE_MR, strobe_facts, strobe_table
from invarmr.report.two_sample import two_sample_page
from invarmr.study.two_sample import TwoSampleSettings, write_two_sample_study


def write_gwas(path: Path, beta: np.ndarray, alleles: list[str], se: float = 0.01) -> Path:
    p = len(beta)
    frame = pl.DataFrame(
        {
            "SNP": [f"rs{i}" for i in range(p)],
            "EA": "A",
            "NEA": alleles,
            "EAF": 0.5,
            "BETA": beta,
            "SE": se,
            "N": 20_000,
        }
    )
    frame.write_csv(path, separator="\t")
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(1)
    here = tmp_path_factory.mktemp("two_sample")
    strong, own = rng.uniform(0.1, 0.4, 20), np.r_[np.zeros(18), 0.4, 0.3]
    alleles = ["G"] * 15 + ["T"] + ["G"] * 4
    x = write_gwas(here / "ldl.tsv", np.r_[strong[:18], 0.0, 0.0] + 0.005 * rng.normal(size=20), alleles)
    y = write_gwas(here / "c<h>d.tsv", 0.5 * np.r_[strong[:18], 0, 0] + own + 0.005 * rng.normal(size=20), alleles)
    settings = TwoSampleSettings(
        methods=("mr_egger_regression", "mr_ivw", "mr_weighted_median", "mr_lasso", "mr_conmix", "mr_ivw_radial"),
        p_value=1e-6,
        bidirectional=True,
    )
    write_two_sample_study(x, y, here / "out", settings)
    return here / "out"


def test_the_page_stands_alone_and_shows_both_directions(folder: Path) -> None:
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"(?:src|href)=[\"']?(?:https?:)?//", page)
    assert "<script" not in page
    assert "c<h>d" not in page
    assert "<h1>ldl <em>→</em> c&lt;h&gt;d</h1>" in page
    assert "<h1>c&lt;h&gt;d <em>→</em> ldl</h1>" in page
    figures = ("methods", "scatter", "single", "without", "funnel", "radial")
    for slug in [f"study{number}-{name}" for number in (1, 2) for name in figures]:
        assert re.search(rf'<figure id="{slug}">\s*<div class="plate"><svg', page), slug
    assert "palindromic A/T" in page  # a variant dropped, and why
    assert "sample overlap not stated" in page
    assert "both directions are on this page" in page
    assert page.count("<svg") == 12


def test_the_page_is_drawn_again_alike_from_the_tables_alone(folder: Path) -> None:
    assert (folder / "report.html").read_text(encoding="utf-8") == two_sample_page(folder)


def test_far_tails_are_printed_as_powers_of_ten(folder: Path) -> None:
    details = pl.read_csv(folder / "details.tsv", separator="\t")
    ivw = details.filter(pl.col("method") == "Inverse variance weighted").row(0, named=True)
    assert ivw["pval"] == 0.0
    assert ivw["log10_pval"] < -308
    assert show_p(0.0, ivw["log10_pval"]) in (folder / "report.html").read_text(encoding="utf-8")


def test_what_speaks_against_the_estimate_comes_first(folder: Path, tmp_path: Path) -> None:
    page = (folder / "report.html").read_text(encoding="utf-8")
    reverse = page[page.index('id="study2"') :]
    assert "explain more of the outcome than of the exposure (Steiger)" not in page[: page.index('id="study2"')]
    assert "disagree more than chance allows" in reverse
    rng = np.random.default_rng(2)
    x = write_gwas(tmp_path / "a.tsv", 0.02 * rng.normal(size=8), ["G"] * 8)
    y = write_gwas(tmp_path / "b.tsv", rng.uniform(0.2, 0.4, 8), ["G"] * 8)
    write_two_sample_study(x, y, tmp_path / "out", TwoSampleSettings(methods=("mr_ivw", "mr_egger_regression")))
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "The variants are weak together: mean F" in page
    assert "explain more of the outcome than of the exposure (Steiger)" in page


def test_few_variants_leave_reasons_instead_of_figures(tmp_path: Path) -> None:
    x = write_gwas(tmp_path / "a.tsv", np.array([0.2]), ["G"])
    y = write_gwas(tmp_path / "b.tsv", np.array([0.1]), ["G"])
    write_two_sample_study(x, y, tmp_path / "out", TwoSampleSettings())
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert page.count("there are too few variants") == 4
    assert "Wald ratio" in page


def test_missing_tables_are_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"details\.tsv, harmonised\.tsv, sensitivity\.tsv, provenance\.json"):
        two_sample_page(tmp_path)


def test_the_checklist_has_every_item_once_and_leaves_the_open_ones_to_the_authors() -> None:
    numbers = [item.number for item in STROBE_MR]
    assert len(numbers) == len(set(numbers))
    assert sorted({int(re.sub(r"\D", "", number)) for number in numbers}) == list(range(1, 21))
    table = strobe_table({"9a": "invarmr"})
    assert [row.cells[3] for row in table.rows].count(AUTHORS) == len(numbers) - 1
    assert "1 of" in table.caption
    with pytest.raises(InputError, match="no item 21"):
        strobe_table({"21": "?"})


def test_a_study_s_archive_fills_what_it_knows(archive_of: Callable[[str], Path]) -> None:
    archive = read_archive(archive_of("identified"))
    facts = strobe_facts(archive)
    assert facts["12a"] == "verdict: identified"
    assert f"{archive.headline.n_samples:,} people" in facts["4b"]
    assert "20" not in facts
    assert len(strobe_table(facts).rows) == len(STROBE_MR)
    assert "<" not in strobe_facts(archive, counts=Disclosure(20))["4b"]
