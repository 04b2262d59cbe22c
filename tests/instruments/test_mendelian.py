"""Mendelian instruments: exact against other tools, exact with missing calls, and blind to what parents are."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from linearmodels.iv import IV2SLS, IVLIML

import invarmr
from invarmr.data.families import Deviations, Families
from invarmr.data.family_design import family_design, people_in_families
from invarmr.errors import InputError
from invarmr.instruments.mendelian import MendelianInstruments
from invarmr.instruments.registry import build_learner


def cohort_of(n_trios, sizes, *, seed=1, d=4, missing=0.0, effect=0.5):
    """Trios and sibships with parents who act on both traits; everybody's calls, NaN where missing."""
    rng = np.random.default_rng(seed)
    couples = np.concatenate([np.arange(n_trios), n_trios + np.repeat(np.arange(len(sizes)), sizes)]).astype(int)
    parents = rng.integers(0, 3, (2, n_trios + len(sizes), d)).astype(float)
    child = rng.binomial(1, parents[:, couples] / 2).sum(axis=0).astype(float)
    family = parents.sum(axis=0) @ np.full(d, 0.5) + rng.normal(size=parents.shape[1])
    exposure = child @ np.linspace(0.5, 1, d) + family[couples] + rng.normal(size=len(child))
    outcome = effect * exposure + 2 * family[couples] + rng.normal(size=len(child))
    people = [f"c{k}" for k in range(len(child))]
    names = [f"{who}{k}" for who in "mf" for k in range(n_trios)]
    trio = couples < n_trios
    pedigree = invarmr.Pedigree.from_columns(
        people,
        mother=[f"m{c}" if t else "0" for c, t in zip(couples, trio, strict=True)],
        father=[f"f{c}" if t else "0" for c, t in zip(couples, trio, strict=True)],
        sibship=["" if t else f"s{c}" for c, t in zip(couples, trio, strict=True)],
    )
    cohort = invarmr.Cohort.from_arrays(
        instrument=child,
        exposure=exposure,
        outcome=outcome,
        environment=np.arange(len(child)) % 2,
        covariates=rng.normal(size=len(child)),
        sample_ids=people,
    )
    calls = np.vstack([child, parents[0, :n_trios], parents[1, :n_trios]])
    calls[rng.random(calls.shape) < missing] = np.nan
    return cohort.with_families(pedigree, calls=calls, sample_ids=people + names), parents, couples


def test_trios_agree_with_parental_genotypes_as_controls():
    cohort, parents, couples = cohort_of(400, [])
    mid = parents.sum(axis=0)[couples] / 2
    given = invarmr.Cohort.from_arrays(
        instrument=cohort.instruments.read(np.arange(400)),
        exposure=cohort.exposure,
        outcome=cohort.outcome,
        environment=cohort.environment,
        covariates=np.hstack([cohort.covariates, mid]),
        sample_ids=cohort.sample_ids,
    )
    controls = pd.DataFrame(np.column_stack([np.eye(2)[cohort.environment], cohort.covariates, mid]))
    theirs = IV2SLS(given.outcome, controls, pd.Series(given.exposure), given.instruments.read(np.arange(400))).fit()
    ours = invarmr.TwoStageLeastSquares().fit(family_design(replace(given, families=cohort.families)))
    assert ours.estimate == pytest.approx(theirs.params.iloc[-1], rel=1e-8)


@pytest.mark.parametrize("kind", [invarmr.TwoStageLeastSquares, invarmr.LimitedInformationML])
def test_sibships_agree_with_a_fixed_effect_for_each(kind):
    cohort, _, couples = cohort_of(0, [2] * 60 + [3] * 20 + [5] * 6)
    n = cohort.n_samples
    effects = pd.get_dummies(pd.Series(couples)).to_numpy(dtype=float)
    controls = np.column_stack([effects, cohort.environment, cohort.covariates])
    instruments = cohort.instruments.read(np.arange(n))
    if kind is invarmr.TwoStageLeastSquares:
        theirs = IV2SLS(cohort.outcome, controls, cohort.exposure, instruments).fit(cov_type="unadjusted")
    else:
        theirs = IVLIML(cohort.outcome, controls, cohort.exposure, instruments).fit(cov_type="unadjusted")
    ours = kind(std_errors="homoskedastic").fit(family_design(cohort))
    assert ours.estimate == pytest.approx(theirs.params.iloc[-1], rel=1e-8)
    # linearmodels divides by n, we by the rows less controls and one
    free = family_design(cohort).partialled
    scale = np.sqrt(n / (free.n_samples - free.n_controls - 1))
    if kind is invarmr.TwoStageLeastSquares:
        assert ours.std_error == pytest.approx(theirs.std_errors.iloc[-1] * scale, rel=1e-8)


