from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import linalg, stats

import invarmr
from invarmr.data.moments import EnvironmentMoments, merge_moments
from invarmr.instruments import dimension
from invarmr.instruments.base import assign_folds
from invarmr.instruments.dimension import (
    EXACT,
    HeldOut,
    Tolerance,
    blocks,
    choose_dimension,
    covariance_spread_p,
    shift_rank,
)
from invarmr.instruments.stationary_system import solve_stationary

SEEDS = 200


def held_out_system(study, seed: int):
    cohort = study.cohort
    fold = assign_folds(cohort.environment, n_folds=10, seed=seed)
    folds = [moments.select(moments.index("instrument")) for moments in cohort.folded_moments(fold)]
    system = solve_stationary(merge_moments(folds[:7]), within=False)
    return system, HeldOut.from_folds(folds[7:], system, within=False), folds


@pytest.fixture(scope="module")
def drawn(linear_study):
    return [
        held_out_system(linear_study(seed, environments=3, asymmetric=True, n=(1_200, 800, 800)), seed)
        for seed in range(SEEDS)
    ]


def joint_mean_p(system, held_out) -> float:
    contrasts = linalg.helmert(len(held_out.n_samples))
    return dimension._mean_tests(system, held_out, dimension.leak_of(system, 2).covariance, contrasts)[-1][0]


def test_mean_test_is_uniform_at_the_true_dimension_because_it_allows_for_learning(drawn, monkeypatch) -> None:
    p = np.array([joint_mean_p(system, held_out) for system, held_out, _ in drawn])
    assert stats.kstest(p, "uniform").pvalue > 0.001
    low, high = stats.binom.ppf([0.001, 0.999], SEEDS, 0.05)
    assert low <= (p < 0.05).sum() <= high
    monkeypatch.setattr(dimension, "leak_of", lambda system, p: SimpleNamespace(covariance=np.zeros((2, 2))))
    naive = np.array([joint_mean_p(system, held_out) for system, held_out, _ in drawn])
    assert stats.kstest(naive, "uniform").pvalue < 1e-4
    assert (naive < 0.05).sum() > high


def test_independence_test_allows_for_learning_too(drawn) -> None:
    def smallest(system, held_out, leak) -> float:
        contrasts = linalg.helmert(len(held_out.n_samples))
        tests = dimension._independence_tests(system, held_out, leak, contrasts, 0.0)
        return min(1.0, len(tests) * min(tests)[0])

    high = stats.binom.ppf(0.999, SEEDS, 0.05)
    allowed = [smallest(s, h, dimension.leak_of(s, 2).covariance) for s, h, _ in drawn]
    naive = [smallest(s, h, np.zeros((2, 2))) for s, h, _ in drawn]
    assert (np.array(allowed) < 0.05).sum() <= high
    assert all(one <= other for one, other in zip(naive, allowed, strict=True))
    assert np.mean(naive) < np.mean(allowed) - 0.01


def test_covariance_test_is_uniform(drawn) -> None:
    p = np.array([covariance_spread_p(held_out, slice(0, 2)) for _, held_out, _ in drawn])
    assert stats.kstest(p, "uniform").pvalue > 0.001


def test_the_right_number_is_rarely_rejected_and_more_always(drawn) -> None:
    chosen = [choose_dimension(system, held_out, rejection=0.01)[0] for system, held_out, _ in drawn]
    assert chosen.count(2) >= stats.binom.ppf(0.001, SEEDS, 0.98)
    for system, held_out, _ in drawn[:5]:
        _, path = choose_dimension(system, held_out, rejection=0.01)
        assert [step.n_latent for step in path] == [4, 3, 2]
        assert [step.rejected for step in path] == [True, True, False]


def everybody_of(folds) -> HeldOut:
    return HeldOut.from_folds(folds, solve_stationary(merge_moments(folds), within=False), within=False)


def test_covariance_test_on_everybody_is_uniform_though_they_were_learned_from(drawn) -> None:
    p = np.array([covariance_spread_p(everybody_of(folds), slice(0, 2)) for _, _, folds in drawn])
    assert stats.kstest(p, "uniform").pvalue > 0.001
    low, high = stats.binom.ppf([0.001, 0.999], SEEDS, 0.05)
    assert low <= (p < 0.05).sum() <= high


