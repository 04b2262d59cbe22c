"""What is wrong with a study file, in the words of somebody who writes one."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from types import UnionType
from typing import Any, get_args

from pydantic import BaseModel

__all__ = ["faults"]

KINDS = {
    "string_type": "text in quotation marks",
    "string_too_short": "a name, not empty",
    "int_type": "a whole number",
    "float_type": "a number",
    "tuple_type": 'a list, such as ["age", "sex"]',
    "model_type": "a section",
}


def faults(model: type[BaseModel], items: Sequence[Mapping[str, Any]]) -> str:
    """Everything pydantic found wrong, one sentence a key; the kinds that a key may have are named together."""
    by_place: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for item in items:
        by_place.setdefault(_place(item["loc"]), []).append(item)
    return "; ".join(_one_key(model, found) for found in by_place.values())


def _one_key(model: type[BaseModel], items: Sequence[Mapping[str, Any]]) -> str:
    kinds = list(dict.fromkeys(KINDS[item["type"]] for item in items if item["type"] in KINDS))
    inside = [item for item in items if len(item["loc"]) > _SECTION_AND_KEY]
    named = next((item["loc"][-1] for item in inside if item["type"] in ("missing", "extra_forbidden")), None)
    where = " ".join(f"[{part}]" if place == 0 else part for place, part in enumerate(_place(items[0]["loc"])))
    if named is not None:
        fault = "is required" if any(item["type"] == "missing" for item in inside) else "is unknown"
        return f"{where}: its key '{named}' {fault}"
    if len(kinds) > 1:
        return f"{where} must be {' or '.join(kinds)}, but is {json.dumps(items[0]['input'])}"
    return _in_plain_words(model, items[-1])


def _in_plain_words(model: type[BaseModel], item: Mapping[str, Any]) -> str:
    """Say one thing pydantic found wrong as a user of the file would."""
    where = _place(item["loc"])
    place = f"[{where[0]}] {where[1]}" if len(where) == 2 else f"[{where[0]}]" if where else ""
    kind, value = item["type"], item["input"]
    if kind == "extra_forbidden":
        return _unknown_key(model, where)
    if kind == "missing":
        return f"{place} is required, but is not there"
    if kind == "value_error":
        return " ".join(part for part in (place, str(item["ctx"]["error"])) if part)
    if kind == "literal_error":
        return f"{place} must be {item['ctx']['expected']}, but is {json.dumps(value)}"
    required = KINDS.get(kind) or str(item["msg"]).removeprefix("Input should be ").lower()
    return f"{place} must be {required}, but is {json.dumps(value)}"


_SECTION_AND_KEY = 2


def _place(location: Sequence[int | str]) -> tuple[str, ...]:
    """Section and key; the branches of a choice and the places in a list are left out."""
    return tuple(part for part in location if isinstance(part, str))[:_SECTION_AND_KEY]


def _unknown_key(model: type[BaseModel], where: Sequence[str]) -> str:
    if len(where) == 1:
        known, place = list(model.model_fields), f"there is no section [{where[0]}]"
    else:
        known, place = _keys_of(model, where[0]), f"[{where[0]}] has no key '{where[1]}'"
    near = difflib.get_close_matches(where[-1], known, n=1, cutoff=0.5)
    return f"{place} (did you mean '{near[0]}'?)" if near else f"{place} (it knows {', '.join(known)})"


def _keys_of(model: type[BaseModel], section: str) -> list[str]:
    annotation: Any = model.model_fields[section].annotation
    options = get_args(annotation) if isinstance(annotation, UnionType) else (annotation,)
    return [key for option in options if hasattr(option, "model_fields") for key in option.model_fields]
