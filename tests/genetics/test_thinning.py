import numpy as np
import polars as pl
import pytest

from invarmr.data.genotypes import GenotypeReader
from invarmr.errors import InputError
from invarmr.genetics.thinning import thin_variants
from invarmr.simulate.reference_panel import load_reference_panel


class InMemory(GenotypeReader):
    """Calls held in memory."""

    def __init__(self, calls, chromosome, position):
        self.calls = calls
        self.sample_ids = np.array([f"s{k}" for k in range(calls.shape[1])])
        self.variants = pl.DataFrame({"chromosome": chromosome, "position": position})

    def read(self, variants, samples):
        return self.calls[np.ix_(variants, samples)]

    def counts(self, variants, samples):
        calls = self.read(variants, samples)
        return np.stack([(calls == code).sum(axis=1) for code in (0, 1, 2, -9)], axis=1)


@pytest.fixture
def linked():
    """Eight variants: 0 and 1 alike, 2 alike but far, 3 alike on another chromosome, 4 rare, 5 mostly missing."""
    rng = np.random.default_rng(1)
    base = rng.binomial(2, 0.4, 400).astype(np.int8)
    calls = np.stack([base, base, base, base, np.zeros(400), *rng.binomial(2, 0.5, (3, 400))]).astype(np.int8)
    calls[4, :10] = 1
    calls[5, :300] = -9
    return InMemory(calls, ["1", "1", "1", "2", "2", "2", "2", "2"], [100, 200, 5_000_000, 100, 200, 300, 400, 500])


def test_linked_rare_and_missing_variants_go(linked):
    kept = thin_variants(linked, np.arange(8), samples=np.arange(400))
    assert kept.tolist() == [0, 2, 3, 6, 7]
    wider = thin_variants(linked, np.arange(8), samples=np.arange(400), window=10_000_000)
    assert wider.tolist() == [0, 3, 6, 7]
    assert thin_variants(linked, np.arange(8), samples=np.arange(400), max_r2=1.0).tolist() == [0, 1, 2, 3, 6, 7]


def test_excluded_variants_and_their_flanks_go(linked):
    kept = thin_variants(linked, np.arange(8), samples=np.arange(400), exclude=np.array([0, 6]))
    assert kept.tolist() == [1, 2, 3, 7]
    flanked = thin_variants(linked, np.arange(8), samples=np.arange(400), exclude=np.array([0, 6]), flank=100)
    assert flanked.tolist() == [2, 3]
    with pytest.raises(InputError, match="No variant is left"):
        thin_variants(linked, np.array([0]), samples=np.arange(400), exclude=np.array([0]))


def test_settings_are_checked(linked):
    for setting in ({"max_variants": 0}, {"subsample": 1}, {"max_r2": 1.5}):
        with pytest.raises(InputError):
            thin_variants(linked, np.arange(8), samples=np.arange(400), **setting)


def test_no_kept_pair_within_the_window_is_linked_and_the_limit_holds():
    panel = load_reference_panel()
    reader = InMemory(panel.calls, panel.variants["chromosome"], panel.variants["position"])
    samples, candidates = np.arange(2504), np.arange(1500)
    kept = thin_variants(reader, candidates, samples=samples, subsample=2504)
    assert 400 < kept.size < 1500
    chromosome, position = (panel.variants[kept][name].to_numpy() for name in ("chromosome", "position"))
    near = np.equal.outer(chromosome, chromosome) & (np.abs(np.subtract.outer(position, position)) <= 1_000_000)
    np.fill_diagonal(near, False)
    assert (np.corrcoef(panel.calls[kept]) ** 2)[near].max() <= 0.1 + 1e-6
    fewer = thin_variants(reader, candidates, samples=samples, max_variants=100, subsample=500)
    assert fewer.size == 100
    assert (np.diff(fewer) > 0).all()
    again = thin_variants(reader, candidates[::-1], samples=samples, max_variants=100, subsample=500)
    np.testing.assert_array_equal(again, fewer)
