from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

import invarmr
from invarmr.data.summary_statistics import SummaryStatistics
from invarmr.errors import InputError

N, D = 3_000, 6
IDS = [f"rs{j}" for j in range(D)]
ALLELES = pl.DataFrame({"variant": IDS, "effect_allele": "A", "other_allele": "G"})


@pytest.fixture(scope="module")
def cohort() -> invarmr.Cohort:
    """Three sites with frequencies of their own, linked variants, people confounded by site and within it."""
    rng = np.random.default_rng(4)
    site = np.arange(N) % 3
    ancestry = np.clip(0.2 + 0.3 * site + 0.15 * rng.normal(size=N), 0, 1)
    f = 0.3 + np.outer(ancestry, [0.3, -0.2, 0.25, 0.0, 0.0, 0.0])
    haplotypes = rng.random((2, N, D)) < f
    haplotypes[:, :, 4] |= haplotypes[:, :, 3] & (rng.random((2, N)) < 0.4)  # linked
    Z = haplotypes.sum(axis=0).astype(float)
    D_ = Z @ np.linspace(0.2, 0.5, D) + 2 * ancestry + rng.normal(size=N)
    Y = 0.5 * D_ + 2 * ancestry + rng.normal(size=N) + 3
    return invarmr.Cohort.from_arrays(
        instrument=Z,
        exposure=D_,
        outcome=Y,
        environment=np.array(["a", "b", "c"])[site],
        instrument_names=IDS,
        instrument_kind="genotype",
    )


def summaries(cohort: invarmr.Cohort) -> dict[str, invarmr.EnvironmentSummary]:
    """What each site would publish: two tables, LD, and means, variances and the correlation of the traits."""
    out = {}
    for e, label in enumerate(cohort.environments):
        rows = np.flatnonzero(cohort.environment == e)
        x, y = cohort.exposure[rows], cohort.outcome[rows]
        out[label] = invarmr.EnvironmentSummary(
            exposure=invarmr.associate(cohort, "exposure", environment=label, variants=ALLELES),
            outcome=invarmr.associate(cohort, "outcome", environment=label, variants=ALLELES),
            correlation=np.corrcoef(cohort.instruments.read(rows).T),
            trait_correlation=float(np.corrcoef(x, y)[0, 1]),
            exposure_variance=float(x.var(ddof=1)),
            exposure_mean=float(x.mean()),
            outcome_mean=float(y.mean()),
        )
    return out


def close(found: invarmr.EnvironmentMoments, wanted: invarmr.EnvironmentMoments, tolerance: float) -> None:
    assert found.columns == wanted.columns
    assert found.environments == wanted.environments
    np.testing.assert_array_equal(found.n_samples, wanted.n_samples)
    np.testing.assert_allclose(found.mean, wanted.mean, rtol=tolerance)
    scale = np.sqrt(np.einsum("ejj->ej", wanted.crossproduct))
    gap = (found.crossproduct - wanted.crossproduct) / scale[:, :, None] / scale[:, None, :]
    assert np.abs(gap).max() < tolerance


def test_the_moments_of_the_same_people_come_back(cohort):
    close(invarmr.moments_from_summary(summaries(cohort)), cohort.moments, 1e-10)


def test_every_source_of_the_variances_gives_the_same_moments(cohort):
    genotype, outcome = {}, {}
    for e, (label, item) in enumerate(summaries(cohort).items()):
        rows = np.flatnonzero(cohort.environment == e)
        variance = cohort.instruments.read(rows).var(axis=0, ddof=1)
        genotype[label] = replace(item, genotype_variance=variance, exposure_variance=None)
        y = float(cohort.outcome[rows].var(ddof=1))
        outcome[label] = replace(item, exposure_variance=None, outcome_variance=y)
    close(invarmr.moments_from_summary(genotype), cohort.moments, 1e-10)
    close(invarmr.moments_from_summary(outcome), cohort.moments, 1e-10)


def test_hardy_weinberg_proportions_are_the_last_resort(cohort):
    alone = {label: replace(item, exposure_variance=None) for label, item in summaries(cohort).items()}
    close(invarmr.moments_from_summary(alone), cohort.moments, 0.12)  # people admixed within sites vary more
    with pytest.raises(AssertionError):
        close(invarmr.moments_from_summary(alone), cohort.moments, 1e-6)


