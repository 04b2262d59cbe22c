import numpy as np
import polars as pl
import pytest

from invarmr.errors import InputError
from invarmr.simulate.mosaic import (
    choose_instruments,
    choose_variants,
    copy_blocks,
    genomic_blocks,
    lose_calls,
)
from invarmr.simulate.reference_panel import load_reference_panel


@pytest.fixture(scope="module")
def panel():
    return load_reference_panel()


def test_blocks_end_at_windows_and_at_chromosomes():
    variants = pl.DataFrame({"chromosome": ["1", "1", "1", "2", "2"], "position": [5, 9, 10, 11, 31]})
    assert genomic_blocks(variants, 10).tolist() == [0, 0, 1, 2, 3]


def test_instruments_lie_in_different_blocks_all_over_the_genome(panel):
    blocks = genomic_blocks(panel.variants, 5_000_000)
    chosen = choose_instruments(blocks, panel.frequencies().mean(axis=0), count=200, rng=np.random.default_rng(1))
    assert np.unique(blocks[chosen]).size == 200
    assert (np.diff(chosen) > 0).all()
    assert panel.variants[chosen]["chromosome"].n_unique() == 22


def test_rare_variants_are_no_instruments_and_blocks_can_run_out():
    blocks, frequency = np.array([0, 0, 1, 2]), np.array([0.001, 0.5, 0.3, 0.995])
    chosen = choose_instruments(blocks, frequency, count=2, rng=np.random.default_rng(1))
    assert chosen.tolist() == [1, 2]
    with pytest.raises(InputError, match="smaller block_length"):
        choose_instruments(blocks, frequency, count=3, rng=np.random.default_rng(1))


def test_chosen_variants_hold_the_instruments():
    instruments = np.array([3, 50, 99])
    rows = choose_variants(100, instruments, count=10, rng=np.random.default_rng(1))
    assert rows.size == 10
    assert np.isin(instruments, rows).all()
    assert (np.diff(rows) > 0).all()
    assert choose_variants(100, instruments, count=None, rng=np.random.default_rng(1)).size == 100
    with pytest.raises(InputError, match="at most"):
        choose_variants(100, instruments, count=101, rng=np.random.default_rng(1))


def test_every_block_is_a_real_persons_of_a_population_the_person_descends_from(panel):
    rows = np.arange(0, 400)
    blocks = genomic_blocks(panel.variants, 5_000_000)[rows]
    ancestry = np.tile([0.0, 0.5, 0.0, 0.5, 0.0], (60, 1))  # AMR and EUR
    calls = copy_blocks(panel, rows, blocks, ancestry, rng=np.random.default_rng(2))
    donors = panel.calls[:, np.isin(panel.population, ["AMR", "EUR"])]
    for block in np.unique(blocks):
        here = rows[blocks == block]
        known = {column.tobytes() for column in np.ascontiguousarray(donors[here].T)}
        assert all(column.tobytes() in known for column in np.ascontiguousarray(calls[here].T))


def test_frequencies_follow_ancestry(panel):
    rows = np.arange(0, 5000, 10)
    blocks = genomic_blocks(panel.variants, 5_000_000)[rows]
    people = 4000
    ancestry = np.tile([0.5, 0.1, 0.0, 0.4, 0.0], (people, 1))
    calls = copy_blocks(panel, rows, blocks, ancestry, rng=np.random.default_rng(3))
    expected = (ancestry[0] @ panel.frequencies())[rows]
    z = (calls.mean(axis=1) / 2 - expected) / (calls.std(axis=1) / 2 / np.sqrt(people))
    assert np.abs(z).max() < 4.5
    assert 0.85 < z.std() < 1.15


def test_blocks_are_independent_given_ancestry_and_linked_inside(panel):
    rows = np.arange(200)
    blocks = genomic_blocks(panel.variants, 5_000_000)[rows]
    ancestry = np.tile([0.0, 0.0, 0.0, 1.0, 0.0], (5000, 1))
    calls = copy_blocks(panel, rows, blocks, ancestry, rng=np.random.default_rng(4))
    simulated = np.corrcoef(calls)
    real = np.corrcoef(panel.calls[rows][:, panel.population == "EUR"])
    same = np.equal.outer(blocks, blocks)
    assert np.abs(simulated - real)[same].max() < 0.1
    assert np.abs(simulated[~same]).max() < 5.5 / np.sqrt(5000)


def test_calls_are_lost_at_the_rate_asked():
    calls = np.ones((200, 1000), dtype=np.int8)
    lose_calls(calls, rate=0.05, rng=np.random.default_rng(5))
    assert abs((calls == -9).mean() - 0.05) < 4 * np.sqrt(0.05 * 0.95 / calls.size)
    assert set(np.unique(calls)) == {-9, 1}
