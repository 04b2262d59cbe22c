"""Simulated summary data with a known effect."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from invarmr.data.harmonised import Associations


def simulated(p: int = 40, *, seed: int = 1, effect: float = 0.5, invalid: int = 0, weak: float = 1.0) -> Associations:
    """Draw p independent variants; the first `invalid` of them act on the outcome directly, all upwards."""
    rng = np.random.default_rng(seed)
    true = weak * rng.uniform(0.05, 0.15, p) * rng.choice([-1.0, 1.0], p)
    sigma_x, sigma_y = rng.uniform(0.005, 0.01, p), rng.uniform(0.005, 0.01, p)
    direct = np.where(np.arange(p) < invalid, 0.1, 0.0) * np.sign(true)
    return Associations.from_arrays(
        exposure=true + sigma_x * rng.normal(size=p),
        exposure_std_error=sigma_x,
        outcome=effect * true + direct + sigma_y * rng.normal(size=p),
        outcome_std_error=sigma_y,
    )


@pytest.fixture(scope="session")
def simulate() -> Callable[..., Associations]:
    return simulated
