"""The objective of the autoencoder, term by term (Huang, Robinson & Locatello, 2026, arXiv 2602.19782).

    total =                    MSE(Z, Z^)                                            reconstruction
          + lambda_invariance    * mean over pairs e < f of MMD^2(W^e, W^f)          invariance
          + lambda_independence  * [ 2 HSIC(W^, V^) + sum_e HSIC(W^e, V^e) ]         independence
          + lambda_relevance     * MSE(D, tanh net(W^))                              relevance
          - lambda_entropy       * mean_e logdet( Cov_e[(V^, W^)] + 1e-6 I )         entropy

Symbols: Z (G, d, n) batch, n = E b rows sorted by environment, b of each; U = (V^, W^) (M, q + p, n); D (G, 1, n).
Every part is a vector (M,), one value per model, before its weight.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

from invarmr.nn.entropy import log_determinant, nearest_neighbour_entropy
from invarmr.nn.kernels import IndependenceKernel, InvarianceKernel, environment_hsic, mmd_squared
from invarmr.nn.networks import Architecture, decode, encode, predict_exposure

__all__ = ["ENTROPIES", "LossParts", "Objective", "Weights", "loss_parts", "total_loss"]

EntropyKind = Literal["gaussian", "nearest_neighbour"]
ENTROPIES: tuple[EntropyKind, ...] = get_args(EntropyKind)


@dataclass(frozen=True, kw_only=True)
class Objective:
    """Which form each term takes; the same for all models of a batch.

    Parameters
    ----------
    invariance_kernel, independence_kernel
        See `kernels`.
    scale_invariant
        Whether invariance and independence are measured on whitened parts, and entropy on columns of unit variance:
        otherwise W^ shrinks to please the first two, and then all columns grow to please the last.
    entropy
        `gaussian`: log-determinant; `nearest_neighbour`: Kozachenko-Leonenko, for bounded parts.
    """

    invariance_kernel: InvarianceKernel = "polynomial2"
    independence_kernel: IndependenceKernel = "polynomial2"
    scale_invariant: bool = False
    entropy: EntropyKind = "gaussian"


class Weights(NamedTuple):
    """The lambdas, (M,) each: one of each per model."""

    invariance: Tensor
    independence: Tensor
    relevance: Tensor
    entropy: Tensor


class LossParts(NamedTuple):
    """The terms before their weights, (M,) each."""

    reconstruction: Tensor
    invariance: Tensor
    independence: Tensor
    relevance: Tensor
    entropy: Tensor


def total_loss(parts: LossParts, weights: Weights) -> Tensor:
    """The objective, (M,): entropy is maximised, everything else minimised."""
    return (
        parts.reconstruction
        + weights.invariance * parts.invariance
        + weights.independence * parts.independence
        + weights.relevance * parts.relevance
        - weights.entropy * parts.entropy
    )


def loss_parts(
    objective: Objective,
    architecture: Architecture,
    theta: Mapping[str, Tensor],
    Z: Tensor,
    exposure: Tensor | None,
    n_environments: int,
) -> LossParts:
    """All terms of a batch whose rows are sorted by environment, equally many of each."""
    U = encode(architecture, theta, Z)
    V, W = torch.split_with_sizes(U, [architecture.n_confounded, architecture.n_latent], 1)
    sizes = (Z.shape[-1] // n_environments,) * n_environments
    return LossParts(
        reconstruction=reconstruction(Z, decode(architecture, theta, U)),
        invariance=mmd_squared(W, sizes, objective.invariance_kernel, scale_invariant=objective.scale_invariant),
        independence=environment_hsic(
            W, V, sizes, objective.independence_kernel, scale_invariant=objective.scale_invariant
        ),
        relevance=relevance(exposure, predict_exposure(theta, W)) if architecture.relevance else W.new_zeros(len(W)),
        entropy=entropy(_unit_spread(U) if objective.scale_invariant else U, n_environments, objective.entropy),
    )


def reconstruction(Z: Tensor, Z_hat: Tensor) -> Tensor:
    """MSE(Z, Z^) over entries, (M,); Z (G, d, n) serves M / G consecutive models each."""
    difference = Z_hat.reshape(Z.shape[0], -1, *Z.shape[1:]) - Z.unsqueeze(1)
    return difference.square().mean((-2, -1)).flatten()


def relevance(exposure: Tensor | None, predicted: Tensor) -> Tensor:
    """MSE(D, D^), (M,)."""
    if exposure is None:
        raise ValueError("an architecture with a relevance net needs the exposure")
    return reconstruction(exposure, predicted)


def _unit_spread(U: Tensor) -> Tensor:
    """The columns over their standard deviation in all environments together: entropy then cannot grow by scale."""
    return U / (U.var(-1, correction=0, keepdim=True) + 1e-12).sqrt()


def entropy(U: Tensor, n_environments: int, kind: EntropyKind) -> Tensor:
    """Mean over environments of the entropy of (V^, W^), (M,)."""
    by_environment = U.reshape(*U.shape[:2], n_environments, -1).movedim(-2, 1)
    estimate = log_determinant if kind == "gaussian" else nearest_neighbour_entropy
    return estimate(by_environment).mean(1)
