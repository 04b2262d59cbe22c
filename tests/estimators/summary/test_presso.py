from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from invarmr.data.harmonised import Associations
from invarmr.estimators.summary.inverse_variance import InverseVarianceWeighted
from invarmr.estimators.summary.presso import Presso

Simulate = Callable[..., Associations]


def naive_presso(data: Associations) -> float:
    total, rows = 0.0, np.arange(data.n_variants)
    for j in rows:
        rest = data.take(rows != j)
        b = InverseVarianceWeighted().fit(rest).b
        total += ((data.outcome[j] - b * data.exposure[j]) / data.outcome_std_error[j]) ** 2
    return total


def test_presso_finds_the_outliers_and_its_residual_sum_is_the_naive_one(simulate: Simulate):
    data = simulate(40, invalid=4)
    answer = Presso(n_draws=2000).fit(data)
    assert answer.extras["global_rss"] == pytest.approx(naive_presso(data))
    assert set(answer.outliers) >= {"variant_1", "variant_2", "variant_3", "variant_4"}
    assert answer.nsnp == 40 - len(answer.outliers)
    assert answer.extras["distortion_pval"] < 0.05
    assert answer.b == pytest.approx(0.5, abs=0.05)


def test_presso_leaves_clean_data_alone_and_says_when_it_has_too_few_draws(simulate: Simulate):
    data = simulate(40, effect=0.3, seed=2)
    answer = Presso(n_draws=500).fit(data)
    assert (answer.outliers, answer.nsnp) == ((), 40)
    assert answer.b == InverseVarianceWeighted().fit(data).b
    assert answer.extras["global_pval"] > 0.05
    assert "n_draws must exceed 800" in answer.note


def test_presso_keeps_everything_where_nothing_fits():
    rng = np.random.default_rng(1)
    data = Associations.from_arrays(
        exposure=np.ones(4), exposure_std_error=[0.001] * 4, outcome=rng.normal(size=4), outcome_std_error=[1e-6] * 4
    )
    answer = Presso().fit(data)
    assert answer.outliers == ()
    assert "nearly all" in answer.note
