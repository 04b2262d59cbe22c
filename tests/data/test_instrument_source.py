from __future__ import annotations

import numpy as np
import polars as pl
import pytest

import invarmr
from invarmr.data.genotypes import MISSING_CALL, GenotypeReader
from invarmr.data.instrument_source import (
    ArrayInstruments,
    GenotypeInstruments,
    SelectedInstruments,
    StackedInstruments,
)


class Memory(GenotypeReader):
    def __init__(self, calls: np.ndarray) -> None:
        self.calls = calls
        self.variants = pl.DataFrame({"variant": [f"rs{j}" for j in range(len(calls))]})
        self.sample_ids = np.array([f"s{i}" for i in range(calls.shape[1])])

    def read(self, variants, samples):
        return self.calls[np.ix_(variants, samples)]

    def counts(self, variants, samples):
        calls = self.read(variants, samples)
        return np.stack([(calls == value).sum(axis=1) for value in (0, 1, 2, MISSING_CALL)], axis=1)


def source(calls: np.ndarray, **changes) -> GenotypeInstruments:
    plain = {
        "variants": np.array([3, 0, 1]),
        "flip": np.array([False, True, False]),
        "samples": np.array([0, 2, 3, 5]),
        "environment": np.array([0, 1, 0, 1]),
        "imputed": np.array([[0.25, 0.5, 0.75], [1.25, 1.5, 1.75]]),
    }
    return GenotypeInstruments(Memory(calls), **{**plain, **changes})


COMPLETE = np.random.default_rng(0).integers(0, 3, size=(4, 6)).astype(np.int8)


def expected(calls: np.ndarray) -> np.ndarray:
    values = calls[np.ix_([3, 0, 1], [0, 2, 3, 5])].astype(float)
    means = np.array([[0.25, 0.5, 0.75], [1.25, 1.5, 1.75]])
    for j in range(3):
        for i in range(4):
            if values[j, i] == MISSING_CALL:
                values[j, i] = means[[0, 1, 0, 1][i], j]
            elif j == 1:
                values[j, i] = 2 - values[j, i]
    return values.T


@pytest.mark.parametrize("missing", [[], [(3, 2)], [(0, 0), (0, 5), (1, 3)]])
def test_flips_missing_calls_and_order(missing) -> None:
    calls = COMPLETE.copy()
    for place in missing:
        calls[place] = MISSING_CALL
    found = source(calls)
    np.testing.assert_array_equal(found.read(np.arange(4)), expected(calls))
    np.testing.assert_array_equal(found.read(np.array([1, 3])), expected(calls)[[1, 3]])
    assert (found.n_samples, found.n_instruments) == (4, 3)
    assert found.read(np.arange(4)).dtype == (np.float32 if missing else np.int8)


def test_without_flips() -> None:
    found = source(COMPLETE, flip=np.zeros(3, dtype=bool)).read(np.arange(4))
    np.testing.assert_array_equal(found, COMPLETE[np.ix_([3, 0, 1], [0, 2, 3, 5])].T)


def test_arrays_and_stacks() -> None:
    values = np.random.default_rng(0).normal(size=(4, 2))
    array = ArrayInstruments(values)
    np.testing.assert_array_equal(array.read(np.array([1, 2])), values[1:3])
    np.testing.assert_array_equal(array.read(np.array([0, 3])), values[[0, 3]])
    stack = StackedInstruments(source(COMPLETE), array)
    assert (stack.n_samples, stack.n_instruments) == (4, 5)
    read = stack.read(np.arange(4))
    assert read.dtype == np.float64
    np.testing.assert_array_equal(read, np.hstack([expected(COMPLETE), values]))


@pytest.mark.parametrize("missing", [[], [(3, 2)]])
def test_some_samples_of_another_source(missing) -> None:
    calls = COMPLETE.copy()
    for place in missing:
        calls[place] = MISSING_CALL
    whole, chosen = source(calls), np.array([0, 1, 3])
    some = SelectedInstruments(whole, chosen)
    assert (some.n_samples, some.n_instruments) == (3, 3)
    assert (some.holds_copies, some.bytes_per_sample) == (True, whole.bytes_per_sample)
    np.testing.assert_array_equal(some.read(np.array([0, 2])), expected(calls)[[0, 3]])
    rows = some.arranged(np.array([1, 2]), np.array([1, 0]))
    np.testing.assert_array_equal(rows(slice(0, 2)), expected(calls)[[3, 1]])


def test_a_cohort_read_from_a_file_is_that_of_the_array() -> None:
    generator = np.random.default_rng(2)
    n = 400
    calls = generator.binomial(2, 0.3, size=(5, n)).astype(np.int8)
    calls[generator.random(calls.shape) < 0.02] = MISSING_CALL
    codes = np.arange(n) % 2
    known = np.where(calls == MISSING_CALL, np.nan, calls.astype(float))
    imputed = np.stack([np.nanmean(known[:, codes == e], axis=1) for e in (0, 1)])
    reader = GenotypeInstruments(
        Memory(calls),
        variants=np.arange(5),
        flip=np.zeros(5, dtype=bool),
        samples=np.arange(n),
        environment=codes,
        imputed=imputed,
    )
    filled = np.where(np.isnan(known), imputed[codes].T, known).T
    exposure, outcome = filled.sum(axis=1) + generator.normal(size=n), generator.normal(size=n)
    plain = invarmr.Cohort.from_arrays(
        instrument=filled, exposure=exposure, outcome=outcome, environment=codes, instrument_kind="genotype"
    )
    streamed = invarmr.Cohort(
        instruments=reader,
        **{
            name: getattr(plain, name)
            for name in (
                *("instrument_names", "instrument_kind", "exposure", "outcome", "environment", "environments"),
                *("sample_ids", "covariates", "components", "truth"),
            )
        },
    )
    np.testing.assert_allclose(streamed.moments.crossproduct, plain.moments.crossproduct, rtol=1e-6, atol=1e-5)
    for fit in (invarmr.TwoStageLeastSquares(std_errors="robust"), invarmr.LimitedInformationML()):
        one, other = (fit.fit(invarmr.IVDesign.from_cohort(people)) for people in (streamed, plain))
        assert one.estimate == pytest.approx(other.estimate, rel=1e-5)
        assert one.std_error == pytest.approx(other.std_error, rel=1e-5)
    assert reader.read(np.arange(n)).dtype == np.float32
