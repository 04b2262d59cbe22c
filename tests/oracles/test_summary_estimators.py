"""Summary-data estimators against numbers printed by MendelianRandomization, TwoSampleMR, mr.raps and MR-PRESSO."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy import special

from invarmr.data.harmonised import Associations, HarmonisedStatistics, MultivariableAssociations, to_associations
from invarmr.diagnostics.summary.heterogeneity import heterogeneity, i_squared
from invarmr.diagnostics.summary.pleiotropy import egger_intercept
from invarmr.diagnostics.summary.strength import i_squared_gx, mean_f
from invarmr.estimators.summary.base import SummaryEstimator
from invarmr.estimators.summary.conditional_strength import conditional_f
from invarmr.estimators.summary.constrained_likelihood import ConstrainedMaximumLikelihood
from invarmr.estimators.summary.contamination_mixture import ContaminationMixture
from invarmr.estimators.summary.debiased import DebiasedInverseVarianceWeighted
from invarmr.estimators.summary.egger import Egger
from invarmr.estimators.summary.generalised_moments import MultivariableMoments, PrincipalComponentMoments
from invarmr.estimators.summary.grip import Grip
from invarmr.estimators.summary.heterogeneity_penalised import HeterogeneityPenalised
from invarmr.estimators.summary.inverse_variance import InverseVarianceWeighted
from invarmr.estimators.summary.lasso import Lasso
from invarmr.estimators.summary.maximum_likelihood import MaximumLikelihood
from invarmr.estimators.summary.median import Median
from invarmr.estimators.summary.mode import Mode
from invarmr.estimators.summary.multivariable import MultivariableEgger, MultivariableInverseVarianceWeighted
from invarmr.estimators.summary.multivariable_robust import MultivariableLasso, MultivariableMedian
from invarmr.estimators.summary.penalised_inverse_variance import PenalisedInverseVarianceWeighted
from invarmr.estimators.summary.presso import Presso
from invarmr.estimators.summary.robust_adjusted_profile import RobustAdjustedProfileScore
from invarmr.estimators.summary.table import mr
from invarmr.genetics.harmonise import harmonise
from invarmr.io.summary_statistics import read_summary_statistics


def printed(value: float) -> float:
    """Half a unit of the last digit of a number as it was printed, and a little for rounding of ties."""
    digits = len(repr(value).partition(".")[2])
    return 0.51 * 10.0**-digits


def agree(found: float, expected: float) -> None:
    assert found == pytest.approx(expected, abs=printed(expected), rel=0)


@pytest.fixture(scope="module")
def expected(oracles: Path) -> dict[str, Any]:
    return dict(json.loads((oracles / "expected.json").read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def lipids(oracles: Path) -> Associations:
    t = pl.read_csv(oracles / "mr_mendelianrandomization" / "lipids_chd.csv")
    return Associations.from_arrays(
        exposure=t["ldlc"], exposure_std_error=t["ldlcse"], outcome=t["chdlodds"], outcome_std_error=t["chdloddsse"]
    )


@pytest.fixture(scope="module")
def calcium(oracles: Path) -> Associations:
    folder = oracles / "mr_mendelianrandomization"
    t = pl.read_csv(folder / "calcium_fastgluc.csv")
    return Associations.from_arrays(
        exposure=t["calcium"],
        exposure_std_error=t["calciumse"],
        outcome=t["fastgluc"],
        outcome_std_error=t["fastglucse"],
        correlation=np.loadtxt(folder / "calcium_rho.csv", delimiter=","),
    )


@pytest.fixture(scope="module")
def bmi_chd(oracles: Path) -> HarmonisedStatistics:
    folder = oracles / "mr_twosamplemr_bmi_chd"
    parts = (read_summary_statistics(folder / name) for name in ("bmi_exposure.csv", "chd_outcome.csv"))
    return harmonise(*parts)


def test_harmonised_bmi_and_chd_equal_the_file_of_twosamplemr(oracles: Path, bmi_chd: HarmonisedStatistics):
    reference = pl.read_csv(oracles / "mr_twosamplemr_bmi_chd" / "bmi_chd_harmonised.csv").sort("SNP")
    assert bmi_chd.frame.sort("SNP").select(reference.columns).equals(reference)
    assert bmi_chd.dropped.height == 0


def test_pairs_that_were_harmonised_stay_as_they_are(oracles: Path):
    """That file keeps ambiguous palindromic variants, as mode 1 does."""
    table = pl.read_csv(oracles / "mr_twosamplemr_bmi_chd" / "bmi_multi_outcomes_harmonised.csv")
    names = ("effect_allele", "other_allele", "beta", "se", "pval", "eaf", "samplesize")
    for reference in table.sort("SNP").partition_by("id.outcome"):
        studies = (
            read_summary_statistics(reference.select("SNP", *(f"{name}.{role}" for name in names)))
            for role in ("exposure", "outcome")
        )
        frame = harmonise(*studies, "forward").frame.sort("SNP")
        columns = [column for column in reference.columns if column not in ("exposure", "outcome", "id.outcome")]
        assert frame.select(columns).equals(reference.select(columns))


def test_lipids_deterministic(lipids: Associations, expected: dict[str, Any]):
    e = expected["mr_mendelianrandomization"]["lipids LDL->CHD (28)"]
    ivw, egger = InverseVarianceWeighted().fit(lipids), Egger(distribution="normal").fit(lipids)
    for answer, row in (
        (ivw, e["mr_ivw"]),
        (egger, e["mr_egger"]),
        (DebiasedInverseVarianceWeighted().fit(lipids), e["mr_divw"]),
    ):
        agree(answer.b, row["b"])
        agree(answer.se, row["se"])
        if "ci" in row:
            agree(answer.confidence_set.lower, row["ci"][0])
            agree(answer.confidence_set.upper, row["ci"][1])
        if "Q" in row:
            agree(answer.extras["Q"], row["Q"])
            agree(answer.extras["residual_std_error"], row["rse"])
            assert answer.extras["Q_df"] == row["df"]
    agree(egger.extras["intercept"], e["mr_egger"]["intercept"])
    agree(egger.extras["intercept_se"], e["mr_egger"]["se_int"])
    agree(DebiasedInverseVarianceWeighted().fit(lipids).extras["condition"], e["mr_divw"]["condition"])


def test_lipids_penalised(lipids: Associations, expected: dict[str, Any]):
    e = expected["mr_mendelianrandomization"]["lipids LDL->CHD (28)"]
    ivw = InverseVarianceWeighted(penalised=True).fit(lipids)
    egger = Egger(penalised=True, distribution="normal").fit(lipids)
    for answer, row in ((ivw, e["penalized ivw"]), (egger, e["penalized egger"])):
        agree(answer.b, row["b"])
        agree(answer.se, row["se"])
    agree(egger.extras["intercept"], e["penalized egger"]["intercept"])
    agree(egger.extras["intercept_se"], e["penalized egger"]["se_int"])


@pytest.mark.parametrize(
    ("row", "method"),
    [
        ("mr_median weighted", Median(order=1, n_draws=10_000)),
        ("mr_median simple", Median(weighting="simple", n_draws=10_000)),
        ("mr_median penalized", Median(weighting="penalised", order=1, centre="ivw", n_draws=10_000)),
        ("mr_mbe weighted delta phi1", Mode(distribution="normal", n_draws=4_000)),
    ],
)
def test_lipids_bootstrapped(row: str, method: SummaryEstimator, lipids: Associations, expected: dict[str, Any]):
    e = expected["mr_mendelianrandomization"]["lipids LDL->CHD (28)"][row]
    answer = method.fit(lipids)
    agree(answer.b, e["b"])
    assert answer.se == pytest.approx(e["se"], rel=0.06)  # the standard error of theirs: 1,000 draws


def test_lipids_robust(lipids: Associations, expected: dict[str, Any]):
    e = expected["mr_mendelianrandomization"]["lipids LDL->CHD (28)"]
    for penalised, name in ((False, "robust"), (True, "penalized robust")):
        ivw = InverseVarianceWeighted(penalised=penalised, robust=True).fit(lipids)
        egger = Egger(penalised=penalised, robust=True, distribution="normal").fit(lipids)
        for answer, row in ((ivw, e[f"{name} ivw"]), (egger, e[f"{name} egger"])):
            agree(answer.b, row["b"])
            agree(answer.se, row["se"])
        agree(egger.extras["intercept"], e[f"{name} egger"]["intercept"])
        agree(egger.extras["intercept_se"], e[f"{name} egger"]["se_int"])


def test_lipids_lasso(lipids: Associations, expected: dict[str, Any]):
    e = expected["mr_mendelianrandomization"]["lipids LDL->CHD (28)"]["mr_lasso"]
    answer = Lasso().fit(lipids)
    agree(answer.b, e["b"])
    agree(answer.se, e["se"])
    agree(answer.extras["penalty"], e["lambda"])
    assert answer.extras["n_valid"] == e["valid"]


def test_lipids_penalised_inverse_variance(lipids: Associations, expected: dict[str, Any]):
    e = expected["mr_mendelianrandomization"]["lipids LDL->CHD (28)"]["mr_pivw"]
    answer = PenalisedInverseVarianceWeighted(n_draws=20_000).fit(lipids)
    agree(answer.b, e["b"])
    agree(answer.se, e["se"])
    ends = [answer.confidence_set.lower, answer.confidence_set.upper]
    assert ends == pytest.approx(e["ci"], abs=0.05)  # theirs: the quantile of 1,000 draws


def test_lipids_constrained_likelihood(lipids: Associations, expected: dict[str, Any]):
    e = expected["mr_mendelianrandomization"]["lipids LDL->CHD (28)"]["mr_cML-MA-BIC-DP n=17723"]
    answer = ConstrainedMaximumLikelihood(sample_size=17_723, n_draws=1_000).fit(lipids)
    assert answer.b == pytest.approx(e["b"], abs=0.06)  # theirs: the mean of 200 draws, sd 0.39
    assert answer.se == pytest.approx(e["se"], rel=0.12)


def test_calcium_principal_components(calcium: Associations, expected: dict[str, Any]):
    e = expected["mr_mendelianrandomization"]["calcium->glucose correlated (6)"]["mr_pcgmm nx=6351 ny=133010"]
    answer = PrincipalComponentMoments(exposure_sample_size=6351, outcome_sample_size=133_010).fit(calcium)
    agree(answer.b, e["b"])
    agree(answer.se, e["se"])
    agree(answer.extras["F"], e["F"])
    agree(answer.extras["Q"], e["Q"])
    agree(answer.extras["over_dispersion"], e["overdispersion"])
    assert answer.extras["n_components"] == e["n_pc"]


def test_bmi_on_chd_grip(bmi_chd: HarmonisedStatistics, expected: dict[str, Any]):
    e = expected["mr_twosamplemr_bmi_chd"]["mr_grip"]
    answer = Grip().fit(bmi_chd.associations())
    agree(answer.b, e["b"])
    agree(answer.se, e["se"])
    assert answer.extras["intercept"] == pytest.approx(-3.38e-5, abs=5.1e-8)  # printed in TwoSampleMR's test
    assert answer.extras["intercept_se"] == pytest.approx(5.66e-5, abs=5.1e-8)


def test_heterogeneity_penalised(lipids: Associations, expected: dict[str, Any]):
    e = expected["mr_mendelianrandomization"]["lipids LDL->CHD (28)"]["mr_hetpen first 10 SNPs"]
    answer = HeterogeneityPenalised(lower=-1, upper=5, step=0.01).fit(lipids.take(np.arange(10)))
    assert [answer.b, *answer.confidence_set.intervals[0]] == pytest.approx([e["b"], *e["ci"]], abs=1e-9)
    e = expected["mr_mendelianrandomization"]["hetpen multimodal bcrp"]
    data = Associations.from_arrays(
        exposure=e["bx"], exposure_std_error=e["bxse"], outcome=e["by"], outcome_std_error=e["byse"]
    )
    answer = HeterogeneityPenalised(lower=-1, upper=1, step=0.001).fit(data)
    assert answer.b == pytest.approx(e["b"], abs=1e-9)
    for ours, theirs in zip(answer.confidence_set.intervals, e["ci"], strict=True):
        assert ours == pytest.approx(theirs, abs=1e-9)


def test_lipids_contamination_mixture(lipids: Associations, expected: dict[str, Any]):
    e = expected["mr_mendelianrandomization"]["lipids LDL->CHD (28)"]["mr_conmix"]
    answer = ContaminationMixture(step=0.01).fit(lipids)
    agree(answer.b, e["b"])
    assert [answer.confidence_set.lower, answer.confidence_set.upper] == pytest.approx(e["ci"], abs=0.0051)
    agree(answer.extras["invalid_sd"], e["sd_invalid"])
    theirs = special.chdtrc(1, answer.extras["likelihood_ratio"] * answer.extras["dispersion"] ** 2)
    assert theirs == pytest.approx(e["p"], rel=0.002)


def nelder_mead(function: Any, start: np.ndarray, most: int) -> tuple[np.ndarray, float]:
    """R's `optim(method = "Nelder-Mead")`: its first simplex, its order of trials, its stopping rule."""
    n = start.size
    step = 0.1 * np.abs(start).max()
    points = np.vstack([start, start + step * np.eye(n)])
    values = np.array([function(point) for point in points])
    tolerance = 1e-8 * (abs(values[0]) + 1e-8)
    count = n + 1
    while count <= most and values.max() > values.min() + tolerance:
        low, high = int(values.argmin()), int(values.argmax())
        centre = (points.sum(axis=0) - points[high]) / n
        reflected = 2.0 * centre - points[high]
        value = function(reflected)
        count += 2
        if value < values[low]:
            further = 2.0 * reflected - centre
            beyond = function(further)
            points[high], values[high] = (further, beyond) if beyond < value else (reflected, value)
            continue
        improved = value < values[high]
        if improved:
            points[high], values[high] = reflected, value
        inner = 0.5 * points[high] + 0.5 * centre  # taken even where the reflection was good
        inside = function(inner)
        if inside < values[high]:
            points[high], values[high] = inner, inside
        elif not improved:
            points = 0.5 * (points - points[low]) + points[low]
            values = np.array([function(point) for point in points])
            count += n
    return points[values.argmin()], float(values.min())


