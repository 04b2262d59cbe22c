"""One pass over the people of a study: the moments of many groups at once, read ahead and multiplied in parallel.

A file that is stored variant by variant is read fastest in long runs of people, whatever group they are in; so blocks
of people are read, arranged by group in memory, and multiplied group by group.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np

from invarmr.arrays import FloatArray, IntArray
from invarmr.data.group_sums import CHUNK, CopySums, GroupSums, RowSums
from invarmr.data.instrument_source import InstrumentSource, Rows
from invarmr.linalg.threads import threads_at_once

__all__ = ["Track", "sum_groups"]

BLOCK_BYTES = 2**26
"""Memory that the instruments of one block of people take."""
Others = Callable[[IntArray], FloatArray]
Track = Callable[[Sequence[IntArray]], Iterable[IntArray]]
"""Iterates over blocks of samples, and may show progress."""


def sum_groups(
    source: InstrumentSource,
    others: Others,
    group: IntArray,
    *,
    n_groups: int,
    n_columns: int,
    place: slice,
    track: Track = iter,
) -> GroupSums:
    """Counts, means and cross-products of every group, in one pass over the instruments.

    Parameters
    ----------
    source
        The instruments.
    others
        Gives the other columns of some samples, (k, n_columns - n_instruments) float64.
    group
        (n,) code 0..n_groups-1 of each sample; negative: left out.
    n_columns, place
        Number of columns, and where among them the instruments stand.
    track
        Iterates over the blocks.
    """
    samples = np.flatnonzero(group >= 0)
    size = max(CHUNK, BLOCK_BYTES // max(source.bytes_per_sample, 1))
    blocks = [samples[start : start + size] for start in range(0, len(samples), size)]
    d = source.n_instruments
    with ThreadPoolExecutor(max_workers=1) as reader, threads_at_once(8 * d * (CHUNK + d)) as each:
        coming = [reader.submit(_arranged, source, block, group) for block in blocks[:1]]
        sums: GroupSums
        if source.holds_copies:
            centre = _group_means(others, samples, group, n_groups, n_columns - d)
            sums = CopySums(n_groups, n_columns, place, centre)
        else:
            sums = RowSums(n_groups, n_columns, place)
        for step, _ in enumerate(track(blocks)):
            people, rows = coming.pop().result()
            coming += [reader.submit(_arranged, source, block, group) for block in blocks[step + 1 : step + 2]]
            for add in each(_multiplier(sums, others, group, people, rows), _chunks(group[people])):
                add()
        list(each(sums.finish, range(n_groups)))
    return sums


def _arranged(source: InstrumentSource, block: IntArray, group: IntArray) -> tuple[IntArray, Rows]:
    """People of a block in the order of their groups, and their instruments."""
    order = np.argsort(group[block], kind="stable")
    return block[order], source.arranged(block, order)


def _multiplier(
    sums: GroupSums, others: Others, group: IntArray, people: IntArray, rows: Rows
) -> Callable[[slice], Callable[[], None]]:
    """What multiplies a chunk of the arranged people, all of one group, and returns what adds the products."""
    return lambda chunk: sums.multiplied(int(group[people[chunk.start]]), rows(chunk), others(people[chunk]))


def _chunks(codes: IntArray) -> list[slice]:
    """Runs of equal codes, cut into chunks."""
    edges = [0, *(np.flatnonzero(np.diff(codes)) + 1).tolist(), len(codes)]
    return [
        slice(start, min(start + CHUNK, stop)) for first, stop in pairwise(edges) for start in range(first, stop, CHUNK)
    ]


def _group_means(others: Others, samples: IntArray, group: IntArray, n_groups: int, width: int) -> FloatArray:
    """Means (n_groups, width) of the other columns."""
    total = np.zeros((width, n_groups))
    for start in range(0, len(samples), _FEW):
        block = samples[start : start + _FEW]
        for column, values in zip(total, others(block).T, strict=True):
            column += np.bincount(group[block], weights=values, minlength=n_groups)
    return (total / np.maximum(np.bincount(group[samples], minlength=n_groups), 1)).T


_FEW = 65_536
