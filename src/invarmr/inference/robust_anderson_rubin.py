"""The Anderson-Rubin statistic with heteroskedasticity-robust or clustered covariance, and its exact inversion.

Symbols: z_i (k,) orthonormal instruments of sample i; g(theta) = sum_i z_i u_i = g_Y - theta g_D; e_i = (Y, D)_i less
its projection on the instruments, times b = (1, -theta); sample i in cluster h (its own unless clustered):

    F(theta) = g'V(theta)^-1 g / k,   V(theta) = f sum_h (sum_{i in h} z_i e_i)(sum_{i in h} z_i e_i)',

f = n / (n - k - c), times G / (G - 1) (n - 1) / n with G clusters. V is quadratic in theta, V = V_YY - theta (V_YD +
V_YD') + theta^2 V_DD, and one pass over the rows gives all of it. F(theta) <= q if and only if the matrix polynomial
M(theta) = k q V(theta) - g(theta) g(theta)' is positive semi-definite, and |M(theta)| = 0 exactly where F(theta) = q (V
being definite): so all ends of the set are among the real eigenvalues of a quadratic eigenproblem of size 2k. They
bracket the ends, which are then found by bisection (Brent) on F itself.
Sources: Stock & Wright (2000), Econometrica 68:1055; Chernozhukov & Hansen (2008), Economics Letters 100:68;
Tisseur & Meerbergen (2001), SIAM Review 43:235.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from scipy import linalg, optimize

from invarmr.arrays import FloatArray, IntArray
from invarmr.data.design import IVDesign
from invarmr.errors import InputError
from invarmr.inference.confidence_set import ConfidenceSet
from invarmr.inference.null_law import FLaw
from invarmr.inference.quadratic_set import Intervals, union
from invarmr.inference.reduced_form import reduced_form
from invarmr.inference.statistical_test import NotApplicable

__all__ = ["RobustErrors", "RobustForm", "robust_form", "score_covariance"]

RobustErrors = Literal["homoskedastic", "robust", "clustered"]
"""Which covariance of the reduced form."""


@dataclass(frozen=True, eq=False)
class RobustForm:
    """What the robust test needs: g and V as polynomials of theta.

    Parameters
    ----------
    scores
        (k, 2) columns g_Y, g_D.
    constant, linear, square
        (k, k) each: V(theta) = constant + theta linear + theta^2 square.
    free
        Residual degrees of freedom: n - k - c, or clusters less one.
    center, scale
        An effect near the middle of the set, and its unit, so that (theta - center) / scale is of order one.
    """

    scores: FloatArray
    constant: FloatArray
    linear: FloatArray
    square: FloatArray
    free: int
    center: float
    scale: float

    @property
    def n_instruments(self) -> int:
        """Rank of the instruments, k."""
        return len(self.scores)

    @property
    def law(self) -> FLaw:
        """Of F where the effect is the true one and every instrument valid."""
        return FLaw(self.n_instruments, self.free)

    def at(self, value: float) -> float:
        """F at an effect."""
        g = self.scores @ np.array([1.0, -value])
        V = self.constant + value * self.linear + value**2 * self.square
        return float(g @ linalg.solve(V, g, assume_a="pos")) / len(g)

    def confidence_set(self, level: float) -> ConfidenceSet:
        """Effects with F at most the quantile of F(k, free)."""
        bound = self.law.quantile(1.0 - level)
        candidates = self._candidates(bound)
        probes = _between(candidates, self.scale)
        accepted = [self.at(theta) <= bound for theta in probes]
        ends = [
            float(optimize.brentq(lambda theta: self.at(theta) - bound, low, high, xtol=1e-14 * self.scale, rtol=1e-14))
            for (low, high), (first, second) in zip(pairwise(probes), pairwise(accepted), strict=True)
            if first != second
        ]
        edges = [-math.inf, *ends, math.inf]
        inside = accepted[0]
        parts: list[tuple[float, float]] = []
        for low, high in pairwise(edges):
            if inside:
                parts.append((low, high))
            inside = not inside
        kept: Intervals = union(tuple(parts))
        return ConfidenceSet(kept, level)

    def _candidates(self, bound: float) -> FloatArray:
        """Real eigenvalues of |k q V - g g'| = 0, ascending, in units of the effect."""
        k, s, t = self.n_instruments, self.scale, self.center
        g = np.column_stack([self.scores @ np.array([1.0, -t]), -s * self.scores[:, 1]])
        q = k * bound
        M0 = q * (self.constant + t * self.linear + t**2 * self.square) - np.outer(g[:, 0], g[:, 0])
        M1 = q * s * (self.linear + 2 * t * self.square) - np.outer(g[:, 0], g[:, 1]) - np.outer(g[:, 1], g[:, 0])
        M2 = q * s**2 * self.square - np.outer(g[:, 1], g[:, 1])
        none, one = np.zeros((k, k)), np.eye(k)
        pencil = np.block([[none, one], [-M0, -M1]]), np.block([[one, none], [none, M2]])
        alpha, beta = linalg.eigvals(*pencil, homogeneous_eigvals=True)
        finite = np.abs(beta) > 1e-12 * np.abs(alpha)
        roots = alpha[finite] / beta[finite]
        real = np.abs(roots.imag) <= 1e-6 * (1 + np.abs(roots.real))
        return np.asarray(np.unique(t + s * roots.real[real]))


