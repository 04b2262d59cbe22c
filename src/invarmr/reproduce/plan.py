"""What is to be run: the replicates that items need, each once, and what they will cost.

A unit is one data seed of one design for one learner: it trains everything that the learner trains on that draw (the
autoencoder: a grid of lambdas) and gives all rows of the table that follow from it. Designs with symmetric and with
asymmetric effects share their instruments, so one unit serves both, unless the exposure enters the training.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from invarmr.errors import InputError, first_few
from invarmr.reproduce.items import Item, Setting, Variant
from invarmr.reproduce.tidy_table import settings_text
from invarmr.simulate.latent_design import Effects, LatentDesign
from invarmr.simulate.mixing import MixingName

__all__ = [
    "FULL",
    "LEARNERS",
    "NEURAL",
    "QUICK",
    "Scale",
    "Unit",
    "describe",
    "expected_seconds",
    "unit_of",
    "units_of",
]

LEARNERS = ("none", "oracle", "stationary", "polynomial", "flow", "auto", "autoencoder_improved", "autoencoder")
"""In the order in which they run; `none`: the baselines on Z; `oracle`: the true W and V; `auto`: the first of the
three before it whose checks pass; `autoencoder`: the published settings with their grid of lambdas;
`autoencoder_improved`: this package's settings, one pair of lambdas."""
NEURAL = ("autoencoder", "autoencoder_improved")
BOTH: tuple[Effects, ...] = ("symmetric", "asymmetric")
_SECONDS = {"none": 0.5, "oracle": 0.8, "stationary": 0.8, "polynomial": 1.0, "flow": 30.0, "auto": 3.0}
"""Seconds a unit takes on one core with two environments of 10,000 rows, measured."""
_MODEL_STEP = 2.0e-3
"""Seconds of one step of one autoencoder of a stack on one core of a CPU, 500 rows from each of two environments."""
_MODEL_MEASURES = 0.8
_IMPROVED_LAMBDA = 0.1
_IMPROVED_EPOCHS, _IMPROVED_STARTS = 100, 4
"""As in `AutoencoderSettings.improved`, which needs torch."""


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How much is run.

    Parameters
    ----------
    seeds
        Data seeds.
    n_samples
        Rows per environment of the training, the validation and the test draw.
    lambda_invariance, lambda_independence
        The autoencoder's grid.
    training
        Further settings of every autoencoder (`epochs`, `width`, ...); the learner's defaults elsewhere.
    name
        What the output calls it.
    """

    seeds: tuple[int, ...] = tuple(range(1, 21))
    n_samples: int = 10_000
    lambda_invariance: tuple[float, ...] = (1.0, 5.0, 10.0)
    lambda_independence: tuple[float, ...] = (0.0, 1.0, 5.0, 10.0)
    training: Mapping[str, Setting] = field(default_factory=dict)
    name: str = "as published"

    def __post_init__(self) -> None:
        if not self.seeds or min(self.seeds) < 0:
            raise InputError(f"At least one seed from 0 up is required, but {first_few(self.seeds) or 'none'} came.")
        if self.n_samples < 500:
            raise InputError(f"At least 500 rows per environment are required, but {self.n_samples} were asked for.")
        if not self.lambda_invariance or not any(value > 0 for value in self.lambda_independence):
            raise InputError("The grid needs a lambda_invariance, and a lambda_independence above 0.")

    @property
    def design(self) -> str:
        """The table's name for these sizes."""
        return f"p2-q2-n{self.n_samples}"


FULL = Scale()
QUICK = Scale(
    seeds=(1, 2),
    n_samples=2_000,
    lambda_invariance=(1.0,),
    lambda_independence=(0.0, 1.0),
    training={"epochs": 60},
    name="quick: 2 seeds, 2,000 rows per environment, one pair of lambdas, 60 epochs",
)


@dataclass(frozen=True, kw_only=True)
class Unit:
    """One data seed of one design for one learner.

    Parameters
    ----------
    learner, environments, mixing, seed
        Which.
    n_latent
        p^; 0 for `none` and `oracle`, which learn nothing.
    options
        Settings of the autoencoder beside the scale's, by name.
    effects
        Designs that share what is learned.
    """

    learner: str
    environments: int
    mixing: MixingName
    seed: int
    n_latent: int = 0
    options: tuple[tuple[str, Setting], ...] = ()
    effects: tuple[Effects, ...] = BOTH

    @property
    def double_machine_learning(self) -> bool:
        """Whether table 2 needs this unit."""
        plain = self.environments == 2 and self.mixing == "poly3" and not self.options
        return plain and self.learner != "none" and self.n_latent in (0, 2)

    @property
    def trained_on(self) -> str:
        """Which effects the training saw: `both`, unless the exposure enters it."""
        return "both" if self.effects == BOTH else self.effects[0]

    def lambdas(self, scale: Scale) -> list[tuple[float, float]]:
        """The autoencoder's grid; models without independence are needed for figure 3 alone."""
        plain = self.environments == 2 and self.n_latent == 2 and not self.options
        invariance, independence = scale.lambda_invariance, scale.lambda_independence
        if self.learner == "autoencoder_improved":
            invariance, independence = (_IMPROVED_LAMBDA,), (0.0, _IMPROVED_LAMBDA)
        return list(itertools.product(invariance, [value for value in independence if value > 0 or plain]))

    def settings(self, scale: Scale) -> list[dict[str, Any]]:
        """Settings of every model of the unit, as the table shows them; one empty set where nothing is learned."""
        if self.n_latent == 0:
            return [{}]
        if self.learner not in NEURAL:
            return [{"n_latent": self.n_latent}]
        return [
            {
                "n_latent": self.n_latent,
                "n_confounded": 2,
                **dict(scale.training),
                **dict(self.options),
                "lambda_invariance": invariance,
                "lambda_independence": independence,
            }
            for invariance, independence in self.lambdas(scale)
        ]

    def latent_design(self, scale: Scale, effects: Effects) -> LatentDesign:
        """The design that the simulator takes."""
        return LatentDesign(
            n_environments=self.environments, n_samples=scale.n_samples, mixing=self.mixing, effects=effects
        )

    def keys(self, scale: Scale) -> set[tuple[Any, ...]]:
        """Keys of its rows in the table, without the estimator."""
        return {
            (
                scale.design,
                self.environments,
                self.mixing,
                effects == "symmetric",
                self.seed,
                self.learner,
                settings_text(settings),
            )
            for effects in self.effects
            for settings in self.settings(scale)
        }


