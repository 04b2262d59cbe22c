from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from scipy import optimize

from invarmr.data.harmonised import Associations
from invarmr.errors import InputError
from invarmr.estimators.summary.base import SummaryEstimator
from invarmr.estimators.summary.contamination_mixture import ContaminationMixture
from invarmr.estimators.summary.debiased import DebiasedInverseVarianceWeighted
from invarmr.estimators.summary.egger import BootstrapEgger, Egger
from invarmr.estimators.summary.inverse_variance import InverseVarianceWeighted
from invarmr.estimators.summary.maximum_likelihood import MaximumLikelihood
from invarmr.estimators.summary.median import Median, weighted_median
from invarmr.estimators.summary.mode import Mode
from invarmr.estimators.summary.presso import Presso
from invarmr.estimators.summary.radial import RadialEgger, RadialInverseVarianceWeighted
from invarmr.estimators.summary.robust_adjusted_profile import RobustAdjustedProfileScore
from invarmr.estimators.summary.robust_loss import loss_moments
from invarmr.estimators.summary.wald_ratio import WaldRatio

Simulate = Callable[..., Associations]


def test_the_wald_ratio_takes_one_variant():
    data = Associations.from_arrays(exposure=[-0.2], exposure_std_error=[0.05], outcome=[0.1], outcome_std_error=[0.02])
    assert WaldRatio().fit(data).b == pytest.approx(-0.5)
    assert WaldRatio().fit(data).se == pytest.approx(0.1)
    assert WaldRatio(order=2).fit(data).se == pytest.approx(math.sqrt(0.1**2 + (0.1 * 0.05 / 0.04) ** 2))
    pair = Associations.from_arrays(
        exposure=[1, 1], exposure_std_error=[1, 1], outcome=[1, 1], outcome_std_error=[1, 1]
    )
    with pytest.raises(InputError, match="exactly 1 variant, but there are 2"):
        WaldRatio().fit(pair)
    zero = Associations.from_arrays(exposure=[0], exposure_std_error=[1], outcome=[1], outcome_std_error=[1])
    with pytest.raises(InputError, match="exactly zero for variant_1"):
        WaldRatio().fit(zero)


def test_the_three_standard_errors_of_ivw(simulate: Simulate):
    spread, tight = simulate(invalid=10), simulate(effect=0.0)
    for data in (spread, tight):
        fixed, times, random = (
            InverseVarianceWeighted(effects=kind).fit(data) for kind in ("fixed", "multiplicative", "random")
        )
        phi = fixed.extras["residual_std_error"]
        assert times.se == pytest.approx(fixed.se * phi)
        assert random.se == pytest.approx(fixed.se * max(1.0, phi))
    assert InverseVarianceWeighted(order=2).fit(spread).b != InverseVarianceWeighted().fit(spread).b
    t = InverseVarianceWeighted(distribution="t").fit(spread)
    assert t.pval > InverseVarianceWeighted().fit(spread).pval


def test_egger_finds_what_ivw_misses_where_pleiotropy_is_directional(simulate: Simulate):
    data = simulate(200).oriented()
    pushed = Associations.from_arrays(
        exposure=data.exposure,
        exposure_std_error=data.exposure_std_error,
        outcome=data.outcome + 0.05,
        outcome_std_error=data.outcome_std_error,
    )
    answer = Egger().fit(pushed)
    assert answer.b == pytest.approx(0.5, abs=0.06)
    assert answer.extras["intercept"] == pytest.approx(0.05, abs=0.006)
    assert InverseVarianceWeighted().fit(pushed).b > 0.8
    assert BootstrapEgger().fit(pushed).extras["intercept"] == pytest.approx(0.05, abs=0.01)


def test_penalised_regressions_stand_outliers_and_refuse_correlated_variants(simulate: Simulate):
    data = simulate(60, invalid=6)
    for method in (InverseVarianceWeighted(penalised=True), Egger(penalised=True)):
        answer = method.fit(data)
        assert answer.method.endswith("(penalised)")
        assert answer.b == pytest.approx(0.5, abs=0.08)
        correlated = Associations.from_arrays(
            exposure=data.exposure,
            exposure_std_error=data.exposure_std_error,
            outcome=data.outcome,
            outcome_std_error=data.outcome_std_error,
            correlation=np.eye(60),
        )
        with pytest.raises(InputError, match="penalised weights take variants as independent"):
            method.fit(correlated)


def test_egger_refuses_equal_strengths():
    data = Associations.from_arrays(
        exposure=[0.1, -0.1, 0.1], exposure_std_error=[0.01] * 3, outcome=[0.1, 0.2, 0.3], outcome_std_error=[0.1] * 3
    )
    for method in (Egger(), BootstrapEgger()):
        with pytest.raises(InputError, match=r"tell the 2 coefficients apart|differ in size"):
            method.fit(data)


