"""What every summary-data estimator must do."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from invarmr.data.harmonised import Associations
from invarmr.errors import InputError
from invarmr.estimators.summary.table import METHODS

Simulate = Callable[..., Associations]
FAMILY = [name for name in METHODS if name != "mr_wald_ratio"]
SIZE = {name: 40 if METHODS[name].maximum_variants is None else 10 for name in FAMILY}


@pytest.mark.parametrize("name", FAMILY)
def test_every_method_finds_the_effect_of_valid_variants(name: str, simulate: Simulate):
    answer = METHODS[name].fit(simulate(SIZE[name]), seed=3)
    assert answer.b == pytest.approx(0.5, abs=0.1)
    assert answer.b in answer.confidence_set
    assert answer.pval < 0.05
    assert answer.method == METHODS[name].method
    assert math.isnan(answer.se) or 0.003 < answer.se < 0.2


@pytest.mark.parametrize("name", FAMILY)
def test_the_seed_decides_and_a_wider_level_gives_a_wider_set(name: str, simulate: Simulate):
    method, data = METHODS[name], simulate(SIZE[name])
    first, again = method.fit(data, seed=5), method.fit(data, seed=5)
    assert (first.b, first.pval) == (again.b, again.pval)
    assert first.se == again.se or math.isnan(first.se)
    wide = replace(method, level=0.99).fit(data, seed=5).confidence_set
    narrow = replace(method, level=0.5).fit(data, seed=5).confidence_set
    assert wide.upper - wide.lower > narrow.upper - narrow.lower


@pytest.mark.parametrize("name", FAMILY)
def test_too_few_variants_are_refused_with_the_number(name: str, simulate: Simulate):
    method = METHODS[name]
    if method.minimum_variants == 1:
        return
    data = simulate().take(np.arange(method.minimum_variants - 1))
    assert not method.applies_to(data.n_variants)
    with pytest.raises(InputError, match=f"needs {method.minimum_variants} variants at least, but there are"):
        method.fit(data)


@pytest.mark.parametrize("name", FAMILY)
def test_a_correlation_is_used_or_refused_never_ignored(name: str, simulate: Simulate):
    plain = simulate(6)
    rho = 0.5 ** np.abs(np.subtract.outer(np.arange(6), np.arange(6)))
    data = Associations.from_arrays(
        exposure=plain.exposure,
        exposure_std_error=plain.exposure_std_error,
        outcome=plain.outcome,
        outcome_std_error=plain.outcome_std_error,
        correlation=rho,
    )
    independent = any(getattr(METHODS[name], setting, False) for setting in ("penalised", "robust"))
    if METHODS[name].takes_correlation and not independent:
        assert METHODS[name].fit(data).b != METHODS[name].fit(plain).b
    else:
        with pytest.raises(InputError, match=r"takes? variants as independent"):
            METHODS[name].fit(data)


@pytest.mark.parametrize("name", FAMILY)
def test_a_variant_without_exposure_association_is_refused_where_ratios_are_taken(name: str, simulate: Simulate):
    plain = simulate(8)
    data = Associations.from_arrays(
        exposure=[0.0, *plain.exposure[1:]],
        exposure_std_error=plain.exposure_std_error,
        outcome=plain.outcome,
        outcome_std_error=plain.outcome_std_error,
        variants=[f"rs{i}" for i in range(8)],
    )
    if METHODS[name].takes_ratios or name == "mr_ivw_penalised":  # by the median ratio
        with pytest.raises(InputError, match="exactly zero for rs0"):
            METHODS[name].fit(data)
    else:
        assert math.isfinite(METHODS[name].fit(data).b)


def test_nothing_warns(simulate: Simulate):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in FAMILY:
            METHODS[name].fit(simulate(5, invalid=2))


def test_answers_print_and_cannot_be_changed(simulate: Simulate):
    answer = METHODS["mr_egger_regression"].fit(simulate())
    assert str(answer).startswith("MR Egger: 0.")
    with pytest.raises(TypeError):
        answer.extras["b"] = 1.0  # type: ignore[index]
