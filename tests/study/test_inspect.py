from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from invarmr.cli.inspect import inspect
from invarmr.errors import InputError
from invarmr.study.chromosome_files import grouped, without_companions
from invarmr.study.config import StudyConfig
from invarmr.study.first_study_file import first_study_file, proposed_roles
from invarmr.study.inspect import Seen, inspect_files, kind_of
from invarmr.study.inspect_tables import Column, phenotype_table


@pytest.fixture
def newcomer(tmp_path: Path, write_bed: Callable[..., Path]) -> Path:
    """Three chromosomes, a table with spaces and -9, covariates apart, ids as FID_IID, a list of instruments."""
    rng = np.random.default_rng(5)
    n, per = 600, 4
    site = rng.integers(0, 3, n)
    calls = rng.binomial(2, 0.3 + 0.1 * site[None, :], (3 * per, n))
    people = [f"p{i}" for i in range(n)]
    for chromosome in range(3):
        rows = slice(per * chromosome, per * (chromosome + 1))
        names = [f"rs{j}" for j in range(3 * per)][rows]
        write_bed(tmp_path / f"chr{chromosome + 1}", calls[rows], sample_ids=people, variant_ids=names,
                  chromosomes=[str(chromosome + 1)] * per)  # fmt: skip
    write_bed(tmp_path / "all", calls, sample_ids=people, chromosomes=[str(1 + j // per) for j in range(3 * per)])
    exposure = 0.3 * calls.sum(axis=0) + rng.normal(size=n)
    ids = [f"F{i} {people[i]}" for i in range(n)]
    outcome = [f"{value:.4f}" for value in 0.5 * exposure + rng.normal(size=n)]
    outcome[3] = "-9"
    lines = [f"{who}  {x:.4f}   {y}" for who, x, y in zip(ids, exposure, outcome, strict=True)]
    (tmp_path / "pheno.phe").write_text("\n".join(["FID IID  ldl   sbp", *lines]) + "\n")
    lines = [f"F{i}_{people[i]}\t{rng.integers(40, 70)}\tcentre{site[i]}\t{rng.normal():.3f}" for i in range(n)]
    (tmp_path / "covar.txt").write_text("\n".join(["IID\tage\tcentre\tPC1", *lines]) + "\n")
    pl.DataFrame({"SNP": [f"rs{j}" for j in range(3 * per)], "effect_allele": "A"}).write_csv(
        tmp_path / "instruments.txt", separator=" "
    )
    return tmp_path


def test_a_newcomer_gets_from_files_to_a_study_file(newcomer: Path, capsys: pytest.CaptureFixture[str]):
    names = ["chr1.bed", "chr2.bed", "chr3.bed", "pheno.phe", "covar.txt", "instruments.txt"]
    out = newcomer / "study.toml"
    assert inspect(*(newcomer / name for name in names), out=out) == 0
    said = capsys.readouterr().out
    assert f"{newcomer / 'chr{chrom}.bed'}: genotypes" in said
    assert "3, one a chromosome" in said
    assert "12 on chromosome 1, 2, 3" in said
    assert "600 of 600 people, by FID_IID" in said or "600 of 600 people" in said
    assert "12 of 12 variants looked at, by id" in said
    assert "missing, as the table begins with FID or IID" in said
    config = StudyConfig.from_toml(out)
    assert config.genotypes is not None
    assert config.genotypes.path == newcomer / "chr{chrom}.bed"
    table = config.phenotypes
    assert table.tables == (newcomer / "pheno.phe", newcomer / "covar.txt")
    assert (table.exposure, table.outcome, table.environment) == ("ldl", "sbp", "centre")
    assert (table.covariates, config.components.columns) == (("age",), ("PC1",))
    assert config.instruments.variants == newcomer / "instruments.txt"
    assert 'exposure = "ldl"  # CHECK; could also be sbp' in out.read_text()
    with pytest.raises(InputError, match="there is a file already, and it is not overwritten"):
        inspect(newcomer / "pheno.phe", out=out)


def test_the_written_study_file_runs(newcomer: Path, invarmr: Callable[..., object]):
    files = [str(newcomer / name) for name in ("all.bed", "pheno.phe", "covar.txt", "instruments.txt")]
    invarmr("inspect", *files, "--out", newcomer / "study.toml")
    invarmr("read", newcomer / "study.toml", "--out", newcomer / "archive")
    samples = pl.read_csv(newcomer / "archive" / "samples.tsv", separator="\t")
    assert samples.filter(stage="used")["n_samples"].sum() == 599  # one outcome is -9


def test_a_folder_is_all_its_files_and_companions_are_not_named(newcomer: Path):
    seen = inspect_files([newcomer])
    assert [Path(item.name).name for item in seen if item.kind == "genotypes"] == ["chr{chrom}.bed", "all.bed"]
    assert {Path(item.name).name for item in seen if item.kind != "genotypes"} == {
        "covar.txt", "instruments.txt", "pheno.phe",
    }  # fmt: skip
    with pytest.raises(InputError, match="no such file or folder"):
        inspect_files([newcomer / "nothing"])
    for pattern in ("chr{chrom}.bed", "chr*.bed"):
        assert [item.n_variants for item in inspect_files([newcomer / pattern])] == [12]
    (newcomer / "empty").mkdir()
    with pytest.raises(InputError, match="holds no file"):
        inspect_files([newcomer / "empty"])


def test_what_does_not_fit_is_a_problem(newcomer: Path, write_bed: Callable[..., Path]):
    write_bed(newcomer / "chr4", [[0, 1, 2]], alleles=[("1", "2")])
    (newcomer / "others.txt").write_text("IID x\nq1 1\nq2 2\n")
    seen = {Path(item.name).name: item for item in inspect_files([newcomer])}
    problems = " ".join(seen["chr{chrom}.bed"].problems)
    assert "the people, or their order, are not those of" in problems
    assert "1 variants have alleles that are not of A, C, G, T (like 1/2)" in problems
    assert "a cross-walk table can map them" in " ".join(seen["others.txt"].problems)
    (newcomer / "chr1.bim").unlink()
    broken = {Path(item.name).name: item for item in inspect_files([newcomer])}["chr{chrom}.bed"]
    assert any(".bim" in problem for problem in broken.problems)


SUMMARY = {
    "regenie": "CHROM GENPOS ID ALLELE0 ALLELE1 A1FREQ N BETA SE LOG10P\n1 100 rs1 G A 0.3 5000 0.1 0.02 6.24\n"
    "1 200 rs2 G A 0.3 5000 NA 0.02 6.24\n",
    "vcf": "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tbmi\n"
    "1\t100\trs1\tG\tA\t.\tPASS\t.\tES:SE:LP\t0.1:0.02:6.24\n",
}


@pytest.mark.parametrize("packed", [False, True])
def test_summary_statistics_are_described(packed: bool, tmp_path: Path):
    for name, text in SUMMARY.items():
        path = tmp_path / f"{name}.dat"
        path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
        item = inspect_files([path])[0]
        facts = dict(item.facts)
        assert item.kind == "summary statistics"
        if name == "regenie":
            assert facts["layout"] == "regenie"
            assert "effect_allele <- ALLELE1" in facts["columns"]
            assert facts["effect allele"].startswith("ALLELE1; A1FREQ is its frequency (regenie documentation")
            assert facts["rows"] == "2, columns separated by blanks"
            assert item.problems == ["1 rows would be dropped: every se must have its beta, but 'beta' is empty"]
        else:
            assert (facts["layout"], facts["traits"]) == ("OpenGWAS VCF", "bmi")


def test_problems_of_summary_statistics_are_told(tmp_path: Path):
    path = tmp_path / "x.txt"
    path.write_text("SNP A1 A2 BETA SE P\nrs1 A G 1 1 1\n")
    assert "do not say which allele" in inspect_files([path])[0].problems[0]
    path.write_text("snp ea or se p\n" + "".join(f"rs{i} A {2 + i / 100} 0.5 1e-9\n" for i in range(20)))
    item = inspect_files([path])[0]
    assert "in 100 % of the rows beta / se does not give the p-value" in item.problems[0]
    path.write_text("chr pos ref alt beta_EUR se_EUR pval_EUR beta_AFR se_AFR pval_AFR\n1 5 G A 1 1 -1 2 1 -1\n")
    assert "columns for afr, eur: say which" in " ".join(inspect_files([path])[0].problems)


def test_large_files_are_counted_and_their_first_rows_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("invarmr.study.inspect_tables.LOOKED_AT", 5)
    path = tmp_path / "x.txt"
    path.write_text("snp ea beta se\n" + "".join(f"rs{i} A {i} 0.5\n" for i in range(20)))
    facts = dict(inspect_files([path])[0].facts)
    assert (facts["rows"], facts["usable"]) == ("20, columns separated by blanks", "5 of the first 5 rows")


def test_what_is_not_known_prints_its_first_line_and_the_nearest_layout(tmp_path: Path):
    path = tmp_path / "x.txt"
    path.write_text("CHR POS SNP Allele Freq_Tested_Allele_in_HRS BETA SE P\nx y 1 1 1 1 1 1\n")
    item = inspect_files([path])[0]
    assert item.kind == "unknown"
    assert "reads 'CHR POS SNP Allele Freq_Tested_Allele_in_HRS BETA SE P'" in item.problems[0]
    assert "GIANT 2018 (" in item.problems[0]
    assert "which also has tested_allele and other_allele" in item.problems[0]
    path.write_text("{\n")
    assert "nearest" not in inspect_files([path])[0].problems[0]
    path.write_bytes(b"\x89PNG\r\n\x1a\n\x00\x00")
    assert "binary" in inspect_files([path])[0].problems[0]


def test_kinds_are_told_by_content(tmp_path: Path):
    vcf = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\ts1\n"
    texts = {
        "genotypes": vcf + "1\t5\trs1\tA\tG\t.\t.\t.\tGT\t0/1\n",
        "phenotypes": "#IID SCORE1_AVG\n1 0.3\n",
        "instruments": "SNP\teffect_allele\nrs1\tA\n",
        "summary statistics": " CHR SNP BP NMISS BETA SE R2 T P\n 1 rs1 1 5 1 1 1 1 1\n",
    }
    for kind, text in texts.items():
        path = tmp_path / "file"
        path.write_text(text)
        assert kind_of(path) == kind
    study = tmp_path / "study.toml"
    study.write_text(
        '[phenotypes]\npath = "x"\nexposure = "a"\noutcome = "b"\nenvironment = "s"\n[instruments]\ncolumns = ["z"]'
    )
    assert dict(inspect_files([study])[0].facts)["effect"] == "of a on b"
    study.write_text("[phenotypes\n")
    assert "not valid TOML" in inspect_files([study])[0].problems[0]
    study.write_text("[phenotypes]\n")
    assert "is required" in inspect_files([study])[0].problems[0]


def test_tables_of_people_name_what_is_odd_in_them(tmp_path: Path):
    path = tmp_path / "x.csv"
    path.write_text("eid;bmi;centre;code\n1;22,5;a;-9\n1;23,5;b;2\n;24,5;a;3\n")
    _, problems, columns, ids = phenotype_table(path)
    assert [column.kind for column in columns] == ["id", "text", "text", "numbers"]
    assert "1 people have no id, 1 ids are repeated" in problems[0]
    assert "decimal_comma = true" in problems[1]
    assert "code: -9 is a number here" in problems[2]
    assert ids.within.to_list() == ["1", "1", ""]
    text = first_study_file([Seen("x.csv", (path,), "phenotypes", problems=problems, columns=(*columns, Column(
        "PRS1", "numbers", 900, 0, 0)))], tmp_path)  # fmt: skip
    assert 'sample_id = "eid"' in text
    assert "decimal_comma = true" in text
    assert 'missing_codes = ["-9"]' in text
    assert 'columns = ["PRS1"]' in text
    assert 'outcome = "EDIT"' in text


def test_a_study_file_needs_people_and_genotypes_or_scores(newcomer: Path):
    with pytest.raises(InputError, match="needs a table of people"):
        first_study_file(inspect_files([newcomer / "all.bed"]), newcomer)
    with pytest.raises(InputError, match="needs genotypes, or a table of people with scores"):
        first_study_file(inspect_files([newcomer / "pheno.phe"]), newcomer)
    text = first_study_file(inspect_files([newcomer / "all.bed", newcomer / "pheno.phe"]), newcomer)
    assert 'variants = "all"' in text
    assert 'method = "none"' in text
    with pytest.raises(InputError, match="one file or folder at least"):
        inspect()


def test_chromosome_files_are_put_in_order_whatever_their_pattern():
    def names(*files: str) -> list[str]:
        return [name for name, _ in grouped([Path(file) for file in files])]

    assert names("ukb_c1_b0_v3.bgen", "ukb_c22_b0_v3.bgen", "ukb_cX_b0_v3.bgen") == ["ukb_c{chrom}_b0_v3.bgen"]
    assert names("g.chr10.vcf.gz", "g.chr2.vcf.gz", "g.chrX.vcf.gz") == ["g.chr{chrom}.vcf.gz"]
    assert grouped([Path("c10.bed"), Path("c9.bed")])[0][1] == (Path("c9.bed"), Path("c10.bed"))
    assert names("cases.bed", "controls.bed") == ["cases.bed", "controls.bed"]
    assert names("v2_1.bed", "v2_2.bed") == ["v2_{chrom}.bed"]
    assert without_companions([Path("a.vcf.gz"), Path("a.vcf.gz.tbi"), Path("b.sample")]) == [
        Path("a.vcf.gz"), Path("b.sample"),
    ]  # fmt: skip


def test_roles_go_by_names_and_values():
    numbers = {"PC1": 900, "array": 2, "bmi": 900, "t2d": 2}
    columns = [Column(name, "numbers", levels, 0, 0) for name, levels in numbers.items()]
    columns += [Column("IID", "id", 900, 0, 0), Column("sex", "text", 2, 0, 0)]
    roles = proposed_roles([columns])
    assert (roles.exposure, roles.outcome, roles.environment) == ("bmi", "t2d", "array")
    assert (roles.covariates, roles.categorical, roles.components) == (("sex",), ("sex",), ("PC1",))
