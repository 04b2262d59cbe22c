"""Run units: draw, learn, estimate in both designs, measure. One function per kind of learner.

Learned on the training draw; the validation draw chooses among models and trains the nonlinear leakage; everything in
the table is of the test draw.
"""

from __future__ import annotations

import importlib
import multiprocessing
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field, is_dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from invarmr.arrays import FloatArray
from invarmr.errors import InputError
from invarmr.instruments.registry import build_learner
from invarmr.reproduce.measures import Measures, measure
from invarmr.reproduce.plan import Scale, Unit
from invarmr.reproduce.selection import chosen_index
from invarmr.reproduce.study_estimates import baseline_estimates, dml_estimates, named_rows, part_estimates
from invarmr.reproduce.tidy_table import settings_text
from invarmr.simulate.latent import LatentSample, simulate_latent

__all__ = ["UnitResult", "neural_module", "run_autoencoders", "run_unit"]

Encode = Callable[[FloatArray], tuple[FloatArray, FloatArray]]


@dataclass(frozen=True)
class UnitResult:
    """Rows of the two tables."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    models: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class _Model:
    """One trained model as the tables need it; `encode` gives (V^, W^), or is None where training failed."""

    settings: Mapping[str, Any]
    encode: Encode | None
    seconds: float
    validation: float | None = None
    validation_whitened: float | None = None
    failure: str = ""
    resolved: Mapping[str, Any] = field(default_factory=dict)


def run_unit(unit: Unit, scale: Scale) -> UnitResult:
    """Run a unit of any learner but the autoencoders."""
    tests = _tests(unit, scale)
    if unit.learner == "none":
        result = UnitResult()
        for sample in tests:
            started = time.perf_counter()
            estimates = baseline_estimates(sample)
            result.rows.extend(_rows(unit, scale, sample, {}, estimates, time.perf_counter() - started))
        return result
    if unit.learner == "oracle":
        return _oracle(unit, scale, tests)
    training = simulate_latent(unit.latent_design(scale, "symmetric"), seed=unit.seed, part="training")
    settings = unit.settings(scale)[0]
    learner = build_learner(unit.learner, **settings)
    started = time.perf_counter()
    try:
        latent = learner.fit(training.cohort, seed=unit.seed)
    except InputError as error:
        model = _Model(settings, None, time.perf_counter() - started, failure=str(error))
        return _evaluate(unit, scale, tests, [model])

    def encode(instrument: FloatArray) -> tuple[FloatArray, FloatArray]:
        seen = instrument if latent.representation is None else latent.representation.apply(instrument)
        centred = seen - latent.center
        return centred @ latent.confounded_loadings, centred @ latent.loadings

    seconds = time.perf_counter() - started
    climbed = {"ladder": ">".join(step.learner for step in latent.ladder)} if latent.ladder else {}
    resolved = {"verdict": latent.verdict.status, **climbed, **latent.settings}
    return _evaluate(unit, scale, tests, [_Model(settings, encode, seconds, resolved=resolved)])


def run_autoencoders(
    units: Sequence[Unit],
    scale: Scale,
    *,
    device: str = "cpu",
    checkpoint: Path | None = None,
    workers: int = 1,
) -> list[UnitResult]:
    """Train the grids of several units as one list of jobs, and evaluate each unit.

    Parameters
    ----------
    device, checkpoint
        As `invarmr.instruments.autoencoder_grid.train_grid` takes them.
    workers
        Processes among which the evaluation of trained models is shared.
    """
    grid, job = neural_module("autoencoder_grid"), neural_module("autoencoder_jobs").AutoencoderJob
    kinds = neural_module("autoencoder_settings").AutoencoderSettings

    def make(unit: Unit) -> Callable[..., Any]:
        return kinds if unit.learner == "autoencoder" else kinds.improved  # type: ignore[no-any-return]

    jobs, owners, drawn = [], [], {}
    for number, unit in enumerate(units):
        key = (unit.environments, unit.mixing, unit.seed, unit.effects[0])
        if key not in drawn:
            design = unit.latent_design(scale, unit.effects[0])
            drawn[key] = tuple(simulate_latent(design, seed=unit.seed, part=p) for p in ("training", "validation"))
        training, validation = drawn[key]
        for settings in unit.settings(scale):
            jobs.append(
                job(
                    instrument=training.instrument,
                    environment=training.environment,
                    validation_instrument=validation.instrument,
                    validation_environment=validation.environment,
                    settings=make(unit)(**_decoder(unit), **settings),
                    seed=unit.seed,
                    exposure=training.exposure if settings.get("lambda_relevance") else None,
                )
            )
            owners.append(number)
    trained = grid.train_grid(jobs, device=device, checkpoint=checkpoint)
    models_of = []
    for number, unit in enumerate(units):
        own = [fit for owner, fit in zip(owners, trained, strict=True) if owner == number]
        models = [
            _Model(
                settings,
                None if fit.failure else fit.encode,
                fit.seconds,
                _finite(fit.validation_mmd),
                _finite(fit.validation_mmd_whitened),
                fit.failure or "",
                _as_mapping(fit.settings),
            )
            for settings, fit in zip(unit.settings(scale), own, strict=True)
        ]
        models_of.append(models)
    evaluate = partial(_evaluate_unit, scale)
    if workers == 1:
        return list(map(evaluate, units, models_of))
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        return list(pool.map(evaluate, units, models_of))


def neural_module(module: str) -> Any:  # noqa: ANN401 - torch is loaded only when an autoencoder is trained
    """A module of the autoencoder.

    Raises
    ------
    InputError
        The extra is not installed.
    """
    try:
        return importlib.import_module(f"invarmr.instruments.{module}")
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("invarmr"):
            raise
        raise InputError(
            f"The learner 'autoencoder' needs {error.name}, which is not installed. "
            "Install it with: pip install 'invarmr[neural]'"
        ) from error


def _as_mapping(settings: Any) -> dict[str, Any]:  # noqa: ANN401 - a dataclass of a module that needs torch
    return asdict(settings) if is_dataclass(settings) and not isinstance(settings, type) else dict(settings)


def _decoder(unit: Unit) -> dict[str, Any]:
    """The published decoder: monomials of the mixing's degree, or a network where the mixing is one."""
    if unit.mixing.startswith("poly"):
        return {"decoder": "polynomial", "decoder_degree": int(unit.mixing[-1])}
    return {"decoder": "mlp"}


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _tests(unit: Unit, scale: Scale) -> list[LatentSample]:
    return [
        simulate_latent(unit.latent_design(scale, effects), seed=unit.seed, part="test") for effects in unit.effects
    ]


