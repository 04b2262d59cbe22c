import json
import tomllib

import numpy as np
import polars as pl
import pytest

from invarmr.errors import InputError
from invarmr.io.plink import open_genotypes
from invarmr.simulate.admixture import AdmixtureDesign, simulate_admixture
from invarmr.study.simulated import write_admixture_study

FILES = {
    "manifest.json", "cohort.bed", "cohort.bim", "cohort.fam", "phenotypes.tsv", "instruments.tsv", "study.toml",
    "truth.json", "truth_samples.tsv",
}  # fmt: skip


@pytest.fixture(scope="module")
def cohort():
    design = AdmixtureDesign(n_samples=150, n_instruments=10, n_variants=30, missing_rate=0.01)
    return simulate_admixture(design, seed=7)


def names(folder):
    return {path.name for path in folder.iterdir()}


def test_the_study_is_complete_and_reads_back(cohort, tmp_path):
    out = tmp_path / "deep" / "study"
    study = write_admixture_study(cohort, out)
    assert study == out / "study.toml"
    assert names(out) == FILES
    assert names(out.parent) == {"study"}
    reader = open_genotypes(out / "cohort.bed")
    np.testing.assert_array_equal(reader.read(np.arange(30), np.arange(150)), cohort.calls)
    phenotypes = pl.read_csv(out / "phenotypes.tsv", separator="\t")
    assert phenotypes.equals(cohort.phenotypes)
    assert phenotypes["IID"].to_list() == list(reader.sample_ids)
    assert pl.read_csv(out / "truth_samples.tsv", separator="\t").equals(cohort.truth_samples)
    assert json.loads((out / "truth.json").read_text())["effect"] == 1.0
    sexes = [int(line.split()[4]) for line in (out / "cohort.fam").read_text().splitlines()]
    assert sexes == phenotypes["sex"].to_list()


def test_the_study_file_names_what_is_there(cohort, tmp_path):
    study = tomllib.loads(write_admixture_study(cohort, tmp_path / "study").read_text())
    header = (tmp_path / "study" / "phenotypes.tsv").read_text().splitlines()[0].split("\t")
    phenotypes = study["phenotypes"]
    assert {phenotypes[key] for key in ("sample_id", "exposure", "outcome", "environment")} <= set(header)
    assert set(phenotypes["covariates"]) <= set(header)
    paths = [study["genotypes"]["path"], phenotypes["path"], study["instruments"]["variants"]]
    paths += [study["truth"]["path"], study["truth"]["samples"]]
    assert set(paths) <= FILES
    assert study["run"]["seed"] == 7
    assert study["learn"]["method"] == "stationary"


def test_writing_again_gives_the_same_bytes(cohort, tmp_path):
    write_admixture_study(cohort, tmp_path / "study")
    first = {path.name: path.read_bytes() for path in (tmp_path / "study").iterdir()}
    write_admixture_study(cohort, tmp_path / "study")
    assert {path.name: path.read_bytes() for path in (tmp_path / "study").iterdir()} == first


def test_other_files_are_never_lost(cohort, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"notes\.txt"):
        write_admixture_study(cohort, tmp_path)
    assert names(tmp_path) == {"notes.txt"}
    write_admixture_study(cohort, tmp_path, overwrite=True)
    assert names(tmp_path) == FILES | {"notes.txt"}
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_file_in_the_way_is_refused(cohort, tmp_path):
    (tmp_path / "study").write_text("")
    with pytest.raises(InputError, match="is a file"):
        write_admixture_study(cohort, tmp_path / "study")


def test_a_failure_leaves_nothing(cohort, tmp_path, monkeypatch):
    def fail(*_args, **_settings):
        raise OSError("disk full")

    monkeypatch.setattr("invarmr.study.simulated.write_plink", fail)
    with pytest.raises(OSError, match="disk full"):
        write_admixture_study(cohort, tmp_path / "study")
    assert names(tmp_path) == set()
