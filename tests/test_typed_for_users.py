"""What a user's own type checker sees of the package, run as a user runs it: outside, against what is installed."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import invarmr

PACKAGE = Path(invarmr.__file__).parent

PROGRAM = """
import invarmr

def effect(cohort: invarmr.Cohort) -> float:
    design = invarmr.IVDesign.from_cohort(cohort)
    fitted = invarmr.TwoStageLeastSquares(level=0.9).fit(design)
    reveal_type(fitted)
    reveal_type(invarmr.diagnose(design, fitted).verdict)
    wrong: str = fitted.std_error
    invarmr.Fuller(b=4.0)
    return fitted.estimate
"""


def test_a_user_is_told_types_and_faults(tmp_path: Path) -> None:
    assert (PACKAGE / "py.typed").is_file()
    (tmp_path / "mine.py").write_text(PROGRAM)
    (tmp_path / "mypy.ini").write_text(f"[mypy]\nfollow_imports = silent\ncache_dir = {tmp_path / 'cache'}\n")
    run = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "mine.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    said = run.stdout
    assert 'Revealed type is "invarmr.estimators.estimate.Estimate"' in said, said
    assert 'Revealed type is "invarmr.data.latent_instruments.Verdict"' in said, said
    assert said.count("error:") == 2, said
    assert 'expression has type "float", variable has type "str"' in said
    assert 'Unexpected keyword argument "b" for "Fuller"' in said


def test_the_stub_and_the_front_door_have_the_same_names() -> None:
    stub = ast.parse((PACKAGE / "__init__.pyi").read_text(encoding="utf-8"))
    homes = {
        name.asname: node.module
        for node in ast.walk(stub)
        if isinstance(node, ast.ImportFrom)
        for name in node.names
        if node.module is not None and node.module.startswith("invarmr.")
    }
    assert sorted(homes) == sorted(set(invarmr.__all__) - {"__version__"})
    for name, module in homes.items():
        assert getattr(importlib.import_module(module), name) is getattr(invarmr, name)
