"""A small study for the neural learners: two environments, linear mixing."""

from __future__ import annotations

import numpy as np
import pytest

from invarmr.nn.batches import StackData


def draw(seed: int, n: int, environments: int = 2) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    site = np.repeat(np.arange(environments), n)
    confounder = generator.normal(2.0 * site[:, None], 1, size=(len(site), 2))
    confounded = generator.normal(size=(len(site), 2)) + (1 + site[:, None]) * confounder
    valid = generator.normal(size=(len(site), 2))
    mixing = np.random.default_rng(5).normal(size=(4, 4))
    return np.hstack([confounded, valid]) @ mixing, site


@pytest.fixture(scope="session")
def small_data():
    """StackData of 300 (validation 100) rows per environment with an exposure, by seed."""

    def build(seed: int = 0, environments: int = 2, *, exposure: bool = False) -> StackData:
        Z, _ = draw(seed, 300, environments)
        other, _ = draw(seed + 1_000, 100, environments)
        center, scale = Z.mean(axis=0), Z.std(axis=0)
        return StackData(
            Z=((Z - center) / scale).astype(np.float32),
            sizes=(300,) * environments,
            validation=((other - center) / scale).astype(np.float32),
            validation_sizes=(100,) * environments,
            exposure=Z.sum(axis=1).astype(np.float32) / 10 if exposure else None,
        )

    return build
