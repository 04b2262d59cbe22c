"""Encoders and decoders of many models at once: every parameter and activation carries a leading model axis.

Symbols: M models, d instruments, q and p columns of V^ and W^, h hidden width, n rows; Z (M, d, n), U = (V^, W^)
(M, q + p, n), V^ first. The parameters of a model are one row of a flat tensor (M, P), so that the optimiser, the
clipping of gradients and a checkpoint each handle one tensor.

Z may come as (G, d, n) with M = G L: each data set then serves L consecutive models, and the first layer of these is
one product.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from invarmr.nn.feature_maps import monomials

__all__ = [
    "DECODERS",
    "ENCODERS",
    "Architecture",
    "decode",
    "encode",
    "initial_parameters",
    "predict_exposure",
    "views",
    "warm_parameters",
]

EncoderKind = Literal["mlp", "residual", "linear", "polynomial"]
DecoderKind = Literal["polynomial", "mlp"]
ENCODERS: tuple[EncoderKind, ...] = get_args(EncoderKind)
DECODERS: tuple[DecoderKind, ...] = get_args(DecoderKind)
RELEVANCE_WIDTH = 16
"""Hidden units of the tanh net that predicts the exposure from W^."""
NORM_EPSILON = 1e-5


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """Shapes of a model: models of one architecture train as one batch.

    Parameters
    ----------
    n_instruments, n_latent, n_confounded
        d, p^ and q^.
    encoder
        `mlp`: (Linear - LayerNorm - ReLU) x 2 - Linear; `residual`: the same plus a linear map; `linear`;
        `polynomial`: all monomials of Z up to `encoder_degree`, then linear.
    decoder
        `polynomial`: all monomials of (V^, W^) up to `decoder_degree`, then linear; `mlp`: two hidden ReLU layers.
    width
        Hidden units of each layer.
    bounded
        Whether (V^, W^) pass through a sigmoid.
    relevance
        Whether there is a small tanh net from W^ to the exposure.
    """

    n_instruments: int
    n_latent: int
    n_confounded: int
    encoder: EncoderKind = "mlp"
    encoder_degree: int = 2
    decoder: DecoderKind = "polynomial"
    decoder_degree: int = 1
    width: int = 32
    bounded: bool = False
    relevance: bool = False

    @property
    def shapes(self) -> dict[str, tuple[int, int]]:
        """Name and shape of every parameter of one model, in the order of the flat tensor."""
        r = self.n_latent + self.n_confounded
        out = dict(self._encoder_shapes(r))
        if self.decoder == "polynomial":
            out |= _linear("decoder.1", math.comb(r + self.decoder_degree, r) - 1, self.n_instruments)
        else:
            out |= _linear("decoder.1", r, self.width) | _linear("decoder.2", self.width, self.width)
            out |= _linear("decoder.3", self.width, self.n_instruments)
        if self.relevance:
            out |= _linear("relevance.1", self.n_latent, RELEVANCE_WIDTH) | _linear("relevance.2", RELEVANCE_WIDTH, 1)
        return out

    @property
    def n_parameters(self) -> int:
        """Length P of the flat tensor."""
        return sum(rows * columns for rows, columns in self.shapes.values())

    def _encoder_shapes(self, r: int) -> Iterator[tuple[str, tuple[int, int]]]:
        d, h = self.n_instruments, self.width
        if self.encoder == "linear":
            yield from _linear("encoder.1", d, r).items()
        elif self.encoder == "polynomial":
            yield from _linear("encoder.1", math.comb(d + self.encoder_degree, d) - 1, r).items()
        else:
            for layer, width in (("encoder.1", d), ("encoder.2", h)):
                yield from _linear(layer, width, h).items()
                yield f"{layer}.gain", (h, 1)
                yield f"{layer}.shift", (h, 1)
            yield from _linear("encoder.3", h, r).items()
            if self.encoder == "residual":
                yield "encoder.linear.weight", (r, d)


def _linear(name: str, inputs: int, outputs: int) -> dict[str, tuple[int, int]]:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs, 1)}


def initial_parameters(architecture: Architecture, seed: int) -> Tensor:
    """(P,) start of one model: uniform within 1 / sqrt(inputs), as torch's Linear; gains 1, shifts 0."""
    generator = torch.Generator().manual_seed(seed)
    parts, bound = [], 1.0
    for name, shape in architecture.shapes.items():
        if name.endswith(".gain"):
            parts.append(torch.ones(shape))
        elif name.endswith(".shift"):
            parts.append(torch.zeros(shape))
        else:
            bound = 1 / math.sqrt(shape[1]) if name.endswith(".weight") else bound  # a bias follows its weight
            parts.append((2 * torch.rand(shape, generator=generator) - 1) * bound)
    return torch.cat([part.flatten() for part in parts])