def test_everybody_tells_a_confounded_direction_in_a_small_sample_and_people_held_out_do_not(linear_study) -> None:
    alone, together = [], []
    for seed in range(60):
        system, held_out, folds = held_out_system(linear_study(seed, environments=2, asymmetric=True, n=500), seed)
        alone.append(choose_dimension(system, held_out, rejection=0.01)[0])
        together.append(choose_dimension(system, held_out, rejection=0.01, everybody=everybody_of(folds))[0])
    assert together.count(2) >= stats.binom.ppf(0.001, 60, 0.98)
    assert alone.count(3) > 5


@pytest.mark.parametrize("n", [200, 199])
def test_everybody_is_tested_where_directions_are_few(n: int, linear_study) -> None:
    # four directions have ten covariances: 20 people for each are 200
    cohort = linear_study(1, environments=2, asymmetric=True, n=n).cohort
    step = invarmr.StationaryInstruments(n_latent=3).fit(cohort, seed=1).path[0]
    assert (step.covariance_p < 1e-4) == (n == 200)
    held_out = invarmr.StationaryInstruments(n_latent=3, held_out_only=True).fit(cohort, seed=1).path[0]
    assert held_out.covariance_p > 1e-4


def test_noise_divides_every_statistic(drawn) -> None:
    system, held_out, _ = drawn[2]
    contrasts = linalg.helmert(3)
    leak = dimension.leak_of(system, 2).covariance
    (p, _), (doubled, _) = (dimension._mean_tests(system, held_out, leak, contrasts, k)[-1] for k in (1.0, 2.0))
    assert stats.chi2.isf(p, 4) == pytest.approx(2 * stats.chi2.isf(doubled, 4))
    p, doubled = (covariance_spread_p(held_out, slice(0, 2), noise=k) for k in (1.0, 2.0))
    assert stats.f.isf(p, 6, 18) == pytest.approx(2 * stats.f.isf(doubled, 6, 18))
    p, doubled = (dimension._independence_tests(system, held_out, leak, contrasts, 0.0, k)[0][0] for k in (1.0, 2.0))
    assert stats.f.isf(p, 4, 12) == pytest.approx(2 * stats.f.isf(doubled, 4, 12))


def test_blocks_nest_and_end_with_all() -> None:
    assert blocks(1) == [1]
    assert blocks(2) == [1, 2]
    assert blocks(5) == [1, 2, 4, 5]
    assert blocks(8) == [1, 2, 4, 8]


def test_within_spread_is_the_naive_one(drawn) -> None:
    system, held_out, folds = drawn[0]
    naive = np.zeros((4, 4))
    for e in range(3):
        covariances = np.stack([system.basis.T @ fold.covariance()[e] @ system.basis for fold in folds[7:]])
        sizes = np.array([fold.n_samples[e] - 1 for fold in folds[7:]])
        centre = np.average(covariances, axis=0, weights=sizes)
        naive += np.einsum("k,kij->ij", sizes, (covariances - centre) ** 2)
    np.testing.assert_allclose(held_out.within_spread, naive / (3 * 2), rtol=1e-8)
    assert held_out.n_within == 6


def test_spread_test_is_an_f_ratio(drawn) -> None:
    _, held_out, _ = drawn[1]
    n = held_out.n_samples - 1
    C = held_out.covariances[:, :2, :2]
    between = sum(n[e] * ((C[e] - np.average(C, axis=0, weights=n)) ** 2).sum() for e in range(3)) / 2
    within = held_out.within_spread[:2, :2].sum()
    assert covariance_spread_p(held_out, slice(0, 2)) == pytest.approx(stats.f.sf(between / within, 6, 18))
    assert covariance_spread_p(replace(held_out, within_spread=np.zeros((4, 4))), slice(0, 2)) == 1.0


def test_tolerance_only_ever_forgives(drawn) -> None:
    for system, held_out, _ in drawn[:20]:
        strict = dimension._try(system, held_out, held_out, 3, 0.01, EXACT)
        loose = dimension._try(system, held_out, held_out, 3, 0.01, Tolerance(covariance=0.1, independence=0.3))
        assert loose.covariance_p >= strict.covariance_p
        assert loose.independence_p >= strict.independence_p
        assert loose.mean_p == strict.mean_p


