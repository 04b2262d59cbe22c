"""Whole studies on real genotype files: HapMap 3 (324 people, 1/2 alleles, missing calls, blanks for tabs)."""

import json

import numpy as np
import polars as pl
import pytest

from invarmr.io.plink import open_genotypes
from invarmr.study.archive import Archive
from invarmr.study.run import run_study

EFFECT = 0.5


def settings(genotypes, **more):
    sections = {
        "genotypes": {"path": str(genotypes)},
        "phenotypes": {"path": "phenotypes.tsv", "exposure": "x", "outcome": "y", "environment": "pop"},
        "instruments": {"variants": "instruments.tsv"},
    } | more
    return "\n".join(
        f"[{name}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in section.items())
        for name, section in sections.items()
    )


@pytest.fixture
def hapmap(oracles, tmp_path):
    """Phenotypes confounded by population for the people of HapMap 3, and eight common variants to use."""
    folder = oracles / "hapmap3_admixture"
    reader = open_genotypes(folder / "hapmap3.bed")
    labels = pl.read_csv(folder / "labels.csv")
    n = len(reader.sample_ids)
    rng = np.random.default_rng(0)
    counts = reader.counts(np.arange(reader.variants.height), np.arange(n))
    frequency = (counts[:, 1] + 2 * counts[:, 2]) / np.maximum(2 * counts[:, :3].sum(axis=1), 1)
    common = np.flatnonzero((frequency > 0.3) & (frequency < 0.7) & (counts[:, 3] < 0.02 * n))
    chosen = np.sort(rng.choice(common, 8, replace=False))
    calls = reader.read(chosen, np.arange(n)).astype(float)
    calls = np.where(calls < 0, 2 * frequency[chosen, None], calls)
    population = labels["pop"].replace_strict({"ASW": 0.0, "CEU": 1.0, "MEX": 0.5, "YRI": -1.0}).to_numpy()
    confounder = population + rng.normal(size=n)
    exposure = 0.8 * calls.sum(axis=0) + confounder + rng.normal(size=n)
    outcome = EFFECT * exposure + confounder + rng.normal(size=n)
    pl.DataFrame({"IID": reader.sample_ids, "pop": labels["pop"], "x": exposure, "y": outcome}).write_csv(
        tmp_path / "phenotypes.tsv", separator="\t"
    )
    listed = reader.variants[chosen.tolist()]
    pl.DataFrame({"SNP": listed["variant"], "A1": listed["other_allele"], "A2": listed["counted_allele"]}).write_csv(
        tmp_path / "instruments.tsv", separator="\t"
    )
    study = tmp_path / "study.toml"
    study.write_text(settings(folder / "hapmap3.bed"))
    return study


def test_hapmap(hapmap, tmp_path):
    out = tmp_path / "out"
    run_study(hapmap, out=out)
    variants = pl.read_csv(out / "variants.tsv", separator="\t", schema_overrides={"chromosome": pl.String})
    assert variants["status"].to_list() == ["kept"] * 8
    assert variants["effect_allele"].cast(pl.String).to_list() == ["2"] * 8
    assert variants["n_imputed"].sum() > 0
    used = pl.read_csv(out / "samples.tsv", separator="\t").filter(stage="used")
    assert dict(used.select("environment", "n_samples").iter_rows()) == {"ASW": 49, "CEU": 112, "MEX": 50, "YRI": 113}
    table = pl.read_csv(out / "estimates.tsv", separator="\t")
    lead = table.row(by_predicate=pl.col("headline"), named=True)
    assert abs(lead["estimate"] - EFFECT) < 4 * lead["std_error"]
    naive = table.filter(method="OLS")["estimate"].item()
    assert abs(lead["estimate"] - EFFECT) < abs(naive - EFFECT) / 2
    components = Archive(out).cohort.components
    assert components.shape == (324, 10)
    people = Archive(out).cohort
    yri = people.environment == people.environments.index("YRI")
    ceu = people.environment == people.environments.index("CEU")
    gap = abs(components[yri, 0].mean() - components[ceu, 0].mean())
    assert gap > 5 * max(components[yri, 0].std(), components[ceu, 0].std())  # the first component parts the continents


def test_hapmap_asks_for_too_many_instruments(hapmap, refused):
    hapmap.write_text(hapmap.read_text().replace('"instruments.tsv"', '"all"'))
    assert "asks for 13928 instruments, but the smallest environment has 49 samples" in refused(hapmap)


def test_hapmap_with_labels_of_single_families(hapmap, refused):
    table = pl.read_csv(hapmap.with_name("phenotypes.tsv"), separator="\t")
    table.with_columns(pop=pl.Series([f"L{i % 26}" for i in range(324)])).write_csv(
        hapmap.with_name("phenotypes.tsv"), separator="\t"
    )
    message = refused(hapmap)
    assert "26 of 26 have fewer" in message
    assert "Merge small environments" in message


def test_five_people_are_too_few(oracles, tmp_path, refused):
    reader = open_genotypes(oracles / "io_testfiles" / "simple.pgen")
    ids = reader.sample_ids
    pl.DataFrame({"IID": ids, "pop": list("aabbb"), "x": np.arange(5.0), "y": np.arange(5.0) ** 2}).write_csv(
        tmp_path / "phenotypes.tsv", separator="\t"
    )
    study = tmp_path / "study.toml"
    text = settings(oracles / "io_testfiles" / "simple.pgen", instruments={"variants": "all"})
    study.write_text(text)
    assert "asks for 4 instruments, but the smallest environment has 2 samples" in refused(study)