def warm_parameters(architecture: Architecture, seed: int, directions: Tensor) -> Tensor:
    """(P,) start of a `linear` or `residual` encoder that gives U = directions Z, directions (q + p, d)."""
    theta = {name: part[0] for name, part in views(architecture, initial_parameters(architecture, seed)[None]).items()}
    residual = architecture.encoder == "residual"
    theta["encoder.linear.weight" if residual else "encoder.1.weight"] = directions
    for name in ("encoder.3.weight", "encoder.3.bias") if residual else ("encoder.1.bias",):
        theta[name] = torch.zeros_like(theta[name])
    return torch.cat([part.flatten() for part in theta.values()])


def views(architecture: Architecture, flat: Tensor) -> dict[str, Tensor]:
    """The flat parameters (M, P) as named views (M, rows, columns)."""
    shapes = architecture.shapes
    parts = torch.split_with_sizes(flat, [rows * columns for rows, columns in shapes.values()], 1)
    return {name: part.reshape(len(flat), *shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)}


def encode(architecture: Architecture, theta: Mapping[str, Tensor], Z: Tensor) -> Tensor:
    """U = (V^, W^), (M, q + p, n), of Z (M, d, n) or (G, d, n)."""
    if architecture.encoder in ("mlp", "residual"):
        x = norm_relu(_first(theta, "encoder.1", Z), theta["encoder.1.gain"], theta["encoder.1.shift"])
        x = norm_relu(_affine(theta, "encoder.2", x), theta["encoder.2.gain"], theta["encoder.2.shift"])
        U = _affine(theta, "encoder.3", x)
        if architecture.encoder == "residual":
            U = U + _shared(theta["encoder.linear.weight"], Z)
    elif architecture.encoder == "polynomial":
        U = _first(theta, "encoder.1", monomials(Z, architecture.encoder_degree)[:, 1:])
    else:
        U = _first(theta, "encoder.1", Z)
    return U.sigmoid() if architecture.bounded else U


def decode(architecture: Architecture, theta: Mapping[str, Tensor], U: Tensor) -> Tensor:
    """Z^ (M, d, n) of U (M, q + p, n)."""
    if architecture.decoder == "polynomial":
        return _affine(theta, "decoder.1", monomials(U, architecture.decoder_degree)[:, 1:])
    x = _affine(theta, "decoder.1", U).relu()
    return _affine(theta, "decoder.3", _affine(theta, "decoder.2", x).relu())


def predict_exposure(theta: Mapping[str, Tensor], W: Tensor) -> Tensor:
    """D^ (M, 1, n), the small tanh net of W^ (M, p, n)."""
    return _affine(theta, "relevance.2", _affine(theta, "relevance.1", W).tanh())


def _affine(theta: Mapping[str, Tensor], name: str, x: Tensor) -> Tensor:
    return torch.baddbmm(theta[f"{name}.bias"], theta[f"{name}.weight"], x)


def _first(theta: Mapping[str, Tensor], name: str, Z: Tensor) -> Tensor:
    """The affine map of data that L consecutive models share: (G, L h, d) (G, d, n) -> (M, h, n)."""
    weight, bias = theta[f"{name}.weight"], theta[f"{name}.bias"]
    G, models, outputs = Z.shape[0], weight.shape[0], weight.shape[1]
    shared = (G, models // G * outputs, -1)
    return torch.baddbmm(bias.reshape(shared), weight.reshape(shared), Z).reshape(models, outputs, -1)


def _shared(weight: Tensor, Z: Tensor) -> Tensor:
    """The product of data that L consecutive models share: (G, L r, d) (G, d, n) -> (M, r, n)."""
    models, outputs = weight.shape[:2]
    return torch.bmm(weight.reshape(Z.shape[0], models // Z.shape[0] * outputs, -1), Z).reshape(models, outputs, -1)


def norm_relu(x: Tensor, gain: Tensor, shift: Tensor) -> Tensor:
    """ReLU(gain * LayerNorm(x) + shift) over the features of every row, forward and backward in place."""
    out: Tensor = _NormRelu.apply(x, gain, shift)  # type: ignore[no-untyped-call]
    return out


class _NormRelu(torch.autograd.Function):
    """LayerNorm and ReLU in one function: fewer passes over memory than the two of torch.

    y = max(0, g x^ + c), x^ = (x - mean) r, r = (var + epsilon)^-1/2 over the h features;
    dx = r (t - mean t - x^ mean(t x^)), t = g dy 1[y > 0].
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, gain: Tensor, shift: Tensor) -> Tensor:  # noqa: ANN401
        normed = x - x.mean(-2, keepdim=True)
        r = (normed * normed).mean(-2, keepdim=True).add_(NORM_EPSILON).rsqrt_()
        normed.mul_(r)
        y = torch.addcmul(shift, normed, gain).relu_()
        ctx.save_for_backward(normed, r, gain, y)
        return y

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # noqa: ANN401
        normed, r, gain, y = ctx.saved_tensors
        t = torch.ops.aten.threshold_backward(dy, y, 0)
        product = t * normed
        dgain, dshift = product.sum(-1, keepdim=True), t.sum(-1, keepdim=True)
        t.mul_(gain)
        slope = product.mul_(gain).mean(-2, keepdim=True)
        t.sub_(t.mean(-2, keepdim=True)).addcmul_(normed, slope, value=-1).mul_(r)
        return t, dgain, dshift
