"""`autoencoder`: invariant and confounded parts of instruments that are mixed smoothly, by a regularised autoencoder.

An encoder maps the instruments Z to (V^, W^), a decoder back; penalties ask W^ to have one law in every environment and
to be independent of V^ (`invarmr.nn.objective` has the terms). The features (V^, W^) are then split by `stationary`,
which undoes what the penalties leave linearly mixed, and tests the split on people that no step has seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, final

import numpy as np
import torch

from invarmr.arrays import FloatArray, IntArray
from invarmr.data.cohort import Cohort
from invarmr.data.latent_instruments import LatentInstruments
from invarmr.data.moments import EnvironmentMoments
from invarmr.errors import InputError
from invarmr.instruments.autoencoder_encoder import Encoder
from invarmr.instruments.autoencoder_grid import (
    TrainedAutoencoder,
    choose_model,
    choose_restart,
    train_grid,
)
from invarmr.instruments.autoencoder_jobs import AutoencoderJob, standard_units
from invarmr.instruments.autoencoder_settings import AutoencoderSettings, Units
from invarmr.instruments.base import Learner, assign_folds
from invarmr.instruments.represented import learn_from_features
from invarmr.instruments.stationary_system import solve_stationary
from invarmr.nn.kernels import IndependenceKernel, InvarianceKernel
from invarmr.nn.networks import DecoderKind, EncoderKind, warm_parameters
from invarmr.nn.objective import EntropyKind
from invarmr.nn.schedules import Schedule

__all__ = ["AutoencoderInstruments"]

Rule = Literal["scale_invariant", "paper"]
MAX_LATENT = 24
"""Columns of W^ where `n_latent` is not given and there are more instruments."""


@final
@dataclass(frozen=True, kw_only=True)
class AutoencoderInstruments(Learner):
    """Regularised autoencoder: reconstruction, invariance (MMD), independence (HSIC), relevance, entropy.

    Parameters
    ----------
    n_latent
        Columns of W^, and number of latent instruments. None: W^ has as many columns as `n_confounded` leaves (at most
        24), and the number of latent instruments is the largest that held-out people do not reject.
    n_confounded
        Columns of V^; None: 2, or 1 where there are only 2 instruments.
    n_folds, n_held_out
        People are split at random into `n_folds` folds within environments: the last `n_held_out` test the result, the
        one before them chooses among models, the others are trained on.
    lambda_invariance, lambda_independence
        Weights of the penalties; with several of either every pair is trained, and `selection` chooses.
    selection
        `scale_invariant`: the least MMD of whitened W^ on validation people, averaged over the last `n_last` epochs;
        `paper`: of W^ as it is. Models with `lambda_independence` 0 are left out. Last weights are used.
    n_restarts
        Models per pair of lambdas, from different seeds; the one with the least objective is kept.
    warm_start
        Start the first model of each pair from the directions that `stationary` finds (`linear` and `residual`
        encoders).
    max_instruments
        More variants than this are first summed to as many allele scores of consecutive variants, by the external
        weights.
    epochs, batch
        Passes over the largest environment, and rows per environment in a step (None: 500, or the smallest
        environment's).
    device
        `cpu` or `cuda`.
    checkpoint
        Folder for the state of the training; a run that was killed goes on from there.
    lambda_relevance, lambda_entropy, invariance_kernel, independence_kernel, scale_invariant, units
        See `AutoencoderSettings`.
    encoder, encoder_degree, decoder, decoder_degree, width, bounded, entropy
        See `AutoencoderSettings`.
    learning_rate, weight_decay, clip, schedule, penalty_delay, n_last
        See `AutoencoderSettings`.

    Notes
    -----
    The defaults are this package's; `AutoencoderSettings` has the published ones, and `docs/methods/autoencoder` what
    the differences do. Source: Huang, Robinson & Locatello (2026), arXiv 2602.19782.

    Examples
    --------
    >>> import numpy as np, invarmr
    >>> rng = np.random.default_rng(0)
    >>> site = np.repeat(["a", "b"], 1000)
    >>> confounder = rng.normal(2.0 * (site == "b"), 1.0)
    >>> confounded = rng.normal(size=2000) + (1 + (site == "b")) * confounder
    >>> valid = rng.normal(size=2000)
    >>> instrument = np.column_stack([valid + confounded, valid - confounded])
    >>> exposure = valid + confounded + confounder + rng.normal(size=2000)
    >>> cohort = invarmr.Cohort.from_arrays(
    ...     instrument=instrument, exposure=exposure, outcome=exposure + confounder, environment=site)
    >>> latent = invarmr.AutoencoderInstruments(epochs=20, width=8).fit(cohort, seed=1)
    >>> bool(abs(np.corrcoef(latent.latent_instrument[:, 0], valid)[0, 1]) > 0.9)
    True
    """

    n_latent: int | None = None
    n_confounded: int | None = None
    n_folds: int = 10
    n_held_out: int = 3
    lambda_invariance: float | Sequence[float] = 0.1
    lambda_independence: float | Sequence[float] = 0.1
    lambda_relevance: float = 0.0
    lambda_entropy: float = 0.01
    selection: Rule = "scale_invariant"
    n_restarts: int = 1
    warm_start: bool = True
    max_instruments: int = 24
    invariance_kernel: InvarianceKernel = "polynomial2"
    independence_kernel: IndependenceKernel = "polynomial2"
    scale_invariant: bool = True
    units: Units = "whitened"
    encoder: EncoderKind = "residual"
    encoder_degree: int = 2
    decoder: DecoderKind = "mlp"
    decoder_degree: int = 1
    width: int = 32
    bounded: bool = False
    entropy: EntropyKind = "gaussian"
    epochs: int = 100
    batch: int | None = None
    learning_rate: float = 3e-3
    weight_decay: float = 1e-4
    clip: float = 1.0
    schedule: Schedule = "cosine"
    penalty_delay: float = 0.25
    n_last: int = 20
    device: str = "cpu"
    checkpoint: str | Path | None = None
    name: ClassVar[str] = "autoencoder"

    def fit(self, data: Cohort | Sequence[EnvironmentMoments], *, seed: int = 1) -> LatentInstruments:
        """Train on a cohort, and split and test what was learned.

        Parameters
        ----------
        data
            A cohort: moments alone do not show a nonlinear mixture.
        seed
            Of the folds, the starts and the batches.

        Raises
        ------
        InputError
            Moments in place of a cohort; settings that do not fit it (see `AutoencoderSettings`); many variants
            without weights; a GPU where none is; or no model that trained.
        """
        if not isinstance(data, Cohort):
            raise InputError("The autoencoder learns from people and needs the cohort, but moments came.")
        self._check()
        fold = assign_folds(data.environment, n_folds=self.n_folds, seed=seed, sample_ids=data.sample_ids)
        choosing = self.n_folds - self.n_held_out - 1
        training, validation = np.flatnonzero(fold < choosing), np.flatnonzero(fold == choosing)
        reduction = self._reduction(data)
        models = train_grid(
            self._jobs(data, reduction, training, validation, seed),
            device=self.device,
            checkpoint=None if self.checkpoint is None else Path(self.checkpoint),
        )
        chosen = _chosen(models, self.n_restarts, self.selection)
        encoder = _on_variants(chosen.encoder, reduction)
        return learn_from_features(
            data,
            encoder,
            learner=self.name,
            settings=self._record(chosen, reduction),
            n_latent=self.n_latent,
            seed=seed,
            n_folds=self.n_folds,
            n_held_out=self.n_held_out,
        )

    def _check(self) -> None:
        if not 2 <= self.n_held_out <= self.n_folds - 2:
            raise InputError(
                "n_held_out must be at least two, and leave at least two of the n_folds folds to learn from, "
                f"but {self.n_held_out} of {self.n_folds} are held out."
            )
        if self.n_restarts < 1:
            raise InputError(f"n_restarts must be at least 1, but is {self.n_restarts}.")
        if self.selection not in ("scale_invariant", "paper"):
            raise InputError(f"selection must be 'scale_invariant' or 'paper', but is {self.selection!r}.")
        if self.max_instruments < 2:
            raise InputError(f"max_instruments must be at least 2, but is {self.max_instruments}.")

    def _reduction(self, cohort: Cohort) -> FloatArray | None:
        """(d, k): weights of k allele scores of consecutive variants; None where there are few instruments."""
        d, k = cohort.n_instruments, self.max_instruments
        if d <= k:
            return None
        if cohort.weights is None:
            raise InputError(
                f"The autoencoder takes at most max_instruments = {k} instruments as they are and sums more to allele "
                f"scores, which needs their external weights, but {d} instruments came without. Give weights (column "
                "beta of the list of instruments), allele scores in place of variants, or a larger max_instruments."
            )
        reduction = np.zeros((d, k))
        for score, members in enumerate(np.array_split(np.arange(d), k)):
            reduction[members, score] = cohort.weights[members]
        return reduction[:, np.any(reduction, axis=0)]

    def _jobs(
        self, cohort: Cohort, reduction: FloatArray | None, training: IntArray, validation: IntArray, seed: int
    ) -> list[AutoencoderJob]:
        Z, other = (_instruments(cohort, people, reduction) for people in (training, validation))
        environment, other_environment = cohort.environment[training], cohort.environment[validation]
        exposure = cohort.exposure[training]
        exposure = (exposure - exposure.mean()) / exposure.std()
        center, units = standard_units(Z, self.units)
        base = self._settings(units.shape[1], np.bincount(environment))
        starts = self._starts((Z - center) @ units, environment, len(cohort.environments), base, seed)
        jobs = []
        for invariance in _several(self.lambda_invariance):
            for independence in _several(self.lambda_independence):
                settings = replace(base, lambda_invariance=invariance, lambda_independence=independence)
                for restart, start in enumerate(starts):
                    # a warm start has its features already: the penalties need not wait for them
                    own = settings if start is None else replace(settings, penalty_delay=0.0)
                    jobs.append(
                        AutoencoderJob(
                            instrument=Z,
                            environment=environment,
                            validation_instrument=other,
                            validation_environment=other_environment,
                            settings=own,
                            seed=seed + restart,
                            exposure=exposure,
                            start=start,
                        )
                    )
        return jobs

    def _settings(self, n_inputs: int, sizes: IntArray) -> AutoencoderSettings:
        q = self.n_confounded if self.n_confounded is not None else (2 if n_inputs > 2 else 1)
        p = self.n_latent if self.n_latent is not None else max(1, min(n_inputs - q, MAX_LATENT))
        shared = {field.name for field in fields(AutoencoderSettings)} & {field.name for field in fields(self)}
        own: dict[str, Any] = {name: getattr(self, name) for name in shared}
        own |= {"n_restarts": 1, "n_latent": p, "n_confounded": q, "lambda_invariance": 0.0, "lambda_independence": 0.0}
        own["batch"] = min(500, int(sizes.min())) if self.batch is None else self.batch
        settings = AutoencoderSettings(**own)
        settings.check_against(n_inputs, [int(size) for size in sizes])
        return settings

    def _starts(
        self, z: FloatArray, environment: IntArray, n_environments: int, settings: AutoencoderSettings, seed: int
    ) -> list[FloatArray | None]:
        starts: list[FloatArray | None] = [None] * self.n_restarts
        if self.warm_start and settings.encoder in ("linear", "residual"):
            moments = EnvironmentMoments.from_arrays(
                z,
                environment,
                columns=[f"instrument:{i}" for i in range(z.shape[1])],
                environments=[str(e) for e in range(n_environments)],
            )
            basis = solve_stationary(moments, within=False).basis
            p, q = settings.n_latent, settings.n_confounded
            directions = np.hstack([basis[:, basis.shape[1] - q :], basis[:, :p]]).T
            flat = warm_parameters(
                settings.architecture(z.shape[1]), seed, torch.from_numpy(directions.astype(np.float32))
            )
            starts[0] = flat.numpy()
        return starts

    def _record(self, chosen: TrainedAutoencoder, reduction: FloatArray | None) -> dict[str, Any]:
        asked = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "checkpoint"}
        return {
            "method": self.name,
            **{name: list(value) if isinstance(value, (list, tuple)) else value for name, value in asked.items()},
            "model": asdict(chosen.settings),
            "model_seed": chosen.seed,
            "validation_mmd": chosen.validation_mmd,
            "validation_mmd_whitened": chosen.validation_mmd_whitened,
            "allele_scores": None if reduction is None else reduction.shape[1],
        }


def _several(value: float | Sequence[float]) -> tuple[float, ...]:
    return tuple(value) if isinstance(value, Sequence) else (value,)


def _instruments(cohort: Cohort, people: IntArray, reduction: FloatArray | None) -> FloatArray:
    blocks = (cohort.instruments.read(block).astype(np.float64) for block in cohort.blocks(people))
    return np.vstack([block if reduction is None else block @ reduction for block in blocks])


def _on_variants(encoder: Encoder, reduction: FloatArray | None) -> Encoder:
    """The encoder of allele scores as one of the variants that they sum."""
    if reduction is None:
        return encoder
    center = reduction @ np.linalg.lstsq(reduction.T @ reduction, encoder.center, rcond=None)[0]
    return replace(encoder, center=center, units=reduction @ encoder.units)


def _chosen(models: Sequence[TrainedAutoencoder], n_restarts: int, rule: Rule) -> TrainedAutoencoder:
    """Of the restarts of each pair of lambdas the least objective; of the pairs the one the rule prefers."""
    groups = [models[start : start + n_restarts] for start in range(0, len(models), n_restarts)]
    best = [group[choose_restart(group)] for group in groups]
    return best[0] if len(best) == 1 and best[0].failure is None else best[choose_model(best, rule=rule)]
