"""Where instrument values come from: an array in memory, or a genotype file read in blocks.

Everything that needs rows asks an `InstrumentSource` for the rows of some samples; nothing else in the package knows
whether they were in memory. Values are complete: what was missing has been imputed, and counted, before.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from invarmr.arrays import BoolArray, FloatArray, IntArray, read_only
from invarmr.data.genotypes import MISSING_CALL, GenotypeReader

__all__ = [
    "ArrayInstruments",
    "GenotypeInstruments",
    "InstrumentSource",
    "Rows",
    "SelectedInstruments",
    "StackedInstruments",
]

Rows = Callable[[slice], NDArray[Any]]
"""Gives some rows of a block of samples, complete, as `InstrumentSource.read` does."""


class InstrumentSource(ABC):
    """Instrument values (n_samples, n_instruments), read by rows.

    Attributes
    ----------
    n_samples, n_instruments
        Numbers of both.
    holds_copies
        Whether values are allele copies, which `read` then gives as int8 or float32.
    bytes_per_sample
        Memory that a block takes for each of its samples (see `arranged`).
    """

    n_samples: int
    n_instruments: int
    holds_copies: bool = False
    bytes_per_sample: int = 0

    @abstractmethod
    def read(self, samples: IntArray) -> NDArray[Any]:
        """Rows of `samples` (strictly increasing), shape (len(samples), n_instruments), no missing values.

        float64; or, for allele copies, int8, or float32 where some calls were imputed or are dosages.
        """

    def arranged(self, samples: IntArray, order: IntArray) -> Rows:
        """Read a block of samples (strictly increasing) into memory, and give its rows in another order."""
        values = self.read(samples)
        return lambda rows: values[order[rows]]


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

    def read(self, samples: IntArray) -> NDArray[Any]:
        """Rows of `samples`; a view where they are contiguous."""
        first, last = int(samples[0]), int(samples[-1])
        if last - first + 1 == len(samples):
            return self._values[first : last + 1]
        return self._values[samples]

    def arranged(self, samples: IntArray, order: IntArray) -> Rows:
        """Rows of the array, which is in memory already."""
        wanted = samples[order]
        return lambda rows: self._values[wanted[rows]]


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
        self.holds_copies = True
        self.bytes_per_sample = len(variants) * (4 if reader.has_dosages else 1)

    def read(self, samples: IntArray) -> NDArray[Any]:
        """Effect-allele copies of `samples`, missing calls replaced by their environment's mean (float32 then)."""
        calls = self._reader.read(self._variants, self._samples[samples])
        return self._complete(calls, self._environment[samples], missing=bool(calls.min(initial=0) == MISSING_CALL))

    def arranged(self, samples: IntArray, order: IntArray) -> Rows:
        """Calls as the file has them, some variants at a time; flipped and completed when rows are asked for."""
        wanted, environment = self._samples[samples], self._environment[samples[order]]
        calls = np.empty((self.n_instruments, len(order)), dtype=np.float32 if self._reader.has_dosages else np.int8)
        missing = False
        for start in range(0, self.n_instruments, _SLAB):
            slab = slice(start, start + _SLAB)
            read = self._reader.read(self._variants[slab], wanted)
            np.take(read, order, axis=1, out=calls[slab], mode="clip")
            missing |= bool(read.min(initial=0) == MISSING_CALL)
        return lambda rows: self._complete(calls[:, rows], environment[rows], missing=missing)

    def _complete(self, calls: NDArray[Any], environment: IntArray, *, missing: bool) -> NDArray[Any]:
        """Flip, and replace what is missing where anything is."""
        values = calls
        if len(self._flip):
            values = calls.copy()
            values[self._flip] = 2 - values[self._flip]
        if missing:
            variant, sample = np.divmod(np.flatnonzero(calls == MISSING_CALL), max(calls.shape[1], 1))
            values = values.astype(np.float32)
            values[variant, sample] = self._imputed[environment[sample], variant]
        return values.T


_SLAB = 16
"""Variants read at a time when a block is arranged: they stay in the processor's cache meanwhile."""


@final
class StackedInstruments(InstrumentSource):
    """Several sources side by side: variants first, then allele scores, say."""

    def __init__(self, *sources: InstrumentSource) -> None:
        self._sources = sources
        self.n_samples = sources[0].n_samples
        self.n_instruments = sum(source.n_instruments for source in sources)
        self.bytes_per_sample = sum(source.bytes_per_sample for source in sources)

    def read(self, samples: IntArray) -> NDArray[Any]:
        """Rows of `samples` from every source, float64."""
        return np.hstack([source.read(samples).astype(np.float64) for source in self._sources])

    def arranged(self, samples: IntArray, order: IntArray) -> Rows:
        """The block of every source, float64."""
        parts = [source.arranged(samples, order) for source in self._sources]
        return lambda rows: np.hstack([part(rows).astype(np.float64) for part in parts])


@final
class SelectedInstruments(InstrumentSource):
    """Some samples of another source.

    Parameters
    ----------
    source
        The other source.
    samples
        (n_samples,) which of its samples, strictly increasing.
    """

    def __init__(self, source: InstrumentSource, samples: IntArray) -> None:
        self._source, self._samples = source, read_only(samples)
        self.n_samples, self.n_instruments = len(samples), source.n_instruments
        self.holds_copies, self.bytes_per_sample = source.holds_copies, source.bytes_per_sample

    def read(self, samples: IntArray) -> NDArray[Any]:
        """Rows of `samples`, as the other source gives them."""
        return self._source.read(self._samples[samples])

    def arranged(self, samples: IntArray, order: IntArray) -> Rows:
        """The block, as the other source arranges it."""
        return self._source.arranged(self._samples[samples], order)
