"""The mode of the smoothed distribution of the ratios.

Symbols: b_j ratios, s_j their standard errors, w_j weights; h = phi 0.9 min(sd, MAD) p^-1/5 the bandwidth:

    f(x) = sum_j w_j N(x; b_j, h^2),    b = argmax f

f is evaluated as statistical packages evaluate kernel densities: on 512 points from min - 3h to max + 3h, by linear
binning and a fast Fourier transform (Silverman 1982, Applied Statistics 31:93). Standard errors: MAD of a parametric
bootstrap. Source: Hartwig, Davey Smith & Bowden (2017), Int J Epidemiol 46:1985.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, final

import numpy as np
from scipy import special

from invarmr.arrays import FloatArray
from invarmr.data.harmonised import Associations
from invarmr.errors import InputError
from invarmr.estimators.summary.base import SummaryEstimator, check_draws, drawn
from invarmr.estimators.summary.result import Distribution, SummaryEstimate, two_sided

__all__ = ["Mode", "density_mode"]

_POINTS = 512
_MAD = 1.4826
_LABELS = {"simple": "Simple mode", "weighted": "Weighted mode", "penalised": "Penalised mode"}


def density_mode(ratio: FloatArray, weight: FloatArray, *, phi: float = 1.0) -> FloatArray:
    """Modes of the smoothed distributions of the rows of `ratio` (rows, p), with weights (p,) or (rows, p)."""
    rows, p = ratio.shape
    spread = np.minimum(ratio.std(axis=1, ddof=1), _mad(ratio))
    h = np.maximum(phi * 0.9 * spread / p**0.2, 1e-8)
    start, end = ratio.min(axis=1) - 3.0 * h, ratio.max(axis=1) + 3.0 * h
    low, high = start - 4.0 * h, end + 4.0 * h
    step = (high - low) / (_POINTS - 1)
    place = (ratio - low[:, None]) / step[:, None]
    cell = np.floor(place).astype(np.int64)
    right = place - cell
    first = cell + (np.arange(rows) * 2 * _POINTS)[:, None]
    shares = np.broadcast_to(weight / weight.sum(axis=-1, keepdims=True), ratio.shape)
    mass = np.bincount(first.ravel(), (shares * (1.0 - right)).ravel(), rows * 2 * _POINTS)
    mass += np.bincount(first.ravel() + 1, (shares * right).ravel(), rows * 2 * _POINTS)
    lag = np.arange(2 * _POINTS)
    lag = np.minimum(lag, 2 * _POINTS - lag)[None, :] * step[:, None]
    kernel = np.exp(-0.5 * (lag / h[:, None]) ** 2)
    transformed = np.fft.rfft(mass.reshape(rows, -1), axis=1) * np.fft.rfft(kernel, axis=1)
    density = np.fft.irfft(transformed, 2 * _POINTS, axis=1)[:, :_POINTS]
    grid = start[:, None] + (end - start)[:, None] * np.linspace(0.0, 1.0, _POINTS)
    between = (grid - low[:, None]) / step[:, None]
    left = np.clip(np.floor(between).astype(np.int64), 0, _POINTS - 2)
    fraction = between - left
    value = np.take_along_axis(density, left, 1) * (1 - fraction) + np.take_along_axis(density, left + 1, 1) * fraction
    return np.asarray(grid[np.arange(rows), value.argmax(axis=1)])


def _mad(values: FloatArray) -> FloatArray:
    centre = np.median(values, axis=-1, keepdims=True)
    return np.asarray(_MAD * np.median(np.abs(values - centre), axis=-1))


@final
@dataclass(frozen=True, kw_only=True)
class Mode(SummaryEstimator):
    """Mode of the ratios: consistent where the largest group of variants with the same ratio is the valid one.

    Parameters
    ----------
    weighting
        "simple" (equal weights), "weighted" (1 / variance of the ratio) or "penalised" (weights of variants far from
        the weighted mode reduced as for the penalised median).
    nome
        Take the exposure associations as free of error (NOME): variances of the ratios to first order.
    phi
        Factor of the bandwidth.
    penalty
        Factor of the p-value in the penalised weights (`penk`).
    distribution
        Of b / se: "t" with p - 1 degrees of freedom (TwoSampleMR, default) or "normal" (MendelianRandomization).
    n_draws
        Of the bootstrap.
    level
        Level of the confidence set.
    """

    weighting: Literal["simple", "weighted", "penalised"] = "weighted"
    nome: bool = False
    phi: float = 1.0
    penalty: float = 20.0
    distribution: Distribution = "t"
    n_draws: int = 1000
    minimum_variants: ClassVar[int] = 3
    takes_ratios: ClassVar[bool] = True

    @property
    def method(self) -> str:
        """Label of the row."""
        return _LABELS[self.weighting] + (" (NOME)" if self.nome else "")

    def _estimate(self, data: Associations, seed: int) -> SummaryEstimate:
        check_draws(self.n_draws)
        if not self.phi > 0:
            raise InputError(f"phi must be positive, but is {self.phi}.")
        error = data.ratio_std_error(order=1 if self.nome else 2)
        b = float(self._modes(data.ratio[None, :], error)[0])
        blocks = drawn(np.random.default_rng(seed), self.n_draws, (data.ratio, error))
        se = float(_mad(np.concatenate([self._modes(ratio, error) for (ratio,) in blocks])))
        df = data.n_variants - 1
        p, interval, log10_p = two_sided(b, se, df=df, distribution=self.distribution, level=self.level)
        return SummaryEstimate(
            method=self.method,
            nsnp=data.n_variants,
            b=b,
            se=se,
            pval=p,
            log10_pval=log10_p,
            confidence_set=interval,
        )

    def _modes(self, ratio: FloatArray, error: FloatArray) -> FloatArray:
        """Modes of the rows of `ratio`; penalised weights follow each row's own weighted mode."""
        rows = 256  # 2 x 512 numbers a row: a block stays in the processor's cache
        parts = [self._block(ratio[start : start + rows], error) for start in range(0, ratio.shape[0], rows)]
        return np.concatenate(parts)

    def _block(self, ratio: FloatArray, error: FloatArray) -> FloatArray:
        weight = np.ones(error.size) if self.weighting == "simple" else error**-2.0
        modes = density_mode(ratio, weight, phi=self.phi)
        if self.weighting != "penalised":
            return modes
        p = special.chdtrc(1, weight * (ratio - modes[:, None]) ** 2)
        return density_mode(ratio, weight * np.minimum(1.0, p * self.penalty), phi=self.phi)