def test_learning_and_estimating_agree_with_the_people(cohort):
    moments = invarmr.moments_from_summary(summaries(cohort))
    learner = invarmr.StationaryInstruments(n_latent=5, scale_within_environment=True)
    from_people, from_summary = learner.fit(cohort, seed=1), learner.fit(moments, seed=1)
    np.testing.assert_allclose(from_summary.loadings, from_people.loadings, atol=1e-6)
    np.testing.assert_allclose(from_summary.eigenvalues, from_people.eigenvalues, atol=1e-6)
    kinds = [invarmr.OrdinaryLeastSquares(), invarmr.TwoStageLeastSquares(), invarmr.Fuller()]
    kinds.append(invarmr.LimitedInformationML())
    for latent, people_latent in ((None, None), (from_summary, from_people)):
        for effects in (False, True):
            a = invarmr.IVDesign.from_moments(moments, latent, environment_effects=effects)
            b = invarmr.IVDesign.from_cohort(cohort, people_latent, environment_effects=effects)
            assert a.instrument_set == b.instrument_set
            for kind in kinds:
                one, two = kind.fit(a), kind.fit(b)
                assert one.estimate == pytest.approx(two.estimate, abs=1e-6)
                assert one.std_error == pytest.approx(two.std_error, rel=1e-6)
                assert one.p_value == pytest.approx(two.p_value, rel=1e-5)
    design = invarmr.IVDesign.from_moments(moments, from_summary)
    assert invarmr.anderson_rubin_set(design).lower == pytest.approx(
        invarmr.anderson_rubin_set(invarmr.IVDesign.from_cohort(cohort, from_people)).lower, abs=1e-6
    )
    checks = invarmr.diagnose(design, invarmr.LimitedInformationML().fit(design), latent=from_summary)
    assert checks.balance == ()
    assert any(check.test == "Sargan J" for check in checks.checks)


def test_order_of_rows_and_swapped_alleles_do_not_matter(cohort):
    given = summaries(cohort)
    order, flip = np.array([3, 0, 5, 1, 4, 2]), np.array([1, -1, 1, -1, -1, 1.0])

    def turned(table: SummaryStatistics) -> SummaryStatistics:
        sign = pl.Series(flip)
        frame = table.frame.with_columns(
            effect_allele=pl.when(sign < 0).then("other_allele").otherwise("effect_allele"),
            other_allele=pl.when(sign < 0).then("effect_allele").otherwise("other_allele"),
            beta=pl.col("beta") * sign,
            eaf=pl.when(sign < 0).then(1 - pl.col("eaf")).otherwise("eaf"),
        )
        return SummaryStatistics.from_frame(frame[order])

    b = given["b"]
    R = (np.asarray(b.correlation) * np.outer(flip, flip))[np.ix_(order, order)]
    given["b"] = replace(b, exposure=turned(b.exposure), correlation=R)
    given["c"] = replace(given["c"], outcome=turned(given["c"].outcome))
    close(invarmr.moments_from_summary(given), cohort.moments, 1e-10)


