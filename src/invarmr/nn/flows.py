"""Normalising flows for latent instruments: invertible maps, laws of their values, and maximum likelihood.

Symbols: z (n, d) rows of one environment e; u = T(z) features, J = du/dz; L (d, d), (W, V) = L u with p and q columns;
E environments. A flow has the density

    log p(z | e) = log |det J| + log |det L| + log p(W) + log p(V | e),

where p(W) knows no environment. Rows come as one tensor per environment, so no row carries a label.

Maps. `LeakyMap`: layers z -> bend(C z + b), bend(h) = h - k s softplus(-h / s), k = exp(a) - 1: a line of slope exp(a)
on the left and 1 on the right, joined over a width s (LeakyReLU for s -> 0). The slope lies between exp(a) and 1, so
the bend increases and the layer is invertible wherever C is. `SplineMap`: autoregressive
rational-quadratic splines (Durkan et al., 2019, arXiv 1906.04032) between fixed rotations.

Laws. `GaussianLaw`: normal in every environment, with p = 0 no more than that; with p > 0, W ~ N(0, I) and V ~ N(mu_e,
Sigma_e), independent. `SplineLaw`: W and the standardised V through splines, those of V shared by the environments or
not.
Means and covariances are not searched for but set to their maximum likelihood values, as functions of the map.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import final

import torch
import zuko
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["ComposedMap", "Flow", "GaussianLaw", "InvertibleMap", "Law", "LeakyMap", "SplineLaw", "SplineMap"]

_LOG_2PI = math.log(2 * math.pi)


class InvertibleMap(nn.Module, ABC):
    """An invertible map of rows (n, d)."""

    @abstractmethod
    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Values u (n, d) and log |det du/dz| (n,)."""

    @abstractmethod
    def inverse(self, u: Tensor) -> Tensor:
        """Rows z (n, d) whose values are u."""


@final
class LeakyMap(InvertibleMap):
    """Layers of an invertible matrix and one bend per column.

    Parameters
    ----------
    d, n_layers
        Columns, and layers.
    generator
        Of the random start: orthogonal matrices, bends in random places, of random sign and strength.
    width
        s at the start.
    """

    def __init__(self, d: int, n_layers: int, generator: torch.Generator, width: float = 1.0) -> None:
        super().__init__()
        draw = [torch.randn(d + 2, d, generator=generator, dtype=torch.float64) for _ in range(n_layers)]
        self.C = nn.ParameterList([nn.Parameter(torch.linalg.qr(x[:d])[0].contiguous()) for x in draw])
        self.b = nn.ParameterList([nn.Parameter(x[d] / 2) for x in draw])
        self.a = nn.ParameterList([nn.Parameter(x[d + 1] / 2) for x in draw])
        self.log_s = nn.ParameterList([nn.Parameter(torch.zeros_like(x[d])) for x in draw])
        self.set_width(width)

    def set_width(self, width: float) -> None:
        """Give every bend the width s."""
        for log_s in self.log_s:
            log_s.data.fill_(math.log(width))

    def append(self, other: LeakyMap) -> None:
        """Add the layers of another map after these."""
        for mine, theirs in ((self.C, other.C), (self.b, other.b), (self.a, other.a), (self.log_s, other.log_s)):
            mine.extend(theirs)

    @torch.no_grad()
    def redraw(self, layer: int, unit: int, generator: torch.Generator) -> None:
        """Draw one bend anew: its direction, place and strength."""
        d = self.C[layer].shape[0]
        x = torch.randn(d + 2, generator=generator, dtype=torch.float64).to(self.C[layer])
        self.C[layer][unit] = x[:d] / x[:d].norm()
        self.b[layer][unit] = x[d] / 2
        self.a[layer][unit] = x[d + 1] / 2

    def free_width(self, free: bool) -> None:
        """Whether the widths are searched for."""
        for log_s in self.log_s:
            log_s.requires_grad_(free)

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Values, and log |det|."""
        log_det = z.new_zeros(len(z))
        for C, b, a, log_s in zip(self.C, self.b, self.a, self.log_s, strict=True):
            h, s, k = F.linear(z, C, b), log_s.exp(), torch.expm1(a)
            z = h - k * s * F.softplus(-h / s)
            log_det = log_det + torch.linalg.slogdet(C)[1] + torch.log1p(k * torch.sigmoid(-h / s)).sum(dim=1)
        return z, log_det

    @torch.no_grad()
    def inverse(self, u: Tensor) -> Tensor:
        """Layer by layer, by bisection: bend(h) lies between the sharp bend of h and that less k s log 2."""
        for C, b, a, log_s in reversed(list(zip(self.C, self.b, self.a, self.log_s, strict=True))):
            s, k = log_s.exp(), torch.expm1(a)
            top = u + k * s * math.log(2)
            ends = torch.stack([u, u * torch.exp(-a), top, top * torch.exp(-a)])
            low, high = ends.amin(dim=0) - 1e-9, ends.amax(dim=0) + 1e-9
            for _ in range(_BISECTIONS):
                h = (low + high) / 2
                above = h - k * s * F.softplus(-h / s) > u
                low, high = torch.where(above, low, h), torch.where(above, h, high)
            u = torch.linalg.solve(C, ((low + high) / 2 - b).T).T
        return u


_BISECTIONS = 80


@final
class SplineMap(InvertibleMap):
    """Autoregressive rational-quadratic splines, each after a fixed rotation.

    Parameters
    ----------
    d, n_layers
        Columns, and transforms.
    seed
        Of the rotations and of the networks.
    """

    def __init__(self, d: int, n_layers: int, seed: int, hidden: int = 32, bins: int = 8) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            rotations = [torch.linalg.qr(torch.randn(d, d, dtype=torch.float64))[0] for _ in range(n_layers)]
            self.splines = nn.ModuleList([_spline(d, 0, hidden, bins) for _ in range(n_layers)])
        for layer, rotation in enumerate(rotations):
            self.register_buffer(f"rotation_{layer}", rotation)

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Values, and log |det|."""
        log_det = z.new_zeros(len(z))
        for layer, spline in enumerate(self.splines):
            z, change = spline().transform.call_and_ladj(z @ self.get_buffer(f"rotation_{layer}"))
            log_det = log_det + change
        return z, log_det

    @torch.no_grad()
    def inverse(self, u: Tensor) -> Tensor:
        """Spline by spline, backwards."""
        for layer in reversed(range(len(self.splines))):
            u = self.splines[layer]().transform.inv(u) @ self.get_buffer(f"rotation_{layer}").T
        return u


