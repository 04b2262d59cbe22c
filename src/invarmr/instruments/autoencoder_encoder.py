"""A trained encoder as numpy arrays: applying it needs no torch.

Symbols: Z (n, d) instruments; z (n, k) the same centred and in the units of the training people (standard deviations,
or whitened directions); u = (V^, W^) (n, q + p), V^ first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import combinations_with_replacement
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from invarmr.arrays import FloatArray
from invarmr.data.representation import Representation

__all__ = ["Encoder"]

_NORM_EPSILON = 1e-5


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class Encoder(Representation):
    """The map from instruments to (V^, W^) that an autoencoder learned.

    Parameters
    ----------
    kind, degree, bounded
        `mlp`, `residual`, `linear` or `polynomial` of a degree; whether a sigmoid follows.
    n_latent, n_confounded
        p^ and q^.
    center, units
        (d,) means of the training people, and (d, k): the map of what they are subtracted from to the encoder's inputs.
    weights
        The encoder's parameters by name (`encoder.1.weight`, ...), each (rows, columns).
    """

    kind: str
    degree: int
    bounded: bool
    n_latent: int
    n_confounded: int
    center: FloatArray
    units: FloatArray
    weights: Mapping[str, FloatArray] = field(default_factory=dict)

    @property
    def feature_names(self) -> tuple[str, ...]:  # type: ignore[override]  # the same names, computed
        """`V1`, ..., `W1`, ...: the parts as trained, before the stationary split."""
        names = [f"V{i + 1}" for i in range(self.n_confounded)] + [f"W{i + 1}" for i in range(self.n_latent)]
        return tuple(names)

    def apply(self, instrument: FloatArray) -> FloatArray:
        """(V^, W^) (n, q + p) of instruments (n, d)."""
        z: FloatArray = (instrument - self.center) @ self.units
        if self.kind in ("mlp", "residual"):
            hidden = self._norm_relu("encoder.1", self._affine("encoder.1", z))
            u = self._affine("encoder.3", self._norm_relu("encoder.2", self._affine("encoder.2", hidden)))
            if self.kind == "residual":
                u = u + z @ self.weights["encoder.linear.weight"].T
        else:
            u = self._affine("encoder.1", _monomials(z, self.degree) if self.kind == "polynomial" else z)
        return np.asarray(1 / (1 + np.exp(-u)) if self.bounded else u)

    def encode(self, instrument: FloatArray) -> tuple[FloatArray, FloatArray]:
        """V^ (n, q) and W^ (n, p) of instruments (n, d)."""
        u = self.apply(instrument)
        return u[:, : self.n_confounded], u[:, self.n_confounded :]

    def recombined(self, center: FloatArray, basis: FloatArray) -> Encoder:
        """The encoder of (u - center) basis: a linear map (r, r) of its features, taken into its last layer."""
        last = "encoder.3" if self.kind in ("mlp", "residual") else "encoder.1"
        weights = dict(self.weights)
        for name in (f"{last}.weight", "encoder.linear.weight"):
            if name in weights:
                weights[name] = basis.T @ weights[name]
        weights[f"{last}.bias"] = basis.T @ (weights[f"{last}.bias"] - center[:, None])
        return replace(self, weights=weights)

    def content(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Settings and arrays from which `from_content` builds it again."""
        settings = {
            "kind": self.kind,
            "degree": self.degree,
            "bounded": self.bounded,
            "n_latent": self.n_latent,
            "n_confounded": self.n_confounded,
        }
        return settings, {"center": self.center, "units": self.units, **self.weights}

    @classmethod
    def from_content(cls, settings: Mapping[str, Any], arrays: Mapping[str, Any]) -> Encoder:
        """The encoder whose `content` this is."""
        weights = {name: np.asarray(array) for name, array in arrays.items() if name.startswith("encoder.")}
        own: dict[str, Any] = {name: np.asarray(arrays[name]) for name in ("center", "units")}
        return cls(**settings, **own, weights=weights)

    def _affine(self, layer: str, x: FloatArray) -> FloatArray:
        return np.asarray(x @ self.weights[f"{layer}.weight"].T + self.weights[f"{layer}.bias"].T)

    def _norm_relu(self, layer: str, x: FloatArray) -> FloatArray:
        centred = x - x.mean(axis=1, keepdims=True)
        normed = centred / np.sqrt(np.square(centred).mean(axis=1, keepdims=True) + _NORM_EPSILON)
        return np.asarray(np.maximum(normed * self.weights[f"{layer}.gain"].T + self.weights[f"{layer}.shift"].T, 0.0))


def _monomials(z: FloatArray, degree: int) -> FloatArray:
    """All monomials up to a degree but the constant, in the order of `invarmr.nn.feature_maps.monomials`."""
    one = np.column_stack([np.ones(len(z)), z])
    chosen = list(combinations_with_replacement(range(one.shape[1]), degree))[1:]
    columns = [np.prod(one[:, list(factors)], axis=1) for factors in chosen]
    return np.asarray(np.column_stack(columns), dtype=np.float64)
