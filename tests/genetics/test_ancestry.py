import numpy as np
import polars as pl
import pytest

from invarmr.data.genotypes import GenotypeReader
from invarmr.errors import InputError
from invarmr.genetics.ancestry import principal_components, thin_variants
from invarmr.io.plink import open_genotypes
from invarmr.simulate.reference_panel import load_reference_panel


class InMemory(GenotypeReader):
    """Calls held in memory."""

    def __init__(self, calls, variants=None):
        self.calls = calls
        self.sample_ids = np.array([f"s{k}" for k in range(calls.shape[1])])
        count = calls.shape[0]
        plain = {"variant": [f"v{k}" for k in range(count)], "chromosome": ["1"] * count}
        self.variants = pl.DataFrame(plain | {"position": np.arange(count)}) if variants is None else variants

    def read(self, variants, samples):
        return self.calls[np.ix_(variants, samples)]

    def counts(self, variants, samples):
        calls = self.read(variants, samples)
        return np.stack([(calls == code).sum(axis=1) for code in (0, 1, 2, -9)], axis=1)


def two_groups(variants=60, samples=200, missing=0.02, seed=0):
    rng = np.random.default_rng(seed)
    frequency = rng.uniform(0.1, 0.9, (variants, 2))
    group = np.arange(samples) % 2
    calls = rng.binomial(2, frequency[:, group]).astype(np.int8)
    calls[rng.random(calls.shape) < missing] = -9
    return calls, group


def by_singular_values(calls, count):
    """Scores and eigenvalues from the full standardised matrix, missing at the mean."""
    x = np.where(calls == -9, np.nan, calls.astype(float)).T
    frequency = np.nanmean(x, axis=0) / 2
    x = (x - 2 * frequency) / np.sqrt(2 * frequency * (1 - frequency))
    x[np.isnan(x)] = 0
    left, values, _ = np.linalg.svd(x, full_matrices=False)
    return left[:, :count] * np.sqrt(len(x)), values[:count] ** 2 / len(x), (x**2).sum() / len(x)


@pytest.mark.parametrize("block", [7, 64, 10_000])
def test_agrees_with_the_singular_values_of_the_whole_matrix(block):
    calls, _ = two_groups()
    found = principal_components(InMemory(calls), samples=np.arange(200), variants=np.arange(60), count=4, block=block)
    scores, eigenvalues, total = by_singular_values(calls, 4)
    np.testing.assert_allclose(found.eigenvalues, eigenvalues, rtol=1e-5)
    np.testing.assert_allclose(found.variance_share, eigenvalues / total, rtol=1e-5)
    np.testing.assert_allclose(found.scores * np.sign((found.scores * scores).sum(axis=0)), scores, atol=1e-4)
    np.testing.assert_allclose(found.scores.T @ found.scores / 200, np.eye(4), atol=1e-5)
    np.testing.assert_allclose(found.scores.mean(axis=0), 0, atol=1e-5)
    largest = found.loadings[np.abs(found.loadings).argmax(axis=0), np.arange(4)]
    assert (largest > 0).all()


def test_subset_of_samples_and_variants_and_those_that_do_not_vary():
    calls, group = two_groups()
    calls[5], calls[8] = 2, -9
    samples, variants = np.arange(20, 180), np.arange(3, 50)[::-1]
    found = principal_components(InMemory(calls), samples=samples, variants=variants, count=2)
    assert not np.isin([5, 8], found.variants).any()
    assert found.variants.size == 45
    assert found.scores.shape == (160, 2)
    assert abs(np.corrcoef(found.scores[:, 0], group[20:180])[0, 1]) > 0.95
    direct, _, _ = by_singular_values(calls[np.ix_(found.variants, samples)], 2)
    assert abs(np.corrcoef(found.scores[:, 0], direct[:, 0])[0, 1]) > 1 - 1e-6


def test_dosages_are_centred_on_their_own_mean():
    calls, _ = two_groups(missing=0)
    dosages = np.clip(calls + np.float32(0.2), 0, 2).astype(np.float32)

    class Dosages(InMemory):
        def counts(self, variants, samples):
            calls = np.round(self.read(variants, samples))
            return np.stack([(calls == code).sum(axis=1) for code in (0, 1, 2, -9)], axis=1)

    found = principal_components(Dosages(dosages), samples=np.arange(200), variants=np.arange(60), count=2)
    np.testing.assert_allclose(found.scores.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose((found.scores**2).mean(axis=0), 1, atol=1e-5)


@pytest.mark.parametrize("count", [0, 60, 200])
def test_as_many_components_as_the_data_hold_at_most(count):
    calls, _ = two_groups()
    with pytest.raises(InputError, match="components"):
        principal_components(InMemory(calls), samples=np.arange(200), variants=np.arange(60), count=count)


def test_copies_of_one_variant_have_one_direction():
    calls = np.tile(two_groups(missing=0)[0][:1], (10, 1))
    with pytest.raises(InputError, match="fewer than"):
        principal_components(InMemory(calls), samples=np.arange(200), variants=np.arange(10), count=9)


def test_too_many_variants_are_sent_to_thinning():
    calls, _ = two_groups()
    with pytest.raises(InputError, match="thin_variants"):
        principal_components(InMemory(calls), samples=np.arange(200), variants=np.zeros(9000, dtype=int))


def nearest_neighbour_accuracy(scores, labels, neighbours=5):
    squares = (scores**2).sum(axis=1)
    distance = squares[:, None] + squares - 2 * scores @ scores.T
    np.fill_diagonal(distance, np.inf)
    nearest = np.argpartition(distance, neighbours, axis=1)[:, :neighbours]
    names, codes = np.unique(labels, return_inverse=True)
    votes = np.stack([(codes[nearest] == code).sum(axis=1) for code in range(names.size)], axis=1)
    return (names[votes.argmax(axis=1)] == labels).mean()


def test_super_populations_separate_on_four_components():
    panel = load_reference_panel()
    reader = InMemory(panel.calls, panel.variants)
    found = principal_components(reader, samples=np.arange(2504), variants=np.arange(0, 5000, 5), count=6)
    assert nearest_neighbour_accuracy(found.scores[:, :4], panel.population) > 0.96
    # four directions for five populations, then a gap
    assert found.eigenvalues[3] > 2 * found.eigenvalues[4]


def test_populations_of_hapmap_separate_from_the_file(oracles):
    """kNN on all 13,928 variants reaches 0.944; ASW and YRI overlap (Fst 0.010)."""
    reader = open_genotypes(oracles / "hapmap3_admixture" / "hapmap3.bed")
    labels = pl.read_csv(oracles / "hapmap3_admixture" / "labels.csv")["pop"].to_numpy()
    samples = np.arange(len(reader.sample_ids))
    variants = thin_variants(reader, np.arange(reader.variants.height), samples=samples)
    found = principal_components(reader, samples=samples, variants=variants, count=4)
    assert nearest_neighbour_accuracy(found.scores, labels) > 0.88
    merged = np.where(np.isin(labels, ["ASW", "YRI"]), "AFR", labels)
    assert nearest_neighbour_accuracy(found.scores, merged) > 0.96
