"""Every kind of study that a study file can ask for, run from beginning to end."""

import json

import numpy as np
import pgenlib
import polars as pl
import pytest

from invarmr.report.html import write_report
from invarmr.simulate.latent import simulate_latent
from invarmr.simulate.latent_design import LatentDesign
from invarmr.study.archive import Archive
from invarmr.study.config import StudyConfig
from invarmr.study.read import read_cohort
from invarmr.study.run import run_study
from invarmr.study.simulated_latent import write_latent_study

pytestmark = pytest.mark.usefixtures("no_report")


@pytest.fixture
def run(tmp_path):
    drawn = []

    def call(study, name="out"):
        out = tmp_path / name
        run_study(study, out=out)
        if not drawn:  # one page for each test: drawing takes most of the time
            drawn.append(write_report(out))
        return out

    return call


def estimates(out):
    return pl.read_csv(out / "estimates.tsv", separator="\t")


def same_numbers(first, second):
    assert (first / "estimates.tsv").read_bytes() == (second / "estimates.tsv").read_bytes()
    assert (first / "diagnostics.tsv").read_bytes() == (second / "diagnostics.tsv").read_bytes()


def sets(out):
    table = estimates(out)
    assert table["headline"].sum() == 1
    assert table["estimate"].is_finite().all()
    assert (table["std_error"] > 0).all()
    return set(table["instruments"])


BASE = {"none", "observed", "observed+environment", "learned", "learned+environment", "allele_score"}


def test_the_plain_study(small_study, run):
    out = run(small_study().write())
    assert sets(out) == BASE
    assert not (out / "components.tsv").exists()  # too few variants to compute any from
    lead = estimates(out).row(by_predicate=pl.col("headline"), named=True)
    assert (lead["exposure"], lead["outcome"], lead["n_samples"]) == ("ldl", "sbp", 900)
    assert abs(lead["estimate"] - 0.5) < 4 * lead["std_error"]


def test_scores_of_the_phenotype_table(small_study, run):
    small = small_study()
    centred = small.calls - small.calls.mean(axis=1, keepdims=True)
    small.change(**{f"score{j}": pl.Series(centred[j]) for j in range(8)})
    del small.settings["genotypes"]
    small.settings["instruments"] = {"columns": [f"score{j}" for j in range(8)]}
    out = run(small.write())
    assert sets(out) >= BASE - {"learned+environment"}
    variants = pl.read_csv(out / "variants.tsv", separator="\t")
    assert variants.height == 0
    assert variants.columns[:2] == ["variant", "chromosome"]
    loadings = pl.read_csv(out / "loadings.tsv", separator="\t", missing_columns="raise")
    assert loadings["variant"].to_list() == [f"score{j}" for j in range(8)]
    opened = Archive(out)
    assert opened.cohort.instrument_kind == "score"
    np.testing.assert_allclose(opened.cohort.instruments.read(np.arange(900)), centred.T)
    inputs = json.loads((out / "provenance.json").read_text())["inputs"]
    assert [item["path"].rsplit("/", 1)[1] for item in inputs] == ["phenotypes.tsv"]
    # the same values as variants give the same two-stage estimates
    other = small_study("variants")
    observed = estimates(run(other.write(), "other")).filter(instruments="observed", method="2SLS")
    scored = estimates(out).filter(instruments="observed", method="2SLS")
    assert scored["estimate"].item() == pytest.approx(observed["estimate"].item(), rel=1e-8)


def test_scores_beside_variants(small_study, run):
    small = small_study()
    rng = np.random.default_rng(1)
    small.change(prs=pl.Series(small.calls.sum(axis=0) + rng.normal(size=900)))
    small.set("instruments", columns=["prs"])
    out = run(small.write())
    assert sets(out) == BASE
    loadings = pl.read_csv(out / "loadings.tsv", separator="\t")
    assert loadings["variant"].to_list() == [*small.variant_ids, "prs"]
    assert (loadings["effect_allele"].fill_null("") == "").to_list() == [False] * 8 + [True]
    opened = Archive(out)
    again = opened.cohort.instruments.read(np.arange(900))
    np.testing.assert_allclose(again[:, 8], small.phenotypes["prs"].to_numpy())
    np.testing.assert_allclose(again[:, :8], small.calls.T)


