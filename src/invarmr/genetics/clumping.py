"""Clumping: of linked variants keep the most significant, by the LD of the user's own genotypes.

Symbols: x, y copies of two variants in the people called for both (n);

    r2 = (n Sxy - Sx Sy)^2 / {(n Sxx - Sx^2) (n Syy - Sy^2)}.

Greedy, as in PLINK: the most significant variant left becomes an index variant, and every variant left within the
window whose r2 with it is above the bound is dropped; then the next. Source: Purcell et al. (2007), American Journal of
Human Genetics 81:559; defaults of TwoSampleMR (Hemani et al., 2018, eLife 7:e34408), 0.001 within 10,000 kb.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, Self, final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from invarmr.arrays import BoolArray, FloatArray, IntArray
from invarmr.data.genotypes import MISSING_CALL, GenotypeReader
from invarmr.data.summary_statistics import SummaryStatistics
from invarmr.errors import InputError, InvarmrWarning, first_few

__all__ = ["PLINK", "TWO_SAMPLE_MR", "ClumpSettings", "Clumps", "clump", "squared_correlation"]

_VARIANTS, _PEOPLE = 256, 16_384


@final
@dataclass(frozen=True, kw_only=True)
class ClumpSettings:
    """Bounds of clumping.

    Parameters
    ----------
    max_r2
        Squared correlation above which a variant belongs to the clump of an index variant, 0 to 1.
    window_kb
        Distance from the index variant in which variants are looked at, in 1,000 base pairs.
    index_p_value
        Largest p-value of an index variant; a variant above it is dropped.
    """

    max_r2: float = 0.001
    window_kb: float = 10_000
    index_p_value: float = 1.0

    def __post_init__(self) -> None:
        if not (0 <= self.max_r2 <= 1 and self.window_kb >= 0 and 0 <= self.index_p_value <= 1):
            raise InputError(
                "Clumping needs max_r2 and index_p_value between 0 and 1 and window_kb of 0 or more, but they are "
                f"{self.max_r2!r}, {self.index_p_value!r} and {self.window_kb!r}."
            )


TWO_SAMPLE_MR = ClumpSettings()
"""r2 0.001 within 10,000 kb: defaults of TwoSampleMR, and here."""
PLINK = ClumpSettings(max_r2=0.5, window_kb=250, index_p_value=1e-4)
"""r2 0.5 within 250 kb, index variants below 1e-4: defaults of PLINK."""


@final
@dataclass(frozen=True, eq=False)
class Clumps:
    """What clumping kept and dropped.

    Parameters
    ----------
    kept
        Index variants, in the order of the table that came.
    table
        `id, SNP, chr, pos, pval, kept, index_snp, r2, kb, reason`, a row per variant in the order that came; `r2` with
        and `kb` from the index variant that dropped it, null for others.
    """

    kept: SummaryStatistics
    table: pl.DataFrame

    @property
    def dropped(self) -> pl.DataFrame:
        """Rows of `table` that were not kept."""
        return self.table.filter(~pl.col("kept"))


def clump(
    statistics: SummaryStatistics,
    genotypes: GenotypeReader,
    *,
    samples: IntArray | None = None,
    settings: ClumpSettings = TWO_SAMPLE_MR,
) -> Clumps:
    """Keep the most significant of linked variants, trait by trait.

    Parameters
    ----------
    statistics
        Associations with p-values; ties are broken by the size of beta / se, then by place.
    genotypes
        Genotypes whose LD counts, read in blocks. Variants are found by id, else by chromosome, position and alleles.
        A squared correlation is taken over the people called for both variants.
    samples
        (n,) strictly increasing file indices; None: everybody in the file.
    settings
        Bounds.

    Raises
    ------
    InputError
        None of the variants is in the genotype file, or fewer than three people.

    Warns
    -----
    InvarmrWarning
        So few people that unlinked variants exceed `max_r2` by chance.

    References
    ----------
    Purcell et al. (2007). PLINK. American Journal of Human Genetics 81, 559.

    Examples
    --------
    >>> import polars as pl
    >>> from invarmr.data.genotypes import GenotypeReader
    >>> class Calls(GenotypeReader):
    ...     variants = pl.DataFrame({"variant": ["a", "b"], "chromosome": ["1", "1"], "position": [1_000, 2_000],
    ...                              "counted_allele": ["A", "A"], "other_allele": ["G", "G"]})
    ...     sample_ids = np.array([f"s{i}" for i in range(2_000)])
    ...     def read(self, variants, samples):
    ...         return np.tile(np.arange(2_000) % 3, (2, 1))[np.ix_(variants, samples)].astype(np.int8)
    ...     def counts(self, variants, samples): ...
    >>> rows = {"SNP": ["a", "b"], "effect_allele": ["A", "A"], "beta": [0.1, 0.2], "se": [0.01, 0.01]}
    >>> found = clump(SummaryStatistics.from_frame(pl.DataFrame(rows)), Calls())
    >>> found.table.select("SNP", "kept", "reason").rows()
    [('a', False, 'r2 1 with b, 1 kb away'), ('b', True, '')]
    """
    people = np.arange(len(genotypes.sample_ids)) if samples is None else np.asarray(samples)
    _check_people(len(people), settings)
    frame = statistics.frame
    place, reason = _places(frame, genotypes)
    names, p = frame["SNP"].to_list(), frame["pval"].fill_null(1.0).to_numpy()
    z = (frame["beta"].abs() / frame["se"]).fill_null(0.0).to_numpy()
    kept, leader = np.zeros(frame.height, dtype=bool), np.full(frame.height, -1)
    r2, kb = np.full(frame.height, np.nan), np.full(frame.height, np.nan)
    variants = _Variants.of(genotypes, people)
    trait = frame["id"].rank("dense").to_numpy()
    for code in np.unique(trait):
        rows = np.flatnonzero((trait == code) & (place >= 0))
        order = rows[np.lexsort((rows, -z[rows], p[rows]))]
        eligible = p[order] <= settings.index_p_value
        result = variants.clumped(place[order], eligible, settings)
        kept[order], r2[order], kb[order] = result.kept, result.r2, result.kb
        leader[order] = np.where(result.leader >= 0, order[result.leader], -1)
        for row in order[~result.kept]:
            reason[row] = (
                f"r2 {r2[row]:.3g} with {names[leader[row]]}, {kb[row]:g} kb away"
                if leader[row] >= 0
                else f"p {p[row]:.3g} is above {settings.index_p_value:g}, the bound on an index variant"
                if np.isnan(r2[row])
                else "does not vary in the genotype file"
            )
    index_snp = [names[row] if good else names[first] if first >= 0 else None for row, (good, first) in
                 enumerate(zip(kept.tolist(), leader.tolist(), strict=True))]  # fmt: skip
    table = frame.select(
        "id",
        "SNP",
        "chr",
        "pos",
        "pval",
        pl.Series("kept", kept),
        pl.Series("index_snp", index_snp, dtype=pl.String),
        pl.Series("r2", np.where(leader >= 0, r2, np.nan), nan_to_null=True),
        pl.Series("kb", np.where(leader >= 0, kb, np.nan), nan_to_null=True),
        pl.Series("reason", reason, dtype=pl.String),
    )
    return Clumps(SummaryStatistics(frame.filter(pl.Series(kept))), table)


def squared_correlation(genotypes: GenotypeReader, variant: int, others: IntArray, *, samples: IntArray) -> FloatArray:
    """Squared correlation of one variant with others, (m,), over the people called for both; NaN where one is constant.

    Parameters
    ----------
    genotypes
        Read in blocks of variants and people.
    variant, others
        File index, and (m,) file indices.
    samples
        (n,) strictly increasing file indices.
    """
    sums = np.zeros((6, len(others)))
    for start in range(0, len(samples), _PEOPLE):
        block = samples[start : start + _PEOPLE]
        y, y_called = _filled(genotypes.read(np.array([variant]), block))
        Y = np.stack([y_called[0], y[0], y[0] ** 2], axis=1)
        for first in range(0, len(others), _VARIANTS):
            part = slice(first, first + _VARIANTS)
            X, called = _filled(genotypes.read(others[part], block))
            n, s_y, s_yy = (called @ Y).T
            s_x, s_xy = (X @ Y[:, :2]).T
            s_xx = (X * X) @ Y[:, 0]
            sums[:, part] += np.stack([n, s_x, s_y, s_xx, s_yy, s_xy])
    n, s_x, s_y, s_xx, s_yy, s_xy = sums
    varying = (n * s_xx - s_x**2) * (n * s_yy - s_y**2)
    safe = np.where(varying > 0, varying, np.nan)
    return np.asarray((n * s_xy - s_x * s_y) ** 2 / safe)


def _filled(calls: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Calls with 0 where missing, and 1 where called: small whole numbers, whose sums float32 holds exactly."""
    called = calls != MISSING_CALL
    return np.where(called, calls, 0).astype(np.float32), called.astype(np.float32)


