"""Genotypes of admixed people, copied block by block from real people of the source populations.

Within a block a simulated person carries one real person's genotypes, so linkage disequilibrium inside blocks is
real; between blocks genotypes are independent given ancestry q, with E[g | q] = 2 sum_k q_k f_k.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import polars as pl
from numpy.typing import NDArray

from invarmr.arrays import BoolArray, FloatArray, IntArray
from invarmr.data.genotypes import MISSING_CALL
from invarmr.errors import InputError
from invarmr.simulate.reference_panel import ReferencePanel

__all__ = ["choose_instruments", "choose_variants", "copy_blocks", "genomic_blocks", "lose_calls"]

_LEAST_FREQUENCY = 0.01


def genomic_blocks(variants: pl.DataFrame, length: int) -> IntArray:
    """Number the blocks of `length` base pairs that hold a variant, 0, 1, ... in file order; one per variant."""
    chromosome = variants["chromosome"].rle_id().to_numpy().astype(np.int64)
    window = variants["position"].to_numpy() // length
    new = (np.diff(chromosome) != 0) | (np.diff(window) != 0)
    return np.concatenate([[0], np.cumsum(new)])


def palindromic(variants: pl.DataFrame) -> BoolArray:
    """Whether each variant is A/T or C/G, so that its strand cannot be told from its alleles, (variants,)."""
    pairs = variants["counted_allele"] + variants["other_allele"]
    return np.asarray(pairs.is_in(["AT", "TA", "CG", "GC"]).to_numpy())


def heterozygote_surplus(panel: ReferencePanel) -> FloatArray:
    """Largest of H / 2f(1-f) - 1 over the panel's populations, H the share of heterozygotes, (variants,).

    Thousands of people copied from hundreds of donors repeat the donors' chance surplus of heterozygotes, which a
    quality filter would take for a genotyping error.
    """
    surplus = np.full(len(panel.calls), -np.inf)
    for label in panel.populations:
        calls = panel.calls[:, panel.population == label]
        frequency = calls.mean(axis=1, dtype=np.float64) / 2
        expected = np.maximum(2 * frequency * (1 - frequency), 1e-12)
        surplus = np.maximum(surplus, (calls == 1).mean(axis=1) / expected - 1)
    return surplus


def choose_instruments(
    blocks: IntArray,
    frequency: FloatArray,
    *,
    count: int,
    rng: np.random.Generator,
    avoid: BoolArray | None = None,
) -> IntArray:
    """Rows of `count` variants spread evenly over the genome, at most one a block, in file order.

    Parameters
    ----------
    blocks
        (variants,) block numbers in file order.
    frequency
        (variants,) allele frequency; only variants with a minor allele frequency above 1 % are eligible.
    avoid
        (variants,) True for variants never to choose.

    Raises
    ------
    InputError
        Fewer blocks than instruments.
    """
    common = np.minimum(frequency, 1 - frequency) > _LEAST_FREQUENCY
    eligible = np.flatnonzero(common if avoid is None else common & ~avoid)
    starts = np.flatnonzero(np.diff(blocks[eligible], prepend=-1))
    if starts.size < count:
        raise InputError(
            f"{count} instruments need as many genomic blocks with a common variant, but the panel has "
            f"{starts.size}: ask for fewer instruments or a smaller block_length."
        )
    ends = np.append(starts[1:], eligible.size)
    chosen = np.floor((np.arange(count) + rng.random()) * starts.size / count).astype(np.int64)
    within = np.floor(rng.random(count) * (ends - starts)[chosen]).astype(np.int64)
    rows: IntArray = eligible[starts[chosen] + within]
    return rows


def choose_variants(total: int, instruments: IntArray, *, count: int | None, rng: np.random.Generator) -> IntArray:
    """Rows of the panel to keep, in file order: the instruments, and others at random up to `count` in all."""
    if count is None or count == total:
        return np.arange(total)
    if count > total:
        raise InputError(f"n_variants must be at most the panel's {total}, but is {count}.")
    others = np.setdiff1d(np.arange(total), instruments)
    return np.sort(np.concatenate([instruments, rng.permutation(others)[: count - instruments.size]]))


def copy_blocks(
    panel: ReferencePanel, rows: IntArray, blocks: IntArray, ancestry: FloatArray, *, rng: np.random.Generator
) -> NDArray[np.int8]:
    """Draw, per block and person, a population from the person's ancestry and a donor from it; copy the block.

    Parameters
    ----------
    panel
        Source of genotypes.
    rows
        (kept,) rows of the panel, increasing.
    blocks
        (kept,) block number of each kept row.
    ancestry
        (samples, populations) proportions, in the order of `panel.populations`.

    Returns
    -------
    NDArray[np.int8]
        (kept, samples) copies of the counted allele.
    """
    order = np.argsort(panel.population, kind="stable")
    sizes = np.unique(panel.population, return_counts=True)[1]
    first = (np.cumsum(sizes) - sizes).astype(np.int32)
    size = sizes.astype(np.float32)
    people = panel.calls[rows][:, order]
    limits = np.ascontiguousarray(np.cumsum(ancestry, axis=1)[:, :-1].T.astype(np.float32))
    calls = np.empty((rows.size, ancestry.shape[0]), dtype=np.int8)
    edges = np.append(np.flatnonzero(np.diff(blocks, prepend=-1)), rows.size)
    for start, stop in pairwise(edges):
        draw = rng.random((2, ancestry.shape[0]), dtype=np.float32)
        source = np.zeros(ancestry.shape[0], dtype=np.int8)
        for limit in limits:
            source += draw[0] >= limit
        within = np.minimum((draw[1] * size[source]).astype(np.int32), sizes[source].astype(np.int32) - 1)
        np.take(people[start:stop], first[source] + within, axis=1, out=calls[start:stop], mode="clip")
    return calls


def lose_calls(calls: NDArray[np.int8], *, rate: float, rng: np.random.Generator) -> None:
    """Set each call to missing, in place, with probability `rate`."""
    if rate > 0:
        for row in calls:
            row[rng.random(row.size, dtype=np.float32) < rate] = MISSING_CALL
