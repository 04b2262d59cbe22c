"""Symmetric matrices: whitening with a stated rank, and the inverse on the range.

Symbols: S symmetric positive semi-definite (d, d); R whitener (d, r) with R'SR = I, r the numerical rank of S.
"""

from __future__ import annotations

import numpy as np
from scipy import linalg

from invarmr.arrays import FloatArray

__all__ = ["RANK_TOLERANCE", "inverse_root", "range_whitener", "solve_on_range"]

RANK_TOLERANCE = 1e-9
"""Share of the largest eigenvalue of a correlation matrix below which a direction counts as null."""


def range_whitener(S: FloatArray, tolerance: float = RANK_TOLERANCE) -> FloatArray:
    """R (d, r) with R'SR = I_r, spanning the range of S.

    S is first scaled to unit diagonal, so that the rank does not depend on the units of the columns; directions
    whose eigenvalue is below `tolerance` times the largest are dropped, and columns without variance with them.
    R is the inverse Cholesky factor where S is clearly of full rank, and built from eigenvectors where it is not.
    """
    scale = np.sqrt(np.clip(np.diag(S), 0.0, None))
    used = scale > 0
    if not used.any():
        return np.zeros((S.shape[0], 0))
    correlation = S[np.ix_(used, used)] / np.outer(scale[used], scale[used])
    if used.all() and (factor := _clear_cholesky(correlation)) is not None:
        inverse, _ = linalg.lapack.dtrtri(factor, lower=1)
        return np.asarray(inverse.T / scale[:, None])
    values, vectors = linalg.eigh(correlation)
    kept = values > tolerance * values[-1]
    R = np.zeros((S.shape[0], int(kept.sum())))
    R[used] = vectors[:, kept] / np.sqrt(values[kept]) / scale[used, None]
    return R


def inverse_root(S: FloatArray, tolerance: float = RANK_TOLERANCE) -> FloatArray:
    """The symmetric root of S^+ (d, d): the whitener that moves points least, 0 on the null space of S."""
    values, vectors = linalg.eigh(S)
    kept = values > tolerance * max(values[-1], 0.0)
    return np.asarray((vectors[:, kept] / np.sqrt(values[kept])) @ vectors[:, kept].T)


def solve_on_range(S: FloatArray, B: FloatArray) -> tuple[FloatArray, int]:
    """S^+ B and the rank of S; Cholesky where S is well conditioned, the whitener where it is not."""
    if S.shape[0] == 0:
        return np.zeros_like(B), 0
    scale = np.sqrt(np.clip(np.diag(S), 0.0, None))
    if (scale > 0).all():
        factor = _clear_cholesky(S / np.outer(scale, scale))
        if factor is not None:
            shape = (-1,) + (1,) * (B.ndim - 1)
            scaled = linalg.cho_solve((factor, True), B / scale.reshape(shape))
            return scaled / scale.reshape(shape), S.shape[0]
    R = range_whitener(S)
    return R @ (R.T @ B), R.shape[1]


def _clear_cholesky(correlation: FloatArray) -> FloatArray | None:
    """The lower Cholesky factor of a correlation matrix, or None where its rank is in any doubt."""
    try:
        factor = linalg.cholesky(correlation, lower=True)
    except linalg.LinAlgError:
        return None
    return factor if np.diag(factor).min() > _CLEAR else None


_CLEAR = 1e-3
"""Smallest diagonal of a Cholesky factor (a conditional standard deviation) that leaves no doubt of the rank."""
