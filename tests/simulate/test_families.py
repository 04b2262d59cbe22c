"""Simulated families: Mendel's law holds given the parents; mates and shares are as stated."""

import numpy as np
import polars as pl
import pytest

from invarmr.errors import InputError
from invarmr.simulate.families import FamiliesDesign, simulate_families
from invarmr.simulate.inheritance import children_of, recombination
from invarmr.simulate.mating import couples

SMALL = {"n_samples": 3_000, "n_instruments": 20, "n_outcome_variants": 20, "n_variants": 60}


@pytest.fixture(scope="module")
def trios():
    design = FamiliesDesign(**SMALL, trios=1.0, sibships=0.0, mating="cross", mate_correlation=(0.0, 0.3, 0.6))
    return simulate_families(design, seed=3)


def split(cohort):
    n = cohort.phenotypes.height
    calls = cohort.calls.astype(int)
    return calls[:, :n], calls[:, n : 2 * n], calls[:, 2 * n :]


def test_no_child_is_inconsistent_with_its_parents(trios):
    child, mother, father = split(trios)
    least = (mother == 2).astype(int) + (father == 2)
    most = (mother > 0).astype(int) + (father > 0)
    assert ((child >= least) & (child <= most)).all()


def test_given_the_parents_a_child_is_random(trios):
    child, mother, father = split(trios)
    deviation = child - (mother + father) / 2
    # variance of a gamete: 1/4 for every heterozygous parent
    expected = ((mother == 1).astype(float) + (father == 1)).mean() / 4
    assert np.mean(deviation**2) == pytest.approx(expected, rel=0.02)
    z = deviation.mean(axis=1) / (deviation.std(axis=1) / np.sqrt(deviation.shape[1]))
    assert np.mean(z**2) < 1 + 4 * np.sqrt(2 / len(z))
    assert abs(np.mean(deviation * (mother + father))) < 4 * np.sqrt(expected * 8 / deviation.size)


def test_linkage_falls_as_haldane_says():
    rng = np.random.default_rng(1)
    table = pl.DataFrame({"chromosome": ["1", "1", "2"], "position": [1, 50_000_001, 1]})
    n = 40_000
    parents = (np.zeros((3, 1), dtype=np.int8), np.ones((3, 1), dtype=np.int8))
    everyone = np.zeros(n, dtype=np.intp)
    first, _ = children_of(parents, parents, everyone, everyone, recombination(table), rng=rng)
    assert np.mean(first[0] != first[1]) == pytest.approx((1 - np.exp(-1)) / 2, abs=0.01)
    assert np.mean(first[1] != first[2]) == pytest.approx(0.5, abs=0.01)
    assert np.mean(first[0]) == pytest.approx(0.5, abs=0.01)


def test_mates_are_correlated_as_stated():
    rng = np.random.default_rng(2)
    women, men = rng.standard_normal((2, 30_000, 2))
    partner = couples(women, men, mating="within", correlation=-0.5, rng=rng)
    assert np.corrcoef(women[:, 0], men[partner, 0])[0, 1] == pytest.approx(-0.5, abs=0.02)
    assert sorted(partner) == list(range(len(men)))
    cross = couples(women, men, mating="cross", correlation=0.6, rng=rng)
    table = np.corrcoef(women.T, men[cross].T)[:2, 2:]
    # each direction holds in half of the couples
    assert table[0, 1] == pytest.approx(0.3, abs=0.02)
    assert table[1, 0] == pytest.approx(0.3, abs=0.02)
    assert abs(table[0, 0]) < 0.03


def test_truth_tells_the_correlations_by_environment(trios):
    came = [trios.truth["mates"][f"cohort_0{e}"]["exposure_outcome"] for e in (1, 2, 3)]
    assert came[0] == pytest.approx(0.0, abs=0.08)
    assert came[0] < came[1] < came[2]


def test_shares_and_pedigree_are_as_stated():
    cohort = simulate_families(FamiliesDesign(**SMALL, trios=0.4, sibships=0.3, sibship_size=3), seed=1)
    people = cohort.phenotypes
    assert people.height == 3_000
    assert people["sibship"].null_count() == pytest.approx(2_100, abs=9)
    assert (people.drop_nulls("sibship").group_by("sibship").len()["len"] == 3).all()
    child = cohort.pedigree.filter(pl.col("father") != "0")
    assert child.height == 1_200
    sex = dict(cohort.pedigree.select("IID", "sex").iter_rows())
    assert all(sex[name] == 1 for name in child["father"])
    assert all(sex[name] == 2 for name in child["mother"])
    assert set(cohort.parents["IID"]) == {*child["father"], *child["mother"]}
    assert cohort.calls.shape == (60, 3_000 + 2_400) == (60, cohort.pedigree.height)


def test_dynastic_and_sibling_effects_act_on_the_outcome():
    plain = simulate_families(FamiliesDesign(**SMALL), seed=5)
    dynastic = simulate_families(FamiliesDesign(**SMALL, dynastic_outcome=(0.0, 0.0, 1.0)), seed=5)
    siblings = simulate_families(FamiliesDesign(**SMALL, sibling_effect=1.0), seed=5)
    change = (dynastic.phenotypes["outcome"] - plain.phenotypes["outcome"]).to_numpy()
    cohort = plain.phenotypes["cohort"].to_numpy()
    assert np.all(change[cohort != "cohort_03"] == 0)
    assert change[cohort == "cohort_03"].std() == pytest.approx(np.sqrt(0.5), abs=0.1)
    moved = siblings.phenotypes["outcome"] != plain.phenotypes["outcome"]
    assert (moved == plain.phenotypes["sibship"].is_not_null()).all()


def test_the_same_seed_gives_the_same_people():
    once, again = (simulate_families(FamiliesDesign(**SMALL), seed=7) for _ in range(2))
    assert np.array_equal(once.calls, again.calls)
    assert once.phenotypes.equals(again.phenotypes)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"trios": 0.8, "sibships": 0.3}, "at most 1 together"),
        ({"mate_correlation": 0.3}, "mating is 'random'"),
        ({"mating": "cross", "mate_correlation": (0.1, 0.2)}, "one for each of the 3 environments"),
        ({"mating": "cross", "mate_correlation": 1.0}, "between -1 and 1"),
        ({"sibship_size": 1}, "sibship_size must be at least 2"),
        ({"n_variants": 50}, "n_variants must be at least"),
        ({"exposure_heritability": 0.9}, "must stay below 0.99"),
        ({"generations": 0}, "generations must be at least 1"),
        ({"mating": "likes"}, "mating must be"),
        ({"missing_rate": 1.0}, "missing_rate"),
    ],
)
def test_bad_settings_are_named(setting, message):
    with pytest.raises(InputError, match=message):
        FamiliesDesign(**setting)
