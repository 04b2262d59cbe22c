"""Genotypes against the pedigree: swapped parents and false siblings are named, twins and true families pass."""

import numpy as np

from invarmr.data.families import ArrayCalls, Families
from invarmr.data.pedigree import Pedigree
from invarmr.genetics.mendel import check_families

D = 500


def people(seed=1, n=30):
    rng = np.random.default_rng(seed)
    parents = rng.integers(0, 3, (2, n, D)).astype(float)
    kids = [rng.binomial(1, parents / 2).sum(axis=0).astype(float) for _ in range(2)]
    return parents, kids


def test_true_trios_pass_and_a_swapped_parent_is_named():
    parents, (child, _) = people()
    n = len(child)
    ids = np.array([f"c{k}" for k in range(n)])
    names = np.array([*ids, *(f"m{k}" for k in range(n)), *(f"f{k}" for k in range(n))])
    mothers = [f"m{k}" for k in range(n)]
    mothers[3] = "m4"
    child[7, 0] = 2 - parents[:, 7, 0].max() if parents[:, 7, 0].sum() == 0 else child[7, 0]
    pedigree = Pedigree.from_columns(ids, mother=mothers, father=[f"f{k}" for k in range(n)])
    families = Families.of(pedigree, ids, ArrayCalls(np.vstack([child, *parents])), names)
    found = check_families(families, ids, [f"v{j}" for j in range(D)])
    assert [fault.sample_id for fault in found.faults] == ["c3"]
    assert "the trio was left out" in found.faults[0].reason
    assert found.families.counts["trios"] == n - 1
    assert found.variants["n_trios"].to_list() == [n] * D
    assert found.variants["n_inconsistent"].sum() == found.trio_errors.sum()
    assert found.trio_called[0] == D
    # naive count for the swapped one
    possible = [
        {a + b for a in ({0}, {0, 1}, {1})[int(m)] for b in ({0}, {0, 1}, {1})[int(f)]}
        for m, f in zip(parents[0, 4], parents[1, 3], strict=True)
    ]
    assert found.trio_errors[3] == sum(c not in may for c, may in zip(child[3], possible, strict=True))


def test_false_siblings_are_named_and_twins_pass():
    _, (first, second) = people(seed=2)
    n = len(first)
    second[4] = first[5]  # a stranger to first[4]
    second[6] = first[6]  # identical twins
    ids = np.array([*(f"a{k}" for k in range(n)), *(f"b{k}" for k in range(n))])
    pedigree = Pedigree.from_columns(ids, sibship=[*range(1, n + 1), *range(1, n + 1)])
    families = Families.of(pedigree, ids, ArrayCalls(np.vstack([first, second])), ids)
    found = check_families(families, ids, [f"v{j}" for j in range(D)])
    assert [fault.kind for fault in found.faults] == ["not siblings"]
    assert "a4 and b4" in found.faults[0].reason
    assert found.families.counts["sibships"] == n - 1
    assert np.all(found.families.deviations(np.array([6])) == 0)


def test_few_variants_decide_nothing_about_siblings():
    rng = np.random.default_rng(1)
    ids = np.array(["a", "b"])
    families = Families.of(
        Pedigree.from_columns(ids, sibship=["s", "s"]), ids, ArrayCalls(rng.integers(0, 3, (2, 50)).astype(float)), ids
    )
    assert check_families(families, ids, range(50)).faults == ()