@final
class ComposedMap(InvertibleMap):
    """One map after another."""

    def __init__(self, first: InvertibleMap, second: InvertibleMap) -> None:
        super().__init__()
        self.first = first
        self.second = second

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Values, and log |det|."""
        h, log_det = self.first(z)
        u, change = self.second(h)
        return u, log_det + change

    @torch.no_grad()
    def inverse(self, u: Tensor) -> Tensor:
        """The second undone, then the first."""
        return self.first.inverse(self.second.inverse(u))


def _spline(columns: int, context: int, hidden: int, bins: int) -> nn.Module:
    """One autoregressive spline of a standard normal, begun near the identity: all its last weights are small."""
    flow: nn.Module = zuko.flows.NSF(columns, context, transforms=1, bins=bins, hidden_features=(hidden, hidden))
    linear = [
        module for module in flow.modules() if isinstance(module, nn.Linear)
    ]  # none where one column has no context
    with torch.no_grad():
        for parameter in (linear[-1] if linear else flow).parameters():
            parameter.mul_(_NEAR_IDENTITY)
    return flow.double()


_NEAR_IDENTITY = 0.01


class Law(nn.Module, ABC):
    """Law of features in every environment."""

    @abstractmethod
    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Log p(u | e) (n_e,) for the rows (n_e, d) of every environment.

        In training mode means and covariances are those of these rows, and kept; otherwise the kept ones serve.
        """


