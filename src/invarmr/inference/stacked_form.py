"""Weak-instrument-robust tests of stacked designs, whose instruments need not have errors of equal covariance.

Symbols: g = (g_Y, g_D) (m, 2) cross-products of (Y, D) with m orthonormal instruments; V (2, 2, m, m) their covariance,
Omega (x) I plus what learning adds (`stacked_learning`); b = (1, -theta), u = Y - theta D:

    g_u = g b,  V_uu = sum b_a b_c V_ac,  G = g_D - V_Du V_uu^-1 g_u  (independent of g_u to first order)
    AR  = g_u'V_uu^-1 g_u                                   chi2(m), as F(m, n - m - c)
    LM  = (G'V_uu^-1 g_u)^2 / (G'V_uu^-1 G)                 chi2(1)
    q   = G'(V_DD - V_Du V_uu^-1 V_uD)^-1 G                 how strongly the instruments identify the effect
    LR  = (AR - q + sqrt((AR - q)^2 + 4 LM q)) / 2          Moreira's law given q (`conditional_law`)

All hold their size however weak the instruments are. Without learning V = Omega (x) I, and they are the statistics of
`reduced_form`. The p-values have no closed inverse: sets are made of the points where they cross 1 - level, found
by bisection between the points of a grid of effects that reaches to infinity and is fine about the effects where AR
is extreme, because LM is zero there. Sources: Kleibergen (2005), Econometrica 73:1103, and
(2007), Journal of Econometrics 139:181; Moreira (2003), Econometrica 71:1027.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Literal

import numpy as np
from scipy import linalg, optimize

from invarmr.arrays import FloatArray
from invarmr.data.stacked_design import StackedDesign
from invarmr.inference.confidence_set import ConfidenceSet
from invarmr.inference.null_law import ChiSquared, Conditional, FLaw, NullLaw
from invarmr.inference.quadratic_set import union
from invarmr.inference.reduced_form import form_of
from invarmr.inference.statistical_test import StatisticalTest, check_value, hypothesis
from invarmr.inference.wald import check_level

__all__ = ["ROBUST_TESTS", "RobustTest", "StackedForm", "stacked_form"]

RobustTest = Literal["Anderson-Rubin", "Lagrange multiplier", "conditional likelihood ratio"]
ROBUST_TESTS: tuple[RobustTest, ...] = ("Anderson-Rubin", "Lagrange multiplier", "conditional likelihood ratio")

_SMALLEST = 0.01
"""Bound below of the factor on any variance: a first-order factor cannot be trusted to nothing."""


@dataclass(frozen=True, eq=False)
class StackedForm:
    """What the robust tests of a stacked design need.

    Parameters
    ----------
    scores
        g (m, 2), outcome first.
    covariance
        V (2, 2, m, m).
    omega
        Omega (2, 2).
    free
        n - m - c.
    center, scale
        The effect of angle 0, and the unit in which the tangent of an angle is one.
    """

    scores: FloatArray
    covariance: FloatArray
    omega: FloatArray
    free: int
    center: float
    scale: float

    def test(self, name: RobustTest, value: float = 0.0) -> StatisticalTest:
        """Test that the effect is `value` (and, by Anderson-Rubin, that every instrument of every part is valid).

        Raises
        ------
        InputError
            `value` not finite.
        """
        statistic, law = self._found(name, *self._statistics(self._angle(check_value(value))))
        reason = f"given the instruments' strength {law.strength:.4g}" if isinstance(law, Conditional) else ""
        return StatisticalTest(
            test=name, null=hypothesis({"effect": value}), statistic=statistic, law=law, reason=reason
        )

    def mean_factor(self, value: float) -> float:
        """G'V_uu G / (G'G b'Omega b): factor that learning puts on the variance of an estimate, at an effect."""
        b, d = np.array([1.0, -value]), np.array([0.0, 1.0])
        V_uu, V_du = (np.einsum("a,acij,c->ij", x, self.covariance, b) for x in (b, d))
        G = self.scores[:, 1] - V_du @ linalg.solve(V_uu, self.scores @ b, assume_a="pos")
        return float(G @ V_uu @ G / (G @ G) / (b @ self.omega @ b))

    def confidence_set(self, name: RobustTest, level: float = 0.95) -> ConfidenceSet:
        """Effects that a test does not reject at 1 - level; perhaps empty, unbounded or in several pieces.

        Raises
        ------
        InputError
            `level` outside (0, 1).
        """
        bound = math.log(1.0 - check_level(level))

        def excess(angle: float) -> float:
            return self._log_p(name, *self._statistics(angle)) - bound

        grid, statistics = self._grid
        values = [self._log_p(name, *found) - bound for found in statistics]
        ends = [-math.inf, math.inf]
        parts: list[tuple[float, float]] = []
        for (low, high), (first, second) in zip(pairwise(grid), pairwise(values), strict=True):
            if first >= 0 and second >= 0:
                parts.append((low, high))
            elif (first >= 0) != (second >= 0):
                edge = float(optimize.brentq(excess, low, high, xtol=1e-15, rtol=1e-14))
                parts.append((low, edge) if first >= 0 else (edge, high))
        last = grid[-1]
        intervals = tuple(
            (
                ends[0] if low == -last else self._effect(low),
                ends[1] if high == last else self._effect(high),
            )
            for low, high in union(tuple(parts))
        )
        return ConfidenceSet(intervals, level)

    def _effect(self, angle: float) -> float:
        return self.center + self.scale * math.tan(angle)

    def _angle(self, value: float) -> float:
        return math.atan((value - self.center) / self.scale)

    @cached_property
    def _grid(self) -> tuple[list[float], list[tuple[float, float, float, float]]]:
        """Angles from -pi/2 to pi/2, both of which are an infinite effect, and the statistics there."""
        coarse = np.linspace(-math.pi / 2, math.pi / 2, 361)
        turns = self._turns(coarse)
        steps = np.geomspace(1e-9, 0.5, 40)
        fine = [turn + sign * steps for turn in (*turns, -math.pi / 2, math.pi / 2) for sign in (-1.0, 1.0)]
        angles = np.unique(np.concatenate([coarse, turns, *fine]))
        kept = [float(angle) for angle in angles[np.abs(angles) <= math.pi / 2]]
        return kept, [self._statistics(angle) for angle in kept]

    def _turns(self, coarse: FloatArray) -> list[float]:
        """Angles where AR is locally least or largest; the two ends of the coarse grid are the same effect."""
        ar = np.array([self._statistics(float(angle))[0] for angle in coarse[:-1]])
        before, after = np.roll(ar, 1), np.roll(ar, -1)
        step, found = coarse[1] - coarse[0], []
        for sign in (1.0, -1.0):
            for k in np.flatnonzero((sign * ar < sign * before) & (sign * ar <= sign * after)):
                middle = coarse[k]
                best = optimize.minimize_scalar(
                    lambda angle, sign=sign: sign * self._statistics(angle)[0],
                    bounds=(middle - step, middle + step),
                    method="bounded",
                    options={"xatol": 1e-10},
                )
                found.append((float(best.x) + math.pi / 2) % math.pi - math.pi / 2)
        return found

    def _statistics(self, angle: float) -> tuple[float, float, float, float]:
        """AR, LM, LR and q at the effect of an angle."""
        cosine, sine = math.cos(angle), math.sin(angle)
        u = np.array([cosine, -(cosine * self.center + sine * self.scale)])
        d = np.array([sine, cosine * self.scale - sine * self.center])  # any other direction would do
        V_uu, V_du, V_dd = (np.einsum("a,acij,c->ij", x, self.covariance, y) for x, y in ((u, u), (d, u), (d, d)))
        L = linalg.cholesky(V_uu, lower=True)
        half = linalg.solve_triangular(L, np.column_stack([self.scores @ u, self.scores @ d, V_du.T]), lower=True)
        w, V_du = half[:, 0], half[:, 2:].T
        ar = float(w @ w)
        G = half[:, 1] - linalg.solve_triangular(L, V_du @ w, lower=True)
        raw = self.scores @ d - V_du @ w
        lm = float((G @ w) ** 2 / (G @ G))
        strength = float(raw @ linalg.solve(V_dd - V_du @ V_du.T, raw, assume_a="pos"))
        lr = (ar - strength + math.hypot(ar - strength, 2 * math.sqrt(lm * strength))) / 2
        return ar, lm, max(lr, 0.0), strength

    def _found(self, name: RobustTest, ar: float, lm: float, lr: float, strength: float) -> tuple[float, NullLaw]:
        """Statistic and law of a test; with one instrument all are AR."""
        m = len(self.scores)
        if name == "Anderson-Rubin" or m == 1:
            return ar / m, FLaw(m, self.free)
        if name == "Lagrange multiplier":
            return lm, ChiSquared(1)
        return lr, Conditional(m, strength)

    def _log_p(self, name: RobustTest, *statistics: float) -> float:
        statistic, law = self._found(name, *statistics)
        return law.log_p(statistic)