def naive_median(ratio: list[float], weight: list[float]) -> float:
    pairs = sorted(zip(ratio, weight, strict=True))
    total, run, points = sum(weight), 0.0, []
    for value, w in pairs:
        points.append(((run + w / 2) / total, value))
        run += w
    for (s0, b0), (s1, b1) in pairwise(points):
        if s0 < 0.5 <= s1:
            return b0 + (b1 - b0) * (0.5 - s0) / (s1 - s0)
    return points[0][1] if points[0][0] >= 0.5 else points[-1][1]


def test_the_weighted_median_is_the_naive_one():
    rng = np.random.default_rng(1)
    for p in (2, 3, 4, 9, 20):
        ratio, weight = rng.normal(size=(30, p)), rng.exponential(size=p)
        expected = [naive_median(row.tolist(), weight.tolist()) for row in ratio]
        assert weighted_median(ratio, weight) == pytest.approx(expected)


@pytest.mark.parametrize(
    "method",
    [Median(), Mode(), ContaminationMixture(), RobustAdjustedProfileScore(loss="tukey", over_dispersion=False)],
)
def test_robust_methods_stand_where_a_third_of_the_variants_is_invalid(method: SummaryEstimator, simulate: Simulate):
    data = simulate(60, invalid=18)
    assert InverseVarianceWeighted().fit(data).b > 0.62
    assert method.fit(data).b == pytest.approx(0.5, abs=0.1)


def test_penalised_weights_drop_the_outliers(simulate: Simulate):
    data = simulate(60, invalid=10)
    for centre in ("median", "ivw"):
        weight = Median(weighting="penalised", centre=centre).fit(data).per_variant["weight"]
        assert weight[:10].sum() < 0.02
    assert Mode(weighting="penalised").fit(data).b == pytest.approx(0.5, abs=0.06)


def naive_mode(ratio: np.ndarray, weight: np.ndarray) -> float:
    mad = 1.4826 * np.median(np.abs(ratio - np.median(ratio)))
    h = 0.9 * min(ratio.std(ddof=1), mad) / ratio.size**0.2
    grid = np.linspace(ratio.min() - 3 * h, ratio.max() + 3 * h, 512)
    density = (weight * np.exp(-0.5 * ((grid[:, None] - ratio) / h) ** 2)).sum(axis=1)
    return float(grid[density.argmax()])


def test_the_mode_is_that_of_the_density_without_binning(simulate: Simulate):
    for seed in range(5):
        data = simulate(30, seed=seed, invalid=8)
        weight = data.ratio_std_error(order=2) ** -2.0
        step = (data.ratio.max() - data.ratio.min()) / 400
        assert Mode(n_draws=2).fit(data).b == pytest.approx(naive_mode(data.ratio, weight), abs=step)


def test_maximum_likelihood_is_the_maximum_over_all_true_associations(simulate: Simulate):
    data = simulate(6, weak=0.3)

    def half_deviance(values: np.ndarray) -> float:
        true, b = values[:-1], values[-1]
        first = ((data.exposure - true) / data.exposure_std_error) ** 2
        return float(0.5 * (first + ((data.outcome - b * true) / data.outcome_std_error) ** 2).sum())

    found = optimize.minimize(half_deviance, [*data.exposure, 0.5], tol=1e-12)
    answer = MaximumLikelihood().fit(data)
    assert answer.b == pytest.approx(found.x[-1], rel=1e-5)
    assert answer.extras["Q"] == pytest.approx(2 * found.fun)

    def at(values: np.ndarray, i: int, j: int, h: float = 1e-4) -> float:
        shift = np.eye(7) * h
        return sum(s * t * half_deviance(values + s * shift[i] + t * shift[j]) for s in (1, -1) for t in (1, -1)) / (
            4 * h * h
        )

    hessian = np.array([[at(found.x, i, j) for j in range(7)] for i in range(7)])
    assert answer.se == pytest.approx(math.sqrt(np.linalg.inv(hessian)[-1, -1]), rel=1e-3)
    assert MaximumLikelihood(effects="random").fit(data).se >= answer.se


def test_maximum_likelihood_without_correlation_equals_the_identity(simulate: Simulate):
    plain = simulate(6)
    same = Associations.from_arrays(
        exposure=plain.exposure,
        exposure_std_error=plain.exposure_std_error,
        outcome=plain.outcome,
        outcome_std_error=plain.outcome_std_error,
        correlation=np.eye(6),
    )
    for psi in (0.0, 0.3):
        method = MaximumLikelihood(overlap_correlation=psi)
        assert method.fit(same).b == pytest.approx(method.fit(plain).b)
        assert method.fit(same).se == pytest.approx(method.fit(plain).se, rel=1e-6)
    with pytest.raises(InputError, match="overlap_correlation"):
        MaximumLikelihood(overlap_correlation=1.0).fit(plain)


def test_weak_variants_pull_ivw_to_zero_but_not_the_debiased_methods(simulate: Simulate):
    data = simulate(3000, weak=0.1)
    assert InverseVarianceWeighted().fit(data).b < 0.4
    assert DebiasedInverseVarianceWeighted().fit(data).b == pytest.approx(0.5, abs=0.03)
    for over_dispersion in (False, True):
        answer = RobustAdjustedProfileScore(loss="l2", over_dispersion=over_dispersion).fit(data)
        assert answer.b == pytest.approx(0.5, abs=0.03)


