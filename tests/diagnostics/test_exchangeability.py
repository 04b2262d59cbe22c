from __future__ import annotations

import numpy as np
import pytest

import invarmr
from invarmr.diagnostics.exchangeability import balance, balance_checks


def naive_r2(values: np.ndarray, by: np.ndarray) -> np.ndarray:
    by = np.column_stack([np.ones(len(by)), by])
    residual = values - by @ np.linalg.lstsq(by, values, rcond=None)[0]
    return 1 - residual.var(axis=0) / values.var(axis=0)


@pytest.fixture
def cohort() -> invarmr.Cohort:
    generator = np.random.default_rng(0)
    site = np.arange(900) % 3
    components = generator.normal(size=(900, 2)) + site[:, None]
    Z = generator.normal(size=(900, 4)) + components @ generator.normal(size=(2, 4))
    D = Z.sum(axis=1) + generator.normal(size=900)
    return invarmr.Cohort.from_arrays(
        instrument=Z,
        exposure=D,
        outcome=D + generator.normal(size=900),
        environment=site,
        components=components,
        instrument_names=list("abcd"),
    )


def test_observed_and_learned_against_regressions(cohort) -> None:
    Z = cohort.instruments.read(np.arange(900))
    dummies = np.eye(3)[cohort.environment][:, 1:]
    found = balance(cohort.moments)
    np.testing.assert_allclose(found.r2_environment, naive_r2(Z, dummies), rtol=1e-8)
    np.testing.assert_allclose(found.r2_components, naive_r2(Z, cohort.components), rtol=1e-8)
    assert found.names == ("a", "b", "c", "d")
    assert found.chance_environment == pytest.approx(2 / 899)
    assert found.chance_components == pytest.approx(2 / 899)
    latent = invarmr.StationaryInstruments(n_latent=2).fit(cohort, seed=1)
    learned = balance(cohort.moments, latent)
    assert latent.trained_loadings is not None
    W = Z @ latent.trained_loadings
    np.testing.assert_allclose(learned.r2_environment, naive_r2(W, dummies), atol=1e-10)
    np.testing.assert_allclose(learned.r2_components, naive_r2(W, cohort.components), atol=1e-10)
    assert learned.names == ("latent1", "latent2")
    assert learned.instrument_set == "learned"


def test_checks_describe_and_say_where_there_are_no_components(cohort) -> None:
    found = balance(cohort.moments)
    environment, components = balance_checks(found, 3, 2)
    assert environment.statistic == pytest.approx(found.r2_environment.mean())
    assert environment.df == "2"
    assert components.p_value is None
    assert components.applies
    plain = balance(cohort.moments.select(cohort.moments.index("instrument", "exposure", "outcome")))
    assert np.isnan(plain.r2_components).all()
    _, missing = balance_checks(plain, 3, 0)
    assert not missing.applies
    assert "no principal components" in missing.reason


def test_a_constant_instrument_is_balanced() -> None:
    generator = np.random.default_rng(0)
    Z = np.column_stack([generator.normal(size=50), np.ones(50)])
    cohort = invarmr.Cohort.from_arrays(
        instrument=Z, exposure=generator.normal(size=50), outcome=generator.normal(size=50), environment=["a", "b"] * 25
    )
    assert np.isfinite(balance(cohort.moments).r2_environment).all()
