"""How good learned parts are: recovery of W, leakage of V, and a test of conditional independence.

Symbols: W, V true parts (p and q columns), W^ learned. R2(A | B): A whitened, each column regressed on (1, B), the
shares of explained variance averaged (the mean squared canonical correlation where the ranks agree). It is the same for
every basis of A and of B, so that a W^ made of V1 - V2 shows as plainly as one made of V1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from invarmr.arrays import FloatArray
from invarmr.diagnostics.conditional_independence import conditional_independence
from invarmr.linalg.random_fourier import FourierRidge
from invarmr.linalg.symmetric import range_whitener
from invarmr.simulate.latent import LatentSample

__all__ = ["Measures", "explained_share", "flexible_share", "measure"]


@dataclass(frozen=True)
class Measures:
    """Of one learned W^; each between 0 and 1 but for noise.

    Parameters
    ----------
    recovery
        R2(W | W^).
    leakage, leakage_nonlinear
        R2(V | W^), linear on the test draw; and by a flexible regression fitted on the validation draw and scored on
        the test draw.
    gcm_p
        p-value of W^ independent of V given W (generalised covariance measure, test draw).
    """

    recovery: float
    leakage: float
    leakage_nonlinear: float
    gcm_p: float


def explained_share(target: FloatArray, predictor: FloatArray) -> float:
    """R2(target | predictor), linear."""
    A, B = _whitened(target), _whitened(predictor)
    if A.shape[1] == 0 or B.shape[1] == 0:
        return 0.0
    return float(np.square(A.T @ B).sum() / A.shape[1])


def flexible_share(
    target: FloatArray, predictor: FloatArray, new_target: FloatArray, new_predictor: FloatArray, *, seed: int
) -> float:
    """R2(target | predictor) of a regression on random Fourier features, on rows it has not seen; not below 0."""
    R = range_whitener(np.cov(new_target, rowvar=False, ddof=0).reshape(new_target.shape[1], -1))
    model = FourierRidge.fit(predictor, target @ R, rng=np.random.default_rng(seed))
    error = new_target @ R - model.predict(new_predictor)
    return max(0.0, 1.0 - float(np.square(error - error.mean(axis=0)).mean(axis=0).mean()))


def measure(
    learned: FloatArray, sample: LatentSample, learned_validation: FloatArray, validation: LatentSample, *, seed: int
) -> Measures:
    """All measures of W^ on the test draw `sample`, W^ being known on the validation draw too."""
    return Measures(
        recovery=explained_share(sample.latent_instrument, learned),
        leakage=explained_share(sample.confounded_part, learned),
        leakage_nonlinear=flexible_share(
            validation.confounded_part, learned_validation, sample.confounded_part, learned, seed=seed
        ),
        gcm_p=conditional_independence(learned, sample.confounded_part, sample.latent_instrument, seed=seed).p_value,
    )


def _whitened(values: FloatArray) -> FloatArray:
    """Centred, orthonormal columns with the span of `values`."""
    centred = values - values.mean(axis=0)
    return np.asarray(centred @ range_whitener(centred.T @ centred))