def test_the_learner_and_the_design_give_the_same_estimate():
    cohort, _, _ = cohort_of(300, [2] * 100)
    plain = replace(cohort, covariates=np.zeros((cohort.n_samples, 0)), covariate_names=())
    latent = MendelianInstruments().fit(plain)
    assert latent.verdict.status == "identified"
    assert latent.latent_instrument.shape == (plain.n_samples, 4)
    by_learner = invarmr.TwoStageLeastSquares().fit(invarmr.IVDesign.from_cohort(plain, latent))
    by_rows = invarmr.TwoStageLeastSquares().fit(family_design(plain))
    # the constants differ: one for all people, or one per environment of trios
    assert by_learner.estimate == pytest.approx(by_rows.estimate, abs=0.05)
    assert isinstance(build_learner("mendelian"), MendelianInstruments)


def test_contrasts_are_orthonormal_and_leave_no_constant():
    cohort, _, _ = cohort_of(3, [2, 4, 3], d=1)
    table = cohort.families.contrasts.toarray()
    assert table.shape == (3 + 1 + 3 + 2, 3 + 9)
    assert np.allclose(table @ table.T, np.eye(9))
    assert np.allclose(table[3:].sum(axis=1), 0)


def naive(cohort, calls, people):
    families = cohort.families
    out = np.zeros((len(people), calls.shape[1]))
    for k, i in enumerate(people):
        for j in range(calls.shape[1]):
            own = calls[families.own[i], j]
            if families.mother[i] >= 0:
                value = own - (calls[families.mother[i], j] + calls[families.father[i], j]) / 2
            elif families.sibship[i] >= 0:
                members = [calls[families.own[m], j] for m in np.flatnonzero(families.sibship == families.sibship[i])]
                value = own - np.mean([c for c in members if np.isfinite(c)] or [np.nan])
            else:
                value = 0.0
            out[k, j] = value if np.isfinite(value) else 0.0
    return out


def test_deviations_with_missing_calls_are_what_they_say():
    cohort, _, _ = cohort_of(40, [2] * 10 + [3] * 10 + [1] * 5, missing=0.2)
    calls = cohort.families.calls.read(np.arange(len(cohort.sample_ids) + 80))
    people = np.arange(0, cohort.n_samples, 3)
    assert np.allclose(cohort.families.deviations(people), naive(cohort, calls, people))
    rows = np.arange(1, cohort.families.contrasts.shape[0], 2)
    everyone = naive(cohort, calls, np.arange(cohort.n_samples))
    assert np.allclose(
        Deviations(cohort.families, by_row=True).read(rows), (cohort.families.contrasts @ everyone)[rows]
    )


def test_missing_calls_do_not_let_the_parents_in():
    cohort, _, _ = cohort_of(6_000, [2] * 3_000, missing=0.1, effect=0.0)
    mendelian = invarmr.TwoStageLeastSquares().fit(family_design(cohort))
    observed = invarmr.TwoStageLeastSquares().fit(invarmr.IVDesign.from_cohort(cohort))
    assert abs(mendelian.estimate) < 4 * mendelian.std_error
    assert observed.estimate > 10 * observed.std_error


def test_counts_and_what_is_left_of_a_subset():
    cohort, _, _ = cohort_of(5, [2, 3, 1], d=1)
    assert cohort.families.counts == {"trios": 5, "sibships": 2, "siblings": 5, "duos": 0, "singletons": 1}
    fewer = cohort.families.subset(np.array([0, 1, 5, 7, 8]))
    assert fewer.counts == {"trios": 2, "sibships": 1, "siblings": 2, "duos": 0, "singletons": 1}
    left = cohort.families.without(np.arange(11) == 5)
    assert left.counts["sibships"] == 1
    assert left.counts["trios"] == 5
    assert people_in_families(cohort_of(50, [2] * 20)[0]).cluster.max() == 69


def test_one_parent_is_counted_and_not_used():
    cohort, _, _ = cohort_of(12, [], d=1)
    pedigree = invarmr.Pedigree.from_columns(["c0", "c1"], mother=["m0", "m1"], father=["f0", "0"])
    names = np.array([*cohort.sample_ids.tolist(), "m0", "m1", "f0"])
    found = Families.of(pedigree, cohort.sample_ids, cohort.families.calls, names)
    assert found.counts == {"trios": 1, "sibships": 0, "siblings": 0, "duos": 1, "singletons": 10}


def test_bad_input_is_named():
    cohort, _, _ = cohort_of(2, [2, 2] + [1] * 10)
    with pytest.raises(InputError, match="Families have 4 rows"):
        family_design(cohort)
    with pytest.raises(InputError, match="knows its families"):
        MendelianInstruments().fit([cohort.moments])
    lonely = cohort.with_families(
        invarmr.Pedigree.from_columns(["x"]), calls=np.zeros((16, 4)), sample_ids=cohort.sample_ids
    )
    with pytest.raises(InputError, match="need trios or sibships"):
        MendelianInstruments().fit(lonely)
    with pytest.raises(InputError, match="n_latent = 2 was asked for"):
        MendelianInstruments(n_latent=2).fit(cohort)
    with pytest.raises(InputError, match="calls must hold everybody"):
        cohort.with_families(invarmr.Pedigree.from_columns(["x"]), calls=np.zeros((1, 4)), sample_ids=["x"])
    with pytest.raises(InputError, match="calls must have one row"):
        cohort.with_families(invarmr.Pedigree.from_columns(["x"]), calls=np.zeros((1, 3)), sample_ids=["x"])
