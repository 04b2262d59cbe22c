import json
import subprocess
import sys
import tomllib

import numpy as np
import polars as pl
import pytest

from invarmr.cli import main
from invarmr.errors import InputError
from invarmr.simulate.latent import LatentDesign, simulate_latent
from invarmr.study.read import read_cohort
from invarmr.study.simulated_latent import write_latent_study

SAMPLE = simulate_latent(LatentDesign(mixing="linear"), seed=3, n_samples=3_000)


def test_the_study_reads_back(tmp_path):
    study = write_latent_study(SAMPLE, tmp_path / "study")
    assert {path.name for path in study.parent.iterdir()} == {
        "manifest.json", "phenotypes.tsv", "truth_samples.tsv", "latents.tsv", "truth.json", "study.toml",
    }  # fmt: skip
    cohort = read_cohort(study)
    np.testing.assert_allclose(cohort.instruments.read(np.arange(6_000)), SAMPLE.instrument, rtol=1e-14)
    np.testing.assert_array_equal(cohort.environment, SAMPLE.environment)
    np.testing.assert_allclose(cohort.truth, SAMPLE.confounder)
    latents = pl.read_csv(tmp_path / "study" / "latents.tsv", separator="\t")
    np.testing.assert_allclose(latents.select("^valid_.*$").to_numpy(), SAMPLE.latent_instrument)
    np.testing.assert_allclose(latents.select("^confounded_.*$").to_numpy(), SAMPLE.confounded_part)
    assert json.loads((study.parent / "truth.json").read_text())["design"]["mixing"] == "linear"


def test_the_kind_of_table_can_change(tmp_path):
    write_latent_study(SAMPLE, tmp_path / "study")
    study = write_latent_study(SAMPLE, tmp_path / "study", table="parquet", learner="none")
    names = {path.name for path in study.parent.iterdir()}
    assert "phenotypes.parquet" in names
    assert "phenotypes.tsv" not in names
    assert tomllib.loads(study.read_text())["learn"]["method"] == "none"
    assert read_cohort(study).n_samples == 6_000
    (tmp_path / "study" / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"notes\.txt"):
        write_latent_study(SAMPLE, tmp_path / "study")
    write_latent_study(SAMPLE, tmp_path / "study", overwrite=True)
    names = {path.name for path in study.parent.iterdir()}
    assert "phenotypes.parquet" not in names
    assert {"notes.txt", "phenotypes.tsv"} <= names


def test_command_writes_a_study_that_run_takes_and_the_same_bytes_twice(tmp_path, capsys):
    arguments = ["--mixing", "linear", "--n-samples", "2000", "--seed", "2", "--quiet"]
    for name in ("a", "b"):
        with pytest.raises(SystemExit) as ended:
            main(["simulate", "latent", "--out", str(tmp_path / name), *arguments])
        assert ended.value.code == 0
        assert capsys.readouterr().out.strip() == str(tmp_path / name / "study.toml")
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()
    with pytest.raises(SystemExit) as ended:
        main(["run", str(tmp_path / "a" / "study.toml"), "--out", str(tmp_path / "archive"), "--quiet"])
    assert ended.value.code == 0
    rows = pl.read_csv(tmp_path / "archive" / "estimates.tsv", separator="\t")
    headline = rows.filter(pl.col("headline").cast(pl.String).str.to_lowercase() == "true")
    assert abs(headline["estimate"][0] - 1) < 5 * headline["std_error"][0]
    assert abs(rows.filter(pl.col("instruments") == "observed")["estimate"][0] - 1) > 0.2


def test_simulating_needs_neither_torch_nor_matplotlib():
    program = (
        "import sys, invarmr; invarmr.simulate_latent(seed=1, n_samples=50); "
        "print(sorted({'torch', 'matplotlib'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_bad_settings_end_in_one_message(tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["simulate", "latent", "--out", str(tmp_path / "study"), "--n-environments", "1"])
    assert ended.value.code == 2
    assert "n_environments must be at least 2" in capsys.readouterr().err
    assert not (tmp_path / "study").exists()
