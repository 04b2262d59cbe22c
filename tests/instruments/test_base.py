from __future__ import annotations

import numpy as np
import pytest

from invarmr.instruments.base import assign_folds


@pytest.mark.parametrize("n_folds", [2, 7, 10])
def test_folds_are_even_within_every_environment_and_decided_by_the_seed(n_folds: int) -> None:
    environment = np.random.default_rng(0).integers(0, 3, 500)
    fold = assign_folds(environment, n_folds=n_folds, seed=4)
    for code in range(3):
        counts = np.bincount(fold[environment == code], minlength=n_folds)
        assert counts.max() - counts.min() <= 1
    assert (fold == assign_folds(environment, n_folds=n_folds, seed=4)).all()
    assert (fold != assign_folds(environment, n_folds=n_folds, seed=5)).any()
