"""Laws of the polynomial learner: what it finds does not depend on how the instruments were mixed, or on order."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import invarmr
from invarmr.simulate.latent import LatentDesign, simulate_latent

SAMPLE = simulate_latent(LatentDesign(mixing="poly2", n_samples=600), seed=3)


def answer(cohort: invarmr.Cohort) -> tuple[float, ...]:
    latent = invarmr.PolynomialInstruments(n_latent=2).fit(cohort, seed=1)
    assert (latent.settings["degree"], latent.settings["n_components"]) == (2, 4)
    return (
        *latent.eigenvalues,
        invarmr.LimitedInformationML().fit(invarmr.IVDesign.from_cohort(cohort, latent)).estimate,
    )


EXPECTED = answer(SAMPLE.cohort)


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_any_invertible_linear_map_of_the_instruments_changes_nothing(seed: int) -> None:
    generator = np.random.default_rng(seed)
    d = SAMPLE.instrument.shape[1]
    left, right = (np.linalg.qr(generator.normal(size=(d, d)))[0] for _ in range(2))
    mapped = SAMPLE.instrument @ (left * np.geomspace(1.0, 30.0, d) @ right) + generator.normal(size=d)
    np.testing.assert_allclose(answer(SAMPLE.cohort_on(mapped)), EXPECTED, rtol=1e-5)


@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_order_of_people_and_of_instruments_changes_nothing(seed: int) -> None:
    generator = np.random.default_rng(seed)
    order = generator.permutation(SAMPLE.n_samples)
    columns = generator.permutation(SAMPLE.instrument.shape[1])
    shuffled = invarmr.Cohort.from_arrays(
        instrument=SAMPLE.instrument[order][:, columns],
        exposure=SAMPLE.exposure[order],
        outcome=SAMPLE.outcome[order],
        environment=SAMPLE.environment[order],
        sample_ids=np.array(SAMPLE.sample_ids)[order].tolist(),
    )
    np.testing.assert_allclose(answer(shuffled), EXPECTED, rtol=1e-5)
