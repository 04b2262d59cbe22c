"""Where instrument values come from: an array in memory, or a genotype file read in blocks.

Everything that needs rows asks an `InstrumentSource` for the rows of some samples; nothing else in the package knows
whether they were in memory. Values are complete: what was missing has been imputed, and counted, before.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from invarmr.arrays import BoolArray, FloatArray, IntArray, read_only
from invarmr.data.genotypes import MISSING_CALL, GenotypeReader

__all__ = ["ArrayInstruments", "GenotypeInstruments", "InstrumentSource", "StackedInstruments"]


class InstrumentSource(ABC):
    """Instrument values (n_samples, n_instruments), read by rows."""

    n_samples: int
    n_instruments: int

    @abstractmethod
    def read(self, samples: IntArray) -> FloatArray:
        """Rows of `samples` (strictly increasing), shape (len(samples), n_instruments), no missing values.

        float64, or float32 where every value is a small whole number of allele copies or an imputed mean.
        """


@final
class ArrayInstruments(InstrumentSource):
    """Instrument values held in memory.

    Parameters
    ----------
    values
        (n_samples, n_instruments), float64, finite.
    """

    def __init__(self, values: FloatArray) -> None:
        self._values = read_only(np.asarray(values, dtype=np.float64))
        self.n_samples, self.n_instruments = self._values.shape

    def read(self, samples: IntArray) -> FloatArray:
        """Rows of `samples`; a view where they are contiguous."""
        first, last = int(samples[0]), int(samples[-1])
        if last - first + 1 == len(samples):
            return self._values[first : last + 1]
        return self._values[samples]


@final
class GenotypeInstruments(InstrumentSource):
    """Copies of the effect allele, read from a genotype file in blocks.

    Parameters
    ----------
    reader
        The file.
    variants
        (n_instruments,) file indices of the variants that were kept.
    flip
        (n_instruments,) True where the effect allele is the one the file does not count: value = 2 - copies.
    samples
        (n_samples,) file indices of the cohort's samples, strictly increasing.
    environment
        (n_samples,) codes 0..E-1.
    imputed
        (E, n_instruments) copies of the effect allele that replace a missing call: the environment's mean.
    """

    def __init__(
        self,
        reader: GenotypeReader,
        *,
        variants: IntArray,
        flip: BoolArray,
        samples: IntArray,
        environment: IntArray,
        imputed: FloatArray,
    ) -> None:
        self._reader, self._variants, self._flip = reader, variants, np.flatnonzero(flip)
        self._samples, self._environment = samples, environment
        self._imputed = np.asarray(imputed, dtype=np.float32)
        self.n_samples, self.n_instruments = len(samples), len(variants)

    def read(self, samples: IntArray) -> FloatArray:
        """Effect-allele copies of `samples`, float32, missing calls replaced by their environment's mean."""
        calls: NDArray[Any] = self._reader.read(self._variants, self._samples[samples])
        values = calls.astype(np.float32)
        if len(self._flip):
            values[self._flip] = 2 - values[self._flip]
        self._impute(calls, values, self._environment[samples])
        return values.T

    def _impute(self, calls: NDArray[Any], values: FloatArray, environment: IntArray) -> None:
        for variant in np.flatnonzero(calls.min(axis=1) == MISSING_CALL):
            missing = np.flatnonzero(calls[variant] == MISSING_CALL)
            values[variant, missing] = self._imputed[environment[missing], variant]


@final
class StackedInstruments(InstrumentSource):
    """Several sources side by side: variants first, then allele scores, say."""

    def __init__(self, *sources: InstrumentSource) -> None:
        self._sources = sources
        self.n_samples = sources[0].n_samples
        self.n_instruments = sum(source.n_instruments for source in sources)

    def read(self, samples: IntArray) -> FloatArray:
        """Rows of `samples` from every source, float64."""
        return np.hstack([source.read(samples).astype(np.float64) for source in self._sources])