def test_lipids_maximum_likelihood(lipids: Associations, expected: dict[str, Any]):
    """What was printed is where a simplex search over 29 parameters stopped: Q = 2 l is smaller at the maximum."""
    e = expected["mr_mendelianrandomization"]["lipids LDL->CHD (28)"]["mr_maxlik"]
    x, y, sx, sy = lipids.exposure, lipids.outcome, lipids.exposure_std_error, lipids.outcome_std_error

    def half_deviance(values: np.ndarray) -> float:
        true = values[:-1]
        return float(0.5 * ((((x - true) / sx) ** 2).sum() + (((y - values[-1] * true) / sy) ** 2).sum()))

    start = np.append(x, InverseVarianceWeighted().fit(lipids).b)
    stopped, value = nelder_mead(half_deviance, start, 25_000)
    agree(stopped[-1], e["b"])
    agree(2.0 * value, e["Q"])
    agree(np.sqrt(2.0 * value / 27), e["rse"])
    answer = MaximumLikelihood(effects="random").fit(lipids)
    assert answer.extras["Q"] < e["Q"]
    assert answer.b == pytest.approx(e["b"], abs=0.1 * e["se"])
    assert answer.se == pytest.approx(e["se"], rel=0.02)


def test_calcium_correlated(calcium: Associations, expected: dict[str, Any]):
    e = expected["mr_mendelianrandomization"]["calcium->glucose correlated (6)"]
    methods = {
        "mr_ivw": InverseVarianceWeighted(),
        "mr_egger": Egger(distribution="normal"),
        "mr_maxlik": MaximumLikelihood(effects="random"),
    }
    for name, method in methods.items():
        answer, row = method.fit(calcium), e[name]
        agree(answer.b, row["b"])
        agree(answer.se, row["se"])
        agree(answer.extras["residual_std_error"], row["rse"])
        agree(answer.extras["Q"], row["Q"])
        for key, value in (("intercept", "intercept"), ("intercept_se", "se_int")):
            if value in row:
                agree(answer.extras[key], row[value])
    agree(methods["mr_ivw"].fit(calcium).confidence_set.lower, e["mr_ivw"]["ci"][0])
    agree(methods["mr_ivw"].fit(calcium).confidence_set.upper, e["mr_ivw"]["ci"][1])


