"""Strength of the variants: F, and I2_GX for MR Egger.

Symbols: gamma, sigma_X (p,) exposure associations and their errors, rho their correlation:

    F = gamma' (diag(sigma_X) rho diag(sigma_X))^-1 gamma / p      (the mean of gamma^2 / sigma_X^2 if independent)
    I2_GX = max{0, (Q - (p - 1)) / Q},  Q = sum (|g| - mean)^2 / s^2, the mean weighted by 1 / s^2

with g = gamma / sigma_Y and s = sigma_X / sigma_Y, as the weighted regression sees them (or g = gamma, s = sigma_X).

MR Egger is diluted by about the factor I2_GX; below 0.9 use another method. Sources: Bowden et al. (2016), Int J
Epidemiol 45:1961; Burgess & Thompson (2011), Int J Epidemiol 40:755.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import polars as pl
from scipy import linalg

from invarmr.data.harmonised import Associations, HarmonisedStatistics
from invarmr.diagnostics.summary.heterogeneity import i_squared
from invarmr.diagnostics.summary.rows import Row, rows_of_pairs

__all__ = ["i_squared_gx", "instrument_strength", "mean_f"]


def mean_f(data: Associations) -> float:
    """F of the variants together, an F in the strict sense (divided by p); weak below 10."""
    z = data.exposure / data.exposure_std_error
    whitened = z if data.correlation is None else linalg.solve(data.correlation, z, assume_a="pos")
    return float(z @ whitened / data.n_variants)


def i_squared_gx(data: Associations, *, weighted: bool = True) -> float:
    """I2_GX, in [0, 1]: how far from its full size MR Egger's slope is pulled by the error of the associations.

    Parameters
    ----------
    data
        Two variants at least.
    weighted
        Of gamma / sigma_Y, as MendelianRandomization prints it (default), or of gamma itself.
    """
    scale = data.outcome_std_error if weighted else np.ones(data.n_variants)
    gamma, weight = np.abs(data.exposure) / scale, (scale / data.exposure_std_error) ** 2
    mean = float(weight @ gamma / weight.sum())
    return i_squared(float(weight @ (gamma - mean) ** 2), data.n_variants - 1)


def instrument_strength(harmonised: HarmonisedStatistics) -> pl.DataFrame:
    """F and I2_GX of every pair.

    Returns
    -------
    polars.DataFrame
        `id.exposure, id.outcome, outcome, exposure, nsnp, mean_f, weakest_f, i2_gx`; `i2_gx` is null for one variant.
    """

    def measure(data: Associations, _: pl.DataFrame) -> Iterable[Row]:
        f = (data.exposure / data.exposure_std_error) ** 2
        i2 = i_squared_gx(data) if data.n_variants > 1 else None
        yield {"nsnp": data.n_variants, "mean_f": mean_f(data), "weakest_f": float(f.min()), "i2_gx": i2}

    columns = {"nsnp": pl.Int64, "mean_f": pl.Float64, "weakest_f": pl.Float64, "i2_gx": pl.Float64}
    return rows_of_pairs(harmonised, measure, columns)
