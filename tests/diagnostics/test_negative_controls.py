from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import invarmr
from invarmr.diagnostics.negative_controls import ControlTrait, negative_control_checks, negative_controls
from invarmr.errors import InputError


@pytest.fixture(scope="module")
def study():
    """Three sites; ancestry confounds the first instrument; a tan that follows ancestry, a toe that follows nothing."""
    rng = np.random.default_rng(5)
    n = 3_000
    site = np.arange(n) % 3
    ancestry = rng.normal(size=n) * (1 + 0.5 * site) + site
    Z = rng.normal(size=(n, 3))
    Z[:, 0] += ancestry
    D = Z.sum(axis=1) + ancestry + rng.normal(size=n)
    cohort = invarmr.Cohort.from_arrays(
        instrument=Z,
        exposure=D,
        outcome=0.5 * D + ancestry + rng.normal(size=n),
        environment=site,
        covariates=rng.normal(size=n),
        components=ancestry + 0.1 * rng.normal(size=n),
    )
    tan, toe = ancestry + rng.normal(size=n), rng.normal(size=n)
    missing = toe.copy()
    missing[::7] = np.nan
    return cohort, tan, toe, missing


def traits(study):
    _, tan, toe, missing = study
    return [
        ControlTrait("tan", "outcome", tan),
        ControlTrait("toe", "outcome", missing),
        ControlTrait("diet", "exposure", tan),
        ControlTrait("shoe", "exposure", toe),
    ]


def plain(cohort, rows, exposure, outcome, kind, **how):
    part = invarmr.Cohort.from_arrays(
        instrument=cohort.instruments.read(rows),
        exposure=exposure[rows],
        outcome=outcome[rows],
        environment=cohort.environment[rows],
        covariates=cohort.covariates[rows],
        components=cohort.components[rows],
    )
    return kind.fit(invarmr.IVDesign.from_cohort(part, **how))


def test_every_row_is_a_plain_fit_on_the_people_who_have_the_control(study):
    cohort, tan, toe, missing = study
    rows = negative_controls(cohort, traits(study), headline="observed+environment")
    sets = ["none", "observed", "observed+environment", "observed+pcs"]
    assert [(row.control, row.estimate.instruments) for row in rows] == [
        (name, label) for name in ("tan", "diet", "shoe", "toe") for label in sets
    ]
    how = {
        "none": {}, "observed": {}, "observed+environment": {"environment_effects": True},
        "observed+pcs": {"controls": ("covariates", "components")},
    }  # fmt: skip
    for row in rows:
        values = {"tan": tan, "diet": tan, "shoe": toe, "toe": missing}[row.control]
        people = np.flatnonzero(np.isfinite(values))
        label = row.estimate.instruments
        kind = invarmr.OrdinaryLeastSquares() if label == "none" else invarmr.LimitedInformationML()
        pair = (cohort.exposure, values) if row.role == "outcome" else (values, cohort.outcome)
        wanted = plain(cohort, people, *pair, kind, **how[label])
        assert row.estimate.estimate == pytest.approx(wanted.estimate, rel=1e-8)
        assert row.estimate.std_error == pytest.approx(wanted.std_error, rel=1e-8)
        assert row.estimate.n_samples == len(people)
        assert row.headline == (label == "observed+environment")
        assert (row.joint is None) == (label == "none")


def test_the_joint_test_is_the_f_test_of_the_control_on_the_instruments(study):
    cohort, tan, *_ = study
    rows = negative_controls(cohort, traits(study)[:1])
    found = next(row.joint for row in rows if row.estimate.instruments == "observed")
    X = np.column_stack([np.ones(3_000), cohort.covariates])
    Z = cohort.instruments.read(np.arange(3_000))
    full, none = (np.linalg.lstsq(A, tan, rcond=None)[1][0] for A in (np.hstack([X, Z]), X))
    f = (none - full) / 3 / (full / (3_000 - 5))
    assert found.statistic == pytest.approx(f)
    assert found.p_value == pytest.approx(stats.f.sf(f, 3, 2995))


def test_confounded_instruments_are_seen_and_learned_ones_pass(study):
    cohort = study[0]
    latent = invarmr.StationaryInstruments().fit(cohort, seed=1)
    rows = negative_controls(cohort, traits(study), latent=latent, headline="learned")
    joint = {(row.control, row.estimate.instruments): row.joint.p_value for row in rows if row.joint is not None}
    effect = {(row.control, row.estimate.instruments): row.estimate for row in rows}
    for control in ("tan", "diet"):
        assert joint[control, "observed"] < 1e-20
        assert joint[control, "learned"] > 0.001
    assert abs(effect["tan", "observed"].estimate) > 10 * effect["tan", "observed"].std_error
    assert abs(effect["tan", "learned"].estimate) < 4 * effect["tan", "learned"].std_error
    assert joint["shoe", "observed"] > 0.001
    assert {label for _, label in effect} >= {"learned", "learned+environment"}
    checks = negative_control_checks(rows)
    assert [check.test for check in checks] == [
        "negative-control outcome tan", "negative-control exposure diet", "negative-control exposure shoe",
        "negative-control outcome toe",
    ]  # fmt: skip
    assert checks[0].conclusion == "the instruments do not detectably predict tan"
    assert "expected 0" in checks[0].reason
    found = negative_control_checks(negative_controls(cohort, traits(study), headline="observed"))
    assert found[0].conclusion == "the instruments predict tan"
    assert found[1].null.endswith("which is no cause of the outcome")


def test_an_environment_without_the_control_is_left_out(study):
    cohort, tan, *_ = study
    values = np.where(cohort.environment == 2, np.nan, tan)
    latent = invarmr.StationaryInstruments().fit(cohort, seed=1)
    rows = negative_controls(cohort, [ControlTrait("tan", "outcome", values)], latent=latent)
    assert {row.estimate.n_samples for row in rows} == {2_000}
    one = np.where(cohort.environment == 0, tan, np.nan)
    labels = {row.estimate.instruments for row in negative_controls(cohort, [ControlTrait("tan", "outcome", one)])}
    assert labels == {"none", "observed", "observed+pcs"}


def test_what_cannot_be_used(study):
    cohort = study[0]
    with pytest.raises(InputError, match="x must have 3000 values, one per sample, but has 5"):
        negative_controls(cohort, [ControlTrait("x", "outcome", np.arange(5.0))])
    for flat in (np.ones(3_000), np.full(3_000, np.nan)):
        with pytest.raises(InputError, match="negative control x must vary"):
            negative_controls(cohort, [ControlTrait("x", "outcome", flat)])
    same = negative_controls(cohort, [ControlTrait("again", "outcome", 2 * cohort.exposure)])
    assert same == ()  # an exact multiple of the exposure has no error
    assert negative_controls(cohort, []) == ()