@pytest.fixture(scope="module")
def three_lipids(oracles: Path) -> MultivariableAssociations:
    t = pl.read_csv(oracles / "mr_mendelianrandomization" / "lipids_chd.csv")
    return MultivariableAssociations.from_arrays(
        exposure=t.select("ldlc", "hdlc", "trig").to_numpy(),
        exposure_std_error=t.select("ldlcse", "hdlcse", "trigse").to_numpy(),
        outcome=t["chdlodds"],
        outcome_std_error=t["chdloddsse"],
    )


def test_multivariable_lipids_median_and_lasso(three_lipids: MultivariableAssociations, expected: dict[str, Any]):
    e = expected["mr_mendelianrandomization"]["multivariable LDL,HDL,TG->CHD (28)"]
    median = list(MultivariableMedian().fit(three_lipids).values())
    assert [answer.b for answer in median] == pytest.approx(e["mr_mvmedian"]["b"], abs=0.00051)
    assert [answer.se for answer in median] == pytest.approx(e["mr_mvmedian"]["se"], rel=0.1)  # drawn
    lasso = list(MultivariableLasso().fit(three_lipids).values())
    assert [answer.b for answer in lasso] == pytest.approx(e["mr_mvlasso"]["b"], abs=0.00051)
    assert [answer.se for answer in lasso] == pytest.approx(e["mr_mvlasso"]["se"], abs=0.00051)
    agree(lasso[0].extras["penalty"], e["mr_mvlasso"]["lambda"])
    assert lasso[0].extras["n_valid"] == e["mr_mvlasso"]["valid"]


