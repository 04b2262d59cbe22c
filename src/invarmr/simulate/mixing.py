"""Mixings: how latent variables become observed instruments, the same map in every environment.

Symbols: u = (V, W) latent variables, m of them; Z = f(u) instruments, d of them.

linear: Z = A u, d = m. poly r: Z = A (every monomial of u up to degree r, the constant included), d = C(m + r, r).
A is square with N(0, 1) entries, its singular values clipped below at a fifth of the largest. mlp: Z = B g(A u) with
g = LeakyReLU(0.2), d = m, entries uniform(-1, 1), columns of unit length, no bias: invertible wherever A and B are.
discrete: that network from standardised u to 3d logits, and which of each three is the largest: 0, 1 or 2.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import combinations_with_replacement
from typing import Literal

import numpy as np

from invarmr.arrays import FloatArray, IntArray

__all__ = ["MIXINGS", "Mixing", "MixingName", "clip_condition", "draw_mixing", "monomial_powers", "monomials"]

MixingName = Literal["none", "linear", "poly1", "poly2", "poly3", "mlp", "discrete"]
MIXINGS: tuple[MixingName, ...] = ("none", "linear", "poly1", "poly2", "poly3", "mlp", "discrete")
_SLOPE = 0.2
_LEAST_SINGULAR = 0.2


@dataclass(frozen=True, eq=False)
class Mixing:
    """A drawn mixing: calling it turns latent variables (n, m) into instruments (n, d), row by row.

    Parameters
    ----------
    name
        Kind of mixing.
    n_latent, n_instruments
        m and d.
    degree
        Degree of the polynomial; 0 where the mixing is none.
    continuous
        The map before it is made discrete (for all other mixings the map itself).
    """

    name: MixingName
    n_latent: int
    n_instruments: int
    degree: int
    continuous: Callable[[FloatArray], FloatArray]

    def __call__(self, latent: FloatArray, noise: FloatArray | None = None) -> FloatArray:
        """Instruments (n, d) of latent variables (n, m); noise of the continuous map's shape is added to it."""
        values = self.continuous(latent)
        if noise is not None:
            values = values + noise
        if self.name != "discrete":
            return values
        largest: IntArray = values.reshape(len(values), -1, 3).argmax(axis=2)
        return largest.astype(np.float64)


def monomial_powers(n_variables: int, degree: int) -> IntArray:
    """Exponents (d, n_variables) of every monomial up to a degree, the constant first.

    Examples
    --------
    >>> [len(monomial_powers(4, degree)) for degree in (1, 2, 3)]
    [5, 15, 35]
    """
    rows = [
        np.bincount(np.array(chosen, dtype=np.intp), minlength=n_variables)
        for total in range(degree + 1)
        for chosen in combinations_with_replacement(range(n_variables), total)
    ]
    return np.array(rows, dtype=np.intp)


def monomials(values: FloatArray, degree: int) -> FloatArray:
    """Every monomial of the columns of `values` (n, m) up to a degree, (n, d), ordered as `monomial_powers`.

    Examples
    --------
    >>> monomials(np.array([[2.0, 3.0]]), 2).tolist()
    [[1.0, 2.0, 3.0, 4.0, 6.0, 9.0]]
    """
    n, m = values.shape
    columns: list[FloatArray] = [np.ones(n)]
    last: list[tuple[tuple[int, ...], FloatArray]] = [((), columns[0])]
    for _ in range(degree):
        last = [
            ((*chosen, j), column * values[:, j])
            for chosen, column in last
            for j in range(chosen[-1] if chosen else 0, m)
        ]
        columns += [column for _, column in last]
    return np.column_stack(columns)


def clip_condition(A: FloatArray, least: float = _LEAST_SINGULAR) -> FloatArray:
    """A with singular values below `least` times the largest raised to it."""
    left, values, right = np.linalg.svd(A)
    clipped: FloatArray = (left * np.maximum(values, least * values[0])) @ right
    return clipped


def draw_mixing(
    name: MixingName,
    *,
    n_latent: int,
    rng: np.random.Generator,
    n_instruments: int | None = None,
    center: FloatArray | None = None,
    scale: FloatArray | None = None,
) -> Mixing:
    """Draw a mixing.

    Parameters
    ----------
    name
        Kind of mixing.
    n_latent
        m.
    rng
        Source of the entries.
    n_instruments
        d of the discrete mixing; the others' d follows from m.
    center, scale
        (m,) constants by which the discrete mixing standardises u.
    """
    m = n_latent
    if name == "none":
        return Mixing(name, m, m, 1, np.array)
    if name == "linear":
        return Mixing(name, m, m, 1, partial(_times, clip_condition(rng.standard_normal((m, m)))))
    if name == "mlp":
        return Mixing(name, m, m, 0, partial(_network, _unit_columns(rng, m, m), _unit_columns(rng, m, m)))
    if name == "discrete":
        d = 20 if n_instruments is None else n_instruments
        width = 4 * m
        first, second = _unit_columns(rng, m, width), _unit_columns(rng, width, 3 * d)
        middle = np.zeros(m) if center is None else center
        spread = np.ones(m) if scale is None else scale
        return Mixing(name, m, d, 0, lambda u: _network(first, second, (u - middle) / spread))
    degree = int(name.removeprefix("poly"))
    d = len(monomial_powers(m, degree))
    A = clip_condition(rng.standard_normal((d, d)))
    return Mixing(name, m, d, degree, lambda u: _times(A, monomials(u, degree)))


def _unit_columns(rng: np.random.Generator, rows: int, columns: int) -> FloatArray:
    entries = rng.uniform(-1.0, 1.0, (rows, columns))
    unit: FloatArray = entries / np.linalg.norm(entries, axis=0)
    return unit


def _times(A: FloatArray, values: FloatArray) -> FloatArray:
    return values @ A.T


def _network(first: FloatArray, second: FloatArray, u: FloatArray) -> FloatArray:
    hidden = u @ first
    return np.where(hidden > 0, hidden, _SLOPE * hidden) @ second
