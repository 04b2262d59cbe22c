import json

import numpy as np
import pytest

from invarmr.errors import InputError
from invarmr.simulate.latent import LatentDesign


def test_published_shifts():
    two, three = LatentDesign(), LatentDesign(n_environments=3)
    assert two.scales().tolist() == [[1, 1], [2, 2]]
    assert three.scales().tolist() == [[1, 1], [2, 1], [1, 2]]
    assert two.confounder_means().tolist() == [0, 2]
    assert three.confounder_means().tolist() == [0, 2, 4]


@pytest.mark.parametrize("q", [1, 2, 5, 10])
@pytest.mark.parametrize("E", [2, 3, 4, 7, 20])
def test_every_direction_of_v_moves_and_no_two_environments_are_alike(E, q):
    design = LatentDesign(n_environments=E, n_confounded=q)
    scales, means = design.scales(), design.confounder_means()
    assert (scales[0] == 1).all()
    assert scales.max() < 3
    assert means[-1] == (2 if E == 2 else 4)
    assert ((scales[1:] - 1).max(axis=0) >= 1).all() or q > E - 1
    assert len({(*row, mean) for row, mean in zip(scales.tolist(), means.tolist(), strict=True)}) == E
    # no a != 0 has a'V equal in law everywhere: the quadratic forms of all differences have no common null direction
    shift = (scales * means[:, None])[1:] - (scales * means[:, None])[0]
    form = shift.T @ shift + sum(np.diag(row**2 - 1) for row in scales[1:])
    assert np.linalg.eigvalsh(form)[0] > 1e-6


def test_means_alone_and_no_shifts():
    assert (LatentDesign(shifts="mean", n_environments=3).scales() == 1).all()
    assert LatentDesign(shifts="mean", n_environments=3).confounder_means().tolist() == [0, 2, 4]
    nothing = LatentDesign(shifts="none")
    assert (nothing.scales() == 1).all()
    assert (nothing.confounder_means() == 0).all()


def test_acting_and_covariance():
    assert LatentDesign().acting(3).tolist() == [1, 1, 1]
    assert LatentDesign(effects="asymmetric").acting(3).tolist() == [1, 0, 0]
    assert LatentDesign().fixed_covariance(2).tolist() == [[1, 0.5], [0.5, 1]]


def test_settings_are_data():
    design = LatentDesign(mixing="mlp", n_environments=3)
    assert LatentDesign(**json.loads(json.dumps(design.as_dict()))) == design


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mixing": "cubic"}, "mixing must be one of none, linear, poly1.*but is 'cubic'"),
        ({"effects": "odd"}, "effects must be one of symmetric, asymmetric"),
        ({"covariance": "free"}, "covariance must be one of fixed, wishart"),
        ({"shape": "heavy"}, "shape must be one of"),
        ({"shifts": "sideways"}, "shifts must be one of"),
        ({"n_environments": 1}, "n_environments must be at least 2, but is 1"),
        ({"n_valid": 0}, "n_valid must be at least 1"),
        ({"n_confounded": 0}, "n_confounded must be at least 1"),
        ({"n_samples": 1}, "n_samples must be at least 2"),
        ({"noise": -0.1}, "noise must be at least 0"),
        ({"effect": float("nan")}, "effect must be finite"),
        ({"relevance": float("inf")}, "relevance must be finite"),
        ({"mixing_seed": -1}, "mixing_seed must be at least 0"),
        ({"n_instruments": 5}, "n_instruments can be set for the discrete mixing only"),
        ({"mixing": "discrete", "n_instruments": 0}, "to 1 or more"),
    ],
)
def test_bad_settings_say_what_was_required(settings, message):
    with pytest.raises(InputError, match=message):
        LatentDesign(**settings)
