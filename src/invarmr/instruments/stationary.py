"""`stationary`: the invariant part of linearly mixed instruments, in closed form, from moments alone.

Learns W = (Z - centre) B_W, where the columns of B_W are the directions of the instruments whose mean and covariance
vary least between environments. Exact (up to an invertible linear map) when the instruments are a linear mixture of an
invariant part and a confounded part, and no combination of the confounded part is itself invariant.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import ClassVar, Self, final

import numpy as np

from invarmr.arrays import FloatArray, IntArray
from invarmr.data.cohort import Cohort
from invarmr.data.latent_instruments import LatentInstruments
from invarmr.data.moments import EnvironmentMoments, merge_moments
from invarmr.data.split_moments import split_moments
from invarmr.errors import InputError
from invarmr.instruments.base import Learner, assign_folds
from invarmr.instruments.dimension import (
    EXACT,
    GENOTYPES,
    PEOPLE_PER_COVARIANCE,
    HeldOut,
    choose_dimension,
    shift_rank,
    still_directions,
)
from invarmr.instruments.stationary_replicates import split_replicates
from invarmr.instruments.stationary_system import (
    StationarySystem,
    leak_of,
    mean_learning_error,
    solve_stationary,
)
from invarmr.linalg.threads import Each, small_problems

__all__ = ["StationaryInstruments"]


@final
@dataclass(frozen=True, kw_only=True)
class StationaryInstruments(Learner):
    """Closed-form learner for linear mixing (analytic stationary subspace analysis).

    Parameters
    ----------
    n_latent
        Number of latent instruments; None: the largest that held-out people do not reject.
    n_folds, n_held_out
        Samples are split at random into `n_folds` folds within environments, of which the last `n_held_out` test what
        the others learned. The final directions are learned from everybody.
    rejection
        Level of the test at each number of latent instruments, after Bonferroni's correction over its parts.
    shrink
        Shrink covariance differences by their sampling noise.
    scale_within_environment
        Compare correlations rather than covariances between environments; None: for genotypes, not for scores.
    held_out_only
        Test nobody who was learned from, as features need that were trained on the same people. False: equal
        covariances are tested on everybody where directions are few (`instruments/dimension.py` says why they can be).
    noise_variance
        Variance of the sampling noise of the moments given, over that of moments of people: 1, or 2 in a replicate of a
        bootstrap, whose moments have the noise of the people and that of drawing them.

    Notes
    -----
    Assumes a linear mixture. Learning leaves an error of order n^-1/2 in the directions, the order of the standard
    error
    of the effect: estimators count it through `LatentInstruments.leak`. Sources: Huang, Robinson & Locatello (2026),
    arXiv 2602.19782, for the
    idea; von Buenau et al. (2009), Physical Review Letters 103:214101, and Hara et al. (2012), Neural Networks 33:7,
    for the eigenproblem; the dimension test is this package's.

    Examples
    --------
    >>> import numpy as np, invarmr
    >>> rng = np.random.default_rng(0)
    >>> site = np.repeat(["a", "b"], 4000)
    >>> confounder = rng.normal(2.0 * (site == "b"), 1.0)
    >>> confounded = rng.normal(size=8000) + (1 + (site == "b")) * confounder
    >>> valid = rng.normal(size=8000)
    >>> instrument = np.column_stack([valid + confounded, valid - confounded])
    >>> exposure = valid + confounded + confounder + rng.normal(size=8000)
    >>> outcome = exposure + confounder + rng.normal(size=8000)
    >>> cohort = invarmr.Cohort.from_arrays(
    ...     instrument=instrument, exposure=exposure, outcome=outcome, environment=site)
    >>> latent = invarmr.StationaryInstruments().fit(cohort, seed=1)
    >>> latent.n_latent
    1
    >>> bool(abs(np.corrcoef(latent.latent_instrument[:, 0], valid)[0, 1]) > 0.99)
    True
    """

    n_latent: int | None = None
    n_folds: int = 10
    n_held_out: int = 3
    rejection: float = 0.01
    shrink: bool = True
    scale_within_environment: bool | None = None
    held_out_only: bool = False
    noise_variance: float = 1.0
    name: ClassVar[str] = "stationary"

    def fit(
        self, data: Cohort | EnvironmentMoments | Sequence[EnvironmentMoments], *, seed: int = 1
    ) -> LatentInstruments:
        """Learn from a cohort, or from moments: of all people, or of disjoint folds of them.

        Parameters
        ----------
        data
            A cohort (its samples are split into folds by `seed`); one `EnvironmentMoments` per fold, in order; or the
            moments of all people, which `split_moments` then splits as a random split of normal people would.
            Only the columns with role `instrument` are used.
        seed
            Seed of the split into folds; without effect when folds are given.

        Raises
        ------
        InputError
            Fewer than two environments, fewer than two samples of one in a fold, too few folds, instruments that do not
            vary within environments, or `n_latent` beyond the rank of the instruments.
        """
        self._check()
        fold: IntArray | None = None
        if isinstance(data, Cohort):
            fold = assign_folds(data.environment, n_folds=self.n_folds, seed=seed, sample_ids=data.sample_ids)
            folds: Sequence[EnvironmentMoments] = data.folded_moments(fold)
            within = data.instrument_kind == "genotype"
        elif isinstance(data, EnvironmentMoments):
            instruments = data.select(data.index("instrument"))
            folds, within = split_moments(instruments, n_folds=self.n_folds, seed=seed), False
        else:
            folds, within = tuple(data), False
        if self.scale_within_environment is not None:
            within = self.scale_within_environment
        with small_problems(len(folds[0].index("instrument")) if folds else 0) as each:
            latent = self._learn(folds, within=within, each=each)
        if isinstance(data, Cohort):
            return latent.with_people(source=data.instruments, fold=fold)
        return latent

    def fit_replicates(self, replicates: Sequence[Sequence[EnvironmentMoments]]) -> tuple[LatentInstruments, ...]:
        """Learn in every replicate of a bootstrap from the moments of its folds.

        What `fit` learns in each, but without the path of decisions and what verdicts need. With few directions all
        replicates are learned at once, which is several times as fast.
        """
        self._check()
        columns = replicates[0][0].index("instrument")
        splits = None
        if len(columns) <= _FEW_DIRECTIONS and not self.scale_within_environment:
            splits = split_replicates(
                [[fold.select(columns) for fold in folds] for folds in replicates],
                n_held_out=self.n_held_out,
                rejection=self.rejection,
                shrink=self.shrink,
                n_latent=self.n_latent,
                noise=self.noise_variance,
                held_out_only=self.held_out_only,
            )
        if splits is None:
            return tuple(self._replicate(folds) for folds in replicates)
        names = tuple(replicates[0][0].columns[i].split(":", 1)[1] for i in columns)
        return tuple(
            LatentInstruments(
                learner=self.name,
                instrument_names=names,
                center=split.center,
                loadings=split.basis[:, : split.n_latent],
                confounded_loadings=split.basis[:, split.n_latent :],
                eigenvalues=split.eigenvalues,
                leak=split.leak,
            )
            for split in splits
        )

    def _replicate(self, folds: Sequence[EnvironmentMoments]) -> LatentInstruments:
        """One replicate; where the number is given, nothing is tested."""
        if self.n_latent is None:
            return self.fit(folds)
        columns = folds[0].index("instrument")
        everyone = merge_moments([fold.select(columns) for fold in folds])
        with small_problems(len(columns)) as each:
            system = solve_stationary(
                everyone, within=bool(self.scale_within_environment), shrink=self.shrink, each=each
            )
        if self.n_latent > len(system.eigenvalues):
            return self.fit(folds)
        return LatentInstruments(
            learner=self.name,
            instrument_names=tuple(folds[0].columns[i].split(":", 1)[1] for i in columns),
            center=everyone.grand_mean(),
            loadings=system.basis[:, : self.n_latent],
            confounded_loadings=system.basis[:, self.n_latent :],
            eigenvalues=system.eigenvalues,
            leak=leak_of(system, self.n_latent),
        )

    @classmethod
    def like(cls, latent: LatentInstruments, *, choose: bool | None = None) -> Self:
        """The learner that makes the split of `latent` again in replicates of a bootstrap, with the settings it had.

        For `polynomial` and for learners with a representation, it is the one that splits their components or features.

        Parameters
        ----------
        latent
            What was learned.
        choose
            Whether a number of latent instruments that was chosen from the data is chosen again, or taken. None: chosen
            again where 8 directions or fewer were split; with many directions, what the tests say in a replicate has
            not been validated.
        """
        recorded = latent.settings.get("features", latent.settings)
        names = {item.name for item in fields(cls)}
        settings = {name: value for name, value in recorded.items() if name in names}
        if choose is None:
            choose = latent.n_latent + latent.n_confounded <= _FEW_DIRECTIONS
        if not choose:
            settings["n_latent"] = latent.n_latent
        return cls(**settings, noise_variance=_NOISE_OF_REPLICATE)

    def _check(self) -> None:
        if not 2 <= self.n_held_out <= self.n_folds - 2:
            raise InputError(
                "n_held_out must be at least two, and leave at least two of the n_folds folds to learn from, "
                f"but {self.n_held_out} of {self.n_folds} are held out."
            )
        if self.n_latent is not None and self.n_latent < 1:
            raise InputError(f"n_latent must be at least 1, or None to choose it from data, but is {self.n_latent}.")

    def _everybody_tested(self, system: StationarySystem, rank: int) -> bool:
        r = len(system.eigenvalues)
        enough = system.n_samples.min() >= PEOPLE_PER_COVARIANCE * (r * (r + 1) // 2)
        return bool(enough) and r == rank and not self.held_out_only

    def _learn(self, folds: Sequence[EnvironmentMoments], *, within: bool, each: Each) -> LatentInstruments:
        if len(folds) != self.n_folds:
            raise InputError(f"The moments of {self.n_folds} folds are needed (n_folds), but {len(folds)} came.")
        columns = folds[0].index("instrument")
        folds = [fold.select(columns) for fold in folds]
        held_out = tuple(range(self.n_folds - self.n_held_out, self.n_folds))
        environments = folds[0].environments
        if len(environments) < 2:
            raise InputError(
                f"At least two environments are required to learn, but there is only {environments[0]}. "
                "Give a column with two or more levels (site, ancestry group, region)."
            )
        _check_folds(folds)
        training = merge_moments(folds[: held_out[0]])
        everyone = training + merge_moments(folds[held_out[0] :])
        trained = solve_stationary(training, within=within, shrink=self.shrink, each=each)
        rank = len(trained.eigenvalues)
        if rank == 0:
            raise InputError(f"None of the {len(columns)} instruments varies within environments.")
        if self.n_latent is not None and self.n_latent > rank:
            raise InputError(
                f"n_latent must not exceed the rank of the instruments, {rank} ({len(columns)} instruments), "
                f"but is {self.n_latent}."
            )
        test = HeldOut.from_folds(folds[held_out[0] :], trained, within=within, each=each)
        tolerance = GENOTYPES if within else EXACT
        final_system = solve_stationary(everyone, within=within, shrink=self.shrink, each=each)
        everybody = None
        if self._everybody_tested(final_system, rank):
            everybody = HeldOut.from_folds(folds, final_system, within=within, each=each)
        shifts = shift_rank(everyone, final_system.basis, rejection=self.rejection, noise=self.noise_variance)
        p, path = choose_dimension(
            trained,
            test,
            rejection=self.rejection,
            tolerance=tolerance,
            at_most=rank - shifts,
            n_latent=self.n_latent,
            everybody=everybody,
            noise=self.noise_variance,
        )
        asked = (trained, test) if everybody is None else (final_system, everybody)
        accepted = p
        if self.n_latent is not None:  # fewer may be asked for than pass: what passes does not shift
            most, _ = choose_dimension(
                trained,
                test,
                rejection=self.rejection,
                tolerance=tolerance,
                at_most=rank - shifts,
                everybody=everybody,
                noise=self.noise_variance,
            )
            accepted = max(p, most)
        still = still_directions(
            *asked, accepted, rejection=self.rejection, tolerance=tolerance.covariance, noise=self.noise_variance
        )
        still_shown = asked[0].basis @ still
        in_means_alone = shift_rank(everyone, still_shown, rejection=self.rejection, noise=self.noise_variance)
        return LatentInstruments(
            learner=self.name,
            instrument_names=tuple(name.split(":", 1)[1] for name in everyone.columns),
            center=everyone.grand_mean(),
            loadings=final_system.basis[:, :p],
            confounded_loadings=final_system.basis[:, p:],
            eigenvalues=final_system.eigenvalues,
            path=path,
            saturated=in_means_alone >= len(environments) - 1,
            shift_rank=shifts,
            covariance_informative=still.shape[1] < rank - accepted,
            means_alone=_leading(everyone, still_shown),
            n_null=final_system.n_null,
            trained_loadings=trained.basis[:, :p],
            learning_error=mean_learning_error(trained, p),
            leak=leak_of(final_system, p),
            held_out=held_out,
            settings={
                "method": self.name,
                "n_latent": self.n_latent,
                "n_folds": self.n_folds,
                "n_held_out": self.n_held_out,
                "rejection": self.rejection,
                "shrink": self.shrink,
                "scale_within_environment": within,
                "held_out_only": self.held_out_only,
            },
        )


def _leading(moments: EnvironmentMoments, directions: FloatArray, most: int = 3) -> tuple[str, ...]:
    """Names of the instruments that correlate most, within environments, with any of the directions (d, m).

    At most `most`, and none whose correlation is less than half of the largest.
    """
    if directions.shape[1] == 0:
        return ()
    S = moments.within()
    spread = np.sqrt(np.clip(np.diag(S), 0.0, None))
    size = np.sqrt(np.einsum("im,ij,jm->m", directions, S, directions))
    correlation = (np.abs(S @ directions) / np.where(spread > 0, spread, np.inf)[:, None] / size).max(axis=1)
    order = np.argsort(-correlation, kind="stable")[:most]
    kept = order[correlation[order] >= correlation[order[0]] / 2]
    return tuple(moments.columns[i].split(":", 1)[1] for i in kept)


_FEW_DIRECTIONS = 8
_NOISE_OF_REPLICATE = 2.0


def _check_folds(folds: Sequence[EnvironmentMoments]) -> None:
    sizes = np.array([fold.n_samples for fold in folds])
    small = np.flatnonzero(sizes.min(axis=0) < 2)
    if small.size:
        needed = 2 * len(folds)
        found = ", ".join(f"{folds[0].environments[e]} ({sizes[:, e].sum()})" for e in small[:5])
        raise InputError(
            f"Every environment must have at least 2 samples in each of the {len(folds)} folds, {needed} in all, "
            f"but {small.size} of {sizes.shape[1]} have fewer: {found}. Merge small environments, or leave them out."
        )
