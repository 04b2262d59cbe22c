from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import invarmr
from invarmr.errors import InputError


def cohort(**changes) -> invarmr.Cohort:
    generator = np.random.default_rng(0)
    Z, C, u = generator.normal(size=(150, 5)), generator.normal(size=(150, 2)), generator.normal(size=150)
    D = 0.3 * Z.sum(axis=1) + C[:, 0] + u
    plain = {
        "instrument": Z,
        "exposure": D,
        "outcome": D + u * (1 + Z[:, 0] ** 2),
        "environment": np.arange(150) % 3,
        "covariates": C,
        "cluster": np.arange(150) // 4,
    }
    return invarmr.Cohort.from_arrays(**{**plain, **changes})


@pytest.mark.parametrize("fixed", [False, True])
@pytest.mark.parametrize(
    "estimator", [invarmr.TwoStageLeastSquares(), invarmr.LimitedInformationML(), invarmr.Fuller(a=4.0)]
)
def test_robust_and_clustered_against_full_matrices(estimator, fixed: bool) -> None:
    people = cohort()
    design = invarmr.IVDesign.from_cohort(people, environment_effects=fixed)
    C = np.column_stack([np.eye(3)[people.environment] if fixed else np.ones(150), people.covariates])
    M = np.eye(150) - C @ np.linalg.pinv(C)
    Z, X, Y = M @ people.instruments.read(np.arange(150)), M @ people.exposure, M @ people.outcome
    P = Z @ np.linalg.pinv(Z)
    robust = replace(estimator, std_errors="robust").fit(design)
    kappa = robust.kappa
    x = P @ X
    score = x * (Y - robust.estimate * X)
    H = (1 - kappa) * X @ X + kappa * x @ X
    n, df = 150, 150 - C.shape[1] - 1
    assert robust.std_error == pytest.approx(np.sqrt(n / df * (score**2).sum()) / abs(H))
    clustered = replace(estimator, std_errors="clustered").fit(design)
    sums = np.bincount(people.cluster, weights=score)
    G = len(sums)
    factor = n / df * G / (G - 1) * (n - 1) / n
    assert clustered.std_error == pytest.approx(np.sqrt(factor * (sums**2).sum()) / abs(H))


def test_what_rows_and_clusters_are_needed() -> None:
    design = invarmr.IVDesign.from_cohort(cohort())
    for std_errors in ("robust", "clustered"):
        with pytest.raises(InputError, match="need the rows of the cohort"):
            invarmr.TwoStageLeastSquares(std_errors=std_errors).fit(replace(design, cohort=None))
    clustered = invarmr.TwoStageLeastSquares(std_errors="clustered")
    with pytest.raises(InputError, match="need a cluster for every sample"):
        clustered.fit(invarmr.IVDesign.from_cohort(cohort(cluster=None)))
    with pytest.raises(InputError, match="at least two clusters"):
        clustered.fit(invarmr.IVDesign.from_cohort(cohort(cluster=["one"] * 150)))
