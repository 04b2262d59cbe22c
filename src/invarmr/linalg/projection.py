"""Partialling out on cross-product matrices.

Symbols: G (m, m) cross-product of m columns; C the controls among them; M_C = I - P_C.
"""

from __future__ import annotations

import numpy as np

from invarmr.arrays import FloatArray, IntArray
from invarmr.linalg.symmetric import RANK_TOLERANCE, solve_on_range

__all__ = ["partial_out"]


def partial_out(G: FloatArray, kept: IntArray, controls: IntArray) -> tuple[FloatArray, FloatArray, int]:
    """X' M_C X for the kept columns X, by the Schur complement; also the coefficients of X on C, and rank C.

    X' M_C X = G_XX - G_XC G_CC^+ G_CX; a column that C explains but for rounding becomes exactly zero.
    Source: Frisch & Waugh (1933), Lovell (1963).

    Returns
    -------
    (len(kept), len(kept)) matrix, (len(controls), len(kept)) coefficients, rank of the controls.
    """
    block = G[np.ix_(kept, kept)]
    if len(controls) == 0:
        return block, np.zeros((0, len(kept))), 0
    cross = G[np.ix_(controls, kept)]
    coefficients, rank = solve_on_range(G[np.ix_(controls, controls)], cross)
    partialled = block - cross.T @ coefficients
    explained = np.diag(partialled) <= RANK_TOLERANCE * np.diag(block)
    partialled[explained], partialled[:, explained] = 0.0, 0.0
    return (partialled + partialled.T) / 2, coefficients, rank
