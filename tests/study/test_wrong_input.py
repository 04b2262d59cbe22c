"""What a user gets wrong: one clear line, exit status 2, and nothing written."""

import gzip

import numpy as np
import polars as pl
import pytest

BY_TABLE = {
    "one environment": (
        lambda s: s.change(site=pl.lit("north")),
        ["at least two environments (site)", "only north", 'method = "none"'],
    ),
    "environment too small": (
        lambda s: s.change(site=pl.when(pl.int_range(pl.len()) < 5).then(pl.lit("tiny")).otherwise("site")),
        ["more samples than instruments", "tiny (5)", "Merge small environments"],
    ),
    "constant exposure": (lambda s: s.change(ldl=pl.lit(3)), ["exposure (ldl) must vary", "900 values are 3"]),
    "constant outcome": (lambda s: s.change(sbp=pl.lit(0.5)), ["outcome (sbp) must vary", "0.5"]),
    "exposure column absent": (
        lambda s: s.set("phenotypes", exposure="ldll"),
        ["the column 'ldll'", "did you mean 'ldl'", "It has: IID"],
    ),
    "environment column absent": (lambda s: s.set("phenotypes", environment="sites"), ["did you mean 'site'"]),
    "text in the outcome": (
        lambda s: s.change(sbp=pl.when(pl.col("IID") == "P0003").then(pl.lit("high")).otherwise("sbp")),
        ["sbp must be numeric", "1 values are not: high", "missing_codes"],
    ),
    "text in a covariate": (
        lambda s: s.set("phenotypes", covariates=["sex"]),
        ["sex must be numeric", "list sex in [phenotypes] categorical"],
    ),
    "infinite outcome": (
        lambda s: s.change(sbp=pl.when(pl.col("IID") == "P0003").then(float("inf")).otherwise("sbp")),
        ["sbp must be finite, but 1 values"],
    ),
    "ids repeated": (
        lambda s: s.change(IID=pl.when(pl.col("IID") == "P0003").then(pl.lit("P0004")).otherwise("IID")),
        ["sample ids (IID) must be unique", "P0004", "one row per sample"],
    ),
    "id missing": (
        lambda s: s.change(IID=pl.when(pl.col("IID") == "P0003").then(None).otherwise("IID")),
        ["every row needs a sample id (IID)", "lines 5"],
    ),
    "environment missing": (
        lambda s: s.change(site=pl.when(pl.col("IID") == "P0003").then(None).otherwise("site")),
        ["environment (site) must be known", "1 of 900", "(P0003)"],
    ),
    "no overlap": (
        lambda s: s.change(IID="x" + pl.col("IID")),
        ["No sample is in both files", "900 in the phenotype table (xP0000", "900 in the genotype file (P0000"],
    ),
    "one environment after matching": (
        lambda s: s.change(IID=pl.when(pl.col("site") == "north").then("IID").otherwise("x" + pl.col("IID"))),
        ["after matching only north is left (300 samples)"],
    ),
    "a covariate all missing": (
        lambda s: s.change(age=pl.lit(None, pl.Int64)),
        ["no sample has all of ldl, sbp, age", "age is missing in 900 rows"],
    ),
    "no rows": (lambda s: setattr(s, "phenotypes", s.phenotypes.head(0)) or s, ["no rows"]),
    "phenotypes absent": (lambda s: s.set("genotypes", path="cohort.vcf"), ["a .bed or .pgen file", "--make-pgen"]),
}


@pytest.mark.parametrize("case", BY_TABLE)
def test_wrong_phenotypes(small_study, refused, case):
    change, expected = BY_TABLE[case]
    message = refused(change(small_study()).write())
    for part in expected:
        assert part in message


BY_SETTINGS = {
    "unknown key": (("phenotypes", {"enviroment": "site"}), "did you mean 'environment'"),
    "exposure as instrument": (("instruments", {"columns": ["ldl"]}), "[instruments] columns names ldl"),
    "covariate as component": (("components", {"columns": ["age"]}), "[components] columns names age"),
    "negative seed": (("run", {"seed": -1}), "[run] seed must be greater than or equal to 0"),
    "level": (("estimate", {"level": 95}), "[estimate] level must be less than 1"),
    "no truth": (("truth", {"path": "truth.json"}), "the [truth] file was required here"),
    "unknown learner": (("learn", {"method": "spline"}), "[learn] method must be one of stationary"),
    "list absent": (("instruments", {"variants": "absent.tsv"}), "absent.tsv"),
    "components list absent": (("components", {"variants": "absent.tsv"}), "absent.tsv"),
}


@pytest.mark.parametrize("case", BY_SETTINGS)
def test_wrong_settings(small_study, refused, case):
    (section, settings), expected = BY_SETTINGS[case]
    assert expected in refused(small_study().set(section, **settings).write())


@pytest.mark.parametrize(
    ("content", "expected"), [("{", "not valid"), ('{"effect": "one"}', 'number under "effect"'), ("[]", "JSON object")]
)
def test_wrong_truth(small_study, refused, content, expected):
    study = small_study().set("truth", path="truth.json").write()
    study.with_name("truth.json").write_text(content)
    assert expected in refused(study)


def test_truth_of_other_people(small_study, refused):
    study = small_study().set("truth", path="truth.json", samples="truth.tsv").write()
    study.with_name("truth.json").write_text('{"effect": 0.5}')
    study.with_name("truth.tsv").write_text("IID\tancestry\nP0000\t0.5\n")
    assert "every sample of the study must be there" in refused(study)


