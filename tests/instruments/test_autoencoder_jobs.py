from __future__ import annotations

import numpy as np
import pytest

from invarmr.errors import InputError
from invarmr.instruments.autoencoder_jobs import AutoencoderJob, PreparedJobs, by_environment, standard_units
from invarmr.instruments.autoencoder_settings import AutoencoderSettings

SETTINGS = AutoencoderSettings(n_latent=1, n_confounded=1, batch=10)


def instruments(seed: int = 1, n: int = 60) -> np.ndarray:
    """Three columns of different spread, one constant and one that repeats the first."""
    Z = np.random.default_rng(seed).normal(3.0, [1.0, 10.0, 0.1], (n, 3))
    return np.column_stack([Z, np.full(n, 7.0), 2 * Z[:, 0]])


def job(Z: np.ndarray, K: np.ndarray, settings: AutoencoderSettings = SETTINGS, **changes) -> AutoencoderJob:
    given = {"instrument": Z, "environment": K, "validation_instrument": Z, "validation_environment": K, **changes}
    return AutoencoderJob(settings=settings, seed=1, **given)


def test_standardised_units_have_unit_spread_and_no_constant() -> None:
    Z = instruments()
    center, units = standard_units(Z, "standardised")
    assert units.shape == (5, 4)
    np.testing.assert_allclose(((Z - center) @ units).std(axis=0), 1.0)
    np.testing.assert_allclose(((Z - center) @ units).mean(axis=0), 0.0, atol=1e-12)


def test_whitened_units_drop_what_is_repeated() -> None:
    Z = instruments()
    center, units = standard_units(Z, "whitened")
    white = (Z - center) @ units
    assert units.shape == (5, 3)
    np.testing.assert_allclose(white.T @ white / len(Z), np.eye(3), atol=1e-12)


def test_centred_units_are_those_of_the_instruments_without_the_constant() -> None:
    Z = instruments()
    center, units = standard_units(Z, "centred")
    np.testing.assert_array_equal((Z - center) @ units, (Z - Z.mean(axis=0))[:, [0, 1, 2, 4]])


def test_rows_are_sorted_by_environment_and_keep_their_order_within() -> None:
    order, sizes = by_environment(np.array([1, 0, 1, 0, 0]))
    assert order.tolist() == [1, 3, 4, 0, 2]
    assert sizes == (3, 2)
    with pytest.raises(InputError, match=r"must have people, but \[1\] have none"):
        by_environment(np.array([0, 2]))


def test_validation_people_get_the_units_of_the_training_people() -> None:
    Z, K = instruments(), np.tile([1, 0], 30)
    other = instruments(2)
    data = PreparedJobs().add(job(Z, K, validation_instrument=other))
    center, units = standard_units(Z, "standardised")
    expected = (other[np.argsort(K, kind="stable")] - center) @ units
    np.testing.assert_allclose(data.validation, expected, rtol=1e-5)
    assert data.validation.dtype == np.float32


def test_jobs_that_share_arrays_and_units_share_data() -> None:
    Z, K = instruments(), np.tile([0, 1], 30)
    prepared = PreparedJobs()
    jobs = [job(Z, K), job(Z, K), job(Z.copy(), K), job(Z, K, AutoencoderSettings.improved(n_confounded=1, batch=10))]
    for one in jobs:
        prepared.add(one)
    assert [prepared.index(one) for one in jobs] == [0, 0, 1, 2]
    assert len(prepared.data) == 3
