"""What holds of the whole tree of sources."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import invarmr

ROOT = Path(invarmr.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(invarmr.__path__, "invarmr.")
    if not module.name.endswith("__main__")
)
BANNED = {"utils", "helpers", "common", "misc", "core", "manager"}


def test_rooms_import_only_from_below() -> None:
    linter = Path(sys.executable).parent / "lint-imports"
    if not linter.exists():
        pytest.skip("import-linter is not installed")
    run = subprocess.run([linter], capture_output=True, text=True, cwd=ROOT.parents[1], check=False)
    assert run.returncode == 0, run.stdout
    assert "0 broken" in run.stdout


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_files_are_short_named_for_what_they_hold_and_explained(file: Path) -> None:
    assert file.stem not in BANNED
    assert not file.stem.startswith("test_")
    assert not BANNED & {part.name for part in file.relative_to(ROOT).parents}
    text = file.read_text(encoding="utf-8")
    assert text.count("\n") <= 600
    tree = ast.parse(text)
    assert ast.get_docstring(tree)
    names = [node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    assert not any(name.startswith("test_") for name in names)
    assert not any(isinstance(node, ast.Assert) for node in ast.walk(tree))


@pytest.mark.parametrize("name", MODULES)
def test_what_a_module_offers_exists_and_is_documented(name: str) -> None:
    module = importlib.import_module(name)
    for offered in getattr(module, "__all__", []):
        thing = getattr(module, offered)
        if inspect.isfunction(thing) or inspect.isclass(thing):
            assert inspect.getdoc(thing), f"{name}.{offered}"
        if inspect.isclass(thing) and thing.__module__ == name:
            for method, value in vars(thing).items():
                if not method.startswith("_") and (inspect.isfunction(value) or isinstance(value, property)):
                    assert inspect.getdoc(value), f"{name}.{offered}.{method}"


def test_no_import_hides_in_a_function_to_dodge_the_layers() -> None:
    found = []
    for file in FILES:
        for function in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(function, ast.FunctionDef):
                for node in ast.walk(function):
                    if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("invarmr"):
                        found.append((file.relative_to(ROOT).parts[0], node.module.split(".")[1]))
    # verbs and figures import when they are called, so that --help is quick; the linter sees these imports too
    allowed = {"cli", "report"}
    assert {room for room, _ in found} <= allowed
