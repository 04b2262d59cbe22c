"""Standard errors that count the error of learning are right, and those that do not are wrong, by Monte Carlo.

The root mean square of z-scores must lie within its 99.9 % chi-square band, widened by 0.05 for what a first-order
allowance leaves out at 1,000 to 1,500 people per environment. `validation/learning_error.py` is the long version.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import invarmr
from invarmr.diagnostics.exclusion import sargan_check

# of many draws some must be doubted by the held-out test of V; what is measured here is the average over all of them
pytestmark = pytest.mark.filterwarnings("ignore:PO:invarmr.errors.InvarmrWarning")

SEEDS = 120
DESIGNS = {
    "E=2 symmetric": {"environments": 2, "n": 1_500},
    "E=3 asymmetric": {"environments": 3, "asymmetric": True, "n": 1_200},
    "E=4 p=q=5": {"environments": 4, "p": 5, "q": 5, "n": 1_200},
    "E=3 unequal": {"environments": 3, "asymmetric": True, "n": (3_000, 1_000, 1_000)},
}
WAYS = [(False, False), (True, False), (True, True), (False, True)]


@pytest.fixture(scope="module")
def draws(linear_study):
    out = {}
    for name, settings in DESIGNS.items():
        rows = []
        for seed in range(SEEDS):
            study = linear_study(seed, **settings)
            latent = invarmr.StationaryInstruments(n_latent=settings.get("p", 2)).fit(study.cohort, seed=seed)
            for partial, fixed in WAYS:
                design = invarmr.IVDesign.from_cohort(
                    study.cohort, latent, partial_confounded=partial, environment_effects=fixed
                )
                for counted in (True, False):
                    fitted = invarmr.LimitedInformationML(count_learning=counted).fit(design)
                    z = (fitted.estimate - 1.0) / fitted.std_error
                    j = sargan_check(design, fitted).statistic / (fitted.n_instruments - 1)
                    rows.append((partial, fixed, counted, z, j, fitted.estimate))
        out[name] = rows
    return out


def pick(rows, partial, fixed, counted, column):
    return np.array([row[column] for row in rows if row[:3] == (partial, fixed, counted)])


@pytest.mark.parametrize("name", DESIGNS)
@pytest.mark.parametrize(("partial", "fixed"), WAYS)
def test_counted_standard_errors_are_calibrated(draws, name, partial, fixed) -> None:
    low, high = np.sqrt(stats.chi2.ppf([0.0005, 0.9995], SEEDS) / SEEDS)
    z = pick(draws[name], partial, fixed, True, 3)
    assert low - 0.05 < np.sqrt(np.mean(z**2)) < high + 0.05


def test_plain_standard_errors_are_not(draws) -> None:
    low, high = np.sqrt(stats.chi2.ppf([1e-6, 0.999], SEEDS) / SEEDS)
    too_wide = pick(draws["E=4 p=q=5"], False, False, False, 3)
    assert np.sqrt(np.mean(too_wide**2)) < low
    for name in ("E=3 asymmetric", "E=3 unequal"):
        too_narrow = pick(draws[name], True, True, False, 3)
        assert np.sqrt(np.mean(too_narrow**2)) > high


@pytest.mark.parametrize("name", DESIGNS)
def test_over_identification_is_calibrated_and_would_not_be(draws, name) -> None:
    df = DESIGNS[name].get("p", 2) - 1
    low, high = stats.chi2.ppf([0.0005, 0.9995], SEEDS * df) / (SEEDS * df)
    assert low - 0.1 < pick(draws[name], False, False, True, 4).mean() < high + 0.1
    if name == "E=4 p=q=5":
        assert pick(draws[name], False, False, False, 4).mean() < 0.3


@pytest.mark.parametrize("name", DESIGNS)
def test_partialling_out_what_is_orthogonal_changes_nothing(linear_study, name) -> None:
    # learned W and V are uncorrelated within environments: with environment effects PO(V) is the same number, its
    # residuals are smaller, and the factor must make up for that
    study = linear_study(1, **DESIGNS[name])
    latent = invarmr.StationaryInstruments(n_latent=DESIGNS[name].get("p", 2)).fit(study.cohort, seed=1)
    plain, partialled = (
        invarmr.TwoStageLeastSquares().fit(
            invarmr.IVDesign.from_cohort(study.cohort, latent, partial_confounded=partial, environment_effects=True)
        )
        for partial in (False, True)
    )
    assert plain.estimate == pytest.approx(partialled.estimate, rel=1e-6)
    assert plain.std_error == pytest.approx(partialled.std_error, rel=0.01)
    assert plain.learning_inflation < partialled.learning_inflation


def test_a_covariate_that_carries_the_confounded_part_is_allowed_for(linear_study) -> None:
    z = []
    for seed in range(SEEDS):
        study = linear_study(seed, environments=2, asymmetric=True, n=1_500)
        generator = np.random.default_rng(seed)
        noise = generator.normal(size=(study.cohort.n_samples, 1))
        cohort = invarmr.Cohort.from_arrays(
            instrument=study.cohort.instruments.read(np.arange(study.cohort.n_samples)),
            exposure=study.cohort.exposure,
            outcome=study.cohort.outcome,
            environment=study.cohort.environment,
            covariates=study.confounded[:, :1] + noise,
        )
        latent = invarmr.StationaryInstruments(n_latent=2).fit(cohort, seed=seed)
        design = invarmr.IVDesign.from_cohort(cohort, latent, partial_confounded=True)
        fitted = invarmr.LimitedInformationML().fit(design)
        z.append((fitted.estimate - 1.0) / fitted.std_error)
    low, high = np.sqrt(stats.chi2.ppf([0.0005, 0.9995], SEEDS) / SEEDS)
    assert low - 0.05 < np.sqrt(np.mean(np.square(z))) < high + 0.05
