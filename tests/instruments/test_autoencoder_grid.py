from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from invarmr.errors import InputError, InvarmrError
from invarmr.instruments.autoencoder_encoder import Encoder
from invarmr.instruments.autoencoder_grid import choose_model, choose_restart, lambda_grid, train_grid
from invarmr.instruments.autoencoder_jobs import AutoencoderJob
from invarmr.instruments.autoencoder_settings import AutoencoderSettings
from invarmr.nn.kernels import mmd_squared
from invarmr.nn.networks import encode

SETTINGS = AutoencoderSettings(decoder="polynomial", width=8, epochs=2, batch=100, n_last=1)


def study(seed: int, n: int = 200, environments: int = 2, d: int = 5) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    site = np.repeat(np.arange(environments), n)
    latent = generator.normal(size=(len(site), 4)) + np.outer(site, [2.0, 1.0, 0.0, 0.0])
    Z = 3 + latent @ np.random.default_rng(1).normal(size=(4, d))
    order = generator.permutation(len(site))
    return np.column_stack([Z, np.ones(len(Z))])[order], site[order]


def job(settings: AutoencoderSettings = SETTINGS, seed: int = 1, **given) -> AutoencoderJob:
    (Z, K), (other, L) = study(seed), study(seed + 500)
    return AutoencoderJob(
        **{
            "instrument": Z,
            "environment": K,
            "validation_instrument": other,
            "validation_environment": L,
            "settings": settings,
            "seed": seed,
        }
        | given
    )


def test_the_published_grid_has_twelve_models() -> None:
    grid = lambda_grid(SETTINGS)
    assert len(grid) == 12
    assert {(s.lambda_invariance, s.lambda_independence) for s in grid} == {
        (i, j) for i in (1, 5, 10) for j in (0, 1, 5, 10)
    }
    assert all(s.lambda_entropy == 0.01 and s.lambda_relevance == 0 for s in grid)


def test_jobs_of_all_shapes_come_back_in_order_and_as_if_trained_alone() -> None:
    base = job()
    wide = replace(SETTINGS, width=16)
    jobs = [
        base,
        replace(base, settings=wide),
        job(seed=2),
        replace(base, settings=replace(SETTINGS, lambda_invariance=5.0)),
    ]
    calls: list[tuple[int, int]] = []
    together = train_grid(jobs, progress=lambda done, total: calls.append((done, total)))
    assert calls[-1] == (8, 8)
    for one, trained in zip(jobs, together, strict=True):
        (alone,) = train_grid([one])
        assert trained.settings is one.settings
        assert trained.seed == one.seed
        for name, weight in alone.encoder.weights.items():
            assert np.abs(weight - trained.encoder.weights[name]).max() < 1e-5
        assert trained.validation_mmd == pytest.approx(alone.validation_mmd, rel=1e-3)
        assert trained.validation_mmd_whitened == pytest.approx(alone.validation_mmd_whitened, rel=1e-3)
    small = train_grid(jobs, stack_size=1)
    assert (
        np.abs(small[3].encoder.weights["encoder.3.weight"] - together[3].encoder.weights["encoder.3.weight"]).max()
        < 1e-5
    )


@pytest.mark.parametrize(
    "settings", [{}, {"encoder": "residual"}, {"encoder": "linear", "bounded": True}, {"encoder": "polynomial"}]
)
def test_the_encoder_in_numpy_is_that_of_torch_and_needs_none(settings) -> None:
    one = job(replace(SETTINGS, **settings))
    (trained,) = train_grid([one])
    Z = one.instrument
    z = (Z[:, :5] - Z[:, :5].mean(0)) / Z[:, :5].std(0)  # the last instrument does not vary
    assert np.allclose(trained.encoder.units[5], 0)
    architecture = one.settings.architecture(5)
    theta = {name: torch.from_numpy(w)[None] for name, w in trained.encoder.weights.items()}
    expected = encode(architecture, theta, torch.from_numpy(z.T.copy())[None])[0].numpy().T
    V, W = trained.encode(Z)
    assert V.shape == W.shape == (400, 2)
    assert np.allclose(np.hstack([V, W]), expected, atol=1e-6)
    assert trained.encoder.feature_names == ("V1", "V2", "W1", "W2")
    again = Encoder.from_content(*trained.encoder.content())
    assert np.array_equal(again.apply(Z), trained.encoder.apply(Z))


