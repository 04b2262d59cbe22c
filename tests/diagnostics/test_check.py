from __future__ import annotations

from invarmr.diagnostics.check import not_applicable


def test_not_applicable_carries_its_reason_and_no_numbers() -> None:
    check = not_applicable("exclusion", "a test", "a null", "there is one instrument")
    assert not check.applies
    assert check.statistic is check.p_value is None
    assert check.conclusion == "not applicable"
    assert check.reason == "there is one instrument"