def test_scores_beside_genotypes_for_components_alone(small_study, run):
    rng = np.random.default_rng(2)
    small = small_study()
    small.change(prs=pl.Series(small.calls.sum(axis=0) + rng.normal(size=900)))
    small.settings["instruments"] = {"columns": ["prs"]}
    out = run(small.write())
    assert estimates(out).filter(instruments="observed")["n_instruments"].to_list()[0] == 1


@pytest.mark.parametrize("environment", ["site", None])
def test_learning_nothing(small_study, run, environment):
    small = small_study().set("learn", method="none").set("phenotypes", environment=environment)
    out = run(small.write())
    expected = {"none", "observed", "allele_score"} | ({"observed+environment"} if environment else set())
    assert sets(out) == expected
    for name in ("loadings.tsv", "instruments.parquet", "eigenvalues.tsv", "state/latent.npz"):
        assert not (out / name).exists()
    lead = estimates(out).row(by_predicate=pl.col("headline"), named=True)
    assert (lead["method"], lead["instruments"]) == ("LIML", "observed+environment" if environment else "observed")
    verdict = json.loads((out / "verdict.json").read_text())
    assert (verdict["n_latent"], verdict["path"]) == (0, [])
    assert Archive(out).latent is None


def test_a_run_without_learning_removes_what_was_learned(small_study, run):
    small = small_study()
    out = run(small.write())
    assert (out / "loadings.tsv").exists()
    out = run(small.set("learn", method="none").write())
    assert not (out / "loadings.tsv").exists()
    assert not (out / "state" / "latent.npz").exists()
    assert not [path for path in out.iterdir() if path.name.startswith(".")]


def test_given_components(small_study, run):
    small = small_study()
    rng = np.random.default_rng(3)
    code = small.phenotypes["site"].rank("dense").to_numpy()
    small.change(pc1=pl.Series(code + rng.normal(size=900)), pc2=pl.Series(rng.normal(size=900)))
    out = run(small.set("components", columns=["pc1", "pc2"]).write())
    assert sets(out) == BASE | {"observed+pcs"}
    components = pl.read_csv(out / "components.tsv", separator="\t")
    assert components.columns == ["environment", "across", "up", "x", "y", "n_samples"]
    assert components["n_samples"].min() >= 5  # no single person is shown
    lows, highs = small.phenotypes.select("pc1", "pc2").min().row(0), small.phenotypes.select("pc1", "pc2").max().row(0)
    assert components["x"].is_between(lows[0], highs[0]).all()
    assert components["y"].is_between(lows[1], highs[1]).all()
    assert Archive(out).cohort.component_names == ("pc1", "pc2")


def test_computed_components(small_study, run):
    rng = np.random.default_rng(4)
    small = small_study()
    frequency = rng.uniform(0.2, 0.8, (3, 120))
    site = np.arange(900) % 3
    more = rng.binomial(2, frequency[site].T)
    small.calls = np.vstack([small.calls, more])
    small.variant_ids += [f"bg{j}" for j in range(120)]
    small.alleles += [("C", "T")] * 120
    out = run(small.set("components", count=3).write())
    assert "observed+pcs" in sets(out)
    assert set(pl.read_csv(out / "components.tsv", separator="\t")["across"]) == {"PC1"}
    cohort = Archive(out).cohort
    shares = [np.var([cohort.components[site == k, j].mean() for k in range(3)]) for j in range(3)]
    assert shares[0] > 0.8  # the components find the sites
    study = small.set("components", variants="few.tsv").write()
    pl.DataFrame({"SNP": small.variant_ids[8:20], "A1": ["C"] * 12}).write_csv(
        study.with_name("few.tsv"), separator="\t"
    )
    assert "observed+pcs" not in sets(run(study))
    names = [item["path"].rsplit("/", 1)[1] for item in Archive(run(study)).provenance["inputs"]]
    assert "few.tsv" in names
    pl.DataFrame({"SNP": small.variant_ids[8:], "A1": ["C"] * 120}).write_csv(
        study.with_name("few.tsv"), separator="\t"
    )
    assert "observed+pcs" in sets(run(study))
    small.calls[8:] = small.calls[8]  # one signal 120 times over leaves one variant
    assert "observed+pcs" not in sets(run(small.write()))


