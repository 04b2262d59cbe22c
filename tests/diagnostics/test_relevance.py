from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import invarmr
from invarmr.diagnostics.relevance import first_stage_check, partial_r2_check


@pytest.mark.parametrize(("strength", "word"), [(1.0, "strong enough"), (0.01, "weak")])
def test_numbers_are_those_of_the_first_stage_regression(strength: float, word: str) -> None:
    generator = np.random.default_rng(0)
    Z, C = generator.normal(size=(200, 3)), generator.normal(size=(200, 2))
    D = strength * Z.sum(axis=1) + C.sum(axis=1) + generator.normal(size=200)
    cohort = invarmr.Cohort.from_arrays(instrument=Z, exposure=D, outcome=D**2, environment=["a"] * 200, covariates=C)
    design = invarmr.IVDesign.from_cohort(cohort)
    full = np.column_stack([np.ones(200), C, Z])

    def rss(X: np.ndarray) -> float:
        return float(np.sum((D - X @ np.linalg.lstsq(X, D, rcond=None)[0]) ** 2))

    small, large = rss(full[:, :3]), rss(full)
    f = (small - large) / 3 / (large / (200 - 6))
    check = first_stage_check(design)
    assert check.statistic == pytest.approx(f)
    assert check.df == "3, 194"
    assert check.p_value == pytest.approx(stats.f.sf(f, 3, 194))
    assert word in check.conclusion
    share = partial_r2_check(design)
    assert share.statistic == pytest.approx(1 - large / small)
    assert share.p_value is None
    assert share.applies
