"""Simulated families on disk: the files a user would bring, parents named, whole or not at all."""

import json

import numpy as np
import polars as pl
import pytest

from invarmr.errors import InputError
from invarmr.io.plink import open_genotypes
from invarmr.io.plink_writer import write_plink
from invarmr.simulate.families import FamiliesDesign, simulate_families
from invarmr.study.simulated_families import write_families_study

DESIGN = FamiliesDesign(n_samples=300, n_instruments=10, n_outcome_variants=10, n_variants=30, missing_rate=0.01)


@pytest.fixture(scope="module")
def cohort():
    return simulate_families(DESIGN, seed=2)


def test_files_hold_what_was_simulated(cohort, tmp_path):
    study = write_families_study(cohort, tmp_path / "study")
    reader = open_genotypes(study.parent / "cohort.bed")
    people = np.arange(len(reader.sample_ids))
    assert np.array_equal(reader.read(np.arange(30), people), cohort.calls)
    fam = [line.split() for line in (study.parent / "cohort.fam").read_text().splitlines()]
    expected = cohort.pedigree.select("FID", "IID", "father", "mother", pl.col("sex").cast(pl.String))
    assert [tuple(row[:5]) for row in fam] == expected.rows()
    assert json.loads((study.parent / "truth.json").read_text())["effect"] == 0.2
    parents = pl.read_csv(study.parent / "parents.tsv", separator="\t")
    assert parents["IID"].to_list() == cohort.parents["IID"].to_list()


def test_a_folder_with_other_files_is_left_alone(cohort, tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match=r"thesis\.txt"):
        write_families_study(cohort, tmp_path)


def test_family_ids_with_spaces_are_refused(cohort, tmp_path):
    odd = cohort.pedigree.with_columns(pl.lit("a b").alias("FID"))
    with pytest.raises(InputError, match="family must be ids without white space"):
        write_plink(tmp_path / "x", cohort.calls, cohort.variants, cohort.pedigree["IID"].to_list(), family=odd)


def test_without_trios_no_parents_are_named(tmp_path):
    design = FamiliesDesign(n_samples=300, n_instruments=10, n_outcome_variants=10, n_variants=30, trios=0.0)
    study = write_families_study(simulate_families(design, seed=2), tmp_path / "study")
    assert "parents" not in study.read_text()
    assert not (study.parent / "parents.tsv").exists()
