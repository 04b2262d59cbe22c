"""What learning the instruments from the same people adds to, or takes from, the variance of the effect.

Symbols: W learned instruments, V directions set aside, u = Y - theta D given the controls; in environment f, weight
pi_f, u_f the mean of u and k_f (q,) the covariance of V with u; L_j the leak of direction j of W into V (see `Leak`).

To first order the learned instrument's covariance with u is g_j = cov(W_j, u) + L_j s, s = cov(V, u) over all people,
and both terms come from the same noise: with s2 = var(u) and n people

    var(g_j) = s2 / n + s' Sigma_L s - 2 sum_f (pi_f / n) { u_f A_f s + k_f' B_f s },

the same for every j, so that the variance of the effect is multiplied by the one factor n var(g_j) / s2. It may be
below 1: learning balances W on V in the sample, as adjusting for a covariate would.

With the learned V partialled out, u is the residual on V, s the coefficient of u on V, and B_f - I takes the place of
B_f: the learned V has no covariance with the learned W within environments, so it carries the sample covariance
N_j = sum_f pi_f E_fj of W_j with V, and g_j = cov(W_j, u) + (L_j + N_j) s. Taking the directions as known is wrong by
this factor, whatever n. This package's; validation of it: `tests/oracles/test_learning_error.py`.
"""

from __future__ import annotations

import numpy as np

from invarmr.data.stacked_design import Design, StackedDesign
from invarmr.inference.learning_covariance import learning_covariance
from invarmr.inference.stacked_form import stacked_form

__all__ = ["learning_inflation"]


def learning_inflation(design: Design, theta: float) -> float:
    """1 + b'Q b / var(u) with b = (1, -theta); 1 where nothing was learned or the leak is not known.

    Of a stacked design, whose instruments do not share one factor, G'V_uu G / (G'G b'Omega b) as in `stacked_form`: the
    mean of their factors by how much each says of the exposure.
    """
    contrast = np.array([1.0, -theta])
    if isinstance(design, StackedDesign):
        return 1.0 if design.learning is None else max(stacked_form(design).mean_factor(theta), _SMALLEST)
    variance = contrast @ design.partialled.total @ contrast / design.moments.n_total
    return float(max(1.0 + contrast @ learning_covariance(design) @ contrast / variance, _SMALLEST))


_SMALLEST = 0.01
"""Bound below: a first-order factor cannot be trusted to nothing."""
