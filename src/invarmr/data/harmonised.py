"""Two studies' summary statistics on the same alleles: the table, and the arrays that estimators take.

Symbols: p variants, K exposures; gamma_j association of variant j with the exposure, Gamma_j with the outcome;
sigma_X, sigma_Y their standard errors; rho the correlation (LD) of the variants.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self, final

import numpy as np
import polars as pl
from numpy.typing import ArrayLike

from invarmr.arrays import BoolArray, FloatArray, IntArray, finite_matrix, finite_vector, read_only
from invarmr.errors import InputError, first_few

__all__ = ["PAIR", "Associations", "HarmonisedStatistics", "MultivariableAssociations", "to_associations"]

PAIR = ("id.exposure", "id.outcome", "outcome", "exposure")
"""Columns that name one exposure-outcome pair, in the order of TwoSampleMR's tables."""


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class Associations:
    """Associations of p variants with one exposure and one outcome, on the same alleles; nothing missing.

    Parameters
    ----------
    exposure, exposure_std_error
        gamma (p,) in units of exposure per allele, and sigma_X > 0.
    outcome, outcome_std_error
        Gamma (p,) in units of outcome per allele, and sigma_Y > 0.
    variants
        p names.
    correlation
        rho (p, p), of the effect alleles; None: independent variants.
    """

    exposure: FloatArray
    exposure_std_error: FloatArray
    outcome: FloatArray
    outcome_std_error: FloatArray
    variants: tuple[str, ...]
    correlation: FloatArray | None = None

    @classmethod
    def from_arrays(
        cls,
        *,
        exposure: ArrayLike,
        exposure_std_error: ArrayLike,
        outcome: ArrayLike,
        outcome_std_error: ArrayLike,
        variants: tuple[str, ...] | list[str] | None = None,
        correlation: ArrayLike | None = None,
    ) -> Self:
        """Check shapes, finiteness and signs.

        Raises
        ------
        InputError
            Unequal lengths, values that are not finite, standard errors that are not positive, or a correlation that
            is not a positive definite correlation matrix.

        Examples
        --------
        >>> data = Associations.from_arrays(exposure=[0.1, 0.2], exposure_std_error=[0.01, 0.01],
        ...                                 outcome=[0.05, 0.1], outcome_std_error=[0.02, 0.02])
        >>> data.n_variants
        2
        """
        gamma = finite_vector(exposure, "exposure")
        p = gamma.size
        names = tuple(variants) if variants is not None else tuple(f"variant_{row + 1}" for row in range(p))
        if len(names) != p:
            raise InputError(f"variants must name {p} variants, one per association, but names {len(names)}.")
        return cls(
            exposure=read_only(gamma),
            exposure_std_error=_positive(exposure_std_error, "exposure_std_error", p),
            outcome=read_only(finite_vector(outcome, "outcome", p)),
            outcome_std_error=_positive(outcome_std_error, "outcome_std_error", p),
            variants=names,
            correlation=None if correlation is None else _correlation(correlation, p),
        )

    @property
    def n_variants(self) -> int:
        """P."""
        return self.exposure.size

    @property
    def ratio(self) -> FloatArray:
        """Wald ratios Gamma / gamma, (p,)."""
        return self.outcome / self.exposure

    def ratio_std_error(self, *, order: int = 1) -> FloatArray:
        """Standard errors of the ratios by the delta method: sigma_Y / |gamma|, or with the second-order term."""
        first = (self.outcome_std_error / self.exposure) ** 2
        second = (self.outcome * self.exposure_std_error / self.exposure**2) ** 2 if order == 2 else 0.0
        return np.asarray(np.sqrt(first + second))

    def oriented(self) -> Associations:
        """The same variants with the allele that raises the exposure as effect allele."""
        sign = np.where(self.exposure < 0, -1.0, 1.0)
        return Associations(
            exposure=read_only(self.exposure * sign),
            exposure_std_error=self.exposure_std_error,
            outcome=read_only(self.outcome * sign),
            outcome_std_error=self.outcome_std_error,
            variants=self.variants,
            correlation=None if self.correlation is None else read_only(self.correlation * np.outer(sign, sign)),
        )

    def take(self, rows: IntArray | BoolArray) -> Associations:
        """Some of the variants."""
        places = np.arange(self.n_variants)[rows]
        return Associations(
            exposure=read_only(self.exposure[places]),
            exposure_std_error=read_only(self.exposure_std_error[places]),
            outcome=read_only(self.outcome[places]),
            outcome_std_error=read_only(self.outcome_std_error[places]),
            variants=tuple(self.variants[place] for place in places),
            correlation=None if self.correlation is None else read_only(self.correlation[np.ix_(places, places)]),
        )


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class MultivariableAssociations:
    """Associations of p variants with K exposures and one outcome, on the same alleles; nothing missing.

    Parameters
    ----------
    exposure, exposure_std_error
        (p, K).
    outcome, outcome_std_error
        (p,).
    exposures
        K names.
    variants
        p names.
    """

    exposure: FloatArray
    exposure_std_error: FloatArray
    outcome: FloatArray
    outcome_std_error: FloatArray
    exposures: tuple[str, ...]
    variants: tuple[str, ...]

    @classmethod
    def from_arrays(
        cls,
        *,
        exposure: ArrayLike,
        exposure_std_error: ArrayLike,
        outcome: ArrayLike,
        outcome_std_error: ArrayLike,
        exposures: tuple[str, ...] | list[str] | None = None,
        variants: tuple[str, ...] | list[str] | None = None,
    ) -> Self:
        """Check shapes, finiteness and signs.

        Raises
        ------
        InputError
            Unequal lengths, values that are not finite, or standard errors that are not positive.
        """
        gamma = finite_matrix(exposure, "exposure")
        p, K = gamma.shape
        errors = finite_matrix(exposure_std_error, "exposure_std_error", p)
        if errors.shape != gamma.shape or (errors <= 0).any():
            raise InputError(f"exposure_std_error must be positive and of shape {gamma.shape}, as exposure is.")
        names = tuple(variants) if variants is not None else tuple(f"variant_{row + 1}" for row in range(p))
        traits = tuple(exposures) if exposures is not None else tuple(f"exposure_{column + 1}" for column in range(K))
        if len(names) != p or len(traits) != K:
            raise InputError(f"{p} variants and {K} exposures must be named, but {len(names)} and {len(traits)} are.")
        return cls(
            exposure=read_only(gamma),
            exposure_std_error=read_only(errors),
            outcome=read_only(finite_vector(outcome, "outcome", p)),
            outcome_std_error=_positive(outcome_std_error, "outcome_std_error", p),
            exposures=traits,
            variants=names,
        )

    @property
    def n_variants(self) -> int:
        """P."""
        return self.outcome.size


