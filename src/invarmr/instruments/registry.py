"""The learners by name, each imported when it is asked for: torch is loaded by the neural ones alone."""

from __future__ import annotations

import difflib
import importlib
import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticSchemaGenerationError

from invarmr.errors import InputError
from invarmr.instruments.base import Learner

__all__ = ["LEARNERS", "build_learner"]

LEARNERS: Mapping[str, str] = {
    "stationary": "stationary:StationaryInstruments",
    "polynomial": "polynomial:PolynomialInstruments",
    "flow": "flow:FlowInstruments",
    "autoencoder": "autoencoder:AutoencoderInstruments",
    "mendelian": "mendelian:MendelianInstruments",
    "auto": "automatic:AutomaticInstruments",
}
"""Name in study files -> module in this room and class."""


def build_learner(name: str, **settings: Any) -> Learner:  # noqa: ANN401 - each learner types its own settings
    """The learner called `name` with its settings.

    Raises
    ------
    InputError
        No such learner, a setting it does not have (with the nearest one it has), or an extra that is not installed.
    """
    if name not in LEARNERS:
        raise InputError(f"The learner must be one of {', '.join(LEARNERS)}, but is {name!r}.")
    module, kind = LEARNERS[name].split(":")
    try:
        learner: type[Any] = getattr(importlib.import_module(f"invarmr.instruments.{module}"), kind)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("invarmr"):
            raise
        raise InputError(
            f"The learner '{name}' needs {error.name}, which is not installed. "
            "Install it with: pip install 'invarmr[neural]'"
        ) from error
    known = [field.name for field in fields(learner)]
    for setting in settings:
        if setting not in known:
            near = difflib.get_close_matches(setting, known, n=1, cutoff=0.5)
            hint = f"did you mean '{near[0]}'?" if near else f"it has {', '.join(known)}"
            raise InputError(f"The learner '{name}' has no setting '{setting}' ({hint}).")
    kinds = get_type_hints(learner)
    for setting, value in settings.items():
        _check(name, setting, value, kinds[setting])
    try:
        return learner(**settings)  # type: ignore[no-any-return]  # a Learner by the table above
    except InputError:
        raise
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"A setting of the learner '{name}' has the wrong kind: {error}.") from error


LEVELS = ("rejection",)
"""Settings that are levels of tests: outside 0.001 to 0.2 a test says nothing, nor does a verdict that rests on it."""
_LARGEST = 10_000_000


def _check(learner: str, setting: str, value: Any, kind: Any) -> None:  # noqa: ANN401 - a setting may be of any kind
    """Make sure that a setting is of the kind that its field has: true is no number, text no count, endless nothing."""
    said = f"The setting '{setting}' of the learner '{learner}'"
    if not isinstance(value, Path):
        try:
            TypeAdapter(kind).validate_json(json.dumps(value, default=str), strict=True)
        except (ValidationError, TypeError) as error:
            wanted = getattr(kind, "__name__", None) or str(kind).replace("typing.", "").replace("collections.abc.", "")
            raise InputError(f"{said} must be {wanted}, but is {value!r}.") from error
        except PydanticSchemaGenerationError:
            pass  # a kind that pydantic does not know: the learner checks it
    numbers = value if isinstance(value, list | tuple) else [value]
    for number in numbers:
        if isinstance(number, int | float) and not isinstance(number, bool) and not 0 <= number <= _LARGEST:
            raise InputError(f"{said} must lie between 0 and {_LARGEST:,}, but is {number}.")
    if setting in LEVELS and not (isinstance(value, int | float) and 0.001 <= value <= 0.2):
        raise InputError(f"{said} is the level of a test and must lie between 0.001 and 0.2, but is {value}.")
