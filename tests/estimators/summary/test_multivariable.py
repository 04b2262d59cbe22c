from __future__ import annotations

import numpy as np
import pytest

from invarmr.data.harmonised import Associations, MultivariableAssociations
from invarmr.errors import InputError
from invarmr.estimators.summary.conditional_strength import conditional_f
from invarmr.estimators.summary.egger import Egger
from invarmr.estimators.summary.inverse_variance import InverseVarianceWeighted
from invarmr.estimators.summary.multivariable import (
    MultivariableEgger,
    MultivariableInverseVarianceWeighted,
)


def simulated(p: int = 200, intercept: float = 0.0, seed: int = 1) -> MultivariableAssociations:
    rng = np.random.default_rng(seed)
    true = rng.normal(size=(p, 2)) @ np.array([[0.1, 0.05], [0.0, 0.08]])
    outcome = true @ [0.5, -0.3] + intercept * np.sign(true[:, 0])
    return MultivariableAssociations.from_arrays(
        exposure=true + 0.005 * rng.normal(size=(p, 2)),
        exposure_std_error=np.full((p, 2), 0.005),
        outcome=outcome + 0.01 * rng.normal(size=p),
        outcome_std_error=np.full(p, 0.01),
        exposures=["ldl", "hdl"],
    )


def test_both_direct_effects_are_found():
    for method, data in (
        (MultivariableInverseVarianceWeighted(), simulated()),
        (MultivariableEgger(orientate="ldl"), simulated(3000, intercept=0.05)),
    ):
        found = method.fit(data)
        assert found["ldl"].b == pytest.approx(0.5, abs=0.05)
        assert found["hdl"].b == pytest.approx(-0.3, abs=0.05)
    assert found["ldl"].extras["intercept"] == pytest.approx(0.05, abs=0.01)
    assert MultivariableEgger(orientate=1).fit(data)["ldl"].extras["intercept"] != pytest.approx(0.05, abs=0.01)


def test_with_one_exposure_they_are_the_univariable_methods():
    data = simulated()
    one = MultivariableAssociations.from_arrays(
        exposure=data.exposure[:, :1],
        exposure_std_error=data.exposure_std_error[:, :1],
        outcome=data.outcome,
        outcome_std_error=data.outcome_std_error,
    )
    plain = Associations.from_arrays(
        exposure=data.exposure[:, 0],
        exposure_std_error=data.exposure_std_error[:, 0],
        outcome=data.outcome,
        outcome_std_error=data.outcome_std_error,
    )
    for several, single in (
        (MultivariableInverseVarianceWeighted(), InverseVarianceWeighted()),
        (MultivariableEgger(), Egger(distribution="normal")),
    ):
        one_answer, answer = several.fit(one)["exposure_1"], single.fit(plain)
        assert (one_answer.b, one_answer.se, one_answer.pval) == pytest.approx((answer.b, answer.se, answer.pval))
    assert conditional_f(one)["exposure_1"] == pytest.approx(((plain.exposure / 0.005) ** 2).mean())


def test_conditional_f_falls_where_exposures_move_together():
    data = simulated()
    assert min(conditional_f(data).values()) > 50
    rng = np.random.default_rng(2)
    alike = MultivariableAssociations.from_arrays(
        exposure=np.column_stack([data.exposure[:, 0], data.exposure[:, 0] + 0.005 * rng.normal(size=200)]),
        exposure_std_error=data.exposure_std_error,
        outcome=data.outcome,
        outcome_std_error=data.outcome_std_error,
    )
    assert max(conditional_f(alike).values()) < 3
    rho = [[1.0, 0.5], [0.5, 1.0]]
    assert conditional_f(alike, correlation=rho)["exposure_1"] > conditional_f(alike)["exposure_1"]


def test_what_cannot_be_told_apart_is_refused():
    data = simulated()
    same = MultivariableAssociations.from_arrays(
        exposure=data.exposure[:, [0, 0]],
        exposure_std_error=data.exposure_std_error,
        outcome=data.outcome,
        outcome_std_error=data.outcome_std_error,
    )
    with pytest.raises(InputError, match="tell the 2 coefficients apart"):
        MultivariableInverseVarianceWeighted().fit(same)
    with pytest.raises(InputError, match="needs 4 variants at least for 2 exposures"):
        MultivariableEgger().fit(simulated(3))
    with pytest.raises(InputError, match="orientate must name one of ldl, hdl"):
        MultivariableEgger(orientate="tg").fit(data)
    with pytest.raises(InputError, match=r"shape \(2, 2\)"):
        conditional_f(data, correlation=[[1.0], [0.5]])
    with pytest.raises(InputError, match="exposure_std_error must be positive"):
        MultivariableAssociations.from_arrays(
            exposure=[[1, 2]], exposure_std_error=[[1, 0]], outcome=[1], outcome_std_error=[1]
        )
    with pytest.raises(InputError, match="must be named"):
        MultivariableAssociations.from_arrays(
            exposure=[[1, 2]], exposure_std_error=[[1, 1]], outcome=[1], outcome_std_error=[1], exposures=["a"]
        )