def test_covariates_are_counted_in_the_regressions(cohort):
    rows = np.flatnonzero(cohort.environment == 0)
    rng = np.random.default_rng(0)
    C = rng.normal(size=(len(rows), 40)) + cohort.instruments.read(rows)[:, :1]
    Z, x, y = cohort.instruments.read(rows), cohort.exposure[rows], cohort.outcome[rows]
    people = invarmr.Cohort.from_arrays(
        instrument=Z, exposure=x, outcome=y, environment=np.arange(len(rows)) % 2, covariates=C,
        instrument_names=IDS, instrument_kind="genotype",
    )  # fmt: skip
    part = people.moments_of(np.flatnonzero(people.environment == 0))
    members = np.flatnonzero(people.environment == 0)
    one = np.column_stack([np.ones(len(members)), C[members]])

    def given_c(a: np.ndarray) -> np.ndarray:
        return a[members] - one @ np.linalg.lstsq(one, a[members], rcond=None)[0]

    z_, x_, y_ = given_c(Z), given_c(x), given_c(y)
    summary = invarmr.EnvironmentSummary(
        exposure=invarmr.associate(people, "exposure", environment="0", variants=ALLELES),
        outcome=invarmr.associate(people, "outcome", environment="0", variants=ALLELES),
        correlation=np.corrcoef(z_.T),
        trait_correlation=float(np.corrcoef(x_, y_)[0, 1]),
        genotype_variance=z_.var(axis=0, ddof=1),
        n_covariates=40,
    )
    found = invarmr.moments_from_summary({"0": summary})
    everything = np.column_stack([z_, x_, y_])
    np.testing.assert_allclose(found.crossproduct[0], everything.T @ everything, rtol=1e-8, atol=1e-6)
    assert found.n_total == part.n_samples[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"correlation": np.eye(5)}, "b: the LD matrix must be 6 x 6, one row and column per variant"),
        ({"correlation": np.eye(6) * 0.5}, "symmetric with ones on its diagonal"),
        ({"correlation": np.triu(np.ones((6, 6)))}, "symmetric with ones"),
        ({"correlation": np.where(np.eye(6), 1.0, -0.9)}, "positive semidefinite, but its smallest eigenvalue is -3.5"),
        ({"correlation": np.full((6, 6), "high")}, "b: correlation must be numeric"),
        ({"correlation": np.where(np.eye(6), 1.0, 0.99)}, "no people can have these associations"),
        ({"trait_correlation": 1.5}, "between -1 and 1, but is 1.5"),
        ({"exposure_variance": -1.0}, "every variant must vary, but 6 do not"),
        ({"n_samples": 1}, "more people than covariates are required, but n is 1"),
    ],
)
def test_what_cannot_be_is_refused(cohort, change, message):
    given = summaries(cohort)
    given["b"] = replace(given["b"], **change)
    with pytest.raises(InputError, match=message):
        invarmr.moments_from_summary(given)


@pytest.mark.parametrize(
    ("role", "change", "message"),
    [
        ("outcome", lambda t: t.head(5), r"b, outcome: the same 6 variants are required .* 1 are missing \(rs5\)"),
        ("exposure", lambda t: t.with_columns(effect_allele=pl.lit("T")), "Harmonise the tables first"),
        ("exposure", lambda t: t.with_columns(ncase=5.0, ncontrol=9.0), "there are log odds ratios"),
        (
            "outcome",
            lambda t: t.with_columns(beta=pl.lit(None, pl.Float64), se=pl.lit(None, pl.Float64)),
            "every variant needs an association, but rs0",
        ),
        ("exposure", lambda t: t.with_columns(eaf=pl.lit(None, pl.Float64)), "6 variants have no eaf"),
        ("exposure", lambda t: t.with_columns(samplesize=pl.lit(None, pl.Float64)), "number of people is required"),
        ("exposure", lambda t: pl.concat([t, t.with_columns(id=pl.lit("again"))]), "a variant more than once"),
    ],
)
def test_tables_that_do_not_fit_are_refused(cohort, role, change, message):
    given = summaries(cohort)
    table = SummaryStatistics.from_frame(change(getattr(given["b"], role).frame))
    given["b"] = replace(given["b"], **{role: table})
    with pytest.raises(InputError, match=message):
        invarmr.moments_from_summary(given)
    with pytest.raises(InputError, match="At least one environment"):
        invarmr.moments_from_summary({})


def test_a_design_on_other_instruments_is_refused(cohort):
    moments = invarmr.moments_from_summary(summaries(cohort))
    latent = invarmr.StationaryInstruments(n_latent=3).fit(moments, seed=1)
    other = moments.select(np.array([0, 1, 2, 6, 7]))
    with pytest.raises(InputError, match=r"6 instruments that were learned from .* but have 3"):
        invarmr.IVDesign.from_moments(other, latent)
    with pytest.raises(InputError, match="No latent instrument was found"):
        invarmr.IVDesign.from_moments(moments, replace(latent, loadings=np.zeros((6, 0))))
