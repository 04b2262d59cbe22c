"""Networks with a model axis against the modules of torch."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.func import functional_call, stack_module_state, vmap

from invarmr.nn.networks import (
    Architecture,
    decode,
    encode,
    initial_parameters,
    norm_relu,
    predict_exposure,
    views,
)

D, H, ROWS = 5, 8, 11


def stacked(architecture: Architecture, models: int) -> dict[str, torch.Tensor]:
    return views(architecture, torch.stack([initial_parameters(architecture, seed) for seed in range(models)]))


def module(theta: dict[str, torch.Tensor], model: int) -> nn.Sequential:
    """The encoder of one model as a user of torch would write it."""
    net = nn.Sequential(
        nn.Linear(D, H), nn.LayerNorm(H), nn.ReLU(), nn.Linear(H, H), nn.LayerNorm(H), nn.ReLU(), nn.Linear(H, 4)
    )
    with torch.no_grad():
        for position, layer in ((0, 1), (3, 2), (6, 3)):
            net[position].weight.copy_(theta[f"encoder.{layer}.weight"][model])
            net[position].bias.copy_(theta[f"encoder.{layer}.bias"][model, :, 0])
        for position, layer in ((1, 1), (4, 2)):
            net[position].weight.copy_(theta[f"encoder.{layer}.gain"][model, :, 0])
            net[position].bias.copy_(theta[f"encoder.{layer}.shift"][model, :, 0])
    return net


def test_the_encoder_is_linear_layernorm_relu_twice_then_linear() -> None:
    architecture = Architecture(n_instruments=D, n_latent=2, n_confounded=2, width=H)
    theta = stacked(architecture, 3)
    theta["encoder.1.gain"].add_(0.3), theta["encoder.2.shift"].sub_(0.2)
    Z = torch.randn(3, D, ROWS)
    modules = [module(theta, model) for model in range(3)]
    parameters, buffers = stack_module_state(modules)
    by_vmap = vmap(lambda p, b, x: functional_call(modules[0], (p, b), (x,)))(parameters, buffers, Z.mT)
    assert torch.allclose(encode(architecture, theta, Z), by_vmap.mT, atol=1e-5)


def test_models_that_share_data_get_the_same_as_with_copies_of_it() -> None:
    architecture = Architecture(n_instruments=D, n_latent=2, n_confounded=2, width=H)
    theta, Z = stacked(architecture, 4), torch.randn(2, D, ROWS)
    copies = Z.repeat_interleave(2, dim=0)
    assert torch.allclose(encode(architecture, theta, Z), encode(architecture, theta, copies), atol=1e-6)


def test_norm_relu_has_the_gradient_of_its_parts() -> None:
    inputs = [torch.randn(2, H, ROWS), torch.randn(2, H, 1), torch.randn(2, H, 1)]
    inputs = [x.double().requires_grad_() for x in inputs]
    assert torch.autograd.gradcheck(norm_relu, inputs)
    x, gain, shift = inputs
    normed = nn.functional.layer_norm(x.mT, (H,)).mT
    assert torch.allclose(norm_relu(x, gain, shift), (gain * normed + shift).relu(), atol=1e-9)


@pytest.mark.parametrize("degree", [1, 2, 3])
def test_the_polynomial_decoder_is_linear_in_all_monomials(degree) -> None:
    architecture = Architecture(n_instruments=D, n_latent=2, n_confounded=1, decoder_degree=degree)
    assert architecture.shapes["decoder.1.weight"] == (D, math.comb(3 + degree, 3) - 1)
    theta = stacked(architecture, 2)
    u = torch.randn(2, 3, ROWS)
    values = decode(architecture, theta, u)
    combos = [c for k in range(1, degree + 1) for c in torch.combinations(torch.arange(3), k, with_replacement=True)]
    features = torch.stack([u[:, list(c)].prod(1) for c in combos], dim=1)
    design = torch.cat([torch.ones(2, 1, ROWS), features], dim=1).mT
    residual = values.mT - design @ torch.linalg.lstsq(design, values.mT).solution if len(combos) + 1 < ROWS else 0
    assert float(torch.as_tensor(residual).abs().max()) < 1e-4


def test_the_other_networks() -> None:
    architecture = Architecture(
        n_instruments=D, n_latent=2, n_confounded=2, decoder="mlp", encoder="polynomial", width=H, relevance=True
    )
    theta = stacked(architecture, 2)
    Z, U = torch.randn(2, D, ROWS), torch.randn(2, 4, ROWS)
    assert architecture.shapes["encoder.1.weight"] == (4, 20)
    assert encode(architecture, theta, Z).shape == (2, 4, ROWS)
    w = {name: value[1] for name, value in theta.items()}
    hidden = (w["decoder.1.weight"] @ U[1] + w["decoder.1.bias"]).relu()
    hidden = (w["decoder.2.weight"] @ hidden + w["decoder.2.bias"]).relu()
    assert torch.allclose(
        decode(architecture, theta, U)[1], w["decoder.3.weight"] @ hidden + w["decoder.3.bias"], atol=1e-6
    )
    hidden = (w["relevance.1.weight"] @ U[1, 2:] + w["relevance.1.bias"]).tanh()
    expected = w["relevance.2.weight"] @ hidden + w["relevance.2.bias"]
    assert torch.allclose(predict_exposure(theta, U[:, 2:])[1], expected, atol=1e-6)
    bounded = Architecture(n_instruments=D, n_latent=2, n_confounded=2, encoder="linear", bounded=True)
    values = encode(bounded, stacked(bounded, 2), 100 * Z)
    assert 0 <= float(values.min()) < float(values.max()) <= 1


def test_starts_follow_from_the_seed_and_stay_within_torchs_bounds() -> None:
    architecture = Architecture(n_instruments=D, n_latent=2, n_confounded=2, width=H)
    first, again, other = (initial_parameters(architecture, seed) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    theta = views(architecture, first[None])
    assert float(theta["encoder.3.bias"].abs().max()) <= 1 / math.sqrt(H)
    assert float(theta["encoder.1.weight"].abs().max()) <= 1 / math.sqrt(D)
    assert float(theta["encoder.1.weight"].abs().max()) > 0.8 / math.sqrt(D)
    assert theta["encoder.1.gain"].unique().tolist() == [1.0]
