"""Explicit features of kernels: k(x, y) = phi(x)'phi(y), so that no n x n matrix is ever formed.

Symbols: x (..., p, n), p features of n rows; phi(x) (..., k, n).

Polynomial: (x'y + 1)^r = sum over monomials a of degree <= r of c_a x^a y^a with multinomial c_a: exact.
RBF: exp(-|x - y|^2 / (2 s^2)) = E cos(w'(x - y)), w ~ N(0, I / s^2): random Fourier features (Rahimi & Recht, 2007).
Distance: |z| = c_p E_u (2 / pi) int_0^inf (1 - cos(t u'z)) / t^2 dt, u uniform on the sphere: Fourier features on a
grid of t and of directions u, weighted by 1 / t^2 (Szekely, Rizzo & Bakirov, 2007, Annals of Statistics 35:2769).
"""

from __future__ import annotations

import math
from functools import cache
from itertools import combinations_with_replacement

import torch
from torch import Tensor

__all__ = ["distance_features", "median_distance", "monomials", "polynomial_features", "rbf_features", "whiten"]

RBF_SCALES = (0.5, 1.0, 2.0)
"""Bandwidths of the multi-scale RBF kernel, in units of the median distance."""
N_FREQUENCIES = 64
"""Random frequencies per bandwidth."""


def monomials(x: Tensor, degree: int) -> Tensor:
    """All monomials of the features up to a degree, the constant first: (..., p, n) to (..., k, n).

    Those of degree <= r are products of one of degree <= r - 1 with one of (1, x).
    """
    linear = torch.cat([torch.ones_like(x[..., :1, :]), x], dim=-2)
    out = linear
    for r in range(2, degree + 1):
        lower, last = _selections(x.shape[-2], r, x.dtype, x.device)
        out = (lower @ out) * (last @ linear)
    return out


def polynomial_features(x: Tensor, degree: int) -> Tensor:
    """Features of (x'y + 1)^degree without the constant, which no centred statistic sees."""
    return monomials(x, degree)[..., 1:, :] * _root_multiplicities(x.shape[-2], degree, x.dtype, x.device)


def rbf_features(x: Tensor, *, seed: int = 0) -> Tensor:
    """Random Fourier features of the mean of RBF kernels at half, once and twice the median distance.

    The frequencies depend on `seed` and the shape alone; the median distance is a constant for gradients.
    """
    p = x.shape[-2]
    frequencies = _normal_frequencies(p, seed, x.dtype, x.device)
    phase = frequencies @ (x / median_distance(x))
    return torch.cat([phase.cos(), phase.sin()], dim=-2) / math.sqrt(len(RBF_SCALES) * N_FREQUENCIES)


def median_distance(x: Tensor) -> Tensor:
    """Median heuristic (..., 1, 1): the median of |x_i - x_j| over 4 n pairs at fixed offsets, without gradient."""
    n = x.shape[-1]
    rows = x.detach()
    offsets = sorted({max(1, round(share * n)) for share in (0.11, 0.27, 0.38, 0.49)})
    distances = torch.cat([(rows - rows.roll(shift, -1)).square().sum(-2) for shift in offsets], dim=-1)
    return distances.median(-1).values.sqrt().clamp_min(1e-12)[..., None, None]


def distance_features(x: Tensor) -> Tensor:
    """Features whose kernel is, up to terms that centring removes, -|x - y| / 2; in units of the root mean variance.

    The small-t end of the integral is a linear kernel; the large-t end is cut.
    """
    p = x.shape[-2]
    scale = x.detach().var(-1, correction=0, keepdim=True).mean(-2, keepdim=True).sqrt().clamp_min(1e-12)
    x = (x - x.mean(-1, keepdim=True).detach()) / scale
    frequencies, weights, linear = _distance_grid(p, x.dtype, x.device)
    phase = frequencies @ x
    return torch.cat([linear * x, weights * phase.cos(), weights * phase.sin()], dim=-2)


