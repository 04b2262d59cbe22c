"""The rows of every step: drawn from the seed and the number of the epoch, shared by the models that share both.

Symbols: G distinct pairs (data set, seed), L models on each, M = G L; b rows per environment in a step.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from invarmr.errors import InputError

__all__ = ["EpochBatches", "StackData", "steps_per_epoch"]


@dataclass(frozen=True, eq=False)
class StackData:
    """A data set: standardised instruments (n, d), rows sorted by environment, float32.

    Parameters
    ----------
    Z, sizes
        Training rows, and how many each environment has.
    validation, validation_sizes
        The same of people who are not trained on.
    exposure
        (n,) or None.
    """

    Z: NDArray[np.float32]
    sizes: tuple[int, ...]
    validation: NDArray[np.float32]
    validation_sizes: tuple[int, ...]
    exposure: NDArray[np.float32] | None = None


def steps_per_epoch(sizes: Sequence[int], batch: int) -> int:
    """Steps in which the largest environment is seen once; smaller ones are seen again.

    Raises
    ------
    InputError
        A batch that is larger than an environment.
    """
    if batch > min(sizes):
        raise InputError(
            f"batch must not exceed the smallest environment's training rows, but is {batch} and the environments have "
            f"{', '.join(map(str, sizes))}. Use a smaller batch, or merge small environments."
        )
    return max(sizes) // batch


class EpochBatches:
    """Batches of a stack of models.

    Parameters
    ----------
    data
        The data sets.
    keys
        (data set, seed) of each of the M models.
    batch
        Rows per environment in a step.
    device
        Where the steps are wanted.
    """

    def __init__(
        self, data: Sequence[StackData], keys: Sequence[tuple[int, int]], batch: int, device: torch.device
    ) -> None:
        self._data, self._batch, self._device = data, batch, device
        self._groups = _equal_groups(keys)
        used = sorted({key[0] for key in keys})
        counts = {(len(data[i].sizes), steps_per_epoch(data[i].sizes, batch)) for i in used}
        if len(counts) > 1:
            raise InputError(f"The data sets of a stack must have equally many environments and steps, not {counts}.")
        self.n_environments, self.steps = counts.pop()
        self._rows = {i: torch.from_numpy(data[i].Z) for i in used}
        self._exposure = {i: data[i].exposure for i in used}
        self._validation = {i: torch.from_numpy(data[i].validation.T.copy()).to(device) for i in used}
        self._models = [keys[models.start][0] for models in self._groups]
        self._seeds = [keys[models.start][1] for models in self._groups]
        d = data[used[0]].Z.shape[1]
        width = self.n_environments * batch
        self._buffer = torch.empty(self.steps, len(self._groups), d, width)

    def draw(self, epoch: int) -> list[tuple[Tensor, Tensor | None]]:
        """The steps of an epoch: instruments (G, d, E b), exposure (G, 1, E b) or None."""
        width = self.n_environments * self._batch
        exposures = []
        for g, (i, seed) in enumerate(zip(self._models, self._seeds, strict=True)):
            rows = self._order(i, seed, epoch)
            self._buffer[:, g] = self._rows[i][rows].reshape(self.steps, width, -1).transpose(1, 2)
            if (exposure := self._exposure[i]) is not None:
                exposures.append(torch.from_numpy(exposure[rows].reshape(self.steps, 1, width)))
        Z = self._buffer.to(self._device)
        if not exposures:
            return [(Z[s], None) for s in range(self.steps)]
        D = torch.stack(exposures, dim=1).to(self._device)
        return [(Z[s], D[s]) for s in range(self.steps)]

    def validation(self) -> Iterator[tuple[slice, Tensor, tuple[int, ...]]]:
        """For every group: its models, its validation instruments (1, d, n) and their environments' sizes."""
        for models, i in zip(self._groups, self._models, strict=True):
            yield models, self._validation[i][None], self._data[i].validation_sizes

    def digest(self) -> str:
        """SHA-256 over all data sets."""
        digest = hashlib.sha256()
        for i in sorted(self._rows):
            digest.update(self._data[i].Z.tobytes())
            digest.update(self._data[i].validation.tobytes())
            if (exposure := self._exposure[i]) is not None:
                digest.update(exposure.tobytes())
        return digest.hexdigest()

    def _order(self, i: int, seed: int, epoch: int) -> NDArray[np.intp]:
        """Row numbers (steps * E * b,): in every step b of environment 0, then b of environment 1, and so on."""
        generator = np.random.default_rng([seed, epoch])
        needed, start, columns = self.steps * self._batch, 0, []
        for size in self._data[i].sizes:
            passes = [generator.permutation(size) for _ in range(-(-needed // size))]
            columns.append(start + np.concatenate(passes)[:needed].reshape(self.steps, self._batch))
            start += size
        return np.stack(columns, axis=1).ravel()


def _equal_groups(keys: Sequence[tuple[int, int]]) -> list[slice]:
    """Runs of models that share data and seed, where all runs are equally long; else one model each."""
    edges = [0] + [i for i in range(1, len(keys)) if keys[i] != keys[i - 1]] + [len(keys)]
    lengths = {stop - start for start, stop in pairwise(edges)}
    if len(lengths) > 1:
        return [slice(i, i + 1) for i in range(len(keys))]
    return [slice(start, stop) for start, stop in pairwise(edges)]