def test_categorical_covariates(small_study, run):
    small = small_study().set("phenotypes", covariates=["age", "sex", "site"], categorical=["sex", "site"])
    out = run(small.write())
    assert sets(out) == BASE
    cohort = Archive(out).cohort
    assert cohort.covariate_names == ("age", "sex=M", "site=south", "site=west")
    male = (small.phenotypes["sex"] == "M").to_numpy()
    np.testing.assert_array_equal(cohort.covariates[:, 1], male)


def test_covariates_that_add_nothing(small_study, run):
    """A constant covariate and a repeated one change no estimate."""
    plain = estimates(run(small_study("plain").write(), "plain_out"))
    small = small_study().change(one=pl.lit(1.0), age2=2 * pl.col("age") + 1)
    out = run(small.set("phenotypes", covariates=["age", "one", "age2"]).write())
    table = estimates(out)
    assert table["method"].to_list() == plain["method"].to_list()
    for name in ("estimate", "std_error"):
        np.testing.assert_allclose(table[name], plain[name], rtol=2e-2)
    unlearned = ~table["instruments"].str.contains("learned")
    np.testing.assert_allclose(table.filter(unlearned)["estimate"], plain.filter(unlearned)["estimate"], rtol=1e-6)


@pytest.mark.parametrize("std_errors", ["homoskedastic", "robust", "clustered"])
def test_standard_errors(small_study, run, std_errors):
    small = small_study().set("phenotypes", cluster="family").set("estimate", std_errors=std_errors, level=0.9)
    table = estimates(run(small.write()))
    assert set(table["level"]) == {0.9}
    width = (table["ci_upper"] - table["ci_lower"]) / table["std_error"]
    np.testing.assert_allclose(width, 2 * 1.6448536269514722, rtol=1e-6)
    plain = estimates(run(small_study("plain").write(), "plain_out"))
    np.testing.assert_allclose(table["estimate"], plain["estimate"])
    np.testing.assert_allclose(table["std_error"], plain["std_error"], rtol=0.5)
    if std_errors != "homoskedastic":
        assert (table["std_error"] != plain["std_error"]).all()


def test_a_bootstrap_adds_one_row_and_changes_no_other(small_study, run):
    table = estimates(run(small_study().set("estimate", bootstrap=20, level=0.9).write()))
    plain = estimates(run(small_study("plain").set("estimate", level=0.9).write(), "plain_out"))
    row = table.row(by_predicate=pl.col("method") == "bootstrap LIML", named=True)
    lead = table.row(by_predicate=pl.col("headline"), named=True)
    assert table.filter(pl.col("method") != "bootstrap LIML").equals(plain)
    assert (row["estimate"], row["instruments"], row["level"]) == (lead["estimate"], "learned", 0.9)
    assert row["ci_lower"] < row["estimate"] < row["ci_upper"]
    assert 1 / 3 < row["std_error"] / lead["std_error"] < 3
    assert "learned again in each of 20 replicates" in row["note"]


def test_a_cluster_missing_drops_the_person(small_study, run):
    small = small_study().set("phenotypes", cluster="family")
    small.change(family=pl.when(pl.col("IID") == "P0003").then(None).otherwise("family"))
    out = run(small.write())
    assert "family is missing" in (out / "samples.tsv").read_text()
    assert Archive(out).cohort.cluster.max() == 299


def write_pgen(small, pgen, calls):
    """Calls (int8) or dosages (float32), -9 missing, as the .pgen, .pvar and .psam of a small study."""
    dosages = calls.dtype == np.float32
    with pgenlib.PgenWriter(
        bytes(pgen), 900, variant_ct=8, dosage_present=dosages, nonref_flags=False, allele_ct_limit=2
    ) as writer:
        for row in calls:
            (writer.append_dosages if dosages else writer.append_biallelic)(np.ascontiguousarray(row))
    rows = "".join(f"1\t{100 * (j + 1)}\t{name}\tG\tA\n" for j, name in enumerate(small.variant_ids))
    pgen.with_suffix(".pvar").write_text("#CHROM\tPOS\tID\tREF\tALT\n" + rows)
    pgen.with_suffix(".psam").write_text("#IID\tSEX\n" + "".join(f"{name}\t1\n" for name in small.ids))


