from __future__ import annotations

import numpy as np
import pytest

from invarmr.nn.schedules import Plateau, cosine_rate


def test_cosine_goes_from_the_rate_to_zero() -> None:
    assert cosine_rate(1e-3, 0, 10) == 1e-3
    assert cosine_rate(1e-3, 5, 10) == pytest.approx(5e-4)
    assert cosine_rate(1e-3, 10, 10) == pytest.approx(0, abs=1e-12)


def test_plateau_halves_the_rate_of_the_model_whose_loss_rests() -> None:
    plateau = Plateau(3)
    factors = np.array([plateau.factors(np.array([1.0, 1 - 0.01 * epoch, -1 - 1e-6 * epoch])) for epoch in range(43)])
    assert np.flatnonzero(factors[:, 0] < 1).tolist() == [21, 42]
    assert (factors[:, 1] == 1).all()
    assert factors[21, 2] == 0.5
