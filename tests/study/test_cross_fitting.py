"""`[estimate] cross_fitting` in a study file, by every learner, from files to the report."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from invarmr.archive.folder import seal
from invarmr.estimators.cross_fitting import CrossFitted
from invarmr.inference.effect_test import NotApplicable
from invarmr.instruments.stationary import StationaryInstruments
from invarmr.report.html import report_page
from invarmr.simulate.latent import LatentDesign, simulate_latent
from invarmr.study import cross_fitting
from invarmr.study.archive import Archive
from invarmr.study.config import StudyConfig
from invarmr.study.progress import Progress
from invarmr.study.run import run_study
from invarmr.study.simulated_latent import write_latent_study
from invarmr.study.verbs import estimate_archive

FEW = {
    "flow": {"map": "leaky", "law": "gaussian", "n_layers": 1, "n_starts": 2, "iterations": 40, "n_latent": 2},
    "autoencoder": {"epochs": 4, "width": 8, "n_last": 2, "n_confounded": 2, "n_latent": 2},
    "polynomial": {},
    "auto": {"ladder": ["stationary"]},
    "stationary": {},
}


def study_of(folder, method, *, mixing="poly1", n=800, **estimate):
    sample = simulate_latent(LatentDesign(mixing=mixing, n_samples=n), seed=1)
    path = write_latent_study(sample, folder)
    config = StudyConfig.from_toml(path)
    learn = config.learn.model_copy(update={"method": method, "options": FEW[method]})
    settings = config.estimate.model_copy(update={"cross_fitting": 2, **estimate})
    return config.model_copy(update={"learn": learn, "estimate": settings})


def read(folder, name):
    return pl.read_csv(folder / name, separator="\t")


@pytest.mark.parametrize("method", FEW)
def test_every_learner_is_cross_fitted(tmp_path, no_report, method) -> None:
    run_study(study_of(tmp_path / "study", method, mixing="mlp" if method == "flow" else "poly1"), out=tmp_path / "out")
    rows, table = read(tmp_path / "out", "estimates.tsv"), read(tmp_path / "out", "cross_fitting.tsv")
    row = rows.row(by_predicate=pl.col("method") == "cross-fitted LIML", named=True)
    assert (row["instruments"], row["headline"], row["n_samples"]) == ("learned", False, 1600)
    assert row["note"].startswith("for every person instruments learned from the other half of the people")
    assert np.isfinite(row["estimate"])
    plain = rows.filter(pl.col("instruments").str.starts_with("learned") & (pl.col("method") != "cross-fitted LIML"))
    assert plain["note"].str.starts_with("plain: instruments learned from the same people").all()
    others = rows.filter(~pl.col("instruments").str.starts_with("learned"))
    assert not others["note"].fill_null("").str.contains("plain").any()
    assert table["part"].to_list() == ["1", "2", "all"]
    assert table["n_samples"].to_list() == [800, 800, 1600]
    assert table["n_learned"].to_list() == [800, 800, None]
    assert set(table["learner"].drop_nulls()) == {"stationary" if method == "auto" else method}
    whole = table.row(2, named=True)
    assert whole["estimate"] == row["estimate"]
    assert whole["anderson_rubin"]
    assert whole["heterogeneity_df"] == 1
    same = table["n_latent"][0] == table["n_latent"][1]
    assert whole["disagreement_df"] == (table["n_latent"][0] if same else 0)


def test_it_adds_a_row_and_a_table_and_moves_no_number(small_study, no_report, tmp_path) -> None:
    found = {}
    for name, asked in (("with", 3), ("without", 0)):
        path = small_study(name).set("learn", method="stationary").set("estimate", cross_fitting=asked).write()
        run_study(path, out=tmp_path / f"out-{name}")
        found[name] = read(tmp_path / f"out-{name}", "estimates.tsv")
    numbers = [name for name in found["with"].columns if name != "note"]
    added = found["with"].filter(pl.col("method") == "cross-fitted LIML")
    assert added.height == 1
    assert "learned from people of the other 2 parts" in added["note"][0]
    kept = found["with"].filter(pl.col("method") != "cross-fitted LIML")
    assert kept.select(numbers).equals(found["without"].select(numbers))
    assert not (tmp_path / "out-without" / "cross_fitting.tsv").exists()
    assert read(tmp_path / "out-with", "cross_fitting.tsv").height == 4


def test_verb_by_verb_and_without_it_again(tmp_path, no_report, invarmr) -> None:
    out = tmp_path / "out"
    config = study_of(tmp_path / "study", "stationary", n=400)
    run_study(config, out=out)
    before = {name: (out / name).read_bytes() for name in ("estimates.tsv", "cross_fitting.tsv")}
    status, _, told = invarmr("estimate", out)
    assert status == 0
    assert "part 1 of 2: learned from everybody else in" in told
    assert {name: (out / name).read_bytes() for name in before} == before
    about = json.loads((out / "provenance.json").read_text())
    about["settings"]["estimate"]["cross_fitting"] = 0
    (out / "provenance.json").write_text(json.dumps(about))
    assert invarmr("estimate", out, "--quiet")[0] == 2  # somebody's settings are not the run's
    seal(out, kind="study")
    assert invarmr("estimate", out, "--quiet")[0] == 0
    assert not (out / "cross_fitting.tsv").exists()


def test_an_interrupt_in_a_part_leaves_what_was_there(tmp_path, no_report, monkeypatch, invarmr) -> None:
    config = study_of(tmp_path / "study", "stationary", n=400)
    calls, fit = [], StationaryInstruments.fit

    def broken(self, data, *, seed=1):
        calls.append(1)
        if len(calls) == 3:  # the whole, part 1, and then
            raise KeyboardInterrupt
        return fit(self, data, seed=seed)

    monkeypatch.setattr(StationaryInstruments, "fit", broken)
    with pytest.raises(KeyboardInterrupt):
        run_study(config, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
    monkeypatch.setattr(StationaryInstruments, "fit", fit)
    run_study(config, out=tmp_path / "out")
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    calls[:] = [1]
    monkeypatch.setattr(StationaryInstruments, "fit", broken)
    with pytest.raises(KeyboardInterrupt):
        estimate_archive(Archive(tmp_path / "out"))
    assert {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()} == before


def test_parts_without_instruments_are_said_and_the_study_goes_on(tmp_path, no_report, monkeypatch) -> None:
    config = study_of(tmp_path / "study", "stationary", n=400)
    out = tmp_path / "out"

    def none(*args, **how):
        raise NotApplicable("In none of the 2 parts did held-out people leave a latent instrument.")

    monkeypatch.setattr("invarmr.study.cross_fitting.cross_fit", none)
    run_study(config, out=out)
    rows = read(out, "estimates.tsv")
    assert "cross-fitted LIML" not in rows["method"].to_list()
    lead = rows.row(by_predicate=pl.col("headline"), named=True)
    assert "not cross-fitted: In none of the 2 parts did held-out people leave a latent instrument; " in lead["note"]
    assert not (out / "cross_fitting.tsv").exists()


def test_a_part_left_out_is_said(tmp_path, no_report, monkeypatch) -> None:
    found, cross_fit = [], cross_fitting.cross_fit

    def without_a_part(*args, **how) -> CrossFitted:
        result = cross_fit(*args, **how)
        found.append(result)
        first = replace(result.parts[0], estimate=None)
        return replace(result, parts=(first, result.parts[1]), design=result.design.only(1))

    monkeypatch.setattr(cross_fitting, "cross_fit", without_a_part)
    run_study(study_of(tmp_path / "study", "stationary", n=400), out=tmp_path / "out")
    table = read(tmp_path / "out", "cross_fitting.tsv")
    assert table["estimate"].to_list()[0] is None
    assert table["estimate"].to_list()[1] == pytest.approx(found[0].parts[1].estimate.estimate)
    row = read(tmp_path / "out", "estimates.tsv").row(by_predicate=pl.col("method") == "cross-fitted LIML", named=True)
    assert "without part 1, for which none was left" in row["note"]


def test_the_report_shows_the_parts_and_labels_the_plain_interval(tmp_path) -> None:
    out = tmp_path / "out"
    run_study(study_of(tmp_path / "study", "stationary", n=400), out=out, progress=Progress())
    page = (out / "report.html").read_text()
    assert "Cross-fitting: the effect on people whose instruments were learned from other people." in page
    assert "all, together" in page
    assert "The plain interval is the headline" in page
    assert "plain: instruments learned from the same people" in page
    assert "Do the parts agree? Q " in page
    assert "by more than the error of learning that is counted? Chi-squared " in page
    (out / "cross_fitting.tsv").unlink()
    assert "Cross-fitting: the effect" not in report_page(out)
