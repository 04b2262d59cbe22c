"""Gametes: recombination at 1 centimorgan a million base pairs, without interference.

Symbols: d base pairs between neighbours; r = (1 - exp(-2 d 1e-8)) / 2 the chance that they come from different
grandparents, 1/2 between chromosomes. Source: Haldane (1919), Journal of Genetics 8:299.
"""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from invarmr.arrays import FloatArray, IntArray

__all__ = ["Haplotypes", "children_of", "recombination", "split_phase"]

Haplotypes = tuple[NDArray[np.int8], NDArray[np.int8]]
"""Two (variants, people) arrays of 0 and 1: what came from the mother, and from the father."""
_AT_ONCE = 8_192


def recombination(variants: pl.DataFrame) -> FloatArray:
    """Chance of a switch of grandparent before each variant, (variants,); 1/2 for the first of a chromosome.

    Examples
    --------
    >>> table = pl.DataFrame({"chromosome": ["1", "1", "2"], "position": [1, 50_000_001, 5]})
    >>> recombination(table).round(3).tolist()
    [0.5, 0.316, 0.5]
    """
    position = variants["position"].to_numpy().astype(np.float64)
    same = np.diff(variants["chromosome"].rle_id().to_numpy().astype(np.int64)) == 0
    switch = np.full(variants.height, 0.5)
    switch[1:][same] = -np.expm1(-2e-8 * np.diff(position)[same]) / 2
    return switch


def split_phase(calls: NDArray[np.int8], *, rng: np.random.Generator) -> NDArray[np.int8]:
    """Two haplotypes of every person, (variants, 2 people), each heterozygote's phase drawn by a coin.

    The panel is not phased, so linkage between neighbours is real in the sums of a person's two haplotypes and weaker
    in each.
    """
    first = (calls == 2) | ((calls == 1) & (rng.random(calls.shape, dtype=np.float32) < 0.5))
    return np.concatenate([first.astype(np.int8), calls - first.astype(np.int8)], axis=1)


def children_of(
    mothers: Haplotypes,
    fathers: Haplotypes,
    mother: IntArray,
    father: IntArray,
    switch: FloatArray,
    *,
    rng: np.random.Generator,
) -> Haplotypes:
    """Haplotypes of children, from their mothers (indices into `mothers`) and fathers."""
    return _gametes(mothers, mother, switch, rng), _gametes(fathers, father, switch, rng)


def _gametes(parents: Haplotypes, chosen: IntArray, switch: FloatArray, rng: np.random.Generator) -> NDArray[np.int8]:
    out = np.empty((len(switch), len(chosen)), dtype=np.int8)
    for start in range(0, len(chosen), _AT_ONCE):
        block = chosen[start : start + _AT_ONCE]
        switched = rng.random((len(switch), len(block)), dtype=np.float32) < switch[:, None].astype(np.float32)
        other = np.logical_xor.accumulate(switched, axis=0)
        out[:, start : start + _AT_ONCE] = np.where(other, parents[1][:, block], parents[0][:, block])
    return out
