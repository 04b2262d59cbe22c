from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from invarmr.data.genotypes import GenotypeReader
from invarmr.data.summary_statistics import SummaryStatistics
from invarmr.errors import InputError, InvarmrWarning
from invarmr.genetics.clumping import PLINK, ClumpSettings, clump, squared_correlation


class InMemory(GenotypeReader):
    """Calls held in memory."""

    def __init__(self, calls, chromosome, position):
        self.calls = calls
        self.sample_ids = np.array([f"s{k}" for k in range(calls.shape[1])])
        m = len(calls)
        self.variants = pl.DataFrame(
            {
                "variant": [f"rs{j}" for j in range(m)],
                "chromosome": chromosome,
                "position": position,
                "counted_allele": ["A"] * m,
                "other_allele": ["G"] * m,
            }
        )
        self.largest = (0, 0)

    def read(self, variants, samples):
        self.largest = max(self.largest, (len(variants), len(samples)))
        return self.calls[np.ix_(variants, samples)]

    def counts(self, variants, samples):
        raise NotImplementedError


def linked(m=120, n=900, seed=0, missing=0.02):
    """A chain of variants in decaying LD on two chromosomes, some calls missing, one variant constant."""
    rng = np.random.default_rng(seed)
    haplotypes = np.empty((m, 2, n), dtype=np.int8)
    haplotypes[0] = rng.random((2, n)) < 0.4
    for j in range(1, m):
        fresh = rng.random((2, n)) < rng.uniform(0.1, 0.5)
        haplotypes[j] = np.where(rng.random((2, n)) < 0.8, haplotypes[j - 1], fresh)
    calls = haplotypes.sum(axis=1).astype(np.int8)
    calls[7] = 1
    calls[rng.random(calls.shape) < missing] = -9
    position = np.sort(rng.integers(0, 3_000_000, m))
    return InMemory(calls, ["1"] * (m // 2) + ["2"] * (m - m // 2), position)


def statistics(m=120, seed=0, **columns):
    rng = np.random.default_rng(seed)
    z = rng.normal(scale=4, size=m)
    rows = {
        "SNP": [f"rs{j}" for j in range(m)],
        "effect_allele": "A",
        "other_allele": "G",
        "beta": z * 0.01,
        "se": 0.01,
    }
    return SummaryStatistics.from_frame(pl.DataFrame(rows).with_columns(**columns))


def naive(table, reader, settings):
    """Every pair, one at a time: the kept ids, and for each dropped one who dropped it."""
    calls = np.where(reader.calls == -9, np.nan, reader.calls)
    chromosome, position = reader.variants["chromosome"].to_list(), reader.variants["position"].to_list()
    ids = reader.variants["variant"].to_list()
    rows = sorted(table.frame.iter_rows(named=True), key=lambda row: (row["pval"], -abs(row["beta"] / row["se"])))
    left, kept, dropped = [ids.index(row["SNP"]) for row in rows], [], {}
    p = {ids.index(row["SNP"]): row["pval"] for row in rows}
    while left:
        first = left.pop(0)
        if p[first] > settings.index_p_value or np.nanstd(calls[first]) == 0:
            continue
        kept.append(ids[first])
        for other in list(left):
            close = chromosome[other] == chromosome[first]
            close &= abs(position[other] - position[first]) <= 1000 * settings.window_kb
            both = ~np.isnan(calls[first]) & ~np.isnan(calls[other])
            if close and np.std(calls[other][both]) > 0:
                r = np.corrcoef(calls[first][both], calls[other][both])[0, 1]
                if r**2 > settings.max_r2:
                    dropped[ids[other]] = (ids[first], r**2)
                    left.remove(other)
    return kept, dropped


@pytest.mark.parametrize(
    "settings", [ClumpSettings(max_r2=0.05), ClumpSettings(max_r2=0.2, window_kb=100), PLINK, ClumpSettings(max_r2=0)]
)
def test_a_naive_loop_over_pairs_agrees(settings):
    reader, table = linked(), statistics()
    found = clump(table, reader, settings=settings)
    kept, dropped = naive(table, reader, settings)
    assert sorted(found.kept.frame["SNP"]) == sorted(kept)
    assert 1 < len(kept) < 100
    rows = found.table.filter(pl.col("r2").is_not_null())
    assert {row["SNP"]: row["index_snp"] for row in rows.iter_rows(named=True)} == {
        name: leader for name, (leader, _) in dropped.items()
    }
    for row in rows.iter_rows(named=True):
        assert row["r2"] == pytest.approx(dropped[row["SNP"]][1], rel=1e-10)
        assert row["reason"].startswith(f"r2 {row['r2']:.3g} with {row['index_snp']}, {row['kb']:g} kb away")
    assert found.table.filter("kept")["reason"].unique().to_list() == [""]
    assert found.dropped.filter(pl.col("reason") == "").height == 0


def test_blocks_do_not_change_the_answer(monkeypatch):
    reader, table = linked(), statistics()
    whole = clump(table, reader, settings=ClumpSettings(max_r2=0.05)).table
    monkeypatch.setattr("invarmr.genetics.clumping._VARIANTS", 7)
    monkeypatch.setattr("invarmr.genetics.clumping._PEOPLE", 100)
    reader.largest = (0, 0)
    assert clump(table, reader, settings=ClumpSettings(max_r2=0.05)).table.equals(whole)
    assert reader.largest <= (7, 100)


def test_every_reason():
    reader = linked()
    frame = statistics(122).frame
    p = clump(SummaryStatistics(frame), reader, settings=PLINK)
    reasons = dict(p.table.select("SNP", "reason").iter_rows())
    assert reasons["rs120"] == "not in the genotype file"
    assert "is above 0.0001, the bound on an index variant" in " ".join(reasons.values())
    wide = clump(SummaryStatistics(frame), reader, settings=ClumpSettings(max_r2=0.05)).table
    assert dict(wide.select("SNP", "reason").iter_rows())["rs7"] == "does not vary in the genotype file"
    reader.variants = reader.variants.with_columns(
        variant=pl.when(pl.col("variant") == "rs1").then(pl.lit("rs0")).otherwise("variant")
    )
    again = clump(SummaryStatistics(frame), reader, settings=ClumpSettings(max_r2=0.05)).table
    assert dict(again.select("SNP", "reason").iter_rows())["rs0"] == "more than once in the genotype file"


def test_traits_are_clumped_apart_and_ties_broken_by_strength():
    reader = linked(missing=0.0)
    one = statistics(2, pval=pl.lit(0.0), beta=pl.Series([0.4, 0.5]), id=pl.lit("a"))
    two = statistics(2, pval=pl.lit(0.0), beta=pl.Series([0.5, 0.4]), id=pl.lit("b"))
    table = SummaryStatistics(pl.concat([one.frame, two.frame]))
    reader.variants = reader.variants.with_columns(position=pl.Series(range(120)))
    found = clump(table, reader, settings=ClumpSettings(max_r2=0.05))
    assert found.kept.frame.select("id", "SNP").rows() == [("a", "rs1"), ("b", "rs0")]


def test_variants_are_found_by_place_and_alleles_where_ids_differ():
    reader = linked()
    table = statistics()
    places = reader.variants.select(
        SNP=pl.lit("chr") + pl.col("chromosome") + ":" + pl.col("variant"),
        chr=pl.lit("chr") + pl.col("chromosome"),
        pos=pl.col("position"),
    )
    other = table.frame.with_columns(places["SNP"], places["chr"], places["pos"].cast(pl.Int64))
    other = other.with_columns(effect_allele="other_allele", other_allele="effect_allele")
    found = clump(SummaryStatistics(other), reader, settings=ClumpSettings(max_r2=0.05))
    wanted = clump(table, reader, settings=ClumpSettings(max_r2=0.05))
    assert found.table["kept"].to_list() == wanted.table["kept"].to_list()


def test_some_people_only():
    reader, people = linked(), np.arange(0, 900, 2)
    part = InMemory(reader.calls[:, people], reader.variants["chromosome"], reader.variants["position"])
    settings = ClumpSettings(max_r2=0.05)
    found = clump(statistics(), reader, samples=people, settings=settings)
    assert found.table.equals(clump(statistics(), part, settings=settings).table)
    r2 = squared_correlation(reader, 3, np.array([7, 4]), samples=people)
    assert np.isnan(r2[0])
    assert 0 < r2[1] < 1


def test_complaints():
    reader = linked(n=100)
    with pytest.warns(InvarmrWarning, match="in whom unlinked variants have an r2 of 0.01 on average"):
        clump(statistics(), reader)
    with pytest.raises(InputError, match="None of the 3 variants is in the genotype file: x0, x1 and 1 more"):
        clump(statistics(3, SNP=pl.Series(["x0", "x1", "x2"])), reader, settings=PLINK)
    with pytest.raises(InputError, match="three people or more"):
        clump(statistics(), reader, samples=np.array([1, 2]))
    with pytest.raises(InputError, match="max_r2 and index_p_value between 0 and 1"):
        ClumpSettings(max_r2=2)
