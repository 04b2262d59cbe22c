from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import invarmr


@pytest.fixture(scope="module")
def study(linear_study):
    return linear_study(3, environments=3, n=2_000, asymmetric=True, cluster=np.arange(6_000) // 5)


@pytest.fixture(scope="module")
def latent(study):
    return invarmr.StationaryInstruments().fit(study.cohort, seed=1)


def names(found: invarmr.Diagnostics) -> list[str]:
    return [check.test for check in found.checks]


def test_all_that_applies_to_learned_instruments(study, latent) -> None:
    design = invarmr.IVDesign.from_cohort(study.cohort, latent)
    fitted = invarmr.LimitedInformationML().fit(design)
    found = invarmr.diagnose(design, fitted, n_permutations=19)
    assert found.verdict.status == "identified"
    assert names(found)[:3] == ["first-stage F", "partial R2", "Sargan J"]
    assert names(found)[-1] == "Cochran Q over environments"
    assert sum("permutation" in name for name in names(found)) == 4
    assert sum("held-out" in name for name in names(found)) == 3
    assert [item.instrument_set for item in found.balance] == ["observed", "learned"]
    assert len(found.environments) == 3
    assert str(found).startswith("verdict: identified")
    assert {check.assumption for check in found.checks} == {
        *("relevance", "exclusion", "exchangeability", "invariance", "independence", "stability")
    }
    again = invarmr.diagnose(design, fitted, n_permutations=19)
    assert again.checks == found.checks


def test_held_out_moments_may_be_given(study, latent) -> None:
    design = invarmr.IVDesign.from_cohort(study.cohort, latent)
    fitted = invarmr.LimitedInformationML().fit(design)
    held_out = study.cohort.moments_of(np.flatnonzero(np.isin(latent.fold, latent.held_out)))
    given = invarmr.diagnose(design, fitted, n_permutations=9, held_out_moments=held_out)
    computed = invarmr.diagnose(design, fitted, n_permutations=9)
    np.testing.assert_allclose(given.balance[1].r2_environment, computed.balance[1].r2_environment)


def test_robust_and_clustered_estimates_get_hansen(study, latent) -> None:
    for std_errors in ("robust", "clustered"):
        design = invarmr.IVDesign.from_cohort(study.cohort, latent)
        fitted = invarmr.TwoStageLeastSquares(std_errors=std_errors).fit(design)
        assert names(invarmr.diagnose(design, fitted, n_permutations=9))[2] == "Hansen J"


@pytest.mark.parametrize("estimator", [invarmr.OrdinaryLeastSquares(), invarmr.TwoStageLeastSquares()])
def test_observed_instruments_and_scores_are_never_identified(study, estimator) -> None:
    score = invarmr.AlleleScore().fit(study.cohort)
    for learned in (None, score):
        design = invarmr.IVDesign.from_cohort(study.cohort, learned)
        found = invarmr.diagnose(design, estimator.fit(design), n_permutations=9)
        assert found.verdict.status == "not identified"
        assert found.balance == ()
        assert not any("permutation" in name for name in names(found))


def test_confounded_instruments_forced_in_are_rejected(study) -> None:
    forced = invarmr.StationaryInstruments(n_latent=4).fit(study.cohort, seed=1)
    design = invarmr.IVDesign.from_cohort(study.cohort, forced)
    found = invarmr.diagnose(design, invarmr.LimitedInformationML().fit(design), n_permutations=9)
    assert found.verdict.status == "rejected"


def test_moments_alone_and_people_without_folds(study, latent) -> None:
    design = invarmr.IVDesign.from_cohort(study.cohort, latent)
    fitted = invarmr.LimitedInformationML().fit(design)
    by_moments = invarmr.diagnose(replace(design, cohort=None), fitted)
    assert by_moments.verdict.status == "identified"
    assert by_moments.balance == ()
    unfolded = replace(latent, fold=None, path=())
    found = invarmr.diagnose(replace(design, latent=unfolded), fitted, n_permutations=9)
    assert any("nobody was held out" in check.reason for check in found.checks)
    assert len(found.balance) == 2
