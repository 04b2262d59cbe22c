"""An instrumental-variable design: which instruments, which controls, on which moments.

Symbols: Z instruments (k columns), C controls, D exposure, Y outcome; every matrix is partialled of C and the constant.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Self

import numpy as np

from invarmr.arrays import FloatArray, IntArray
from invarmr.data.cohort import Cohort
from invarmr.data.latent_instruments import LatentInstruments
from invarmr.data.moments import EnvironmentMoments
from invarmr.errors import InputError, InvarmrWarning, first_few
from invarmr.linalg.projection import partial_out
from invarmr.linalg.symmetric import range_whitener

__all__ = ["Control", "IVDesign", "Partialled"]

Control = Literal["covariates", "components", "truth"]
_ROLE = {"covariates": "covariate", "components": "component", "truth": "truth"}


@dataclass(frozen=True, eq=False)
class Partialled:
    """Cross-products after partialling out the controls, and what is needed to count degrees of freedom.

    Parameters
    ----------
    n_samples, n_instruments, n_controls
        Samples; rank of the instruments; rank of the controls with the constant or the environments' constants.
    total
        (2, 2) cross-product of (Y, D).
    projected
        (2, 2) cross-product of (Y, D) projected on the instruments.
    whitened
        (k, 2) coordinates of (Y, D) on orthonormal instruments: projected = whitened' whitened.
    whitener
        (columns of Z, k): instruments to orthonormal instruments.
    """

    n_samples: int
    n_instruments: int
    n_controls: int
    total: FloatArray
    projected: FloatArray
    whitened: FloatArray
    whitener: FloatArray


@dataclass(frozen=True, eq=False, kw_only=True)
class IVDesign:
    """Instruments, controls and the moments that estimators and diagnostics work on.

    Parameters
    ----------
    moments
        Moments per environment with the columns of a `Cohort`.
    instrument_set
        Label, as in `estimates.tsv`: `observed`, `learned`, `allele_score`, ...
    loadings
        (d, k) linear map from the cohort's instruments to those of this design; None: the instruments themselves.
    controls
        What is partialled out beside the constant.
    environment_effects
        Whether environment fixed effects are partialled out.
    confounded_loadings
        (d, q) directions partialled out as further controls; None: none.
    latent
        The learned instruments behind `loadings`, where there are any.
    cohort
        The people, for what needs rows (robust and clustered errors, permutation); None where only moments are known.
    """

    moments: EnvironmentMoments
    instrument_set: str
    loadings: FloatArray | None = None
    controls: tuple[Control, ...] = ("covariates",)
    environment_effects: bool = False
    confounded_loadings: FloatArray | None = None
    latent: LatentInstruments | None = None
    cohort: Cohort | None = None

    def __post_init__(self) -> None:
        unknown = [name for name in self.controls if name not in _ROLE]
        if unknown:
            raise InputError(f"controls must be among {', '.join(_ROLE)}, but are {first_few(self.controls)}.")

    @classmethod
    def from_cohort(
        cls,
        cohort: Cohort,
        latent: LatentInstruments | None = None,
        *,
        moments: EnvironmentMoments | None = None,
        controls: Sequence[Control] = ("covariates",),
        environment_effects: bool = False,
        partial_confounded: bool = False,
    ) -> Self:
        """Design on the learned instruments `latent`, or on the observed ones when it is None.

        Parameters
        ----------
        cohort, latent
            The people and, perhaps, what was learned from them.
        moments
            Moments of the cohort, if at hand; else computed (and kept by the cohort).
        controls
            Any of "covariates", "components", "truth".
        environment_effects
            Partial out one constant per environment instead of one for all.
        partial_confounded
            Partial out the learned confounded part V too. An `InvarmrWarning` says so where held-out people found V
            dependent on the latent instruments (`LatentInstruments.confounded_doubt`).
        """
        label = "observed" if latent is None else "allele_score" if latent.learner == "allele_score" else "learned"
        if environment_effects:
            label += "+environment"
        if "components" in controls:
            label += "+pcs"
        if "truth" in controls:
            label = "oracle"
        if latent is not None and latent.n_latent == 0:
            raise InputError(
                "No latent instrument was found, so there is no design on the learned instruments. Build one on the "
                "observed instruments, and give what was learned to diagnose(design, estimate, latent=latent)."
            )
        if latent is not None and partial_confounded and latent.confounded_doubt:
            warnings.warn(f"PO(V): {latent.confounded_doubt}.", InvarmrWarning, stacklevel=2)
        if latent is not None and latent.feature_names and cohort.instrument_names != latent.feature_names:
            cohort, moments = cohort.represented(latent), None
        return cls(
            moments=cohort.moments if moments is None else moments,
            instrument_set=label,
            loadings=None if latent is None else latent.loadings,
            controls=tuple(controls),
            environment_effects=environment_effects,
            confounded_loadings=latent.confounded_loadings if latent is not None and partial_confounded else None,
            latent=latent,
            cohort=cohort,
        )

    @classmethod
    def from_moments(
        cls,
        moments: EnvironmentMoments,
        latent: LatentInstruments | None = None,
        *,
        controls: Sequence[Control] = ("covariates",),
        environment_effects: bool = False,
        partial_confounded: bool = False,
    ) -> Self:
        """Design on moments alone, without people: of summary statistics, say.

        Parameters
        ----------
        moments
            With columns `instrument:...`, `exposure` and `outcome`.
        latent
            What was learned from the same instruments, without a representation of its own; None: the instruments.
        controls, environment_effects, partial_confounded
            As for `from_cohort`.

        Raises
        ------
        InputError
            No latent instrument, or `latent` was learned from other instruments.
        """
        names = tuple(moments.columns[i].split(":", 1)[1] for i in moments.index("instrument"))
        label = "observed" + "+environment" * environment_effects
        if latent is not None:
            label = label.replace("observed", "learned")
            if latent.n_latent == 0:
                raise InputError("No latent instrument was found, so there is no design on the learned instruments.")
            if names not in (latent.instrument_names, latent.feature_names):
                raise InputError(
                    f"The moments must have the {len(latent.instrument_names)} instruments that were learned from "
                    f"({first_few(latent.instrument_names)}), but have {len(names)} ({first_few(names)})."
                )
        return cls(
            moments=moments,
            instrument_set=label + "+pcs" * ("components" in controls),
            loadings=None if latent is None else latent.loadings,
            controls=tuple(controls),
            environment_effects=environment_effects,
            confounded_loadings=latent.confounded_loadings if latent is not None and partial_confounded else None,
            latent=latent,
        )

    @cached_property
    def mapping(self) -> FloatArray:
        """(m, c + k + 2) map from the moment columns to this design's: controls, instruments, outcome, exposure."""
        moments = self.moments
        m = len(moments.columns)
        instrument = moments.index("instrument")
        controls = moments.index(*(_ROLE[name] for name in self.controls))
        parts = [np.eye(m)[:, controls]]
        for loadings in (self.confounded_loadings, self.loadings):
            if loadings is not None:
                spread = np.zeros((m, loadings.shape[1]))
                spread[instrument] = loadings
                parts.append(spread)
        if self.loadings is None:
            parts.append(np.eye(m)[:, instrument])
        parts.append(np.eye(m)[:, moments.index("outcome")])
        parts.append(np.eye(m)[:, moments.index("exposure")])
        return np.hstack(parts)

    @property
    def n_columns(self) -> tuple[int, int]:
        """Numbers of control columns and of instrument columns."""
        extra = 0 if self.confounded_loadings is None else self.confounded_loadings.shape[1]
        c = len(self.moments.index(*(_ROLE[name] for name in self.controls))) + extra
        return c, self.mapping.shape[1] - c - 2

    @cached_property
    def crossproduct(self) -> tuple[FloatArray, FloatArray, int]:
        """Cross-product of (Z, Y, D) given the controls, the controls' coefficients, and their rank."""
        c, k = self.n_columns
        full = self.moments.within() if self.environment_effects else self.moments.total()
        if self.loadings is None and self.confounded_loadings is None:  # the mapping only picks columns
            picked = self.mapping.argmax(axis=0)
            G = full[np.ix_(picked, picked)]
        else:
            G = self.mapping.T @ full @ self.mapping
        return partial_out(G, np.arange(c, c + k + 2), np.arange(c))

    @cached_property
    def partialled(self) -> Partialled:
        """What every estimator of this design needs."""
        G, _, rank = self.crossproduct
        k = G.shape[0] - 2
        constants = len(self.moments.environments) if self.environment_effects else 1
        R = range_whitener(G[:k, :k])
        if R.shape[1] == 0:
            raise InputError(f"None of the {k} instruments ({self.instrument_set}) varies given the controls.")
        whitened = R.T @ G[:k, k:]
        n = self.moments.n_total
        free = n - R.shape[1] - rank - constants
        if free <= 0:
            raise InputError(
                f"There must be more samples than instruments and controls, but {n} samples came for "
                f"{R.shape[1]} instruments and {rank + constants} controls."
            )
        return Partialled(n, R.shape[1], rank + constants, G[k:, k:], whitened.T @ whitened, whitened, R)

    def environment_design(self, environments: Sequence[int], *, rows: bool = False) -> IVDesign:
        """The same design on some environments only (by position), without counting learning error.

        `rows` keeps their people, where there are any, for estimators that need them.
        """
        return IVDesign(
            moments=self.moments.subset(environments),
            instrument_set=self.instrument_set,
            loadings=self.loadings,
            controls=self.controls,
            environment_effects=self.environment_effects,
            confounded_loadings=self.confounded_loadings,
            cohort=self.cohort.of_environments(environments) if rows and self.cohort is not None else None,
        )

    def residual_rows(self) -> Iterator[tuple[FloatArray, FloatArray, IntArray]]:
        """Rows in blocks: orthonormal instruments (b, k), (Y, D) (b, 2) after partialling, and the samples' indices.

        Raises
        ------
        InputError
            The design was built from moments alone.
        """
        if self.cohort is None:
            raise InputError("This needs the rows of the cohort, but the design was built from moments alone.")
        c, k = self.n_columns
        coefficients = self.crossproduct[1]
        whitener = self.partialled.whitener
        center = self.moments.mean if self.environment_effects else self.moments.grand_mean()[None, :]
        for block in self.cohort.blocks():
            codes = self.cohort.environment[block] if self.environment_effects else np.zeros(len(block), dtype=np.intp)
            values = (self.cohort.rows(block) - center[codes]) @ self.mapping
            free = values[:, c:] - values[:, :c] @ coefficients
            yield free[:, :k] @ whitener, free[:, k:], block
