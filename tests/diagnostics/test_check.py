from __future__ import annotations

import pytest

from invarmr.diagnostics.check import Check, not_applicable
from invarmr.inference.null_law import ChiSquared


def test_not_applicable_carries_its_reason_and_no_numbers() -> None:
    check = not_applicable("exclusion", "a test", "a null", "there is one instrument")
    assert not check.applies
    assert check.statistic is check.p_value is None
    assert check.conclusion == "not applicable"
    assert check.reason == "there is one instrument"


def test_far_tails_are_powers_of_ten() -> None:
    def check(**more: object) -> Check:
        return Check(assumption="exclusion", test="J", null="", conclusion="", **more)

    far = check(statistic=4000.0, law=ChiSquared(3))
    assert far.log10_p_value == pytest.approx(-866.9, abs=0.1)
    assert (far.df, far.p_value) == ("3", 0.0)
    assert far.shown_p_value == f"10^{far.log10_p_value:.1f}"
    assert check(statistic=2.0, p_value=0.0321).shown_p_value == "0.032"
    assert check().shown_p_value == ""
    assert check().log10_p_value is None
    assert check(statistic=0.2, p_value=0.0).shown_p_value == "0"  # a share of permutations: nothing finer is known
