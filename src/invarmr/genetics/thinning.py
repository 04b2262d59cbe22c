"""Thin variants to a set that is common, spread over the genome and nearly unlinked.

Symbols: f allele frequency, r correlation of two variants' copies.
"""

from __future__ import annotations

import numpy as np

from invarmr.arrays import BoolArray, FloatArray, IntArray
from invarmr.data.genotypes import MISSING_CALL, GenotypeReader
from invarmr.errors import InputError
from invarmr.genetics.quality_control import call_rate, counted_allele_frequency

__all__ = ["thin_variants"]

_POOL = 10  # candidates looked at, per variant wanted
_READ_AT_ONCE = 1024


def thin_variants(
    reader: GenotypeReader,
    candidates: IntArray,
    *,
    samples: IntArray,
    exclude: IntArray | None = None,
    flank: int = 0,
    max_variants: int = 2_000,
    min_frequency: float = 0.05,
    max_missing: float = 0.05,
    max_r2: float = 0.1,
    window: int = 1_000_000,
    subsample: int = 5_000,
) -> IntArray:
    """Choose common, nearly unlinked variants, as for principal components.

    In genome order, a variant is kept when its squared correlation with every variant kept within `window` base
    pairs before it is at most `max_r2`. No randomness: the same input gives the same choice.

    Parameters
    ----------
    reader
        Genotypes.
    candidates
        (m,) file indices. More than ten times `max_variants` are first thinned to that many, evenly.
    samples
        (n,) strictly increasing file indices.
    exclude
        File indices never to choose, for instance the instruments.
    flank
        Base pairs on either side of an excluded variant in which none is chosen.
    max_variants
        Most to return; a longer list is thinned evenly.
    min_frequency
        Least minor allele frequency.
    max_missing
        Largest share of missing calls; a missing call counts as the variant's mean in the correlation.
    max_r2
        Largest squared correlation, 0 to 1.
    window
        Base pairs.
    subsample
        Samples, evenly spaced, in which frequency, missingness and correlation are computed.

    Returns
    -------
    IntArray
        Increasing file indices.

    Raises
    ------
    InputError
        A setting is out of range, or no candidate is left.

    References
    ----------
    Chang et al. (2015). Second-generation PLINK. GigaScience 4, 7 (`--indep-pairwise`).
    """
    if max_variants < 1 or subsample < 2 or not 0 <= max_r2 <= 1:
        raise InputError("max_variants must be at least 1, subsample at least 2 and max_r2 between 0 and 1.")
    chromosome, position = _places(reader)
    pool: IntArray = np.unique(np.asarray(candidates, dtype=np.int64))
    if exclude is not None:
        pool = pool[~_near(chromosome, position, pool, np.asarray(exclude, dtype=np.int64), flank)]
    pool = pool[np.lexsort((position[pool], chromosome[pool]))]
    pool = _evenly(pool, _POOL * max_variants)
    people = _evenly(np.asarray(samples), subsample)
    pool = pool[_common(reader, pool, people, min_frequency, max_missing)]
    if not pool.size:
        raise InputError(
            f"No variant is left of {len(candidates)} candidates: all were excluded, rarer than {min_frequency:g} "
            f"or missing in more than {max_missing:.0%} of samples."
        )
    kept = pool[_unlinked(reader, pool, people, chromosome[pool], position[pool], max_r2=max_r2, window=window)]
    return np.sort(_evenly(kept, max_variants))


def _places(reader: GenotypeReader) -> tuple[IntArray, IntArray]:
    """Chromosome (as a rank) and position of every variant in the file."""
    chromosome = reader.variants["chromosome"].rank("dense").to_numpy().astype(np.int64)
    return chromosome, reader.variants["position"].to_numpy().astype(np.int64)


def _near(chromosome: IntArray, position: IntArray, pool: IntArray, excluded: IntArray, flank: int) -> BoolArray:
    """Which of the pool are excluded variants or lie within `flank` base pairs of one."""
    near = np.isin(pool, excluded)
    for rank in np.unique(chromosome[excluded]) if flank > 0 else []:
        centres = np.sort(position[excluded[chromosome[excluded] == rank]])
        here = np.flatnonzero(chromosome[pool] == rank)
        after = np.searchsorted(centres, position[pool[here]] - flank, side="left")
        until = np.searchsorted(centres, position[pool[here]] + flank, side="right")
        near[here] |= until > after
    return near


def _evenly(items: IntArray, count: int) -> IntArray:
    """At most `count` of the items, at equal steps."""
    if items.size <= count:
        return items
    steps = np.arange(count) * items.size // count
    return items[steps]


def _common(
    reader: GenotypeReader, pool: IntArray, samples: IntArray, min_frequency: float, max_missing: float
) -> BoolArray:
    counts = reader.counts(pool, samples)
    frequency = counted_allele_frequency(counts)
    polymorphic = (frequency > 0) & (frequency < 1)
    common = np.minimum(frequency, 1 - frequency) >= min_frequency
    return polymorphic & common & (1 - call_rate(counts) <= max_missing)


def _unlinked(
    reader: GenotypeReader,
    pool: IntArray,
    samples: IntArray,
    chromosome: IntArray,
    position: IntArray,
    *,
    max_r2: float,
    window: int,
) -> BoolArray:
    """Greedy pruning in genome order, (pool,): whether each variant is kept."""
    kept = np.zeros(pool.size, dtype=bool)
    recent: list[int] = []
    columns: dict[int, FloatArray] = {}
    for start in range(0, pool.size, _READ_AT_ONCE):
        block = _unit_rows(reader, pool[start : start + _READ_AT_ONCE], samples)
        for row, x in enumerate(block, start=start):
            recent = [
                other
                for other in recent
                if chromosome[other] == chromosome[row] and position[row] - position[other] <= window
            ]
            columns = {other: columns[other] for other in recent}
            r = np.array([columns[other] @ x for other in recent])
            if not np.any(r**2 > max_r2):
                kept[row] = True
                recent.append(row)
                columns[row] = x
    return kept


def _unit_rows(reader: GenotypeReader, variants: IntArray, samples: IntArray) -> FloatArray:
    """Calls with mean 0 and length 1 per variant, (variants, samples) float32; missing at the mean."""
    calls = reader.read(variants, samples)
    missing = calls == MISSING_CALL
    x = calls.astype(np.float32)
    x[missing] = 0
    called = np.maximum((~missing).sum(axis=1, keepdims=True), 1)
    x -= x.sum(axis=1, keepdims=True) / called
    x[missing] = 0
    length = np.sqrt((x**2).sum(axis=1, keepdims=True))
    return x / np.where(length > 0, length, 1)
