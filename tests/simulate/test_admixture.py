import json

import numpy as np
import polars as pl
import pytest

from invarmr.errors import InputError
from invarmr.simulate.admixture import AdmixtureDesign, simulate_admixture
from invarmr.simulate.reference_panel import ReferencePanel, load_reference_panel

DESIGN = AdmixtureDesign(n_samples=12_000, n_instruments=100, n_variants=300)


@pytest.fixture(scope="module")
def cohort():
    return simulate_admixture(DESIGN, seed=1)


def ancestry_of(cohort):
    return cohort.truth_samples.select("^ancestry_.*$").to_numpy()


def instrument_rows(cohort):
    place = {name: row for row, name in enumerate(cohort.variants["variant"])}
    return np.array([place[name] for name in cohort.instruments["SNP"]])


def partialled(values, covariates):
    regressors = np.column_stack([np.ones(len(values)), covariates])
    return values - regressors @ np.linalg.lstsq(regressors, values, rcond=None)[0]


def two_stage(cohort, covariates):
    instruments = partialled(cohort.calls[instrument_rows(cohort)].T.astype(float), covariates)
    exposure = partialled(cohort.phenotypes["exposure"].to_numpy(), covariates)
    outcome = partialled(cohort.phenotypes["outcome"].to_numpy().astype(float), covariates)
    fitted = instruments @ np.linalg.lstsq(instruments, exposure, rcond=None)[0]
    return fitted @ outcome / (fitted @ exposure)


def test_shapes_and_columns(cohort):
    assert cohort.calls.shape == (300, 12_000)
    assert cohort.calls.dtype == np.int8
    assert not cohort.calls.flags.writeable
    assert set(np.unique(cohort.calls)) == {0, 1, 2}
    assert cohort.variants.columns == ["variant", "chromosome", "position", "counted_allele", "other_allele"]
    assert cohort.instruments.columns == ["SNP", "effect_allele", "other_allele", "beta", "se", "eaf", "pval"]
    assert cohort.sample_ids[0] == "S00001"
    assert cohort.phenotypes["IID"].to_list() == cohort.truth_samples["IID"].to_list()
    assert cohort.phenotypes["site"].value_counts()["count"].to_list() == [3000] * 4
    assert cohort.seed == 1


def test_same_seed_same_cohort_other_seed_another(cohort):
    again, other = simulate_admixture(DESIGN, seed=1), simulate_admixture(DESIGN, seed=2)
    np.testing.assert_array_equal(again.calls, cohort.calls)
    assert again.phenotypes.equals(cohort.phenotypes)
    assert again.instruments.equals(cohort.instruments)
    assert again.truth_samples.equals(cohort.truth_samples)
    assert again.truth == cohort.truth
    assert not np.array_equal(other.calls, cohort.calls)
    assert other.phenotypes["exposure"][0] != cohort.phenotypes["exposure"][0]


def test_random_streams_are_separate(cohort):
    other = simulate_admixture(
        AdmixtureDesign(n_samples=12_000, n_instruments=100, n_variants=300, missing_rate=0.02, effect=0.0), seed=1
    )
    kept = other.calls != -9
    assert abs(1 - kept.mean() - 0.02) < 4 * np.sqrt(0.02 * 0.98 / kept.size)
    np.testing.assert_array_equal(other.calls[kept], cohort.calls[kept])
    assert other.phenotypes["exposure"].equals(cohort.phenotypes["exposure"])


def test_allele_frequencies_by_site_follow_the_sites_ancestry(cohort):
    panel = load_reference_panel().restricted_to(AdmixtureDesign().populations)
    place = {name: row for row, name in enumerate(panel.variants["variant"])}
    rows = [place[name] for name in cohort.variants["variant"]]
    frequency = panel.frequencies()[:, rows]
    deviations = []
    for site in np.unique(cohort.site):
        here = cohort.site == site
        expected = ancestry_of(cohort)[here].mean(axis=0) @ frequency
        calls = cohort.calls[:, here]
        deviations.append((calls.mean(axis=1) / 2 - expected) / (calls.std(axis=1) / 2 / np.sqrt(here.sum())))
    assert np.abs(deviations).max() < 4.8
    assert 0.85 < np.std(deviations) < 1.15


def test_ancestry_follows_the_sites_dirichlet(cohort):
    ancestry = ancestry_of(cohort)
    np.testing.assert_allclose(ancestry.sum(axis=1), 1)
    for site, parameters in cohort.truth["site_dirichlet"].items():
        alpha = np.array(parameters)
        mean = alpha / alpha.sum()
        variance = mean * (1 - mean) / (alpha.sum() + 1)
        here = ancestry[cohort.site == site]
        assert (np.abs(here.mean(axis=0) - mean) < 4.5 * np.sqrt(variance / len(here))).all()
        np.testing.assert_allclose(here.var(axis=0), variance, rtol=0.15)


