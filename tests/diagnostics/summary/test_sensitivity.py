from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest

from invarmr.data.harmonised import PAIR, Associations, HarmonisedStatistics
from invarmr.data.summary_statistics import SummaryStatistics
from invarmr.diagnostics.summary.battery import sensitivity
from invarmr.diagnostics.summary.direction import directionality, steiger_filter
from invarmr.diagnostics.summary.heterogeneity import heterogeneity
from invarmr.diagnostics.summary.pleiotropy import egger_intercept
from invarmr.diagnostics.summary.single_variants import leave_one_out, single_variant
from invarmr.diagnostics.summary.strength import i_squared_gx, instrument_strength, mean_f
from invarmr.errors import InputError
from invarmr.estimators.summary.egger import Egger
from invarmr.estimators.summary.inverse_variance import InverseVarianceWeighted
from invarmr.genetics.harmonise import harmonise


def harmonised(p: int = 12, *, samplesize: float | None = 50_000.0, reverse: int = 0) -> HarmonisedStatistics:
    """Variants of an exposure with effect 0.5 on the outcome; the first `reverse` of them act on the outcome first."""
    rng = np.random.default_rng(1)
    first = np.arange(p) < reverse
    frame = pl.DataFrame(
        {
            "SNP": [f"rs{i:02d}" for i in range(p)],
            "effect_allele": "A",
            "other_allele": "G",
            "eaf": 0.3,
            "beta": np.where(first, 0.05, rng.uniform(0.05, 0.2, p)),
            "se": 0.01,
            "samplesize": samplesize,
        }
    )
    outcome = frame.with_columns(beta=np.where(first, 0.3, 0.5 * frame["beta"].to_numpy() + 0.01 * rng.normal(size=p)))
    read = SummaryStatistics.from_frame
    return harmonise(read(frame, name="LDL"), read(outcome, name="CHD"))


def test_heterogeneity_has_the_columns_of_twosamplemr():
    table = heterogeneity(harmonised())
    assert table.columns == [*PAIR, "method", "Q", "Q_df", "Q_pval", "I2"]
    assert table["Q_df"].to_list() == [10.0, 11.0]
    assert table["Q"][0] < table["Q"][1]
    assert heterogeneity(harmonised(2))["method"].to_list() == ["Inverse variance weighted"]
    assert heterogeneity(harmonised(1)).height == 0
    with pytest.raises(InputError, match="Weighted median measures no Q"):
        heterogeneity(harmonised(), ["mr_weighted_median"])


def test_the_egger_intercept_is_that_of_mr_egger():
    data = harmonised()
    row = egger_intercept(data).row(0, named=True)
    extras = Egger().fit(data.associations()).extras
    assert (row["egger_intercept"], row["se"], row["pval"]) == tuple(
        extras[name] for name in ("intercept", "intercept_se", "intercept_pval")
    )
    assert egger_intercept(data, method=Egger(distribution="normal"))["pval"].item() < row["pval"]
    assert egger_intercept(harmonised(2)).height == 0


def test_single_variants_are_wald_ratios_and_all_together():
    data = harmonised()
    table = single_variant(data)
    pair = data.associations()
    assert table["b"].to_list()[:12] == pytest.approx(pair.ratio.tolist())
    assert table["se"].to_list()[:12] == pytest.approx(pair.ratio_std_error().tolist())
    assert table["SNP"].to_list()[12:] == ["All - Inverse variance weighted", "All - MR Egger"]
    assert single_variant(harmonised(1))["SNP"].to_list() == ["rs00"]


def test_leave_one_out_leaves_each_out():
    data = harmonised()
    table = leave_one_out(data)
    pair = data.associations()
    expected = [InverseVarianceWeighted().fit(pair.take(np.arange(12) != j)).b for j in range(12)]
    assert table["b"].to_list() == pytest.approx([*expected, InverseVarianceWeighted().fit(pair).b])
    assert table["SNP"].to_list()[-1] == "All"
    assert leave_one_out(harmonised(3), method=Egger())["SNP"].to_list() == ["All"]
    assert leave_one_out(harmonised(2), method=Egger()).height == 0


def test_strength():
    data = harmonised()
    row = instrument_strength(data).row(0, named=True)
    f = (data.associations().exposure / 0.01) ** 2
    assert (row["mean_f"], row["weakest_f"]) == (pytest.approx(f.mean()), pytest.approx(f.min()))
    assert instrument_strength(harmonised(1))["i2_gx"].to_list() == [None]
    rng = np.random.default_rng(1)
    same = Associations.from_arrays(
        exposure=0.1 + 0.01 * rng.normal(size=500),
        exposure_std_error=np.full(500, 0.01),
        outcome=np.ones(500),
        outcome_std_error=np.ones(500),
    )
    assert i_squared_gx(same) < 0.15
    assert i_squared_gx(same, weighted=False) == pytest.approx(i_squared_gx(same))
    assert i_squared_gx(data.associations()) > 0.9
    twins = Associations.from_arrays(
        exposure=[0.1, 0.1],
        exposure_std_error=[0.01, 0.01],
        outcome=[1, 1],
        outcome_std_error=[1, 1],
        correlation=[[1, 0.999], [0.999, 1]],
    )
    assert mean_f(twins) == pytest.approx(50.0, rel=0.01)  # two copies of one variant: 100 / 2


