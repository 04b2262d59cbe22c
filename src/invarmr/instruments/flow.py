"""`flow`: the invariant part of smoothly mixed instruments, by maximum likelihood of an invertible map.

Symbols: Z (n, d) instruments, z = (Z - centre) R standardised, u = T(z) features, W = (u - mean) B_W latent
instruments.

T is learned together with a law of u in every environment; then what `stationary` does with linearly mixed instruments
is done with u. See `nn/flows.py` for the densities, and docs/methods/flow.md for why this map and this law.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, Literal, final, get_args

import numpy as np
import torch
from torch import Tensor

from invarmr.arrays import FloatArray, IntArray
from invarmr.data.cohort import Cohort
from invarmr.data.latent_instruments import LatentInstruments
from invarmr.data.moments import EnvironmentMoments
from invarmr.data.representation import Representation, represent
from invarmr.errors import InputError, first_few
from invarmr.instruments.base import Learner, assign_folds
from invarmr.instruments.flow_front import Flattening, learn_flattening
from invarmr.instruments.flow_search import FlowStep, SearchSettings, gain_over_linear, likelihood_path, search_flow
from invarmr.instruments.represented import learn_from_features, training_people
from invarmr.instruments.stationary_system import solve_stationary
from invarmr.nn.flows import Flow

__all__ = ["FlowInstruments", "FlowRepresentation", "TrainedFlow"]

MapName = Literal["auto", "leaky", "spline"]
LawName = Literal["auto", "gaussian", "shared", "free"]
FrontName = Literal["linear", "autoencoder"]

_MOST_COLUMNS = 30
_LEAST_PEOPLE = 50


@final
class FlowRepresentation(Representation):
    """The features of a trained flow: standardise, rotate, then the invertible map.

    Parameters
    ----------
    centre, front
        (d,) and (d, r): z = (Z - centre) front, Z the instruments or their code.
    flow
        The trained flow of z.
    flattening
        From instruments to their code; None: there is none.
    """

    def __init__(self, centre: FloatArray, front: FloatArray, flow: Flow, flattening: Flattening | None = None) -> None:
        self.centre, self.front, self.flow, self.flattening = centre, front, flow.eval(), flattening
        self.feature_names = tuple(f"u{j + 1}" for j in range(front.shape[1]))

    @torch.no_grad()
    def apply(self, instrument: FloatArray) -> FloatArray:
        """Features (n, r) of instruments (n, d)."""
        device = next(self.flow.parameters()).device
        if self.flattening is not None:
            instrument = self.flattening.apply(instrument)
        z = torch.from_numpy((instrument - self.centre) @ self.front).to(device)
        values: FloatArray = self.flow.map(z)[0].cpu().numpy()
        return values


@final
@dataclass(frozen=True, eq=False)
class TrainedFlow:
    """A flow before its features are split.

    Parameters
    ----------
    representation
        From instruments to features.
    steps
        The flows that were tried, in order.
    standardised
        z of the people in the training folds and of those held out, one tensor per environment each.
    reconstruction
        Of the autoencoding front: its width, and the share of variance that it and as many principal components leave
        unexplained. Empty for a linear one.
    """

    representation: FlowRepresentation
    steps: tuple[FlowStep, ...]
    standardised: tuple[list[Tensor], list[Tensor]]
    reconstruction: Mapping[str, float]


@final
@dataclass(frozen=True, kw_only=True)
class FlowInstruments(Learner):
    """Invertible flow by maximum likelihood, its features split by `stationary` (extra `neural`).

    Parameters
    ----------
    n_latent
        Number of latent instruments; None: the largest that neither held-out likelihood nor the held-out tests reject.
    map
        `leaky`: layers of an invertible matrix and one smooth LeakyReLU per column, slopes and widths learned.
        `spline`: autoregressive splines. `auto`: leaky, with a spline after it where that raises the validation
        likelihood.
    n_layers
        Layers of the leaky map, or spline transforms (default 3); None: one leaky layer, two and three while they gain.
    law
        Law of the features: `gaussian` in every environment; `shared`: W and V through splines, environments differing
        in location and scale of V; `free`: the splines of V differ between environments. `auto`: gaussian, another
        where it raises the validation likelihood.
    n_starts
        Random starts; None: 24 for leaky, 4 for spline maps.
    iterations
        At most so many iterations of L-BFGS in a fit.
    n_components
        For more columns than latent variables: learn from a code of so many numbers. None: from all directions that
        vary.
    front
        What gives the code. `linear`: the principal components of the standardised instruments. `autoencoder`: an
        invertible network that flattens the surface on which the instruments lie, for a surface too curved for that.
    n_folds, n_held_out
        As in `StationaryInstruments`. The flow learns from the other folds, of which the last chooses between flows.
    device
        Of torch: `cpu`, `cuda`, `cuda:1` (with numbers of 64 bits).

    Notes
    -----
    Assumes continuous instruments that are an invertible function of as many latent variables. With normal V and W and
    a piecewise affine mixing the features are identified up to an affine map, and W as in `stationary`; otherwise W is
    identified, if at all, up to an invertible function, and its validity rests on the held-out tests. Sources: Huang,
    Robinson & Locatello (2026), arXiv 2602.19782, for the setting; Kivva et al. (2022), arXiv 2206.10044, for
    identification by piecewise affine maps of normal mixtures; Durkan et al. (2019), arXiv 1906.04032, for splines.

    Examples
    --------
    >>> import invarmr
    >>> sample = invarmr.simulate_latent(invarmr.LatentDesign(mixing="mlp"), seed=1, n_samples=1_000)
    >>> latent = invarmr.FlowInstruments(n_latent=2, n_starts=8).fit(sample.cohort, seed=1)
    >>> design = invarmr.IVDesign.from_cohort(sample.cohort, latent)
    >>> bool(abs(invarmr.TwoStageLeastSquares().fit(design).estimate - 1) < 0.2)
    True
    """

    n_latent: int | None = None
    map: MapName = "auto"
    n_layers: int | None = None
    law: LawName = "auto"
    n_starts: int | None = None
    iterations: int = 300
    n_components: int | None = None
    front: FrontName = "linear"
    n_folds: int = 10
    n_held_out: int = 3
    device: str = "cpu"
    name: ClassVar[str] = "flow"

    def __post_init__(self) -> None:
        for name, kinds in (("map", MapName), ("law", LawName), ("front", FrontName)):
            if getattr(self, name) not in get_args(kinds):
                raise InputError(f"{name} must be one of {first_few(get_args(kinds))}, but is {getattr(self, name)!r}.")
        for name in ("n_latent", "n_layers", "n_starts", "iterations", "n_components"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"{name} must be at least 1, but is {value}.")
        if self.front == "autoencoder" and self.n_components is None:
            raise InputError(
                "front 'autoencoder' must be told n_components, the number of latent variables (valid and confounded "
                "together) that the instruments are a function of."
            )
        if not 2 <= self.n_held_out <= self.n_folds - 2:
            raise InputError(
                "n_held_out must be at least two, and leave at least two of the n_folds folds to learn from, "
                f"but {self.n_held_out} of {self.n_folds} are held out."
            )

    def fit(self, data: Cohort | Sequence[EnvironmentMoments], *, seed: int = 1) -> LatentInstruments:
        """Learn from a cohort.

        Parameters
        ----------
        data
            A cohort; moments do not suffice.
        seed
            Of the split into folds and of the random starts.

        Raises
        ------
        InputError
            Moments in place of a cohort, allele counts without `n_components`, fewer than two environments or too few
            people in one, too many columns, `n_latent` that leaves no confounded part, or a device that is not there.
        """
        if not isinstance(data, Cohort):
            raise InputError("The flow learns from the rows of a cohort; moments alone do not suffice.")
        trained = self.train(data, seed=seed)
        rank = trained.representation.front.shape[1]
        gain, std_error = gain_over_linear(trained.representation.flow, *trained.standardised)
        settings: dict[str, Any] = {
            **{name: getattr(self, name) for name in self.__dataclass_fields__},
            "method": self.name,
            "steps": [asdict(step) for step in trained.steps],
            "reconstruction": dict(trained.reconstruction),
            "gain_over_linear": {"held_out": gain, "std_error": std_error},
        }
        n_latent = self.n_latent
        if n_latent is None:
            chosen, path = likelihood_path(trained.representation.flow, *trained.standardised)
            settings["likelihood_path"] = [
                {"n_latent": p, "held_out": value, "std_error": error} for p, value, error in path
            ]
            tested = self._split(data, trained, settings, seed=seed)
            if not _gaussian(trained) or tested.n_latent <= chosen:
                return tested
            n_latent = min(chosen, rank - 1)
        return self._split(data, trained, settings, seed=seed, n_latent=n_latent)

    def _split(
        self,
        cohort: Cohort,
        trained: TrainedFlow,
        settings: dict[str, Any],
        *,
        seed: int,
        n_latent: int | None = None,
    ) -> LatentInstruments:
        return learn_from_features(
            cohort,
            trained.representation,
            learner=self.name,
            settings=settings,
            n_latent=n_latent,
            seed=seed,
            n_folds=self.n_folds,
            n_held_out=self.n_held_out,
        )

    def train(self, cohort: Cohort, *, seed: int = 1) -> TrainedFlow:
        """The flow alone, learned from the training folds; of these, one is set aside to choose between flows."""
        device = _device(self.device)
        if len(cohort.environments) < 2:
            raise InputError(
                f"At least two environments are required to learn, but there is only {cohort.environments[0]}."
            )
        if cohort.instrument_kind == "genotype" and (self.n_components is None or self.front != "linear"):
            raise InputError(
                "Allele counts are discrete and have no density, which the flow needs. Give n_components, with the "
                "linear front, to learn from principal components of many variants, which are nearly continuous, or "
                "use learner 'stationary'."
            )
        people, held_out = training_people(cohort, seed=seed, n_folds=self.n_folds, n_held_out=self.n_held_out)
        flattening, reconstruction = self._flattening(cohort, people, seed=seed, device=device)
        if flattening is not None:
            cohort = _coded(cohort, flattening)
        centre, front = self._front(cohort, people, None if flattening is not None else self.n_components)
        _check_people(cohort, people, front.shape[1])
        fold = assign_folds(cohort.environment, n_folds=self.n_folds, seed=seed, sample_ids=cohort.sample_ids)
        last = fold == self.n_folds - self.n_held_out - 1

        def rows(chosen: IntArray) -> list[Tensor]:
            codes = cohort.environment[chosen]
            return [
                torch.from_numpy((cohort.instruments.read(chosen[codes == e]) - centre) @ front).to(device)
                for e in range(len(cohort.environments))
            ]

        rng = np.random.default_rng([seed, 4])
        spline = self.map == "spline"
        search = SearchSettings(
            self.map, self.law, self.n_layers, self.n_starts or (4 if spline else 24), self.iterations
        )
        flow, steps = search_flow(
            rows(people[~last[people]]), rows(people[last[people]]), search, n_latent=self.n_latent, rng=rng
        )
        representation = FlowRepresentation(centre, front, flow, flattening)
        return TrainedFlow(representation, steps, (rows(people), rows(held_out)), reconstruction)

    def _flattening(
        self, cohort: Cohort, people: IntArray, *, seed: int, device: torch.device
    ) -> tuple[Flattening | None, Mapping[str, float]]:
        """The autoencoding front of the training people; None where the front is linear or every column enters."""
        d = len(cohort.instrument_names)
        width = self.n_components
        if self.front == "linear" or width is None or width == d:
            return None, {}
        if not width < d <= _MOST_COLUMNS:
            raise InputError(
                f"front 'autoencoder' learns a code of n_components numbers from more columns than that, and at most "
                f"{_MOST_COLUMNS}, but there are {d} and n_components is {width}."
            )
        _check_people(cohort, people, d)
        codes = cohort.environment[people]
        rows = [cohort.instruments.read(people[codes == e]).astype(np.float64) for e in range(len(cohort.environments))]
        return learn_flattening(rows, width, rng=np.random.default_rng([seed, 5]), device=device)

    def _front(self, cohort: Cohort, people: IntArray, n_components: int | None) -> tuple[FloatArray, FloatArray]:
        """Centre (d,) and front (d, r) of the training people: null directions dropped, rotated by `stationary`."""
        moments = cohort.moments_of(people)
        moments = moments.select(moments.index("instrument"))
        front: FloatArray = np.eye(len(moments.columns))
        if n_components is not None:
            front = _principal_components(moments, n_components)
        system = solve_stationary(_projected(moments, front), within=False)
        front = front @ system.basis
        rank = front.shape[1]
        if rank > _MOST_COLUMNS:
            raise InputError(
                f"The flow learns from at most {_MOST_COLUMNS} columns, but the instruments vary in {rank} directions. "
                "Give n_components, the number of their principal components to learn from."
            )
        if rank < 2 or (self.n_latent is not None and self.n_latent >= rank):
            raise InputError(
                f"n_latent must leave at least one confounded direction: at most {rank - 1} with instruments that vary "
                f"in {rank} direction{'' if rank == 1 else 's'}, but is {self.n_latent}."
            )
        total = np.einsum("ir,ij,jr->r", front, _total_covariance(moments), front)
        return moments.grand_mean(), front / np.sqrt(total)


def _coded(cohort: Cohort, flattening: Flattening) -> Cohort:
    """The same people with the code as instruments."""
    return replace(
        cohort,
        instruments=represent(cohort.instruments, flattening),
        instrument_names=flattening.feature_names,
        instrument_kind="score",
        weights=None,
        observed=cohort,
    )


def _gaussian(trained: TrainedFlow) -> bool:
    return next(step for step in reversed(trained.steps) if step.kept).law == "gaussian"


def _total_covariance(moments: EnvironmentMoments) -> FloatArray:
    shift = moments.mean - moments.grand_mean()
    between = (shift.T * moments.n_samples) @ shift
    return np.asarray((moments.crossproduct.sum(axis=0) + between) / moments.n_total)


def _principal_components(moments: EnvironmentMoments, count: int) -> FloatArray:
    covariance = _total_covariance(moments)
    scale = np.sqrt(np.diag(covariance))
    inverse = np.divide(1.0, scale, out=np.zeros_like(scale), where=scale > 0)
    values, vectors = np.linalg.eigh(covariance * inverse * inverse[:, None])
    if count > len(values):
        raise InputError(f"n_components must not exceed the {len(values)} instruments, but is {count}.")
    leading: FloatArray = inverse[:, None] * vectors[:, ::-1][:, :count]
    return leading


def _projected(moments: EnvironmentMoments, front: FloatArray) -> EnvironmentMoments:
    """Moments of the columns Z front."""
    return EnvironmentMoments(
        tuple(f"instrument:c{j + 1}" for j in range(front.shape[1])),
        moments.environments,
        moments.n_samples,
        moments.mean @ front,
        front.T @ moments.crossproduct @ front,
    )


def _check_people(cohort: Cohort, people: IntArray, rank: int) -> None:
    needed = max(_LEAST_PEOPLE, 5 * rank)
    counts = np.bincount(cohort.environment[people], minlength=len(cohort.environments))
    small = np.flatnonzero(counts < needed)
    if small.size:
        found = [f"{cohort.environments[e]} ({counts[e]})" for e in small]
        raise InputError(
            f"The flow needs at least {needed} people of every environment in the folds it learns from, "
            f"but {small.size} of {len(counts)} have fewer: {first_few(found)}. Merge small environments, or use "
            "learner 'stationary'."
        )


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
        torch.zeros(1, dtype=torch.float64, device=device)
    except (RuntimeError, AssertionError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"The device {name!r} cannot be used by torch here ({reason}). Use device='cpu', or install a torch that "
            "is built for it."
        ) from error
    return device
