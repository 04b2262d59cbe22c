"""Moments merge in any order, do not cancel, and are the same from copies in any type."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from invarmr.data.moments import EnvironmentMoments, MomentAccumulator, merge_moments

COLUMNS = ("instrument:a", "exposure", "outcome")


def moments(values: np.ndarray, codes: np.ndarray, block: int = 16_384) -> EnvironmentMoments:
    return EnvironmentMoments.from_arrays(values, codes, columns=COLUMNS, environments=("x", "y"), block=block)


def same(first: EnvironmentMoments, second: EnvironmentMoments, tolerance: float = 1e-10) -> None:
    assert (first.n_samples == second.n_samples).all()
    scale = np.sqrt(np.einsum("ejj->ej", second.crossproduct))
    np.testing.assert_allclose(first.mean, second.mean, rtol=tolerance, atol=tolerance)
    scale = np.where(scale > 0, scale, 1.0)  # a monomorphic column
    weight = scale[:, :, None] * scale[:, None, :]
    assert np.abs((first.crossproduct - second.crossproduct) / weight).max() < tolerance


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(0, 2**31), st.integers(1, 6), st.integers(1, 50), st.sampled_from([0.0, 10.0, -1e4]))
def test_any_partition_in_any_order_is_the_whole(seed: int, parts: int, block: int, offset: float) -> None:
    generator = np.random.default_rng(seed)
    values = generator.normal(offset, 1, size=(120, 3)) @ generator.normal(size=(3, 3))
    codes = generator.integers(0, 2, 120)
    owner = generator.integers(0, parts, 120)
    split = [moments(values[owner == i], codes[owner == i], block) for i in generator.permutation(parts)]
    same(merge_moments(split), moments(values, codes), 1e-9 if offset else 1e-10)


def test_an_environment_may_be_empty_in_a_part() -> None:
    values = np.random.default_rng(1).normal(size=(10, 3))
    first = moments(values[:5], np.zeros(5, dtype=int))
    second = moments(values[5:], np.ones(5, dtype=int))
    same(first + second, moments(values, np.repeat([0, 1], 5)))


@pytest.mark.parametrize("mean", [1e6, 1e8])
def test_a_mean_far_above_its_sd_does_not_cancel(mean: float) -> None:
    generator = np.random.default_rng(2)
    values = generator.normal(mean, 1.0, size=(200, 3))
    found = moments(values, np.zeros(200, dtype=int), block=30)
    exact = [[Fraction(float(entry)) for entry in column] for column in values.T]
    centred = []
    for column in exact:
        middle = sum(column) / 200
        centred.append([entry - middle for entry in column])
    for i in range(3):
        for j in range(3):
            true = float(sum(a * b for a, b in zip(centred[i], centred[j], strict=True)))
            assert abs(found.crossproduct[0, i, j] - true) / 200 < 1e-16 * mean


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.integers(0, 2**31), st.sampled_from([np.int8, np.float32]), st.integers(1, 9_000))
def test_split_path_for_allele_copies_is_the_plain_path(seed: int, kind: type, n: int) -> None:
    generator = np.random.default_rng(seed)
    copies = generator.binomial(2, generator.uniform(0.05, 0.95, 4), size=(n, 4))
    left, right = generator.normal(50, 10, size=(n, 1)), generator.normal(size=(n, 2)) * [1e-3, 1e6]
    names = ("covariate:age", *(f"instrument:{i}" for i in range(4)), "exposure", "outcome")
    plain, split = MomentAccumulator(names, ("x",)), MomentAccumulator(names, ("x",))
    half = n // 2
    for rows in (slice(0, half), slice(half, n)):
        plain.add(0, np.hstack([left[rows], copies[rows], right[rows]]))
        split.add_split(0, left[rows], np.asfortranarray(copies[rows].astype(kind)), right[rows])
    a, b = plain.moments(), split.moments()
    same(b, a, 1e-11)
    z = slice(1, 5)
    centred = copies - copies.mean(axis=0)
    assert np.abs(b.crossproduct[0, z, z] - centred.T @ centred).max() < 1e-12 * max(n, 1)


def test_split_path_takes_an_empty_block() -> None:
    accumulator = MomentAccumulator(("instrument:a", "exposure", "outcome"), ("x",))
    accumulator.add_split(0, np.zeros((0, 0)), np.zeros((0, 1), dtype=np.int8), np.zeros((0, 2)))
    accumulator.add(0, np.zeros((0, 3)))
    assert accumulator.moments().n_total == 0


@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.integers(0, 2**31))
def test_within_and_between_make_the_total(seed: int) -> None:
    generator = np.random.default_rng(seed)
    values, codes = generator.normal(size=(60, 3)), generator.integers(0, 2, 60)
    found = moments(values, codes)
    centred = values - values.mean(axis=0)
    np.testing.assert_allclose(found.total(), centred.T @ centred, atol=1e-10)
    parts = [found.subset([e]) for e in (0, 1)]
    np.testing.assert_allclose(sum(part.total() for part in parts), found.within(), atol=1e-10)
