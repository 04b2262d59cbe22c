import sys

import numpy as np
import pytest

from invarmr.data.cohort import Cohort
from invarmr.data.design import IVDesign
from invarmr.errors import InputError
from invarmr.estimators.double_machine_learning import DoubleMachineLearning
from invarmr.estimators.kclass import TwoStageLeastSquares
from invarmr.simulate.latent import LatentDesign, simulate_latent

pytest.importorskip("doubleml")

SAMPLE = simulate_latent(LatentDesign(mixing="linear"), seed=1, n_samples=2_000)
GIVEN_V = IVDesign.from_cohort(SAMPLE.cohort_on(SAMPLE.latent_instrument, covariates=SAMPLE.confounded_part))
ALONE = IVDesign.from_cohort(SAMPLE.cohort_on(SAMPLE.latent_instrument))


@pytest.mark.parametrize("design", [GIVEN_V, ALONE])
def test_linear_learners_give_two_stage_least_squares_nearly(design):
    found, linear = DoubleMachineLearning(regressor="linear").fit(design), TwoStageLeastSquares().fit(design)
    assert found.estimate == pytest.approx(linear.estimate, abs=0.2 * linear.std_error)
    assert found.std_error == pytest.approx(linear.std_error, rel=0.1)
    assert 1.0 in found.confidence_set
    assert found.n_instruments == 2
    assert found.method == "DML"


def test_boosting_learns_controls_that_act_in_a_curve():
    rng = np.random.default_rng(0)
    v = rng.uniform(-2, 2, size=4_000)
    w = rng.normal(size=4_000) + np.sin(3 * v)
    exposure = w + v**2 + rng.normal(size=4_000)
    outcome = exposure + 3 * np.sin(3 * v) + rng.normal(size=4_000)
    cohort = Cohort.from_arrays(
        instrument=w, exposure=exposure, outcome=outcome, environment=np.arange(4_000) % 2, covariates=v
    )
    design = IVDesign.from_cohort(cohort)
    assert DoubleMachineLearning().fit(design).estimate == pytest.approx(1.0, abs=0.12)
    assert abs(TwoStageLeastSquares().fit(design).estimate - 1.0) > 0.5


def test_environments_are_partialled_out_as_indicators():
    design = IVDesign.from_cohort(SAMPLE.cohort, environment_effects=True)
    found, linear = DoubleMachineLearning(regressor="linear").fit(design), TwoStageLeastSquares().fit(design)
    assert found.estimate == pytest.approx(linear.estimate, abs=0.2 * linear.std_error)


def test_the_seed_decides_the_folds():
    method = DoubleMachineLearning(regressor="linear")
    first, again, other = (method.fit(ALONE, seed=seed).estimate for seed in (1, 1, 2))
    assert first == again != other


def test_without_the_extra_or_rows_it_says_so(monkeypatch):
    with pytest.raises(InputError, match="needs the rows"):
        DoubleMachineLearning().fit(IVDesign(moments=SAMPLE.cohort.moments, instrument_set="observed"))
    monkeypatch.setitem(sys.modules, "doubleml", None)
    with pytest.raises(InputError, match=r"pip install 'invarmr\[dml\]'"):
        DoubleMachineLearning().fit(ALONE)


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"regressor": "tree"}, "boosting"), ({"n_folds": 1}, "n_folds"), ({"level": 2.0}, "level")],
)
def test_bad_settings(settings, message):
    with pytest.raises(InputError, match=message):
        DoubleMachineLearning(**settings)