def unit_of(item: Item, variant: Variant, learner: str, mixing: MixingName, seed: int) -> list[Unit]:
    """The units behind one panel of an item for one learner and seed; none where the item is not for it."""
    neural = learner in NEURAL
    if item.for_autoencoders and not neural:
        return []
    if learner in ("none", "oracle"):
        if variant.n_latent != 2:
            return []
        return [Unit(learner=learner, environments=item.environments, mixing=mixing, seed=seed)]
    separate = variant.options.get("lambda_relevance", 0)
    return [
        Unit(
            learner=learner,
            environments=item.environments,
            mixing=mixing,
            seed=seed,
            n_latent=variant.n_latent,
            options=tuple(sorted(variant.options.items())),
            effects=effects,
        )
        for effects in ([(effect,) for effect in BOTH] if separate else [BOTH])
    ]


def units_of(items: Iterable[Item], learners: Sequence[str], scale: Scale) -> list[Unit]:
    """Every unit that the items need, once, seed by seed within each learner: a broken run has whole seeds.

    Raises
    ------
    InputError
        An unknown learner, or none.
    """
    wrong = [name for name in learners if name not in LEARNERS]
    if wrong or not learners:
        raise InputError(f"Learners must be among {', '.join(LEARNERS)}, but are {first_few(wrong) or 'none'}.")
    items = tuple(items)
    found: dict[Unit, None] = {}
    for learner in (name for name in LEARNERS if name in learners):
        for seed in scale.seeds:
            for item in items:
                for mixing, variant in itertools.product(item.mixings, item.variants):
                    found.update(dict.fromkeys(unit_of(item, variant, learner, mixing, seed)))
    return list(found)


def expected_seconds(unit: Unit, scale: Scale) -> float:
    """What a unit is expected to take on one core of a CPU."""
    rows = scale.n_samples * unit.environments / 20_000
    table_2 = 4.0 * rows * len(unit.effects) if unit.double_machine_learning else 0.0
    if unit.learner not in NEURAL:
        climbs = unit.learner == "auto" and unit.mixing == "mlp"
        return (_SECONDS[unit.learner] + climbs * _SECONDS["flow"]) * rows + table_2
    improved = unit.learner == "autoencoder_improved"
    usual = _IMPROVED_EPOCHS if improved else 400 if unit.environments == 2 else 800
    epochs = int(scale.training.get("epochs", usual)) * (_IMPROVED_STARTS if improved else 1)
    batch = int(scale.training.get("batch", 500))
    step = _MODEL_STEP * batch * unit.environments / 1_000
    each = epochs * (scale.n_samples // batch) * step + _MODEL_MEASURES * rows
    return each * len(unit.lambdas(scale)) + table_2


def describe(items: Sequence[Item], units: Sequence[Unit], done: int, scale: Scale, workers: int) -> str:
    """The plan in words: what, how many, how long."""
    lines = [
        f"{len(items)} of the publication's figures and tables: {', '.join(item.name for item in items)}",
        f"scale: {scale.name}; {len(scale.seeds)} seeds; {scale.n_samples:,} rows per environment in each of the "
        "training, the validation and the test draw",
    ]
    total = 0.0
    for learner in dict.fromkeys(unit.learner for unit in units):
        own = [unit for unit in units if unit.learner == learner]
        models = sum(len(unit.settings(scale)) for unit in own if unit.n_latent)
        seconds = sum(expected_seconds(unit, scale) for unit in own) / workers
        total += seconds
        what = f", {models} models" if models else ""
        lines.append(f"{learner}: {len(own)} replicates{what}, about {in_words(seconds)}")
    if done:
        lines.append(f"{done} replicates are in the table already and are not run again")
    lines.append(f"expected on {workers} core{'s' * (workers != 1)} of a CPU: about {in_words(total)}")
    return "\n".join(lines)


def in_words(seconds: float) -> str:
    """A length of time, roughly.

    Examples
    --------
    >>> in_words(20.0), in_words(600.0), in_words(7200.0)
    ('20 s', '10 min', '2.0 h')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5_400 else f"{seconds / 3_600:.1f} h"
