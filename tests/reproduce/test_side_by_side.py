import pytest

from invarmr.errors import InputError
from invarmr.reproduce.command import request, run_request
from invarmr.reproduce.plan import FULL
from invarmr.reproduce.side_by_side import FinishedStudy, scale_of, text_table
from invarmr.reproduce.tidy_table import Store


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("study")
    asked = request(items=("figure4",), quick=True, n_samples=500, learners="none,stationary")
    run_request(asked, out)
    return out


def test_both_designs_stand_beside_each_other(folder):
    study = FinishedStudy.open(folder)
    assert study.scale.seeds == (1, 2)
    assert study.scale.n_samples == 500
    rows = {(row["mixing"], row["estimator"]): row for row in study.rows("figure4")}
    row = rows["poly1", "2SLS(Z)"]
    assert (row["learner"], row["seeds"]) == ("none", 2)
    assert row["published"].startswith("+0.3")
    assert row["asymmetric"].startswith("+0.3")
    assert row["published"] != row["asymmetric"]
    assert rows["poly1", "2SLS(W^)"]["R2(W|W^)"] > "0.9"
    text = study.show("figure4")
    assert "variant" not in text
    assert text.splitlines()[0].split() == [
        "mixing", "learner", "estimator", "seeds", "published", "asymmetric", "R2(W|W^)", "R2(V|W^)", "nonlinear",
        "GCM", "p<.05",
    ]  # fmt: skip
    assert {row["learner"] for row in study.rows("figure4", learners=("stationary",))} == {"stationary"}
    assert study.show("figure6") == study.show("table1") == study.show("figure4", learners=("flow",)) == ""


def test_seeds_are_counted_for_every_learner(folder):
    lines = {line.split()[0]: line.split()[1:] for line in FinishedStudy.open(folder).seeds().splitlines()}
    assert lines["none"] == ["2", "0", str(2 * 2 * 4 * 7)]
    assert lines["stationary"] == ["2", "8", str(2 * 2 * 4 * 4)]
    assert lines["autoencoder"] == ["0", "0", "0"]


def test_the_ladder_counts_where_the_automatic_choice_ended(tmp_path):
    store = Store(tmp_path)
    told = ["ladder=stationary;verdict=identified"] * 2 + ["ladder=stationary>polynomial;verdict=rejected", ""]
    rows = [
        {"design": "p2-q2-n500", "environments": 2, "mixing": "poly1", "trained_on": "both", "seed": seed,
         "learner": "auto", "settings": "n_latent=2", "resolved": resolved}
        for seed, resolved in enumerate(told)
    ]  # fmt: skip
    store.add([], [*rows, {**rows[0], "learner": "stationary"}])
    lines = [line.split("  ") for line in FinishedStudy(store, FULL).ladder().splitlines()]
    cells = [[cell.strip() for cell in line if cell.strip()] for line in lines]
    assert cells[1:] == [
        ["2", "poly1", "2", "stationary", "identified", "2"],
        ["2", "poly1", "2", "polynomial", "rejected", "1"],
        ["2", "poly1", "2", "no learner passed", "none", "1"],
    ]


def test_several_runs_make_one_scale():
    run = {
        "n_samples": 10_000,
        "lambda_invariance": [1.0],
        "lambda_independence": [0.0, 1.0],
        "training": {"epochs": 9},
    }
    runs = [
        {"settings": {**run, "seeds": [1, 2], "learners": ["autoencoder_improved"]}},
        {"settings": {**run, "seeds": [2, 3], "learners": ["none"], "training": {"epochs": 5}}},
    ]
    scale = scale_of(runs)
    assert scale.seeds == (1, 2, 3)
    assert scale.training == {"epochs": 9}
    assert scale.lambda_invariance == (1.0,)
    assert scale_of(runs[1:]).lambda_invariance == FULL.lambda_invariance


def test_a_folder_without_the_table_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"has no replicates\.tsv: run `invarmr reproduce all"):
        FinishedStudy.open(tmp_path)
    assert text_table([]) == ""
