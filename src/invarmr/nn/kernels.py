"""Invariance (MMD) and independence (HSIC) from explicit features, in O(n), with any leading axes.

Symbols: W (..., p, n) rows sorted by environment, n = sum_e n_e; V (..., q, n); phi, psi features (`feature_maps`);
m_e mean of phi over environment e.

    MMD^2(e, f) = |m_e - m_f|^2                           biased (V-statistic)
    HSIC(W, V)  = |Cov(phi(W), psi(V))|_F^2               biased, = n^-2 tr(K H L H)

Unbiased forms leave the diagonal of K and L out (Gretton et al., 2012, JMLR 13:723; Song et al., 2012, JMLR 13:1393).
`mean_var` and `orthogonality` are the same statistics of other features: means and covariances; the values themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor

from invarmr.errors import InputError
from invarmr.nn.feature_maps import distance_features, polynomial_features, rbf_features, whiten

__all__ = [
    "INDEPENDENCE_KERNELS",
    "INVARIANCE_KERNELS",
    "IndependenceKernel",
    "InvarianceKernel",
    "check_kernels",
    "environment_hsic",
    "hsic",
    "mmd_squared",
]

InvarianceKernel = Literal["polynomial2", "polynomial3", "mean_var", "rbf"]
IndependenceKernel = Literal["polynomial2", "polynomial3", "rbf", "orthogonality", "distance_correlation"]
INVARIANCE_KERNELS: tuple[InvarianceKernel, ...] = get_args(InvarianceKernel)
INDEPENDENCE_KERNELS: tuple[IndependenceKernel, ...] = get_args(IndependenceKernel)


def check_kernels(invariance: str, independence: str) -> None:
    """Say which kernels there are where an unknown one is asked for."""
    for name, value, known in (
        ("invariance_kernel", invariance, INVARIANCE_KERNELS),
        ("independence_kernel", independence, INDEPENDENCE_KERNELS),
    ):
        if value not in known:
            raise InputError(f"{name} must be one of {', '.join(known)}, but is {value!r}.")


def mmd_squared(
    W: Tensor,
    sizes: Sequence[int],
    kernel: InvarianceKernel = "polynomial2",
    *,
    unbiased: bool = False,
    scale_invariant: bool = False,
) -> Tensor:
    """Mean over pairs of environments of MMD^2: (..., p, n) to (...).

    Parameters
    ----------
    W
        Rows sorted by environment.
    sizes
        Rows of each environment.
    kernel
        `mean_var` is the mean squared difference of means plus that of covariance entries.
    unbiased
        U-statistic: may be negative (no such form of `mean_var`).
    scale_invariant
        Of W whitened over all environments together.
    """
    W = whiten(W) if scale_invariant else W
    if kernel == "mean_var":
        return _mean_var(W, sizes)
    phi = _features(W, kernel)
    m = torch.stack([part.mean(-1) for part in torch.split_with_sizes(phi, sizes, -1)], dim=-1)
    distances = _mean_over_pairs(m)
    if unbiased:  # |m_e|^2 holds the diagonal: n |m|^2 - mean |phi_i|^2 over n - 1 in its place
        own = torch.stack([part.square().sum(-2).mean(-1) for part in torch.split_with_sizes(phi, sizes, -1)], dim=-1)
        n = torch.tensor(list(sizes), dtype=W.dtype, device=W.device)
        distances = distances + ((m.square().sum(-2) - own) / (n - 1)).mean(-1) * 2
    return distances


def hsic(
    W: Tensor,
    V: Tensor,
    kernel: IndependenceKernel = "polynomial2",
    *,
    unbiased: bool = False,
    scale_invariant: bool = False,
) -> Tensor:
    """HSIC of the rows of W (..., p, n) and V (..., q, n): (...); squared distance correlation for that kernel.

    `orthogonality` is the sum of squared covariances of the entries of W with those of V.
    """
    phi, psi = _independence_features(W, V, kernel, scale_invariant)
    if unbiased:
        return _unbiased_hsic(phi, psi)
    return _normalised(phi, psi) if kernel == "distance_correlation" else _squared_covariance(phi, psi)


def environment_hsic(
    W: Tensor,
    V: Tensor,
    sizes: Sequence[int],
    kernel: IndependenceKernel = "polynomial2",
    *,
    scale_invariant: bool = False,
) -> Tensor:
    """2 HSIC(W, V) of all rows + sum over environments of HSIC(W^e, V^e): (...).

    Data-dependent constants of the kernel (median distance, whitening) are those of all rows.
    """
    phi, psi = _independence_features(W, V, kernel, scale_invariant)
    statistic = _normalised if kernel == "distance_correlation" else _squared_covariance
    total = 2 * statistic(phi, psi)
    for phi_e, psi_e in zip(
        torch.split_with_sizes(phi, sizes, -1), torch.split_with_sizes(psi, sizes, -1), strict=True
    ):
        total = total + statistic(phi_e, psi_e)
    return total


def _features(x: Tensor, kernel: str) -> Tensor:
    if kernel == "polynomial2":
        return polynomial_features(x, 2)
    if kernel == "polynomial3":
        return polynomial_features(x, 3)
    if kernel == "rbf":
        return rbf_features(x)
    return distance_features(x) if kernel == "distance_correlation" else x


def _independence_features(W: Tensor, V: Tensor, kernel: str, scale_invariant: bool) -> tuple[Tensor, Tensor]:
    if scale_invariant:
        W, V = whiten(W), whiten(V)
    return _features(W, kernel), _features(V, kernel)


def _mean_over_pairs(m: Tensor) -> Tensor:
    """Mean over pairs e < f of |m_e - m_f|^2, m (..., k, E): 2 / (E - 1) sum_e |m_e - mean m|^2."""
    return (m - m.mean(-1, keepdim=True)).square().sum((-2, -1)) * (2 / (m.shape[-1] - 1))


def _mean_var(W: Tensor, sizes: Sequence[int]) -> Tensor:
    p = W.shape[-2]
    means, covariances = [], []
    for part in torch.split_with_sizes(W, sizes, -1):
        mean = part.mean(-1, keepdim=True)
        centred = part - mean
        means.append(mean.squeeze(-1))
        covariances.append((centred @ centred.mT / (part.shape[-1] - 1)).flatten(-2))
    return _mean_over_pairs(torch.stack(means, -1)) / p + _mean_over_pairs(torch.stack(covariances, -1)) / p**2


def _squared_covariance(phi: Tensor, psi: Tensor) -> Tensor:
    centred = phi - phi.mean(-1, keepdim=True)
    return (centred @ psi.mT / phi.shape[-1]).square().sum((-2, -1))


def _normalised(phi: Tensor, psi: Tensor) -> Tensor:
    own = _squared_covariance(phi, phi) * _squared_covariance(psi, psi)
    return _squared_covariance(phi, psi) / own.clamp_min(1e-24).sqrt()


def _unbiased_hsic(phi: Tensor, psi: Tensor) -> Tensor:
    """[tr(K~L~) + 1'K~1 1'L~1 / ((n-1)(n-2)) - 2 / (n-2) 1'K~L~1] / (n (n-3)), K~ = K without its diagonal."""
    n = phi.shape[-1]
    phi, psi = phi - phi.mean(-1, keepdim=True), psi - psi.mean(-1, keepdim=True)  # no centred statistic sees it
    k, ell = phi.square().sum(-2), psi.square().sum(-2)
    K1 = (phi * phi.sum(-1, keepdim=True)).sum(-2) - k
    L1 = (psi * psi.sum(-1, keepdim=True)).sum(-2) - ell
    trace = (phi @ psi.mT).square().sum((-2, -1)) - (k * ell).sum(-1)
    both = K1.sum(-1) * L1.sum(-1) / ((n - 1) * (n - 2))
    return (trace + both - 2 / (n - 2) * (K1 * L1).sum(-1)) / (n * (n - 3))
