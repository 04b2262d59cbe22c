from fractions import Fraction
from math import comb, factorial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from invarmr.errors import InputError
from invarmr.genetics.quality_control import call_rate, counted_allele_frequency, hardy_weinberg_p, variant_filters

ENVIRONMENTS = ["north", "south"]


def exact_distribution(rare, n):
    """P(h) by whole numbers, straight from the multinomial."""
    pairs = comb(2 * n, rare)
    return {
        het: Fraction(
            factorial(n) * 2**het,
            factorial((rare - het) // 2) * factorial(het) * factorial(n - (rare + het) // 2) * pairs,
        )
        for het in range(rare % 2, min(rare, 2 * n - rare) + 1, 2)
    }


@given(st.tuples(st.integers(0, 40), st.integers(0, 40), st.integers(0, 40)))
def test_exact_p_equals_the_sum_over_all_outcomes(calls):
    n0, het, n2 = calls
    n, rare = sum(calls), het + 2 * min(n0, n2)
    probability = exact_distribution(rare, n)
    assert sum(probability.values()) == 1
    expected = {
        "excess": sum(p for h, p in probability.items() if h >= het),
        "deficit": sum(p for h, p in probability.items() if h <= het),
        "two-sided": sum(p for p in probability.values() if p <= probability[het]),
    }
    for tail, p in expected.items():
        assert hardy_weinberg_p(np.array([*calls, 3]), tail=tail) == pytest.approx(float(p), rel=1e-9, abs=1e-14)


def test_wigginton_example():
    assert hardy_weinberg_p(np.array([50, 57, 14, 0])) == pytest.approx(0.842279756570793, rel=1e-9)


def test_tails_stay_finite_far_out_and_in_large_samples():
    counts = np.array([[0, 500_000, 0, 0], [250_000, 0, 250_000, 0], [499_999, 1, 0, 0], [0, 0, 0, 9], [9, 0, 0, 0]])
    for tail in ("excess", "deficit", "two-sided"):
        p = hardy_weinberg_p(counts, tail=tail)
        assert ((p >= 0) & (p <= 1)).all()
    assert hardy_weinberg_p(counts, tail="excess") == pytest.approx([0, 1, 1, 1, 1], abs=1e-9)
    far = float(Fraction(2**600, comb(1200, 600)))
    assert hardy_weinberg_p(np.array([0, 600, 0, 0]), tail="excess") == pytest.approx(far, rel=1e-9)


def test_exact_p_meets_the_normal_limit():
    from scipy.stats import chi2

    n, p = 500_000, 0.3
    expected = 2 * p * (1 - p) * n
    for shift in (-800, 500, 1500):
        het = round(expected) + shift
        rare = round(2 * n * p)
        het -= (rare - het) % 2
        n2 = (rare - het) // 2
        coefficient = 1 - het / (2 * n * (rare / (2 * n)) * (1 - rare / (2 * n)))
        p_exact = hardy_weinberg_p(np.array([n - het - n2, het, n2, 0]))
        assert p_exact == pytest.approx(chi2.sf(n * coefficient**2, 1), rel=0.03)


def test_rates_and_frequencies_keep_leading_axes():
    counts = np.array([[[1, 2, 1, 4], [0, 0, 0, 8]], [[0, 0, 5, 0], [0, 0, 0, 0]]])
    assert np.array_equal(call_rate(counts), [[0.5, 0], [1, np.nan]], equal_nan=True)
    assert np.array_equal(counted_allele_frequency(counts), [[0.5, np.nan], [1, np.nan]], equal_nan=True)
    assert hardy_weinberg_p(counts).shape == (2, 2)


def test_each_failure_has_its_reason():
    good = [360, 480, 160, 0]
    counts = np.array(
        [
            [good, [324, 432, 144, 100], [990, 10, 0, 0], [1000, 0, 0, 0], [0, 1000, 0, 0], [500, 0, 500, 0], good],
            [good, good, [995, 5, 0, 0], [0, 0, 1000, 0], [10, 980, 10, 0], good, [0, 0, 0, 1000]],
        ]
    )
    frame = variant_filters(counts, ENVIRONMENTS)
    assert frame["status"].to_list() == ["kept", "dropped", "dropped", "dropped", "dropped", "kept", "dropped"]
    reasons = frame["reason"].to_list()
    assert reasons[0] == ""
    assert reasons[1] == "call rate 0.9 in north (at least 0.95 required)"
    assert reasons[2] == "minor allele frequency 0.00375 over all environments (at least 0.01 required)"
    assert reasons[3] == "does not vary within any environment"
    assert reasons[4].startswith("heterozygote excess p-value ")
    assert reasons[4].endswith("in north and lower than required in 1 more (at least 1e-06 required)")
    assert reasons[6] == "call rate 0 in south (at least 0.95 required)"
    assert frame["heterozygote_deficit_p"][5] < 1e-100
    assert frame["counted_allele_frequency"][3] == 0.5
    assert frame["min_environment_frequency"].to_list()[:4] == [0.4, 0.4, 0.0025, 0.0]
    assert frame["max_environment_frequency"][3] == 1.0


def test_bounds_can_be_switched_off_and_the_tail_chosen():
    counts = np.array([[[500, 0, 500, 0], [0, 1000, 0, 0], [999, 1, 0, 900]]])
    off = variant_filters(counts, ["all"], min_call_rate=0, min_allele_frequency=0, min_hardy_weinberg_p=None)
    assert off["status"].to_list() == ["kept"] * 3
    deficit = variant_filters(counts, ["all"], min_call_rate=0, min_allele_frequency=0, hardy_weinberg_tail="deficit")
    assert deficit["status"].to_list() == ["dropped", "kept", "kept"]
    both = variant_filters(counts, ["all"], min_call_rate=0, min_allele_frequency=0, hardy_weinberg_tail="two-sided")
    assert both["status"].to_list() == ["dropped", "dropped", "kept"]
    assert both["reason"][0].startswith("Hardy-Weinberg p-value")


def test_ancestry_informative_variants_survive_the_default():
    rng = np.random.default_rng(1)
    ancestry = rng.dirichlet([0.3, 0.3], size=5000)[:, 0]
    frequency = 0.9 * ancestry + 0.1 * (1 - ancestry)
    copies = rng.binomial(2, frequency)
    counts = np.append(np.bincount(copies, minlength=3), 0)[None, None]
    frame = variant_filters(counts, ["site"])
    assert frame["heterozygote_deficit_p"][0] < 1e-6
    assert frame["status"][0] == "kept"


def test_no_variants():
    assert variant_filters(np.zeros((2, 0, 4), dtype=int), ENVIRONMENTS).height == 0


def test_bad_counts():
    with pytest.raises(InputError, match=r"shape \(environments, variants, 4\) with 2 environments, but have shape"):
        variant_filters(np.ones((1, 3, 4), dtype=int), ENVIRONMENTS)
    counts = np.ones((2, 3, 4), dtype=int)
    counts[1] = 0
    with pytest.raises(InputError, match="south has none"):
        variant_filters(counts, ENVIRONMENTS)