def test_tolerance_is_calibrated_at_its_bound() -> None:
    # variances that differ by exactly the tolerance: rejected at about the nominal rate
    rejected, seeds = 0, 300
    for seed in range(seeds):
        generator = np.random.default_rng([11, seed])
        codes = np.repeat([0, 1], 1_000)
        sd = np.sqrt(np.where(codes == 0, 1.1, 0.9))
        values = generator.normal(size=(2_000, 1)) * sd[:, None]
        fold = assign_folds(codes, n_folds=10, seed=seed)
        folds = [
            EnvironmentMoments.from_arrays(
                values[fold == k], codes[fold == k], columns=["instrument:a"], environments=["x", "y"]
            )
            for k in range(10)
        ]
        system = solve_stationary(merge_moments(folds[:7]), within=False)
        held_out = HeldOut.from_folds(folds[7:], system, within=False)
        rejected += covariance_spread_p(held_out, slice(0, 1), tolerance=0.1) < 0.05
    assert rejected <= stats.binom.ppf(0.999, seeds, 0.06)


@pytest.mark.parametrize(("shifts", "rank"), [(0, 0), (1, 1), (2, 2), (3, 3)])
def test_shift_rank_counts_directions(shifts: int, rank: int) -> None:
    generator = np.random.default_rng(shifts)
    codes = np.repeat(np.arange(4), 2_000)
    moved = np.zeros((4, 5))
    moved[:, :shifts] = generator.normal(size=(4, shifts))
    values = generator.normal(size=(8_000, 5)) + moved[codes]
    moments = EnvironmentMoments.from_arrays(
        values, codes, columns=[f"instrument:{j}" for j in range(5)], environments=list("abcd")
    )
    system = solve_stationary(moments, within=False)
    assert shift_rank(moments, system.basis, rejection=0.01) == rank


def test_words_for_blocks() -> None:
    assert dimension._leading(1, 1) == "one direction left"
    assert dimension._leading(3, 3) == "3 directions together"
    assert dimension._leading(1, 3) == "least invariant direction"
    assert dimension._leading(2, 3) == "2 least invariant directions"


@pytest.mark.parametrize(("environments", "n", "d"), [(4, 1_000, 100), (2, 1_000, 60), (4, 100, 30)])
def test_noise_is_not_taken_for_differences_when_instruments_are_many(environments: int, n: int, d: int) -> None:
    # the basis is whitened on the people learned from: only people held out tell how covariances spread
    set_aside = []
    for seed in range(10):
        generator = np.random.default_rng([5, d, seed])
        cohort = invarmr.Cohort.from_arrays(
            instrument=generator.normal(size=(environments * n, d)),
            exposure=generator.normal(size=environments * n),
            outcome=generator.normal(size=environments * n),
            environment=np.repeat(np.arange(environments), n),
        )
        latent = invarmr.StationaryInstruments().fit(cohort, seed=seed)
        assert latent.verdict.status != "identified" or latent.n_confounded <= 1
        set_aside.append(latent.n_confounded)
    assert np.count_nonzero(set_aside) <= 2


def test_a_mean_shift_is_not_vouched_for_by_a_covariance_elsewhere() -> None:
    # V1 shifts in mean and spread, V2 and V3 in mean alone: V2 - V3 looks invariant, and carries the confounder
    verdicts = []
    for seed in range(10):
        generator = np.random.default_rng([6, seed])
        second = np.repeat([0, 1], 3_000)
        confounder = generator.normal(size=6_000)
        V = generator.normal(size=(6_000, 3)) + second[:, None]
        V[:, 0] *= 1 + second
        V[:, 1] += confounder
        V[:, 2] -= confounder
        exposure = V.sum(axis=1) + (V[:, 1] - V[:, 2]) + confounder + generator.normal(size=6_000)
        cohort = invarmr.Cohort.from_arrays(
            instrument=V, exposure=exposure, outcome=exposure + 2 * confounder, environment=second
        )
        verdicts.append(invarmr.StationaryInstruments().fit(cohort, seed=seed).verdict.status)
    assert verdicts.count("identified") == 0