@dataclass(frozen=True, eq=False)
class _Result:
    """Of ordered variants: kept or not, position of the index variant that dropped each (-1: none), r2 and kb."""

    kept: BoolArray
    leader: IntArray
    r2: FloatArray
    kb: FloatArray


@dataclass(frozen=True, eq=False)
class _Variants:
    """Where the variants of a file lie, and the people whose LD counts."""

    genotypes: GenotypeReader
    people: IntArray
    chromosome: IntArray
    position: IntArray

    @classmethod
    def of(cls, genotypes: GenotypeReader, people: IntArray) -> Self:
        table = genotypes.variants
        chromosome = table["chromosome"].rank("dense").to_numpy().astype(np.int64)
        return cls(genotypes, people, chromosome, table["position"].to_numpy().astype(np.int64))

    def clumped(self, place: IntArray, eligible: BoolArray, settings: ClumpSettings) -> _Result:
        """Clump variants given by file index, the most significant first. `r2` is -1 where a variant is constant."""
        m = len(place)
        result = _Result(np.zeros(m, dtype=bool), np.full(m, -1), np.full(m, np.nan), np.full(m, np.nan))
        chromosome, position = self.chromosome[place], self.position[place]
        free = np.ones(m, dtype=bool)
        for i in range(m):
            if not (free[i] and eligible[i]):
                continue
            free[i] = False
            away = np.abs(position - position[i]) / 1000
            near = np.flatnonzero(free & (chromosome == chromosome[i]) & (away <= settings.window_kb))
            with_itself = np.append(near, i)
            r2 = squared_correlation(self.genotypes, int(place[i]), place[with_itself], samples=self.people)
            if np.isnan(r2[-1]):
                result.r2[i] = -1.0
                continue
            result.kept[i] = True
            linked = r2[:-1] > settings.max_r2
            gone = near[linked]
            free[gone] = False
            result.leader[gone], result.r2[gone], result.kb[gone] = i, r2[:-1][linked], away[gone]
        return result


