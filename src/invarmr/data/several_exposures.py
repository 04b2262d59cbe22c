"""An instrumental-variable design with several exposures, on the moments of a cohort.

Symbols: Z instruments (k columns), C controls, X exposures (m columns), Y outcome; everything given C and the constant.

The exposures beyond the first are columns of the cohort's covariates, so nothing is read again and the moments stay.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self, final

import numpy as np
from numpy.typing import ArrayLike

from invarmr.arrays import FloatArray, IntArray, finite_matrix
from invarmr.data.cohort import Cohort
from invarmr.data.design import IVDesign, Partialled
from invarmr.errors import InputError, first_few
from invarmr.linalg.projection import partial_out
from invarmr.linalg.symmetric import range_whitener

__all__ = ["SeveralExposures"]


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class SeveralExposures:
    """Instruments, controls and several exposures of one outcome.

    Parameters
    ----------
    design
        Whose exposure comes first; its instruments may be learned (the error of learning is not counted here).
    further
        Covariates of its cohort that are exposures too, by name; they leave the controls.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> Z = rng.normal(size=(500, 4))
    >>> X = Z[:, :2] + rng.normal(size=(500, 2))
    >>> design = SeveralExposures.from_arrays(instrument=Z, exposures=X, outcome=X @ [1.0, -0.5] + rng.normal(size=500))
    >>> design.exposures, design.partialled.n_instruments
    (('exposure1', 'exposure2'), 4)
    """

    design: IVDesign
    further: tuple[str, ...]
    names: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        known = [name.partition(":")[2] for name in self.design.moments.columns if name.startswith("covariate:")]
        missing = [name for name in self.further if name not in known]
        if missing or not self.further or len(set(self.further)) != len(self.further):
            raise InputError(
                f"further must name covariates of the cohort ({first_few(known, 10)}), each once, to be exposures, but "
                f"is {', '.join(self.further) or 'empty'}."
            )

    @classmethod
    def from_arrays(
        cls,
        *,
        instrument: ArrayLike,
        exposures: ArrayLike,
        outcome: ArrayLike,
        covariates: ArrayLike | None = None,
        exposure_names: Sequence[str] | None = None,
        environment: Sequence[Any] | ArrayLike | None = None,
        environment_effects: bool = False,
        cluster: Sequence[Any] | ArrayLike | None = None,
    ) -> Self:
        """Design from arrays or data-frame columns.

        Parameters
        ----------
        instrument, exposures, outcome, covariates
            (n, k), (n, m) with m >= 2, (n,), (n, c) numbers.
        exposure_names
            m names; the columns' names, or made up, when absent.
        environment
            (n,) labels; one environment when absent.
        environment_effects
            Partial out one constant per environment instead of one for all.
        cluster
            (n,) labels of clusters of dependent samples.

        Raises
        ------
        InputError
            As of `Cohort.from_arrays`, or fewer than two exposures.
        """
        X = finite_matrix(exposures, "exposures")
        n, m = X.shape
        if m < 2:
            raise InputError(f"exposures must have two columns or more, but has {m}. For one exposure use IVDesign.")
        given = getattr(exposures, "columns", None) if exposure_names is None else exposure_names
        names = tuple(str(name) for name in given) if given is not None else tuple(f"exposure{i + 1}" for i in range(m))
        if len(names) != m:
            raise InputError(f"There must be {m} exposure names, one per column, but {len(names)} came.")
        controls = finite_matrix(np.zeros((n, 0)) if covariates is None else covariates, "covariates", n)
        further = tuple(f"exposure:{name}" for name in names[1:])
        cohort = Cohort.from_arrays(
            instrument=instrument,
            exposure=X[:, 0],
            outcome=outcome,
            environment=np.zeros(n, dtype=np.intp) if environment is None else environment,
            covariates=np.hstack([X[:, 1:], controls]),
            covariate_names=[*further, *(f"covariate{i + 1}" for i in range(controls.shape[1]))],
            cluster=cluster,
        )
        design = IVDesign.from_cohort(cohort, environment_effects=environment_effects)
        return cls(design=design, further=further, names=names)

    @property
    def exposures(self) -> tuple[str, ...]:
        """Names of the m exposures."""
        if self.names is not None:
            return self.names
        cohort = self.design.cohort
        return ("exposure" if cohort is None else cohort.exposure_name, *self.further)

    @cached_property
    def mapping(self) -> tuple[FloatArray, int]:
        """Map from the moment columns to controls, instruments, outcome and exposures; and the number of controls."""
        columns = self.design.moments.columns
        c, _ = self.design.n_columns
        places = [columns.index(f"covariate:{name}") for name in self.further]
        base = self.design.mapping
        kept = [column for column in range(c) if not base[places, column].any()]
        extra = np.eye(len(columns))[:, places]
        return np.hstack([base[:, kept], base[:, c:], extra]), len(kept)

    @cached_property
    def crossproduct(self) -> tuple[FloatArray, FloatArray, int]:
        """Cross-product of (Z, Y, X) given the controls, the controls' coefficients, and their rank."""
        mapping, c = self.mapping
        moments = self.design.moments
        full = moments.within() if self.design.environment_effects else moments.total()
        G = mapping.T @ full @ mapping
        return partial_out(G, np.arange(c, G.shape[0]), np.arange(c))

    @cached_property
    def partialled(self) -> Partialled:
        """What every estimator and test needs: cross-products of (Y, X), (1 + m, 1 + m), whole and projected.

        Raises
        ------
        InputError
            Fewer instruments than exposures, or no more samples than instruments and controls.
        """
        G, _, rank = self.crossproduct
        k = G.shape[0] - 2 - len(self.further)
        m = len(self.exposures)
        constants = len(self.design.moments.environments) if self.design.environment_effects else 1
        R = range_whitener(G[:k, :k])
        if R.shape[1] < m:
            raise InputError(f"{m} exposures need {m} instruments at least that differ, but there are {R.shape[1]}.")
        whitened = R.T @ G[:k, k:]
        n = self.design.moments.n_total
        if n - R.shape[1] - rank - constants <= 0:
            raise InputError(
                f"There must be more samples than instruments and controls, but {n} samples came for {R.shape[1]} "
                f"instruments and {rank + constants} controls."
            )
        return Partialled(n, R.shape[1], rank + constants, G[k:, k:], whitened.T @ whitened, whitened, R)

    def residual_rows(self) -> Iterator[tuple[FloatArray, FloatArray, IntArray]]:
        """Rows in blocks: orthonormal instruments (b, k), (Y, X) (b, 1 + m) given the controls, the samples' indices.

        Raises
        ------
        InputError
            The design was built from moments alone.
        """
        cohort, moments = self.design.cohort, self.design.moments
        if cohort is None:
            raise InputError("This needs the rows of the cohort, but the design was built from moments alone.")
        mapping, c = self.mapping
        coefficients, parts = self.crossproduct[1], self.partialled
        k = len(parts.whitener)
        effects = self.design.environment_effects
        center = moments.mean if effects else moments.grand_mean()[None, :]
        for block in cohort.blocks():
            codes = cohort.environment[block] if effects else np.zeros(len(block), dtype=np.intp)
            values = (cohort.rows(block) - center[codes]) @ mapping
            free = values[:, c:] - values[:, :c] @ coefficients
            yield free[:, :k] @ parts.whitener, free[:, k:], block
