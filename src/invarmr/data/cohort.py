"""The people of a study: instruments, exposure, outcome, environment and covariates, matched and validated.

Symbols: n samples, d instruments, E environments, c covariates, k components.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal, Self

import numpy as np
import polars as pl
from numpy.typing import ArrayLike

from invarmr.arrays import FloatArray, IntArray, StrArray, finite_matrix, finite_vector, read_only
from invarmr.data.families import ArrayCalls, Families
from invarmr.data.instrument_source import ArrayInstruments, InstrumentSource, SelectedInstruments
from invarmr.data.labels import encoded, names_of, sample_ids_of
from invarmr.data.latent_instruments import LatentInstruments
from invarmr.data.moment_pass import Track, sum_groups
from invarmr.data.moments import EnvironmentMoments
from invarmr.data.pedigree import Pedigree
from invarmr.data.representation import RepresentedInstruments, represent
from invarmr.errors import InputError, first_few

__all__ = ["BLOCK", "Account", "Cohort", "InstrumentKind"]

InstrumentKind = Literal["genotype", "score"]
BLOCK = 16_384
"""Samples read at a time."""
_ARRAYS = ("exposure", "outcome", "environment", "sample_ids", "covariates", "components", "truth")


@dataclass(frozen=True, eq=False)
class Account:
    """What was read, kept and dropped, and why.

    Parameters
    ----------
    variants
        One row per variant asked for: `variant, chromosome, position, effect_allele, other_allele, status, reason`,
        frequencies and call rates where known.
    samples
        One row per stage and environment: `stage, environment, n_samples, reason`.
    """

    variants: pl.DataFrame = field(default_factory=pl.DataFrame)
    samples: pl.DataFrame = field(default_factory=pl.DataFrame)


@dataclass(frozen=True, eq=False, kw_only=True)
class Cohort:
    """Samples with instruments, exposure, outcome and environment; immutable and complete (no missing values).

    Build it with `from_arrays`, or from files with `invarmr.read_cohort`.

    Parameters
    ----------
    instruments
        Source of the (n, d) instrument values.
    instrument_names
        d names.
    instrument_kind
        "genotype" when every instrument is a count of allele copies (0 to 2), whose variance 2f(1-f) must move with
        its frequency; "score" otherwise.
    exposure, outcome
        (n,) floats.
    environment
        (n,) codes 0..E-1 into `environments`.
    environments
        E labels.
    covariates, components, truth
        (n, c), (n, k), (n, r): measured covariates, principal components of ancestry, and (simulated studies only) what
        was really the confounder. Names in `covariate_names` and so on.
    weights
        (d,) external weight of each instrument per unit (allele copy), for the allele score; None where not given.
    sample_ids
        n unique ids (checked where they are read).
    cluster
        (n,) codes of clusters of dependent samples; None: independent.
    observed
        The same people with the instruments as observed, where these are learned features (`represented`).
    families
        Trios and sibships among the people; None where not known (`with_families`).
    """

    instruments: InstrumentSource
    instrument_names: tuple[str, ...]
    instrument_kind: InstrumentKind
    exposure: FloatArray
    outcome: FloatArray
    environment: IntArray
    environments: tuple[str, ...]
    sample_ids: StrArray
    covariates: FloatArray
    covariate_names: tuple[str, ...] = ()
    components: FloatArray
    component_names: tuple[str, ...] = ()
    truth: FloatArray
    truth_names: tuple[str, ...] = ()
    weights: FloatArray | None = None
    cluster: IntArray | None = None
    exposure_name: str = "exposure"
    outcome_name: str = "outcome"
    environment_name: str = "environment"
    account: Account = field(default_factory=Account)
    observed: Cohort | None = None
    families: Families | None = None

    def __post_init__(self) -> None:
        for name in (*_ARRAYS, "weights", "cluster"):
            array = getattr(self, name)
            object.__setattr__(self, name, None if array is None else read_only(array))
        _check_variation(self.exposure, self.exposure_name, "exposure")
        _check_variation(self.outcome, self.outcome_name, "outcome")
        _check_sizes(self)

    @classmethod
    def from_arrays(
        cls,
        *,
        instrument: ArrayLike,
        exposure: ArrayLike,
        outcome: ArrayLike,
        environment: Sequence[Any] | ArrayLike,
        covariates: ArrayLike | None = None,
        components: ArrayLike | None = None,
        truth: ArrayLike | None = None,
        instrument_names: Sequence[str] | None = None,
        covariate_names: Sequence[str] | None = None,
        weights: ArrayLike | None = None,
        sample_ids: Sequence[str] | None = None,
        cluster: Sequence[Any] | ArrayLike | None = None,
        instrument_kind: InstrumentKind = "score",
    ) -> Self:
        """Build a cohort from arrays or data-frame columns (numpy, pandas, polars, lists).

        Parameters
        ----------
        instrument
            (n, d) values; a data frame's column names become the instruments' names.
        exposure, outcome
            (n,) numbers.
        environment
            (n,) labels of any kind with at least two levels; levels are sorted.
        covariates, components, truth
            (n, c), (n, k), (n, r) numbers.
        instrument_names, covariate_names, sample_ids
            Names; made up when absent.
        weights
            (d,) external weights of the instruments.
        cluster
            (n,) labels of clusters of dependent samples.
        instrument_kind
            "genotype" for allele copies, "score" for anything else.

        Raises
        ------
        InputError
            NaN or text in a number, unequal lengths, an environment with too few samples, a constant exposure or
            outcome, duplicated sample ids.
        """
        values = finite_matrix(instrument, "instrument")
        n, d = values.shape
        if d == 0:
            raise InputError("At least one instrument is required, but instrument has no columns.")
        codes, labels = encoded(environment, "environment", n)
        if instrument_kind == "genotype" and n and (values.min() < 0 or values.max() > 2):
            raise InputError(
                "instrument_kind='genotype' needs allele copies between 0 and 2, but the values run from "
                f"{values.min():g} to {values.max():g}. Use instrument_kind='score' for anything else."
            )
        measured = finite_matrix(_or_empty(covariates, n), "covariates", n)
        ancestry = finite_matrix(_or_empty(components, n), "components", n)
        known = finite_matrix(_or_empty(truth, n), "truth", n)
        return cls(
            instruments=ArrayInstruments(values),
            instrument_names=names_of(instrument_names, instrument, "instrument", d),
            instrument_kind=instrument_kind,
            exposure=finite_vector(exposure, "exposure", n),
            outcome=finite_vector(outcome, "outcome", n),
            environment=codes,
            environments=labels,
            sample_ids=sample_ids_of(sample_ids, n),
            covariates=measured,
            components=ancestry,
            truth=known,
            covariate_names=names_of(covariate_names, covariates, "covariate", measured.shape[1]),
            component_names=names_of(None, None, "PC", ancestry.shape[1]),
            truth_names=names_of(None, truth, "truth", known.shape[1]),
            weights=None if weights is None else finite_vector(weights, "weights", d, axis="instrument"),
            cluster=None if cluster is None else encoded(cluster, "cluster", n)[0],
        )

    @property
    def n_samples(self) -> int:
        """Number of samples."""
        return len(self.exposure)

    @property
    def n_instruments(self) -> int:
        """Number of instruments."""
        return len(self.instrument_names)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the moment columns, `role:name`, in the order in which `rows` and the moments hold them."""
        left = [
            f"{role}:{name}"
            for role, names in (
                ("covariate", self.covariate_names),
                ("component", self.component_names),
                ("truth", self.truth_names),
            )
            for name in names
        ]
        return (*left, *(f"instrument:{name}" for name in self.instrument_names), "exposure", "outcome")

    def blocks(self, samples: IntArray | None = None) -> Iterator[IntArray]:
        """Indices of the samples (or of some, increasing), `BLOCK` at a time."""
        everyone = np.arange(self.n_samples) if samples is None else samples
        for start in range(0, len(everyone), BLOCK):
            yield everyone[start : start + BLOCK]

    def rows(self, samples: IntArray) -> FloatArray:
        """All columns for some samples (increasing indices), (len(samples), m) in the order of `columns`, float64."""
        return np.hstack([self._left(samples), self.instruments.read(samples), self._right(samples)], dtype=np.float64)

    def moments_of(self, samples: IntArray) -> EnvironmentMoments:
        """Moments per environment of some samples."""
        fold = np.full(self.n_samples, -1)
        fold[samples] = 0
        return self._folded(fold, n_folds=1)[0]

    def folded_moments(self, fold: IntArray, *, track: Track = iter) -> tuple[EnvironmentMoments, ...]:
        """Moments of each fold (codes (n,), 0..K-1), in one pass over the instruments.

        `track` iterates over the blocks of the pass, and may show progress.
        """
        return self._folded(fold, n_folds=int(fold.max()) + 1, track=track)

    def _folded(self, fold: IntArray, *, n_folds: int, track: Track = iter) -> tuple[EnvironmentMoments, ...]:
        n_environments, place = len(self.environments), self.columns.index(f"instrument:{self.instrument_names[0]}")
        sums = sum_groups(
            self.instruments,
            lambda samples: np.hstack([self._left(samples), self._right(samples)]),
            np.where(fold < 0, -1, fold * n_environments + self.environment),
            n_groups=n_folds * n_environments,
            n_columns=len(self.columns),
            place=slice(place, place + self.n_instruments),
            track=track,
        )
        own = [slice(k * n_environments, (k + 1) * n_environments) for k in range(n_folds)]
        return tuple(
            EnvironmentMoments(self.columns, self.environments, sums.n_samples[k], sums.mean[k], sums.crossproduct[k])
            for k in own
        )

    @cached_property
    def moments(self) -> EnvironmentMoments:
        """Moments per environment of all samples; computed once."""
        return self.moments_of(np.arange(self.n_samples))

    def with_components(self, components: FloatArray, names: Sequence[str]) -> Cohort:
        """The same cohort with principal components (n, k) attached."""
        checked = finite_matrix(components, "components", self.n_samples)
        return replace(self, components=checked, component_names=tuple(names))

    def with_families(self, pedigree: Pedigree, *, calls: ArrayLike, sample_ids: Sequence[str]) -> Cohort:
        """The same cohort with its families: who is whose child, and everybody's calls.

        Parameters
        ----------
        pedigree
            Parents and sibships by id.
        calls
            (m, d) values of the instruments, NaN where not called, of everybody with genotypes, parents included.
        sample_ids
            m ids, those of the cohort among them.
        """
        values = np.asarray(calls, dtype=np.float64)
        names = np.array([str(name) for name in sample_ids], dtype=np.str_)
        if values.shape != (len(names), self.n_instruments):
            raise InputError(
                f"calls must have one row for each of {len(names)} ids and {self.n_instruments} columns, but have "
                f"shape {values.shape}."
            )
        absent = np.setdiff1d(self.sample_ids, names)
        if absent.size:
            raise InputError(
                f"calls must hold everybody of the cohort, but {absent.size} are not there: {first_few(absent)}."
            )
        return replace(self, families=Families.of(pedigree, self.sample_ids, ArrayCalls(values), names))

    def represented(self, latent: LatentInstruments) -> Cohort:
        """The same people with the features that `latent` is linear in as instruments; this cohort where it is linear.

        Raises
        ------
        InputError
            The map is not at hand (it came from an archive), and these are not the people it was learned from.
        """
        if not latent.feature_names or self.instrument_names == latent.feature_names:
            return self
        source = latent.source
        known = isinstance(source, RepresentedInstruments) and source.raw in (None, self.instruments)
        if latent.representation is not None and not known:
            source = represent(self.instruments, latent.representation)
        if source is None or source.n_samples != self.n_samples:
            raise InputError(
                "These latent instruments are known for the people they were learned from only, and the map for others "
                "is not at hand. Learn again with the learner, or use the cohort they were learned from."
            )
        return replace(
            self,
            instruments=source,
            instrument_names=latent.feature_names,
            instrument_kind="score",
            weights=None,
            observed=self,
        )

    def subset(self, samples: IntArray) -> Cohort:
        """Some of the people (increasing indices), with every environment's label.

        Raises
        ------
        InputError
            Too few of them in an environment, or an exposure or outcome that is constant among them.
        """
        return self._taken(samples, self.environment[samples], self.environments)

    def of_environments(self, environments: Sequence[int]) -> Cohort:
        """The people of some environments (by position), and no other environment.

        Raises
        ------
        InputError
            An exposure or outcome that is constant among them.
        """
        place = np.full(len(self.environments), -1, dtype=np.intp)
        place[list(environments)] = np.arange(len(environments))
        code = place[self.environment]
        samples = np.flatnonzero(code >= 0)
        return self._taken(samples, code[samples], tuple(self.environments[e] for e in environments))

    def _taken(self, samples: IntArray, environment: IntArray, environments: tuple[str, ...]) -> Cohort:
        return replace(
            self,
            instruments=SelectedInstruments(self.instruments, samples),
            **({name: getattr(self, name)[samples] for name in _ARRAYS} | {"environment": environment}),
            environments=environments,
            cluster=None if self.cluster is None else np.unique(self.cluster[samples], return_inverse=True)[1],
            observed=None if self.observed is None else self.observed._taken(samples, environment, environments),
            families=None if self.families is None else self.families.subset(samples),
        )

    def _left(self, samples: IntArray) -> FloatArray:
        return np.hstack([self.covariates[samples], self.components[samples], self.truth[samples]])

    def _right(self, samples: IntArray) -> FloatArray:
        return np.column_stack([self.exposure[samples], self.outcome[samples]])


def _or_empty(values: ArrayLike | None, n: int) -> ArrayLike:
    return np.zeros((n, 0)) if values is None else values


def _check_variation(values: FloatArray, name: str, role: str) -> None:
    if len(values) == 0 or np.ptp(values) == 0:
        value = f"all {len(values)} values are {values[0]:g}" if len(values) else "there are no samples"
        raise InputError(f"The {role} ({name}) must vary between samples, but {value}. Check the column and its units.")


def _check_sizes(cohort: Cohort) -> None:
    counts = np.bincount(cohort.environment, minlength=len(cohort.environments))
    needed = cohort.n_instruments + len(cohort.covariate_names) + 2
    small = np.flatnonzero(counts < needed)
    if small.size:
        found = ", ".join(f"{cohort.environments[i]} ({counts[i]})" for i in small[:5])
        raise InputError(
            f"Every environment must have more samples than instruments and covariates together: at least {needed} "
            f"({cohort.n_instruments} instruments, {len(cohort.covariate_names)} covariates), but {len(small)} of "
            f"{len(counts)} have fewer: {found}. Merge small environments, leave them out, or use fewer instruments."
        )
