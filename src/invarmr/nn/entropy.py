"""Entropy of the learned parts, which the objective maximises: Gaussian form, or nearest neighbours.

Symbols: U (..., r, n) rows of (V^, W^) in one environment, r = q + p.

    Gaussian (up to constants, twice the entropy):  logdet( Cov(U) + 1e-6 I )
    Kozachenko-Leonenko (1987):  H = psi(n) - psi(k) + log c_r + (r / n) sum_i log rho_k(i),

rho_k(i) the distance of row i to its k-th nearest neighbour, c_r the volume of the unit ball.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["log_determinant", "nearest_neighbour_entropy"]

RIDGE = 1e-6
N_NEIGHBOURS = 3
MAX_ROWS = 256
"""Rows of an environment that the nearest-neighbour form uses in a batch: its cost is quadratic in them."""


def log_determinant(U: Tensor) -> Tensor:
    """logdet(Cov(U) + 1e-6 I), (...)."""
    centred = U - U.mean(-1, keepdim=True)
    covariance = centred @ centred.mT / (U.shape[-1] - 1)
    covariance = covariance + RIDGE * torch.eye(U.shape[-2], dtype=U.dtype, device=U.device)
    factor: Tensor = torch.linalg.cholesky_ex(covariance).L
    return 2 * factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)


def nearest_neighbour_entropy(U: Tensor, *, n_neighbours: int = N_NEIGHBOURS) -> Tensor:
    """Kozachenko-Leonenko estimate of the differential entropy of (at most the first 256) rows, (...), in nats."""
    rows = U[..., :MAX_ROWS].mT
    n, r = rows.shape[-2:]
    squared = (rows.unsqueeze(-2) - rows.unsqueeze(-3)).square().sum(-1)
    nearest = squared.topk(n_neighbours + 1, dim=-1, largest=False).values[..., -1]
    volume = r / 2 * math.log(math.pi) - math.lgamma(r / 2 + 1)
    digamma = torch.special.digamma(torch.tensor([float(n), float(n_neighbours)], dtype=torch.float64))
    constant = float(digamma[0] - digamma[1]) + volume
    return constant + r / 2 * nearest.clamp_min(1e-20).log().mean(-1)