def test_the_direction_is_told_by_what_is_explained():
    row = directionality(harmonised()).row(0, named=True)
    assert row["correct_causal_direction"]
    assert row["steiger_pval"] < 0.001
    beta = harmonised().frame["beta.exposure"].to_numpy()
    f = (beta / 0.01) ** 2
    assert row["snp_r2.exposure"] == pytest.approx(float((f / (f + 50_000 - 2)).sum()))
    assert not directionality(harmonised(reverse=12))["correct_causal_direction"].item()


def test_a_binary_outcome_is_measured_on_the_log_odds():
    data = harmonised()
    beta = data.frame["beta.outcome"].to_numpy()
    v = 2 * 0.3 * 0.7 * beta**2
    row = directionality(data, binary_outcome=True).row(0, named=True)
    assert row["snp_r2.outcome"] == pytest.approx(float((v / (v + math.pi**2 / 3)).sum()))
    counted = data.frame.with_columns(
        pl.lit(None, pl.Float64).alias("samplesize.outcome"),
        pl.lit(20_000.0).alias("ncase.outcome"),
        pl.lit(30_000.0).alias("ncontrol.outcome"),
    )
    same = directionality(HarmonisedStatistics(counted, data.absent), binary_outcome=True)
    assert same["steiger_pval"].item() == pytest.approx(row["steiger_pval"])


def test_without_sample_sizes_the_test_says_why_it_does_not_apply():
    row = directionality(harmonised(samplesize=None)).row(0, named=True)
    assert row["correct_causal_direction"] is None
    assert "exposure and outcome unknown" in row["reason"]
    bare = harmonised()
    without = HarmonisedStatistics(bare.frame.drop("samplesize.outcome", "ncase.outcome"), bare.absent)
    assert "of the outcome unknown" in directionality(without)["reason"].item()


def test_the_filter_drops_the_variants_that_act_on_the_outcome_first():
    data = harmonised(reverse=3)
    filtered = steiger_filter(data)
    assert filtered.dropped["SNP"].to_list() == ["rs00", "rs01", "rs02"]
    assert filtered.dropped["reason"].unique().to_list() == ["explains more of the outcome than of the exposure"]
    assert {"rsq.exposure", "rsq.outcome", "steiger_dir", "steiger_pval"} <= set(filtered.frame.columns)
    assert steiger_filter(data, significance=1e-300).dropped.height == 0
    unknown = steiger_filter(harmonised(reverse=3, samplesize=None))
    assert unknown.dropped.height == 0
    assert unknown.frame["steiger_dir"].null_count() == 12


def test_the_battery_holds_every_analysis_of_every_pair():
    table = sensitivity(harmonised())
    counts = dict(table.group_by("analysis").len().iter_rows())
    assert counts == {
        "heterogeneity": 4,
        "pleiotropy": 1,
        "strength": 3,
        "sample overlap": 3,
        "direction": 2,
        "leave-one-out": 13,
        "single variant": 12,
        "radial": 37,
    }
    assert sensitivity(harmonised(1)).filter(pl.col("analysis") == "heterogeneity").height == 0


def test_leaving_one_out_in_closed_form_is_the_fit_without_it():
    data = harmonised()
    fast = leave_one_out(data)
    slow = leave_one_out(data, method=InverseVarianceWeighted(level=0.9))  # another setting: fitted one by one
    assert fast["SNP"].to_list() == slow["SNP"].to_list()
    for column in ("b", "se", "p"):
        assert fast[column].to_list() == pytest.approx(slow[column].to_list(), rel=1e-9)


def test_far_tails_of_the_battery_are_logarithms():
    data = harmonised()
    strong = HarmonisedStatistics(data.frame.with_columns(pl.col("se.exposure", "se.outcome") / 1000), data.absent)
    table = sensitivity(strong)
    far = table.filter(pl.col("pval") == 0.0)
    assert {"heterogeneity", "leave-one-out", "single variant"} <= set(far["analysis"])
    shown = far.filter(pl.col("analysis") != "direction")["log10_pval"]
    assert shown.null_count() == 0
    assert shown.max() < -300
    near = sensitivity(data).filter(pl.col("pval") > 0)
    assert near["log10_pval"].to_list() == pytest.approx([math.log10(p) for p in near["pval"]])