def test_multivariable_lipids_moments(three_lipids: MultivariableAssociations, expected: dict[str, Any]):
    """Theirs stops a search whose gradient is not that of its objective: near the root that is solved here."""
    e = expected["mr_mendelianrandomization"]["multivariable LDL,HDL,TG->CHD (28)"]["mr_mvgmm"]
    answers = list(
        MultivariableMoments(exposure_sample_size=17_723, outcome_sample_size=17_723).fit(three_lipids).values()
    )
    for answer, b, se in zip(answers, e["b"], e["se"], strict=True):
        assert answer.b == pytest.approx(b, abs=0.1 * se)
        assert answer.se == pytest.approx(se, abs=0.00051)
    assert answers[0].extras["over_dispersion"] == pytest.approx(e["overdispersion"], rel=0.01)
    assert answers[0].extras["Q"] == pytest.approx(e["Q"], rel=0.005)
    e = expected["mr_mendelianrandomization"]["multivariable LDL,HDL,TG->CHD (28)"]["mr_mvpcgmm"]
    method = MultivariableMoments(exposure_sample_size=17_723, outcome_sample_size=17_723, share=0.999)
    for answer, b, se in zip(method.fit(three_lipids).values(), e["b"], e["se"], strict=True):
        assert answer.extras["n_components"] == e["n_pc"]
        assert answer.b == pytest.approx(b, abs=0.15 * se)
        assert answer.se == pytest.approx(se, rel=0.02)


