"""The record of a training run: every term of the loss at every epoch, and invariance on validation people."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from invarmr.nn.objective import LossParts

__all__ = ["History"]


@dataclass(frozen=True, eq=False)
class History:
    """Learning curves of M models.

    Parameters
    ----------
    parts
        (epochs, 5, M): the terms before their weights, in the order of `LossParts`, averaged over an epoch's steps.
    total
        (epochs, M): the objective.
    validation_mmd, validation_mmd_whitened
        (epochs, M): MMD^2 of W^ on validation people, of W^ as it is (kernel of the training) and whitened
        (polynomial kernel of degree 2); NaN in epochs that were not measured.
    validate_every, n_last
        Which epochs are.
    """

    parts: NDArray[np.float32]
    total: NDArray[np.float32]
    validation_mmd: NDArray[np.float32]
    validation_mmd_whitened: NDArray[np.float32]
    validate_every: int
    n_last: int

    @classmethod
    def empty(cls, epochs: int, models: int, validate_every: int, n_last: int) -> History:
        """A record to be filled."""
        blank = np.full((epochs, models), np.nan, dtype=np.float32)
        parts = np.full((epochs, len(LossParts._fields), models), np.nan, dtype=np.float32)
        return cls(parts, blank.copy(), blank.copy(), blank.copy(), validate_every, n_last)

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """The arrays by name."""
        names = ("parts", "total", "validation_mmd", "validation_mmd_whitened")
        return {name: getattr(self, name) for name in names}

    def due(self, epoch: int) -> bool:
        """Whether validation is measured after this epoch."""
        return (epoch + 1) % self.validate_every == 0 or epoch >= len(self.total) - self.n_last

    def add(self, epoch: int, parts: NDArray[np.float32], total: NDArray[np.float32]) -> None:
        """Enter the terms (5, M) and the objective (M,) of an epoch."""
        self.parts[epoch], self.total[epoch] = parts, total

    def add_validation(self, epoch: int, raw: NDArray[np.float32], whitened: NDArray[np.float32]) -> None:
        """Enter the validation MMD (M,) of an epoch."""
        self.validation_mmd[epoch], self.validation_mmd_whitened[epoch] = raw, whitened

    def last_validation(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Raw and whitened validation MMD averaged over the last epochs, (M,) each."""
        return self.validation_mmd[-self.n_last :].mean(axis=0), self.validation_mmd_whitened[-self.n_last :].mean(
            axis=0
        )

    def of_model(self, model: int) -> History:
        """The record of one model, the model axis kept."""
        own = {name: array[..., model : model + 1].copy() for name, array in self.arrays().items()}
        return History(**own, validate_every=self.validate_every, n_last=self.n_last)

    def failures(self) -> dict[int, str]:
        """Models whose loss stopped being finite: the epoch, and the first term that was not."""
        out = {}
        for model in np.flatnonzero(~np.isfinite(self.total).all(axis=0)):
            epoch = int(np.flatnonzero(~np.isfinite(self.total[:, model]))[0])
            bad = [
                name
                for name, value in zip(LossParts._fields, self.parts[epoch, :, model], strict=True)
                if not np.isfinite(value)
            ]
            out[int(model)] = (
                f"the loss stopped being finite in epoch {epoch + 1} of {len(self.total)} "
                f"({', '.join(bad) or 'total'}): use a smaller learning rate, a smaller clip or smaller lambdas"
            )
        return out
