from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

import invarmr


def test_every_name_opens_and_is_documented() -> None:
    for name in invarmr.__all__:
        thing = getattr(invarmr, name)
        if name != "__version__":
            assert inspect.getdoc(thing), name
    assert dir(invarmr) == sorted(invarmr.__all__)
    assert len(set(invarmr.__all__)) == len(invarmr.__all__) <= 56


def test_no_other_name_does() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = invarmr.nothing


def test_importing_loads_nothing_heavy() -> None:
    program = (
        "import sys, invarmr; print(sorted({'torch', 'matplotlib', 'polars', 'pandas', 'scipy'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_the_flow_in_five_lines() -> None:
    import numpy as np

    generator = np.random.default_rng(0)
    site = np.repeat(["a", "b"], 2_000)
    confounder = generator.normal(2.0 * (site == "b"))
    confounded = generator.normal(size=4_000) + (1 + (site == "b")) * confounder
    valid = generator.normal(size=4_000)
    exposure = valid + confounded + confounder + generator.normal(size=4_000)
    cohort = invarmr.Cohort.from_arrays(
        instrument=np.column_stack([valid + confounded, valid - confounded]),
        exposure=exposure,
        outcome=0.5 * exposure + 2 * confounder + generator.normal(size=4_000),
        environment=site,
    )
    latent = invarmr.StationaryInstruments().fit(cohort, seed=1)
    learned, observed = (invarmr.IVDesign.from_cohort(cohort, item) for item in (latent, None))
    estimate = invarmr.LimitedInformationML().fit(learned)
    assert 0.5 in estimate.confidence_set
    assert 0.5 not in invarmr.LimitedInformationML().fit(observed).confidence_set
    assert invarmr.diagnose(learned, estimate, n_permutations=19).verdict.status == "identified"
