from __future__ import annotations

import numpy as np
import pytest

import invarmr


def cohort(weights: list[float] | None) -> invarmr.Cohort:
    generator = np.random.default_rng(0)
    Z = generator.binomial(2, 0.3, size=(100, 3)).astype(float)
    D = Z.sum(axis=1) + generator.normal(size=100)
    return invarmr.Cohort.from_arrays(
        instrument=Z, exposure=D, outcome=D + generator.normal(size=100), environment=["a"] * 100, weights=weights
    )


@pytest.mark.parametrize("weights", [None, [0.5, 0.1, -2.0]])
def test_the_score_is_the_weighted_sum(weights: list[float] | None) -> None:
    people = cohort(weights)
    latent = invarmr.AlleleScore().fit(people)
    plain = people.instruments.read(np.arange(100)) @ np.array(weights or [1.0, 1.0, 1.0])
    assert latent.n_latent == 1
    assert latent.n_confounded == 0
    assert np.corrcoef(latent.latent_instrument[:, 0], plain)[0, 1] == pytest.approx(1.0)
    design = invarmr.IVDesign.from_cohort(people, latent)
    assert design.instrument_set == "allele_score"
    fitted = invarmr.TwoStageLeastSquares().fit(design)
    ratio = np.cov(plain, people.outcome)[0, 1] / np.cov(plain, people.exposure)[0, 1]
    assert fitted.estimate == pytest.approx(ratio)
    assert fitted.learning_inflation == 1.0


def test_what_it_cannot_do() -> None:
    with pytest.raises(invarmr.InputError, match="needs the cohort"):
        invarmr.AlleleScore().fit([cohort(None).moments])
    with pytest.raises(invarmr.InputError, match="all zero"):
        invarmr.AlleleScore().fit(cohort([0.0, 0.0, 0.0]))
