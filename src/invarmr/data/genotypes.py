"""Genotypes as a study sees them: a reader of raw calls, and the instruments settled from it.

A `GenotypeReader` knows a file and nothing of the study. `GenotypeInstruments` (an `InstrumentSource`) adds what the
study has settled: which variants, which samples, which allele is the effect allele, and by what a missing
call is replaced.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import polars as pl
from numpy.typing import NDArray

from invarmr.arrays import IntArray, StrArray

__all__ = ["MISSING_CALL", "GenotypeReader"]

MISSING_CALL = -9
"""What a reader returns for a call that is missing."""


class GenotypeReader(ABC):
    """Raw calls of one genotype file, read in blocks of any samples x any variants.

    Attributes
    ----------
    variants
        One row per variant, in file order: `variant` (id), `chromosome`, `position` (base pairs), `counted_allele`
        (whose copies are counted), `other_allele`. Alleles are upper case.
    sample_ids
        (samples,) in file order.
    family_ids
        (samples,) family ids beside the sample ids; None where the file has none.
    has_dosages
        Whether calls are dosages (0 to 2, any value) rather than hard calls.
    """

    variants: pl.DataFrame
    sample_ids: StrArray
    family_ids: StrArray | None = None
    has_dosages: bool = False

    @abstractmethod
    def read(self, variants: IntArray, samples: IntArray) -> NDArray[Any]:
        """Copies of the counted allele, (len(variants), len(samples)); int8, or float32 where the file has dosages.

        `samples` are strictly increasing file indices, `variants` file indices in any order; a missing call is
        `MISSING_CALL`.
        """

    @abstractmethod
    def counts(self, variants: IntArray, samples: IntArray) -> IntArray:
        """Hard-call counts, (len(variants), 4): 0 copies, 1 copy, 2 copies of the counted allele, missing."""
