"""Learners by name."""

from __future__ import annotations

import pytest

import invarmr
from invarmr.errors import InputError
from invarmr.instruments import registry
from invarmr.instruments.registry import LEARNERS, build_learner


@pytest.mark.parametrize("name", LEARNERS)
def test_every_name_builds_a_learner_of_that_name(name: str) -> None:
    learner = build_learner(name, n_latent=2)
    assert learner.name == name
    assert learner.n_latent == 2


def test_settings_reach_the_learner() -> None:
    assert build_learner("stationary", shrink=False) == invarmr.StationaryInstruments(shrink=False)


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("stationery", {}, "must be one of stationary"),
        ("stationary", {"n_laten": 2}, r"no setting 'n_laten' \(did you mean 'n_latent'"),
        ("stationary", {"zzz": 2}, "it has n_latent"),
    ],
)
def test_wrong_names_are_named(name: str, settings: dict[str, int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        build_learner(name, **settings)


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: str) -> None:
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    monkeypatch.setattr(registry.importlib, "import_module", missing)
    with pytest.raises(InputError, match=r"needs torch.*invarmr\[neural\]"):
        build_learner("stationary")


def test_our_own_missing_module_is_not_blamed_on_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: str) -> None:
        raise ModuleNotFoundError("No module named 'invarmr.nn'", name="invarmr.nn")

    monkeypatch.setattr(registry.importlib, "import_module", missing)
    with pytest.raises(ModuleNotFoundError):
        build_learner("stationary")
