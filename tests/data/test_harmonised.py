from __future__ import annotations

import numpy as np
import pytest

from invarmr.data.harmonised import Associations
from invarmr.errors import InputError

GOOD = {
    "exposure": [0.1, -0.2],
    "exposure_std_error": [0.01, 0.01],
    "outcome": [0.1, 0.1],
    "outcome_std_error": [0.1, 0.1],
}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"exposure": [0.1, np.nan]}, "exposure must be finite"),
        ({"outcome": [0.1]}, "outcome must have 2 values"),
        ({"outcome_std_error": [0.1, 0.0]}, "outcome_std_error must be positive, but rows 1 are not"),
        ({"variants": ["rs1"]}, "variants must name 2 variants"),
        ({"correlation": [[1.0, 0.5], [0.4, 1.0]]}, "symmetric 2 x 2"),
        ({"correlation": [[1.0, 1.0], [1.0, 1.0]]}, "positive definite"),
    ],
)
def test_what_does_not_fit_is_refused(changes: dict[str, object], message: str):
    with pytest.raises(InputError, match=message):
        Associations.from_arrays(**(GOOD | changes))  # type: ignore[arg-type]


def test_orientation_turns_the_correlation_too():
    data = Associations.from_arrays(**GOOD, correlation=[[1.0, 0.5], [0.5, 1.0]])
    turned = data.oriented()
    assert turned.exposure.tolist() == [0.1, 0.2]
    assert turned.outcome.tolist() == [0.1, -0.1]
    assert turned.correlation is not None
    assert turned.correlation[0, 1] == -0.5
    assert data.take(np.array([1])).variants == ("variant_2",)
    assert not turned.exposure.flags.writeable
