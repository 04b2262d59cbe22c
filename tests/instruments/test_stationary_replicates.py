from __future__ import annotations

import numpy as np
import pytest

import invarmr
from invarmr.data.moments import EnvironmentMoments
from invarmr.instruments import stationary
from invarmr.instruments.base import assign_folds


def replicates(cohort: invarmr.Cohort, count: int, columns: list[int] | None = None):
    """Folds of people drawn with replacement, `count` times."""
    generator = np.random.default_rng(4)
    Z, codes = cohort.instruments.read(np.arange(cohort.n_samples)), cohort.environment
    Z = Z if columns is None else Z[:, columns]
    fold = assign_folds(codes, n_folds=10, seed=1)
    names, sites = [f"instrument:{j}" for j in range(Z.shape[1])], [str(e) for e in range(int(codes.max()) + 1)]
    out = []
    for _ in range(count):
        folds = []
        for k in range(10):
            rows = np.concatenate(
                [
                    generator.choice(np.flatnonzero((fold == k) & (codes == e)), size=(fold == k).sum() // len(sites))
                    for e in range(len(sites))
                ]
            )
            folds.append(EnvironmentMoments.from_arrays(Z[rows], codes[rows], columns=names, environments=sites))
        out.append(folds)
    return out


@pytest.mark.parametrize(
    ("design", "settings"),
    [
        ({"environments": 2, "n": 150, "asymmetric": True}, {}),
        ({"environments": 2, "n": 500, "asymmetric": True}, {"noise_variance": 2.0}),
        ({"environments": 3, "n": 300}, {"rejection": 0.3, "shrink": False}),
        ({"environments": 4, "n": 400, "p": 3, "q": 3}, {"n_held_out": 4}),
        ({"environments": 2, "n": 300}, {"n_latent": 3}),
        ({"environments": 2, "n": 500, "asymmetric": True}, {"held_out_only": True}),
    ],
)
def test_all_at_once_is_one_by_one(design, settings, linear_study) -> None:
    learner = invarmr.StationaryInstruments(**settings)
    data = replicates(linear_study(2, **design).cohort, 30)
    together = learner.fit_replicates(data)
    assert len(together) == 30
    for found, folds in zip(together, data, strict=True):
        alone = learner.fit(folds)
        assert found.n_latent == alone.n_latent
        assert found.instrument_names == alone.instrument_names
        for name in ("center", "loadings", "confounded_loadings", "eigenvalues"):
            np.testing.assert_allclose(getattr(found, name), getattr(alone, name), rtol=1e-6, atol=1e-9)
        for name in ("mean_map", "covariance_map", "covariance"):
            np.testing.assert_allclose(getattr(found.leak, name), getattr(alone.leak, name), rtol=1e-5, atol=1e-8)


def test_numbers_differ_between_replicates_so_that_the_comparison_can_fail(linear_study) -> None:
    data = replicates(linear_study(2, environments=3, n=300).cohort, 30)
    numbers = [item.n_latent for item in invarmr.StationaryInstruments(rejection=0.3).fit_replicates(data)]
    assert len(set(numbers)) >= 3


@pytest.mark.parametrize("columns", [[0, 1, 2, 3, 0], [0, 1, 2, 3] * 3])
def test_one_by_one_where_the_rank_is_in_doubt_or_directions_are_many(columns, linear_study) -> None:
    data = replicates(linear_study(2, n=300).cohort, 2, columns)
    found = invarmr.StationaryInstruments().fit_replicates(data)
    assert all(item.path for item in found)  # only `fit` keeps the path
    assert all(item.n_null == len(columns) - 4 for item in found)


@pytest.mark.parametrize("columns", [[0, 1, 2, 3, 0], [0, 1, 2, 3] * 3])
@pytest.mark.parametrize("within", [False, True])
def test_nothing_is_tested_where_the_number_is_given_and_the_split_is_the_same(columns, within, linear_study) -> None:
    data = replicates(linear_study(2, n=300).cohort, 2, columns)
    learner = invarmr.StationaryInstruments(n_latent=2, scale_within_environment=within)
    for found, folds in zip(learner.fit_replicates(data), data, strict=True):
        alone = learner.fit(folds)
        assert (found.n_latent, found.path, found.instrument_names) == (2, (), alone.instrument_names)
        for name in ("center", "loadings", "confounded_loadings", "eigenvalues"):
            np.testing.assert_allclose(getattr(found, name), getattr(alone, name), rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(found.leak.covariance, alone.leak.covariance, rtol=1e-6)


def test_a_number_beyond_the_rank_is_refused_as_by_fit(linear_study) -> None:
    data = replicates(linear_study(2, n=300).cohort, 1, [0, 1, 2, 3, 0])
    with pytest.raises(invarmr.InputError, match="n_latent must not exceed the rank"):
        invarmr.StationaryInstruments(n_latent=5).fit_replicates(data)


def test_few_directions_of_full_rank_are_learned_at_once(linear_study, monkeypatch) -> None:
    data = replicates(linear_study(2, n=300).cohort, 2)
    monkeypatch.setattr(stationary.StationaryInstruments, "_learn", None)
    assert len(invarmr.StationaryInstruments().fit_replicates(data)) == 2
