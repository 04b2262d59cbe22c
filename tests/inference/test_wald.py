from __future__ import annotations

import pytest
from scipy import stats

from invarmr.errors import InputError
from invarmr.inference.wald import check_level, wald_p_value, wald_set


@pytest.mark.parametrize("level", [0.0, 1.0, 95.0, -0.1, float("nan")])
def test_levels_outside_the_unit_interval(level: float) -> None:
    with pytest.raises(InputError, match="level must lie strictly between 0 and 1"):
        check_level(level)
    with pytest.raises(InputError, match="level"):
        wald_set(0.0, 1.0, level=level)


def test_numbers_of_the_normal_table() -> None:
    assert wald_set(0.0, 1.0).upper == pytest.approx(1.959963984540054)
    assert wald_p_value(2.0, 1.0, 1.0) == pytest.approx(2 * stats.norm.sf(1.0))
    assert wald_p_value(-3.0, 2.0) == wald_p_value(3.0, 2.0)
