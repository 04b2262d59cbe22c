from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from statsmodels.multivariate.manova import MANOVA

import invarmr
from invarmr.diagnostics.stratification import joint_checks, joint_tests, wilks_test
from invarmr.inference.null_law import FLaw


def people(n: int = 500, p: int = 3, k: int = 2, seed: int = 0, *, follow: float = 0.2) -> invarmr.Cohort:
    rng = np.random.default_rng(seed)
    site, C = np.arange(n) % 3, rng.normal(size=(n, k))
    C[:, 0] += 0.3 * site
    Z = rng.normal(size=(n, p)) + follow * np.outer(C[:, 0], np.arange(p)) + follow * np.outer(site == 1, np.ones(p))
    D = Z.sum(axis=1) + rng.normal(size=n)
    return invarmr.Cohort.from_arrays(
        instrument=Z, exposure=D, outcome=D + rng.normal(size=n), environment=site, components=C
    )


def by(tests, instruments, against):
    return next(test for test in tests if (test.instruments, test.against) == (instruments, against))


@pytest.mark.parametrize(("p", "k"), [(3, 2), (1, 2), (4, 1), (2, 2)])
def test_wilks_is_that_of_statsmodels(p, k):
    cohort = people(p=p, k=k)
    rows = np.arange(500)
    Z, C = cohort.instruments.read(rows), cohort.components
    tests = joint_tests(cohort.moments)
    labels = np.eye(3)[cohort.environment][:, 1:]
    for against, X in (("environment", labels), ("components", C)):
        H = np.hstack([np.zeros((X.shape[1], 1)), np.eye(X.shape[1])])
        if p == 1:
            full, none = (np.linalg.lstsq(A, Z, rcond=None)[1][0] for A in (np.c_[np.ones(500), X], np.ones((500, 1))))
            wanted = ((none - full) / X.shape[1]) / (full / (500 - 1 - X.shape[1]))
            df = (X.shape[1], 500 - 1 - X.shape[1])
        else:
            fit = MANOVA(Z, np.c_[np.ones(500), X]).mv_test([("x", H)]).results["x"]["stat"].loc["Wilks' lambda"]
            wanted, df = fit["F Value"], (fit["Num DF"], fit["Den DF"])
        found = by(tests, "observed", against)
        assert found.statistic == pytest.approx(float(wanted), rel=1e-8)
        assert [float(part) for part in found.df.split(", ")] == pytest.approx([round(float(x)) for x in df], abs=0.5)
        assert found.p_value == pytest.approx(stats.f.sf(float(wanted), *map(float, df)), rel=1e-6)


def test_the_share_is_pillais_and_chance_is_what_unrelated_instruments_give():
    cohort = people()
    Z, C = cohort.instruments.read(np.arange(500)), cohort.components
    Z, C = Z - Z.mean(axis=0), C - C.mean(axis=0)
    hat = C @ np.linalg.solve(C.T @ C, C.T)
    pillai = np.trace(np.linalg.solve(Z.T @ Z, Z.T @ hat @ Z))
    found = by(joint_tests(cohort.moments), "observed", "components")
    assert found.share == pytest.approx(pillai / 3)
    assert "most with PC1" in found.reason
    unrelated = [
        by(joint_tests(people(seed=seed, follow=0.0).moments), "observed", "components") for seed in range(100)
    ]
    assert np.mean([test.share for test in unrelated]) == pytest.approx(unrelated[0].chance, rel=0.2)
    assert stats.kstest([test.p_value for test in unrelated], "uniform").pvalue > 0.001


def test_learned_instruments_hold_their_size_and_a_wrong_direction_is_seen(linear_study):
    found: dict[str, list[float]] = {"environment": [], "components": []}
    naive, wrong = [], []
    for seed in range(120):
        study = linear_study(seed, environments=3, n=1_000, asymmetric=True)
        rng = np.random.default_rng(seed + 1_000)
        n = study.cohort.n_samples
        ancestry = np.column_stack([study.confounded @ [1.0, 0.5] + rng.normal(size=n), rng.normal(size=n)])
        cohort = study.cohort.with_components(ancestry, ["PC1", "PC2"])
        latent = invarmr.StationaryInstruments(n_latent=2).fit(cohort, seed=seed)
        held_out = cohort.moments_of(np.flatnonzero(np.isin(latent.fold, latent.held_out)))
        for test in joint_tests(cohort.moments, latent, held_out):
            if test.instruments == "learned":
                found[test.against].append(test.p_value)
        plain = replace(latent, leak=None, learning_error=np.zeros((3, 3)))
        naive.append(by(joint_tests(cohort.moments, plain, held_out), "learned", "components").p_value)
        if seed < 5:
            mixed = replace(latent, trained_loadings=latent.loadings + 0.3 * latent.confounded_loadings)
            wrong += [
                test.p_value for test in joint_tests(cohort.moments, mixed, held_out) if test.instruments == "learned"
            ]
    for p in found.values():
        assert len(p) == 120
        assert stats.kstest(p, "uniform").pvalue > 0.001
    assert np.mean(np.array(naive) < 0.05) > 0.1  # without the allowance the test is too often significant
    assert max(wrong) < 1e-6


def test_what_does_not_apply_is_left_out_or_said():
    cohort = people(follow=0.5)
    without = np.setdiff1d(np.arange(len(cohort.columns)), cohort.moments.index("component"))
    tests = joint_tests(cohort.moments.select(without))
    assert [test.against for test in tests] == ["environment"]
    checks = joint_checks(tests, n_components=0)
    assert [check.applies for check in checks] == [True, False]
    assert checks[1].reason == "no principal components were given or computed"
    assert checks[0].conclusion.startswith("the observed instruments follow environment labels; share ")
    assert joint_tests(cohort.moments.select(without).subset([0])) == ()
    with_components = joint_checks(joint_tests(people().moments), n_components=2)
    assert all(check.applies for check in with_components)
    latent = invarmr.StationaryInstruments(n_latent=1).fit(people(n=900), seed=1)
    assert len(joint_tests(people(n=900).moments, latent, None)) == 2


def test_wilks_of_one_pair_is_the_plain_f():
    f, law = wilks_test(np.array([0.1]), 1, 1, 50)
    assert (f, law) == (pytest.approx(0.1 / 0.9 * 48), FLaw(1, 48))
    assert law.p_value(f) == pytest.approx(stats.f.sf(f, 1, 48))
