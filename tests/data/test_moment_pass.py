from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

import invarmr
from invarmr.data import instrument_source, moment_pass
from invarmr.data.genotypes import MISSING_CALL, GenotypeReader
from invarmr.data.instrument_source import ArrayInstruments, GenotypeInstruments, InstrumentSource, StackedInstruments
from invarmr.data.moment_pass import sum_groups

N, D = 700, 5


class Memory(GenotypeReader):
    def __init__(self, calls: np.ndarray) -> None:
        self.calls = calls
        self.variants = pl.DataFrame({"variant": [f"rs{j}" for j in range(len(calls))]})
        self.sample_ids = np.array([f"s{i}" for i in range(calls.shape[1])])
        self.reads: list[int] = []

    def read(self, variants, samples):
        assert (np.diff(samples) > 0).all()
        self.reads.append(len(samples))
        return self.calls[np.ix_(variants, samples)]

    def counts(self, variants, samples):
        raise NotImplementedError


def genotypes(*, missing: bool) -> GenotypeInstruments:
    generator = np.random.default_rng(3)
    calls = generator.binomial(2, 0.4, size=(D, N)).astype(np.int8)
    calls[generator.random(calls.shape) < 0.05 * missing] = MISSING_CALL
    return GenotypeInstruments(
        Memory(calls),
        variants=np.array([4, 0, 1, 3, 2]),
        flip=np.arange(D) == 2,
        samples=np.arange(N),
        environment=np.arange(N) % 3,
        imputed=generator.uniform(0, 2, size=(3, D)),
    )


def sources() -> dict[str, InstrumentSource]:
    scores = ArrayInstruments(np.random.default_rng(4).normal(1e3, 1, size=(N, 2)))
    return {
        "copies": genotypes(missing=False),
        "copies, some missing": genotypes(missing=True),
        "scores": scores,
        "both": StackedInstruments(genotypes(missing=True), scores),
    }


@pytest.mark.parametrize("name", sources())
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("small", [False, True])
def test_every_group_has_the_moments_of_its_rows(monkeypatch, name, threads, small) -> None:
    if small:
        monkeypatch.setattr(moment_pass, "CHUNK", 16)
        monkeypatch.setattr(moment_pass, "BLOCK_BYTES", 300)
        monkeypatch.setattr(instrument_source, "_SLAB", 2)
    source = sources()[name]
    generator = np.random.default_rng(5)
    others, group = generator.normal([40, 0, -7], [1, 2, 3], size=(N, 3)), generator.integers(-1, 6, N)
    group[group == 4] = 5  # nobody
    place = slice(1, 1 + source.n_instruments)
    with threadpool_limits(threads, user_api="blas"):
        sums = sum_groups(
            source, others.__getitem__, group, n_groups=6, n_columns=3 + source.n_instruments, place=place
        )
    values = source.read(np.arange(N)).astype(float)
    rows = np.hstack([others[:, :1], values, others[:, 1:]])
    assert sums.n_samples.tolist() == np.bincount(group[group >= 0], minlength=6).tolist()
    for g in (0, 1, 2, 3, 5):
        own = rows[group == g]
        centred = own - own.mean(axis=0)
        np.testing.assert_allclose(sums.mean[g], own.mean(axis=0), rtol=1e-12)
        np.testing.assert_allclose(sums.crossproduct[g], centred.T @ centred, rtol=1e-10, atol=1e-9)


def test_threads_change_no_bit_and_are_given_back() -> None:
    def found(threads: int) -> np.ndarray:
        with threadpool_limits(threads, user_api="blas"):
            before = [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]
            moments = cohort.folded_moments(np.arange(N) % 4)
            after = [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]
        assert before == after
        return np.stack([fold.crossproduct for fold in moments])

    generator = np.random.default_rng(6)
    cohort = invarmr.Cohort.from_arrays(
        instrument=generator.normal(size=(N, D)),
        exposure=generator.normal(size=N),
        outcome=generator.normal(size=N),
        environment=np.arange(N) % 2,
    )
    np.testing.assert_array_equal(found(1), found(2))


def test_a_file_is_read_once_in_long_runs_and_progress_is_told() -> None:
    source = genotypes(missing=False)
    seen: list[int] = []

    def track(blocks):
        for block in blocks:
            seen.append(len(block))
            yield block

    others = np.random.default_rng(0).normal(size=(N, 2))
    group = np.arange(N) % 7
    sum_groups(source, others.__getitem__, group, n_groups=7, n_columns=2 + D, place=slice(0, D), track=track)
    assert seen == source._reader.reads == [N]


def test_a_reading_error_comes_through() -> None:
    source = genotypes(missing=False)
    source._reader.calls = source._reader.calls[:2]
    with pytest.raises(IndexError):
        sum_groups(
            source,
            lambda rows: np.zeros((len(rows), 2)),
            np.zeros(N, dtype=int),
            n_groups=1,
            n_columns=7,
            place=slice(0, 5),
        )
