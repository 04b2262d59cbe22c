"""`polynomial`: the invariant part of polynomially mixed instruments: degree filtration, then the stationary solution.

Learns u = (Z - centre) G, the combinations of the instruments that are linear in the latent variables
(`degree_filtration`), and then W = u B_W, the part of them whose mean and covariance are the same in every environment
(`stationary`). The result is linear in the instruments. Exact, up to an invertible linear map, when the instruments
span all polynomials up to some degree in an invariant part and a confounded part together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, final

import numpy as np

from invarmr.arrays import FloatArray, IntArray
from invarmr.data.cohort import Cohort
from invarmr.data.latent_instruments import LatentInstruments
from invarmr.data.moments import EnvironmentMoments
from invarmr.errors import InputError
from invarmr.instruments.base import Learner, assign_folds
from invarmr.instruments.degree_filtration import Filtration, Span, filter_degrees
from invarmr.instruments.stationary import StationaryInstruments

__all__ = ["PolynomialInstruments"]


@final
@dataclass(frozen=True, kw_only=True)
class PolynomialInstruments(Learner):
    """Learner for polynomial mixing: finds what is linear in the latent variables, then solves `stationary`.

    Parameters
    ----------
    n_latent
        Number of latent instruments; None: the largest that held-out people do not reject.
    degree
        Degree of the mixing; None: chosen from the data, 2 to `max_degree`, or 1 where no direction's square is in the
        span of the instruments. 1: plain `stationary`.
    n_components
        Number of latent variables, valid and confounded together; None: chosen from the data.
    max_degree
        Largest degree tried.
    tolerance
        Share of the variance of a direction's powers that may lie outside the span of the instruments.
    n_rows
        People of the training folds, evenly from all environments, among whom directions are sought.
    n_starts
        Starting points of the search for each direction: the first is enough unless the instruments carry noise.
    n_folds, n_held_out, rejection, shrink
        As for `StationaryInstruments`.

    Notes
    -----
    Without noise on the instruments the search is exact and its error of learning zero, so the error of learning is
    that of `stationary` alone. With noise it is not counted. Instruments of kind `genotype` are allele copies, whose
    squares say nothing of a mixing: degree 1 is taken for them. The idea of learning the invariant part is Huang,
    Robinson & Locatello's (2026), arXiv 2602.19782; the filtration is this package's.

    Examples
    --------
    >>> import numpy as np, invarmr
    >>> rng = np.random.default_rng(0)
    >>> site = np.repeat([0, 1], 3000)
    >>> confounder = rng.normal(2.0 * site, 1.0)
    >>> v, w = rng.normal(size=6000) + (1 + site) * confounder, rng.normal(size=6000)
    >>> instrument = np.column_stack([v, w, v * v, v * w, w * w]) @ rng.normal(size=(5, 5))
    >>> exposure = v + w + confounder + rng.normal(size=6000)
    >>> outcome = exposure + confounder + rng.normal(size=6000)
    >>> cohort = invarmr.Cohort.from_arrays(
    ...     instrument=instrument, exposure=exposure, outcome=outcome, environment=site)
    >>> latent = invarmr.PolynomialInstruments().fit(cohort, seed=1)
    >>> latent.settings["degree"], latent.settings["n_components"], latent.n_latent
    (2, 2, 1)
    >>> bool(abs(np.corrcoef(latent.latent_instrument[:, 0], w)[0, 1]) > 0.99)
    True
    """

    n_latent: int | None = None
    degree: int | None = None
    n_components: int | None = None
    max_degree: int = 4
    tolerance: float = 0.1
    n_rows: int = 3_000
    n_starts: int = 10
    n_folds: int = 10
    n_held_out: int = 3
    rejection: float = 0.01
    shrink: bool = True
    name: ClassVar[str] = "polynomial"

    def fit(self, data: Cohort | Sequence[EnvironmentMoments], *, seed: int = 1) -> LatentInstruments:
        """Learn from a cohort.

        Parameters
        ----------
        data
            A cohort; moments do not hold the powers that the filtration looks at.
        seed
            Seed of the split into folds, of the people searched among, and of the starting points.

        Raises
        ------
        InputError
            Moments in place of a cohort; a degree or number of latent variables that was asked for and is not there;
            what `StationaryInstruments` raises.
        """
        self._check()
        if not isinstance(data, Cohort):
            raise InputError(
                "PolynomialInstruments needs the people of a cohort: the degree of a combination of instruments shows "
                "in its powers, which moments of the instruments do not hold. Give the cohort, or use "
                "StationaryInstruments, which learns from moments."
            )
        fold = assign_folds(data.environment, n_folds=self.n_folds, seed=seed, sample_ids=data.sample_ids)
        stationary = StationaryInstruments(
            n_latent=self.n_latent,
            n_folds=self.n_folds,
            n_held_out=self.n_held_out,
            rejection=self.rejection,
            shrink=self.shrink,
            scale_within_environment=data.instrument_kind == "genotype",
        )
        filtration = None if data.instrument_kind == "genotype" else self._filter(data, fold, seed)
        if filtration is None:
            if self.degree not in (None, 1):
                raise InputError(
                    f"No combination of the {data.n_instruments} instruments has powers up to {self.degree} in their "
                    "span, so they are not all polynomials of that degree in fewer latent variables"
                    + (f" ({self.n_components} asked for)" if self.n_components else "")
                    + ". Leave out degree and n_components to let the data choose; raise tolerance if they are noisy."
                )
            latent = stationary.fit(data.folded_moments(fold))
            return self._finish(latent, data, fold, degree=1, residual=0.0, complete=True)
        folds = [_combined(part, filtration.directions) for part in data.folded_moments(fold)]
        latent = stationary.fit(folds)
        trained = latent.trained_loadings
        latent = replace(
            latent,
            instrument_names=data.instrument_names,
            center=filtration.center,
            loadings=filtration.directions @ latent.loadings,
            confounded_loadings=filtration.directions @ latent.confounded_loadings,
            trained_loadings=None if trained is None else filtration.directions @ trained,
            n_null=filtration.n_null,
        )
        return self._finish(
            latent,
            data,
            fold,
            degree=filtration.degree,
            residual=filtration.residual,
            complete=filtration.complete,
        )

    def _check(self) -> None:
        for name, least in (("degree", 1), ("n_components", 1), ("max_degree", 1), ("n_rows", 1), ("n_starts", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise InputError(f"{name} must be at least {least}, but is {value}.")
        if not 0 < self.tolerance < 1:
            raise InputError(f"tolerance must lie between 0 and 1, but is {self.tolerance:g}.")

    def _filter(self, cohort: Cohort, fold: IntArray, seed: int) -> Filtration | None:
        if self.degree == 1 or (self.degree is None and self.max_degree == 1):
            return None
        generator = np.random.default_rng([seed, 33])
        people = self._searched(cohort, fold, generator)
        span = Span(np.asarray(cohort.instruments.read(people), dtype=np.float64), cohort.environment[people])
        return filter_degrees(
            span,
            degree=self.degree,
            n_components=self.n_components,
            max_degree=self.max_degree,
            tolerance=self.tolerance,
            n_starts=self.n_starts,
            generator=generator,
        )

    def _searched(self, cohort: Cohort, fold: IntArray, generator: np.random.Generator) -> IntArray:
        """People of the training folds, as even over environments as there are people."""
        most = max(self.n_rows, 6 * cohort.n_instruments)
        training = np.flatnonzero(fold < self.n_folds - self.n_held_out)
        codes = cohort.environment[training]
        share = most // (int(codes.max()) + 1) + 1
        chosen = [generator.permutation(training[codes == code])[:share] for code in range(int(codes.max()) + 1)]
        return np.sort(np.concatenate(chosen))

    def _finish(
        self, latent: LatentInstruments, cohort: Cohort, fold: IntArray, *, degree: int, residual: float, complete: bool
    ) -> LatentInstruments:
        settings = {
            **latent.settings,
            "method": self.name,
            "degree": degree,
            "n_components": len(latent.eigenvalues),
            "max_degree": self.max_degree,
            "tolerance": self.tolerance,
            "n_rows": self.n_rows,
            "n_starts": self.n_starts,
            "residual": residual,
            "complete": complete,
        }
        latent = replace(latent, learner=self.name, settings=settings)
        return latent.with_people(source=cohort.instruments, fold=fold)


def _combined(moments: EnvironmentMoments, directions: FloatArray) -> EnvironmentMoments:
    """Moments of the combinations (Z G) from those of the instruments Z."""
    columns = moments.index("instrument")
    own = moments.select(columns)
    return EnvironmentMoments(
        tuple(f"instrument:component{i + 1}" for i in range(directions.shape[1])),
        own.environments,
        own.n_samples,
        own.mean @ directions,
        directions.T @ own.crossproduct @ directions,
    )