@final
@dataclass(frozen=True, eq=False)
class HarmonisedStatistics:
    """Exposure and outcome on the same alleles, one row per variant and pair, as TwoSampleMR lays it out.

    Parameters
    ----------
    frame
        Columns of `SummaryStatistics` suffixed `.exposure` and `.outcome`, `palindromic, ambiguous, remove, mr_keep`,
        and `reason` (empty for a plain match; why not, where `mr_keep` is false).
    absent
        `SNP, id.exposure, id.outcome, reason`: exposure variants that the outcome study does not have.
    """

    frame: pl.DataFrame
    absent: pl.DataFrame

    @property
    def dropped(self) -> pl.DataFrame:
        """`SNP, id.exposure, id.outcome, reason`: every variant that does not enter the estimates."""
        columns = ["SNP", "id.exposure", "id.outcome", "reason"]
        return pl.concat([self.frame.filter(~pl.col("mr_keep")).select(columns), self.absent.select(columns)])

    def pairs(self) -> Iterator[tuple[dict[str, str], pl.DataFrame]]:
        """Each exposure-outcome pair: its names (`PAIR`), and its kept rows."""
        kept = self.frame.filter(pl.col("mr_keep"))
        for part in kept.partition_by("id.exposure", "id.outcome", maintain_order=True):
            yield {name: str(part[name][0]) for name in PAIR}, part

    def associations(self, *, correlation: ArrayLike | None = None) -> Associations:
        """Arrays of the only pair.

        Parameters
        ----------
        correlation
            LD of the kept variants, in their order and for the exposure's effect alleles.

        Raises
        ------
        InputError
            No variant is kept, or there are several pairs (`pairs` walks them).
        """
        found = list(self.pairs())
        if len(found) != 1:
            raise InputError(f"one exposure-outcome pair with kept variants was required, but there are {len(found)}.")
        return to_associations(found[0][1], correlation=correlation)


def to_associations(rows: pl.DataFrame, *, correlation: ArrayLike | None = None) -> Associations:
    """Arrays of harmonised rows, which must be those of one pair."""
    return Associations.from_arrays(
        exposure=rows["beta.exposure"].to_numpy(),
        exposure_std_error=rows["se.exposure"].to_numpy(),
        outcome=rows["beta.outcome"].to_numpy(),
        outcome_std_error=rows["se.outcome"].to_numpy(),
        variants=rows["SNP"].to_list(),
        correlation=correlation,
    )


def _positive(values: ArrayLike, name: str, length: int) -> FloatArray:
    array = finite_vector(values, name, length)
    bad = np.flatnonzero(array <= 0)
    if bad.size:
        raise InputError(f"{name} must be positive, but rows {first_few(bad)} are not.")
    return read_only(array)


def _correlation(values: ArrayLike, length: int) -> FloatArray:
    rho = finite_matrix(values, "correlation", length)
    if rho.shape != (length, length) or not np.allclose(rho, rho.T, atol=1e-6) or not np.allclose(np.diag(rho), 1.0):
        raise InputError(f"correlation must be a symmetric {length} x {length} matrix with ones on its diagonal.")
    if np.linalg.eigvalsh((rho + rho.T) / 2)[0] <= 1e-10:
        raise InputError("correlation must be positive definite: prune variants in (nearly) perfect LD first.")
    return read_only((rho + rho.T) / 2)
