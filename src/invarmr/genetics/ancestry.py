"""Principal components of genome-wide genotypes: the usual stand-in for ancestry.

Symbols: n samples, m variants, g copies of an allele, f its frequency, X (n, m) standardised genotypes, k components.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from invarmr.arrays import FloatArray, IntArray, read_only
from invarmr.data.genotypes import MISSING_CALL, GenotypeReader
from invarmr.errors import InputError
from invarmr.genetics.quality_control import counted_allele_frequency
from invarmr.genetics.thinning import thin_variants

__all__ = ["PrincipalComponents", "principal_components", "thin_variants"]

_MOST_VARIANTS = 8_000
_ROUNDING = 1e-5  # smaller eigenvalues, relative to the largest, are rounding of float32 products


@dataclass(frozen=True, kw_only=True)
class PrincipalComponents:
    """Principal components of standardised genotypes, the largest first.

    Attributes
    ----------
    scores
        (samples, k), each column with mean 0 and mean square 1, uncorrelated.
    eigenvalues
        (k,) of the variant-by-variant matrix X'X / n.
    variance_share
        (k,) share of the total variance of X, the trace of X'X / n.
    loadings
        (variants used, k) unit vectors; in each, the entry largest in absolute value is positive.
    variants
        File indices of the variants used: those asked for that vary in these samples.
    """

    scores: FloatArray
    eigenvalues: FloatArray
    variance_share: FloatArray
    loadings: FloatArray
    variants: IntArray


def principal_components(
    reader: GenotypeReader, *, samples: IntArray, variants: IntArray, count: int = 10, block: int = 16_384
) -> PrincipalComponents:
    """Principal components of genotypes, exactly, in memory that does not grow with the samples.

    With X = (g - 2f) / sqrt(2 f (1 - f)), the matrix X'X / n = V diag(lambda) V' is summed over blocks of samples
    and decomposed; scores are X V / sqrt(lambda), in a second pass.

    Parameters
    ----------
    reader
        Genotypes.
    samples
        (n,) strictly increasing file indices.
    variants
        (m,) file indices, at most 8,000: take them from `thin_variants`, so that blocks of linked variants do not
        make components of their own. Variants that do not vary are left out.
    count
        Components k, below n and m.
    block
        Samples read at once; memory is about 5 m block + 16 m^2 bytes.

    Returns
    -------
    PrincipalComponents
        Scores, eigenvalues and the variants used. A missing call counts as the variant's mean.

    Raises
    ------
    InputError
        Too many variants, or fewer varying variants or samples than components.

    References
    ----------
    Patterson, Price and Reich (2006). Population structure and eigenanalysis. PLoS Genetics 2, e190.
    """
    if len(variants) > _MOST_VARIANTS:
        raise InputError(
            f"Principal components take at most {_MOST_VARIANTS} variants, but {len(variants)} came: "
            "thin them with thin_variants first."
        )
    frequency = counted_allele_frequency(reader.counts(np.asarray(variants), samples))
    used = np.flatnonzero((frequency > 0) & (frequency < 1))
    if not 1 <= count < min(used.size, len(samples)):
        raise InputError(
            f"{count} components need more varying variants and samples than that, but there are {used.size} "
            f"variants and {len(samples)} samples."
        )
    chosen, frequency = np.asarray(variants)[used], frequency[used]
    correlation, mean = _correlation(reader, samples, chosen, frequency, block)
    eigenvalues, loadings = _leading(correlation, count)
    scores = np.empty((len(samples), count))
    for start, x in _standardised(reader, samples, chosen, frequency, block):
        scores[start : start + x.shape[1]] = x.T @ loadings.astype(np.float32)
    scores = (scores - mean @ loadings) / np.sqrt(eigenvalues)
    return PrincipalComponents(
        scores=read_only(scores),
        eigenvalues=read_only(eigenvalues),
        variance_share=read_only(eigenvalues / np.trace(correlation)),
        loadings=read_only(loadings),
        variants=read_only(chosen),
    )


def _standardised(
    reader: GenotypeReader, samples: IntArray, variants: IntArray, frequency: FloatArray, block: int
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Blocks of X', (variants, samples in the block), missing calls at 0, with the block's first sample."""
    centre = (2 * frequency).astype(np.float32)[:, None]
    scale = np.sqrt(2 * frequency * (1 - frequency)).astype(np.float32)[:, None]
    for start in range(0, len(samples), block):
        calls = reader.read(variants, samples[start : start + block])
        x = (calls - centre) / scale
        x[calls == MISSING_CALL] = 0
        yield start, x


def _correlation(
    reader: GenotypeReader, samples: IntArray, variants: IntArray, frequency: FloatArray, block: int
) -> tuple[FloatArray, FloatArray]:
    """X'X / n about the mean, (variants, variants), and the mean of X; products in float32, sums in float64."""
    total = np.zeros((len(variants), len(variants)))
    mean = np.zeros(len(variants))
    for _, x in _standardised(reader, samples, variants, frequency, block):
        total += x @ x.T
        mean += x.sum(axis=1, dtype=np.float64)
    mean /= len(samples)
    return total / len(samples) - np.outer(mean, mean), mean


def _leading(matrix: FloatArray, count: int) -> tuple[FloatArray, FloatArray]:
    """Largest `count` eigenvalues, decreasing, and their vectors with a fixed sign."""
    size = matrix.shape[0]
    values, vectors = scipy.linalg.eigh(matrix, subset_by_index=(size - count, size - 1))
    values, vectors = values[::-1], vectors[:, ::-1]
    if values[-1] <= _ROUNDING * values[0]:
        raise InputError(f"The genotypes vary in fewer than {count} directions: ask for fewer components.")
    largest = np.argmax(np.abs(vectors), axis=0)
    return values.copy(), vectors * np.sign(vectors[largest, np.arange(count)])
