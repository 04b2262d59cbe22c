"""Moments merge in any order, do not cancel, and are the same from copies in any type."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from invarmr.data.group_sums import CHUNK, CopySums, RowSums
from invarmr.data.moments import EnvironmentMoments, merge_moments

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
@given(st.integers(0, 2**31), st.sampled_from([np.int8, np.float32]), st.integers(2, 9_000))
def test_sums_for_allele_copies_are_the_plain_sums(seed: int, kind: type, n: int) -> None:
    generator = np.random.default_rng(seed)
    copies = generator.binomial(2, generator.uniform(0.05, 0.95, 4), size=(n, 4)).astype(kind)
    if kind is np.float32:
        copies[generator.random(copies.shape) < 0.1] = generator.uniform(0, 2)  # imputed calls
    copies = copies.astype(np.float64)
    others = generator.normal([50, 0, 1e6], [10, 1e-3, 1e6], size=(n, 3))
    group, place = generator.permutation(np.arange(n) % 2), slice(1, 5)
    centre = generator.normal([50, 0, 1e6], [1, 1e-4, 1e5], size=(2, 3))  # near the mean, but not there
    plain, split = RowSums(2, 7, place), CopySums(2, 7, place, centre)
    for g in (0, 1):
        rows = np.flatnonzero(group == g)
        for start in range(0, len(rows), CHUNK):
            chunk = rows[start : start + CHUNK]
            plain.multiplied(g, copies[chunk], others[chunk])()
            split.multiplied(g, np.asfortranarray(copies[chunk].astype(kind)), others[chunk])()
        plain.finish(g)
        split.finish(g)
        centred = copies[rows] - copies[rows].mean(axis=0)
        assert np.abs(split.crossproduct[g, place, place] - centred.T @ centred).max() < 1e-12 * n
    names = ("age", *"abcd", "exposure", "outcome")
    a, b = (EnvironmentMoments(names, ("x", "y"), s.n_samples, s.mean, s.crossproduct) for s in (plain, split))
    same(b, a, 1e-11)


def test_a_group_may_be_empty() -> None:
    for sums in (RowSums(2, 3, slice(0, 1)), CopySums(2, 3, slice(0, 1), np.ones((2, 2)))):
        sums.multiplied(1, np.array([[2], [1]], dtype=np.int8), np.array([[1.0, 2.0], [3.0, 5.0]]))()
        for group in (0, 1):
            sums.finish(group)
        assert sums.n_samples.tolist() == [0, 2]
        np.testing.assert_array_equal(sums.mean[1], [1.5, 2.0, 3.5])
        np.testing.assert_array_equal(sums.crossproduct[1], np.array([[1, -2, -3], [-2, 4, 6], [-3, 6, 9]]) / 2)
        np.testing.assert_array_equal(sums.crossproduct[0], np.zeros((3, 3)))


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
