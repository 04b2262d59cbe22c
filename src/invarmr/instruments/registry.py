"""The learners by name, each imported when it is asked for: torch is loaded by the neural ones alone."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

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
    try:
        return learner(**settings)  # type: ignore[no-any-return]  # a Learner by the table above
    except TypeError as error:
        raise InputError(f"A setting of the learner '{name}' has the wrong kind: {error}.") from error
