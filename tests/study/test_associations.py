from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from invarmr.io.summary_statistics import read_summary_statistics
from invarmr.study.archive import Archive


@pytest.fixture
def archive(small_study, tmp_path, invarmr):
    study = small_study()
    study.phenotypes = study.phenotypes.with_columns(
        site=pl.when(pl.col("site") == "west").then(pl.lit("w/e st")).otherwise("site"),
        case=(pl.col("sbp") > pl.col("sbp").median()).cast(pl.Int64),
    )
    study.set("phenotypes", outcome="case")
    assert invarmr("read", study.write(), "--out", tmp_path / "archive", "--quiet")[0] == 0
    return tmp_path / "archive"


def test_one_table_per_trait_and_environment(archive, tmp_path, invarmr):
    out = tmp_path / "tables"
    status, printed, _ = invarmr("associate", archive, "--out", out)
    assert status == 0
    assert "ldl.pooled.tsv: 8 variants, 900 people, linear" in printed
    assert "case.w_e_st.tsv: 8 variants, 300 people, logistic" in printed
    index = pl.read_csv(out / "associations.tsv", separator="\t")
    assert {path.name for path in out.iterdir()} == {"associations.tsv", "manifest.json", *index["file"]}
    assert index.height == 8
    assert index["environment"].to_list() == ["pooled", "north", "south", "w/e st"] * 2
    cohort = Archive(archive).cohort
    cases = cohort.outcome[cohort.environment == cohort.environments.index("north")].sum()
    row = index.row(by_predicate=pl.col("file") == "case.north.tsv", named=True)
    assert (row["n_cases"], row["controls"], row["role"]) == (cases, "covariates", "outcome")
    table = read_summary_statistics(out / "ldl.south.tsv").frame
    assert table["effect_allele"].to_list() == ["A"] * 8
    assert table["beta"].mean() == pytest.approx(0.4, abs=0.1)
    status, printed, message = invarmr("mr", out / "ldl.pooled.tsv", out / "case.pooled.tsv", "--out", tmp_path / "mr")
    assert status == 0, message
    assert "Inverse variance weighted (8 variants)" in printed


def test_the_standard_of_the_gwas_catalog(archive, tmp_path, invarmr):
    invarmr("associate", archive, "--out", tmp_path / "a", "--model", "linear", "--controls", "components", "--quiet")
    invarmr("associate", archive, "--out", tmp_path / "b", "--layout", "GWAS-SSF", "--model", "linear", "--quiet")
    lines = (tmp_path / "b" / "case.pooled.tsv").read_text().splitlines()
    assert lines[0].split("\t")[:6] == [
        "chromosome", "base_pair_location", "effect_allele", "other_allele", "beta", "standard_error",
    ]  # fmt: skip
    assert lines[1].split("\t")[-1] == "900"
    here = read_summary_statistics(tmp_path / "b" / "case.pooled.tsv").frame
    assert here["eaf"].null_count() == 0
    other = read_summary_statistics(tmp_path / "a" / "case.pooled.tsv").frame
    assert np.abs(here["beta"] - other["beta"]).max() < 0.02  # without the covariate nothing of weight changes
    assert (here["beta"] != other["beta"]).all()


def test_scores_and_unread_archives_are_refused(small_study, tmp_path, invarmr):
    study = small_study("scores")
    study.phenotypes = study.phenotypes.with_columns(score=pl.Series(study.calls[0].astype(float)))
    study.set("instruments", variants=None, columns=["score"])
    invarmr("read", study.write(), "--out", tmp_path / "archive", "--quiet")
    status, _, message = invarmr("associate", tmp_path / "archive", "--out", tmp_path / "no")
    assert status == 2
    assert "are scores" in message
    status, _, message = invarmr("associate", tmp_path / "nowhere", "--out", tmp_path / "no")
    assert status == 2
    assert "folder of a finished run was required" in message
    assert not (tmp_path / "no").exists()
