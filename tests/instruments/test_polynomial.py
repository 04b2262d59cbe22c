from __future__ import annotations

from itertools import combinations_with_replacement

import numpy as np
import pytest

import invarmr
from invarmr.errors import InputError


def monomials(values: np.ndarray, degree: int) -> np.ndarray:
    """All monomials of the columns up to a degree, the constant included."""
    powers = [c for j in range(degree + 1) for c in combinations_with_replacement(range(values.shape[1]), j)]
    return np.stack([np.prod(values[:, list(c)], axis=1) for c in powers], axis=1)


def mixed(study, degree: int, *, noise: float = 0.0, seed: int = 3, columns: int | None = None) -> invarmr.Cohort:
    """The study with its instruments mixed by a polynomial: a square matrix of singular values within a factor of 5."""
    generator = np.random.default_rng(seed)
    terms = monomials(np.hstack([study.confounded, study.valid]), degree)
    left, singular, right = np.linalg.svd(generator.normal(size=(terms.shape[1],) * 2))
    values = terms @ (left * np.maximum(singular, singular[0] / 5) @ right)[:, :columns]
    values += noise * values.std(axis=0) * generator.normal(size=values.shape)
    people = study.cohort
    return invarmr.Cohort.from_arrays(
        instrument=values, exposure=people.exposure, outcome=people.outcome, environment=people.environment
    )


def r2(target: np.ndarray, by: np.ndarray) -> float:
    by = np.column_stack([np.ones(len(by)), by])
    residual = target - by @ np.linalg.lstsq(by, target, rcond=None)[0]
    return float(1 - (residual.var(axis=0) / target.var(axis=0)).mean())


@pytest.mark.parametrize("environments", [2, 3])
@pytest.mark.parametrize("degree", [2, 3])
@pytest.mark.parametrize("seed", [1, 2])
def test_undoes_polynomial_mixing_to_rounding(linear_study, degree, environments, seed) -> None:
    study = linear_study(seed, n=4_000, environments=environments, asymmetric=seed == 2)
    latent = invarmr.PolynomialInstruments().fit(mixed(study, degree, seed=seed), seed=seed)
    assert (latent.learner, latent.settings["degree"], latent.settings["n_components"]) == ("polynomial", degree, 4)
    assert latent.settings["residual"] < 1e-20
    assert latent.settings["complete"]
    assert latent.verdict.status == "identified"
    assert latent.n_latent == 2
    assert latent.n_null == 1
    assert r2(study.valid, latent.latent_instrument) > 0.998
    assert r2(study.confounded, latent.latent_instrument) < 0.002
    both = np.hstack([latent.latent_instrument, latent.confounded_part])
    assert r2(np.hstack([study.confounded, study.valid]), both) > 1 - 1e-9


def test_finds_what_stationary_finds_on_the_unmixed_latents(linear_study) -> None:
    study = linear_study(5, n=3_000, environments=3)
    people = study.cohort
    plain = invarmr.Cohort.from_arrays(
        instrument=np.hstack([study.confounded, study.valid]),
        exposure=people.exposure,
        outcome=people.outcome,
        environment=people.environment,
    )
    answers = []
    for cohort, learner in (
        (mixed(study, 2), invarmr.PolynomialInstruments()),
        (plain, invarmr.StationaryInstruments()),
    ):
        latent = learner.fit(cohort, seed=7)
        design = invarmr.IVDesign.from_cohort(cohort, latent)
        answers.append((*latent.eigenvalues, invarmr.LimitedInformationML().fit(design).estimate))
    np.testing.assert_allclose(*answers, rtol=1e-6)


def test_degree_one_is_the_stationary_learner(linear_study) -> None:
    cohort = linear_study(2, n=2_000).cohort
    latent = invarmr.PolynomialInstruments().fit(cohort, seed=4)
    plain = invarmr.StationaryInstruments().fit(cohort, seed=4)
    assert latent.settings["degree"] == 1
    np.testing.assert_allclose(latent.loadings, plain.loadings)
    np.testing.assert_array_equal(latent.fold, plain.fold)
    asked = invarmr.PolynomialInstruments(degree=1).fit(cohort, seed=4)
    np.testing.assert_allclose(asked.loadings, plain.loadings)