def test_multivariable_lipids_conditional_f(three_lipids: MultivariableAssociations, expected: dict[str, Any]):
    """Theirs searches on with a gradient that is not that of its objective, and moves for the second lipid alone."""
    e = expected["mr_mendelianrandomization"]["multivariable LDL,HDL,TG->CHD (28)"]["mr_mvivw"]["condF_nx17723"]
    first, second, third = conditional_f(three_lipids, sample_size=17_723).values()
    agree(first, e[0])
    agree(third, e[2])
    assert second == pytest.approx(e[1], rel=0.1)


def test_multivariable_lipids(three_lipids: MultivariableAssociations, expected: dict[str, Any]):
    e = expected["mr_mendelianrandomization"]["multivariable LDL,HDL,TG->CHD (28)"]
    data = three_lipids
    for method, row in (
        (MultivariableInverseVarianceWeighted(), e["mr_mvivw"]),
        (MultivariableEgger(), e["mr_mvegger orient1"]),
    ):
        answers = list(method.fit(data).values())
        assert [answer.b for answer in answers] == pytest.approx(row["b"], abs=0.00051)
        assert [answer.se for answer in answers] == pytest.approx(row["se"], abs=0.00051)
        agree(answers[0].extras["residual_std_error"], row["rse"])
        agree(answers[0].extras["Q"], row["Q"])
    agree(answers[0].extras["intercept"], e["mr_mvegger orient1"]["intercept"])
    assert answers[0].extras["intercept_se"] == pytest.approx(e["mr_mvegger orient1"]["se_int"], abs=0.00051)


