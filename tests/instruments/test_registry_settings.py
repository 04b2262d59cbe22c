"""Settings of learners, whoever writes them: one message, and none that turns a verdict into an assurance."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pytest

from invarmr.errors import InputError
from invarmr.instruments.registry import LEARNERS, build_learner


@pytest.mark.parametrize(
    ("learner", "setting", "value", "said"),
    [
        ("stationary", "rejection", True, "must be float, but is True"),
        ("stationary", "rejection", 1e-300, "between 0.001 and 0.2"),
        ("auto", "rejection", 1.0, "between 0.001 and 0.2"),
        ("polynomial", "rejection", "small", "must be float"),
        ("stationary", "shrink", 1, "must be bool"),
        ("polynomial", "degree", 2.5, "must be int | None"),
        ("polynomial", "n_starts", -1, "between 0 and"),
        ("stationary", "noise_variance", float("inf"), "between 0 and"),
        ("stationary", "rejektion", 0.01, "did you mean 'rejection'"),
        ("auto", "ladder", "stationary", "must be tuple"),
    ],
)
def test_a_setting_of_another_kind_or_range_is_refused(learner, setting, value, said) -> None:
    with pytest.raises(InputError, match=said.replace("|", r"\|")):
        build_learner(learner, **{setting: value})


def test_no_random_setting_escapes_as_anything_but_one_message() -> None:
    rng = np.random.default_rng(1)
    values = [
        True,
        False,
        None,
        -1,
        0,
        1,
        2,
        10**12,
        0.5,
        -0.5,
        1e-300,
        1e300,
        float("nan"),
        "auto",
        "",
        [],
        [1, "a"],
        {},
    ]
    names = ["n_latent", "degree", "rejection", "shrink", "n_rows", "ladder", "n_permutations", "noise_variance", "x"]
    taken = 0
    for _ in range(300):
        learner = str(rng.choice([name for name in LEARNERS if name not in ("flow", "autoencoder")]))
        setting, value = str(rng.choice(names)), values[rng.integers(len(values))]
        with suppress(InputError):
            build_learner(learner, **{setting: value})
            taken += 1
    assert 0 < taken < 150
