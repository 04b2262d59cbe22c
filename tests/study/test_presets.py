"""Made-up folders of the layout that a biobank hands out, read with a preset and next to no key."""

import json

import numpy as np
import polars as pl
import pytest

from invarmr.errors import InputError
from invarmr.study.config import StudyConfig
from invarmr.study.presets import spelled_as_wanted
from invarmr.study.read import read_cohort

N = 600


def study_file(folder, preset, exposure, outcome, **keys):
    lines = [
        f"{name} = {json.dumps(value)}" for name, value in {"exposure": exposure, "outcome": outcome, **keys}.items()
    ]
    text = f'preset = "{preset}"\n[phenotypes]\n' + "\n".join(lines) + '\n[instruments]\ncolumns = ["score*"]\n'
    (folder / "study.toml").write_text(text)
    return folder / "study.toml"


def people(ids, id_name, exposure, outcome):
    rng = np.random.default_rng(4)
    scores = rng.normal(size=(N, 3))
    x = scores.sum(axis=1) + rng.normal(size=N)
    columns = {id_name: ids, exposure: x, outcome: 0.5 * x + rng.normal(size=N)}
    return pl.DataFrame(columns | {f"score{k}": scores[:, k] for k in range(3)})


def all_of_us(folder):
    folder.mkdir()
    ids = [str(1_000_000 + k) for k in range(N)]
    people(ids, "person_id", "ldl", "sbp").write_csv(folder / "traits.csv")
    features = np.random.default_rng(5).normal(size=(N, 16)).round(6)
    labels = [("afr", "amr", "eas", "eur", "mid", "sas")[k % 6] for k in range(N)]
    pl.DataFrame(
        {
            "research_id": ids,
            "ancestry_pred": labels,
            "probabilities": ["[0.5, 0.5]"] * N,
            "pca_features": [str(row.tolist()) for row in features],
            "ancestry_pred_other": labels,
        }
    ).reverse().write_csv(folder / "echo_v4_r2.ancestry_preds.tsv", separator="\t")
    (folder / "relatedness_flagged_samples.tsv").write_text("sample_id.s\n1000000\n1000007\n")
    (folder / "flagged_samples.tsv").write_text("s\n1000009\n")
    return features


def test_all_of_us(tmp_path):
    features = all_of_us(tmp_path / "aou")
    path = study_file(tmp_path / "aou", "all-of-us", "ldl", "sbp", path="traits.csv")
    cohort = read_cohort(path)
    kept = [k for k in range(N) if k not in (0, 7, 9)]
    assert cohort.sample_ids.tolist() == [str(1_000_000 + k) for k in kept]
    assert cohort.environments == ("afr", "amr", "eas", "eur", "mid", "sas")
    np.testing.assert_array_equal(cohort.environment, np.array(kept) % 6)
    np.testing.assert_array_equal(cohort.components, features[kept])
    assert cohort.component_names == tuple(f"pca_features_{k}" for k in range(1, 17))
    settings = json.loads(StudyConfig.from_toml(path).to_json())
    assert settings["preset"] == "all-of-us"
    assert [name.rsplit("/", 1)[1] for name in settings["phenotypes"]["path"]] == [
        "traits.csv",
        "echo_v4_r2.ancestry_preds.tsv",
    ]
    assert len(settings["phenotypes"]["exclude"]) == 2
    if "disclosure" in StudyConfig.model_fields:
        assert settings["disclosure"]["smallest_count"] == 20


def test_what_the_file_says_stands(tmp_path):
    all_of_us(tmp_path / "aou")
    path = study_file(
        tmp_path / "aou", "all-of-us", "ldl", "sbp", path="traits.csv", environment="ancestry_pred_other", exclude=[]
    )
    path.write_text(path.read_text() + "[components]\ncount = 0\n")
    cohort = read_cohort(path)
    assert cohort.n_samples == N
    assert cohort.environment_name == "ancestry_pred_other"
    assert cohort.components.shape == (N, 0)


def test_two_ancestry_files_are_asked_about(tmp_path):
    all_of_us(tmp_path / "aou")
    (tmp_path / "aou" / "older.ancestry_preds.tsv").write_text("research_id\tancestry_pred\n1\teur\n")
    with pytest.raises(InputError, match=r"one ancestry file .* but there are echo_v4_r2"):
        StudyConfig.from_toml(study_file(tmp_path / "aou", "all-of-us", "ldl", "sbp", path="traits.csv"))


