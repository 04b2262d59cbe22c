"""Every term of the objective against its formula: a sign or a scale that changes fails here."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from invarmr.nn.entropy import log_determinant, nearest_neighbour_entropy
from invarmr.nn.networks import Architecture, decode, encode, initial_parameters, predict_exposure, views
from invarmr.nn.objective import LossParts, Objective, Weights, loss_parts, total_loss

E, B, Q, P = 3, 20, 1, 2


@pytest.fixture(scope="module")
def batch():
    architecture = Architecture(n_instruments=5, n_latent=P, n_confounded=Q, width=8, relevance=True)
    theta = views(architecture, torch.stack([initial_parameters(architecture, seed) for seed in (0, 1)]))
    generator = torch.Generator().manual_seed(3)
    Z = torch.randn(1, 5, E * B, generator=generator)
    D = torch.randn(1, 1, E * B, generator=generator)
    parts = loss_parts(Objective(), architecture, theta, Z, D, E)
    U = encode(architecture, theta, Z)
    return architecture, theta, Z, D, U, parts


def by_environment(x: np.ndarray) -> list[np.ndarray]:
    return [x[e * B : (e + 1) * B] for e in range(E)]


def kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return (x @ y.T + 1) ** 2


def naive_hsic(w: np.ndarray, v: np.ndarray) -> float:
    n = len(w)
    H = np.eye(n) - 1 / n
    return float(np.trace(kernel(w, w) @ H @ kernel(v, v) @ H)) / n**2


def test_reconstruction_is_the_mean_squared_error(batch) -> None:
    architecture, theta, Z, _, U, parts = batch
    expected = ((decode(architecture, theta, U) - Z) ** 2).mean((1, 2))
    assert torch.allclose(parts.reconstruction, expected, rtol=1e-5)


def test_invariance_is_the_mean_over_pairs_of_mmd(batch) -> None:
    *_, U, parts = batch
    for model in range(2):
        W = by_environment(U[model, Q:].numpy().T.astype(float))
        pairs = [
            kernel(W[e], W[e]).mean() + kernel(W[f], W[f]).mean() - 2 * kernel(W[e], W[f]).mean()
            for e in range(E)
            for f in range(e + 1, E)
        ]
        assert float(parts.invariance[model]) == pytest.approx(np.mean(pairs), rel=1e-3)


def test_independence_is_twice_the_pooled_hsic_and_that_of_every_environment(batch) -> None:
    *_, U, parts = batch
    for model in range(2):
        V, W = (x.numpy().T.astype(float) for x in (U[model, :Q], U[model, Q:]))
        expected = 2 * naive_hsic(W, V) + sum(map(naive_hsic, by_environment(W), by_environment(V)))
        assert float(parts.independence[model]) == pytest.approx(expected, rel=1e-3)


def test_relevance_is_the_squared_error_of_the_exposure(batch) -> None:
    _, theta, _, D, U, parts = batch
    expected = ((predict_exposure(theta, U[:, Q:]) - D) ** 2).mean((1, 2))
    assert torch.allclose(parts.relevance, expected, rtol=1e-5)


def test_entropy_is_the_mean_log_determinant_of_both_parts(batch) -> None:
    *_, U, parts = batch
    for model in range(2):
        rows = by_environment(U[model].numpy().T.astype(float))
        expected = np.mean([np.linalg.slogdet(np.cov(x.T) + 1e-6 * np.eye(P + Q))[1] for x in rows])
        assert float(parts.entropy[model]) == pytest.approx(expected, rel=1e-4)


def test_the_scale_invariant_form_does_not_see_the_scale_of_the_features(batch) -> None:
    architecture, theta, Z, D, _, plain = batch
    larger = dict(theta)
    for name in ("encoder.3.weight", "encoder.3.bias"):
        larger[name] = 7 * theta[name]
    objective = Objective(scale_invariant=True)
    one, other = (loss_parts(objective, architecture, t, Z, D, E) for t in (theta, larger))
    for name in ("invariance", "independence", "entropy"):
        assert torch.allclose(getattr(one, name), getattr(other, name), rtol=1e-3, atol=1e-4)
        assert not torch.allclose(getattr(one, name), getattr(plain, name), rtol=1e-2)


def test_the_total_adds_every_term_with_its_lambda_and_takes_entropy_off() -> None:
    parts = LossParts(*(torch.tensor([float(value), 1.0]) for value in (2, 3, 5, 7, 11)))
    weights = Weights(*(torch.tensor([value, 0.0]) for value in (10.0, 100.0, 1_000.0, 10_000.0)))
    assert total_loss(parts, weights).tolist() == [2 + 30 + 500 + 7_000 - 110_000, 1.0]


def test_gradients_flow_to_every_parameter(batch) -> None:
    architecture, _, Z, D, *_ = batch
    flat = torch.stack([initial_parameters(architecture, seed) for seed in (0, 1)]).requires_grad_()
    parts = loss_parts(Objective(), architecture, views(architecture, flat), Z, D, E)
    weights = Weights(*(torch.tensor([1.0, 1.0]) for _ in range(4)))
    (gradient,) = torch.autograd.grad(total_loss(parts, weights).sum(), [flat])
    assert float((gradient != 0).float().mean()) > 0.9
    assert bool(gradient.isfinite().all())


def test_a_relevance_net_needs_the_exposure(batch) -> None:
    architecture, theta, Z, *_ = batch
    with pytest.raises(ValueError, match="needs the exposure"):
        loss_parts(Objective(), architecture, theta, Z, None, E)


def test_log_determinant_of_a_known_covariance() -> None:
    A = np.array([[2.0, 0.0], [1.0, 0.5]])
    x = torch.from_numpy(A @ np.random.default_rng(0).normal(size=(2, 200_000)))
    assert float(log_determinant(x)) == pytest.approx(2 * np.log(2.0 * 0.5), abs=0.02)
    assert float(log_determinant(10 * x) - log_determinant(x)) == pytest.approx(4 * np.log(10), rel=1e-4)


def test_nearest_neighbour_entropy_of_known_laws() -> None:
    generator = np.random.default_rng(0)
    uniform = [float(nearest_neighbour_entropy(torch.from_numpy(generator.uniform(size=(1, 256))))) for _ in range(20)]
    normal = [float(nearest_neighbour_entropy(torch.from_numpy(generator.normal(size=(2, 256))))) for _ in range(20)]
    assert np.mean(uniform) == pytest.approx(0.0, abs=0.05)
    assert np.mean(normal) == pytest.approx(np.log(2 * np.pi * np.e), abs=0.1)


def test_nearest_neighbour_entropy_is_the_double_loop_in_a_batch() -> None:
    x = torch.randn(3, 2, 30, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    from scipy.special import digamma

    for batch, rows in zip(nearest_neighbour_entropy(x, n_neighbours=2), x.numpy(), strict=True):
        third = [sorted(np.linalg.norm(rows[:, i] - rows[:, j]) for j in range(30))[2] for i in range(30)]
        assert float(batch) == pytest.approx(digamma(30) - digamma(2) + np.log(np.pi) + 2 * np.mean(np.log(third)))


def test_the_bounded_variant_uses_it(batch) -> None:
    architecture, theta, Z, D, *_ = batch
    bounded = Architecture(n_instruments=5, n_latent=P, n_confounded=Q, width=8, relevance=True, bounded=True)
    parts = loss_parts(Objective(entropy="nearest_neighbour"), bounded, theta, Z, D, E)
    U = encode(bounded, theta, Z)
    expected = torch.stack([nearest_neighbour_entropy(U[..., e * B : (e + 1) * B]) for e in range(E)]).mean(0)
    assert torch.allclose(parts.entropy, expected, rtol=1e-5)
    assert not torch.allclose(parts.entropy, loss_parts(Objective(), architecture, theta, Z, D, E).entropy)
