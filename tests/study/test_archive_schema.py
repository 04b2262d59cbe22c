"""What a run leaves on disk, file by file, on a simulated cohort; other programs read these files."""

import hashlib
import json
import shutil

import numpy as np
import polars as pl
import pytest

from invarmr.simulate.admixture import AdmixtureDesign, simulate_admixture
from invarmr.study.archive import Archive
from invarmr.study.config import StudyConfig, with_changes
from invarmr.study.progress import Progress
from invarmr.study.run import run_study
from invarmr.study.simulated import write_admixture_study

TEXT, NUMBER, WHOLE, TRUTH = pl.String, pl.Float64, pl.Int64, pl.Boolean
ESTIMATES = {
    "method": TEXT, "instruments": TEXT, "exposure": TEXT, "outcome": TEXT, "estimate": NUMBER, "std_error": NUMBER,
    "ci_lower": NUMBER, "ci_upper": NUMBER, "p_value": NUMBER, "level": NUMBER, "n_samples": WHOLE,
    "n_instruments": WHOLE, "first_stage_f": NUMBER, "headline": TRUTH, "seed": WHOLE, "note": TEXT,
}  # fmt: skip
DIAGNOSTICS = {
    "assumption": TEXT, "test": TEXT, "null": TEXT, "statistic": NUMBER, "df": TEXT, "p_value": NUMBER,
    "applies": TRUTH, "conclusion": TEXT, "reason": TEXT,
}  # fmt: skip
VARIANTS = {
    "variant": TEXT, "chromosome": TEXT, "position": WHOLE, "effect_allele": TEXT, "other_allele": TEXT, "status": TEXT,
    "reason": TEXT, "effect_allele_frequency": NUMBER, "min_call_rate": NUMBER, "hardy_weinberg_p": NUMBER,
    "n_imputed": WHOLE,
}  # fmt: skip
SETS = {
    "none", "observed", "observed+environment", "observed+pcs", "learned", "learned+environment", "allele_score",
    "oracle",
}  # fmt: skip
FILES = {
    "balance.tsv", "components.tsv", "diagnostics.tsv", "eigenvalues.tsv", "environments.tsv", "estimates.tsv",
    "instruments.parquet", "loadings.tsv", "provenance.json", "report.html", "samples.tsv", "truth.json",
    "variants.tsv", "verdict.json", "stratification.tsv", "component_counts.tsv", "meta_analysis.tsv",
    "effect_curve.tsv", "confidence_sets.tsv", "sensitivity.tsv", "manifest.json", "state/cohort.parquet",
    "state/instruments.npz",
    "state/latent.json", "state/latent.npz", "state/moments.npz", "negative_controls.tsv",
}  # fmt: skip
TABLES = ("estimates.tsv", "diagnostics.tsv", "verdict.json", "loadings.tsv", "variants.tsv", "samples.tsv",
          "balance.tsv", "environments.tsv", "eigenvalues.tsv", "components.tsv", "stratification.tsv",
          "component_counts.tsv", "meta_analysis.tsv", "effect_curve.tsv", "confidence_sets.tsv")  # fmt: skip


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """2,000 people, 40 instruments, 1 call in 100 missing; 30 people without an exposure, 20 without genotypes."""
    folder = tmp_path_factory.mktemp("simulated") / "study"
    design = AdmixtureDesign(n_samples=2000, n_instruments=40, n_variants=400, missing_rate=0.01)
    path = write_admixture_study(simulate_admixture(design, seed=1), folder)
    table = pl.read_csv(folder / "phenotypes.tsv", separator="\t")
    row = pl.int_range(pl.len())
    table = table.with_columns(
        exposure=pl.when(row < 30).then(None).otherwise("exposure"),
        IID=pl.when(row >= 1980).then(pl.lit("X") + pl.col("IID")).otherwise("IID"),
    )
    table.write_csv(folder / "phenotypes.tsv", separator="\t", null_value="NA")
    listed = pl.read_csv(folder / "instruments.tsv", separator="\t")
    extra = pl.DataFrame({"SNP": ["rs_absent"], "effect_allele": ["A"], "other_allele": ["C"]})
    wrong = listed[:1].with_columns(SNP=pl.lit(_bim(folder)["variant"][5]), effect_allele=pl.lit("I"))
    pl.concat([listed, extra, wrong, listed[1:2]], how="diagonal").write_csv(folder / "instruments.tsv", separator="\t")
    return path


