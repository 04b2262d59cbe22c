from __future__ import annotations

import numpy as np
import pytest

from invarmr.data.moments import EnvironmentMoments, merge_moments
from invarmr.errors import InputError

COLUMNS = ("covariate:age", "instrument:rs1", "instrument:rs2", "exposure", "outcome")


def moments(columns=COLUMNS, environments=("a", "b"), seed: int = 0) -> EnvironmentMoments:
    generator = np.random.default_rng(seed)
    values = generator.normal(size=(50, len(columns)))
    return EnvironmentMoments.from_arrays(
        values, np.arange(50) % len(environments), columns=columns, environments=environments
    )


def test_selecting_columns_and_environments() -> None:
    found = moments()
    assert found.index("instrument").tolist() == [1, 2]
    assert found.index("outcome", "covariate").tolist() == [0, 4]
    some = found.select(np.array([2, 4]))
    assert some.columns == ("instrument:rs2", "outcome")
    np.testing.assert_array_equal(some.crossproduct, found.crossproduct[:, [[2], [4]], [2, 4]])
    np.testing.assert_allclose(some.covariance(), found.covariance(np.array([2, 4])))
    one = found.subset([1])
    assert one.environments == ("b",)
    assert one.n_total == 25
    np.testing.assert_allclose(one.total(), one.within())


def test_only_like_is_merged_with_like() -> None:
    with pytest.raises(InputError, match="same columns and environments in the same order"):
        moments() + moments(columns=("instrument:x", *COLUMNS[1:]))
    with pytest.raises(InputError, match="environments a, b against b, a"):
        merge_moments([moments(), moments(environments=("b", "a"))])


def test_one_part_is_the_whole_and_neighbouring_columns_are_not_copied() -> None:
    found = moments()
    assert merge_moments([found]) is found
    run = found.select(np.array([1, 2]))
    assert np.shares_memory(run.crossproduct, found.crossproduct)
    assert run.columns == ("instrument:rs1", "instrument:rs2")
    np.testing.assert_array_equal(run.crossproduct, found.crossproduct[:, 1:3, 1:3])
    np.testing.assert_array_equal(run.mean, found.mean[:, 1:3])
    assert found.select(np.zeros(0, dtype=int)).columns == ()
