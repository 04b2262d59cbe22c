"""People as their files have them: ids of any spelling, several tables, cross-walks, crossed and cut environments."""

import gzip

import numpy as np
import polars as pl
import pytest

from invarmr.errors import InputError
from invarmr.study.config import StudyConfig
from invarmr.study.read import read_cohort


def cohort_of(small):
    return read_cohort(small.write())


def same_people(cohort, expected):
    np.testing.assert_array_equal(cohort.exposure, expected.exposure)
    np.testing.assert_array_equal(cohort.outcome, expected.outcome)
    np.testing.assert_array_equal(cohort.covariates, expected.covariates)
    people = np.arange(cohort.n_samples)
    np.testing.assert_array_equal(cohort.instruments.read(people), expected.instruments.read(people))


def reasons(cohort, stage):
    rows = cohort.account.samples.filter(stage=stage)
    return {row["reason"]: row["n_samples"] for row in rows.to_dicts()}


def test_the_newcomers_files(small_study):
    """pheno.phe with spaces and -9, covar.txt in another order, ids FID_IID: no key but the columns' names."""
    small = small_study()
    expected = cohort_of(small)
    study = small_study("newcomer")
    study.set("phenotypes", path=["pheno.phe", "covar.txt"])
    path = write_beside(study)
    frame = study.phenotypes
    ids = frame["IID"]
    lines = [
        "FID IID  ldl sbp",
        *(f"0 0_{i} {x!r} {y!r}" for i, x, y in zip(ids, frame["ldl"], frame["sbp"], strict=True)),
    ]
    lines.append("0 0_extra -9 -9")
    (study.folder / "pheno.phe").write_text("\n".join(lines) + "\n")
    other = frame.select("IID", "age", "site").reverse()
    other.with_columns("0_" + pl.col("IID")).write_csv(study.folder / "covar.txt", separator=" ")
    cohort = read_cohort(path)
    same_people(cohort, expected)
    assert reasons(cohort, "dropped") == {"in pheno.phe, not in covar.txt": 1}
    assert not cohort.account.samples["reason"].str.contains(str(study.folder), literal=True).any()
    (rule,) = (text for text in reasons(cohort, "matched") if "genotype file" in text)
    assert reasons(cohort, "matched")[rule] == 900


def test_the_newcomers_run_says_how_people_were_matched(small_study, invarmr, no_report, tmp_path):
    small = small_study()
    small.change(IID=pl.Series([f"F{k}_{name}" for k, name in enumerate(small.ids)]))  # the .fam has F0 P0000, ...
    status, _, said = invarmr("run", small.write(), "--out", tmp_path / "out")
    assert status == 0
    assert "900 people, by id of the phenotype table = FID_IID of the genotype file" in " ".join(said.split())
    rows = pl.read_csv(tmp_path / "out" / "samples.tsv", separator="\t").filter(stage="matched")
    assert rows["n_samples"].to_list() == [900]


def test_three_tables_in_three_orders_with_people_missing_in_each(small_study):
    small = small_study().set("phenotypes", path=["a.txt", "b.csv", "c.tsv"])
    expected = cohort_of(small_study("whole"))
    path = write_beside(small)
    frame, place = small.phenotypes, pl.int_range(pl.len())
    frame.filter(place >= 10).select("IID", "ldl").sample(fraction=1, shuffle=True, seed=1).write_csv(
        small.folder / "a.txt", separator=" "
    )
    frame.filter(place < 880).select("IID", "sbp", "site").write_csv(small.folder / "b.csv")
    frame.filter(place != 500).select("IID", "age").reverse().write_csv(small.folder / "c.tsv", separator="\t")
    cohort = read_cohort(path)
    kept = np.array([k for k in range(10, 880) if k != 500])
    assert cohort.sample_ids.tolist() == [small.ids[k] for k in kept]
    for name in ("exposure", "outcome", "covariates"):
        np.testing.assert_array_equal(getattr(cohort, name), getattr(expected, name)[kept])
    assert {key: n for key, n in reasons(cohort, "dropped").items() if "not in" in key} == {
        "in a.txt, not in b.csv": 20,
        "in b.csv, not in a.txt": 10,
        "in a.txt and b.csv, not in c.tsv": 1,
        "in c.tsv, not in a.txt and b.csv": 30,
    }


def write_beside(study):
    """Write everything but the phenotype table, which the test writes itself."""
    table, study.settings["phenotypes"]["path"] = study.settings["phenotypes"]["path"], "unused.tsv"
    study.write()
    path = study.folder / "study.toml"
    shown = "[" + ", ".join(f'"{name}"' for name in table) + "]" if isinstance(table, list) else f'"{table}"'
    path.write_text(path.read_text().replace('path = "unused.tsv"', f"path = {shown}"))
    return path


