from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import invarmr
from invarmr.estimators.learning_error import learning_inflation


@pytest.fixture(scope="module")
def design(linear_study):
    cohort = linear_study(1, environments=3, n=1_500, asymmetric=True).cohort
    return invarmr.IVDesign.from_cohort(cohort, invarmr.StationaryInstruments(n_latent=2).fit(cohort, seed=1))


def test_one_where_nothing_was_learned(design) -> None:
    assert learning_inflation(replace(design, latent=None), 1.0) == 1.0
    assert learning_inflation(replace(design, latent=replace(design.latent, leak=None)), 1.0) == 1.0
    assert learning_inflation(replace(design, loadings=None), 1.0) == 1.0
    nothing = replace(design.latent, confounded_loadings=np.zeros((4, 0)))
    assert learning_inflation(replace(design, latent=nothing), 1.0) == 1.0
    assert learning_inflation(replace(design, moments=design.moments.subset([0, 1])), 1.0) == 1.0


@pytest.mark.parametrize("std_errors", ["homoskedastic", "robust"])
def test_it_multiplies_the_variance_of_every_kind(design, std_errors) -> None:
    counted, plain = (
        invarmr.TwoStageLeastSquares(std_errors=std_errors, count_learning=flag).fit(design) for flag in (True, False)
    )
    assert counted.estimate == plain.estimate
    assert counted.learning_inflation != 1.0
    assert plain.learning_inflation == 1.0
    assert counted.std_error == pytest.approx(plain.std_error * np.sqrt(counted.learning_inflation))


@pytest.mark.parametrize("estimator", [invarmr.LimitedInformationML, invarmr.Fuller])
def test_estimators_that_subtract_noise_subtract_that_of_learning_too(design, estimator) -> None:
    counted, plain = (estimator(count_learning=flag).fit(design) for flag in (True, False))
    assert counted.learning_inflation != 1.0
    assert plain.learning_inflation == 1.0
    assert 0 < abs(counted.estimate - plain.estimate) < 0.1 * plain.std_error
    assert counted.std_error == pytest.approx(plain.std_error * np.sqrt(counted.learning_inflation), rel=0.01)
    assert invarmr.OrdinaryLeastSquares().fit(design).learning_inflation == 1.0


def by_hand(design: invarmr.IVDesign, theta: float) -> float:
    """The variance of one learned direction's covariance with u, from the people's own influence terms."""
    cohort, latent = design.cohort, design.latent
    codes, n = cohort.environment, cohort.n_samples
    fixed, partial = design.environment_effects, design.confounded_loadings is not None
    V = latent.confounded_part
    constants = np.eye(3)[codes] if fixed else np.ones((n, 1))
    controls = np.hstack([constants, V]) if partial else constants
    y = cohort.outcome - theta * cohort.exposure
    coefficients = np.linalg.lstsq(controls, y, rcond=None)[0]
    u = y - controls @ coefficients
    centre = V - (np.stack([V[codes == e].mean(axis=0) for e in range(3)])[codes] if fixed else V.mean(axis=0))
    s = coefficients[-V.shape[1] :] if partial else centre.T @ u / n
    inner = V - np.stack([V[codes == e].mean(axis=0) for e in range(3)])[codes]
    leak = latent.leak
    pull = np.einsum("fq,q->f", leak.mean_map, s)[codes]
    pull += np.einsum("iq,iqr,r->i", inner, leak.covariance_map[codes], s)
    if partial:
        pull -= inner @ s
    # person i adds w_i (u_i - pull_i) / n to the covariance of a direction w ~ N(0, 1) that is independent of all else
    return float(np.mean((u - pull) ** 2) / np.mean(u**2))


@pytest.mark.parametrize("fixed", [False, True])
@pytest.mark.parametrize("partial", [False, True])
def test_it_is_the_variance_of_the_peoples_influence(design, partial, fixed) -> None:
    on = invarmr.IVDesign.from_cohort(
        design.cohort, design.latent, partial_confounded=partial, environment_effects=fixed
    )
    for theta in (1.0, 0.3):
        assert learning_inflation(on, theta) == pytest.approx(by_hand(on, theta), rel=1e-3)


def test_it_cannot_vanish(design) -> None:
    leak = design.latent.leak
    for factor in (0.0, 0.5, 1.0, 3.0):
        scaled = replace(leak, mean_map=factor * leak.mean_map, covariance_map=factor * leak.covariance_map)
        assert learning_inflation(replace(design, latent=replace(design.latent, leak=scaled)), 1.0) >= 0.01
