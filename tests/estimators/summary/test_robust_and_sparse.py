"""Robust regression, the lasso on intercepts, penalised and averaged estimates, and the multivariable median."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import numpy as np
import pytest
from scipy import integrate, optimize, stats

from invarmr.data.harmonised import Associations, MultivariableAssociations
from invarmr.errors import InputError
from invarmr.estimators.summary.conditional_strength import conditional_f
from invarmr.estimators.summary.debiased import DebiasedInverseVarianceWeighted
from invarmr.estimators.summary.egger import Egger
from invarmr.estimators.summary.heterogeneity_penalised import HeterogeneityPenalised
from invarmr.estimators.summary.inverse_variance import InverseVarianceWeighted
from invarmr.estimators.summary.lasso import Lasso
from invarmr.estimators.summary.lasso_path import valid_variants
from invarmr.estimators.summary.mm_regression import mm_regression
from invarmr.estimators.summary.multivariable_robust import (
    MultivariableLasso,
    MultivariableMedian,
    least_absolute_deviations,
)
from invarmr.estimators.summary.penalised_inverse_variance import PenalisedInverseVarianceWeighted
from invarmr.estimators.summary.result import two_sided
from invarmr.estimators.summary.robust_adjusted_profile import RobustAdjustedProfileScore

Simulate = Callable[..., Associations]


def regression(p: int, k: int, seed: int, outliers: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(p, k))
    y = X @ np.arange(1.0, k + 1) + rng.normal(size=p)
    y[:outliers] -= 30.0 * X[:outliers, 0]
    return X, y


def test_mm_regression_solves_its_equation_and_ignores_a_third_of_outliers() -> None:
    X, y = regression(60, 2, seed=1, outliers=20)
    found = mm_regression(X, y)
    t = (y - X @ found.coefficients) / found.scale
    psi = t * np.clip(1 - (t / 4.685061) ** 2, 0, None) ** 2
    assert np.abs(psi @ X).max() < 1e-8
    assert found.coefficients == pytest.approx([1.0, 2.0], abs=4 * 0.2)
    assert np.median(found.weights[:20]) == 0.0
    assert np.abs(np.linalg.lstsq(X, y, rcond=None)[0] - [1.0, 2.0]).max() > 1.0


def test_mm_regression_is_as_good_as_least_squares_without_outliers() -> None:
    """95 % efficient; and the standard error is that of the estimates."""
    draws, errors = [], []
    for seed in range(40):
        X, y = regression(30, 1, seed=seed)
        found = mm_regression(X, y)
        draws.append(found.coefficients[0])
        errors.append(found.std_errors[0])
    spread = np.std(draws)
    assert np.mean(draws) == pytest.approx(1.0, abs=4 * spread / np.sqrt(40))
    assert np.mean(errors) == pytest.approx(spread, rel=0.3)
    assert spread == pytest.approx(1 / np.sqrt(29 * 0.95), rel=0.3)


def test_mm_regression_refuses_what_it_cannot_use() -> None:
    X, y = regression(4, 2, seed=1)
    with pytest.raises(InputError, match="more than 4 variants for 2 coefficients, but there are 4"):
        mm_regression(X, y)
    X, _ = regression(20, 1, seed=1)
    with pytest.raises(InputError, match="more than half of the variants fit exactly"):
        mm_regression(X, 2.0 * X[:, 0])


def test_robust_regressions_stand_outliers_and_refuse_correlated_variants(simulate: Simulate) -> None:
    data = simulate(60, invalid=15)
    for method in (InverseVarianceWeighted(robust=True), Egger(robust=True, penalised=True)):
        assert method.fit(data).b == pytest.approx(0.5, abs=0.1)
        assert "robust" in method.method
    correlated = Associations.from_arrays(
        exposure=data.exposure,
        exposure_std_error=data.exposure_std_error,
        outcome=data.outcome,
        outcome_std_error=data.outcome_std_error,
        correlation=np.eye(60),
    )
    with pytest.raises(InputError, match="robust regression takes variants as independent"):
        InverseVarianceWeighted(robust=True).fit(correlated)


def test_the_lasso_minimises_its_objective(simulate: Simulate) -> None:
    data = simulate(8, invalid=2)
    precision = 1.0 / data.outcome_std_error
    X, y = (data.exposure * precision)[:, None], data.outcome * precision
    valid, penalty, a = valid_variants(X, y, precision, 1.0)
    projection = np.eye(8) - X @ X.T / (X.T @ X)
    V, target = projection * precision, projection @ y

    def objective(parts: np.ndarray) -> float:
        intercept = parts[:8] - parts[8:]
        return float(((target - V @ intercept) ** 2).sum() / 16 + penalty * V.std(axis=0) @ (parts[:8] + parts[8:]))

    best = optimize.minimize(objective, np.full(16, 0.01), bounds=[(0, None)] * 16, method="L-BFGS-B", tol=1e-14)
    here = objective(np.concatenate([np.maximum(a, 0), np.maximum(-a, 0)]))
    assert here <= best.fun * (1 + 1e-6)
    assert valid.sum() < 8


def test_the_lasso_sets_the_invalid_variants_aside(simulate: Simulate) -> None:
    data = simulate(40, invalid=8)
    answer = Lasso().fit(data)
    assert {f"variant_{i + 1}" for i in range(8)} <= set(answer.outliers)
    assert answer.b == pytest.approx(0.5, abs=0.06)
    assert answer.extras["n_valid"] == 40 - len(answer.outliers)
    kept = np.array([name not in answer.outliers for name in data.variants])
    assert answer.b == pytest.approx(InverseVarianceWeighted().fit(data.take(kept)).b)
    assert Lasso(penalty=1e6).fit(data).b == pytest.approx(InverseVarianceWeighted().fit(data).b)
    with pytest.raises(InputError, match="penalty must be positive"):
        Lasso(penalty=0.0).fit(data)
    with pytest.raises(InputError, match="raise it"):
        Lasso(penalty=1e-9).fit(data)


def test_penalised_inverse_variance_without_penalty_is_the_debiased_one(simulate: Simulate) -> None:
    data = simulate(40)
    debiased = DebiasedInverseVarianceWeighted().fit(data)
    answer = PenalisedInverseVarianceWeighted(penalty=0.0, fieller=False).fit(data)
    assert (answer.b, answer.se) == pytest.approx((debiased.b, debiased.se))
    assert answer.extras["condition"] == pytest.approx(debiased.extras["condition"])
    fieller = PenalisedInverseVarianceWeighted(n_draws=4000).fit(data)
    assert fieller.confidence_set.lower == pytest.approx(answer.confidence_set.lower, abs=0.3 * answer.se)
    assert fieller.pval == pytest.approx(1 / 4001)


def test_the_fieller_set_is_unbounded_where_the_exposure_is_not_moved() -> None:
    rng = np.random.default_rng(1)
    data = Associations.from_arrays(
        exposure=0.01 * rng.normal(size=12),
        exposure_std_error=[0.01] * 12,
        outcome=0.01 * rng.normal(size=12),
        outcome_std_error=[0.01] * 12,
    )
    assert not PenalisedInverseVarianceWeighted().fit(data).confidence_set.is_bounded
    with pytest.raises(InputError, match="penalty must be zero or positive"):
        PenalisedInverseVarianceWeighted(penalty=-1.0).fit(data)


def test_heterogeneity_penalised_is_the_sum_over_subsets(simulate: Simulate) -> None:
    data = simulate(6, invalid=2)
    ratio, error = data.ratio, data.ratio_std_error()
    grid = np.linspace(0.0, 2.5, 251)
    likelihood = np.zeros_like(grid)
    for n in range(2, 7):
        for subset in combinations(range(6), n):
            rows = list(subset)
            w = error[rows] ** -2.0
            centre = w @ ratio[rows] / w.sum()
            q = float(w @ (ratio[rows] - centre) ** 2)
            se = max(1.0, np.sqrt(q / (n - 1))) / np.sqrt(w.sum())
            likelihood += np.exp(-q / 2) / np.prod(error[rows]) * stats.norm.pdf(grid, centre, se)
    answer = HeterogeneityPenalised(lower=0.0, upper=2.5, step=0.01).fit(data)
    assert answer.b == pytest.approx(grid[likelihood.argmax()])
    inside = grid[2 * np.log(likelihood.max() / likelihood) < stats.chi2.isf(0.05, 1)]
    assert [answer.confidence_set.lower, answer.confidence_set.upper] == pytest.approx([inside[0], inside[-1]])
    with pytest.raises(InputError, match="takes 15 variants at most, but there are 16"):
        HeterogeneityPenalised().fit(simulate(16))
    with pytest.raises(InputError, match=r"prior must lie in \(0, 1\)"):
        HeterogeneityPenalised(prior=1.0).fit(data)
    with pytest.raises(InputError, match="lower < upper"):
        HeterogeneityPenalised(lower=1.0, upper=0.0).fit(data)
    assert "widen" in HeterogeneityPenalised(lower=0.49, upper=0.51).fit(data).note


def test_raps_with_equal_weights_solves_the_other_equation(simulate: Simulate) -> None:
    data = simulate(200, invalid=20)
    for loss in ("l2", "huber"):
        answer = RobustAdjustedProfileScore(loss=loss, dispersion_weights="equal").fit(data)
        t, tau2 = answer.per_variant["standardised_residual"], answer.extras["tau2"]
        v = data.outcome_std_error**2 + tau2 + answer.b**2 * data.exposure_std_error**2
        psi = t if loss == "l2" else np.clip(t, -1.345, 1.345)
        delta = 1.0 if loss == "l2" else stats.chi2.cdf(1.345**2, 1)
        assert tau2 > 0
        assert float(((t * psi - delta) / v).sum()) == pytest.approx(0.0, abs=1e-6 * float((1 / v).sum()))
        plain = RobustAdjustedProfileScore(loss=loss).fit(data)
        assert answer.se == pytest.approx(plain.se, rel=0.2)
        assert answer.b != plain.b
    with pytest.raises(InputError, match="dispersion_weights must be"):
        RobustAdjustedProfileScore(dispersion_weights="none").fit(data)  # type: ignore[arg-type]


def two_exposures(p: int = 60, invalid: int = 0, seed: int = 1) -> MultivariableAssociations:
    rng = np.random.default_rng(seed)
    true = rng.normal(size=(p, 2)) @ np.array([[0.1, 0.05], [0.0, 0.08]])
    direct = np.where(np.arange(p) < invalid, 0.3, 0.0)
    return MultivariableAssociations.from_arrays(
        exposure=true + 0.005 * rng.normal(size=(p, 2)),
        exposure_std_error=np.full((p, 2), 0.005),
        outcome=true @ [0.5, -0.3] + direct + 0.01 * rng.normal(size=p),
        outcome_std_error=rng.uniform(0.008, 0.012, p),
        exposures=["ldl", "hdl"],
    )


@pytest.mark.parametrize("seed", range(6))
def test_least_absolute_deviations_is_the_linear_programme(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p, K = int(rng.integers(6, 40)), int(rng.integers(1, 5))
    X, y, w = rng.normal(size=(p, K)), rng.standard_cauchy(p), rng.exponential(size=p)
    programme = optimize.linprog(
        np.r_[np.zeros(K), w, w],
        A_eq=np.hstack([X, np.eye(p), -np.eye(p)]),
        b_eq=y,
        bounds=[(None, None)] * K + [(0, None)] * 2 * p,
    )
    b = least_absolute_deviations(X, y, w)
    assert float(w @ np.abs(y - X @ b)) == pytest.approx(programme.fun, rel=1e-9)
    with pytest.raises(InputError, match="multiples of one another"):
        least_absolute_deviations(np.ones((5, 2)), np.arange(5.0), np.ones(5))


def test_multivariable_median_and_lasso_stand_a_third_of_invalid_variants() -> None:
    data = two_exposures(invalid=15)
    for answers in (MultivariableMedian(n_draws=100).fit(data), MultivariableLasso().fit(data)):
        assert answers["ldl"].b == pytest.approx(0.5, abs=0.12)
        assert answers["hdl"].b == pytest.approx(-0.3, abs=0.12)
        assert 0.005 < answers["ldl"].se < 0.1
    first, second = (MultivariableLasso(orientate=name).fit(data)["ldl"] for name in ("ldl", 1))
    assert first.b == pytest.approx(second.b)
    assert first.outliers == second.outliers
    assert {f"variant_{i + 1}" for i in range(15)} <= set(first.outliers)
    again = MultivariableMedian(n_draws=20).fit(data, seed=4)["hdl"].se
    assert again == MultivariableMedian(n_draws=20).fit(data, seed=4)["hdl"].se
    with pytest.raises(InputError, match="needs 3 variants at least for 2 exposures"):
        MultivariableMedian().fit(two_exposures(2))


def test_conditional_f_with_sample_sizes_tends_to_that_without() -> None:
    data = two_exposures(200)
    plain, joint = conditional_f(data), conditional_f(data, sample_size=[10**8, 10**8])
    assert joint["ldl"] == pytest.approx(plain["ldl"], rel=0.02)
    with pytest.raises(InputError, match="must exceed the number of variants"):
        conditional_f(data, sample_size=100)
    with pytest.raises(InputError, match="one number or 2"):
        conditional_f(data, sample_size=[1e5, 1e5, 1e5])


def test_far_tails_are_logarithms(simulate: Simulate) -> None:
    answer = two_sided(1.0, 0.01)
    assert answer.p == 0.0
    assert answer.log10_p == pytest.approx(stats.norm.logsf(100.0) / np.log(10) + np.log10(2))
    t = two_sided(1.0, 0.01, df=3000, distribution="t")
    top = stats.t.logpdf(100.0, 3000)
    tail = integrate.quad(lambda x: np.exp(stats.t.logpdf(x, 3000) - top), 100.0, 110.0)[0]
    assert t.p == 0.0
    assert t.log10_p == pytest.approx((np.log(2 * tail) + top) / np.log(10), abs=1e-6)
    assert two_sided(1.0, 0.5).log10_p == pytest.approx(np.log10(two_sided(1.0, 0.5).p))
    strong = simulate(4000)
    found = InverseVarianceWeighted().fit(strong)
    assert found.pval == 0.0
    assert found.log10_pval < -1000
    assert f"p 10^{found.log10_pval:.1f}" in str(found)
    assert two_sided(1.0, 0.0).p == 0.0