def _check_people(n: int, settings: ClumpSettings) -> None:
    if n < 3:
        raise InputError(f"Clumping needs three people or more to measure LD, but {n} came.")
    if 1 / (n - 1) >= settings.max_r2 > 0:
        warnings.warn(
            f"LD is measured in {n} people, in whom unlinked variants have an r2 of {1 / (n - 1):.2g} on average, not "
            f"below the bound {settings.max_r2:g}: variants will be dropped by chance. Use more people or a larger "
            "bound.",
            InvarmrWarning,
            stacklevel=3,
        )


def _places(frame: pl.DataFrame, genotypes: GenotypeReader) -> tuple[IntArray, NDArray[np.object_]]:
    """File index of each row (-1: none), and the reason where there is none."""
    table = genotypes.variants.with_row_index("place")
    once = table.filter(~pl.col("variant").is_duplicated())
    by_id = dict(zip(once["variant"].to_list(), once["place"].to_list(), strict=True))
    twice = set(table["variant"].to_list()) - by_id.keys()
    by_locus: dict[tuple[str, int, frozenset[str]], int] = {}
    if frame["pos"].count():
        columns = ("chromosome", "position", "counted_allele", "other_allele", "place")
        by_locus = {
            (_plain(chromosome), position, frozenset((counted, other))): place
            for chromosome, position, counted, other, place in table.select(columns).iter_rows()
        }
    place, reason = np.full(frame.height, -1), np.full(frame.height, "", dtype=object)
    columns = ("SNP", "chr", "pos", "effect_allele", "other_allele")
    for row, (name, chromosome, position, effect, other) in enumerate(frame.select(columns).iter_rows()):
        found = by_id.get(name, by_locus.get((_plain(chromosome or ""), position or 0, frozenset((effect, other))), -1))
        place[row] = found
        if found < 0:
            reason[row] = "more than once in the genotype file" if name in twice else "not in the genotype file"
    if not (place >= 0).any():
        raise InputError(
            f"None of the {frame.height} variants is in the genotype file: {first_few(frame['SNP'], 2)} are asked for, "
            f"the file has {first_few(table['variant'], 2)}. Name genotypes with the same variant ids, or with the "
            "same positions and alleles."
        )
    return place, reason


def _plain(chromosome: str) -> str:
    return chromosome.lower().removeprefix("chr")
