"""Reference genotypes of real people: the ones a simulated cohort is assembled from.

The panel that ships with the package is 1000 Genomes phase 3: 2,504 people of five super-populations, 5,000
variants with a minor allele frequency above 5 % in each of them (`reference/PROVENANCE.md`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

import numpy as np
import polars as pl
from numpy.typing import NDArray

from invarmr.arrays import FloatArray, StrArray, read_only
from invarmr.errors import InputError, first_few

__all__ = ["ReferencePanel", "load_reference_panel"]

_COPIES = np.array([2, -9, 1, 0], dtype=np.int8)  # of A1, by the two-bit code of a .bed
_BIM = {
    "chromosome": pl.String,
    "variant": pl.String,
    "centimorgan": pl.Float64,
    "position": pl.Int64,
    "counted_allele": pl.String,
    "other_allele": pl.String,
}
_VARIANT_COLUMNS = ("variant", "chromosome", "position", "counted_allele", "other_allele")


@dataclass(frozen=True, kw_only=True)
class ReferencePanel:
    """Complete genotypes of people with a known population.

    Attributes
    ----------
    calls
        (variants, people) int8 copies of the counted allele: 0, 1 or 2. No call may be missing.
    variants
        One row per variant, sorted by chromosome and position within it: `variant`, `chromosome`, `position` (base
        pairs), `counted_allele`, `other_allele`.
    population
        (people,) label of each person's population; at least two different ones.

    Raises
    ------
    InputError
        Shapes disagree, a call is not 0, 1 or 2, a column is lacking, positions go back, or one population only.
    """

    calls: NDArray[np.int8]
    variants: pl.DataFrame
    population: StrArray

    def __post_init__(self) -> None:
        lacking = [name for name in _VARIANT_COLUMNS if name not in self.variants.columns]
        if lacking:
            raise InputError(f"The panel's variants lack the columns {', '.join(lacking)}.")
        wanted = (self.variants.height, len(self.population))
        if self.calls.shape != wanted or self.calls.dtype != np.int8:
            raise InputError(
                f"The panel's calls must be int8 of shape (variants, people) = {wanted}, but are "
                f"{self.calls.dtype} of shape {self.calls.shape}."
            )
        if self.calls.size == 0 or self.calls.min() < 0 or self.calls.max() > 2:
            raise InputError("The panel's calls must be 0, 1 or 2, none missing: impute or drop variants first.")
        if len(self.populations) < 2:
            raise InputError("The panel must hold at least two populations, but has one.")
        self._check_order()
        object.__setattr__(self, "calls", read_only(self.calls))

    def _check_order(self) -> None:
        chromosome = self.variants["chromosome"]
        runs = int(chromosome.rle_id()[-1]) + 1
        back = np.diff(self.variants["position"].to_numpy()) < 0
        same = np.diff(chromosome.rle_id().to_numpy().astype(np.int64)) == 0
        if runs != chromosome.n_unique() or (back & same).any():
            raise InputError("The panel's variants must be sorted by position within each chromosome.")

    @property
    def populations(self) -> tuple[str, ...]:
        """Different labels, in alphabetical order: the order of every ancestry vector."""
        return tuple(str(label) for label in np.unique(self.population))

    def restricted_to(self, populations: Sequence[str] | None) -> ReferencePanel:
        """The panel's people of some populations only; None: of all.

        Raises
        ------
        InputError
            A population that the panel does not have.
        """
        if populations is None:
            return self
        unknown = sorted(set(populations) - set(self.populations))
        if unknown:
            raise InputError(
                f"The panel has the populations {', '.join(self.populations)}, but not {first_few(unknown)}."
            )
        chosen = np.isin(self.population, list(populations))
        return ReferencePanel(calls=self.calls[:, chosen], variants=self.variants, population=self.population[chosen])

    def frequencies(self) -> FloatArray:
        """Frequency of the counted allele by population, (populations, variants)."""
        return np.stack(
            [self.calls[:, self.population == label].mean(axis=1, dtype=np.float64) / 2 for label in self.populations]
        )


def load_reference_panel() -> ReferencePanel:
    """Read the 1000 Genomes panel that ships with the package.

    Returns
    -------
    ReferencePanel
        5,000 variants (GRCh37) of 2,504 people; populations AFR, AMR, EAS, EUR, SAS.

    References
    ----------
    Auton et al. (2015). A global reference for human genetic variation. Nature 526, 68-74.

    Examples
    --------
    >>> panel = load_reference_panel()
    >>> panel.calls.shape, panel.populations
    ((5000, 2504), ('AFR', 'AMR', 'EAS', 'EUR', 'SAS'))
    """
    folder = files("invarmr.simulate") / "reference"
    variants = pl.read_csv(
        (folder / "thousand_genomes.bim").read_bytes(),
        separator="\t",
        has_header=False,
        schema=_BIM,
    ).select(_VARIANT_COLUMNS)
    labels = pl.read_csv((folder / "labels.tsv").read_bytes(), separator="\t")["super_population"]
    packed = np.frombuffer((folder / "thousand_genomes.bed").read_bytes(), dtype=np.uint8, offset=3)
    rows = packed.reshape(variants.height, -(-len(labels) // 4))
    codes = np.stack([rows >> shift & 3 for shift in (0, 2, 4, 6)], axis=-1)
    calls = _COPIES[codes.reshape(variants.height, -1)[:, : len(labels)]]
    return ReferencePanel(calls=calls, variants=variants, population=labels.to_numpy().astype(np.str_))