def test_heritability_and_variance_given_ancestry(cohort):
    ancestry = ancestry_of(cohort)[:, 1:]
    effects = {row["SNP"]: row for row in cohort.truth["instruments"]}
    rows = instrument_rows(cohort)
    signs = [
        1 if effects[name]["effect_allele"] == counted else -1
        for name, counted in cohort.variants[rows].select("variant", "counted_allele").iter_rows()
    ]
    per_copy = np.array(signs) * [effects[name]["true_effect"] for name in cohort.variants[rows]["variant"]]
    score = partialled(per_copy @ cohort.calls[rows], ancestry)
    exposure = partialled(cohort.phenotypes["exposure"].to_numpy(), ancestry)
    np.testing.assert_allclose(score.var(), 0.3)
    assert abs(exposure.var() - 1) < 4.5 * np.sqrt(2 / 12_000)
    assert abs(np.cov(score, exposure)[0, 1] - 0.3) < 4.5 * np.sqrt(0.3 / 12_000)


def test_weights_are_the_truth_plus_noise_of_the_size_stated(cohort):
    truth = np.array([row["true_effect"] for row in cohort.truth["instruments"]])
    z = (cohort.instruments["beta"].to_numpy() - truth) / cohort.instruments["se"].to_numpy()
    assert abs(z.mean()) < 4 / np.sqrt(z.size)
    assert 0.7 < z.std() < 1.3
    counted = cohort.variants[instrument_rows(cohort)]["counted_allele"]
    assert 25 < (counted == cohort.instruments["effect_allele"]).sum() < 75
    assert cohort.instruments["pval"].is_between(0, 1).all()


def test_biases_are_those_the_design_promises(cohort):
    """12,000 people, 100 instruments: standard error about 0.02."""
    covariates = cohort.phenotypes.select("age", "sex").to_numpy()
    sites = (cohort.site[:, None] == np.unique(cohort.site)[1:]).astype(float)
    exposure, outcome = (cohort.phenotypes[name].to_numpy() for name in ("exposure", "outcome"))
    exposure = partialled(exposure, covariates)
    assert 0.6 < exposure @ outcome / (exposure @ exposure) - 1 < 0.8
    assert 0.5 < two_stage(cohort, covariates) - 1 < 0.9
    assert 0.05 < two_stage(cohort, np.column_stack([covariates, sites])) - 1 < 0.35
    assert abs(two_stage(cohort, np.column_stack([covariates, ancestry_of(cohort)[:, 1:]])) - 1) < 0.08


def test_linear_instrumental_variables_aim_at_the_risk_difference_of_a_binary_outcome():
    design = AdmixtureDesign(
        n_samples=12_000, n_instruments=50, n_variants=50, outcome="binary", exposure_confounding=0.0
    )
    cohort = simulate_admixture(design, seed=3)
    assert cohort.truth["liability_effect"] == 1.0
    assert 0 < cohort.truth["effect"] < 0.4
    assert abs(cohort.phenotypes["outcome"].mean() - 0.2) < 4 * np.sqrt(0.16 / 12_000)
    assert abs(two_stage(cohort, ancestry_of(cohort)[:, 1:]) - cohort.truth["effect"]) < 4 * 0.4 / np.sqrt(12_000 * 0.3)


def test_unequal_sites_and_a_panel_of_the_users_own():
    rng = np.random.default_rng(1)
    variants = pl.DataFrame(
        {
            "variant": [f"v{k}" for k in range(40)],
            "chromosome": ["1"] * 40,
            "position": np.arange(40) * 1_000_000,
            "counted_allele": ["A"] * 40,
            "other_allele": ["C"] * 40,
        }
    )
    panel = ReferencePanel(
        calls=rng.integers(0, 3, (40, 30)).astype(np.int8), variants=variants, population=np.repeat(["X", "Y"], 15)
    )
    design = AdmixtureDesign(
        populations=None, n_samples=100, n_sites=2, site_sizes=(70, 30), n_instruments=8, block_length=5_000_000
    )
    cohort = simulate_admixture(design, seed=1, panel=panel)
    assert sorted(cohort.phenotypes["site"].value_counts()["count"]) == [30, 70]
    assert cohort.truth_samples.columns == ["IID", "ancestry_X", "ancestry_Y", "confounder"]
    assert cohort.calls.shape == (40, 100)
    with pytest.raises(InputError, match="genomic blocks"):
        simulate_admixture(AdmixtureDesign(populations=None, n_samples=100, n_instruments=9), seed=1, panel=panel)


def test_truth_is_ready_for_json(cohort):
    assert json.loads(json.dumps(cohort.truth))["effect"] == 1.0