def test_debiased_ivw_refuses_noise():
    rng = np.random.default_rng(1)
    data = Associations.from_arrays(
        exposure=0.1 * rng.normal(size=20),
        exposure_std_error=np.ones(20),
        outcome=rng.normal(size=20),
        outcome_std_error=np.ones(20),
    )
    with pytest.raises(InputError, match="condition is -"):
        DebiasedInverseVarianceWeighted().fit(data)
    with pytest.raises(InputError, match="RAPS"):
        RobustAdjustedProfileScore(loss="l2", over_dispersion=False).fit(data)


def test_raps_solves_its_two_equations(simulate: Simulate):
    data = simulate(60, invalid=12)
    answer = RobustAdjustedProfileScore(loss="l2").fit(data)
    b, tau2 = answer.b, answer.extras["tau2"]
    s2 = data.outcome_std_error**2 + tau2 + b**2 * data.exposure_std_error**2
    t = (data.outcome - b * data.exposure) / np.sqrt(s2)
    u = (data.exposure * (data.outcome_std_error**2 + tau2) + b * data.outcome * data.exposure_std_error**2) / s2**1.5
    assert float(t @ u) == pytest.approx(0.0, abs=1e-6)
    assert float((data.exposure_std_error**2 * (t**2 - 1) / s2).sum()) == pytest.approx(0.0, abs=1e-6)
    assert tau2 > 0


def test_the_losses_are_95_percent_efficient_and_their_moments_are_those_of_a_sum():
    z = np.linspace(-10, 10, 400_001)
    mass = np.exp(-0.5 * z**2) / math.sqrt(2 * math.pi) * (z[1] - z[0])
    for loss in ("huber", "tukey"):
        c = loss_moments(loss)
        assert c.delta**2 / c.c1 == pytest.approx(0.95, abs=0.001)
    psi = np.clip(z, -1.345, 1.345)
    c = loss_moments("huber")
    assert (c.c1, c.delta) == pytest.approx((float(mass @ psi**2), float(mass @ (z * psi))), rel=1e-6)
    assert c.c2 == pytest.approx(float(mass @ (z * psi) ** 2) - c.delta**2, rel=1e-6)


def test_wrong_settings_are_named(simulate: Simulate):
    data = simulate(10)
    wrong = {
        "loss must be": RobustAdjustedProfileScore(loss="l1"),  # type: ignore[arg-type]
        "phi must be": Mode(phi=0.0),
        "n_draws must be 2": Median(n_draws=1),
        "n_draws must be positive": Presso(n_draws=0),
        "weights must be": RadialInverseVarianceWeighted(weights="third"),  # type: ignore[arg-type]
        "significance must lie": RadialEgger(significance=1.5),
        "invalid_sd must be": ContaminationMixture(invalid_sd=0.0),
        "lower < upper": ContaminationMixture(lower=1.0, upper=0.0),
    }
    for message, method in wrong.items():
        with pytest.raises(InputError, match=message):
            method.fit(data)
    with pytest.raises(InputError, match="level must lie"):
        InverseVarianceWeighted(level=95)


def test_a_contamination_mixture_may_have_two_intervals_or_reach_the_edge():
    data = Associations.from_arrays(
        exposure=[1.0] * 6,
        exposure_std_error=[0.01] * 6,
        outcome=[1.0, 1.01, 0.99, -1.0, -1.01, -0.99],
        outcome_std_error=[0.05] * 6,
    )
    answer = ContaminationMixture().fit(data)
    assert len(answer.confidence_set.intervals) == 2
    assert len(answer.outliers) == 3
    assert "widen" in ContaminationMixture(lower=1.0, upper=1.001, step=0.001).fit(data).note


def test_radial_ivw_with_first_order_weights_is_ivw(simulate: Simulate):
    data = simulate(30, invalid=5)
    radial = RadialInverseVarianceWeighted(weights="first").fit(data)
    plain = InverseVarianceWeighted(effects="multiplicative").fit(data)
    assert (radial.b, radial.se) == pytest.approx((plain.b, plain.se))
    assert radial.per_variant["q"].sum() == pytest.approx(plain.extras["Q"])
    assert set(radial.outliers) >= {f"variant_{row + 1}" for row in range(5)}
    for weights in ("second", "modified", "iterated"):
        assert RadialInverseVarianceWeighted(weights=weights).fit(data).b == pytest.approx(radial.b, abs=0.1)
        assert RadialEgger(weights=weights).fit(data).extras["Q"] > 0


def test_raps_without_a_finite_estimate_says_so():
    rng = np.random.default_rng(1)
    data = Associations.from_arrays(
        exposure=np.zeros(30),
        exposure_std_error=np.ones(30),
        outcome=100 + rng.normal(size=30),
        outcome_std_error=np.ones(30),
    )
    with pytest.raises(InputError, match="RAPS found no finite estimate"):
        RobustAdjustedProfileScore(loss="l2", over_dispersion=False).fit(data)