def stacked_form(design: StackedDesign, *, count_learning: bool = True) -> StackedForm:
    """What the robust tests need, the covariance counting the error of learning unless told not to.

    Raises
    ------
    NotApplicable
        The instruments and controls explain the exposure or the outcome entirely, or the outcome is an exact multiple
        of the exposure.
    """
    form = form_of(design.partialled)
    omega, A = form.covariance, form.projected
    m = form.n_instruments
    V: FloatArray = omega[:, :, None, None] * np.eye(m)
    if count_learning and design.learning is not None:
        V = _bounded(omega, design.learning)
    H = A[1, 1] - form.roots[0] * omega[1, 1]
    center = float((A[0, 1] - form.roots[0] * omega[0, 1]) / H) if H > 0 else 0.0
    scale = math.sqrt(omega[0, 0] / omega[1, 1]) / math.sqrt(1.0 + form.roots[1])
    return StackedForm(design.partialled.whitened, V, omega, form.free, center, scale)


def _bounded(omega: FloatArray, learning: FloatArray) -> FloatArray:
    """Omega (x) I plus what learning adds, with no variance multiplied by less than 0.01."""
    m = learning.shape[2]
    L = linalg.cholesky(omega, lower=True)
    half = linalg.inv(L)
    relative = np.einsum("pa,acij,qc->piqj", half, learning, half).reshape(2 * m, 2 * m)
    values, U = linalg.eigh((relative + relative.T) / 2)
    kept = (U * np.maximum(1.0 + values, _SMALLEST)) @ U.T
    return np.asarray(np.einsum("ap,piqj,cq->acij", L, kept.reshape(2, m, 2, m), L))