@final
class GaussianLaw(Law):
    """Normal features: W ~ N(0, I) everywhere and V ~ N(mu_e, Sigma_e), independent, (W, V) = L u + shift.

    With p = 0 there is no W, and L is the identity.
    """

    def __init__(
        self, d: int, p: int, n_environments: int, start: Tensor | None = None, centre: Tensor | None = None
    ) -> None:
        super().__init__()
        self.p = p
        self.rotation = _Rotation(d, start, centre) if p else None
        self.standard = _Standard(d - p, n_environments)

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Log p(u | e) of every row."""
        if self.rotation is None:
            split, log_det = list(features), features[0].new_zeros(())
        else:
            split, log_det = self.rotation(features)
        standard, log_dets = self.standard([u[:, self.p :] for u in split])
        return [
            log_det + change + _normal(u[:, : self.p]) + _normal(v)
            for u, v, change in zip(split, standard, log_dets, strict=True)
        ]


@final
class SplineLaw(Law):
    """W a spline of a standard normal; V, standardised in every environment, likewise.

    Parameters
    ----------
    shared
        True: the spline of the standardised V knows no environment, so environments differ in location and scale only.
    """

    def __init__(
        self,
        d: int,
        p: int,
        n_environments: int,
        start: Tensor | None = None,
        centre: Tensor | None = None,
        *,
        shared: bool,
        seed: int,
        hidden: int = 32,
        bins: int = 8,
    ) -> None:
        super().__init__()
        self.p = p
        self.rotation = _Rotation(d, start, centre)
        self.standard = _Standard(d - p, n_environments)
        self.context = 0 if shared else n_environments
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.valid = _spline(p, 0, hidden, bins)
            self.confounded = _spline(d - p, self.context, hidden, bins)

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Log p(u | e) of every row."""
        split, log_det = self.rotation(features)
        standard, log_dets = self.standard([u[:, self.p :] for u in split])
        out = []
        for e, (u, v, change) in enumerate(zip(split, standard, log_dets, strict=True)):
            label = F.one_hot(torch.tensor(e, device=u.device), self.context).to(u) if self.context else None
            confounded = self.confounded(label).log_prob(v)
            out.append(log_det + change + self.valid().log_prob(u[:, : self.p]) + confounded)
        return out


class _Rotation(nn.Module):
    """(W, V) = L u + shift, with log |det L|; begun at L = start' (d, d) and L centre + shift = 0."""

    def __init__(self, d: int, start: Tensor | None, centre: Tensor | None) -> None:
        super().__init__()
        L = torch.eye(d, dtype=torch.float64) if start is None else start.T.clone().contiguous()
        self.L = nn.Parameter(L)
        self.shift = nn.Parameter(torch.zeros(d, dtype=torch.float64) if centre is None else -(L @ centre))

    def forward(self, features: Sequence[Tensor]) -> tuple[list[Tensor], Tensor]:
        log_det: Tensor = torch.linalg.slogdet(self.L)[1]
        return [F.linear(u, self.L, self.shift) for u in features], log_det


class _Standard(nn.Module):
    """Rows made mean 0 and covariance I in every environment; the maximum likelihood values in training mode."""

    def __init__(self, columns: int, n_environments: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(n_environments, columns, dtype=torch.float64))
        self.register_buffer("factor", torch.eye(columns, dtype=torch.float64).repeat(n_environments, 1, 1))

    def forward(self, rows: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        standard, log_dets = [], []
        for e, v in enumerate(rows):
            if self.training:
                mean = v.mean(dim=0)
                factor = torch.linalg.cholesky((v - mean).T @ (v - mean) / len(v))
                self.get_buffer("mean")[e] = mean.detach()
                self.get_buffer("factor")[e] = factor.detach()
            else:
                mean, factor = self.get_buffer("mean")[e], self.get_buffer("factor")[e]
            standard.append(torch.linalg.solve_triangular(factor, (v - mean).T, upper=False).T)
            log_dets.append(-torch.log(factor.diagonal()).sum())
        return standard, log_dets


def _normal(x: Tensor) -> Tensor:
    return -0.5 * (x.square() + _LOG_2PI).sum(dim=1)


@final
class Flow(nn.Module):
    """A map and the law of its values."""

    def __init__(self, map: InvertibleMap, law: Law) -> None:
        super().__init__()
        self.map = map
        self.law = law

    def forward(self, rows: Sequence[Tensor]) -> list[Tensor]:
        """Log p(z | e) (n_e,) for the rows (n_e, d) of every environment."""
        sizes = [len(z) for z in rows]
        u, log_det = self.map(torch.cat(list(rows)))
        laws = self.law(u.split(sizes))
        return [law + change for law, change in zip(laws, log_det.split(sizes), strict=True)]

    @torch.no_grad()
    def likelihood(self, rows: Sequence[Tensor]) -> list[Tensor]:
        """The same for people not learned from: nothing is refitted."""
        mode = self.training
        out = self.eval()(rows)
        self.train(mode)
        return [x.detach() for x in out]