def test_training_learns_something_and_the_choice_leaves_out_models_without_independence() -> None:
    base = job()
    settings = replace(SETTINGS, epochs=5, learning_rate=1e-2)
    models = train_grid([replace(base, settings=s) for s in lambda_grid(settings)])
    for model in models:
        assert model.history.total[-1, 0] < model.history.total[0, 0]
        assert model.seconds > 0
    for rule, name in (("paper", "validation_mmd"), ("scale_invariant", "validation_mmd_whitened")):
        chosen = choose_model(models, rule=rule)
        allowed = [m for m in models if m.settings.lambda_independence > 0]
        assert getattr(models[chosen], name) == min(getattr(m, name) for m in allowed)
    with pytest.raises(InputError, match="rule must be 'paper' or 'scale_invariant', but is 'best'"):
        choose_model(models, rule="best")
    with pytest.raises(InputError, match="all have lambda_independence = 0"):
        choose_model([m for m in models if m.settings.lambda_independence == 0])


def test_a_model_that_failed_says_so_and_is_not_chosen() -> None:
    base = job()
    parameters = SETTINGS.architecture(5).n_parameters
    failing = replace(base, start=np.full(parameters, 1e30))
    models = train_grid([failing, base])
    assert choose_model(models) == choose_restart(models) == 1
    better = train_grid([base, replace(base, seed=5, settings=replace(SETTINGS, epochs=9, learning_rate=1e-2))])
    assert choose_restart(better) == 1
    with pytest.raises(InvarmrError, match="did not train: the loss stopped being finite in epoch 1 of 2"):
        models[0].encode(base.instrument)
    with pytest.raises(InputError, match="No trained model is left to choose from: the loss stopped"):
        choose_model(models[:1])


def test_a_grid_goes_on_from_its_checkpoints(tmp_path) -> None:
    jobs = [job(), job(replace(SETTINGS, width=16))]
    first = train_grid(jobs, checkpoint=tmp_path, checkpoint_every=1)
    assert len(list(tmp_path.glob("*.safetensors"))) == 2
    again = train_grid(jobs, checkpoint=tmp_path)
    for a, b in zip(first, again, strict=True):
        assert all(np.array_equal(w, b.encoder.weights[name]) for name, w in a.encoder.weights.items())


def test_of_several_starts_the_least_objective_comes_back() -> None:
    one = job(replace(SETTINGS, n_restarts=3, epochs=3))
    (kept,) = train_grid([one])
    alone = replace(one.settings, n_restarts=1)
    tried = train_grid([replace(one, settings=alone, seed=1 + k * 1_000_003) for k in range(3)])
    best = tried[choose_restart(tried)]
    assert float(best.history.total[-1, 0]) == min(float(model.history.total[-1, 0]) for model in tried)
    assert kept.seed == best.seed
    for name, weight in best.encoder.weights.items():
        assert np.abs(weight - kept.encoder.weights[name]).max() < 1e-5


@pytest.mark.parametrize("encoder", ["mlp", "residual", "linear"])
def test_a_stationary_split_recombines_the_features_of_the_same_model(encoder) -> None:
    settings = replace(SETTINGS, encoder=encoder, epochs=3)
    one = job(settings)
    plain, split = train_grid([one, replace(one, settings=replace(settings, stationary_split=True))])
    U, S = plain.encoder.apply(one.instrument), split.encoder.apply(one.instrument)
    fitted = np.column_stack([np.ones(len(U)), U])
    assert np.abs(S - fitted @ np.linalg.lstsq(fitted, S, rcond=None)[0]).max() < 1e-6
    V, W = split.encode(one.instrument)
    within = np.mean([np.cov(W[one.environment == e].T) for e in (0, 1)], axis=0)
    assert np.allclose(within, np.eye(2), atol=0.02)

    def shift(x: np.ndarray) -> float:
        means = np.array([x[one.environment == e].mean(axis=0) for e in (0, 1)])
        return float(np.abs(means[1] - means[0]).max())

    assert shift(W) < 0.25 * shift(V)
    other = split.encode(one.validation_instrument[np.argsort(one.validation_environment, kind="stable")])[1]
    expected = mmd_squared(torch.from_numpy(other.T.copy()), (200, 200), scale_invariant=True)
    assert split.validation_mmd_whitened == pytest.approx(float(expected))


