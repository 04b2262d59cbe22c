import math
import sys
from dataclasses import replace

import pytest

from invarmr.errors import InputError
from invarmr.reproduce import replicate
from invarmr.reproduce.plan import Unit
from invarmr.reproduce.replicate import run_autoencoders, run_unit
from invarmr.reproduce.tidy_table import COLUMNS, MODEL_COLUMNS


def unit(learner, **settings):
    base = {"environments": 2, "mixing": "poly1", "seed": 1, "n_latent": 0 if learner in ("none", "oracle") else 2}
    return Unit(learner=learner, **{**base, **settings})


@pytest.mark.parametrize("learner", ["none", "oracle", "stationary"])
def test_a_unit_gives_rows_of_both_designs(learner, small):
    own = unit(learner)
    result = run_unit(own, small)
    keys = {
        tuple(row[name] for name in ("design", "environments", "mixing", "symmetric", "seed", "learner", "settings"))
        for row in result.rows
    }
    assert keys == own.keys(small)
    assert all(set(row) <= set(COLUMNS) for row in result.rows)
    assert all(set(row) == set(MODEL_COLUMNS) for row in result.models)
    assert len(result.models) == (learner == "stationary")
    for row in result.rows:
        assert row["bias"] == pytest.approx(row["estimate"] - 1)
    if learner == "stationary":
        assert all(row["recovery"] > 0.95 for row in result.rows)
        assert all(row["leakage"] < 0.05 and row["gcm_p"] > 0 for row in result.rows)


def test_the_automatic_choice_says_where_it_ended_and_with_which_verdict(small):
    automatic, plain = (run_unit(unit(learner), small) for learner in ("auto", "stationary"))
    assert ";ladder=stationary;" in automatic.models[0]["resolved"]
    assert ";verdict=" in automatic.models[0]["resolved"]
    assert "ladder=" not in plain.models[0]["resolved"]
    assert [row["estimate"] for row in automatic.rows] == [row["estimate"] for row in plain.rows]


def test_the_same_unit_gives_the_same_numbers(small):
    first, second = (run_unit(unit("stationary"), small).rows for _ in range(2))
    for a, b in zip(first, second, strict=True):
        assert {k: v for k, v in a.items() if k != "seconds"} == {k: v for k, v in b.items() if k != "seconds"}


def test_what_a_learner_refuses_is_written_down(small):
    result = run_unit(unit("stationary", n_latent=40), small)
    assert "n_latent must not exceed" in result.models[0]["failure"]
    assert [row["estimate"] for row in result.rows] == [None, None]
    assert result.rows[0]["estimator"] == "2SLS(W^)"


def test_autoencoders_of_all_units_are_one_list_of_jobs_that_share_data(small, fake_grid):
    units = [unit("autoencoder"), unit("autoencoder", n_latent=1), unit("autoencoder", mixing="mlp")]
    results = run_autoencoders(units, small)
    assert len(fake_grid) == 1
    jobs = fake_grid[0]
    assert len(jobs) == 4 + 2 + 4
    assert jobs[0].instrument is jobs[5].instrument
    assert jobs[0].instrument is not jobs[6].instrument
    assert jobs[0].settings["decoder"] == "polynomial"
    assert jobs[0].settings["decoder_degree"] == 1
    assert jobs[6].settings["decoder"] == "mlp"
    assert all(job.exposure is None for job in jobs)
    assert jobs[0].validation_instrument.shape == jobs[0].instrument.shape
    assert [len(result.models) for result in results] == [4, 2, 4]
    assert {row["settings"] for row in results[1].rows} == {
        "lambda_independence=1;lambda_invariance=1;n_confounded=2;n_latent=1",
        "lambda_independence=1;lambda_invariance=5;n_confounded=2;n_latent=1",
    }
    model = results[0].models[1]
    assert (model["validation"], model["validation_whitened"]) == (2.0, 1.0)
    assert model["spread"] > 0
    assert "decoder=polynomial" in model["resolved"]
    assert {row["validation"] for row in results[1].rows} == {2.0, 1.2}