def whiten(x: Tensor) -> Tensor:
    """The rows centred and multiplied so that their covariance is I: statistics of it do not depend on scale."""
    centred = x - x.mean(-1, keepdim=True)
    covariance = centred @ centred.mT / x.shape[-1]
    ridge = 1e-6 * covariance.diagonal(dim1=-2, dim2=-1).mean(-1)[..., None, None] + 1e-20
    unit = torch.eye(x.shape[-2], dtype=x.dtype, device=x.device)
    factor = torch.linalg.cholesky_ex(covariance + ridge * unit).L
    out: Tensor = torch.linalg.solve_triangular(factor, centred, upper=False)
    return out


@cache
def _exponents(p: int, degree: int) -> tuple[tuple[int, ...], ...]:
    """Monomials of degree <= r as sorted choices of r factors from (1, x_1, .., x_p)."""
    return tuple(combinations_with_replacement(range(p + 1), degree))


@cache
def _selections(p: int, degree: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    chosen, before = _exponents(p, degree), {factors: i for i, factors in enumerate(_exponents(p, degree - 1))}
    lower, last = torch.zeros(len(chosen), len(before)), torch.zeros(len(chosen), p + 1)
    for row, factors in enumerate(chosen):
        lower[row, before[factors[:-1]]] = 1
        last[row, factors[-1]] = 1
    return lower.to(device, dtype), last.to(device, dtype)


@cache
def _root_multiplicities(p: int, degree: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    counts = [
        math.factorial(degree) // math.prod(math.factorial(factors.count(i)) for i in range(p + 1))
        for factors in _exponents(p, degree)
    ]
    return torch.tensor(counts[1:], dtype=torch.float64).sqrt()[:, None].to(device, dtype)


@cache
def _normal_frequencies(p: int, seed: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    draws = torch.randn(len(RBF_SCALES), N_FREQUENCIES, p, generator=generator, dtype=torch.float64)
    scales = torch.tensor(RBF_SCALES, dtype=torch.float64)[:, None, None]
    return (draws / scales).reshape(-1, p).to(device, dtype)


_T_LOW, _T_HIGH, _N_T, _N_DIRECTIONS = 0.08, 40.0, 24, 8


@cache
def _distance_grid(p: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor, float]:
    """Frequencies t u (k, p), root weights (k, 1), and the factor of the linear part.

    |z| / 2 = (c_p / pi) E_u int (1 - cos(t u'z)) / t^2 dt, with c_p = 1 / E|u_1|; log-spaced cells of t of width
    log-step h weigh t h. Below T_LOW, 1 - cos = (t u'z)^2 / 2, which is (c_p T_LOW / (2 pi p)) |z|^2.
    """
    step = math.log(_T_HIGH / _T_LOW) / _N_T
    t = _T_LOW * torch.exp(step * (torch.arange(_N_T, dtype=torch.float64) + 0.5))
    directions = _sphere(p)
    c = math.sqrt(math.pi) * math.exp(math.lgamma((p + 1) / 2) - math.lgamma(p / 2))
    frequencies = (t[:, None, None] * directions).reshape(-1, p)
    weights = (c / math.pi * step / t / len(directions)).sqrt()[:, None].expand(-1, len(directions)).reshape(-1, 1)
    linear = math.sqrt(c * _T_LOW / (math.pi * p))
    return frequencies.to(device, dtype), weights.to(device, dtype), linear


def _sphere(p: int) -> Tensor:
    """Directions over the half sphere: p = 1 exact, p = 2 a regular fan, beyond fixed random orthogonal frames."""
    if p == 1:
        return torch.ones(1, 1, dtype=torch.float64)
    if p == 2:
        angle = math.pi * (torch.arange(_N_DIRECTIONS, dtype=torch.float64) + 0.5) / _N_DIRECTIONS
        return torch.stack([angle.cos(), angle.sin()], dim=-1)
    draws = torch.randn(_N_DIRECTIONS, p, p, generator=torch.Generator().manual_seed(p), dtype=torch.float64)
    frames: Tensor = torch.linalg.qr(draws).Q
    return frames.reshape(-1, p)
