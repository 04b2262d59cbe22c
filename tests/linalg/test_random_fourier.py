import numpy as np
import pytest

from invarmr.linalg.random_fourier import FourierRidge

RNG = np.random.default_rng(3)
X = RNG.normal(size=(4_000, 2))


def fit(X, Y, seed=0, **settings):
    return FourierRidge.fit(X, Y, rng=np.random.default_rng(seed), **settings)


def share_explained(model, X, truth):
    return 1 - ((model.predict(X) - truth) ** 2).mean(axis=0) / truth.var(axis=0)


def test_learns_smooth_functions_from_noisy_data():
    truth = np.column_stack([np.sin(2 * X[:, 0]) * X[:, 1], X[:, 0] ** 2 - X[:, 1], np.abs(X).sum(axis=1)])
    model = fit(X, truth + 0.5 * RNG.normal(size=truth.shape))
    new = RNG.normal(size=(2_000, 2))
    truth = np.column_stack([np.sin(2 * new[:, 0]) * new[:, 1], new[:, 0] ** 2 - new[:, 1], np.abs(new).sum(axis=1)])
    assert (share_explained(model, new, truth) > 0.95).all()


def test_noise_is_not_learned():
    model = fit(X, RNG.normal(size=(4_000, 3)))
    assert model.predict(RNG.normal(size=(1_000, 2))).var() < 0.02


def test_the_solution_is_ridge_at_the_best_score():
    Y = np.sin(3 * X[:, :1]) + RNG.normal(size=(4_000, 1))
    model = fit(X, Y, n_features=30)
    F = model.features(X) - model.feature_mean
    target = Y - Y.mean(axis=0)
    n = len(X)
    scores, solutions = [], []
    for penalty in np.geomspace(1e-6, 1e2, 17) * n:
        inverse = np.linalg.inv(F.T @ F + penalty * np.eye(F.shape[1]))
        B = inverse @ F.T @ target
        edf = 1 + np.trace(F @ inverse @ F.T)
        scores.append(n * ((target - F @ B) ** 2).sum() / (n - edf) ** 2)
        solutions.append(B)
    np.testing.assert_allclose(model.coefficients, solutions[int(np.argmin(scores))], atol=1e-6)
    assert 0 < int(np.argmin(scores)) < 16


def test_units_and_constant_columns_do_not_matter():
    Y = np.cos(X[:, :1])
    with_constant = np.column_stack([1000 + 50 * X, np.full(len(X), 7.0)])
    assert share_explained(fit(with_constant, Y), with_constant, Y) > 0.99
    np.testing.assert_allclose(fit(X, Y).predict(X), fit(100 * X + 3, Y).predict(100 * X + 3), atol=1e-6)


@pytest.mark.parametrize("rows", [100, 20_000])
def test_blocks_make_no_difference(rows):
    wide = np.random.default_rng(1).normal(size=(rows, 2))
    model = fit(wide, wide[:, :1] ** 3)
    F = model.features(wide)
    np.testing.assert_allclose(model.feature_mean, F.mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(model.predict(wide), model.intercept + (F - model.feature_mean) @ model.coefficients)
