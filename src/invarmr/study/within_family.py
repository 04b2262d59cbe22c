"""Within-family against population associations of the same variants: both estimates and their difference.

Symbols: b_p, b_w estimates from population and within-family associations, s_p, s_w their standard errors, rho the
correlation of the two:

    difference b_p - b_w,  variance s_p^2 + s_w^2 - 2 rho s_p s_w

rho is stated, or taken from the share of the within-family study's people who are in the population study too: rho =
share x min(s_p / s_w, 1), what an efficient population estimate has with one on part of its people. Neither given: 0,
which makes the standard error of the difference too large where people are shared. Source: Howe et al. (2022), Nature
Genetics 54:581 (within-sibship associations); Hausman (1978), Econometrica 46:1251.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from invarmr.data.summary_statistics import SummaryStatistics
from invarmr.diagnostics.referee import Referee
from invarmr.errors import InputError
from invarmr.estimators.summary.base import SummaryEstimator
from invarmr.estimators.summary.table import DEFAULT_METHODS, mr_details, resolve_methods
from invarmr.genetics.harmonise import HarmoniseMode, harmonise
from invarmr.io.summary_statistics import read_summary_statistics

__all__ = ["WithinFamily", "compare_within_family", "read_within_family"]


@dataclass(frozen=True, eq=False)
class WithinFamily:
    """Within-family associations of exposure and outcome, and how they depend on the population's.

    Parameters
    ----------
    exposure, outcome
        Summary statistics within families.
    correlation
        Of the two estimates, from -1 to 1 (not included); None: from `overlap`.
    overlap
        Share of the within-family study's people who are in the population study; None: not known.
    files
        Where they were read from.

    Raises
    ------
    InputError
        Both are given, or one is out of its range.
    """

    exposure: SummaryStatistics
    outcome: SummaryStatistics
    correlation: float | None = None
    overlap: float | None = None
    files: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        if self.correlation is not None and self.overlap is not None:
            raise InputError("State the correlation of the two estimates or the overlap of their people, not both.")
        if self.correlation is not None and not -1 < self.correlation < 1:
            raise InputError(f"The correlation must lie between -1 and 1, but is {self.correlation}.")
        if self.overlap is not None and not 0 <= self.overlap <= 1:
            raise InputError(f"The overlap must be a share from 0 to 1, but is {self.overlap}.")

    def rho(self, population: float, within: float) -> float:
        """Correlation of two estimates with these standard errors."""
        if self.correlation is not None:
            return self.correlation
        return (self.overlap or 0.0) * min(population / within, 1.0)


def read_within_family(
    files: tuple[Path, Path], *, correlation: float | None = None, overlap: float | None = None
) -> WithinFamily:
    """Read the within-family associations of exposure and outcome."""
    exposure, outcome = (read_summary_statistics(path) for path in files)
    return WithinFamily(exposure, outcome, correlation, overlap, files)


def compare_within_family(
    kept: pl.Series,
    population: tuple[SummaryStatistics, SummaryStatistics],
    within: WithinFamily,
    methods: Sequence[str | SummaryEstimator] = DEFAULT_METHODS,
    *,
    mode: HarmoniseMode = "infer",
    seed: int = 1,
) -> pl.DataFrame:
    """Both estimates by every method on the variants that both have, and their difference.

    Parameters
    ----------
    kept
        Names of the variants of the population study.
    population, within
        The four sets of associations.
    methods, mode, seed
        Methods, how palindromic variants are harmonised, and the bootstraps' seed.

    Returns
    -------
    polars.DataFrame
        `method, nsnp, b_population, se_population, b_within_family, se_within_family, correlation, difference,
        se_difference, p_difference, detectable`: the last is the difference seen with 80 % power at level 0.01.

    Raises
    ------
    InputError
        No variant that both have.
    """
    inside = harmonise(_only(within.exposure, kept), within.outcome, mode)
    shared = inside.frame.filter("mr_keep")["SNP"]
    if shared.len() == 0:
        raise InputError(
            f"None of the {kept.n_unique()} variants of the population study can be used in the within-family study: "
            "the two must have the same variants, named alike."
        )
    outside = harmonise(_only(population[0], shared), population[1], mode)
    chosen = resolve_methods(methods)
    shared = shared.filter(shared.is_in(outside.frame.filter("mr_keep")["SNP"].implode()))
    first, second = (
        mr_details(replace(part, frame=part.frame.filter(pl.col("SNP").is_in(shared.implode()))), chosen, seed=seed)
        for part in (outside, inside)
    )
    rows = []
    for row, other in zip(
        *(table.iter_rows(named=True) for table in (first, _same_methods(second, first))), strict=True
    ):
        numbers = (row["b"], row["se"], other["b"], other["se"])
        if not all(math.isfinite(value) for value in numbers):
            continue
        rho = within.rho(row["se"], other["se"])
        variance = row["se"] ** 2 + other["se"] ** 2 - 2 * rho * row["se"] * other["se"]
        if variance <= 0:
            continue
        found = Referee("population", row["b"] - other["b"], math.sqrt(variance))
        tail = (rho, found.difference, found.std_error, found.p_value, found.detectable)
        rows.append((row["method"], row["nsnp"], *numbers, *tail))
    return pl.DataFrame(rows, schema=_COLUMNS, orient="row")


_COLUMNS = {
    "method": pl.String, "nsnp": pl.Int64, "b_population": pl.Float64, "se_population": pl.Float64,
    "b_within_family": pl.Float64, "se_within_family": pl.Float64, "correlation": pl.Float64, "difference": pl.Float64,
    "se_difference": pl.Float64, "p_difference": pl.Float64, "detectable": pl.Float64,
}  # fmt: skip


def _only(statistics: SummaryStatistics, variants: pl.Series) -> SummaryStatistics:
    kept = statistics.frame.filter(pl.col("SNP").is_in(variants.implode()))
    if kept.height == 0:
        raise InputError(
            f"{', '.join(statistics.ids)} has none of the {variants.n_unique()} variants of the other study: the two "
            "must have the same variants, named alike."
        )
    return SummaryStatistics(kept)


def _same_methods(table: pl.DataFrame, other: pl.DataFrame) -> pl.DataFrame:
    """Rows of `table` in the order of the methods of `other`, empty where a method does not apply."""
    own = table.unique("method", keep="first")
    return (
        other.select("method")
        .join(own, on="method", how="left", maintain_order="left")
        .with_columns(pl.col("b", "se").fill_null(math.nan))
    )
