from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import statsmodels.api as sm

import invarmr
from invarmr.errors import InputError
from invarmr.genetics.association import associate, associations_of, linear_associations, measure
from invarmr.genetics.harmonise import harmonise


def people(n: int = 700, d: int = 5, *, binary: bool = False, seed: int = 0) -> invarmr.Cohort:
    rng = np.random.default_rng(seed)
    site = np.arange(n) % 3
    Z = rng.binomial(2, np.clip(0.3 + 0.1 * site[:, None] + np.linspace(-0.1, 0.1, d), 0.05, 0.95)).astype(float)
    age, sex = rng.normal(50, 8, n), rng.integers(0, 2, n)
    confounder = rng.normal(size=n) + site
    D = 0.2 * Z.sum(axis=1) + 0.03 * age + confounder + rng.normal(size=n)
    Y = 0.5 * D - 0.02 * age + 0.4 * sex + confounder + rng.normal(size=n)
    return invarmr.Cohort.from_arrays(
        instrument=Z,
        exposure=D,
        outcome=(np.median(Y) < Y).astype(float) + 1 if binary else Y,  # 2 is a case, as PLINK codes it
        environment=np.array(["north", "south", "west"])[site],
        covariates=np.column_stack([age, sex, age + sex]),  # the third is redundant
        instrument_names=[f"rs{j}" for j in range(d)],
        instrument_kind="genotype",
    )


ALLELES = pl.DataFrame(
    {
        "variant": [f"rs{j}" for j in range(5)],
        "chromosome": "1",
        "position": [100 * j for j in range(5)],
        "effect_allele": "A",
        "other_allele": "G",
    }
)


def design_matrix(cohort: invarmr.Cohort, rows: np.ndarray, j: int, *, effects: bool) -> np.ndarray:
    z = cohort.instruments.read(rows)[:, j]
    constants = np.eye(3)[cohort.environment[rows]] if effects else np.ones((len(rows), 1))
    return np.column_stack([z, cohort.covariates[rows][:, :2], constants])


@pytest.mark.parametrize("environment", [None, "south"])
@pytest.mark.parametrize("trait", ["exposure", "outcome"])
def test_linear_rows_are_those_of_statsmodels(environment, trait):
    cohort = people()
    rows = np.arange(700) if environment is None else np.flatnonzero(cohort.environment == 1)
    table = associate(cohort, trait, environment=environment, variants=ALLELES).frame
    y = getattr(cohort, trait)[rows]
    for j, row in enumerate(table.iter_rows(named=True)):
        fit = sm.OLS(y, design_matrix(cohort, rows, j, effects=environment is None)).fit()
        assert row["SNP"] == f"rs{j}"
        assert row["beta"] == pytest.approx(fit.params[0], rel=1e-9)
        assert row["se"] == pytest.approx(fit.bse[0], rel=1e-9)
        assert row["pval"] == pytest.approx(fit.pvalues[0], rel=1e-8)
        assert row["eaf"] == pytest.approx(cohort.instruments.read(rows)[:, j].mean() / 2)
        assert (row["samplesize"], row["chr"], row["pos"]) == (len(rows), "1", 100 * j)
        assert (row["ncase"], row["id"]) == (None, trait if environment is None else f"{trait}:south")


@pytest.mark.parametrize("environment", [None, "south"])
def test_logistic_rows_are_those_of_statsmodels(environment):
    cohort = people(binary=True)
    rows = np.arange(700) if environment is None else np.flatnonzero(cohort.environment == 1)
    table = associate(cohort, "outcome", environment=environment, variants=ALLELES).frame
    y = cohort.outcome[rows] - 1
    for j, row in enumerate(table.iter_rows(named=True)):
        X = design_matrix(cohort, rows, j, effects=environment is None)
        fit = sm.Logit(y, X).fit(disp=0, method="newton", tol=1e-14)
        assert row["beta"] == pytest.approx(fit.params[0], rel=1e-7)
        assert row["se"] == pytest.approx(fit.bse[0], rel=1e-6)
        assert row["pval"] == pytest.approx(fit.pvalues[0], rel=1e-5)
        assert (row["ncase"], row["ncontrol"]) == (y.sum(), len(y) - y.sum())


def test_a_binary_trait_may_be_regressed_linearly_and_a_continuous_one_not_logistically():
    cohort = people(binary=True)
    found = measure(cohort, "outcome", model="linear")
    fit = sm.OLS(cohort.outcome, design_matrix(cohort, np.arange(700), 2, effects=True)).fit()
    assert found.model == "linear"
    assert found.effect[2] == pytest.approx(fit.params[0])
    with pytest.raises(InputError, match=r"two values, but the exposure .* has 700"):
        measure(cohort, "exposure", model="logistic")


