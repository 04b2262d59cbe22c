import json

import pytest

from invarmr.cli import main
from invarmr.errors import InputError
from invarmr.reproduce import command
from invarmr.reproduce.command import request
from invarmr.reproduce.plan import FULL, LEARNERS, QUICK, units_of


def call(*arguments):
    with pytest.raises(SystemExit) as ended:
        main(["reproduce", *(str(argument) for argument in arguments)])
    return ended.value.code


def test_the_command_plans_runs_resumes_and_draws(tmp_path, capsys):
    arguments = [
        "figure1",
        "--out",
        tmp_path,
        "--quick",
        "--seeds",
        1,
        "--n-samples",
        500,
        "--learners",
        "none,stationary",
    ]
    assert call(*arguments, "--plan-only") == 0
    shown = capsys.readouterr()
    assert "stationary: 4 replicates, 4 models" in shown.err
    assert not (tmp_path / "replicates.tsv").exists()
    assert call(*arguments) == 0
    shown = capsys.readouterr()
    assert shown.err.index("expected on 1 core") < shown.err.index("8 of 8 replicates")
    names = [line.rsplit("/", 1)[1] for line in shown.out.splitlines()]
    assert names[:3] == ["replicates.tsv", "summary.tsv", "figure1-published.svg"]
    before = (tmp_path / "replicates.tsv").read_bytes()
    assert call(*arguments) == 0
    assert "8 replicates are in the table already" in capsys.readouterr().err
    assert (tmp_path / "replicates.tsv").read_bytes() == before
    runs = json.loads((tmp_path / "provenance.json").read_text())["runs"]
    assert len(runs) == 2
    assert runs[0]["settings"]["n_samples"] == 500
    assert runs[0]["settings"]["learners"] == ["none", "stationary"]
    assert {"numpy", "python"} <= set(runs[0]["versions"])


def test_defaults_are_the_publications():
    asked = request(items=("all",))
    assert asked.scale == FULL
    assert set(asked.learners) <= set(LEARNERS)
    assert asked.learners[:3] == ("none", "oracle", "stationary")
    assert len(asked.items) == 9
    assert request(items=("all",), quick=True).scale == QUICK


def test_learners_that_are_not_at_hand_are_left_out_or_refused(monkeypatch):
    monkeypatch.setattr(command, "build_learner", lambda name: missing() if name == "flow" else None)
    monkeypatch.setattr(command, "neural_module", lambda name: None)

    def missing():
        raise InputError("The learner 'flow' needs zuko.")

    assert request(items=("all",)).learners == tuple(name for name in LEARNERS if name != "flow")
    monkeypatch.setattr(command, "build_learner", lambda name: None)
    assert request(items=("all",)).learners == LEARNERS
    assert request(items=("all",), quick=True).learners == tuple(n for n in LEARNERS if n not in ("flow", "auto"))
    assert request(items=("all",), quick=True, learners="flow").learners == ("flow",)
    monkeypatch.setattr(command, "build_learner", lambda name: missing())
    with pytest.raises(InputError, match="needs zuko"):
        request(items=("all",), learners="none,flow")


def test_settings_are_parsed(monkeypatch):
    monkeypatch.setattr(command, "build_learner", lambda name: None)
    monkeypatch.setattr(command, "neural_module", lambda name: None)
    asked = request(
        items=("table1",), learners="none, autoencoder", seeds=3, first_seed=5, lambda_invariance="1,2.5",
        lambda_independence="0,1",
        autoencoder="epochs=10,width=64,learning_rate=0.01,scale_invariant=true,encoder=linear",
    )  # fmt: skip
    assert asked.scale.seeds == (5, 6, 7)
    assert asked.scale.lambda_invariance == (1.0, 2.5)
    assert asked.scale.training == {
        "epochs": 10, "width": 64, "learning_rate": 0.01, "scale_invariant": True, "encoder": "linear",
    }  # fmt: skip
    assert asked.scale.name == "changed from the publication's"
    assert asked.learners == ("none", "autoencoder")
    assert request(items=("all",), seeds=3).scale.name == "as published"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"items": ("figure9",)}, "What to reproduce must be among all"),
        ({"items": ("all",), "learners": "magic"}, "Learners must be among"),
        ({"items": ("all",), "seeds": 0}, "At least one seed"),
        ({"items": ("all",), "lambda_invariance": "1,x"}, "lambda_invariance must be numbers"),
        ({"items": ("all",), "autoencoder": "epochs"}, "name=value"),
    ],
)
def test_bad_requests(settings, message):
    with pytest.raises(InputError, match=message):
        request(**settings)


def test_bad_usage_is_one_message(tmp_path, capsys):
    assert call("figure9", "--out", tmp_path) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_some_panels_only() -> None:
    asked = request(items=["all"], learners="none", mixings="mlp", seeds=1)
    assert {name for item in asked.items for name in item.mixings} == {"mlp"}
    assert "figure2" not in [item.name for item in asked.items]
    assert {unit.mixing for unit in units_of(asked.items, asked.learners, asked.scale)} == {"mlp"}


@pytest.mark.parametrize("mixings", ["poly4", "", "mlp,poly9"])
def test_a_panel_that_is_not_there_is_refused(mixings: str) -> None:
    with pytest.raises(InputError, match="Mixings must be among mlp, poly1, poly2, poly3"):
        request(items=["figure1"], learners="none", mixings=mixings)