def test_pgen_equals_bed(small_study, run):
    small = small_study()
    small.calls[2, ::50] = -9
    study = small.write()
    first = run(study, "bed")
    write_pgen(small, study.with_name("cohort.pgen"), small.calls.astype(np.int8))
    study.write_text(study.read_text().replace("cohort.bed", "cohort.pgen"))
    second = run(study, "pgen")
    same_numbers(first, second)
    assert (first / "variants.tsv").read_bytes() == (second / "variants.tsv").read_bytes()
    names = [item["path"].rsplit("/", 1)[1] for item in Archive(second).provenance["inputs"]]
    assert names == ["phenotypes.tsv", "cohort.pgen", "cohort.pvar", "cohort.psam", "instruments.tsv"]


def test_dosages(small_study, run):
    """Imputed genotypes: dosages as they are, each missing one its environment's mean."""
    small = small_study()
    rng = np.random.default_rng(7)
    dosages = np.clip(small.calls + rng.uniform(-0.4, 0.4, small.calls.shape), 0, 2).astype(np.float32)
    dosages[2, ::50] = -9
    study = small.write()
    write_pgen(small, study.with_name("cohort.pgen"), dosages)
    study.write_text(study.read_text().replace("cohort.bed", "cohort.pgen"))
    out = run(study)
    assert sets(out) == BASE
    assert pl.read_csv(out / "variants.tsv", separator="\t")["n_imputed"].to_list() == [0, 0, 18, 0, 0, 0, 0, 0]
    values = Archive(out).cohort.instruments.read(np.arange(900)).T
    known = dosages >= 0
    frequency = pl.read_csv(out / "variants.tsv", separator="\t")["effect_allele_frequency"]
    np.testing.assert_allclose(frequency, np.where(known, dosages, 0).sum(axis=1) / known.sum(axis=1) / 2, atol=1e-4)
    np.testing.assert_allclose(values[known], dosages[known], atol=1e-4)
    for k in range(3):
        mean = dosages[2, k::3][known[2, k::3]].mean()
        np.testing.assert_allclose(values[2, k::3][~known[2, k::3]], mean, atol=1e-4)


@pytest.mark.parametrize("table", ["phenotypes.csv", "phenotypes.parquet"])
def test_tables_of_any_kind(small_study, run, table):
    first = run(small_study("plain").write(), "first")
    second = run(small_study().set("phenotypes", path=table).write(), "second")
    same_numbers(first, second)


def test_alleles_swapped_or_on_the_other_strand(small_study, run):
    """The effect allele is the user's, however the file spells the pair: estimates do not change."""
    first = run(small_study("plain").write(), "first")
    small = small_study()
    small.alleles = [("G", "A")] * 4 + [("C", "T")] * 4
    small.calls = 2 - small.calls
    second = run(small.write(), "second")
    one, two = estimates(first), estimates(second)
    np.testing.assert_allclose(one["estimate"], two["estimate"], rtol=1e-9)
    assert pl.read_csv(second / "loadings.tsv", separator="\t")["effect_allele"].to_list() == ["A"] * 4 + ["T"] * 4
    assert "matched on the other strand" in (second / "variants.tsv").read_text()


def test_one_wrong_allele_is_dropped_with_its_reason(small_study, run):
    small = small_study()
    small.alleles[3] = ("A", "C")
    out = run(small.write())
    table = pl.read_csv(out / "variants.tsv", separator="\t")
    dropped = table.filter(status="dropped")
    assert dropped["variant"].to_list() == ["rs4"]
    assert dropped["reason"].to_list() == ["alleles A/G asked, A/C in the genotype file"]
    assert pl.read_csv(out / "loadings.tsv", separator="\t").height == 7


def test_numbered_alleles_and_blanks_for_tabs(small_study, run):
    """PLINK's 1/2 coding of alleles, and tables separated by spaces."""
    first = run(small_study("plain").write(), "first")
    small = small_study()
    small.alleles, small.separator = [("1", "2")] * 4 + [("2", "1")] * 4, "  "
    small.calls[4:] = 2 - small.calls[4:]
    small.instruments = small.instruments.with_columns(effect_allele=pl.lit("1"), other_allele=pl.lit("2"))
    same_numbers(first, run(small.write(), "second"))


