"""Confounder, exposure and outcome of simulated people, given their genotypes and ancestry.

Symbols: q ancestry proportions, G genetic score, H confounder, D exposure, Y outcome, theta effect.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import norm

from invarmr.arrays import FloatArray, IntArray
from invarmr.simulate.admixture_design import AGE_MEAN, AGE_SD, AdmixtureDesign

__all__ = [
    "Outcome",
    "ancestry_confounder",
    "covariates",
    "exposure",
    "genetic_score",
    "negative_control",
    "outcome",
    "scale_effects",
]

_SAMPLES_AT_ONCE = 16_384


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Outcome values (samples,) and the effect a linear instrumental-variable estimate aims at, with its scale."""

    values: FloatArray | IntArray
    effect: float
    scale: str


def genetic_score(calls: NDArray[np.int8], effects: FloatArray) -> FloatArray:
    """Sum of copies times per-allele effect, (samples,); `calls` (variants, samples) complete."""
    score = np.empty(calls.shape[1])
    for start in range(0, score.size, _SAMPLES_AT_ONCE):
        part = slice(start, start + _SAMPLES_AT_ONCE)
        score[part] = effects @ calls[:, part].astype(np.float64)
    return score


def scale_effects(
    calls: NDArray[np.int8], ancestry: FloatArray, effects: FloatArray, *, heritability: float
) -> tuple[FloatArray, FloatArray]:
    """Rescale effects so that the score's variance about its regression on ancestry is `heritability`.

    Returns
    -------
    FloatArray
        (variants,) rescaled effects.
    FloatArray
        (samples,) score with sample mean 0.
    """
    score = genetic_score(calls, effects)
    regressors = np.column_stack([np.ones(score.size), ancestry[:, :-1]])
    residual = score - regressors @ np.linalg.lstsq(regressors, score, rcond=None)[0]
    factor = np.sqrt(heritability / np.mean(residual**2))
    return effects * factor, (score - score.mean()) * factor


def ancestry_confounder(ancestry: FloatArray, design: AdmixtureDesign, *, rng: np.random.Generator) -> FloatArray:
    """H = ancestry_strength * standardised c'q + N(0, 1), (samples,)."""
    line = ancestry @ design.weights(ancestry.shape[1])
    standardised = (line - line.mean()) / line.std()
    confounder: FloatArray = design.ancestry_strength * standardised + rng.standard_normal(line.size)
    return confounder


def covariates(n_samples: int, *, rng: np.random.Generator) -> tuple[FloatArray, IntArray]:
    """Age in years (one decimal, 18 to 95) and sex (1 male, 2 female), independent of everything else."""
    age = np.clip(AGE_MEAN + AGE_SD * rng.standard_normal(n_samples), 18, 95)
    return np.round(age, 1), rng.integers(1, 3, n_samples)


def _covariate_part(age: FloatArray, sex: IntArray, design: AdmixtureDesign) -> FloatArray:
    part: FloatArray = design.covariate_effect * ((age - AGE_MEAN) / AGE_SD - (sex - 1.5))
    return part


def exposure(
    score: FloatArray,
    confounder: FloatArray,
    age: FloatArray,
    sex: IntArray,
    *,
    design: AdmixtureDesign,
    rng: np.random.Generator,
) -> FloatArray:
    """D = G + exposure_confounding * H + covariates + noise, with variance 1 given ancestry, (samples,)."""
    noise: FloatArray = np.sqrt(design.exposure_noise_variance) * rng.standard_normal(score.size)
    noise += score + design.exposure_confounding * confounder + _covariate_part(age, sex, design)
    return noise


def outcome(
    exposures: FloatArray,
    confounder: FloatArray,
    age: FloatArray,
    sex: IntArray,
    *,
    design: AdmixtureDesign,
    rng: np.random.Generator,
) -> Outcome:
    """Y = theta D + outcome_confounding * H + covariates + N(0, 1), or whether it exceeds a threshold.

    The threshold makes the expected share of cases `prevalence`. What a linear instrumental-variable estimate aims
    at with a binary outcome is the average derivative of the risk, E[phi(liability - threshold)] * theta.
    """
    liability = design.effect * exposures + design.outcome_confounding * confounder
    liability += _covariate_part(age, sex, design)
    noise = rng.standard_normal(liability.size)
    if design.outcome == "quantitative":
        return Outcome(values=liability + noise, effect=design.effect, scale="outcome units per unit of exposure")
    low, high = liability.min() - 10, liability.max() + 10
    threshold = brentq(lambda cut: norm.cdf(liability - cut).mean() - design.prevalence, low, high)
    return Outcome(
        values=(liability + noise > threshold).astype(np.int64),
        effect=float(norm.pdf(liability - threshold).mean() * design.effect),
        scale="average risk difference per unit of exposure",
    )


def negative_control(confounder: FloatArray, *, design: AdmixtureDesign, rng: np.random.Generator) -> FloatArray:
    """outcome_confounding * H + N(0, 1), (samples,): confounded as the outcome is, and nothing acts on it."""
    values: FloatArray = design.outcome_confounding * confounder + rng.standard_normal(confounder.size)
    return values
