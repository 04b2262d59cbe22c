"""The table of study-file keys, written from `StudyConfig` when the manual is built, so that it cannot go stale.

The directive `{study-file}` is replaced by one table per section: key, kind, default, meaning. Meanings are the
docstrings below the fields of the settings, and `MEANINGS` here where the name alone says too little.
"""

from __future__ import annotations

import ast
import inspect
import sys
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from docutils import nodes
from docutils.statemachine import StringList
from pydantic import BaseModel
from pydantic_core import PydanticUndefined
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from invarmr.study import config, people_settings
from invarmr.study.config import StudyConfig

MEANINGS = {
    ("phenotypes", "sample_id"): "Column with the sample ids, as in the genotype file. Read as text.",
    ("phenotypes", "exposure"): "Column of what may be the cause. A number.",
    ("phenotypes", "outcome"): "Column of what may be the consequence. A number.",
    ("phenotypes", "covariates"): "Columns partialled out of instruments, exposure and outcome in every estimate.",
    ("components", "max_variants"): "Most variants to compute components from; a longer list is thinned evenly.",
    ("learn", "method"): 'How latent instruments are learned; "none": not at all.',
    ("estimate", "level"): "Level of the confidence intervals.",
    ("estimate", "std_errors"): (
        "Which standard errors. With many-instrument, OLS and 2SLS rows have homoskedastic ones."
    ),
    ("truth", "path"): "JSON with the true effect, copied into the archive.",
    ("run", "seed"): "Seed of the folds and of everything else that is drawn.",
}


def rows() -> list[tuple[str, str, str, str, str]]:
    """Every key as section, key, kind, default, meaning."""
    out = []
    for section, field in _sections():
        model = _model(field.annotation)
        said = _docstrings(model)
        for key, item in model.model_fields.items():
            meaning = MEANINGS.get((section, key), said.get(key, ""))
            out.append((section, key, _kind(item.annotation), _default(item), meaning))
    return out


def _sections() -> list[tuple[str, Any]]:
    """Every section; `preset`, a key that stands before them, has a page of its own."""
    return [(name, field) for name, field in StudyConfig.model_fields.items() if name != "preset"]


def tables() -> str:
    """The tables as Markdown."""
    out = []
    for section, field in _sections():
        model = _model(field.annotation)
        needed = "required" if field.is_required() else "optional"
        title = inspect.getdoc(model).partition(":")[2].strip().rstrip(".")
        out.append(f"## `[{section}]`\n\n{title[0].upper()}{title[1:]}. This section is {needed}.\n")
        out.append("| key | kind | default | meaning |\n|---|---|---|---|")
        out += [
            f"| `{key}` | {kind} | {default} | {said} |"
            for place, key, kind, default, said in rows()
            if place == section
        ]
        out.append("")
    return "\n".join(out)


def _model(annotation: Any) -> type[BaseModel]:
    options = get_args(annotation) if isinstance(annotation, UnionType) else (annotation,)
    return next(option for option in options if inspect.isclass(option) and issubclass(option, BaseModel))


def _docstrings(model: type[BaseModel]) -> dict[str, str]:
    """The string under each field of a model, from its source."""
    tree = ast.parse(inspect.getsource(sys.modules[model.__module__]))
    body = next(node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name == model.__name__)
    out, name = {}, ""
    for node in body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            name = node.target.id
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and name:
            out[name] = " ".join(str(node.value.value).split())
    return out


KINDS = {
    "Path": "path",
    "str": "text",
    "int": "whole number",
    "float": "number",
    "bool": "true or false",
    "CrosswalkConfig": "table",
}


def _kind(annotation: Any) -> str:
    origin = get_origin(annotation)
    if origin is Annotated:
        return _kind(get_args(annotation)[0])
    if origin is Literal:
        return " or ".join(f'`"{value}"`' for value in get_args(annotation))
    if origin is dict:
        return "table"
    if origin is tuple and _is_path(get_args(annotation)[0]):
        return "list of paths"
    if origin is tuple:
        return "list of names" if get_args(annotation)[0] is not str else "list of text"
    if origin in (Union, UnionType):
        return " or ".join(_kind(option) for option in get_args(annotation) if option is not NoneType)
    return KINDS[annotation.__name__]


def _is_path(annotation: Any) -> bool:
    return get_origin(annotation) is Annotated and get_args(annotation)[0] is Path


def _default(item: Any) -> str:
    if item.default is PydanticUndefined:
        return "required"
    if item.default is None:
        return "not given"
    if isinstance(item.default, bool):
        return f"`{str(item.default).lower()}`"
    if isinstance(item.default, tuple | dict):
        return "`[]`" if isinstance(item.default, tuple) else "`{}`"
    return f'`"{item.default}"`' if isinstance(item.default, str) else f"`{item.default:g}`"


class StudyFile(SphinxDirective):
    """`{study-file}`."""

    def run(self) -> list[nodes.Node]:
        """Parse the tables in place."""
        for module in (config, people_settings):
            self.env.note_dependency(module.__file__)
        lines = tables().splitlines()
        return self.parse_text_to_nodes(
            str(StringList(lines, source="study_file")) and "\n".join(lines), allow_section_headings=True
        )


def setup(app: Sphinx) -> dict[str, bool]:
    """Tell Sphinx."""
    app.add_directive("study-file", StudyFile)
    return {"parallel_read_safe": True}
