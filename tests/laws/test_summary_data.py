"""Laws of summary-data estimators: alleles, units and order are conventions; IVW is a regression."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from invarmr.data.harmonised import Associations
from invarmr.data.summary_statistics import SummaryStatistics
from invarmr.estimators.summary.inverse_variance import InverseVarianceWeighted
from invarmr.estimators.summary.table import METHODS, mr
from invarmr.estimators.summary.wald_ratio import WaldRatio
from invarmr.genetics.harmonise import harmonise

SEEDS = st.integers(0, 10_000)
DRAWN = {
    "mr_egger_regression_bootstrap",
    "mr_presso",
    "mr_simple_median",
    "mr_weighted_median",
    "mr_penalised_weighted_median",
    "mr_pivw",
} | {name for name in METHODS if "mode" in name}
EXACT = [name for name in METHODS if name not in DRAWN and name != "mr_wald_ratio"]
ESTIMATED = [name for name in METHODS if name not in ("mr_wald_ratio", "mr_egger_regression_bootstrap", "mr_presso")]

SIZE = {"mr_hetpen": 7}  # all subsets of the variants


def random_data(seed: int, p: int = 12) -> Associations:
    rng = np.random.default_rng(seed)
    return Associations.from_arrays(
        exposure=rng.uniform(0.05, 0.2, p) * rng.choice([-1.0, 1.0], p),
        exposure_std_error=rng.uniform(0.005, 0.01, p),
        outcome=0.1 * rng.normal(size=p),
        outcome_std_error=rng.uniform(0.02, 0.05, p),
    )


def changed(data: Associations, **arrays: np.ndarray) -> Associations:
    fields = {name: getattr(data, name) for name in ("exposure", "exposure_std_error", "outcome", "outcome_std_error")}
    return Associations.from_arrays(**(fields | arrays), variants=data.variants)


def fit(name: str, data: Associations) -> tuple[float, float, float]:
    method = METHODS[name]
    few = {"n_draws": 2} if name in DRAWN else {}
    answer = dataclasses.replace(method, **few).fit(data)
    return answer.b, answer.se, answer.pval


@pytest.mark.parametrize("name", ESTIMATED)
@settings(max_examples=8, deadline=None, derandomize=True)
@given(seed=SEEDS)
def test_the_other_allele_tells_the_same(name: str, seed: int):
    data = random_data(seed, SIZE.get(name, 12))
    sign = np.random.default_rng(seed).choice([-1.0, 1.0], data.n_variants)
    turned = changed(data, exposure=data.exposure * sign, outcome=data.outcome * sign)
    assert fit(name, turned)[0] == pytest.approx(fit(name, data)[0], rel=1e-6, abs=1e-8)
    if name in EXACT:
        assert fit(name, turned)[1:] == pytest.approx(fit(name, data)[1:], rel=1e-5, abs=1e-10, nan_ok=True)


UNITLESS = [
    name for name in ESTIMATED if name != "mr_hetpen"
]  # its published weights depend on the units, and it says so


@pytest.mark.parametrize("name", UNITLESS)
@settings(max_examples=8, deadline=None, derandomize=True)
@given(seed=SEEDS, x=st.floats(0.01, 100), y=st.floats(0.01, 100))
def test_estimates_follow_the_units(name: str, seed: int, x: float, y: float):
    data = random_data(seed, SIZE.get(name, 12))
    scaled = changed(
        data,
        exposure=data.exposure * x,
        exposure_std_error=data.exposure_std_error * x,
        outcome=data.outcome * y,
        outcome_std_error=data.outcome_std_error * y,
    )
    b, se, p = fit(name, data)
    b2, se2, p2 = fit(name, scaled)
    assert b2 == pytest.approx(b * y / x, rel=1e-5, abs=1e-7 * y / x)
    assert se2 == pytest.approx(se * y / x, rel=1e-4, nan_ok=True)
    assert p2 == pytest.approx(p, rel=1e-3, abs=1e-6)


@pytest.mark.parametrize("name", ESTIMATED)
@settings(max_examples=8, deadline=None, derandomize=True)
@given(seed=SEEDS)
def test_the_order_of_variants_does_not_matter(name: str, seed: int):
    data = random_data(seed, SIZE.get(name, 12))
    order = np.random.default_rng(seed).permutation(data.n_variants)
    assert fit(name, data.take(order))[0] == pytest.approx(fit(name, data)[0], rel=1e-6, abs=1e-8)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(seed=SEEDS)
def test_ivw_of_one_variant_is_the_wald_ratio(seed: int):
    data = random_data(seed, 1)
    one, ratio = InverseVarianceWeighted().fit(data), WaldRatio().fit(data)
    assert (one.b, one.se, one.pval) == pytest.approx((ratio.b, ratio.se, ratio.pval))


@settings(max_examples=50, deadline=None, derandomize=True)
@given(seed=SEEDS, p=st.integers(2, 30))
def test_ivw_is_the_weighted_regression_through_the_origin_and_the_weighted_mean_of_ratios(seed: int, p: int):
    data = random_data(seed, p)
    x, y = data.exposure / data.outcome_std_error, data.outcome / data.outcome_std_error
    b, rest, *_ = np.linalg.lstsq(x[:, None], y, rcond=None)
    answer = InverseVarianceWeighted(effects="multiplicative").fit(data)
    assert answer.b == pytest.approx(float(b[0]))
    assert answer.se == pytest.approx(math.sqrt(float(rest[0]) / (p - 1) / float(x @ x)))
    assert answer.b == pytest.approx(np.average(data.ratio, weights=data.ratio_std_error() ** -2.0))


def study(name: str, rng: np.random.Generator, p: int) -> pl.DataFrame:
    pairs = [("A", "G"), ("A", "C"), ("G", "A"), ("T", "C")]
    alleles = [pairs[code] for code in rng.integers(0, 4, p)]
    return pl.DataFrame(
        {
            "SNP": [f"rs{i}" for i in range(p)],
            "effect_allele": [a for a, _ in alleles],
            "other_allele": [b for _, b in alleles],
            "beta": rng.uniform(0.1, 0.2, p),
            "se": 0.01,
            "eaf": rng.uniform(0.1, 0.9, p),
            "Phenotype": name,
        }
    )


def swapped(frame: pl.DataFrame, rows: np.ndarray) -> pl.DataFrame:
    turn = pl.Series(rows)
    return frame.with_columns(
        effect_allele=pl.when(turn).then("other_allele").otherwise("effect_allele"),
        other_allele=pl.when(turn).then("effect_allele").otherwise("other_allele"),
        beta=pl.when(turn).then(-pl.col("beta")).otherwise("beta"),
        eaf=pl.when(turn).then(1 - pl.col("eaf")).otherwise("eaf"),
    )


@settings(max_examples=15, deadline=None, derandomize=True)
@given(seed=SEEDS)
def test_swapping_alleles_or_rows_in_either_file_changes_no_row_of_the_table(seed: int):
    rng = np.random.default_rng(seed)
    exposure = study("x", rng, 15)
    outcome = exposure.with_columns(beta=0.5 * pl.col("beta") + 0.02 * rng.normal(size=15), Phenotype=pl.lit("y"))
    read = SummaryStatistics.from_frame
    plain = mr(harmonise(read(exposure), read(outcome)))
    mixed = outcome.sample(fraction=1.0, shuffle=True, seed=seed)
    turned = mr(harmonise(read(exposure), read(swapped(mixed, rng.random(15) < 0.5))))
    assert turned["b"].to_list() == pytest.approx(plain["b"].to_list())
    assert turned["se"].to_list() == pytest.approx(plain["se"].to_list())  # drawn errors too: rows are sorted
    both = mr(
        harmonise(read(swapped(exposure, rng.random(15) < 0.5)), read(outcome)), ["mr_ivw", "mr_egger_regression"]
    )
    expected = plain.filter(pl.col("method").is_in(both["method"].to_list())).sort("method")
    assert both.sort("method")["b"].to_list() == pytest.approx(expected["b"].to_list())
    assert both.sort("method")["se"].to_list() == pytest.approx(expected["se"].to_list())