def test_every_variant_of_the_file(small_study, run):
    small = small_study().set("instruments", variants="all")
    same_numbers(run(small_study("plain").write(), "first"), run(small.write(), "second"))
    small.variant_ids[3] = small.variant_ids[2]
    table = pl.read_csv(run(small.write()) / "variants.tsv", separator="\t")
    assert table["status"].to_list() == ["kept"] * 2 + ["dropped"] * 2 + ["kept"] * 4


def test_weights_make_a_weighted_score(small_study, run):
    small = small_study()
    small.instruments = small.instruments.with_columns(beta=pl.Series(np.linspace(0.1, 0.8, 8)))
    table = estimates(run(small.write())).filter(instruments="allele_score")
    assert "weighted" in table["note"].item()
    assert "unweighted" not in table["note"].item()
    small.instruments = small.instruments.with_columns(beta=pl.Series([None, *[0.5] * 7]))
    assert "unweighted" in estimates(run(small.write())).filter(instruments="allele_score")["note"].item()


def test_missing_phenotypes_are_dropped_and_counted(small_study, run):
    small = small_study().set("phenotypes", missing_codes=["-9"])
    row = pl.int_range(pl.len())
    small.change(
        ldl=pl.when(row < 10).then(None).otherwise("ldl"),
        sbp=pl.when((row >= 5) & (row < 12)).then(-9.0).otherwise("sbp"),
        age=pl.when(row == 20).then(-9).otherwise("age"),
    )
    out = run(small.write())
    table = pl.read_csv(out / "samples.tsv", separator="\t")
    dropped = dict(table.filter(stage="dropped").group_by("reason").agg(pl.col("n_samples").sum()).iter_rows())
    assert dropped.pop("in the genotype file without a complete row in the phenotype table") == 13
    assert dropped == {"ldl is missing": 10, "sbp is missing": 2, "age is missing": 1}
    assert table.filter(stage="used")["n_samples"].sum() == 887
    assert set(estimates(out)["n_samples"]) == {887}


def test_missing_calls_become_their_environments_mean(small_study, run):
    small = small_study()
    rng = np.random.default_rng(6)
    gaps = rng.uniform(size=small.calls.shape) < 0.02
    whole = small.calls.astype(float)
    small.calls = np.where(gaps, -9, small.calls)
    out = run(small.write())
    assert pl.read_csv(out / "variants.tsv", separator="\t")["n_imputed"].to_list() == gaps.sum(axis=1).tolist()
    expected = np.where(gaps, np.nan, whole).T
    for k in range(3):
        members = expected[k::3]
        expected[k::3] = np.where(np.isnan(members), np.nanmean(members, axis=0), members)
    np.testing.assert_allclose(Archive(out).cohort.instruments.read(np.arange(900)), expected, atol=1e-6)
    small.calls[0, ::8] = -9
    table = pl.read_csv(run(small.write()) / "variants.tsv", separator="\t")
    assert table["status"][0] == "dropped"
    assert "call rate" in table["reason"][0]
    kept = small.set("quality_control", min_call_rate=0).write()
    assert pl.read_csv(run(kept) / "variants.tsv", separator="\t")["status"].to_list() == ["kept"] * 8


def test_people_in_one_file_only(small_study, run):
    small = small_study()
    extra = small.phenotypes[:7].with_columns(IID="X" + pl.col("IID"))
    small.phenotypes = pl.concat([small.phenotypes[5:], extra]).sample(fraction=1, shuffle=True, seed=1)
    out = run(small.write())
    table = pl.read_csv(out / "samples.tsv", separator="\t")
    assert table.filter(reason="not in the genotype file")["n_samples"].sum() == 7
    assert table.filter(stage="used")["n_samples"].sum() == 895
    assert Archive(out).cohort.sample_ids.tolist() == small.ids[5:]  # the genotype file's order


def test_an_instrument_twice_or_without_variation(small_study, run):
    small = small_study().set("quality_control", min_allele_frequency=0)
    small.calls[1] = small.calls[0]
    small.calls[2] = 0
    small.calls[2, 5] = 1
    out = run(small.write())
    assert pl.read_csv(out / "variants.tsv", separator="\t")["status"].to_list() == ["kept"] * 8
    latent = Archive(out).latent
    assert latent.n_null == 1
    assert latent.n_latent + latent.n_confounded == 7
    small.calls[2] = 0
    table = pl.read_csv(run(small.write()) / "variants.tsv", separator="\t")
    assert table["reason"][2] == "does not vary within any environment"