def test_genotype_files_damaged(small_study, refused):
    study = small_study().write()
    bed, bim, fam = (study.with_name(f"cohort.{ending}") for ending in ("bed", "bim", "fam"))
    whole, variants, samples = bed.read_bytes(), bim.read_text(), fam.read_text()

    def message():
        found = refused(study)
        bed.write_bytes(whole)
        bim.write_text(variants)
        fam.write_text(samples)
        return found

    bed.write_bytes(whole[:-40])
    assert "truncated: 1803 bytes expected for 8 .bim rows x 900 .fam rows, but 1763 bytes found" in message()
    bed.write_bytes(whole[:2] + b"\x00" + whole[3:])
    assert "sample-major" in message()
    bed.write_bytes(b"PK" + whole[2:])
    assert "must begin with the bytes 6c 1b" in message()
    bed.write_bytes(b"")
    assert "empty (0 bytes)" in message()
    bed.unlink()
    assert "no such file" in message()
    bim.write_text(variants + "1\trs9\t0\t900\tA\tG\n")
    assert "truncated: 2028 bytes expected for 9 .bim rows" in message()
    bim.write_text(variants.replace("\t100\t", "\tone\t"))
    assert "line 1 has 'one'" in message()
    bim.write_text(variants.replace("\t0\t100", "\t100"))
    assert "line 1 has 5" in message()
    bim.unlink()
    assert "cohort.bim does not exist" in message()
    fam.write_text(samples.replace("P0003", "P0004"))
    assert "unique, but 1 occur more than once: P0004" in message()
    fam.write_text("".join(samples.splitlines(keepends=True)[:-4]))
    assert "too long" in message()


def test_every_variant_dropped(small_study, refused):
    small = small_study()
    small.instruments = small.instruments.with_columns(effect_allele=pl.lit("C"), other_allele=pl.lit("A"))
    small.alleles = [("A", "G")] * 7 + [("A", "C")]
    small.calls[7] = 0
    message = refused(small.write())
    assert "No instrument is left of the 8 variants" in message
    assert "alleles C/A asked, A/G in the genotype file (7)" in message
    assert "does not vary within any environment" in message
    small = small_study()
    small.instruments = small.instruments.with_columns(SNP="x" + pl.col("SNP"))
    assert "not in the genotype file (8)" in refused(small.write())
    small = small_study()
    small.instruments = small.instruments.with_columns(effect_allele=pl.lit("A"), other_allele=pl.lit("C"))
    assert "alleles A/C asked, A/G in the genotype file (8)" in refused(small.write())


def test_more_variants_than_people(small_study, refused):
    small = small_study(n=60, d=25).set("instruments", variants="all")
    assert 'variants = "all" asks for 25 instruments, but the smallest environment has 20' in refused(small.write())


@pytest.mark.parametrize("command", ["run", "read"])
def test_no_study_file(refused, tmp_path, command):
    assert "the study file could not be read (No such file" in refused(tmp_path / "none.toml", command=command)


def test_phenotype_files_damaged(small_study, refused):
    study = small_study().write()
    table = study.with_name("phenotypes.tsv")
    table.write_text(table.read_text() + "P9999\tnorth\n")
    assert "line 902 has 2" in refused(study)
    table.unlink()
    assert "phenotypes.tsv: the table was required here" in refused(study)
    study.write_text(study.read_text().replace("phenotypes.tsv", "phenotypes.tsv.gz"))
    table.with_name("phenotypes.tsv.gz").write_bytes(gzip.compress(b"IID\tsite\n")[:-9])
    assert "could not be read" in refused(study)


@pytest.mark.parametrize("bad", [np.nan, None])
def test_blank_environment_in_parquet(small_study, refused, bad):
    small = small_study().set("phenotypes", path="phenotypes.parquet")
    blank = pl.lit("  ") if bad is None else pl.lit(None)
    small.change(site=pl.when(pl.col("IID") == "P0003").then(blank).otherwise("site"))
    assert "1 of 900 rows have none" in refused(small.write())


def test_a_heap_of_plinks_missing_code_is_refused() -> None:
    from invarmr.errors import InputError
    from invarmr.study.number_columns import as_number

    def read(values, *, plink=False, codes=None):
        return as_number(pl.Series("ldl", values), "p.tsv", codes, plink=plink, covariate=False)

    heap = [3.1, 2.7, -9.0, 3.3, -9.0, 2.9]
    with pytest.raises(InputError, match=r'2 values of ldl are -9, .* missing_codes = \["-9"\]'):
        read(heap)
    assert read([-9.0, -8.5, -9.0, -9.5])[0].null_count() == 0  # among its like
    assert read([-9.0, 3.0, 2.9])[0].null_count() == 0  # one value is no heap
    column, said = read(heap, plink=True)
    assert column.to_list() == [3.1, 2.7, None, 3.3, None, 2.9]
    assert [(item.n_samples, item.reason) for item in said] == [(2, "-9 read as missing in ldl, as PLINK has it")]
    assert read([1.0, -9.0, 2.0, 1.0], plink=True)[0].to_list() == [1.0, None, 2.0, 1.0]
    with pytest.raises(InputError, match=r"its other values .-9.5 to -8.5. are near it"):
        read([-9.0, -8.5, -9.5], plink=True)
    assert read(heap, plink=True, codes=())[0].null_count() == 0  # the study file decides
    assert read(heap, codes=("-9",))[0].null_count() == 2
