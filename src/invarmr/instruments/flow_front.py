"""Before the flow: from more columns than latent variables to as many, by an invertible autoencoder.

Symbols: Z (n, d) instruments, z = (Z - centre) / scale, T an invertible map of d columns, y (n, r) the code.

Instruments that are a function of r < d latent variables lie on a surface. A linear front (principal components) folds
or bends it; T flattens it: all but r principal components of T(z) vanish. The code is the first r, and the decoder is
T^-1 with zeros for the rest. T is a `LeakyMap` fitted by maximum likelihood under a normal law of T(z + noise) in every
environment: flat values have a nearly singular covariance, which raises the likelihood by far more than anything else,
and the noise, which is made smaller step by step, keeps it finite.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import numpy as np
import torch
from torch import Tensor

from invarmr.arrays import FloatArray
from invarmr.data.representation import Representation
from invarmr.nn.flows import Flow, GaussianLaw, LeakyMap
from invarmr.nn.maximum_likelihood import maximise

__all__ = ["Flattening", "learn_flattening"]

_STARTS = 8
_GENTLE = 0.3
"""Strength of the first bends, of those a `LeakyMap` starts from."""
_FEW, _SOME, _MANY = 1_000, 2_000, 2_500
"""Rows per environment that restarts, the best of them, and the last are fitted to."""
_RESTART = ((1.0, 0.3), (0.3, 0.2))
_BEST = ((0.3, 0.1), (0.1, 0.05))
"""Width of the bends and standard deviation of the noise, in turn."""
_NOISE = (0.05, 0.02, 0.02, 0.005)
_ITERATIONS = 500
_JUDGED = 2_000


@final
class Flattening(Representation):
    """The code y of instruments Z: y = (T((Z - centre) / scale) - mean) basis.

    Parameters
    ----------
    centre, scale
        (d,) of the instruments; a scale of 0 marks a constant column, which has no part in z.
    map
        T.
    mean, basis
        (d,) and (d, r): the first r principal components of T(z).
    """

    def __init__(
        self, centre: FloatArray, scale: FloatArray, map: LeakyMap, mean: FloatArray, basis: FloatArray
    ) -> None:
        self.centre, self.scale, self.map, self.mean, self.basis = centre, scale, map.eval(), mean, basis
        self.feature_names = tuple(f"y{j + 1}" for j in range(basis.shape[1]))

    @torch.no_grad()
    def apply(self, instrument: FloatArray) -> FloatArray:
        """Code (n, r) of instruments (n, d)."""
        device = next(self.map.parameters()).device
        values: Tensor = self.map(torch.from_numpy(self._standardised(instrument)).to(device))[0]
        return np.asarray((values.cpu().numpy() - self.mean) @ self.basis)

    @torch.no_grad()
    def decode(self, code: FloatArray) -> FloatArray:
        """Instruments (n, d) of codes (n, r)."""
        device = next(self.map.parameters()).device
        z = self.map.inverse(torch.from_numpy(code @ self.basis.T + self.mean).to(device))
        out = np.tile(self.centre, (len(code), 1))
        out[:, self.scale > 0] += z.cpu().numpy() * self.scale[self.scale > 0]
        return out

    def _standardised(self, instrument: FloatArray) -> FloatArray:
        varies = self.scale > 0
        return np.asarray((instrument[:, varies] - self.centre[varies]) / self.scale[varies])

    def unexplained(self, instrument: FloatArray) -> float:
        """Share of the variance of standardised instruments (n, d) that the decoder does not give back."""
        z = self._standardised(instrument)
        back = self._standardised(self.decode(self.apply(instrument)))
        return float(np.sum((z - back) ** 2) / np.sum((z - z.mean(axis=0)) ** 2))


def learn_flattening(
    rows: Sequence[FloatArray], width: int, *, rng: np.random.Generator, device: torch.device
) -> tuple[Flattening, dict[str, float]]:
    """An invertible autoencoder of `width` codes, and what it and as many principal components leave unexplained.

    Parameters
    ----------
    rows
        Instruments (n_e, d) of every environment; columns without variance are dropped.
    width
        r < d.
    rng
        Of the random starts and of the noise.
    """
    everyone = np.vstack(rows)
    centre, scale = everyone.mean(axis=0), everyone.std(axis=0)
    scale = np.where(scale > 1e-10 * np.abs(centre), scale, 0.0)
    varies = scale > 0
    standardised = (everyone[:, varies] - centre[varies]) / scale[varies]
    ends = np.cumsum([len(Z) for Z in rows])[:-1]
    z = [torch.from_numpy(x).to(device) for x in np.split(standardised, ends)]
    generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
    map = _flatten(z, generator)
    with torch.no_grad():
        values = map(torch.cat(z))[0].cpu().numpy()
    mean = values.mean(axis=0)
    basis = np.linalg.eigh(np.cov(values.T))[1][:, ::-1][:, :width]
    front = Flattening(centre, scale, map, mean, np.ascontiguousarray(basis))
    spread = np.linalg.eigvalsh(np.cov(standardised.T))
    judged = everyone[rng.permutation(len(everyone))[:_JUDGED]]
    return front, {
        "width": float(width),
        "unexplained": front.unexplained(judged),
        "unexplained_linear": float(spread[:-width].sum() / spread.sum()),
    }


def _flatten(rows: Sequence[Tensor], generator: torch.Generator) -> LeakyMap:
    """All starts on few rows, a quarter of them on more, the best with less and less noise."""
    d = rows[0].shape[1]
    tried: list[tuple[float, int, LeakyMap]] = []
    for start in range(_STARTS):
        map = LeakyMap(d, 1, generator).to(rows[0].device)
        for a in map.a:
            a.data.mul_(_GENTLE)
        tried.append((_fit(map, rows, _RESTART, _FEW, 60, generator), start, map))
    tried = sorted(tried, key=lambda item: -item[0])[: _STARTS // 4]
    second = [(_fit(map, rows, _BEST, _SOME, 60, generator), start, map) for _, start, map in tried]
    _, _, best = max(second, key=lambda item: (item[0], -item[1]))
    _fit(best, rows, [(None, noise) for noise in _NOISE], _MANY, _ITERATIONS, generator)
    return best


def _fit(
    map: LeakyMap,
    rows: Sequence[Tensor],
    stages: Sequence[tuple[float | None, float]],
    n: int,
    iterations: int,
    generator: torch.Generator,
) -> float:
    """Mean log density reached in the last stage; widths are searched for where none is given."""
    flow = Flow(map, GaussianLaw(rows[0].shape[1], 0, len(rows))).to(rows[0].device)
    reached = -np.inf
    for width, noise in stages:
        map.free_width(width is None)
        if width is not None:
            map.set_width(width)
        noisy = [
            z[:n] + noise * torch.randn(z[:n].shape, generator=generator, dtype=z.dtype).to(z.device) for z in rows
        ]
        reached = maximise(flow, noisy, iterations=iterations)
    return reached