def test_bmi_on_chd_default_table(bmi_chd: HarmonisedStatistics, expected: dict[str, Any]):
    e = expected["mr_twosamplemr_bmi_chd"]
    table = mr(bmi_chd)
    assert table["nsnp"].to_list() == [79] * 5
    found = dict(zip(table["method"], table["b"], strict=True))
    agree(found["MR Egger"], e["egger"])
    assert found["Weighted median"] == pytest.approx(e["weighted median"], abs=0.00005)
    agree(found["Inverse variance weighted"], e["ivw"])
    agree(found["Simple mode"], e["simple mode"])
    agree(found["Weighted mode"], e["weighted mode"])
    errors = dict(zip(table["method"], table["se"], strict=True))
    assert errors["Weighted mode"] == pytest.approx(0.105, rel=0.12)  # printed by TwoSampleMR's test, 1,000 draws
    assert errors["Inverse variance weighted"] == pytest.approx(0.0590, abs=0.00005)
    penalised = Mode(weighting="penalised", n_draws=8_000).fit(bmi_chd.associations())
    assert penalised.se == pytest.approx(0.109, rel=0.12)


def test_bmi_on_chd_raps(bmi_chd: HarmonisedStatistics, expected: dict[str, Any]):
    """TwoSampleMR calls mr.raps 0.4, which weights the equation of over-dispersion otherwise than the paper."""
    data, e = bmi_chd.associations(), expected["mr_twosamplemr_bmi_chd"]
    plain, tukey, shrunk = e["mr_raps variants"]
    agree(RobustAdjustedProfileScore(over_dispersion=False).fit(data).b, plain)
    agree(RobustAdjustedProfileScore(loss="tukey", dispersion_weights="equal").fit(data).b, tukey)
    huber = mr(bmi_chd, ["mr_raps"])["b"].item()
    agree(huber, e["mr_raps default"])
    agree(huber, shrunk)  # shrinkage moves no printed digit there
    assert RobustAdjustedProfileScore().fit(data).b == pytest.approx(0.4622, abs=0.0001)  # the paper's equations


