"""The verdict reads what a test decides, never what it is called."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

import invarmr
from invarmr.data.latent_instruments import LatentInstruments
from invarmr.diagnostics.check import Check
from invarmr.diagnostics.stability import environment_estimates, heterogeneity_check
from invarmr.diagnostics.verdict import judge

LATENT = LatentInstruments(
    learner="stationary",
    instrument_names=tuple("abcd"),
    center=np.zeros(4),
    loadings=np.eye(4)[:, :2],
    confounded_loadings=np.eye(4)[:, 2:],
    eigenvalues=np.zeros(4),
    shift_rank=1,
)


def failed(name: str, **more: object) -> Check:
    return Check(assumption="exclusion", test=name, null="n", statistic=1.0, p_value=1e-9, conclusion="c", **more)


def test_no_test_escapes_by_its_name() -> None:
    for name in ("Sargan J", "a test nobody has heard of", "Sargan J (described only)"):
        assert judge(LATENT, [failed(name, role="decides")]).status == "rejected"
        assert judge(LATENT, [failed(name)]).status == "identified"


def test_every_over_identification_test_counts_as_one() -> None:
    weak = Check(assumption="relevance", test="F", null="n", statistic=3.0, p_value=0.1, conclusion="c", role="decides")
    passed = replace(failed("Hansen J", role="decides"), p_value=0.5)
    assert "could not be tested" in judge(LATENT, [weak]).reasons[0]
    assert "No test of the assumptions failed" in judge(LATENT, [weak, passed]).reasons[0]


def test_what_is_described_only_keeps_its_name(linear_study) -> None:
    study = linear_study(3, environments=3, n=2_000, asymmetric=True)
    found = environment_estimates(invarmr.IVDesign.from_cohort(study.cohort), invarmr.TwoStageLeastSquares())
    plain, described = heterogeneity_check(found), heterogeneity_check(found, described_only="risks differ")
    assert (plain.role, described.role) == ("decides", "describes")
    assert plain.test == described.test
    assert described.reason.startswith("described only, not in the verdict: risks differ")
