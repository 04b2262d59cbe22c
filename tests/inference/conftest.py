"""Designs drawn for the tests of the effect: arrays and the `IVDesign` on them, strong or weak, with controls."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import invarmr


class Drawn:
    """Arrays Z, C, D, Y, clusters, and the design on them; `strength` is the first-stage coefficient."""

    def __init__(self, seed: int, *, n: int = 200, k: int = 3, c: int = 1, strength: float = 0.3) -> None:
        rng = np.random.default_rng(seed)
        self.Z = rng.normal(size=(n, k)) @ rng.normal(size=(k, k)) + rng.normal(size=k)
        self.C = rng.normal(size=(n, c)) + 0.3 * self.Z[:, :1]
        self.cluster = np.arange(n) // 5
        shared = rng.normal(size=n) * (0.5 + np.abs(self.Z[:, 0]) / 2) + rng.normal(size=n // 5 + 1)[self.cluster]
        self.D = strength * self.Z @ rng.uniform(0.5, 1, k) + self.C.sum(axis=1) + shared + rng.normal(size=n)
        self.Y = 0.7 * self.D - self.C.sum(axis=1) + shared + rng.normal(size=n)
        self.design = self.design_on(self.Z)

    def design_on(self, instrument: np.ndarray, *, outcome: np.ndarray | None = None) -> invarmr.IVDesign:
        cohort = invarmr.Cohort.from_arrays(
            instrument=instrument,
            exposure=self.D,
            outcome=self.Y if outcome is None else outcome,
            environment=np.arange(len(self.D)) % 2,
            covariates=self.C,
            cluster=self.cluster,
        )
        return invarmr.IVDesign.from_cohort(cohort)

    @property
    def residuals(self) -> tuple[np.ndarray, np.ndarray]:
        """Dense Z~ and (Y, D) given the constant and the controls."""
        X = np.column_stack([np.ones(len(self.C)), self.C])
        Q, _ = np.linalg.qr(X)

        def given(values: np.ndarray) -> np.ndarray:
            return values - Q @ (Q.T @ values)

        return given(self.Z), given(np.column_stack([self.Y, self.D]))


@pytest.fixture(scope="session")
def draw() -> Callable[..., Drawn]:
    return Drawn


@pytest.fixture(scope="session")
def linear_study() -> Callable[..., Any]:
    """Draw a study whose valid and confounded parts are known: `linear_study(seed, n=..., environments=..., ...)`."""
    script = Path(__file__).parents[2] / "validation" / "linear_design.py"
    return runpy.run_path(str(script), run_name="linear_design")["linear_study"]