def robust_form(design: IVDesign, std_errors: RobustErrors, *, count_learning: bool = True) -> RobustForm:
    """One pass over the rows: g and V; the covariance that learning adds, Q, is added for every instrument alike.

    Raises
    ------
    NotApplicable
        No rows, no clusters, clusters no more than instruments, or no error to measure the effect against.
    InputError
        `std_errors` unknown.
    """
    if std_errors not in ("robust", "clustered"):
        raise InputError(f"std_errors must be homoskedastic, robust or clustered, but is {std_errors!r}.")
    form = reduced_form(design, count_learning=False)
    V, free = score_covariance(design, clustered=std_errors == "clustered")
    learned = reduced_form(design, count_learning=count_learning).covariance - form.covariance
    V = V + learned[:, :, None, None] * np.eye(form.n_instruments)
    H = form.projected[1, 1] - form.roots[0] * form.covariance[1, 1]
    center = float((form.projected[0, 1] - form.roots[0] * form.covariance[0, 1]) / H) if H > 0 else 0.0
    scale = math.sqrt(form.covariance[0, 0] / form.covariance[1, 1]) / math.sqrt(1.0 + form.roots[1])
    return RobustForm(design.partialled.whitened, V[0, 0], -(V[0, 1] + V[1, 0]), V[1, 1], free, center, scale)


def score_covariance(design: IVDesign, *, clustered: bool) -> tuple[FloatArray, int]:
    """Covariance (2, 2, k, k) of the coefficients of (Y, D) on orthonormal instruments, and its degrees of freedom.

    Element [a, b] is f sum_h (sum_{i in h} z_i e_ia)(sum_{i in h} z_i e_ib)' with e the residual of (Y, D).

    Raises
    ------
    NotApplicable
        No rows, no clusters, or clusters no more than instruments.
    """
    parts, cohort = design.partialled, design.cohort
    n, k = parts.n_samples, parts.n_instruments
    free = n - k - parts.n_controls
    if cohort is None:
        raise NotApplicable("Robust and clustered errors need the rows of the cohort, but only moments are at hand.")
    if not clustered:
        V = sum((_blocks(z * e[:, :1], z * e[:, 1:]) for z, e, _ in _residuals(design)), np.zeros((2, 2, k, k)))
        return n / free * V, free
    if cohort.cluster is None:
        raise NotApplicable("Clustered errors need a cluster for every sample: name it with [phenotypes] cluster.")
    clusters = int(cohort.cluster.max()) + 1
    if clusters <= k:
        raise NotApplicable(f"Clustered errors need more clusters than instruments, but there are {clusters} and {k}.")
    sums = np.zeros((2, clusters, k))
    for z, e, rows in _residuals(design):
        for side in (0, 1):
            np.add.at(sums[side], cohort.cluster[rows], z * e[:, side, None])
    return clusters / (clusters - 1) * (n - 1) / free * _blocks(sums[0], sums[1]), clusters - 1


def _residuals(design: IVDesign) -> Iterator[tuple[FloatArray, FloatArray, IntArray]]:
    for z, pair, rows in design.residual_rows():
        yield z, pair - z @ design.partialled.whitened, rows


def _blocks(y: FloatArray, d: FloatArray) -> FloatArray:
    cross = y.T @ d
    return np.array([[y.T @ y, cross], [cross.T, d.T @ d]])


def _between(candidates: FloatArray, scale: float) -> list[float]:
    """Points between neighbouring candidates, and one beyond each end."""
    if len(candidates) == 0:
        return [0.0]
    gap = scale + float(candidates[-1] - candidates[0])
    middle = (candidates[:-1] + candidates[1:]) / 2
    return [float(candidates[0]) - gap, *middle.tolist(), float(candidates[-1]) + gap]
