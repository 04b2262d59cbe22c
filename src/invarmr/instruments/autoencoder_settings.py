"""Every setting of the autoencoder, checked in one place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self, get_args

from invarmr.errors import InputError
from invarmr.nn.batches import steps_per_epoch
from invarmr.nn.kernels import IndependenceKernel, InvarianceKernel, check_kernels
from invarmr.nn.networks import DECODERS, ENCODERS, Architecture, DecoderKind, EncoderKind
from invarmr.nn.objective import ENTROPIES, EntropyKind, Objective
from invarmr.nn.schedules import SCHEDULES, Schedule
from invarmr.nn.training import Plan

__all__ = ["UNITS", "AutoencoderSettings", "Units"]

Units = Literal["standardised", "whitened", "centred"]
UNITS: tuple[Units, ...] = get_args(Units)
_IMPROVED: dict[str, Any] = {
    "units": "whitened",
    "scale_invariant": True,
    "lambda_invariance": 0.1,
    "lambda_independence": 0.1,
    "penalty_delay": 0.25,
    "learning_rate": 3e-3,
    "schedule": "cosine",
    "stationary_split": True,
    "n_restarts": 4,
    "epochs": 100,
}


@dataclass(frozen=True, kw_only=True)
class AutoencoderSettings:
    """What one model of the autoencoder is and how it is trained.

    Hidden width, clip and the exact batch are not published; the defaults are this package's and are recorded.

    Parameters
    ----------
    n_latent, n_confounded
        p^ and q^, columns of W^ and V^.
    lambda_invariance, lambda_independence, lambda_relevance, lambda_entropy
        Weights of the terms; see `invarmr.nn.objective`.
    invariance_kernel
        `polynomial2`, `polynomial3`, `mean_var` or `rbf`.
    independence_kernel
        `polynomial2`, `polynomial3`, `rbf`, `orthogonality` or `distance_correlation`.
    scale_invariant
        Whether both are measured on whitened parts, which a collapse of W^ cannot please.
    units
        Of the instruments: `standardised`, each divided by its standard deviation; `whitened`, their principal
        components each divided by its own, so that reconstruction does not drown parts of small variance; `centred`,
        their own units.
    encoder, encoder_degree
        `mlp`, `residual` (with a linear map beside it), `linear` or `polynomial` (of that degree).
    decoder, decoder_degree
        `polynomial` (of that degree) or `mlp`.
    width
        Hidden units.
    bounded, entropy
        Sigmoid output, and `gaussian` or `nearest_neighbour` entropy.
    epochs
        None: 400 for two environments, 800 for more.
    batch
        Rows per environment in a step.
    learning_rate, weight_decay, clip, schedule
        Of AdamW; `constant`, `plateau` or `cosine`.
    penalty_delay
        Share of the epochs before invariance and independence begin to count.
    stationary_split
        Whether, after training, the columns of (V^, W^) are recombined linearly so that W^ varies least between
        environments (`stationary` on the features of the training people).
    n_restarts
        Models trained from different starts, of which `train_grid` returns the one with the least objective.
    validate_every, n_last
        Epochs between measurements on validation people; the last `n_last` are averaged for the choice of a model.
    """

    n_latent: int = 2
    n_confounded: int = 2
    lambda_invariance: float = 1.0
    lambda_independence: float = 1.0
    lambda_relevance: float = 0.0
    lambda_entropy: float = 0.01
    invariance_kernel: InvarianceKernel = "polynomial2"
    independence_kernel: IndependenceKernel = "polynomial2"
    scale_invariant: bool = False
    units: Units = "standardised"
    encoder: EncoderKind = "mlp"
    encoder_degree: int = 2
    decoder: DecoderKind = "mlp"
    decoder_degree: int = 1
    width: int = 32
    bounded: bool = False
    entropy: EntropyKind = "gaussian"
    epochs: int | None = None
    batch: int = 500
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    clip: float = 1.0
    schedule: Schedule = "constant"
    penalty_delay: float = 0.0
    stationary_split: bool = False
    n_restarts: int = 1
    validate_every: int = 20
    n_last: int = 20

    def __post_init__(self) -> None:
        check_kernels(self.invariance_kernel, self.independence_kernel)
        for name, known in (
            ("encoder", ENCODERS),
            ("decoder", DECODERS),
            ("entropy", ENTROPIES),
            ("schedule", SCHEDULES),
            ("units", UNITS),
        ):
            if getattr(self, name) not in known:
                raise InputError(f"{name} must be one of {', '.join(known)}, but is {getattr(self, name)!r}.")
        if self.stationary_split and self.bounded:
            raise InputError("A stationary split has no bounds: set stationary_split=False or bounded=False.")
        self._check_numbers()

    def _check_numbers(self) -> None:
        for name in (
            "n_latent",
            "n_confounded",
            "encoder_degree",
            "decoder_degree",
            "width",
            "batch",
            "n_last",
            "n_restarts",
        ):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, but is {getattr(self, name)}.")
        if self.epochs is not None and self.epochs < 1:
            raise InputError(f"epochs must be at least 1, but is {self.epochs}.")
        for name in ("lambda_invariance", "lambda_independence", "lambda_relevance", "lambda_entropy", "weight_decay"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise InputError(f"{name} must not be negative, but is {getattr(self, name)}.")
        if not 0 <= self.penalty_delay <= 0.5:
            raise InputError(f"penalty_delay must be between 0 and 0.5 of the epochs, but is {self.penalty_delay}.")
        for name in ("learning_rate", "clip"):
            if not 0 < getattr(self, name) < float("inf"):
                raise InputError(f"{name} must be positive, but is {getattr(self, name)}.")

    @classmethod
    def improved(cls, **changes: Any) -> Self:  # noqa: ANN401 - every field has its own type
        """Settings of this package: what cures the scale collapse and the poor minima of the published ones.

        Whitened instruments; invariance and independence of whitened parts, lambdas 0.1, which begin to count after a
        quarter of the epochs; learning rate 3e-3 down a cosine; stationary split of the features at the end.
        Four starts of 100 epochs, of which the one with the least objective is kept: many starts end in a poor minimum.
        `changes` are further settings.
        """
        return cls(**{**_IMPROVED, **changes})

    def check_against(self, n_instruments: int, sizes: Sequence[int]) -> None:
        """Check what depends on the data: d instruments that vary, and the rows of each environment.

        Raises
        ------
        InputError
            One environment; more columns than instruments; a batch larger than an environment.
        """
        if len(sizes) < 2:
            raise InputError(
                f"At least two environments are required to learn, but there is {len(sizes)}. "
                "Give a column with two or more levels (site, ancestry group, region)."
            )
        columns = self.n_latent + self.n_confounded
        if columns > n_instruments:
            raise InputError(
                f"n_latent + n_confounded must not exceed the number of instruments that vary, {n_instruments}, but is "
                f"{self.n_latent} + {self.n_confounded} = {columns}. Ask for fewer, or give more instruments."
            )
        steps_per_epoch(sizes, self.batch)

    def architecture(self, n_instruments: int) -> Architecture:
        """Shapes of a model for d instruments."""
        return Architecture(
            n_instruments=n_instruments,
            n_latent=self.n_latent,
            n_confounded=self.n_confounded,
            encoder=self.encoder,
            encoder_degree=self.encoder_degree,
            decoder=self.decoder,
            decoder_degree=self.decoder_degree,
            width=self.width,
            bounded=self.bounded,
            relevance=self.lambda_relevance > 0,
        )

    def objective(self) -> Objective:
        """Forms of the terms."""
        return Objective(
            invariance_kernel=self.invariance_kernel,
            independence_kernel=self.independence_kernel,
            scale_invariant=self.scale_invariant,
            entropy=self.entropy,
        )

    def plan(self, n_environments: int) -> Plan:
        """How long and how fast to train."""
        default = 400 if n_environments == 2 else 800
        return Plan(
            epochs=default if self.epochs is None else self.epochs,
            batch=self.batch,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            clip=self.clip,
            schedule=self.schedule,
            penalty_delay=self.penalty_delay,
            validate_every=self.validate_every,
            n_last=self.n_last,
        )
