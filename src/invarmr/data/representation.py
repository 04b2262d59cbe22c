"""A learned map from instruments to features, for learners whose map is not linear in the instruments.

Symbols: Z (n, d) instruments, u = phi(Z) (n, r) features, row by row. What is learned afterwards is linear in u, so
that every estimator and diagnostic works on the features as it works on instruments, and none needs to know the map.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import final

import numpy as np

from invarmr.arrays import FloatArray, IntArray, read_only
from invarmr.data.instrument_source import InstrumentSource, Rows
from invarmr.errors import InputError

__all__ = ["Representation", "RepresentedInstruments", "represent"]

BLOCK = 16_384
"""People mapped at a time."""


class Representation(ABC):
    """A map from (n, d) instruments to (n, r) features, numpy in and numpy out; no row depends on another."""

    feature_names: tuple[str, ...]

    @abstractmethod
    def apply(self, instrument: FloatArray) -> FloatArray:
        """Features (n, r), float64, of instruments (n, d)."""


@final
class RepresentedInstruments(InstrumentSource):
    """Features of the people of another source, held in memory.

    Parameters
    ----------
    values
        (n_samples, r) float64.
    raw
        The instruments they were computed from; None where only the features are known (an archive).
    """

    def __init__(self, values: FloatArray, raw: InstrumentSource | None = None) -> None:
        self._values = read_only(np.asarray(values, dtype=np.float64))
        self.n_samples, self.n_instruments = self._values.shape
        self.raw = raw

    def read(self, samples: IntArray) -> FloatArray:
        """Rows of `samples`."""
        return np.asarray(self._values[samples])

    def arranged(self, samples: IntArray, order: IntArray) -> Rows:
        """Rows of the features, which are in memory already."""
        wanted = samples[order]
        return lambda rows: self._values[wanted[rows]]


def represent(source: InstrumentSource, representation: Representation) -> RepresentedInstruments:
    """Map every person's instruments to features, in blocks.

    Raises
    ------
    InputError
        A feature that is not finite for somebody.
    """
    values = np.empty((source.n_samples, len(representation.feature_names)))
    for start in range(0, source.n_samples, BLOCK):
        block = np.arange(start, min(start + BLOCK, source.n_samples))
        values[block] = representation.apply(source.read(block).astype(np.float64))
    endless = int(np.count_nonzero(~np.isfinite(values).all(axis=1)))
    if endless:
        raise InputError(
            f"The learned representation must be finite for everybody, but is not for {endless} of "
            f"{len(values)} people. Check the instruments for extreme values, or learn with another seed."
        )
    return RepresentedInstruments(values, source)
