"""The linear latent designs of `validation/linear_design.py`."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def linear_study() -> Callable[..., Any]:
    """Draw a study whose valid and confounded parts are known: `linear_study(seed, n=..., environments=..., ...)`."""
    script = Path(__file__).parents[2] / "validation" / "linear_design.py"
    return runpy.run_path(str(script), run_name="linear_design")["linear_study"]
