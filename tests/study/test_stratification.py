"""Negative controls of a study file, and the tables of the battery where parts of it are absent."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

STRATIFICATION = (
    "stratification.tsv", "component_counts.tsv", "meta_analysis.tsv", "negative_controls.tsv", "effect_curve.tsv",
    "confidence_sets.tsv",
)  # fmt: skip


def read(folder, name):
    return pl.read_csv(folder / f"{name}.tsv", separator="\t")


@pytest.fixture
def study(small_study):
    made = small_study(n=1_200)
    rng = np.random.default_rng(1)
    site = np.arange(1_200) % 3
    tan = site + rng.normal(size=1_200)
    return made.change(
        tan=pl.Series(np.where(np.arange(1_200) % 5 == 0, np.nan, tan), nan_to_null=True),
        order=pl.Series(rng.integers(1, 5, 1_200)),
    )


def test_negative_controls_leave_the_rest_alone(study, tmp_path, invarmr, no_report):
    assert invarmr("run", study.write(), "--out", tmp_path / "without", "--quiet")[0] in (0, 3)
    study.set("negative_controls", outcomes=["tan"], exposures=["order"])
    assert invarmr("run", study.write(), "--out", tmp_path / "with", "--quiet")[0] in (0, 3)
    assert not (tmp_path / "without" / "negative_controls.tsv").exists()
    for name in ("estimates.tsv", "samples.tsv", "environments.tsv", "meta_analysis.tsv"):
        assert (tmp_path / "with" / name).read_bytes() == (tmp_path / "without" / name).read_bytes()
    rows = read(tmp_path / "with", "negative_controls")
    sizes = dict(rows.group_by("control").agg(pl.col("n_samples").unique().first()).iter_rows())
    assert sizes == {"tan": 960, "order": 1200}
    assert dict(rows.group_by("control").agg(pl.col("role").first()).iter_rows()) == {
        "tan": "outcome",
        "order": "exposure",
    }
    assert rows.filter(instruments="observed", control="tan")["joint_p_value"].item() < 1e-6
    assert rows.filter("headline")["control"].to_list() == ["tan", "order"]
    tests = read(tmp_path / "with", "diagnostics")["test"].to_list()
    assert "negative-control outcome tan" in tests
    assert "negative-control exposure order" in tests


def test_optional_parts_are_absent_cleanly(study, tmp_path, invarmr, no_report):
    """One environment, nothing learned, scores: no test against environments, no components, nothing to combine."""
    study.change(score=pl.Series(study.calls.sum(axis=0).astype(float)))
    study.set("instruments", variants=None, columns=["score"]).set("learn", method="none")
    study.set("phenotypes", environment=None)
    del study.settings["genotypes"]
    assert invarmr("run", study.write(), "--out", tmp_path / "out", "--quiet")[0] == 3
    present = {name for name in STRATIFICATION if (tmp_path / "out" / name).exists()}
    assert present == {"effect_curve.tsv", "confidence_sets.tsv"}
    checks = read(tmp_path / "out", "diagnostics").filter(pl.col("test").str.starts_with("joint test"))
    assert checks["applies"].to_list() == [False]


def test_redone_diagnosis_leaves_no_table_behind(study, tmp_path, invarmr, no_report):
    study.set("negative_controls", outcomes=["tan"])
    out = tmp_path / "out"
    invarmr("run", study.write(), "--out", out, "--quiet")
    before = {name: (out / name).read_bytes() for name in STRATIFICATION if (out / name).exists()}
    assert set(before) == {"stratification.tsv", "meta_analysis.tsv", "negative_controls.tsv", "effect_curve.tsv",
                           "confidence_sets.tsv"}  # fmt: skip
    assert invarmr("diagnose", out, "--quiet")[0] in (0, 3)
    assert {name: (out / name).read_bytes() for name in before} == before


def test_sets_are_written_piece_by_piece(study, tmp_path, invarmr, no_report):
    out = tmp_path / "out"
    invarmr("run", study.write(), "--out", out, "--quiet")
    sets, curve = read(out, "confidence_sets"), read(out, "effect_curve")
    assert sets["test"].unique(maintain_order=True).to_list() == [
        "Wald", "Anderson-Rubin", "conditional likelihood ratio",
    ]  # fmt: skip
    lead = read(out, "estimates").filter("headline").row(0, named=True)
    wald = sets.filter(test="Wald").row(0, named=True)
    assert wald["lower"] == pytest.approx(lead["ci_lower"])
    assert wald["instruments"] == lead["instruments"]
    at = curve.filter((pl.col("value") - lead["estimate"]).abs() < 1e-9)
    assert at["wald_p"].item() == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"outcomes": ["tann"]}, "did you mean"),
        ({"outcomes": ["sex"]}, "sex must be numeric, but 1200 values are not"),
        ({"outcomes": ["ldl"]}, "[negative_controls] names ldl, which has another role"),
        ({"outcomes": ["tan"], "exposures": ["tan"]}, "tan comes more than once"),
        ({"outcomes": ["flat"]}, "negative control flat must vary"),
        ({"outcomes": ["nobody"]}, "negative control nobody must vary"),
        ({"outcome": ["tan"]}, "did you mean 'outcomes'?"),
    ],
)
def test_wrong_negative_controls_are_one_message(study, refused, settings, message):
    study.change(flat=pl.lit(1.0), nobody=pl.lit(None, pl.Float64)).set("negative_controls", **settings)
    assert message in refused(study.write())


def test_level_and_kind_of_errors_reach_every_table(study, tmp_path, invarmr, no_report):
    """`environments.tsv` once held 95 % sets of many-instrument errors whatever the study file asked for."""
    study.set("negative_controls", outcomes=["tan"])
    found = {}
    for name, settings in (("wide", {}), ("narrow", {"level": 0.8}), ("robust", {"std_errors": "robust"})):
        study.set("estimate", **({"level": 0.95, "std_errors": "many-instrument"} | settings))
        assert invarmr("run", study.write(), "--out", tmp_path / name, "--quiet")[0] in (0, 3)
        found[name] = tables = {
            table: read(tmp_path / name, table)
            for table in ("environments", "meta_analysis", "negative_controls", "component_counts")
            if (tmp_path / name / f"{table}.tsv").exists()
        }
        for table, frame in tables.items():
            assert frame["level"].unique().to_list() == [settings.get("level", 0.95)], table
    wide, narrow, robust = (found[name]["environments"] for name in ("wide", "narrow", "robust"))
    assert narrow["std_error"].to_list() == wide["std_error"].to_list()
    ratio = (narrow["ci_upper"] - narrow["ci_lower"]) / (wide["ci_upper"] - wide["ci_lower"])
    assert ratio.to_list() == pytest.approx([1.2815515655446004 / 1.959963984540054] * 3)
    assert robust["estimate"].to_list() == pytest.approx(wide["estimate"].to_list(), rel=1e-9)
    assert all(abs(a / b - 1) > 1e-6 for a, b in zip(robust["std_error"], wide["std_error"], strict=True))
