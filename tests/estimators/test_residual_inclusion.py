"""Two-stage residual inclusion: its estimate, its standard error, and what it refuses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import statsmodels.api as sm

import invarmr
from invarmr.errors import InputError
from invarmr.estimators.residual_inclusion import TwoStageResidualInclusion


def drawn(seed: int, n: int = 1500, effect: float = 0.5, **more: object) -> invarmr.IVDesign:
    rng = np.random.default_rng(seed)
    Z, C, v = rng.normal(size=(n, 3)), rng.normal(size=(n, 1)), rng.normal(size=n)
    D = Z @ [0.5, 0.4, 0.3] + 0.5 * C[:, 0] + v
    Y = rng.random(n) < 1 / (1 + np.exp(-(effect * D + 0.3 * C[:, 0] + v - 0.5)))
    cohort = invarmr.Cohort.from_arrays(
        instrument=Z,
        exposure=D,
        outcome=Y.astype(float),
        environment=np.arange(n) % 2,
        covariates=C,
        cluster=np.arange(n) // 3,
    )
    return invarmr.IVDesign.from_cohort(cohort, **more)


def test_it_is_a_logistic_regression_with_the_first_stage_residual() -> None:
    for more in ({}, {"environment_effects": True}):
        design = drawn(1, **more)
        cohort = design.cohort
        assert cohort is not None
        Z = cohort.instruments.read(np.arange(cohort.n_samples))
        ones = np.ones((cohort.n_samples, 1)) if not more else (cohort.environment[:, None] == [0, 1]).astype(float)
        W = np.hstack([ones, cohort.covariates, Z])
        v = cohort.exposure - W @ np.linalg.lstsq(W, cohort.exposure, rcond=None)[0]
        X = np.column_stack([ones, cohort.covariates, cohort.exposure, v])
        theirs = sm.Logit(cohort.outcome, X).fit(disp=0, tol=1e-12)
        answer = TwoStageResidualInclusion().fit(design)
        assert answer.estimate == pytest.approx(theirs.params[-2], rel=1e-7)
        assert f"residual {theirs.params[-1]:.3g}" in answer.note


def test_the_standard_error_is_that_of_the_stacked_equations() -> None:
    """By the general formula, all slopes taken numerically."""
    design = drawn(2, n=600)
    cohort = design.cohort
    assert cohort is not None
    Z = cohort.instruments.read(np.arange(600))
    W = np.hstack([np.ones((600, 1)), cohort.covariates, Z])

    def scores(parameters: np.ndarray) -> np.ndarray:
        a, b = parameters[: W.shape[1]], parameters[W.shape[1] :]
        v = cohort.exposure - W @ a
        X = np.column_stack([W[:, :2], cohort.exposure, v])
        mu = 1 / (1 + np.exp(-X @ b))
        return np.hstack([W * v[:, None], X * (cohort.outcome - mu)[:, None]])

    a = np.linalg.lstsq(W, cohort.exposure, rcond=None)[0]
    X = np.column_stack([W[:, :2], cohort.exposure, cohort.exposure - W @ a])
    at = np.concatenate([a, sm.Logit(cohort.outcome, X).fit(disp=0, tol=1e-12).params])
    h = 1e-5 * np.eye(len(at))
    slopes = np.column_stack([(scores(at + e).sum(axis=0) - scores(at - e).sum(axis=0)) / 2e-5 for e in h])
    inverse, S = np.linalg.inv(slopes), scores(at)
    expected = np.sqrt((inverse @ S.T @ S @ inverse.T)[-2, -2])
    assert TwoStageResidualInclusion().fit(design).std_error == pytest.approx(expected, rel=1e-5)
    clustered = np.add.reduceat(S, np.arange(0, 600, 3))
    expected = np.sqrt((inverse @ clustered.T @ clustered @ inverse.T)[-2, -2] * 200 / 199)
    answer = TwoStageResidualInclusion(std_errors="clustered").fit(design)
    assert answer.std_error == pytest.approx(expected, rel=1e-5)


def test_the_interval_covers_the_conditional_effect_and_the_test_holds_its_size() -> None:
    true, null = [], []
    for seed in range(120):
        true.append(0.5 in TwoStageResidualInclusion().fit(drawn(seed, n=800)).confidence_set)
        null.append(TwoStageResidualInclusion().fit(drawn(1000 + seed, n=800, effect=0.0)).p_value < 0.05)
    assert 0.88 <= np.mean(true) <= 0.99  # within 0.95 +- 3 binomial errors
    assert np.mean(null) <= 0.12


def test_what_it_cannot_use_is_refused() -> None:
    design = drawn(3, n=200)
    cohort = design.cohort
    assert cohort is not None
    with pytest.raises(InputError, match="moments alone"):
        TwoStageResidualInclusion().fit(replace(design, cohort=None))
    with pytest.raises(InputError, match="needs a binary outcome"):
        TwoStageResidualInclusion().fit(replace(design, cohort=replace(cohort, outcome=cohort.outcome + 1.0)))
    with pytest.raises(InputError, match="need a cluster"):
        TwoStageResidualInclusion(std_errors="clustered").fit(replace(design, cohort=replace(cohort, cluster=None)))
    with pytest.raises(InputError, match="std_errors must be"):
        TwoStageResidualInclusion(std_errors="plain")  # type: ignore[arg-type]
    apart = replace(cohort, outcome=(cohort.exposure > 0).astype(float))
    with pytest.raises(InputError, match="separate cases from controls"):
        TwoStageResidualInclusion().fit(invarmr.IVDesign.from_cohort(apart))
    explained = replace(cohort, exposure=cohort.instruments.read(np.arange(200)).sum(axis=1))
    with pytest.raises(InputError, match="do not explain entirely"):
        TwoStageResidualInclusion().fit(invarmr.IVDesign.from_cohort(explained))