def test_an_environment_of_three_people(small_study, run, refused):
    """Nothing can be learned from it; without learning it does no harm."""
    small = small_study(n=600, d=1).set("phenotypes", covariates=[])
    row = pl.int_range(pl.len())
    small.change(site=pl.when(row < 3).then(pl.lit("tiny")).otherwise("site"))
    assert "1 of 4 have fewer: tiny (3). Merge small environments" in refused(small.write())
    out = run(small.set("learn", method="none").write())
    assert estimates(out)["headline"].sum() == 1
    assert 3 in pl.read_csv(out / "environments.tsv", separator="\t")["n_samples"].to_list()


def test_twenty_six_environments(small_study, run):
    small = small_study(n=1300)
    small.change(site=pl.Series([f"P{i % 26}" for i in range(1300)]))
    out = run(small.write())
    assert pl.read_csv(out / "environments.tsv", separator="\t").height == 26
    assert sets(out) >= {"observed+environment"}


def test_outcome_equal_to_exposure(small_study, refused):
    small = small_study().change(sbp=pl.col("ldl"))
    assert "Check that exposure and outcome are different variables" in refused(small.write())


def test_binary_outcome(small_study, run):
    small = small_study().change(sbp=(pl.col("sbp") > pl.col("sbp").median()).cast(pl.Int64))
    out = run(small.write())
    assert sets(out) == BASE
    small.change(sbp=pl.col("sbp") == 1)  # true and false
    same_numbers(out, run(small.write(), "second"))


def test_numbers_as_labels(small_study, run):
    """Sites 1, 2, 3 and ids 001 stay labels; names may hold brackets, blanks and accents."""
    small = small_study().change(site=pl.col("site").replace({"north": "1", "south": "02", "west": "10"}))
    small.ids = [f"{i:04d}" for i in range(900)]
    small.change(IID=pl.Series(small.ids))
    small.phenotypes = small.phenotypes.rename({"ldl": "ldl [mmol/l]", "sbp": "Blutdruck, syst. é"})
    small.set("phenotypes", exposure="ldl [mmol/l]", outcome="Blutdruck, syst. é")
    out = run(small.write())
    assert pl.read_csv(out / "environments.tsv", separator="\t", infer_schema=False)["environment"].to_list() == [
        "02", "1", "10",
    ]  # fmt: skip
    assert estimates(out)["exposure"][0] == "ldl [mmol/l]"
    assert Archive(out).cohort.sample_ids[1] == "0001"


def test_a_number_of_latent_instruments(small_study, run):
    out = run(small_study().set("learn", n_latent=3).write())
    assert json.loads((out / "verdict.json").read_text())["n_latent"] == 3


def test_read_cohort_from_a_path_or_settings(small_study):
    study = small_study().write()
    cohort = read_cohort(study)
    assert cohort.n_samples == read_cohort(str(study)).n_samples == 900
    assert read_cohort(StudyConfig.from_toml(study)).environments == ("north", "south", "west")
    assert cohort.account.samples.height == 6
    assert cohort.account.variants.height == 8


def test_scores_by_default_climb_the_ladder_and_say_so(tmp_path, run):
    design = LatentDesign(mixing="poly1", n_samples=3000)
    out = run(write_latent_study(simulate_latent(design, seed=1), tmp_path / "study", learner="auto"))
    verdict = json.loads((out / "verdict.json").read_text())
    assert [(step["learner"], step["passed"]) for step in verdict["ladder"]] == [("stationary", True)]
    assert verdict["status"] == "identified"
    assert any("shape" in reason for reason in verdict["reasons"])
    table = pl.read_csv(out / "diagnostics.tsv", separator="\t")
    laws = table.filter(pl.col("test").is_in(["same shape in every environment", "independence beyond correlation"]))
    assert laws["applies"].to_list() == [True, True]
    assert "Learners tried, from the simplest up" in (out / "report.html").read_text()
    assert Archive(out).latent.ladder[0].learner == "stationary"