def test_whitened_units_have_no_correlation_and_no_null_direction() -> None:
    Z, K = study(1)
    Z = np.column_stack([Z, Z[:, 0] + Z[:, 1]])
    (trained,) = train_grid(
        [
            job(
                AutoencoderSettings.improved(width=8, epochs=2, batch=100, n_last=1),
                instrument=Z,
                validation_instrument=Z,
                validation_environment=K,
            )
        ]
    )
    assert trained.encoder.units.shape == (7, 4)  # four latents, mixed
    white = (Z - trained.encoder.center) @ trained.encoder.units
    assert np.allclose(white.T @ white / len(Z), np.eye(4))
    assert trained.encode(Z)[1].shape == (400, 2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_latent": 3, "n_confounded": 3}, r"must not exceed .* 5, but is 3 \+ 3 = 6"),
        ({"batch": 500}, "batch must not exceed the smallest environment's training rows, but is 500"),
        ({"lambda_relevance": 0.1}, "lambda_relevance is positive, but the job has no exposure"),
    ],
)
def test_settings_that_do_not_fit_the_data_end_in_one_message(change, message) -> None:
    with pytest.raises(InputError, match=message):
        train_grid([job(replace(SETTINGS, **change))])


def test_environments_must_be_at_least_two_and_the_same_in_both_parts() -> None:
    Z, K = study(1)
    with pytest.raises(InputError, match="At least two environments are required to learn, but there is 1"):
        train_grid([job(environment=np.zeros_like(K), validation_environment=np.zeros_like(K))])
    with pytest.raises(InputError, match="same environments, but 2 and 3 came"):
        train_grid([job(validation_instrument=Z, validation_environment=np.arange(len(K)) % 3)])
    with pytest.raises(InputError, match=r"must have people, but \[1\] have none"):
        train_grid([job(environment=2 * K)])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"invariance_kernel": "gaussian"}, "invariance_kernel must be one of"),
        ({"independence_kernel": "mmd"}, "independence_kernel must be one of"),
        ({"encoder": "deep"}, "encoder must be one of mlp, residual, linear, polynomial, but is 'deep'"),
        ({"decoder": "deep"}, "decoder must be one of polynomial, mlp"),
        ({"entropy": "renyi"}, "entropy must be one of gaussian, nearest_neighbour"),
        ({"schedule": "linear"}, "schedule must be one of constant, plateau, cosine"),
        ({"n_latent": 0}, "n_latent must be at least 1, but is 0"),
        ({"epochs": 0}, "epochs must be at least 1, but is 0"),
        ({"lambda_entropy": -1.0}, "lambda_entropy must not be negative, but is -1"),
        ({"units": "raw"}, "units must be one of standardised, whitened, centred"),
        ({"bounded": True, "stationary_split": True}, "has no bounds"),
        ({"penalty_delay": 0.9}, "penalty_delay must be between 0 and 0.5"),
        ({"learning_rate": 0.0}, "learning_rate must be positive, but is 0"),
    ],
)
def test_settings_out_of_range_end_in_one_message(change, message) -> None:
    with pytest.raises(InputError, match=message):
        AutoencoderSettings(**change)


def test_epochs_follow_from_the_number_of_environments() -> None:
    settings = AutoencoderSettings()
    assert settings.plan(2).epochs == 400
    assert settings.plan(3).epochs == 800
    assert replace(settings, epochs=7).plan(3).epochs == 7


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_where_none_is_ends_in_one_message() -> None:
    with pytest.raises(InputError, match="device 'cuda' was asked for, but torch sees 0 GPUs"):
        train_grid([job()], device="cuda")