def test_minus_nine_is_missing_in_a_table_of_plinks_layout(small_study):
    small = small_study()
    small.set("phenotypes", path="p.phe")
    path = write_beside(small)
    frame = small.phenotypes.with_columns(
        ldl=pl.when(pl.int_range(pl.len()) < 30).then(-9.0).otherwise("ldl"), FID=pl.lit("0")
    )
    frame.select("FID", pl.exclude("FID")).write_csv(small.folder / "p.phe", separator=" ")
    cohort = read_cohort(path)
    assert cohort.n_samples == 870
    assert reasons(cohort, "missing") == {"-9 read as missing in ldl, as PLINK has it": 30}


def test_a_packed_table_with_semicolons_and_decimal_commas(small_study):
    expected = cohort_of(small_study())
    small = small_study("comma").set("phenotypes", path="p.dat.gz", decimal_comma=True)
    path = write_beside(small)
    text = small.phenotypes.write_csv(separator=";").replace(".", ",")
    (small.folder / "p.dat.gz").write_bytes(gzip.compress(text.encode()))
    same_people(read_cohort(path), expected)
    path.write_text(path.read_text().replace("decimal_comma = true", "decimal_comma = false"))
    with pytest.raises(InputError, match="add decimal_comma = true"):
        read_cohort(path)


def test_a_crosswalk_and_lists_of_people_to_leave_out(small_study):
    expected = cohort_of(small_study())
    small = small_study("walk")
    own = [f"{100000 + k}" for k in range(900)]
    walk = pl.DataFrame({"app": own, "geno": small.ids})
    small.change(IID=pl.Series(own))
    small.set("phenotypes", exclude=["withdrawn.csv", "related.txt"])
    path = small.write()
    walk.head(890).reverse().write_csv(small.folder / "walk.csv")
    (small.folder / "withdrawn.csv").write_text("100000\n100001\n5\n")  # ids of the table
    (small.folder / "related.txt").write_text("#FID IID\n0 P0002\n")  # ids of the genotype file
    text = path.read_text()
    line = 'crosswalk = { path = "walk.csv", from = "app", to = "geno" }\n'
    path.write_text(text.replace("[phenotypes]\n", "[phenotypes]\n" + line))
    cohort = read_cohort(path)
    np.testing.assert_array_equal(cohort.exposure, expected.exposure[3:890])
    dropped = reasons(cohort, "dropped")
    assert dropped["not in the cross-walk walk.csv"] == 10
    lists = cohort.account.samples.filter(pl.col("reason").str.contains("in the list"))
    assert lists.group_by("reason").agg(pl.col("n_samples").sum()).sort("reason").rows() == [
        ("in the list related.txt (1 ids)", 1),
        ("in the list withdrawn.csv (3 ids)", 2),
    ]
    settings = StudyConfig.from_toml(path)
    assert StudyConfig.model_validate_json(settings.to_json()) == settings
    twice = walk.with_columns(geno=pl.when(pl.col("geno") == "P0007").then(pl.lit("P0008")).otherwise("geno"))
    twice.write_csv(small.folder / "walk.csv")
    with pytest.raises(InputError, match="geno 'P0008' stands beside app 100007, 100008"):
        read_cohort(path)


def test_a_column_in_two_tables_is_refused(small_study):
    small = small_study().set("phenotypes", path=["a.tsv", "b.tsv"])
    path = write_beside(small)
    small.phenotypes.write_csv(small.folder / "a.tsv", separator="\t")
    small.phenotypes.select("IID", "age").write_csv(small.folder / "b.tsv", separator="\t")
    with pytest.raises(InputError, match=r"age is a column of .*a.tsv and of .*b.tsv"):
        read_cohort(path)


def test_environments_crossed_and_cut(small_study):
    small = small_study().set("phenotypes", environment=["site", "sex"])
    cohort = cohort_of(small)
    assert cohort.environments == ("north/F", "north/M", "south/F", "south/M", "west/F", "west/M")
    labels = np.array(cohort.environments)[cohort.environment]
    assert labels.tolist() == (small.phenotypes["site"] + "/" + small.phenotypes["sex"]).to_list()
    assert cohort.environment_name == "site x sex"


def test_quantiles_of_a_number_are_environments(small_study):
    small = small_study().change(height=pl.Series(np.random.default_rng(1).normal(170, 10, 900)))
    small.set("phenotypes", environment="height", environment_bins=4)
    cohort = cohort_of(small)
    height = small.phenotypes["height"].to_numpy()
    edges = np.quantile(height, [0.25, 0.5, 0.75])
    bins = np.digitize(height, edges)
    assert len({(a, b) for a, b in zip(bins, cohort.environment, strict=True)}) == 4
    assert np.bincount(cohort.environment).tolist() == [225] * 4
    assert f"height below {edges[0]:.6g}" in cohort.environments


