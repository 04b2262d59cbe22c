"""The referee: variances are those of the field's formulas, size and power as stated, the combination never wider."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from linearmodels.iv import IV2SLS

import invarmr
from invarmr.data.family_design import family_design
from invarmr.data.latent_instruments import Verdict
from invarmr.diagnostics.check import Check
from invarmr.diagnostics.referee import Referee, combined, judge_with_families, mendelian_verdict, referee
from invarmr.errors import InputError
from invarmr.estimators.influence import influence
from invarmr.inference.null_law import ChiSquared


def arrays(n=400, d=20, seed=1):
    rng = np.random.default_rng(seed)
    Z, h = rng.normal(size=(n, d)), rng.normal(size=n)
    D = Z @ np.full(d, 0.15) + h + rng.normal(size=n)
    return Z, D, 0.3 * D + h + rng.normal(size=n)


def cohort_of(Z, D, Y):
    return invarmr.Cohort.from_arrays(instrument=Z, exposure=D, outcome=Y, environment=np.arange(len(D)) % 2)


def test_clustered_two_stage_least_squares_is_that_of_linearmodels():
    Z, D, Y = arrays()
    group = np.arange(400) // 3
    ours = influence(invarmr.IVDesign.from_cohort(cohort_of(Z, D, Y)), invarmr.TwoStageLeastSquares(), group)
    theirs = IV2SLS(Y, np.ones(400), pd.Series(D), Z).fit(cov_type="clustered", clusters=group, debiased=False)
    scale = np.sqrt(400 / 398 * 134 / 133)  # our small-sample factor: n / (n - c - 1) and G / (G - 1)
    assert ours.estimate.std_error == pytest.approx(theirs.std_errors.iloc[-1] * scale, rel=1e-8)


def test_liml_has_the_many_instrument_variance_where_rows_are_independent():
    Z, D, Y = arrays(n=40_000, d=200)
    design = invarmr.IVDesign.from_cohort(cohort_of(Z, D, Y))
    ours = influence(design, invarmr.LimitedInformationML(), np.arange(40_000))
    bekker = invarmr.LimitedInformationML(std_errors="many-instrument").fit(design)
    assert ours.estimate.std_error == pytest.approx(bekker.std_error, rel=0.02)
    assert abs(ours.sums.sum()) < 1e-6  # the contributions are the estimating equation


def test_contributions_are_the_change_when_a_row_counts_more():
    n = 4_000
    Z, D, Y = arrays(n=n, d=1)
    base = influence(invarmr.IVDesign.from_cohort(cohort_of(Z, D, Y)), invarmr.TwoStageLeastSquares(), np.arange(n))
    changes = []
    for i in range(30):
        again = [np.concatenate([values, values[i : i + 1]]) for values in (Z, D, Y)]
        more = invarmr.TwoStageLeastSquares().fit(invarmr.IVDesign.from_cohort(cohort_of(*again)))
        changes.append(more.estimate - base.estimate.estimate)
    expected = base.sums[:30]
    assert np.corrcoef(changes, expected)[0, 1] > 0.995
    assert np.polyfit(expected, changes, 1)[0] == pytest.approx(1.0, abs=0.03)


def families(n=1_000, dynasty=0.0, seed=1, d=8):
    rng = np.random.default_rng(seed)
    parents = rng.integers(0, 3, (2, n, d)).astype(float)
    child = rng.binomial(1, parents / 2).sum(axis=0)
    home = dynasty * parents.sum(axis=(0, 2))
    D = 0.5 * child.sum(axis=1) + rng.normal(size=n)
    Y = 0.2 * D + home + rng.normal(size=n)
    names = [f"{who}{k}" for who in "mf" for k in range(n)]
    cohort = cohort_of(child, D, Y)
    pedigree = invarmr.Pedigree.from_columns(cohort.sample_ids, mother=names[:n], father=names[n:])
    return cohort.with_families(pedigree, calls=np.vstack([child, *parents]), sample_ids=[*cohort.sample_ids, *names])


def both(cohort):
    liml, groups = invarmr.LimitedInformationML(), cohort.families.family
    n_groups = int(groups.max()) + 1
    observed = influence(invarmr.IVDesign.from_cohort(cohort), liml, groups, n_groups=n_groups)
    return observed, influence(family_design(cohort), liml, cohort.families.row_family, n_groups=n_groups)


def test_size_and_power_are_as_stated():
    null = [referee(*both(families(seed=s)), compared="observed", level=0.05) for s in range(120)]
    # 99.9 % band of a binomial of 120 at 0.05
    assert sum(item.rejects for item in null) <= 15
    spread = np.std([item.difference for item in null])
    assert spread == pytest.approx(np.mean([item.std_error for item in null]), rel=0.25)
    biased = [referee(*both(families(dynasty=0.06, seed=s)), compared="observed") for s in range(40)]
    bias = np.mean([item.difference for item in biased])
    stated = np.mean([item.power(bias) for item in biased])
    assert abs(np.mean([item.rejects for item in biased]) - stated) < 3.3 * np.sqrt(
        max(stated * (1 - stated), 0.01) / 40
    )


def test_the_combination_is_never_wider():
    for seed in range(10):
        observed, mendelian = both(families(n=300, seed=seed))
        found = combined(observed, mendelian)
        assert found.std_error <= min(observed.estimate.std_error, mendelian.estimate.std_error) * (1 + 1e-12)
        assert found.instruments == "observed+mendelian"
        assert "of the better of the two" in found.note


def test_bad_comparisons_are_refused():
    observed, mendelian = both(families(n=200))
    with pytest.raises(InputError, match="nothing to compare"):
        referee(observed, observed, compared="observed")
    with pytest.raises(InputError, match="same groups only"):
        observed.covariance(replace(mendelian, sums=np.zeros(3)))
    design = invarmr.IVDesign.from_cohort(families(n=200))
    with pytest.raises(InputError, match="2SLS, LIML or Fuller"):
        influence(design, invarmr.OrdinaryLeastSquares(), np.arange(200))
    with pytest.raises(InputError, match="at least two groups"):
        influence(design, invarmr.TwoStageLeastSquares(), np.zeros(200, dtype=int))


def test_the_verdict_follows_the_referee():
    before = Verdict("identified", ("two directions were set aside.",))
    against = judge_with_families(before, [Referee("learned", 0.3, 0.05)])
    assert against.status == "rejected"
    assert "Mendelian estimate" in against.reasons[1]
    silent = judge_with_families(before, [Referee("learned", 0.03, 0.05), Referee("observed", 9.0, 0.1)])
    assert silent.status == "identified"
    assert "80 % power" in silent.reasons[-1]
    assert judge_with_families(before, [Referee("observed", 9.0, 0.1)]) is before
    assert Referee("learned", 0.3, 0.05).check().p_value < 1e-8


def test_the_mendelian_verdict():
    counts = {"trios": 5, "sibships": 2, "siblings": 4}
    about = {"null": "", "role": "decides"}
    strong = Check(assumption="relevance", test="first-stage F", statistic=40.0, conclusion="strong", **about)
    assert mendelian_verdict([strong], counts).status == "identified"
    assert "siblings on each other" in mendelian_verdict([strong], counts).reasons[-1]
    assert mendelian_verdict([replace(strong, statistic=3.0)], counts).status == "weak"
    failed = Check(assumption="exclusion", test="J", statistic=90.0, law=ChiSquared(5), conclusion="no", **about)
    assert mendelian_verdict([strong, failed], counts | {"sibships": 0}).status == "rejected"
