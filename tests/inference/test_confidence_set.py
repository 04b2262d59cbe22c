from __future__ import annotations

import math

from invarmr.inference.confidence_set import ConfidenceSet


def test_disjoint_unbounded_and_empty_sets() -> None:
    outside = ConfidenceSet(((-math.inf, -1.0), (2.0, math.inf)), 0.9)
    assert -5.0 in outside
    assert 0.0 not in outside
    assert 2.0 in outside
    assert not outside.is_bounded
    assert (outside.lower, outside.upper) == (-math.inf, math.inf)
    empty = ConfidenceSet((), 0.9)
    assert 0.0 not in empty
    assert empty.is_bounded
    assert math.isnan(empty.lower)
    assert math.isnan(empty.upper)
    assert str(empty) == "empty"
    assert str(ConfidenceSet(((-math.inf, math.inf),), 0.9)) == "(-inf, inf)"
