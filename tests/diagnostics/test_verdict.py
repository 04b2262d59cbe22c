from __future__ import annotations

import numpy as np
import pytest

from invarmr.data.latent_instruments import DimensionStep, LatentInstruments
from invarmr.diagnostics.check import Check, not_applicable
from invarmr.diagnostics.verdict import judge


def latent(*, p: int = 2, q: int = 2, saturated: bool = False, rejected: bool = False) -> LatentInstruments:
    step = DimensionStep(p, 0.5, 0.5, 0.5, 0.001 if rejected else 0.4, rejected, "means of two directions differ")
    return LatentInstruments(
        learner="stationary",
        instrument_names=tuple("abcd"),
        center=np.zeros(4),
        loadings=np.eye(4)[:, :p],
        confounded_loadings=np.eye(4)[:, p : p + q],
        eigenvalues=np.zeros(4),
        path=(step,),
        saturated=saturated,
        shift_rank=1,
    )


def checks(*, f: float = 50.0, j: float | None = 0.3, q: float | None = 0.4) -> list[Check]:
    def tested(assumption, test, p):
        if p is None:
            return not_applicable(assumption, test, "a null", "a reason")
        return Check(
            assumption=assumption,
            test=test,
            null="a null",
            statistic=1.0,
            p_value=p,
            role="decides",
            conclusion=f"said {test}",
        )

    strength = Check(
        assumption="relevance",
        test="first-stage F",
        null="n",
        statistic=f,
        p_value=0.0,
        role="decides",
        conclusion="strength is f",
    )
    return [strength, tested("exclusion", "Sargan J", j), tested("stability", "Cochran Q over environments", q)]


@pytest.mark.parametrize(
    ("learned", "tests", "status"),
    [
        ({}, {}, "identified"),
        ({}, {"j": None, "q": None}, "identified"),
        ({}, {"f": 9.9}, "weak"),
        ({}, {"f": 10.0}, "identified"),
        ({}, {"j": 0.0099}, "rejected"),
        ({}, {"j": 0.0101}, "identified"),
        ({}, {"q": 1e-6}, "rejected"),
        ({"q": 0}, {}, "not identified"),
        ({"saturated": True}, {}, "not identified"),
        ({"rejected": True}, {}, "rejected"),
        # precedence: rejected over not identified over weak over identified
        ({"saturated": True}, {"f": 1.0}, "not identified"),
        ({"saturated": True}, {"j": 1e-9, "f": 1.0}, "rejected"),
        ({"rejected": True, "saturated": True}, {"f": 1.0}, "rejected"),
        ({}, {"j": 1e-9, "f": 1.0}, "rejected"),
    ],
)
def test_status(learned, tests, status) -> None:
    verdict = judge(latent(**learned), checks(**tests))
    assert verdict.status == status
    assert verdict.interpretable == (status in ("identified", "weak"))
    assert verdict.reasons
    assert all(reason.endswith(".") for reason in verdict.reasons)


def test_the_deciding_reason_comes_first() -> None:
    assert judge(latent(), checks(j=1e-9)).reasons[0].startswith("Said Sargan J (Sargan J, p = 1e-09)")
    first, second = judge(latent(rejected=True), checks(j=1e-9)).reasons
    assert "not invariant: means of two directions differ" in first
    assert "Sargan J" in second
    assert "first-stage F 3.0" in judge(latent(), checks(f=3.0)).reasons[0]


def test_hansen_rejects_too() -> None:
    hansen = Check(assumption="exclusion", test="Hansen J", null="n", p_value=0.001, role="decides", conclusion="c")
    assert judge(latent(), [*checks(), hansen]).status == "rejected"


def test_what_passed_is_said() -> None:
    reasons = " ".join(judge(latent(), checks()).reasons)
    for words in ("2 directions of the instruments", "Strength is f.", "Said Sargan J (Sargan J, p = 0.3)."):
        assert words in reasons
    assert "Sargan" not in " ".join(judge(latent(), checks(j=None)).reasons)


def test_nothing_was_learned() -> None:
    verdict = judge(None, checks())
    assert verdict.status == "not identified"
    assert "No instruments were learned" in verdict.reasons[0]


def test_wording_of_one_and_many() -> None:
    assert "1 direction of the instruments" in latent(q=1).verdict.reasons[0]
    assert "was set aside" in latent(q=1).verdict.reasons[0]
    assert latent(p=0).verdict.status == "rejected"
