"""Losses of residuals for the robust profile score, and their moments under the standard normal.

Symbols: rho loss, psi = rho'; c1 = E psi(Z)^2, delta = E Z psi(Z), c2 = Var Z psi(Z), c3 = E[Z psi(Z) + Z^2 psi'(Z)].
Sources: Huber (1964), Annals of Mathematical Statistics 35:73; Beaton & Tukey (1974), Technometrics 16:147.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

from invarmr.arrays import FloatArray

__all__ = ["Loss", "LossMoments", "loss_moments", "loss_slope", "loss_value"]

Loss = Literal["l2", "huber", "tukey"]
TUNING = {"l2": np.inf, "huber": 1.345, "tukey": 4.685}
"""k, at which each loss is 95 % efficient under normal errors."""


@dataclass(frozen=True)
class LossMoments:
    """c1, delta, c2 and c3 of a loss."""

    c1: float
    delta: float
    c2: float
    c3: float


def loss_value(t: FloatArray, loss: Loss) -> FloatArray:
    """rho(t)."""
    k = TUNING[loss]
    if loss == "l2":
        return np.asarray(0.5 * t**2)
    if loss == "huber":
        size = np.abs(t)
        return np.asarray(np.where(size <= k, 0.5 * t**2, k * (size - 0.5 * k)))
    inside = np.minimum((t / k) ** 2, 1.0)
    return np.asarray(k**2 / 6.0 * (1.0 - (1.0 - inside) ** 3))


def loss_slope(t: FloatArray, loss: Loss) -> FloatArray:
    """psi(t) = rho'(t)."""
    k = TUNING[loss]
    if loss == "l2":
        return t
    if loss == "huber":
        return np.clip(t, -k, k)
    return np.asarray(t * (1.0 - np.minimum((t / k) ** 2, 1.0)) ** 2)


@lru_cache(maxsize=8)
def loss_moments(loss: Loss) -> LossMoments:
    """Moments under the standard normal, by Gauss-Legendre quadrature between the kinks."""
    if loss == "l2":
        return LossMoments(1.0, 1.0, 2.0, 2.0)
    k = TUNING[loss]
    nodes, weights = np.polynomial.legendre.leggauss(200)
    pieces = [(-12.0, -k), (-k, k), (k, 12.0)]
    z = np.concatenate([(low + high) / 2 + (high - low) / 2 * nodes for low, high in pieces])
    mass = np.concatenate([(high - low) / 2 * weights for low, high in pieces])
    mass = mass * np.exp(-0.5 * z**2) / np.sqrt(2.0 * np.pi)
    psi = loss_slope(z, loss)
    u = np.minimum((z / k) ** 2, 1.0)
    curvature = np.abs(z) <= k if loss == "huber" else (1.0 - u) * (1.0 - 5.0 * u)
    delta = float(mass @ (z * psi))
    return LossMoments(
        c1=float(mass @ psi**2),
        delta=delta,
        c2=float(mass @ (z * psi) ** 2) - delta**2,
        c3=delta + float(mass @ (z**2 * curvature)),
    )
