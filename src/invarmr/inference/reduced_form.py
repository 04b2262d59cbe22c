"""The reduced form of a design, and the statistics of all weak-instrument-robust tests, by one formula.

Symbols: A (1 + m, 1 + m) cross-product of (Y, X) projected on the k instruments, Omega the covariance of their errors,
everything given the controls; b = (1, -beta')', B0 = (beta, I)' (1 + m, m), so that b'B0 = 0:

    AR  = b'A b / b'Omega b
    T'S = B0'Omega^-1 A b / sqrt(b'Omega b),  T'T = B0'Omega^-1 A Omega^-1 B0,  G = B0'Omega^-1 B0
    LM  = (T'S)'(T'T)^-1 (T'S)
    LR  = AR - lambda_min,  lambda_min the smallest root of |A - lambda Omega|
    q_T = smallest root of |T'T - q G|, how strongly the instruments identify the effect if beta is true.

Omega = (Y, X)'(I - P)(Y, X) / (n - k - c), plus what learning the instruments adds. With one exposure everything is a
function of the share x = LR / (lambda_max - lambda_min): AR = lambda_min + x Delta, q_T = lambda_max - x Delta,
LM = Delta^2 x (1 - x) / q_T with Delta = lambda_max - lambda_min; so every set is made of sublevel sets of AR.
Sources: Anderson & Rubin (1949), Annals of Mathematical Statistics 20:46; Kleibergen (2002), Econometrica 70:1781;
Moreira (2003), Econometrica 71:1027; Andrews, Moreira & Stock (2006), Econometrica 74:715.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import linalg

from invarmr.arrays import FloatArray
from invarmr.data.design import IVDesign, Partialled
from invarmr.inference.learning_covariance import with_learning
from invarmr.inference.null_law import ChiSquared, Conditional, FLaw, NullLaw
from invarmr.inference.statistical_test import NotApplicable
from invarmr.linalg.symmetric import RANK_TOLERANCE, solve_on_range

__all__ = ["ReducedForm", "Statistics", "form_of", "reduced_form"]


@dataclass(frozen=True)
class Statistics:
    """The statistics at one value of the effect (see the module): `ar`, `lm`, `lr` and `strength`, q_T."""

    ar: float
    lm: float
    lr: float
    strength: float


@dataclass(frozen=True, eq=False)
class ReducedForm:
    """What the robust tests need of a design.

    Parameters
    ----------
    projected
        A (1 + m, 1 + m), outcome first.
    covariance
        Omega (1 + m, 1 + m).
    n_instruments, free
        k, and n - k - c, the degrees of freedom of Omega.
    roots
        Roots of |A - lambda Omega|, ascending (1 + m,); as many are exactly zero as k demands.
    """

    projected: FloatArray
    covariance: FloatArray
    n_instruments: int
    free: int
    roots: FloatArray

    def at(self, value: FloatArray) -> Statistics:
        """The statistics at an effect beta (m,)."""
        A, omega = self.projected, self.covariance
        b = np.concatenate([[1.0], -value])
        B0 = np.vstack([value, np.eye(len(value))])
        variance = b @ omega @ b
        ar = float(b @ A @ b / variance)
        lr = max(ar - float(self.roots[0]), 0.0)
        half = linalg.solve(omega, B0, assume_a="pos")
        tt, ts = half.T @ A @ half, half.T @ (A @ b) / np.sqrt(variance)
        lm = ar if self.n_instruments <= len(value) else float(ts @ solve_on_range(tt, ts)[0])
        strength = float(linalg.eigh(tt, B0.T @ half, eigvals_only=True)[0])
        return Statistics(ar, lm, lr, max(strength, 0.0))

    @property
    def law(self) -> NullLaw:
        """Of the tests with one degree of freedom (LM, LR): chi2(1), or F(1, free) with one instrument: all are AR."""
        return FLaw(1, self.free) if self.n_instruments == 1 else ChiSquared(1)

    def conditional(self, strength: float) -> NullLaw:
        """Of the likelihood ratio given the strength at the tested effect."""
        return self.law if self.n_instruments == 1 else Conditional(self.n_instruments, strength)

    @property
    def joint_law(self) -> FLaw:
        """Of AR / k."""
        return FLaw(self.n_instruments, self.free)


def reduced_form(design: IVDesign, *, count_learning: bool = True) -> ReducedForm:
    """The reduced form of a design, its covariance counting the error of learning unless told not to.

    Raises
    ------
    NotApplicable
        As of `form_of`.
    """
    form = form_of(design.partialled)
    if not count_learning:
        return form
    return _with_roots(form.projected, with_learning(form.covariance, design), form.n_instruments, form.free)


def form_of(parts: Partialled) -> ReducedForm:
    """The reduced form from cross-products of the outcome and one exposure or several.

    Raises
    ------
    NotApplicable
        The instruments and controls explain an exposure or the outcome entirely, or the outcome is an exact multiple of
        the exposure.
    """
    free = parts.n_samples - parts.n_instruments - parts.n_controls
    omega: FloatArray = (parts.total - parts.projected) / free
    scale = np.sqrt(np.clip(np.diag(omega), 0.0, None))
    noise = np.diag(omega) * free <= RANK_TOLERANCE * np.diag(parts.total)
    if noise.any() or linalg.eigvalsh(omega / np.outer(scale, scale))[0] <= RANK_TOLERANCE:
        raise NotApplicable(
            "Given the controls, the instruments explain the exposure or the outcome entirely, or the outcome is an "
            "exact multiple of the exposure: there is no error to measure the effect against. Check the columns."
        )
    return _with_roots(parts.projected, omega, parts.n_instruments, free)


def _with_roots(A: FloatArray, omega: FloatArray, n_instruments: int, free: int) -> ReducedForm:
    roots = linalg.eigh(A, omega, eigvals_only=True)
    roots[: max(len(omega) - n_instruments, 0)] = 0.0
    return ReducedForm(A, omega, n_instruments, free, np.clip(roots, 0.0, None))