def _oracle(unit: Unit, scale: Scale, tests: Sequence[LatentSample]) -> UnitResult:
    """The true W, with and without the true V partialled out."""
    result = UnitResult()
    for sample in tests:
        started = time.perf_counter()
        W, V = sample.latent_instrument, sample.confounded_part
        estimates = part_estimates(sample, W, V)
        if unit.double_machine_learning:
            estimates += dml_estimates(sample, W, V, seed=unit.seed)
        result.rows.extend(_rows(unit, scale, sample, {}, estimates, time.perf_counter() - started))
    return result


def _evaluate_unit(scale: Scale, unit: Unit, models: Sequence[_Model]) -> UnitResult:
    return _evaluate(unit, scale, _tests(unit, scale), models)


def _evaluate(unit: Unit, scale: Scale, tests: Sequence[LatentSample], models: Sequence[_Model]) -> UnitResult:
    """All rows of the models of a unit; double machine learning on the chosen ones only."""
    result = UnitResult()
    validation = simulate_latent(unit.latent_design(scale, unit.effects[0]), seed=unit.seed, part="validation")
    costly = set()
    if unit.double_machine_learning:
        costly = {
            chosen_index([dict(model.settings) for model in models], [getattr(model, name) for model in models])
            for name in ("validation", "validation_whitened")
        }
    for number, model in enumerate(models):
        measures, spread = None, None
        parts = None if model.encode is None else model.encode(tests[0].instrument)
        if parts is not None and model.encode is not None:
            spread = float(np.sqrt(parts[1].var(axis=0).mean()))
            measures = measure(parts[1], tests[0], model.encode(validation.instrument)[1], validation, seed=unit.seed)
        result.models.append(_model_row(unit, scale, model, spread))
        for sample in tests:
            estimates: list[tuple[str, float | None]] = [("2SLS(W^)", None)]
            if parts is not None:
                estimates = part_estimates(sample, parts[1], parts[0])
                if number in costly:
                    estimates += dml_estimates(sample, parts[1], parts[0], seed=unit.seed)
            add = partial(_rows, unit, scale, sample, model.settings, estimates, model.seconds)
            result.rows.extend(add(measures=measures, validation=model.validation))
    return result


def _rows(
    unit: Unit,
    scale: Scale,
    sample: LatentSample,
    settings: Mapping[str, Any],
    estimates: Sequence[tuple[str, float | None]],
    seconds: float,
    *,
    measures: Measures | None = None,
    validation: float | None = None,
) -> list[dict[str, Any]]:
    found = {} if measures is None else asdict(measures)
    return [
        {
            "design": scale.design,
            "environments": unit.environments,
            "mixing": unit.mixing,
            "symmetric": sample.design.effects == "symmetric",
            "seed": unit.seed,
            "learner": unit.learner,
            "settings": settings_text(settings),
            **row,
            **found,
            "validation": validation,
            "seconds": round(seconds, 3),
        }
        for row in named_rows(estimates, sample.design.effect)
    ]


def _model_row(unit: Unit, scale: Scale, model: _Model, spread: float | None) -> dict[str, Any]:
    return {
        "design": scale.design,
        "environments": unit.environments,
        "mixing": unit.mixing,
        "trained_on": unit.trained_on,
        "seed": unit.seed,
        "learner": unit.learner,
        "settings": settings_text(model.settings),
        "validation": model.validation,
        "validation_whitened": model.validation_whitened,
        "spread": spread,
        "seconds": round(model.seconds, 3),
        "failure": " ".join(model.failure.split()),
        "resolved": settings_text(model.resolved),
    }
