"""A study with families, end to end: counted, checked, compared, and led by a rule fixed beforehand."""

import json

import numpy as np
import polars as pl
import pytest

from invarmr.errors import InputError
from invarmr.simulate.families import FamiliesDesign, simulate_families
from invarmr.study.archive import Archive
from invarmr.study.config import StudyConfig
from invarmr.study.run import run_study
from invarmr.study.simulated_families import write_families_study

SMALL = {"n_samples": 3_000, "n_instruments": 20, "n_outcome_variants": 20, "n_variants": 300, "ancestry_strength": 0.3}


def run(folder, *, edit=lambda text: text, change=lambda folder: None, **settings):
    study = write_families_study(simulate_families(FamiliesDesign(**(SMALL | settings)), seed=4), folder / "study")
    study.write_text(edit(study.read_text()))
    change(study.parent)
    return run_study(study, out=folder / "out"), folder / "out"


@pytest.fixture(scope="module")
def dynastic(tmp_path_factory):
    return run(tmp_path_factory.mktemp("dynastic"), dynastic_outcome=0.8, missing_rate=0.01)


def rows(out, name="estimates.tsv"):
    return pl.read_csv(out / name, separator="\t", schema_overrides={"environment": pl.String, "note": pl.String})


def test_families_correct_what_environments_share(dynastic):
    result, out = dynastic
    lead = rows(out).filter("headline")
    assert lead["instruments"].to_list() == ["mendelian"]
    assert lead["method"].to_list() == ["LIML"]
    assert lead["ci_lower"][0] < 0.2 < lead["ci_upper"][0]
    learned = rows(out).filter((pl.col("instruments") == "learned") & (pl.col("method") == "LIML"))
    assert learned["ci_lower"][0] > 0.2
    assert result.verdict.status == "rejected"
    assert result.verdict.mendelian_headline
    assert json.loads((out / "verdict.json").read_text())["mendelian_headline"] is True
    found = set(rows(out)["instruments"])
    assert {"mendelian", "learned (families)", "observed (families)", "observed+pcs (families)"} <= found


def test_counts_and_tables_are_left(dynastic):
    _, out = dynastic
    samples = rows(out, "samples.tsv").filter(pl.col("stage") == "families")
    assert dict(samples.select("reason", "n_samples").iter_rows()) == {
        "children of trios: both parents genotyped": 1_500,
        "in 375 sibships": 750,
        "one parent genotyped: not used within families": 0,
        "no parent and no sibling at hand": 750,
    }
    families = rows(out, "families.tsv")
    assert families.filter(pl.col("measure") == "referee")["compared"].to_list() == [
        "learned",
        "observed",
        "observed+pcs",
    ]
    transmitted = families.filter(pl.col("measure") == "effect of non-transmitted alleles on the outcome")
    assert transmitted["ci_lower"][0] > 0
    errors = rows(out, "mendelian_errors.tsv")
    assert errors["n_inconsistent"].sum() == 0
    page = (out / "report.html").read_text()
    assert "referee: learned less Mendelian" in page
    assert "NOT INTERPRETABLE" not in page
    checks = rows(out, "diagnostics.tsv")
    assert "referee: learned against Mendelian" in checks["test"].to_list()


def test_the_archive_opens_the_families_again(dynastic):
    _, out = dynastic
    families = Archive(out).families.families
    assert families.counts["trios"] == 1_500
    assert np.isfinite(families.deviations(np.arange(50))).all()
    assert not (out / "pedigree.tsv").exists()


def test_where_nothing_is_wrong_the_estimates_are_combined(tmp_path):
    _, out = run(tmp_path)
    table = rows(out)
    both = table.filter(pl.col("method") == "combined")
    assert both["instruments"].to_list() == ["learned+mendelian"]
    liml = table.filter((pl.col("method") == "LIML") & pl.col("instruments").is_in(["learned", "mendelian"]))
    assert both["std_error"][0] <= liml["std_error"].min() * 1.05
    assert table.filter("headline")["instruments"].to_list() == ["learned"]


def test_mendelian_alone_needs_no_environment(tmp_path):
    def edit(text):
        return text.replace('method = "stationary"', 'method = "mendelian"').replace('environment = "cohort"\n', "")

    result, out = run(tmp_path, edit=edit, dynastic_outcome=0.8)
    assert rows(out).filter("headline")["instruments"].to_list() == ["mendelian"]
    assert result.verdict.status == "identified"
    assert "1500 trios" in result.verdict.reasons[0]


def test_a_swapped_parent_is_named_and_relatives_are_found(tmp_path):
    def change(folder):
        fam = (folder / "cohort.fam").read_text().splitlines()
        first, second = fam[0].split(), fam[1].split()
        first[2], second[2] = second[2], first[2]
        fam[:2] = " ".join(first), " ".join(second)
        people = pl.read_csv(folder / "phenotypes.tsv", separator="\t", null_values="NA")
        kin = people.drop_nulls("sibship").group_by("sibship", maintain_order=True).agg("IID")["IID"].to_list()
        lines = ["#IID1 IID2 NSNP HETHET IBS0 KINSHIP", *(f"{a} {b} 300 0.2 0.01 0.25" for a, b in kin)]
        (folder / "king.kin0").write_text("\n".join(lines) + "\n")
        (folder / "cohort.fam").write_text("\n".join(fam) + "\n")

    def edit(text):
        return text.replace('sibship = "sibship"', 'kin0 = "king.kin0"') + "\n[output]\npeople = true\n"

    _, out = run(tmp_path, edit=edit, change=change)
    faults = rows(out, "pedigree.tsv")
    assert faults["sample_id"].to_list() == ["C0001", "C0002"]
    assert set(faults["fault"]) == {"Mendelian inconsistency"}
    counts = dict(rows(out, "samples.tsv").select("reason", "n_samples").iter_rows())
    assert counts["children of trios: both parents genotyped"] == 1_498
    assert counts["in 375 sibships"] == 750
    assert counts["fault of the pedigree: Mendelian inconsistency"] == 2


def test_bad_sections_are_named(tmp_path):
    study = write_families_study(simulate_families(FamiliesDesign(**SMALL), seed=4), tmp_path / "study")
    text = study.read_text()

    def fails(new, message):
        study.write_text(new)
        with pytest.raises(InputError, match=message):
            run_study(StudyConfig.from_toml(study), out=tmp_path / "out")
        assert not (tmp_path / "out").exists()

    section = '[families]\npedigree = "cohort.fam"\nsibship = "sibship"\nparents = "parents.tsv"\n'
    assert section in text
    fails(text.replace(section, "[families]\n"), "name the families")
    fails(text.replace(section, "").replace("stationary", "mendelian"), r"needs families: add a section \[families\]")
    fails(text.replace('sibship = "sibship"', 'sibship = "home"'), "home")
    fails(text.replace("cohort.fam", "other.fam"), r"other\.fam")
    (study.parent / "odd.tsv").write_text("IID\tfather\nnobody\tnone\n")
    only = '[families]\npedigree = "odd.tsv"\n'
    fails(text.replace(section, only), "names no trio, sibship or parent among the 3000 people")