def test_far_tails_stay_positive():
    n = 20_000
    z = np.tile([0.0, 1.0, 2.0, 1.0], n // 4)
    noise = np.random.default_rng(0).normal(size=n)
    cohort = invarmr.Cohort.from_arrays(
        instrument=z, exposure=0.25 * z + noise, outcome=noise + z, environment=np.arange(n) // (n // 2)
    )
    p = linear_associations(cohort.moments).p_value[0]
    fit = sm.OLS(cohort.exposure, sm.add_constant(z)).fit()
    assert 1e-290 < p < 1e-80
    assert np.log(p) == pytest.approx(np.log(fit.pvalues[1]), rel=1e-9)


def test_what_does_not_vary_or_is_separated_has_no_association():
    rng = np.random.default_rng(3)
    n = 400
    y = np.repeat([0.0, 1.0], n // 2)
    Z = np.column_stack([rng.binomial(2, 0.4, n), np.ones(n), 2 * y, np.where(y == 1, rng.integers(0, 3, n), 0)])
    cohort = invarmr.Cohort.from_arrays(
        instrument=Z,
        exposure=rng.normal(size=n),
        outcome=y,
        environment=np.arange(n) % 2,
        instrument_names=[f"rs{j}" for j in range(4)],
        instrument_kind="genotype",
    )
    table = associate(cohort, "outcome", variants=ALLELES).frame
    assert table["beta"].is_null().to_list() == [False, True, True, True]
    assert table["se"].is_null().to_list() == [False, True, True, True]
    linear = measure(cohort, "outcome", model="linear")
    assert np.isfinite(linear.effect).tolist() == [True, False, False, True]  # the third explains the outcome entirely


def test_environments_of_cases_or_controls_alone_say_nothing():
    cohort = people(binary=True)
    outcome = np.where(cohort.environment == 0, 1.0, cohort.outcome)
    one_sided = invarmr.Cohort.from_arrays(
        instrument=cohort.instruments.read(np.arange(700)),
        exposure=cohort.exposure,
        outcome=outcome,
        environment=cohort.environment,
        covariates=cohort.covariates[:, :2],
        instrument_kind="genotype",
    )
    rows = np.flatnonzero(cohort.environment > 0)
    X = np.column_stack(
        [
            cohort.instruments.read(rows)[:, 0],
            cohort.covariates[rows][:, :2],
            np.eye(3)[cohort.environment[rows]][:, 1:],
        ]
    )
    fit = sm.Logit(outcome[rows] - 1, X).fit(disp=0, tol=1e-12)
    assert measure(one_sided, "outcome").effect[0] == pytest.approx(fit.params[0], rel=1e-6)
    assert np.isnan(measure(one_sided, "outcome", environment="0").effect).all()


def test_the_tables_feed_the_summary_data_methods():
    cohort = people(n=3_000)
    left, right = (associate(cohort, trait, variants=ALLELES) for trait in ("exposure", "outcome"))
    harmonised = harmonise(left, right)
    table = invarmr.mr(harmonised, methods=["mr_ivw_fe"])
    direct = associations_of(cohort)
    np.testing.assert_allclose(direct.exposure, harmonised.frame["beta.exposure"], rtol=1e-12)
    np.testing.assert_allclose(direct.outcome_std_error, harmonised.frame["se.outcome"], rtol=1e-12)
    w = direct.outcome_std_error**-2
    assert table["b"].item() == pytest.approx(
        (w * direct.exposure * direct.outcome).sum() / (w * direct.exposure**2).sum()
    )


def test_scores_go_without_alleles():
    cohort = people()
    scores = invarmr.Cohort.from_arrays(
        instrument=cohort.instruments.read(np.arange(700)),
        exposure=cohort.exposure,
        outcome=cohort.outcome,
        environment=cohort.environment,
        covariates=cohort.covariates,
    )
    found = associations_of(scores, environment="1")
    direct = measure(cohort, "exposure", environment="south")
    np.testing.assert_allclose(found.exposure, direct.effect)
    with pytest.raises(InputError, match="are scores"):
        associate(scores)


def test_complaints():
    cohort = people()
    with pytest.raises(InputError, match="alleles of the instruments are needed"):
        associate(cohort)
    with pytest.raises(InputError, match="1 have none: rs4"):
        associate(cohort, variants=ALLELES.head(4))
    with pytest.raises(InputError, match="environment must be one of north, south, west"):
        associate(cohort, environment="east", variants=ALLELES)
    with pytest.raises(InputError, match="trait must be"):
        associate(cohort, "income", variants=ALLELES)
    with pytest.raises(InputError, match="model must be"):
        measure(cohort, model="probit")
    with pytest.raises(InputError, match="controls must be among"):
        measure(cohort, controls=("age",))
