from __future__ import annotations

import numpy as np
import pytest

from invarmr.data.folds import assign_folds, split_people

RNG = np.random.default_rng(0)
ENVIRONMENT = RNG.integers(0, 3, 500)
IDS = RNG.permutation(500).astype(str)


@pytest.mark.parametrize("n_parts", [2, 3, 7])
def test_parts_are_even_within_every_environment_and_decided_by_the_seed(n_parts: int) -> None:
    part = split_people(ENVIRONMENT, n_parts=n_parts, seed=4, sample_ids=IDS)
    for code in range(3):
        counts = np.bincount(part[code == ENVIRONMENT], minlength=n_parts)
        assert counts.max() - counts.min() <= 1
    np.testing.assert_array_equal(part, split_people(ENVIRONMENT, n_parts=n_parts, seed=4, sample_ids=IDS))
    assert (part != split_people(ENVIRONMENT, n_parts=n_parts, seed=5, sample_ids=IDS)).any()


def test_parts_have_nothing_to_do_with_the_folds_of_a_learner_with_the_same_seed() -> None:
    part = split_people(ENVIRONMENT, n_parts=2, seed=4, sample_ids=IDS)
    fold = assign_folds(ENVIRONMENT, n_folds=2, seed=4, sample_ids=IDS)
    assert abs(np.corrcoef(part, fold)[0, 1]) < 0.2


@pytest.mark.parametrize("cluster", [None, np.arange(500) // 3])
def test_a_persons_part_follows_from_the_id_and_not_from_the_order_of_the_rows(cluster) -> None:
    order = np.random.default_rng(3).permutation(500)
    part = split_people(ENVIRONMENT, n_parts=3, seed=1, sample_ids=IDS, cluster=cluster)
    moved = split_people(
        ENVIRONMENT[order],
        n_parts=3,
        seed=1,
        sample_ids=IDS[order],
        cluster=None if cluster is None else cluster[order],
    )
    np.testing.assert_array_equal(part[order], moved)


def test_clusters_stay_whole_and_parts_nearly_even() -> None:
    cluster = np.arange(500) // 3
    part = split_people(ENVIRONMENT, n_parts=2, seed=1, sample_ids=IDS, cluster=cluster)
    assert all(len(set(part[cluster == code])) == 1 for code in range(cluster.max() + 1))
    assert abs(np.bincount(part)[0] - 250) < 15