@pytest.fixture(scope="module")
def archive(study, tmp_path_factory):
    out = tmp_path_factory.mktemp("archive") / "out"
    run_study(with_changes(StudyConfig.from_toml(study), people=True), out=out)
    return out


def _bim(folder):
    names = ["chromosome", "variant", "morgans", "position", "a1", "a2"]
    return pl.read_csv(folder / "cohort.bim", separator="\t", has_header=False, new_columns=names)


def read(path, schema):
    frame = pl.read_csv(path, separator="\t", infer_schema=False)
    assert frame.columns == list(schema)
    kinds = {name: kind for name, kind in schema.items() if kind != TRUTH}
    truths = [name for name, kind in schema.items() if kind == TRUTH]
    assert all(set(frame[name]) <= {"true", "false"} for name in truths)
    return frame.with_columns(pl.col(name) == "true" for name in truths).cast(kinds)


def dosages(folder):
    """Copies of A1 straight from the bytes of the .bed, (variants, samples), NaN where missing."""
    n = len((folder / "cohort.fam").read_text().splitlines())
    raw = np.frombuffer((folder / "cohort.bed").read_bytes()[3:], dtype=np.uint8).reshape(-1, -(-n // 4))
    codes = np.stack([raw >> 2 * k & 3 for k in range(4)], axis=-1).reshape(len(raw), -1)[:, :n]
    return np.array([2.0, np.nan, 1.0, 0.0])[codes]


def test_all_files_and_no_others(archive):
    assert {str(path.relative_to(archive)) for path in archive.rglob("*") if path.is_file()} == FILES


def test_estimates(archive):
    table = read(archive / "estimates.tsv", ESTIMATES)
    assert table["headline"].sum() == 1
    lead = table.row(by_predicate=pl.col("headline"), named=True)
    assert (lead["method"], lead["instruments"]) == ("LIML", "learned")
    assert set(table["instruments"]) == SETS
    assert table.null_count().drop("first_stage_f").transpose().sum().item() == 0
    assert table.filter(pl.col("first_stage_f").is_null())["method"].unique().to_list() == ["OLS"]
    assert set(table["seed"]) == {1}
    assert set(table["level"]) == {0.95}
    assert set(table["n_samples"]) == {1950}
    assert (table["ci_lower"] < table["estimate"]).all()
    assert (table["estimate"] < table["ci_upper"]).all()
    assert table["p_value"].is_between(0, 1).all()
    by_set = dict(table.group_by("instruments").agg(pl.col("n_instruments").max()).iter_rows())
    assert by_set["none"] == 0
    assert by_set["observed"] == 40
    assert by_set["allele_score"] == 1
    assert by_set["learned"] == json.loads((archive / "verdict.json").read_text())["n_latent"]
    effects = dict(table.filter(method="2SLS").select("instruments", "estimate").iter_rows())
    assert abs(effects["oracle"] - 1) < 0.2
    assert abs(lead["estimate"] - 1) < 0.3
    assert effects["observed"] > 1.3


def test_diagnostics_and_verdict(archive):
    table = read(archive / "diagnostics.tsv", DIAGNOSTICS)
    assert table["assumption"].n_unique() > 3
    silent = table.filter(~pl.col("applies"))
    assert (silent["reason"].str.len_chars() > 0).all()
    assert table.filter(pl.col("p_value").is_not_null())["p_value"].is_between(0, 1).all()

    def no_constant(name):
        raise AssertionError(f"{name} is not JSON")

    verdict = json.loads((archive / "verdict.json").read_text(), parse_constant=no_constant)
    assert set(verdict) == {
        "status", "reasons", "n_latent", "path", "n_confounded", "shift_rank", "covariance_informative", "saturated",
        "learner", "degree", "ladder",
    }  # fmt: skip
    assert verdict["learner"] == "stationary"
    assert verdict["ladder"] == []  # the simulated study names its learner
    assert verdict["status"] in ("identified", "weak", "not identified", "rejected")
    assert verdict["reasons"]
    assert all(isinstance(reason, str) for reason in verdict["reasons"])
    assert verdict["path"][-1]["n_latent"] == verdict["n_latent"]
    assert verdict["n_latent"] + verdict["n_confounded"] == 40


def test_instruments_are_loadings_times_dosages(study, archive):
    """W = (Z - center) loadings, from the bytes of the .bed, the allele in loadings.tsv and numpy alone."""
    folder = study.parent
    loadings = pl.read_csv(archive / "loadings.tsv", separator="\t")
    latent_names = [name for name in loadings.columns if name.startswith("latent")]
    assert loadings.columns == ["variant", "effect_allele", *latent_names]
    variants = _bim(folder).with_row_index("row")
    joined = loadings.join(variants, on="variant", how="left", maintain_order="left")
    copies = dosages(folder)[joined["row"].to_numpy()]
    counted = (joined["effect_allele"] == joined["a1"]).to_numpy()
    assert ((joined["effect_allele"] == joined["a1"]) | (joined["effect_allele"] == joined["a2"])).all()
    assert 0 < counted.sum() < len(counted) or counted.all()
    copies[~counted] = 2 - copies[~counted]
    table = pl.read_parquet(archive / "instruments.parquet")
    assert dict(table.schema) == {
        "sample_id": pl.String, "environment": pl.String, "fold": pl.Int32, **dict.fromkeys(latent_names, pl.Float32),
    }  # fmt: skip
    ids = [line.split()[1] for line in (folder / "cohort.fam").read_text().splitlines()]
    assert table["sample_id"].to_list() == [name for name in ids if name in set(table["sample_id"])]
    z = copies[:, [ids.index(name) for name in table["sample_id"]]].T
    phenotypes = dict(pl.read_csv(folder / "phenotypes.tsv", separator="\t").select("IID", "site").iter_rows())
    site = np.array([phenotypes[name] for name in table["sample_id"]])
    assert site.tolist() == table["environment"].to_list()
    for label in np.unique(site):  # a missing call is its environment's mean
        members = z[site == label]
        z[site == label] = np.where(np.isnan(members), np.nanmean(members, axis=0), members)
    with np.load(archive / "state" / "latent.npz") as stored:
        center = stored["center"]
    expected = (z - center) @ loadings.select(latent_names).to_numpy()
    np.testing.assert_allclose(table.select(latent_names).to_numpy(), expected, atol=2e-5)
    within = expected - np.stack([expected[site == label].mean(axis=0) for label in site])
    np.testing.assert_allclose(within.var(axis=0), 1, atol=0.02)
    sizes = table["fold"].value_counts()["count"]
    assert table["fold"].n_unique() == 10
    assert sizes.max() - sizes.min() <= 4


def test_variants(study, archive):
    table = read(archive / "variants.tsv", VARIANTS)
    folder = study.parent
    asked = pl.read_csv(folder / "instruments.tsv", separator="\t")
    assert table["variant"].to_list() == asked["SNP"].to_list()
    assert set(table["status"]) == {"kept", "dropped"}
    kept, dropped = table.filter(status="kept"), table.filter(status="dropped")
    assert kept.height == 40
    reasons = dict(zip(dropped["variant"], dropped["reason"], strict=True))
    assert reasons["rs_absent"] == "not in the genotype file"
    assert "alleles I/" in reasons[asked["SNP"][41]]
    assert "more than once" in dropped["reason"][-1]
    copies = dosages(folder)
    rows = {name: i for i, name in enumerate(_bim(folder)["variant"])}
    people = pl.read_parquet(archive / "instruments.parquet")["sample_id"].to_list()
    ids = {line.split()[1]: i for i, line in enumerate((folder / "cohort.fam").read_text().splitlines())}
    used = copies[np.ix_([rows[name] for name in kept["variant"]], [ids[name] for name in people])]
    assert kept["n_imputed"].to_list() == np.isnan(used).sum(axis=1).tolist()
    assert kept["n_imputed"].sum() > 0
    counted = [_bim(folder)["a1"][rows[name]] for name in kept["variant"]]
    frequency = np.nanmean(used, axis=1) / 2
    same = np.array(counted) == kept["effect_allele"].to_numpy()
    np.testing.assert_allclose(kept["effect_allele_frequency"], np.where(same, frequency, 1 - frequency), atol=1e-12)


def test_samples_add_up(archive):
    table = read(archive / "samples.tsv", {"stage": TEXT, "environment": TEXT, "n_samples": WHOLE, "reason": TEXT})
    counts = dict(table.group_by("stage").agg(pl.col("n_samples").sum()).iter_rows())
    outside = table.filter(pl.col("environment").is_null() | (pl.col("environment") == ""))
    assert outside["n_samples"].to_list() == [50]  # 20 renamed in the phenotype table, 30 without an exposure
    assert counts["read"] == 2000
    assert counts["used"] == 1950
    assert counts["read"] - counts["used"] == counts["dropped"] - 50
    for label in ("site_01", "site_02", "site_03", "site_04"):
        rows = table.filter(environment=label)
        total = {stage: rows.filter(stage=stage)["n_samples"].sum() for stage in ("read", "dropped", "used")}
        assert total["read"] == total["dropped"] + total["used"]
    dropped = dict(table.filter(stage="dropped").group_by("reason").agg(pl.col("n_samples").sum()).iter_rows())
    assert dropped["exposure is missing"] == 30
    assert dropped["not in the genotype file"] == 20


def test_provenance(study, archive):
    record = json.loads((archive / "provenance.json").read_text())
    assert set(record) == {"command", "version", "settings", "seed", "versions", "inputs", "seconds", "started"}
    assert set(record["seconds"]) == {"read", "learn", "estimate", "diagnose", "report"}
    assert StudyConfig.model_validate(record["settings"]) == with_changes(StudyConfig.from_toml(study), people=True)
    names = {"phenotypes.tsv", "cohort.bed", "cohort.bim", "cohort.fam", "instruments.tsv", "truth.json",
             "truth_samples.tsv"}  # fmt: skip
    assert {item["path"] for item in record["inputs"]} == {str(study.with_name(name)) for name in names}
    for item in record["inputs"]:
        content = study.with_name(item["path"].rsplit("/", 1)[1]).read_bytes()
        assert item["sha256"] == hashlib.sha256(content).hexdigest()
        assert item["bytes"] == len(content)


def test_truth_is_copied_and_the_report_is_one_file(study, archive):
    assert json.loads((archive / "truth.json").read_text()) == json.loads(study.with_name("truth.json").read_text())
    page = (archive / "report.html").read_text()
    assert page.startswith("<!DOCTYPE html>")
    assert 'src="http' not in page


def tables(folder):
    return {name: (folder / name).read_bytes() for name in TABLES}


def test_the_same_seed_gives_the_same_tables(study, archive, tmp_path, no_report):
    run_study(with_changes(StudyConfig.from_toml(study), people=True), out=tmp_path / "again")
    assert tables(tmp_path / "again") == tables(archive)
    again, first = (pl.read_parquet(folder / "instruments.parquet") for folder in (tmp_path / "again", archive))
    assert again.equals(first)
    one, two = (json.loads((folder / "provenance.json").read_text()) for folder in (tmp_path / "again", archive))
    varying = {"seconds", "started"}
    assert {k: v for k, v in one.items() if k not in varying} == {k: v for k, v in two.items() if k not in varying}


def test_another_seed_differs(study, archive, tmp_path, no_report):
    run_study(with_changes(StudyConfig.from_toml(study), seed=2, people=True), out=tmp_path)
    assert (tmp_path / "estimates.tsv").read_bytes() != (archive / "estimates.tsv").read_bytes()
    other, first = (pl.read_parquet(folder / "instruments.parquet") for folder in (tmp_path, archive))
    assert other["fold"].to_list() != first["fold"].to_list()
    assert (tmp_path / "samples.tsv").read_bytes() == (archive / "samples.tsv").read_bytes()


def test_verb_by_verb_is_the_same(study, archive, tmp_path, invarmr, monkeypatch):
    out = tmp_path / "out"
    monkeypatch.chdir(study.parent)
    status, printed, told = invarmr("read", "study.toml", "--out", out)
    assert (status, printed) == (0, "")
    assert "1,950 people in 4 environments, 40 instruments" in told
    monkeypatch.chdir(tmp_path)  # the archive can be taken up from anywhere
    status, printed, told = invarmr("learn", "out")
    assert (status, printed) == (0, "")
    assert "latent instruments" in told
    status, printed, _ = invarmr("estimate", "out")
    assert status == 0
    assert "<- headline" in printed
    assert "true effect 1" in printed
    status, printed, _ = invarmr("diagnose", "out")
    verdict = json.loads((archive / "verdict.json").read_text())
    assert status == (0 if verdict["status"] in ("identified", "weak") else 3)
    assert f"verdict: {verdict['status']}" in printed
    assert tables(out) == tables(archive)
    status, printed, _ = invarmr("report", "out", "--smallest-count", "20")
    assert (status, printed.strip()) == (0, "out/report.html")
    left = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}
    untold = {name for name in FILES if name.startswith("state/")} | {
        "instruments.parquet",
        "sensitivity.tsv",
        "truth.json",
    }
    assert left == FILES - untold


def test_an_earlier_verb_again_removes_what_followed(archive, tmp_path, invarmr):
    out = tmp_path / "out"
    shutil.copytree(archive, out)
    later = {"learn": {"estimates.tsv", "verdict.json", "report.html"}, "estimate": {"verdict.json", "report.html"},
             "diagnose": {"report.html"}}  # fmt: skip
    for verb in ("diagnose", "estimate", "learn"):
        assert invarmr(verb, out, "--quiet")[0] in (0, 3)
        assert not any((out / name).exists() for name in later[verb])
    assert invarmr("diagnose", out, "--quiet")[0] in (0, 3)  # needs what was learned, not the table of estimates
    status, _, message = invarmr("report", out)
    assert status == 2
    assert "estimates.tsv" in message


def test_a_verb_too_early(study, tmp_path, invarmr):
    out = tmp_path / "out"
    for verb in ("learn", "estimate", "diagnose", "report"):
        status, printed, message = invarmr(verb, out)
        assert (status, printed) == (2, "")
        assert message.count("\n") == 1
        assert not out.exists()
    invarmr("read", study, "--out", out, "--quiet")
    for verb in ("estimate", "diagnose"):
        status, _, message = invarmr(verb, out)
        assert status == 2
        assert "run `invarmr learn` on it first" in message
        assert not (out / "estimates.tsv").exists()


def test_a_changed_input_is_noticed(study, archive, tmp_path, invarmr):
    folder, out = tmp_path / "study", tmp_path / "out"
    shutil.copytree(study.parent, folder)
    assert invarmr("read", folder / "study.toml", "--out", out, "--quiet")[0] == 0
    bed = folder / "cohort.bed"
    whole = bed.read_bytes()
    for content, complaint in (
        (whole[:-1], "was changed after"),
        (whole[:-1] + b"\x00", "was changed after"),
        (None, "gone"),
    ):
        bed.write_bytes(content) if content else bed.unlink()
        status, _, message = invarmr("learn", out)
        assert status == 2
        assert complaint in message
        assert "read again" in message
        assert not (out / "loadings.tsv").exists()
    bed.write_bytes(whole)
    assert invarmr("learn", out, "--quiet") == (0, "", "")


def test_the_archive_as_objects(archive):
    opened = Archive(archive)
    cohort, latent = opened.cohort, opened.latent
    assert cohort.n_samples == 1950
    assert cohort.instrument_kind == "genotype"
    assert cohort.weights.shape == (40,)
    assert cohort.truth_names
    table = pl.read_parquet(archive / "instruments.parquet")
    w = table.select(pl.col("^latent.*$")).to_numpy()
    np.testing.assert_allclose(latent.latent_instrument, w, atol=1e-4)
    assert latent.fold.tolist() == table["fold"].to_list()
    assert opened.pooled.n_total == 1950
    direct = cohort.moments.crossproduct
    scale = np.sqrt(np.einsum("eii,ejj->eij", direct, direct))
    np.testing.assert_allclose(opened.pooled.crossproduct / scale, direct / scale, atol=1e-6)  # means are float32


def test_progress_is_silent_when_quiet(capsys):
    progress = Progress()
    with progress.verb("read", "files"):
        assert list(progress.track([1, 2], "counting")) == [1, 2]
    progress.say("nothing")
    assert capsys.readouterr() == ("", "")
    assert progress.seconds["read"] >= 0
