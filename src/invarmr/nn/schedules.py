"""Learning rates over the epochs, model by model: constant, halved on a plateau, or down a cosine."""

from __future__ import annotations

import math
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

__all__ = ["SCHEDULES", "Plateau", "Schedule", "cosine_rate"]

Schedule = Literal["constant", "plateau", "cosine"]
SCHEDULES: tuple[Schedule, ...] = get_args(Schedule)
PATIENCE, FACTOR, GAIN = 20, 0.5, 1e-4


def cosine_rate(rate: float, epoch: int, epochs: int) -> float:
    """The rate of an epoch on the way from `rate` to zero."""
    return 0.5 * rate * (1 + math.cos(math.pi * epoch / epochs))


class Plateau:
    """Halves the rate of each model whose loss has not fallen by 1e-4 of itself in 20 epochs.

    Parameters
    ----------
    models
        Number of models M. `best` and `waited` (M,) are its state.
    """

    def __init__(self, models: int) -> None:
        self.best: NDArray[np.float64] = np.full(models, np.inf)
        self.waited: NDArray[np.int64] = np.zeros(models, dtype=np.int64)

    def factors(self, loss: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Take in the losses (M,) of an epoch; (M,) factors of the rates for the next."""
        known = np.isfinite(self.best)
        bar = np.where(known, self.best - GAIN * np.abs(np.where(known, self.best, 0.0)), np.inf)
        better = loss < bar
        self.best[better] = loss[better]
        self.waited[:] = np.where(better, 0, self.waited + 1)
        tired = self.waited > PATIENCE
        self.waited[tired] = 0
        return np.where(tired, FACTOR, 1.0)
