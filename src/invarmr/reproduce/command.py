"""From what was asked for to a run: settings parsed, the plan said, units run, figures drawn, provenance kept."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from invarmr import __version__
from invarmr.errors import InputError
from invarmr.instruments.registry import build_learner
from invarmr.provenance import describe_run
from invarmr.reproduce.items import Item, Setting, chosen_items
from invarmr.reproduce.output import write_items
from invarmr.reproduce.plan import FULL, LEARNERS, NEURAL, QUICK, Scale, describe, units_of
from invarmr.reproduce.replicate import neural_module
from invarmr.reproduce.run import run_units, unfinished
from invarmr.reproduce.tidy_table import Store, locked, write_whole

__all__ = ["Request", "request", "run_request"]


_SLOW = ("flow", "auto")
"""Learners that `quick` leaves out unless they are named."""


@dataclass(frozen=True)
class Request:
    """Which items, by which learners, at which scale."""

    items: tuple[Item, ...]
    learners: tuple[str, ...]
    scale: Scale


def request(
    *,
    items: Sequence[str],
    learners: str | None = None,
    mixings: str | None = None,
    seeds: int | None = None,
    first_seed: int = 1,
    quick: bool = False,
    n_samples: int | None = None,
    lambda_invariance: str | None = None,
    lambda_independence: str | None = None,
    autoencoder: str | None = None,
) -> Request:
    """Parse what was asked for; None leaves the default, or with `quick` that of `QUICK`.

    Learners by default: all that are at hand; with `quick` all but the slow one, `flow`.

    Raises
    ------
    InputError
        An unknown item, a learner that is unknown or needs an extra, or a value that is not a number.
    """
    base = QUICK if quick else FULL
    count = len(base.seeds) if seeds is None else seeds
    changes: dict[str, Any] = {"seeds": tuple(range(first_seed, first_seed + count))}
    if n_samples is not None:
        changes["n_samples"] = n_samples
    for name, text in (("lambda_invariance", lambda_invariance), ("lambda_independence", lambda_independence)):
        if text is not None:
            changes[name] = tuple(_number(part, name) for part in text.split(","))
    if autoencoder is not None:
        changes["training"] = {**base.training, **_settings(autoencoder)}
    scale = replace(base, **changes)
    if any(getattr(scale, name) != getattr(FULL, name) for name in ("n_samples", "lambda_invariance", "training")):
        scale = replace(scale, name=base.name if quick and len(changes) == 1 else "changed from the publication's")
    if learners is None:
        chosen = tuple(name for name in LEARNERS if not (quick and name in _SLOW) and _missing(name) is None)
    else:
        chosen = tuple(name.strip() for name in learners.split(",") if name.strip())
    units_of((), chosen, scale)
    for name in chosen:
        if (error := _missing(name)) is not None:
            raise error
    return Request(_with_mixings(chosen_items(tuple(items)), mixings), chosen, scale)


def _with_mixings(items: Sequence[Item], mixings: str | None) -> tuple[Item, ...]:
    """The items with those of their panels that are asked for; items without any are left out."""
    if mixings is None:
        return tuple(items)
    asked = [name.strip() for name in mixings.split(",") if name.strip()]
    known = sorted({name for item in items for name in item.mixings})
    wrong = [name for name in asked if name not in known]
    if wrong or not asked:
        raise InputError(f"Mixings must be among {', '.join(known)}, but are {', '.join(wrong) or 'none'}.")
    kept = [replace(item, mixings=tuple(name for name in item.mixings if name in asked)) for item in items]
    return tuple(item for item in kept if item.mixings)


def _missing(learner: str) -> InputError | None:
    """Why a learner cannot be used here."""
    if learner not in ("none", "oracle"):
        try:
            if learner in NEURAL:
                neural_module("autoencoder_grid")
            else:
                build_learner(learner)
        except InputError as error:
            return error
    return None


def run_request(
    asked: Request,
    out: Path,
    *,
    workers: int = 1,
    device: str = "cpu",
    models_at_once: int | None = None,
    plan_only: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> list[Path]:
    """Say the plan, run what is not in the table yet, and write figures, tables and provenance.

    Returns
    -------
    list of Path
        What was written.
    """
    with locked(out):
        store = Store(out)
        units = units_of(asked.items, asked.learners, asked.scale)
        left = unfinished(units, store, asked.scale)
        say(describe(asked.items, left, len(units) - len(left), asked.scale, workers))
        if plan_only:
            return []
        _keep_provenance(out, asked, workers=workers, device=device)
        run_units(left, store, asked.scale, workers=workers, device=device, models_at_once=models_at_once, say=say)
        return [out / "replicates.tsv", *write_items(asked.items, store, asked.scale, asked.learners)]


def _keep_provenance(out: Path, asked: Request, *, workers: int, device: str) -> None:
    """Add this run to `provenance.json`: every run that gave rows to the table is named there."""
    path = out / "provenance.json"
    runs: list[Any] = json.loads(path.read_text(encoding="utf-8"))["runs"] if path.exists() else []
    settings: Mapping[str, Any] = {
        "items": [item.name for item in asked.items],
        "mixings": sorted({name for item in asked.items for name in item.mixings}),
        "learners": list(asked.learners),
        **asdict(asked.scale),
        "workers": workers,
        "device": device,
        "cores": os.cpu_count(),
    }
    run = describe_run(settings=settings, seed=asked.scale.seeds[0], inputs=(), version=__version__)
    write_whole(path, json.dumps({"runs": [*runs, run]}, indent=1) + "\n")


def _number(text: str, name: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise InputError(f"{name} must be numbers separated by commas, but holds {text!r}.") from error


def _settings(text: str) -> dict[str, Setting]:
    """`epochs=100,encoder=linear` as a mapping, numbers as numbers."""
    found: dict[str, Setting] = {}
    for part in filter(None, text.split(",")):
        name, sign, value = (piece.strip() for piece in part.partition("="))
        if not sign:
            raise InputError(f"Settings of the autoencoder must be written name=value, but {part!r} is not.")
        found[name] = _literal(value)
    return found


def _literal(value: str) -> Setting:
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    return {"true": True, "false": False}.get(value.lower(), value)