RAPS = {
    "bmi_sbp 160": 1e-6,
    "bmi_bmi 793 (truth 1)": 1e-5,
    "cad_cad 1650 (truth 1)": 3e-5,
}


@pytest.mark.parametrize("study", RAPS)
def test_raps(study: str, oracles: Path, expected: dict[str, Any]):
    """Without over-dispersion to all digits; with it to the tolerance at which theirs stopped."""
    table = pl.read_csv(oracles / "mr_raps" / f"{study.split()[0]}.csv", infer_schema_length=None)
    data = to_associations(table.filter("mr_keep"))
    if study.startswith("bmi_sbp"):
        data = to_associations(table)
    assert data.n_variants == int(study.split()[1])
    for name, (b, se) in expected["mr_raps"][study].items():
        over_dispersed = name.startswith("od_")
        method = RobustAdjustedProfileScore(loss=name.removeprefix("od_"), over_dispersion=over_dispersed)
        answer = method.fit(data)
        tolerance = RAPS[study] if over_dispersed else 1e-7
        assert answer.b == pytest.approx(b, abs=tolerance), name
        assert answer.se == pytest.approx(se, abs=tolerance), name
        if "truth 1" in study:
            assert 1.0 in answer.confidence_set, name


def test_presso(oracles: Path):
    t = pl.read_csv(oracles / "mr_presso_toy" / "summarystats_simulated.csv")
    data = Associations.from_arrays(
        exposure=t["E1_effect"], exposure_std_error=t["E1_se"], outcome=t["Y_effect"], outcome_std_error=t["Y_se"]
    )
    answer = Presso(n_draws=10_000).fit(data)
    assert answer.extras["raw_b"] == pytest.approx(0.53901201, abs=5e-9)
    assert answer.extras["raw_se"] == pytest.approx(0.019481579, abs=5e-10)
    assert answer.extras["global_rss"] == pytest.approx(133.06663, abs=5e-6)
    assert answer.extras["global_pval"] < 0.001
    assert answer.outliers == ("variant_46", "variant_48", "variant_49", "variant_50")
    assert (answer.b, answer.se) == (pytest.approx(0.50922309, abs=5e-9), pytest.approx(0.01256607, abs=5e-9))
    assert 100 * answer.extras["distortion"] == pytest.approx(5.8498776, abs=5e-8)
    assert answer.extras["distortion_pval"] == pytest.approx(0.008, abs=0.009)  # theirs: 8 of 1,000 draws


def test_sensitivity(
    lipids: Associations, calcium: Associations, bmi_chd: HarmonisedStatistics, expected: dict[str, Any]
):
    e = expected["mr_mendelianrandomization"]
    row = e["lipids LDL->CHD (28)"]
    agree(mean_f(lipids), row["mr_ivw"]["F"])
    agree(mean_f(calcium), e["calcium->glucose correlated (6)"]["mr_ivw"]["F"])
    agree(100 * i_squared_gx(lipids), row["mr_egger"]["I2_GX"])
    agree(100 * i_squared(row["mr_ivw"]["Q"], 27), row["mr_ivw"]["I2"])
    q = dict(zip(*heterogeneity(bmi_chd).select("method", "Q"), strict=True))
    assert q["Inverse variance weighted"] == pytest.approx(143.65, abs=0.005)  # the data's provenance
    intercept = egger_intercept(bmi_chd).row(0, named=True)
    assert intercept["egger_intercept"] == pytest.approx(-0.0017, abs=0.00005)
    assert intercept["se"] == pytest.approx(0.0040, abs=0.00005)
