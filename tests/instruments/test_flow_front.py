"""The autoencoding front: a curved surface is flattened, and what lies on it is given back."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import invarmr
from invarmr.instruments.flow import FlowInstruments
from invarmr.instruments.flow_front import Flattening, learn_flattening
from invarmr.nn.flows import LeakyMap

CPU = torch.device("cpu")


def on_a_surface(n: int = 400, *, hidden: int = 5) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Instruments (n, hidden) of two environments, B LeakyReLU(A u), and their two latent variables u."""
    rng = np.random.default_rng(4)
    A, B = rng.uniform(-1, 1, (2, hidden)), rng.uniform(-1, 1, (hidden, hidden))
    latent = [rng.normal(size=(n, 2)) * (1, 1 + e) + (0, 2 * e) for e in range(2)]
    return [np.where(u @ A > 0, u @ A, 0.2 * (u @ A)) @ B for u in latent], latent


def explained(target: np.ndarray, given: np.ndarray) -> float:
    y, x = target - target.mean(axis=0), given - given.mean(axis=0)
    return float((1 - (y - x @ np.linalg.lstsq(x, y, rcond=None)[0]).var(axis=0) / y.var(axis=0)).min())


@pytest.fixture(scope="module")
def learned() -> tuple[Flattening, dict[str, float]]:
    return learn_flattening(on_a_surface()[0], 2, rng=np.random.default_rng(1), device=CPU)


def test_a_surface_is_flattened_that_principal_components_bend(learned) -> None:
    front, said = learned
    rows, latent = on_a_surface()
    Z, u = np.vstack(rows), np.vstack(latent)
    z = (Z - Z.mean(axis=0)) / Z.std(axis=0)
    values, vectors = np.linalg.eigh(np.cov(z.T))
    assert explained(u, z @ vectors[:, -2:]) < 0.9
    assert explained(u, front.apply(Z)) > 0.98
    assert said["width"] == 2
    assert said["unexplained_linear"] == pytest.approx(values[:-2].sum() / values.sum())
    assert said["unexplained"] < said["unexplained_linear"] / 10


def test_what_was_coded_is_given_back(learned) -> None:
    front, _ = learned
    Z = np.vstack(on_a_surface(n=50)[0])
    code = front.apply(Z)
    assert code.shape == (100, 2)
    assert front.feature_names == ("y1", "y2")
    np.testing.assert_allclose(front.apply(front.decode(code)), code, atol=1e-6)
    error = np.sum(((front.decode(code) - Z) / front.scale) ** 2)
    assert front.unexplained(Z) == pytest.approx(error / np.sum(((Z - Z.mean(axis=0)) / front.scale) ** 2))


def test_a_code_of_all_columns_loses_nothing() -> None:
    rng = np.random.default_rng(2)
    map = LeakyMap(3, 1, torch.Generator().manual_seed(2))
    basis = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    front = Flattening(rng.normal(size=3), rng.uniform(1, 2, 3), map, rng.normal(size=3), basis)
    Z = rng.normal(size=(40, 3))
    np.testing.assert_allclose(front.decode(front.apply(Z)), Z, atol=1e-7)
    assert front.unexplained(Z) < 1e-12


def test_constant_columns_do_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    for setting, value in (("_STARTS", 4), ("_ITERATIONS", 10)):
        monkeypatch.setattr(f"invarmr.instruments.flow_front.{setting}", value)
    rng = np.random.default_rng(3)
    rows = [np.column_stack([rng.normal(size=(60, 3)), np.full(60, 7.3)]) for _ in range(2)]
    front, _ = learn_flattening(rows, 2, rng=np.random.default_rng(1), device=CPU)
    fewer, _ = learn_flattening([Z[:, :3] for Z in rows], 2, rng=np.random.default_rng(1), device=CPU)
    code = front.apply(rows[0])
    np.testing.assert_allclose(code, fewer.apply(rows[0][:, :3]), atol=1e-8)
    np.testing.assert_allclose(front.decode(code)[:, 3], 7.3)


def test_the_flow_learns_from_the_code() -> None:
    rows, latent = on_a_surface(n=500)
    Z, u = np.vstack(rows), np.vstack(latent)
    rng = np.random.default_rng(6)
    exposure = u.sum(axis=1) + rng.normal(size=len(u))
    environment = np.repeat([0, 1], 500)
    cohort = invarmr.Cohort.from_arrays(instrument=Z, exposure=exposure, outcome=exposure, environment=environment)
    quick = {"map": "leaky", "n_layers": 1, "law": "gaussian", "n_starts": 4, "iterations": 100, "n_latent": 1}
    latent_found = FlowInstruments(n_components=2, front="autoencoder", **quick).fit(cohort, seed=1)
    assert latent_found.settings["reconstruction"]["unexplained"] < 0.02
    assert latent_found.representation.front.shape == (2, 2)
    assert explained(u[:, :1], latent_found.latent_instrument) > 0.97
    np.testing.assert_allclose(latent_found.transform(Z[:5]), latent_found.latent_instrument[:5], atol=1e-10)
    linear = FlowInstruments(n_components=2, **quick).fit(cohort, seed=1)
    assert linear.settings["reconstruction"] == {}
    assert explained(u[:, :1], linear.latent_instrument) < 0.93


def test_what_the_front_cannot_learn_from_is_refused() -> None:
    rng = np.random.default_rng(7)

    def cohort(d: int, kind: str = "score") -> invarmr.Cohort:
        Z = rng.integers(0, 3, (400, d)) if kind == "genotype" else rng.normal(size=(400, d))
        y = rng.normal(size=400)
        return invarmr.Cohort.from_arrays(
            instrument=Z, exposure=y, outcome=y, environment=np.repeat([0, 1], 200), instrument_kind=kind
        )

    with pytest.raises(invarmr.InputError, match="front must be one of linear, autoencoder, but is 'curved'"):
        FlowInstruments(front="curved")
    with pytest.raises(invarmr.InputError, match="front 'autoencoder' must be told n_components"):
        FlowInstruments(front="autoencoder")
    with pytest.raises(invarmr.InputError, match="but there are 4 and n_components is 5"):
        FlowInstruments(front="autoencoder", n_components=5).fit(cohort(4))
    with pytest.raises(invarmr.InputError, match="at most 30, but there are 31"):
        FlowInstruments(front="autoencoder", n_components=5).fit(cohort(31))
    with pytest.raises(invarmr.InputError, match="Allele counts are discrete"):
        FlowInstruments(front="autoencoder", n_components=2).fit(cohort(4, "genotype"))


def test_as_many_columns_as_codes_need_no_front() -> None:
    rng = np.random.default_rng(8)
    Z, y = rng.normal(size=(200, 2)), rng.normal(size=200)
    cohort = invarmr.Cohort.from_arrays(instrument=Z, exposure=y, outcome=y, environment=np.repeat([0, 1], 100))
    quick = {"map": "leaky", "n_layers": 1, "law": "gaussian", "n_starts": 1, "iterations": 5, "n_latent": 1}
    trained = FlowInstruments(front="autoencoder", n_components=2, **quick).train(cohort, seed=1)
    assert trained.representation.flattening is None
    assert trained.reconstruction == {}
