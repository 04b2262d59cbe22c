"""Cohort presets: what the files of a biobank are called, and what their columns mean, as defaults of a study file.

A preset fills in what the study file leaves out, from the tables and lists that lie beside it; whatever the file says
stands. What came of it is in the settings of `provenance.json`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from invarmr.errors import InputError, first_few
from invarmr.io.table_format import column_names

__all__ = ["PRESETS", "PresetName", "spelled_as_wanted", "with_preset"]

PresetName = Literal["all-of-us", "uk-biobank", "finngen"]
Section = dict[str, Any]


def with_preset(raw: Mapping[str, Any], folder: Path, *, sections: Collection[str]) -> dict[str, Any]:
    """The content of a study file with the defaults of its preset filled in.

    Parameters
    ----------
    raw
        The study file as read from TOML; without a known `preset` it comes back as it is.
    folder
        The folder of the study file, where relative paths begin and lists are looked for.
    sections
        Sections that a study file may have.

    Raises
    ------
    InputError
        A table cannot be read, or several files lie there of which the preset needs one.
    """
    out = {name: dict(part) if isinstance(part, dict) else part for name, part in raw.items()}
    fill = PRESETS.get(str(raw.get("preset")))
    people = out.get("phenotypes")
    if fill is None or not isinstance(people, dict) or "path" not in people:
        return out
    for name in sections:
        if name in ("components", "disclosure"):
            out.setdefault(name, {})
    fill(out, people, folder)
    return {name: part for name, part in out.items() if part != {} or name in raw}


def _all_of_us(out: dict[str, Any], people: Section, folder: Path) -> None:
    ancestry = _tables_with(folder, "*ancestry_preds.tsv*")
    if len(ancestry) > 1:
        raise InputError(
            f"{folder}: one ancestry file (*ancestry_preds.tsv) was required, but there are {first_few(ancestry)}. "
            "Name the one that is meant in [phenotypes] path."
        )
    given = _paths(people["path"])
    if ancestry and not any("ancestry_preds" in Path(path).name for path in given):
        people["path"] = [*given, *ancestry]
    columns = _columns(people, folder)
    people.setdefault("sample_id", "research_id")
    if "ancestry_pred" in columns:
        people.setdefault("environment", "ancestry_pred")
    _components(out, ["pca_features"], columns)
    lists = [*_tables_with(folder, "*relatedness*flagged*"), *_tables_with(folder, "*flagged_samples*")]
    if lists:
        people.setdefault("exclude", list(dict.fromkeys(lists)))
    if "disclosure" in out:
        out["disclosure"].setdefault("smallest_count", 20)


def _uk_biobank(out: dict[str, Any], people: Section, folder: Path) -> None:
    columns = _columns(people, folder)
    people.setdefault("sample_id", "eid")
    fields = {_field(name) for name in columns} - {None}
    if "environment" not in people:
        found = [name for name in ("p22000", "p54_i0") if _field(name) in fields]
        if found:
            people["environment"] = found if len(found) > 1 else found[0]
        if "p22000" in found:
            people.setdefault("environment_bins", {"p22000": [0.0]})
    wanted = [f"p22009_a{k}" for k in range(1, 41)]
    _components(out, wanted, [name for name in wanted if _field(name) in fields])
    lists = [name for name in _tables_with(folder, "w*.csv") if re.match(r"w\d", name)]
    if lists:
        people.setdefault("exclude", lists)


def _finngen(out: dict[str, Any], people: Section, folder: Path) -> None:
    columns = {name.lower(): name for name in _columns(people, folder)}
    people.setdefault("sample_id", "FINNGENID")
    place = next((columns[name] for name in ("cohort", "batch") if name in columns), None)
    if place is not None:
        people.setdefault("environment", place)
    wanted = [f"PC{k}" for k in range(1, 11)]
    _components(out, wanted, [name for name in wanted if name.lower() in columns])


PRESETS: dict[str, Callable[[dict[str, Any], Section, Path], None]] = {
    "all-of-us": _all_of_us,
    "uk-biobank": _uk_biobank,
    "finngen": _finngen,
}


def _components(out: dict[str, Any], wanted: Sequence[str], found: Iterable[str]) -> None:
    """Take the cohort's own components if the tables have them all and the study file asks for none of its own."""
    settings = out["components"]
    if (
        set(wanted) <= set(found)
        and isinstance(settings, dict)
        and not {"columns", "count", "variants"} & set(settings)
    ):
        settings["columns"] = list(wanted)


def _paths(path: object) -> list[str]:
    return [str(item) for item in path] if isinstance(path, list) else [str(path)]


def _tables_with(folder: Path, pattern: str) -> list[str]:
    return sorted(file.name for file in folder.glob(pattern) if file.is_file())


def _columns(people: Section, folder: Path) -> list[str]:
    """Columns of all tables; none of one that is not there, which is told when it is read."""
    files = [folder / Path(path).expanduser() for path in _paths(people["path"])]
    return [name.lstrip("#") for file in files if file.is_file() for name in column_names(file)]


_FIELD = re.compile(r"(?:p(\d+)(?:_i(\d+))?(?:_a(\d+))?|f\.(\d+)\.(\d+)\.(\d+)|x?(\d+)-(\d+)\.(\d+))", re.IGNORECASE)


def _field(name: str) -> tuple[int, int, int] | None:
    """Field, instance and array index of a UK Biobank column: `p31`, `p31_i0`, `f.31.0.0`, `31-0.0` are the same.

    Where an instance is not written it is 0. An array index counts as written; a column without one has 0.
    """
    found = _FIELD.fullmatch(name)
    if found is None:
        return None
    groups = found.groups()
    numbers = next(groups[k : k + 3] for k in (0, 3, 6) if groups[k] is not None)
    return int(numbers[0]), int(numbers[1] or 0), int(numbers[2] or 0)


def spelled_as_wanted(preset: str | None, wanted: Iterable[str], columns: Sequence[str]) -> dict[str, str]:
    """Columns of a table that are wanted under another spelling: from the table's name to the wanted one.

    UK Biobank: another way to write the same field. FinnGen: other capitals.

    Examples
    --------
    >>> spelled_as_wanted("uk-biobank", ["p31", "21001-0.0"], ["eid", "f.31.0.0", "p21001_i0", "p21001_i1"])
    {'f.31.0.0': 'p31', 'p21001_i0': '21001-0.0'}
    """
    alike: Callable[[str], object]
    if preset == "uk-biobank":
        alike = _field
    elif preset == "finngen":
        alike = str.lower
    else:
        return {}
    out: dict[str, str] = {}
    for name in dict.fromkeys(wanted):
        same = [column for column in columns if alike(name) is not None and alike(column) == alike(name)]
        if name not in columns and len(same) == 1:
            out[same[0]] = name
    return out
