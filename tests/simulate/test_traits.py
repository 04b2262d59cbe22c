import numpy as np
import pytest

from invarmr.simulate import traits
from invarmr.simulate.admixture_design import AdmixtureDesign

PEOPLE = 50_000


@pytest.fixture(scope="module")
def people():
    rng = np.random.default_rng(1)
    ancestry = rng.dirichlet(np.ones(3), PEOPLE)
    calls = rng.binomial(2, 0.2 + 0.6 * ancestry[:, 0], size=(15, PEOPLE)).astype(np.int8)
    return ancestry, calls


def test_score_has_the_heritability_asked_given_ancestry(people):
    ancestry, calls = people
    effects, score = traits.scale_effects(calls, ancestry, np.arange(1.0, 16.0), heritability=0.4)
    residual = (
        score
        - np.column_stack([np.ones(PEOPLE), ancestry[:, 1:]])
        @ np.linalg.lstsq(np.column_stack([np.ones(PEOPLE), ancestry[:, 1:]]), score, rcond=None)[0]
    )
    np.testing.assert_allclose(residual.var(), 0.4)
    by_hand = effects @ calls
    np.testing.assert_allclose(score, by_hand - by_hand.mean(), atol=1e-9)


def test_confounder_holds_ancestry_at_the_strength_asked(people):
    design = AdmixtureDesign(ancestry_strength=1.5)
    confounder = traits.ancestry_confounder(people[0], design, rng=np.random.default_rng(2))
    line = people[0] @ [1, 0, -1]
    slope, _ = np.polyfit((line - line.mean()) / line.std(), confounder, 1)
    assert abs(slope - 1.5) < 4 / np.sqrt(PEOPLE)
    assert abs(confounder.var() - (1 + 1.5**2)) < 4 * np.sqrt(2 / PEOPLE) * (1 + 1.5**2)


def drawn(design, seed=3):
    rng = np.random.default_rng(seed)
    score = np.sqrt(design.heritability) * rng.standard_normal(PEOPLE)
    confounder = rng.standard_normal(PEOPLE)
    age, sex = traits.covariates(PEOPLE, rng=rng)
    exposure = traits.exposure(score, confounder, age, sex, design=design, rng=rng)
    return confounder, age, sex, exposure, rng


def test_exposure_has_unit_variance_given_ancestry_and_covariates_matter():
    _, age, sex, exposure, _ = drawn(AdmixtureDesign())
    assert abs(exposure.var() - 1) < 4 * np.sqrt(2 / PEOPLE)
    slope = np.linalg.lstsq(np.column_stack([np.ones(PEOPLE), age, sex]), exposure, rcond=None)[0]
    assert abs(slope[1] - 0.15 / 8) < 4 / 8 / np.sqrt(PEOPLE)
    assert abs(slope[2] + 0.15) < 4 * 2 / np.sqrt(PEOPLE)
    assert set(np.unique(sex)) == {1, 2}
    assert age.min() >= 18


def test_binary_outcome_has_its_prevalence_and_the_average_derivative_of_the_risk():
    design = AdmixtureDesign(outcome="binary", prevalence=0.3, effect=0.5)
    confounder, age, sex, exposure, rng = drawn(design)
    outcome = traits.outcome(exposure, confounder, age, sex, design=design, rng=rng)
    assert set(np.unique(outcome.values)) == {0, 1}
    assert abs(outcome.values.mean() - 0.3) < 4 * np.sqrt(0.21 / PEOPLE)
    # all terms normal: the liability has variance v + 1, and the derivative is known in closed form
    spread = np.sqrt((0.5 * exposure + 0.57 * confounder).var() + 1 + 2 * 0.5 * 0.15**2 * 1.25 + 0.15**2 * 1.25)
    density = np.exp(-(0.5244005**2) / 2) / np.sqrt(2 * np.pi)  # at the normal quantile of 0.7
    assert abs(outcome.effect - 0.5 * density / spread) < 0.003
    assert outcome.scale.startswith("average risk difference")


def test_quantitative_outcome_has_the_effect_itself():
    design = AdmixtureDesign(effect=-0.4, outcome_confounding=0.0)
    confounder, age, sex, exposure, rng = drawn(design)
    outcome = traits.outcome(exposure, confounder, age, sex, design=design, rng=rng)
    assert outcome.effect == -0.4
    regressors = np.column_stack([np.ones(PEOPLE), exposure, age, sex])
    fitted = np.linalg.lstsq(regressors, outcome.values, rcond=None)[0]
    assert abs(fitted[1] + 0.4) < 4 / np.sqrt(PEOPLE)
