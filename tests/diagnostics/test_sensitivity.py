from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

import invarmr
from invarmr.diagnostics.sensitivity import dependence_sensitivity, robustness_check
from invarmr.errors import InputError

TSLS = invarmr.TwoStageLeastSquares()


def with_confounder(seed: int, *, leak: float, n: int = 4_000) -> tuple[invarmr.IVDesign, invarmr.IVDesign]:
    """An instrument that carries `leak` of a confounder; the design without the confounder, and with it as control."""
    rng = np.random.default_rng(seed)
    confounder = rng.normal(size=n)
    instrument = rng.normal(size=n) + leak * confounder
    exposure = instrument + confounder + rng.normal(size=n)
    outcome = 0.5 * exposure + confounder + rng.normal(size=n)
    arrays = {
        "instrument": instrument[:, None],
        "exposure": exposure,
        "outcome": outcome,
        "environment": np.arange(n) % 2,
    }
    left_out = invarmr.IVDesign.from_cohort(invarmr.Cohort.from_arrays(**arrays))
    given = invarmr.IVDesign.from_cohort(invarmr.Cohort.from_arrays(**arrays, covariates=confounder[:, None]))
    return left_out, given


def shares(design: invarmr.IVDesign, given: invarmr.IVDesign, effect: float) -> tuple[float, float]:
    """The a and b of the confounder, from the two designs."""
    b = np.array([1.0, -effect])

    def residual(item):
        parts = item.partialled
        return b @ (parts.total - parts.projected) @ b

    def instrument(item):
        return item.crossproduct[0][0, 0]

    return 1 - residual(given) / residual(design), 1 - instrument(given) / instrument(design)


@pytest.mark.parametrize("leak", [-0.1, 0.05, 0.2])
def test_the_bound_is_attained_by_the_confounder_that_was_left_out(leak) -> None:
    design, given = with_confounder(1, leak=leak)
    estimate, truth = TSLS.fit(design), TSLS.fit(given)
    a, b = shares(design, given, truth.estimate)
    point = dependence_sensitivity(design, estimate, confounder_share=a, strengths=[b]).curve[0]
    bias = estimate.estimate - truth.estimate
    # exact for the error at the true effect: the bound is to first order about the estimate
    assert (point.upper - point.lower) / 2 == pytest.approx(abs(bias), rel=abs(bias) + 0.02)


def test_the_robustness_value_brings_the_estimate_to_no_effect_and_the_interval_to_its_edge() -> None:
    design, _ = with_confounder(2, leak=0.0)
    estimate = TSLS.fit(design)
    found = dependence_sensitivity(design, estimate)
    R, r = found.robustness_value, found.robustness_value_interval
    at_value = dependence_sensitivity(design, estimate, confounder_share=R, strengths=[R]).curve[0]
    assert at_value.lower == pytest.approx(0.0, abs=1e-9)
    at_edge = dependence_sensitivity(design, estimate, confounder_share=r, strengths=[r]).curve[0]
    assert at_edge.ci_lower == pytest.approx(0.0, abs=1e-9)
    needed = dependence_sensitivity(design, estimate, strengths=[found.needed]).curve[0]
    assert needed.ci_lower == pytest.approx(0.0, abs=1e-9)
    assert 0 < r < R < 1


def test_robustness_value_of_the_source_paper() -> None:
    # Cinelli & Hazlett (2020), table 1 (Darfur): t = 4.18, df = 783, robustness value 13.9 %
    design, _ = with_confounder(3, leak=0.0)
    t, df = 4.18, 783
    f = t / math.sqrt(df)
    assert 0.5 * (math.sqrt(f**4 + 4 * f**2) - f**2) == pytest.approx(0.139, abs=5e-4)
    estimate = TSLS.fit(design)
    free = design.partialled.n_samples - 3
    scaled = replace(estimate, estimate=t, std_error=math.sqrt(df / free))
    assert dependence_sensitivity(design, scaled).robustness_value == pytest.approx(0.139, abs=5e-4)


def test_without_dependence_the_interval_is_the_estimates() -> None:
    design, _ = with_confounder(4, leak=0.0)
    estimate = TSLS.fit(design)
    first, *rest = dependence_sensitivity(design, estimate, confounder_share=0.0, strengths=[0.0, 0.1]).curve
    assert (first.lower, first.upper) == (estimate.estimate, estimate.estimate)
    assert first.ci_lower == pytest.approx(estimate.confidence_set.lower)
    assert first.ci_upper == pytest.approx(estimate.confidence_set.upper)
    assert rest[0].lower == estimate.estimate  # a confounder that does not touch the outcome does no harm


def test_the_confounded_part_is_the_yardstick(linear_study) -> None:
    study = linear_study(1, n=4_000)
    latent = invarmr.StationaryInstruments(n_latent=2).fit(study.cohort, seed=1)
    design = invarmr.IVDesign.from_cohort(study.cohort, latent)
    estimate = invarmr.LimitedInformationML().fit(design)
    found = dependence_sensitivity(design, estimate)
    u = study.cohort.outcome - estimate.estimate * study.cohort.exposure
    V = np.column_stack([np.ones(len(u)), latent.confounded_part])
    residual = u - V @ np.linalg.lstsq(V, u, rcond=None)[0]
    assert found.confounder_share == pytest.approx(1 - residual.var() / u.var(), rel=1e-6)
    given = invarmr.IVDesign.from_cohort(study.cohort, latent, partial_confounded=True)
    assert dependence_sensitivity(given, invarmr.LimitedInformationML().fit(given)).confounder_share == 0.5
    lengths = [point.ci_upper - point.ci_lower for point in found.curve]
    assert lengths == sorted(lengths)
    assert str(found).count("\n") == len(found.curve)


def test_the_row_says_what_would_change_the_conclusion(linear_study) -> None:
    cohort = linear_study(1, n=2_000).cohort
    latent = invarmr.StationaryInstruments(n_latent=2).fit(cohort, seed=1)
    design = invarmr.IVDesign.from_cohort(cohort, latent)
    check = robustness_check(design, invarmr.LimitedInformationML().fit(design))
    assert "would bring the 95 % set to no effect" in check.conclusion
    assert 0 < check.statistic < 1
    nothing = linear_study(1, n=2_000, effect=0.0).cohort
    null_design = invarmr.IVDesign.from_cohort(nothing, latent)
    null = robustness_check(null_design, invarmr.LimitedInformationML().fit(null_design))
    assert (null.statistic, null.conclusion) == (0.0, "the 95 % set contains no effect already")
    ols = robustness_check(design, invarmr.OrdinaryLeastSquares().fit(design))
    assert not ols.applies


def test_wrong_shares_are_named(linear_study) -> None:
    design, _ = with_confounder(1, leak=0.0)
    estimate = TSLS.fit(design)
    with pytest.raises(InputError, match="confounder_share must lie between 0 and 1, but is 2"):
        dependence_sensitivity(design, estimate, confounder_share=2.0)
    with pytest.raises(InputError, match="strengths must lie between 0 and below 1, but one is 1"):
        dependence_sensitivity(design, estimate, strengths=[0.1, 1.0])
    with pytest.raises(InputError, match="not least squares"):
        dependence_sensitivity(design, invarmr.OrdinaryLeastSquares().fit(design))
