"""Degree filtration: which combinations of polynomially mixed instruments are linear in the latent variables.

Symbols: Z (n, d) instruments, X (n, m) the same whitened, without null directions; u = X L latent variables up to an
affine map, L (m, k) with orthonormal columns; r degree of the mixing; P residual after least squares on X and one
constant per environment, P0 after the constants alone; u^alpha = prod_i u_i^alpha_i a monomial.

Let Z span all polynomials of degree r in k latent variables. The square of a combination of Z lies in that span again
only if the combination has degree 1 (r < 4; for higher r its r-th power decides). So the directions a with

    f(a) = mean_{j = 2..r} ||P (X a)^j||^2 / ||P0 (X a)^j||^2 = 0

are a linear space, that of the latent variables. One of them, y, is searched for by descent, from the direction in
which the tails are lightest (the smallest eigenvector of mean |x|^2 x x': higher degrees have heavier tails). The
others follow from it in closed form: y^(r-1) X b is in the span only if b has degree 1, so they are the null space of a
generalised eigenproblem, with T = diag(y^(r-1)) X,

    T'P T b = lambda T'P0 T b.

Without noise f and lambda are zero to rounding at these directions and far from zero elsewhere. What is left of all
monomials together,

    F(L) = mean_{2 <= |alpha| <= r} ||P u^alpha||^2 / ||P0 u^alpha||^2,

says how well the mixing is described (all shares per degree of freedom). One constant per environment is partialled
out, because a distribution in two far clumps would make squares look linear. This package's.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations_with_replacement
from math import comb

import numpy as np
from scipy import linalg, optimize

from invarmr.arrays import FloatArray, IntArray

__all__ = ["EXACT_RESIDUAL", "Filtration", "Span", "filter_degrees", "n_monomials"]

EXACT_RESIDUAL = 1e-9
"""Residual share below which a direction counts as exact: rounding of float64 instruments leaves less than 1e-15."""

_RANK_TOLERANCE = 1e-10
"""Share of the largest singular value of the standardised instruments below which a direction counts as null."""


@dataclass(frozen=True, eq=False)
class Filtration:
    """The latent variables that were found, u = (Z - center) directions.

    Parameters
    ----------
    center, directions
        (d,) and (d, k), in the instruments' units; u has unit variance on the rows searched.
    degree
        r.
    residual
        F on the rows searched.
    n_null
        Directions of the instruments without variance.
    complete
        Whether k latent variables have exactly as many monomials of degree 1 to r as the instruments have dimensions.
    """

    center: FloatArray
    directions: FloatArray
    degree: int
    residual: float
    n_null: int
    complete: bool

    @property
    def n_components(self) -> int:
        """Number of latent variables, k."""
        return int(self.directions.shape[1])


def n_monomials(k: int, degree: int) -> int:
    """Number of monomials of degree 1 to r in k variables, C(k + r, r) - 1."""
    return comb(k + degree, degree) - 1


class Span:
    """The span of the instruments of some people, and how far powers and monomials are outside it.

    Parameters
    ----------
    values
        (n, d) instruments.
    environment
        (n,) codes.
    """

    def __init__(self, values: FloatArray, environment: IntArray) -> None:
        self.center = values.mean(axis=0)
        scale = values.std(axis=0)
        used = scale > _RANK_TOLERANCE * np.abs(self.center)
        safe = np.where(used, scale, 1.0)
        left, singular, right = linalg.svd(np.where(used, (values - self.center) / safe, 0.0), full_matrices=False)
        kept = singular > _RANK_TOLERANCE * singular[0]
        root = np.sqrt(len(values))
        self.X: FloatArray = left[:, kept] * root
        self.whitener: FloatArray = right[kept].T * (root / singular[kept]) / safe[:, None]
        indicators = (environment[:, None] == np.unique(environment)).astype(np.float64)
        self.constants: FloatArray = indicators / np.sqrt(indicators.sum(axis=0))
        centred = self.X - self.constants @ (self.constants.T @ self.X)
        basis, singular, _ = linalg.svd(centred, full_matrices=False)
        self.basis: FloatArray = basis[:, singular > _RANK_TOLERANCE * singular.max(initial=1.0)]
        constants = self.constants.shape[1]
        self.freedom = (len(values) - constants) / max(len(values) - constants - self.basis.shape[1], 1)

    @property
    def rank(self) -> int:
        """Dimensions of the instruments, m."""
        return int(self.X.shape[1])

    def residuals(self, columns: FloatArray) -> tuple[FloatArray, FloatArray]:
        """P0 and P applied to columns (n,) or (n, t)."""
        centred = columns - self.constants @ (self.constants.T @ columns)
        return centred, centred - self.basis @ (self.basis.T @ centred)

    def power_share(self, a: FloatArray, X: FloatArray, degree: int) -> tuple[float, FloatArray]:
        """The value and gradient of f at a (any length), for directions of X."""
        length = float(np.linalg.norm(a))
        direction = a / length
        y = X @ direction
        value, slope = 0.0, np.zeros_like(y)
        for j in range(2, degree + 1):
            below = y ** (j - 1)
            centred, outside = self.residuals(below * y)
            total = float(centred @ centred)
            share = float(outside @ outside) / total
            weight = self.freedom / (degree - 1)
            value += weight * share
            slope += (2 * j * weight / total) * (outside - share * centred) * below
        gradient = X.T @ slope
        return value, (gradient - direction * (direction @ gradient)) / length

    def monomial_share(self, L: FloatArray, degree: int) -> float:
        """F at L (m, k)."""
        u = self.X @ L
        powers = [c for j in range(2, degree + 1) for c in combinations_with_replacement(range(L.shape[1]), j)]
        centred, outside = self.residuals(np.stack([np.prod(u[:, list(c)], axis=1) for c in powers], axis=1))
        share = np.einsum("ij,ij->j", outside, outside) / np.einsum("ij,ij->j", centred, centred)
        return float(share.mean() * self.freedom)


def filter_degrees(
    span: Span,
    *,
    degree: int | None,
    n_components: int | None,
    max_degree: int,
    tolerance: float,
    n_starts: int,
    generator: np.random.Generator,
) -> Filtration | None:
    """The latent variables behind the instruments, or None where no description leaves less than `tolerance`.

    A description is a degree r and a number k of latent variables; it is complete where these have as many monomials as
    the instruments have dimensions (or one fewer: with noise on the instruments the constant takes a dimension too).
    Exact complete descriptions win, then the complete one that leaves least, then any of the largest degree.
    """
    degrees = [degree] if degree is not None else list(range(2, max_degree + 1))
    fitting = [r for r in degrees if _fitting(span.rank, r)]
    for r in sorted(fitting, key=lambda r: (any(other >= 2 * r for other in fitting), r)):  # squares pass for variables
        start = _search(span, r, EXACT_RESIDUAL, _FEW, generator)
        exact = [] if start is None else _whole(span, start, r, n_components, EXACT_RESIDUAL)
        if exact and exact[0].complete:
            return exact[0]
    found: list[Filtration] = []
    for r in degrees:
        start = _search(span, r, tolerance, n_starts, generator)
        if start is None and r <= _SQUARES_SUFFICE:
            break  # what has its cube in the span has its square there
        if start is not None:
            found += _whole(span, start, r, n_components, tolerance)
    complete = [item for item in found if item.complete]
    if complete:
        return min(complete, key=lambda item: item.residual)
    return max(found, key=lambda item: item.degree, default=None)


_FEW = 3
"""Starts of the search for exact directions."""
_SQUARES_SUFFICE = 3
"""Degree up to which fewer powers are a weaker demand on the same directions."""


def _fitting(rank: int, degree: int) -> list[int]:
    """Numbers of latent variables with as many monomials as the instruments have dimensions, or one fewer."""
    return [k for k in range(rank, 0, -1) if 0 <= rank - n_monomials(k, degree) <= 1]


def _search(
    span: Span, degree: int, tolerance: float, n_starts: int, generator: np.random.Generator
) -> FloatArray | None:
    """One direction (m,) whose powers up to `degree` stay in the span, by descent from several starts."""
    X = span.X
    size = np.einsum("ij,ij->i", X, X)
    _, light = linalg.eigh((X * size[:, None]).T @ X)
    best, value = None, tolerance
    for start in range(n_starts):
        a = light[:, start] if start < min(3, span.rank) else generator.normal(size=span.rank)
        a, share = _descend(span, a, degree)
        if share < value:
            best, value = a, share
        if share < _NEARLY_EXACT or value < tolerance / 10:
            break
    return best


def _descend(span: Span, a: FloatArray, degree: int) -> tuple[FloatArray, float]:
    """L-BFGS to where the share no longer falls by 1e-9; near zero, on to rounding."""
    share = 1.0
    for tolerance in (1e-9, 0.0):
        answer = optimize.minimize(
            span.power_share,
            a,
            args=(span.X, degree),
            jac=True,
            method="L-BFGS-B",
            options={"ftol": tolerance, "gtol": 1e-13, "maxcor": 30, "maxiter": 500},
        )
        a, share = answer.x / linalg.norm(answer.x), float(answer.fun)
        if share > _NEARLY_EXACT:
            break
    return a, share


_NEARLY_EXACT = 1e-6


def _whole(span: Span, first: FloatArray, degree: int, n_components: int | None, bound: float) -> list[Filtration]:
    """Descriptions with one of the latent variables given, by the number of latent variables."""
    shares, directions = _products(span, span.X @ first, degree)
    fitting = _fitting(span.rank, degree)
    out = []
    for k in [n_components] if n_components is not None else _sizes(shares, span.rank, degree):
        L = directions[:, :k]
        residual = span.monomial_share(L, degree)
        if residual < bound:
            null = len(span.center) - span.rank
            out.append(Filtration(span.center, span.whitener @ L, degree, residual, null, k in fitting))
    return out


def _sizes(shares: FloatArray, rank: int, degree: int) -> list[int]:
    """Numbers of latent variables to try: those that fit, and the place of the largest gap between the shares.

    No more than have monomials for the dimensions of the instruments.
    """
    most = max(k for k in range(1, rank + 1) if k == 1 or n_monomials(k, degree) <= rank)
    ratio = np.append(shares, 1.0)[1 : most + 1] / np.maximum(shares[:most], EXACT_RESIDUAL)
    return list(dict.fromkeys([*_fitting(rank, degree), int(np.argmax(ratio)) + 1]))


def _products(span: Span, y: FloatArray, degree: int) -> tuple[FloatArray, FloatArray]:
    """Shares lambda (m,) ascending, and the directions (m, m) made orthonormal in that order."""
    factor = y ** (degree - 1)
    centred, outside = span.residuals(span.X * (factor / np.sqrt(np.mean(factor**2)))[:, None])
    shares, directions = linalg.eigh(outside.T @ outside * span.freedom, centred.T @ centred)
    return np.clip(shares, 0.0, None), linalg.qr(directions)[0]