def test_degree_four_is_told_from_degree_two_in_its_squares(linear_study) -> None:
    study = linear_study(2, n=4_000, p=1, q=1)  # 14 monomials, as four variables of degree two have
    latent = invarmr.PolynomialInstruments().fit(mixed(study, 4), seed=1)
    assert (latent.settings["degree"], latent.settings["n_components"]) == (4, 2)
    assert r2(study.valid, latent.latent_instrument) > 0.99


@pytest.mark.parametrize(("degree", "noise"), [(2, 0.003), (3, 0.0003)])
def test_noise_on_the_instruments_is_survived(linear_study, degree, noise) -> None:
    study = linear_study(3, n=6_000)
    latent = invarmr.PolynomialInstruments().fit(mixed(study, degree, noise=noise), seed=1)
    assert (latent.settings["degree"], latent.settings["n_components"]) == (degree, 4)
    assert 1e-9 < latent.settings["residual"] < 0.05
    assert r2(study.valid, latent.latent_instrument) > 0.98
    assert r2(study.confounded, latent.latent_instrument) < 0.005


def test_what_is_not_a_polynomial_is_left_to_the_stationary_learner(linear_study) -> None:
    study = linear_study(3, n=4_000)
    some = mixed(study, 2, columns=10)  # 10 of 15 combinations: no linear direction has its square among them
    latent = invarmr.PolynomialInstruments().fit(some, seed=1)
    assert latent.settings["degree"] == 1
    with pytest.raises(InputError, match=r"No combination of the 10 instruments has powers up to 2 in their span"):
        invarmr.PolynomialInstruments(degree=2).fit(some, seed=1)


def test_more_instruments_than_polynomials(linear_study) -> None:
    study = linear_study(4, n=4_000)
    cohort = mixed(study, 2)
    values = cohort.instruments.read(np.arange(cohort.n_samples))
    extra = np.random.default_rng(1).normal(size=(cohort.n_samples, 2))
    wider = invarmr.Cohort.from_arrays(
        instrument=np.hstack([values, values[:, :3] - values[:, 3:6], extra]) * 10.0 ** np.arange(-10, 10),
        exposure=cohort.exposure,
        outcome=cohort.outcome,
        environment=cohort.environment,
    )
    latent = invarmr.PolynomialInstruments().fit(wider, seed=1)
    assert (latent.settings["degree"], latent.settings["n_components"]) == (2, 4)
    assert not latent.settings["complete"]  # two dimensions of noise are not polynomials of anything
    assert r2(study.valid, latent.latent_instrument) > 0.995


def test_the_numbers_asked_for_are_taken(linear_study) -> None:
    study = linear_study(6, n=2_000)
    latent = invarmr.PolynomialInstruments(n_latent=1, degree=2, n_components=4).fit(mixed(study, 2), seed=1)
    assert latent.n_latent == 1
    assert latent.n_confounded == 3
    with pytest.raises(InputError, match=r"\(7 asked for\)"):
        invarmr.PolynomialInstruments(degree=2, n_components=7).fit(mixed(study, 2), seed=1)


def test_allele_copies_are_taken_as_they_are() -> None:
    generator = np.random.default_rng(1)
    site = np.repeat([0, 1], 1_500)
    copies = generator.binomial(2, 0.3 + 0.1 * site[:, None] * np.array([1, 1, 0, 0, 0]))
    exposure = copies.sum(axis=1) + generator.normal(size=3_000)
    cohort = invarmr.Cohort.from_arrays(
        instrument=copies,
        exposure=exposure,
        outcome=exposure + generator.normal(size=3_000),
        environment=site,
        instrument_kind="genotype",
    )
    latent = invarmr.PolynomialInstruments().fit(cohort, seed=1)
    assert latent.settings["degree"] == 1
    assert latent.settings["scale_within_environment"]


def test_moments_are_not_enough_and_settings_are_checked(linear_study) -> None:
    cohort = linear_study(1, n=500).cohort
    with pytest.raises(InputError, match="needs the people of a cohort"):
        invarmr.PolynomialInstruments().fit([cohort.moments])
    with pytest.raises(InputError, match="degree must be at least 1, but is 0"):
        invarmr.PolynomialInstruments(degree=0).fit(cohort)
    with pytest.raises(InputError, match="tolerance must lie between 0 and 1, but is 2"):
        invarmr.PolynomialInstruments(tolerance=2.0).fit(cohort)
