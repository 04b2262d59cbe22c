"""`method = "autoencoder"` in a study file: on variants and on scores, from files to verdict."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest

from invarmr.study.archive import Archive

OPTIONS = {"epochs": 5, "width": 8, "n_last": 2, "n_confounded": 2}


def scores(small):
    """The variants' copies as scores of the phenotype table."""
    calls = np.asarray(small.calls, dtype=float)
    small.phenotypes = small.phenotypes.with_columns(
        **{f"score{j}": pl.Series(calls[j] + 0.1 * calls[(j + 1) % 8]) for j in range(8)}
    )
    del small.settings["genotypes"]
    small.settings["instruments"] = {"columns": [f"score{j}" for j in range(8)]}
    return small


@pytest.mark.parametrize("change", [lambda small: small, scores], ids=["variants", "scores"])
def test_from_files_to_verdict(small_study, invarmr, no_report, tmp_path, change) -> None:
    small = change(small_study().set("learn", method="autoencoder"))
    small.settings["learn.options"] = OPTIONS
    status, _, message = invarmr("run", small.write(), "--out", tmp_path / "out", "--quiet")
    assert status in (0, 3), message
    verdict = json.loads((tmp_path / "out" / "verdict.json").read_text())
    assert verdict["status"] in ("identified", "weak", "not identified", "rejected")
    assert verdict["path"]
    estimates = pl.read_csv(tmp_path / "out" / "estimates.tsv", separator="\t")
    assert estimates["headline"].sum() == 1
    latent = Archive(tmp_path / "out").latent
    assert latent.learner == "autoencoder"
    assert latent.settings["model"]["epochs"] == 5
    assert latent.n_latent == verdict["n_latent"]


def test_a_setting_it_does_not_have_is_refused(small_study, refused) -> None:
    small = small_study().set("learn", method="autoencoder")
    small.settings["learn.options"] = {"epoch": 5}
    assert "has no setting 'epoch'" in refused(small.write())