def test_the_improved_settings_have_one_pair_of_lambdas(small, fake_grid):
    result = run_autoencoders([unit("autoencoder_improved", mixing="poly3")], small)[0]
    assert all(job.settings["improved"] for job in fake_grid[0])
    assert [job.settings["lambda_independence"] for job in fake_grid[0]] == [0.0, 0.1]
    chosen = {row["settings"] for row in result.rows if row["estimator"] == "DML(W^)"}
    assert chosen == {"lambda_independence=0.1;lambda_invariance=0.1;n_confounded=2;n_latent=2"}


def test_the_relevance_term_sees_the_exposure_of_its_own_design(small, fake_grid):
    for effects in ("symmetric", "asymmetric"):
        own = unit("autoencoder", options=(("lambda_relevance", 0.01),), effects=(effects,))
        result = run_autoencoders([own], small)[0]
        assert {row["symmetric"] for row in result.rows} == {effects == "symmetric"}
        assert {row["trained_on"] for row in result.models} == {effects}
    first, second = (jobs[0] for jobs in fake_grid)
    assert (first.instrument == second.instrument).all()
    assert not (first.exposure == second.exposure).any()


def test_double_machine_learning_is_run_for_the_chosen_models_alone(small, fake_grid):
    result = run_autoencoders([unit("autoencoder", mixing="poly3")], small)[0]
    chosen = {row["settings"] for row in result.rows if row["estimator"] == "DML(W^)"}
    assert chosen == {
        "lambda_independence=1;lambda_invariance=5;n_confounded=2;n_latent=2",  # least validation MMD
        "lambda_independence=1;lambda_invariance=1;n_confounded=2;n_latent=2",  # least of whitened W^
    }
    oracle = run_unit(unit("oracle", mixing="poly3"), small)
    assert sum(row["estimator"] == "DML(W^)" for row in oracle.rows) == 2


def test_evaluation_in_worker_processes_gives_the_same(small):
    pytest.importorskip("torch")
    units = [unit("autoencoder", n_latent=p) for p in (1, 2)]
    scale = replace(small, lambda_invariance=(1.0,), lambda_independence=(1.0,), training={"epochs": 1, "batch": 500})
    one, two = (run_autoencoders(units, scale, workers=workers) for workers in (1, 2))
    for first, second in zip(one, two, strict=True):
        assert [row["bias"] for row in first.rows] == [row["bias"] for row in second.rows]
        assert [row["gcm_p"] for row in first.rows] == [row["gcm_p"] for row in second.rows]


def test_models_that_failed_have_rows_without_estimates(small, fake_grid):
    result = run_autoencoders([unit("autoencoder", seed=99)], replace(small, seeds=(99,)))[0]
    assert {row["failure"] for row in result.models} == {"it diverged"}
    assert all(row["estimate"] is None for row in result.rows)


@pytest.mark.parametrize("learner", ["autoencoder", "autoencoder_improved"])
def test_the_real_autoencoder_fits_in(small, learner):
    pytest.importorskip("torch")
    pytest.importorskip("invarmr.instruments.autoencoder_grid")
    scale = replace(small, lambda_invariance=(1.0,), lambda_independence=(1.0,), training={"epochs": 2, "batch": 250})
    result = run_autoencoders([unit(learner, n_latent=1)], scale)[0]
    assert len(result.models) == 1
    assert math.isfinite(result.models[0]["validation_whitened"])
    assert all(row["estimate"] is not None for row in result.rows)


def test_without_torch_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "invarmr.instruments.autoencoder_grid", None)
    with pytest.raises(ModuleNotFoundError):
        replicate.neural_module("autoencoder_grid")

    def missing(_):
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    monkeypatch.setattr(replicate.importlib, "import_module", missing)
    with pytest.raises(InputError, match=r"pip install 'invarmr\[neural\]'"):
        replicate.neural_module("autoencoder_grid")
