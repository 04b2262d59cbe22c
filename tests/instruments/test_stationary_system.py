from __future__ import annotations

import numpy as np
import pytest
from scipy import linalg

from invarmr.data.moments import EnvironmentMoments
from invarmr.instruments.stationary_system import (
    environment_covariances,
    leak_of,
    mean_learning_error,
    solve_stationary,
)


def moments(values: np.ndarray, codes: np.ndarray) -> EnvironmentMoments:
    return EnvironmentMoments.from_arrays(
        values,
        codes,
        columns=[f"instrument:{j}" for j in range(values.shape[1])],
        environments=[str(e) for e in range(int(codes.max()) + 1)],
    )


@pytest.fixture
def shifted() -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    codes = np.repeat([0, 1, 2], [400, 300, 500])
    values = generator.normal(size=(1200, 4)) * (1 + np.outer(codes, [0.0, 0, 0.5, 1]))
    return (values + np.outer(codes, [0, 0, 1.0, -1])) @ generator.normal(size=(4, 4)), codes


@pytest.mark.parametrize("shrink", [True, False])
def test_the_solution_solves_the_published_eigenproblem(shifted, shrink) -> None:
    values, codes = shifted
    system = solve_stationary(moments(values, codes), within=False, shrink=shrink)
    n = np.bincount(codes)
    S_e = [np.cov(values[codes == e].T) for e in range(3)]
    S = np.average(S_e, axis=0, weights=n)
    mean = values.mean(axis=0)
    Q = np.zeros((4, 4))
    inverse = np.linalg.inv(S)
    for e in range(3):
        shift = values[codes == e].mean(axis=0) - mean
        C = S_e[e] - S
        rho = 20 / n[e] * (1 - n[e] / 1200) / np.trace(C @ inverse @ C @ inverse) if shrink else 0.0
        Q += n[e] / 1200 * (np.outer(shift, shift) + 2 * (1 - rho) ** 2 * C @ inverse @ C)
    eigenvalues, vectors = linalg.eigh(Q, S)
    np.testing.assert_allclose(system.eigenvalues, eigenvalues, rtol=1e-8)
    signs = np.sign(np.einsum("ij,ij->j", system.basis, vectors))
    np.testing.assert_allclose(system.basis * signs, vectors, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(system.basis.T @ S @ system.basis, np.eye(4), atol=1e-10)
    assert system.n_null == 0


def test_null_directions_are_dropped_and_counted(shifted) -> None:
    values, codes = shifted
    padded = np.column_stack([values, values[:, 1], np.full(1200, 7.0), values[:, 0] + values[:, 2]])
    plain = solve_stationary(moments(values, codes), within=False)
    system = solve_stationary(moments(padded, codes), within=False)
    assert system.n_null == 3
    np.testing.assert_allclose(system.eigenvalues, plain.eigenvalues, rtol=1e-6)
    assert not system.basis[5].any()


def test_within_compares_correlations_only(shifted) -> None:
    values, codes = shifted
    scaled = values * (1 + codes[:, None])
    plain, within = (environment_covariances(moments(scaled, codes), within=flag) for flag in (False, True))
    variances = np.einsum("ejj->ej", within)
    np.testing.assert_allclose(variances, np.broadcast_to(variances[0], variances.shape))
    for e in range(3):
        own = np.sqrt(np.diag(plain[e]))
        common = np.sqrt(np.diag(within[e]))
        np.testing.assert_allclose(plain[e] / np.outer(own, own), within[e] / np.outer(common, common), atol=1e-12)
    basis = np.random.default_rng(1).normal(size=(4, 2))
    for flag, found in ((False, plain), (True, within)):
        rotated = environment_covariances(moments(scaled, codes), within=flag, basis=basis)
        np.testing.assert_allclose(rotated, basis.T @ found @ basis, rtol=1e-10)


def test_an_instrument_that_is_constant_in_one_environment_keeps_its_pooled_variance(shifted) -> None:
    values, codes = shifted
    values = values.copy()
    values[codes == 1, 0] = 3.0
    found = environment_covariances(moments(values, codes), within=True)
    assert found[1, 0, 0] == pytest.approx(found[0, 0, 0])
    assert not found[1, 0, 1:].any()
    basis = np.random.default_rng(1).normal(size=(4, 2))
    rotated = environment_covariances(moments(values, codes), within=True, basis=basis)
    np.testing.assert_allclose(rotated, basis.T @ found @ basis, rtol=1e-10)


def test_an_order_is_left_where_shrinkage_is_complete() -> None:
    generator = np.random.default_rng(3)
    codes = np.repeat([0, 1], 60)
    values = generator.normal(size=(120, 20)) + np.outer(codes, np.eye(20)[0] * 3)
    system = solve_stationary(moments(values, codes), within=False)
    assert system.shrinkage.min() < 0.01
    again = solve_stationary(moments(values[::-1], codes[::-1]), within=False)
    signs = np.sign(np.einsum("ij,ij->j", system.basis, again.basis))
    np.testing.assert_allclose(system.basis * signs, again.basis, atol=1e-5)


@pytest.mark.parametrize("environments", [2, 3])
def test_the_predicted_leak_is_what_is_seen(linear_study, environments) -> None:
    # L_j over many draws: the coefficient of the true V in W^, given W
    seen, predicted = [], []
    for seed in range(300):
        study = linear_study(seed, environments=environments, n=1_200)
        cohort = study.cohort
        instruments = cohort.moments.select(cohort.moments.index("instrument"))
        system = solve_stationary(instruments, within=False)
        leak = leak_of(system, 2)
        values = (cohort.instruments.read(np.arange(cohort.n_samples)) - instruments.grand_mean()) @ system.basis
        parts = np.column_stack([study.valid, study.confounded])
        parts = parts - parts.mean(axis=0)
        truth = np.linalg.lstsq(parts, values, rcond=None)[0]  # (W, V) -> (W^, V^)
        in_v = np.linalg.solve(truth[2:, 2:], truth[2:, :2])  # W^ in units of V^
        seen.append(np.mean([np.outer(in_v[:, j], in_v[:, j]) for j in range(2)], axis=0))
        predicted.append(leak.covariance)
    ratio = np.diag(np.mean(seen, axis=0)) / np.diag(np.mean(predicted, axis=0))
    assert (np.abs(ratio - 1) < 0.25).all()


def test_leak_needs_no_latent_instrument_and_no_confounded_part(shifted) -> None:
    system = solve_stationary(moments(*shifted), within=False)
    assert leak_of(system, 0).covariance.shape == (4, 4)
    assert leak_of(system, 4).covariance.shape == (0, 0)
    assert mean_learning_error(system, 2).shape == (3, 3)
    np.testing.assert_allclose(mean_learning_error(system, 4), 0.0)


def test_a_direction_that_is_hardly_learned_leaks_no_more_than_it_can() -> None:
    generator = np.random.default_rng(8)
    codes = np.repeat([0, 1], 200)
    values = generator.normal(size=(400, 3))
    system = solve_stationary(moments(values, codes), within=False)
    for p in (1, 2):
        assert np.diag(leak_of(system, p).covariance).max() <= 1.0 / p + 1e-12
