from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import invarmr
from invarmr.diagnostics.assortative_mating import even_odd_checks

CHROMOSOMES = ["1", "2", "chr3", "4", "X", ""]


def cohort(n: int = 800, seed: int = 0, *, mating: float = 0.0, structure: float = 0.0) -> invarmr.Cohort:
    rng = np.random.default_rng(seed)
    site, shared = np.arange(n) % 2, rng.normal(size=n)
    Z = rng.normal(size=(n, 6)) + mating * shared[:, None] + structure * site[:, None]
    D = Z @ [1, 1, 0.5, 0.5, 1, 1] + rng.normal(size=n)
    return invarmr.Cohort.from_arrays(
        instrument=Z, exposure=D, outcome=D + rng.normal(size=n), environment=site,
        covariates=rng.normal(size=n), components=shared + rng.normal(size=n),
    )  # fmt: skip


def test_the_correlation_is_the_partial_one():
    people, w = cohort(mating=0.5, structure=1.0), np.array([1.0, 2.0, 0.5, 1.0, 9.0, 9.0])
    checks = even_odd_checks(people.moments, CHROMOSOMES, weights=w)
    assert [check.test.split(", ", 1)[1] for check in checks] == [
        "over everyone", "within environments", "within environments, given principal components",
    ]  # fmt: skip
    Z = people.instruments.read(np.arange(800))
    even, odd = Z[:, 1] * 2 + Z[:, 3], Z[:, 0] + 0.5 * Z[:, 2]
    one = np.ones((800, 1))
    for check, X in zip(
        checks,
        (
            np.hstack([one, people.covariates]),
            np.hstack([np.eye(2)[people.environment], people.covariates]),
            np.hstack([np.eye(2)[people.environment], people.covariates, people.components]),
        ),
        strict=True,
    ):
        a, b = (y - X @ np.linalg.lstsq(X, y, rcond=None)[0] for y in (even, odd))
        r = np.corrcoef(a, b)[0, 1]
        assert check.statistic == pytest.approx(r)
        free = 800 - X.shape[1] - 2
        assert check.p_value == pytest.approx(2 * stats.norm.sf(abs(np.arctanh(r)) * np.sqrt(free - 0)), rel=1e-6)
        assert check.conclusion == f"the two scores are correlated (r {r:.3f})"
    assert checks[0].statistic > checks[1].statistic > checks[2].statistic


def test_weights_learned_in_other_people_do_not_correlate_the_scores():
    """Size, with weights from other people; from the same people it would be lost."""
    found, same = [], []
    for seed in range(200):
        people = cohort(n=300, seed=seed)
        first, second = people.moments_of(np.arange(150)), people.moments_of(np.arange(150, 300))
        found.append(even_odd_checks(second, CHROMOSOMES, training=first)[1].p_value)
        same.append(even_odd_checks(people.moments, CHROMOSOMES, weights=np.ones(6))[1].p_value)
    for p in (found, same):
        assert stats.kstest(p, "uniform").pvalue > 0.001
    mated = cohort(mating=0.6)
    halves = mated.moments_of(np.arange(400)), mated.moments_of(np.arange(400, 800))
    assert even_odd_checks(halves[1], CHROMOSOMES, training=halves[0])[1].p_value < 1e-4


def test_what_does_not_apply():
    people = cohort()
    one_side = even_odd_checks(people.moments, ["1", "3", "5", "X", "Y", "7"], weights=np.ones(6))
    assert [check.reason for check in one_side] == ["instruments on even and on odd chromosomes are needed"]
    assert "neither external weights" in even_odd_checks(people.moments, CHROMOSOMES)[0].reason
    zero = even_odd_checks(people.moments, CHROMOSOMES, weights=np.array([1.0, 0, 1, 0, 1, 1]))
    assert [check.reason for check in zero] == ["a score does not vary"] * 3
