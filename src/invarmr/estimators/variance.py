"""Variances of a k-class estimate of one effect.

Symbols: X exposure and Y outcome, both partialled of the controls; P projection on k instruments; u = Y - theta X;
kappa of the k-class; H = X'X - kappa X'(I - P)X; n samples, c controls, df = n - c - 1.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from invarmr.data.design import Partialled
from invarmr.data.stacked_design import Design
from invarmr.errors import InputError

__all__ = ["StandardErrors", "homoskedastic_variance", "many_instrument_variance", "row_variance"]

StandardErrors = Literal["homoskedastic", "many-instrument", "robust", "clustered"]


def homoskedastic_variance(parts: Partialled, theta: float, H: float) -> float:
    """s2 / H with s2 = u'u / df: errors of equal variance, few instruments."""
    contrast = np.array([1.0, -theta])
    s2 = contrast @ parts.total @ contrast / (parts.n_samples - parts.n_controls - 1)
    return float(s2 / H)


def many_instrument_variance(parts: Partialled, theta: float, H: float) -> float:
    """Bekker's variance of LIML and Fuller, right also when the instruments are many and each is weak.

    With a = u'Pu / u'u, x~ = X - u (u'X / u'u) and `H` = X'PX - a X'X,

        V = s2 { (1 - a)^2 x~'P x~ + a^2 x~'(I - P) x~ } / H^2.

    Assumes equal variances and errors without skewness or excess kurtosis (the third- and fourth-moment terms of
    Hansen, Hausman & Newey are left out). With few strong instruments it equals the homoskedastic variance.
    Sources: Bekker (1994), Econometrica 62:657; Hansen, Hausman & Newey (2008), JBES 26:398.
    """
    contrast, x = np.array([1.0, -theta]), np.array([0.0, 1.0])
    total, projected = parts.total, parts.projected
    uu = contrast @ total @ contrast
    a = contrast @ projected @ contrast / uu
    x_tilde = x - contrast * (contrast @ total @ x / uu)
    inside = x_tilde @ projected @ x_tilde
    outside = x_tilde @ (total - projected) @ x_tilde
    scale = uu / (parts.n_samples - parts.n_controls - 1)
    return float(scale * ((1 - a) ** 2 * inside + a**2 * outside) / H**2)


def row_variance(design: Design, theta: float, kappa: float, H: float, *, clustered: bool) -> float:
    """Heteroskedasticity-robust (HC1) or clustered variance, by a second pass over the rows in blocks.

    V = f sum_g (sum_{i in g} u_i x_i)^2 / H^2, x_i = (PX)_i, X_i for least squares, every sample its own g unless
    clustered; f = n / df, times G / (G - 1) (n - 1) / n when clustered over G clusters.
    The first stage's fit stands in the scores for every kappa, as in Stata's ivregress and linearmodels.
    Sources: White (1980), Econometrica 48:817; Liang & Zeger (1986), Biometrika 73:13.

    Raises
    ------
    InputError
        No rows at hand, or clustered errors without a cluster column.
    """
    parts, cohort = design.partialled, design.cohort
    if cohort is None:
        raise InputError("Robust and clustered errors need the rows of the cohort, but the design has moments alone.")
    if clustered and cohort.cluster is None:
        raise InputError("Clustered errors need a cluster for every sample: name it with [phenotypes] cluster.")
    sums = np.zeros(int(cohort.cluster.max()) + 1) if clustered and cohort.cluster is not None else None
    squares = 0.0
    for instruments, pair, rows in design.residual_rows():
        fitted = instruments @ parts.whitened[:, 1] if kappa else pair[:, 1]
        score = (pair[:, 0] - theta * pair[:, 1]) * fitted
        if sums is None or cohort.cluster is None:
            squares += float(score @ score)
        else:
            sums += np.bincount(cohort.cluster[rows], weights=score, minlength=len(sums))
    n = parts.n_samples
    factor = n / (n - parts.n_controls - 1)
    if sums is not None:
        clusters = len(sums)
        if clusters < 2:
            raise InputError("Clustered errors need at least two clusters, but all samples are in one.")
        squares, factor = float(sums @ sums), factor * clusters / (clusters - 1) * (n - 1) / n
    return factor * squares / H**2
