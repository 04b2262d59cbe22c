import numpy as np
import pytest
import statsmodels.api as sm

from invarmr.data.cohort import Cohort
from invarmr.data.design import IVDesign
from invarmr.errors import InputError
from invarmr.estimators.column_associations import column_associations
from invarmr.estimators.summary.egger import Egger
from invarmr.instruments.stationary import StationaryInstruments
from invarmr.simulate.latent import LatentDesign, simulate_latent

SAMPLE = simulate_latent(LatentDesign(mixing="poly2"), seed=1, n_samples=500)


@pytest.mark.parametrize("environment_effects", [False, True])
@pytest.mark.parametrize("numeric", [False, True])
def test_each_column_is_regressed_on_alone(environment_effects, numeric):
    covariates = np.random.default_rng(0).normal(size=(1_000, 1)) + SAMPLE.environment[:, None] if numeric else None
    cohort = SAMPLE.cohort_on(SAMPLE.instrument[:, :4], covariates=covariates)
    found = column_associations(IVDesign.from_cohort(cohort, environment_effects=environment_effects))
    others = [np.ones(1_000)]
    if environment_effects:
        others.append(SAMPLE.environment == 1)
    if numeric:
        others.append(covariates[:, 0])
    for j in range(4):
        X = np.column_stack([SAMPLE.instrument[:, j], *others]).astype(float)
        for values, slope, error in (
            (SAMPLE.exposure, found.exposure[j], found.exposure_std_error[j]),
            (SAMPLE.outcome, found.outcome[j], found.outcome_std_error[j]),
        ):
            line = sm.OLS(values, X).fit()
            assert slope == pytest.approx(line.params[0], rel=1e-8)
            assert error == pytest.approx(line.bse[0], rel=1e-8)
    assert found.variants == ("instrument1", "instrument2", "instrument3", "instrument4")
    assert found.correlation is None


def test_correlation_is_the_instruments_own():
    cohort = SAMPLE.cohort_on(SAMPLE.instrument[:, :4])
    found = column_associations(IVDesign.from_cohort(cohort), correlated=True)
    np.testing.assert_allclose(found.correlation, np.corrcoef(SAMPLE.instrument[:, :4].T), atol=1e-10)
    assert Egger().fit(found).nsnp == 4


def test_learned_instruments_and_constant_columns():
    sample = simulate_latent(LatentDesign(mixing="linear"), seed=2, n_samples=3_000)
    latent = StationaryInstruments(n_latent=2).fit(sample.cohort, seed=1)
    found = column_associations(IVDesign.from_cohort(sample.cohort, latent))
    assert found.variants == ("w1", "w2")
    with_constant = np.column_stack([np.ones(6_000), sample.instrument])
    found = column_associations(IVDesign.from_cohort(sample.cohort_on(with_constant)))
    assert found.n_variants == 4
    nothing = sample.cohort_on(np.ones((6_000, 2)))
    with pytest.raises(InputError, match="None of the 2 instruments"):
        column_associations(IVDesign.from_cohort(nothing))


def test_an_outcome_that_is_an_instrument_is_refused():
    z = np.random.default_rng(1).normal(size=200)
    cohort = Cohort.from_arrays(instrument=z, exposure=z, outcome=np.roll(z, 1), environment=np.arange(200) % 2)
    with pytest.raises(InputError, match="exact multiple"):
        column_associations(IVDesign.from_cohort(cohort))
