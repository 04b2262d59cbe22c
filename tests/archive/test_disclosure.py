"""Small counts: what is written of few people, and that no masked cell follows from the rest."""

from __future__ import annotations

import itertools
import json
import re
import warnings

import polars as pl
import pytest

from invarmr.archive.disclosure import Disclosure
from invarmr.errors import InputError, InvarmrWarning
from invarmr.simulate.admixture import AdmixtureDesign, simulate_admixture
from invarmr.study.archive import changed_archive
from invarmr.study.config import StudyConfig, with_changes
from invarmr.study.run import run_study
from invarmr.study.simulated import write_admixture_study
from invarmr.study.verbs import estimate_archive

TOLD = Disclosure(6)  # the rule with a bound small enough to search every table


def possible(shown: int | None, most: int) -> list[int]:
    """Counts that are written like this."""
    return [count for count in range(most + 1) if TOLD.count(count) == shown]


def test_no_masked_cell_follows_from_the_others_and_the_total() -> None:
    """Every table of two groups and a total that is told: every count of a masked group stays possible."""
    most = 20
    for first, second in itertools.product(range(1, 6), range(most + 1)):
        shown = (TOLD.count(first), TOLD.count(second), TOLD.count(first + second))
        values = {
            one
            for one in possible(shown[0], most)
            for other in possible(shown[1], most + 6)
            if TOLD.count(one + other) == shown[2]
        }
        assert shown[0] is None
        assert shown[2] is None or values >= set(range(1, 6)), (first, second)


def test_sentences_errors_and_warnings() -> None:
    told = Disclosure(20)
    assert (
        told.text("13 of 1,950 people, 4 of them at site A; p = 0.012345")
        == "<20 of 1,940 people, 4 of them at site A; p = 0.012"
    )
    assert Disclosure().text("13 people") == "13 people"

    def fail() -> None:
        with told.messages():
            raise InputError("site A has 7 people")

    with pytest.raises(InputError, match="<20 people"):
        fail()
    with pytest.warns(InvarmrWarning, match="<20 people"), told.messages():
        warnings.warn("site A has 7 people", InvarmrWarning, stacklevel=2)
    with pytest.raises(InputError, match="2 or more"):
        Disclosure(1)


def test_a_table_is_masked_by_the_names_of_its_columns() -> None:
    frame = pl.DataFrame(
        {"environment": ["a", "b"], "n_samples": [7, 1234], "estimate": [0.123456, 0.654321], "p_value": [0.0123, 0.5],
         "df": ["3, 4", ""], "effect_allele_frequency": [0.12345, 0.5]}
    )  # fmt: skip
    masked = Disclosure(20).table("environments.tsv", frame)
    assert masked is not None
    assert masked.to_dicts() == [
        {
            "environment": "a",
            "n_samples": None,
            "estimate": None,
            "p_value": None,
            "df": None,
            "effect_allele_frequency": None,
        },
        {
            "environment": "b",
            "n_samples": 1220,
            "estimate": 0.6543,
            "p_value": 0.5,
            "df": None,
            "effect_allele_frequency": 0.5,
        },
    ]
    assert Disclosure(20).table("sensitivity.tsv", frame) is None
    assert Disclosure().table("sensitivity.tsv", frame) is frame
    again = Disclosure(20).frame(masked)
    assert again.equals(masked)
    content = {"n_samples": 7, "reasons": ["7 people (7)"], "p": 0.12345, "bytes": 3, "x": True}
    assert Disclosure(20).content(content) == {"n_samples": None, "reasons": ["<20 people (<20)"], "p": 0.12, "x": True}


def test_a_masked_run_tells_no_exact_count(tmp_path) -> None:
    """A site of 37 people: neither its number, nor the others', nor their sums stand anywhere."""
    design = AdmixtureDesign(n_samples=1203, n_instruments=8, n_variants=200, n_sites=3)
    study = write_admixture_study(simulate_admixture(design, seed=1), tmp_path / "study")
    table = pl.read_csv(study.parent / "phenotypes.tsv", separator="\t")
    small = table.filter(pl.col("site") == "site_03")["IID"].to_list()[37:]
    table = table.filter(~pl.col("IID").is_in(small))
    table.write_csv(study.parent / "phenotypes.tsv", separator="\t")
    sizes = table["site"].value_counts()["count"].to_list()
    assert 37 in sizes
    out = tmp_path / "out"
    run_study(with_changes(StudyConfig.from_toml(study), smallest_count=40), out=out)
    exact = {str(size) for size in (*sizes, sum(sizes), *(sum(sizes) - size for size in sizes)) if size > 1}
    exact |= {f"{int(text):,}" for text in exact}
    for name in (
        "samples.tsv",
        "environments.tsv",
        "estimates.tsv",
        "verdict.json",
        "diagnostics.tsv",
        "stratification.tsv",
    ):
        words = set(re.findall(r"(?<![\d.])\d[\d,]*(?![\d.])", (out / name).read_text()))
        assert not words & exact, name
    assert not (out / "state").exists()
    assert all(set(item) == {"path", "sha256"} for item in json.loads((out / "provenance.json").read_text())["inputs"])
    environments = pl.read_csv(out / "environments.tsv", separator="\t").filter(environment="site_03")
    assert environments["n_samples"].to_list() == [None]
    estimates = (out / "estimates.tsv").read_bytes()
    with changed_archive(out, "estimate") as archive:  # goes on from the inputs
        estimate_archive(archive)
    assert (out / "estimates.tsv").read_bytes() == estimates
    with pytest.raises(InputError, match="leave one of them out"):
        with_changes(StudyConfig.from_toml(study), smallest_count=20, people=True)