def test_cut_points_hold_their_lower_end(small_study):
    small = small_study()
    small.set("phenotypes", environment=["site", "age"], covariates=[])
    path = small.write()
    path.write_text(path.read_text().replace("[phenotypes]\n", "[phenotypes]\nenvironment_bins = { age = [55] }\n"))
    cohort = read_cohort(path)
    old = np.array(["or more" in label for label in cohort.environments])[cohort.environment]
    np.testing.assert_array_equal(old, small.phenotypes["age"].to_numpy() >= 55)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"environment_bins": 1}, "environment_bins"),
        ({"environment": ["site", "sex"], "environment_bins": 3}, "must say which column it cuts"),
        ({"environment": "sex", "environment_bins": 3}, "sex must be numeric"),
        ({"environment": "age", "environment_bins": 3, "covariates": []}, None),
    ],
)
def test_bins_that_cannot_be(small_study, settings, said):
    small = small_study().set("phenotypes", **settings)
    if said is None:
        assert len(cohort_of(small).environments) == 3
        return
    with pytest.raises(InputError, match=said):
        cohort_of(small)


def test_too_few_values_to_cut(small_study):
    small = small_study().change(few=pl.int_range(pl.len()) % 2)
    small.set("phenotypes", environment="few", environment_bins=4)
    with pytest.raises(InputError, match="few cannot be cut into 4 groups"):
        cohort_of(small)


def test_a_text_covariate_is_told_with_the_line_to_add(small_study):
    small = small_study().set("phenotypes", covariates=["sex"])
    with pytest.raises(InputError, match=r'categorical = \["sex"\]'):
        cohort_of(small)
    small.set("phenotypes", categorical=["sex"])
    cohort = cohort_of(small)
    assert cohort.covariate_names == ("sex=M",)


def test_scores_of_plink2(small_study):
    small = small_study().set("phenotypes", path=["p.tsv", "prs.sscore"])
    del small.settings["genotypes"]
    small.settings["instruments"] = {"columns": ["SCORE*_AVG"]}
    path = write_beside(small)
    small.phenotypes.write_csv(small.folder / "p.tsv", separator="\t")
    scores = pl.DataFrame(small.calls.T.astype(float), schema=[f"SCORE{j + 1}_AVG" for j in range(8)])
    head = pl.DataFrame({"#FID": ["0"] * 900, "IID": small.ids, "ALLELE_CT": [16] * 900})
    pl.concat([head, scores], how="horizontal").reverse().write_csv(small.folder / "prs.sscore", separator="\t")
    cohort = read_cohort(path)
    assert cohort.instrument_names == tuple(scores.columns)
    np.testing.assert_array_equal(cohort.instruments.read(np.arange(900)), small.calls.T)


def test_allele_counts_of_a_raw_file(small_study):
    small = small_study().set("phenotypes", path=["p.tsv", "geno.raw"])
    del small.settings["genotypes"]
    small.settings["instruments"] = {"columns": ["rs*"]}
    path = write_beside(small)
    small.phenotypes.write_csv(small.folder / "p.tsv", separator="\t")
    lines = ["FID IID PAT MAT SEX PHENOTYPE " + " ".join(f"{name}_A" for name in small.variant_ids)]
    for k, name in enumerate(small.ids):
        calls = ["NA" if k == j == 3 else str(c) for j, c in enumerate(small.calls[:, k])]
        lines.append(f"0 {name} 0 0 1 -9 " + " ".join(calls))
    (small.folder / "geno.raw").write_text("\n".join(lines) + "\n")
    cohort = read_cohort(path)
    assert cohort.n_samples == 900
    assert cohort.instrument_names == tuple(f"{name}_A" for name in small.variant_ids)
    found = cohort.instruments.read(np.arange(900))
    west = np.arange(900) % 3 == 0
    known = small.calls[3, west & (np.arange(900) != 3)]
    assert found[3, 3] == pytest.approx(known.mean(), rel=1e-12)
    rest = np.delete(np.arange(900), 3)
    np.testing.assert_array_equal(found[rest], small.calls.T[rest])


def test_cases_coded_one_and_two(small_study):
    small = small_study()
    case = (small.phenotypes["sbp"] > small.phenotypes["sbp"].median()).cast(pl.Int64)
    expected = cohort_of(small.change(sbp=case))
    cohort = cohort_of(small.change(sbp=case + 1))
    same_people(cohort, expected)
    assert reasons(cohort, "recoded") == {
        "sbp is coded 1 (control) and 2 (case): read as 0 and 1; people counted are cases": 450
    }


def test_nought_in_a_plink_status_is_asked_about(small_study):
    small = small_study().set("phenotypes", path="p.phe")
    path = write_beside(small)
    frame = small.phenotypes.with_columns(FID=pl.lit("0"), sbp=pl.int_range(pl.len()) % 3)
    frame.select("FID", pl.exclude("FID")).write_csv(small.folder / "p.phe", separator="\t")
    with pytest.raises(InputError, match="values 0, 1 and 2"):
        read_cohort(path)
    path.write_text(path.read_text().replace("[phenotypes]\n", '[phenotypes]\nmissing_codes = ["0", "-9"]\n'))
    assert set(read_cohort(path).outcome) == {0.0, 1.0}
