import numpy as np
import pytest

from invarmr.reproduce.measures import explained_share, flexible_share, measure
from invarmr.simulate.latent import LatentDesign, simulate_latent

DESIGN = LatentDesign(mixing="linear", n_samples=2_000)
TEST, VALIDATION = (simulate_latent(DESIGN, seed=1, part=part) for part in ("test", "validation"))
RNG = np.random.default_rng(0)


def test_linear_share_is_mean_r2_of_whitened_columns_in_any_basis():
    A, B = TEST.confounded_part, TEST.instrument[:, :3] + RNG.normal(size=(4_000, 3))
    centred = A - A.mean(axis=0)
    white = centred @ np.linalg.inv(np.linalg.cholesky(centred.T @ centred / 4_000)).T
    X = np.column_stack([np.ones(4_000), B])
    naive = 1 - np.mean((white - X @ np.linalg.lstsq(X, white, rcond=None)[0]) ** 2)
    assert explained_share(A, B) == pytest.approx(naive)
    M = RNG.normal(size=(2, 2))
    assert explained_share(A @ M + 5, B @ RNG.normal(size=(3, 3))) == pytest.approx(naive)
    assert explained_share(A, A @ M) == pytest.approx(1)
    assert explained_share(A, np.ones((4_000, 1))) == 0.0


def test_a_part_made_of_the_difference_of_v_shows_as_half_a_leak():
    difference = TEST.confounded_part @ np.array([[1.0], [-1.0]])
    assert explained_share(TEST.confounded_part, difference) == pytest.approx(0.5, abs=0.01)


def test_flexible_share_sees_what_linear_regression_does_not():
    V, new = RNG.normal(size=(3_000, 1)), RNG.normal(size=(3_000, 1))
    square, new_square = V**2, new**2
    sign = flexible_share(square, V, new_square, new, seed=1)
    assert explained_share(square, V) < 0.02
    assert sign > 0.95
    noise, new_noise = RNG.normal(size=(3_000, 2)), RNG.normal(size=(3_000, 2))
    assert flexible_share(noise, V, new_noise, new, seed=1) == pytest.approx(0, abs=0.02)


def test_measures_of_perfect_and_of_leaking_parts():
    perfect = measure(TEST.latent_instrument, TEST, VALIDATION.latent_instrument, VALIDATION, seed=1)
    assert perfect.recovery == pytest.approx(1)
    assert perfect.leakage < 0.005
    assert perfect.leakage_nonlinear < 0.01
    assert perfect.gcm_p > 0.01
    leaking = [sample.latent_instrument + 0.3 * sample.confounded_part for sample in (TEST, VALIDATION)]
    poor = measure(leaking[0], TEST, leaking[1], VALIDATION, seed=1)
    assert poor.leakage > 0.1
    assert poor.leakage_nonlinear > 0.1
    assert poor.gcm_p < 1e-3
