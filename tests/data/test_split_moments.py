from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import invarmr
from invarmr.data.split_moments import split_moments
from invarmr.errors import InputError


def moments(n: int, m: int, seed: int = 0, *, twice: bool = False) -> invarmr.EnvironmentMoments:
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(n, m)) @ rng.normal(size=(m, m)) + 5
    if twice:
        rows[:, -1] = rows[:, 0]
    return invarmr.EnvironmentMoments.from_arrays(
        rows, np.arange(n) % 2, columns=[f"instrument:{j}" for j in range(m)], environments=["a", "b"]
    )


@pytest.mark.parametrize(("n", "m", "twice"), [(2_000, 4, False), (2_003, 3, True), (120, 40, False)])
def test_the_folds_add_up_exactly(n, m, twice):
    whole = moments(n, m, twice=twice)
    folds = split_moments(whole, n_folds=10, seed=3)
    again = invarmr.merge_moments(folds)
    np.testing.assert_array_equal(again.n_samples, whole.n_samples)
    np.testing.assert_allclose(again.mean, whole.mean, rtol=1e-12)
    np.testing.assert_allclose(again.crossproduct, whole.crossproduct, rtol=1e-9, atol=1e-9 * whole.crossproduct.max())
    sizes = np.array([fold.n_samples for fold in folds])
    assert np.ptp(sizes, axis=0).max() <= 1
    for fold in folds:
        assert np.linalg.eigvalsh(fold.crossproduct).min() > -1e-6 * whole.crossproduct.max()
    other = split_moments(whole, n_folds=10, seed=4)
    assert not np.allclose(other[0].mean, folds[0].mean)


def test_folds_are_distributed_as_those_of_people():
    """Over draws of people and split together, a fold's mean and variance are those of that many people."""
    means, variances, covariances = [], [], []
    for seed in range(400):
        rng = np.random.default_rng(seed)
        rows = rng.normal(size=(60, 2))
        whole = invarmr.EnvironmentMoments.from_arrays(
            rows, np.zeros(60, dtype=int), columns=["instrument:0", "instrument:1"], environments=["a"]
        )
        first, second = split_moments(whole, n_folds=4, seed=seed)[:2]
        means.append(first.mean[0, 0] * np.sqrt(15))
        variances.append(first.crossproduct[0, 0, 0])
        covariances.append((first.mean[0, 1] * second.mean[0, 1], first.crossproduct[0, 0, 1]))
    assert stats.kstest(means, "norm").pvalue > 0.001
    assert stats.kstest(variances, stats.chi2(14).cdf).pvalue > 0.001
    products = np.array(covariances)
    assert np.abs(products.mean(axis=0) / products.std(axis=0) * np.sqrt(400)).max() < 3.5  # uncorrelated


def test_too_few_people_are_refused():
    with pytest.raises(InputError, match="n_folds must be two or more"):
        split_moments(moments(100, 2), n_folds=1)
    with pytest.raises(InputError, match="needs 20 people or more, but a, b have fewer"):
        split_moments(moments(30, 2), n_folds=10)
    with pytest.raises(InputError, match="needs 41 people"):
        split_moments(moments(60, 40), n_folds=3)
