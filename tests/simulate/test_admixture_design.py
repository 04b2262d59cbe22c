import json

import numpy as np
import pytest

from invarmr.errors import InputError
from invarmr.simulate.admixture_design import AdmixtureDesign


@pytest.mark.parametrize(
    "setting",
    [
        {"n_sites": 1},
        {"n_sites": 27},
        {"n_samples": 30},
        {"n_instruments": 0},
        {"n_variants": 100},
        {"site_sizes": (10, 10)},
        {"site_sizes": (5_000, 5_000, 5_000, 5_001)},
        {"heritability": 0.0},
        {"heritability": 0.9},
        {"exposure_confounding": 1.0},
        {"site_tilt": 1.0},
        {"site_concentration": (0.0, 3.0)},
        {"missing_rate": 1.0},
        {"missing_rate": -0.1},
        {"prevalence": 0.0},
        {"outcome": "survival"},
        {"effect": float("nan")},
        {"ancestry_strength": -1.0},
    ],
)
def test_settings_out_of_range_are_refused(setting):
    with pytest.raises(InputError):
        AdmixtureDesign(**setting)


def test_site_sizes_are_as_equal_as_can_be_or_as_asked():
    assert AdmixtureDesign(n_samples=1003).sizes().tolist() == [251, 251, 251, 250]
    asked = AdmixtureDesign(n_samples=1000, n_sites=2, site_sizes=(900, 100))
    assert asked.sizes().tolist() == [900, 100]


@pytest.mark.parametrize("n_sites", [2, 4, 5, 26])
def test_sites_differ_in_mean_and_in_spread_of_ancestry(n_sites):
    parameters = AdmixtureDesign(n_sites=n_sites).site_dirichlet(5)
    assert parameters.shape == (n_sites, 5)
    concentration = parameters.sum(axis=1)
    np.testing.assert_allclose(concentration[[0, -1]], [6, 30])
    assert np.unique(concentration.round(9)).size == n_sites
    mean = parameters / concentration[:, None]
    assert np.linalg.matrix_rank(mean - mean.mean(axis=0), tol=1e-9) == min(n_sites - 1, 4)


def test_ancestry_weights_default_to_a_line_and_must_fit_the_panel():
    assert AdmixtureDesign().weights(3).tolist() == [1, 0, -1]
    assert AdmixtureDesign(ancestry_weights=(0, 2)).weights(2).tolist() == [0, 2]
    for weights in [(1.0, 2.0), (1.0, 1.0, 1.0), (1.0, float("inf"), 0.0)]:
        with pytest.raises(InputError, match="ancestry_weights"):
            AdmixtureDesign(ancestry_weights=weights).weights(3)


def test_settings_survive_json():
    design = AdmixtureDesign(n_sites=3)
    assert json.loads(json.dumps(design.as_dict()))["n_sites"] == 3