def test_lists_of_unequal_length_are_refused(tmp_path):
    all_of_us(tmp_path / "aou")
    file = tmp_path / "aou" / "echo_v4_r2.ancestry_preds.tsv"
    table = pl.read_csv(file, separator="\t")
    table = table.with_columns(
        pca_features=pl.when(pl.int_range(pl.len()) == 3).then(pl.lit("[1, 2]")).otherwise("pca_features")
    )
    table.write_csv(file, separator="\t")
    with pytest.raises(InputError, match="lists of pca_features must be of one length, but have 2, 16"):
        read_cohort(study_file(tmp_path / "aou", "all-of-us", "ldl", "sbp", path="traits.csv"))


SPELLINGS = {
    "p{f}{i}{a}": lambda f, a=None: f"p{f}" + ("" if f in (31, 22000, 22009) else "_i0") + (f"_a{a}" if a else ""),
    "f.": lambda f, a=None: f"f.{f}.0.{a or 0}",
    "-": lambda f, a=None: f"{f}-0.{a or 0}",
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_uk_biobank(tmp_path, spelling):
    named = SPELLINGS[spelling]
    ids = [str(5_000_000 + k) for k in range(N)]
    batch = np.where(np.arange(N) % 4 == 0, -3, 17)
    centre = np.where(np.arange(N) % 2 == 0, 11010, 11012)
    frame = people(ids, "eid", named(21001), named(4080)).with_columns(
        pl.Series(named(22000), batch), pl.Series(named(54), centre), pl.Series(named(31), np.arange(N) % 2)
    )
    parts = np.random.default_rng(6).normal(size=(N, 40))
    frame = frame.hstack(pl.DataFrame(parts, schema=[named(22009, k) for k in range(1, 41)]))
    frame.write_csv(tmp_path / "ukb.tab", separator="\t")
    (tmp_path / "w12345_20260101.csv").write_text("5000003\n5000004\n")
    path = study_file(tmp_path, "uk-biobank", "p21001", "p4080_i0", path="ukb.tab", covariates=["p31"])
    cohort = read_cohort(path)
    kept = np.array([k for k in range(N) if k not in (3, 4)])
    assert cohort.n_samples == N - 2
    labels = np.array(cohort.environments)[cohort.environment]
    array = np.where(batch[kept] < 0, "p22000 below 0", "p22000 0 or more")
    assert labels.tolist() == [f"{a}/{c}" for a, c in zip(array, centre[kept], strict=True)]
    np.testing.assert_array_equal(cohort.components, parts[kept])
    np.testing.assert_array_equal(cohort.covariates[:, 0], kept % 2)
    np.testing.assert_array_equal(cohort.exposure, frame[named(21001)].to_numpy()[kept])


def test_finngen(tmp_path):
    ids = [f"FG{k:08d}" for k in range(N)]
    frame = people(ids, "FINNGENID", "LDL", "SBP").with_columns(
        cohort=pl.Series([f"biobank{k % 3}" for k in range(N)]), BATCH=pl.Series([f"b{k % 7}" for k in range(N)])
    )
    parts = np.random.default_rng(6).normal(size=(N, 10))
    frame = frame.hstack(pl.DataFrame(parts, schema=[f"PC{k}" for k in range(1, 11)]))
    frame.write_csv(tmp_path / "finngen.txt.gz", separator="\t", compression="gzip")
    cohort = read_cohort(study_file(tmp_path, "finngen", "ldl", "SBP", path="finngen.txt.gz"))
    assert cohort.environments == ("biobank0", "biobank1", "biobank2")
    assert cohort.component_names == tuple(f"PC{k}" for k in range(1, 11))
    np.testing.assert_array_equal(cohort.components, parts)


def test_fields_are_told_apart_by_instance_and_array():
    columns = ["eid", "f.31.0.0", "p21001_i0", "p21001_i1", "p22009_a2", "22009-0.1"]
    wanted = ["p31", "21001-1.0", "f.22009.0.2", "p22009_a1", "p54"]
    assert spelled_as_wanted("uk-biobank", wanted, columns) == {
        "f.31.0.0": "p31",
        "p21001_i1": "21001-1.0",
        "p22009_a2": "f.22009.0.2",
        "22009-0.1": "p22009_a1",
    }
    assert spelled_as_wanted(None, wanted, columns) == {}


def test_an_unknown_preset_names_the_known(tmp_path):
    with pytest.raises(InputError, match="'all-of-us', 'uk-biobank' or 'finngen'"):
        StudyConfig.from_toml(study_file(tmp_path, "ukb", "x", "y", path="t.tsv", environment="k"))
