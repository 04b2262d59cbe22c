from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from invarmr.cli.mr import mr
from invarmr.errors import InputError


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    rng = np.random.default_rng(1)
    exposure = pl.DataFrame(
        {
            "SNP": [f"rs{i}" for i in range(10)],
            "EA": "A",
            "NEA": ["G"] * 8 + ["T"] * 2,
            "EAF": 0.5,
            "BETA": rng.uniform(0.05, 0.2, 10),
            "SE": 0.01,
            "N": 5000,
        }
    )
    outcome = exposure.head(9).with_columns(BETA=0.5 * pl.col("BETA").head(9) + 0.001)
    exposure.write_csv(tmp_path / "ldl.tsv", separator="\t")
    outcome.write_csv(tmp_path / "chd.tsv", separator="\t")
    return tmp_path / "ldl.tsv", tmp_path / "chd.tsv"


def test_tables_and_a_page_are_written_and_the_estimates_printed(
    files: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    out = tmp_path / "out"
    assert mr(*files, out=out) == 0
    tables = [
        "details.tsv",
        "harmonised.tsv",
        "manifest.json",
        "mr.tsv",
        "provenance.json",
        "report.html",
        "sensitivity.tsv",
        "variants.tsv",
    ]
    assert sorted(path.name for path in out.iterdir()) == tables
    table = pl.read_csv(out / "mr.tsv", separator="\t")
    assert table["method"].to_list()[2] == "Inverse variance weighted"
    assert table["exposure"].unique().to_list() == ["ldl"]
    reasons = dict(pl.read_csv(out / "harmonised.tsv", separator="\t").select("SNP", "reason").iter_rows())
    assert reasons["rs9"] == "not in the outcome study"
    assert "strand cannot be told" in reasons["rs8"]
    printed = capsys.readouterr().out
    assert "ldl on chd, Inverse variance weighted (8 variants): 0.5" in printed
    assert "2 variants dropped" in printed


def test_settings_reach_the_methods(files: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    out = tmp_path / "out"
    mr(*files, out=out, methods=["mr_raps"], mode="forward", exposure_name="LDL", outcome_name="CHD", quiet=True)
    row = pl.read_csv(out / "mr.tsv", separator="\t").row(0, named=True)
    assert (row["exposure"], row["outcome"], row["nsnp"]) == ("LDL", "CHD", 9)
    assert capsys.readouterr().out == f"{out / 'report.html'}\n"
    mr(*files, out=out, p_value=1e-20, quiet=True, report=False)
    assert capsys.readouterr().out == f"{out / 'mr.tsv'}\n"
    assert not (out / "report.html").exists()
    assert pl.read_csv(out / "mr.tsv", separator="\t")["nsnp"].max() < 8


def test_nothing_is_written_where_nothing_can_be_estimated(files: tuple[Path, Path], tmp_path: Path):
    out = tmp_path / "out"
    with pytest.raises(InputError, match="no variant of ldl has a p-value below"):
        mr(*files, out=out, p_value=1e-300)
    pl.read_csv(files[1], separator="\t").with_columns(NEA=pl.lit("C")).write_csv(files[1], separator="\t")
    with pytest.raises(InputError, match="no variant is left to estimate with: 8 x alleles A/G"):
        mr(*files, out=out)
    with pytest.raises(InputError, match="is no method"):
        mr(*files, out=out, methods=["magic"])
    assert not out.exists()


def test_the_statement_on_overlap_is_printed(
    files: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    mr(*files, out=tmp_path / "out", report=False)
    assert "sample overlap not stated: " in capsys.readouterr().out
    mr(*files, out=tmp_path / "out", overlap=1.0, report=False)
    assert "100 % of the outcome study's people are in the exposure study: " in capsys.readouterr().out
    with pytest.raises(InputError, match="overlap must be a share"):
        mr(*files, out=tmp_path / "out", overlap=30.0)


def test_clumping_and_both_directions(
    tmp_path: Path, write_bed: Callable[..., Path], capsys: pytest.CaptureFixture[str]
):
    rng = np.random.default_rng(2)
    calls = rng.binomial(2, 0.4, (12, 4_000))
    calls[1], calls[7] = calls[0], calls[6]  # two pairs of twins
    bed = write_bed(tmp_path / "cohort.bed", calls)
    strong = np.r_[rng.uniform(0.1, 0.2, 6), np.zeros(6)]
    own = np.r_[np.zeros(6), rng.uniform(0.1, 0.2, 6)]
    names = {"SNP": [f"rs{j}" for j in range(12)], "EA": "A", "NEA": "G", "SE": 0.01, "N": 9000}
    for name, beta in (("ldl", strong), ("sbp", 0.5 * strong + own)):
        pl.DataFrame(names | {"BETA": beta + 0.001 * rng.normal(size=12)}).write_csv(tmp_path / f"{name}.csv")
    out, pair = tmp_path / "out", (tmp_path / "ldl.csv", tmp_path / "sbp.csv")
    mr(
        *pair,
        out=out,
        p_value=5e-8,
        clump=bed,
        clump_r2=0.05,
        clump_kb=1,
        bidirectional=True,
        methods=["mr_ivw"],
        report=False,
    )
    printed = capsys.readouterr().out
    assert "ldl on sbp, Inverse variance weighted (5 variants)" in printed
    assert "sbp on ldl, Inverse variance weighted (" in printed
    assert "variants clumped away, each with its reason in clumping.tsv" in printed
    clumped = pl.read_csv(out / "clumping.tsv", separator="\t").filter(~pl.col("kept"))
    assert set(clumped["id"]) == {"ldl", "sbp"}
    assert set(clumped["SNP"]) <= {"rs0", "rs1", "rs6", "rs7"}
    assert set(clumped["reason"].str.slice(0, 9)) == {"r2 1 with"}
    assert set(pl.read_csv(out / "sensitivity.tsv", separator="\t")["exposure"]) == {"ldl", "sbp"}
    mr(*pair, out=out, quiet=True, report=False)
    assert not (out / "clumping.tsv").exists()
    mr(*pair, out=out, p_value=1e-17, bidirectional=True, methods=["mr_ivw"], report=False)
    with pytest.raises(InputError, match="--p-value"):
        mr(*pair, out=out, bidirectional=True)


def test_a_reverse_direction_without_variants_is_said(
    files: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    weak = pl.read_csv(files[1], separator="\t").with_columns(SE=pl.lit(10.0))
    weak.write_csv(files[1], separator="\t")
    mr(*files, out=tmp_path / "out", p_value=1e-6, bidirectional=True, report=False)
    assert "reverse direction: no variant of chd has a p-value below 1e-06" in capsys.readouterr().out


def test_steiger_filtering_drops_variants_or_says_why_not(
    files: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    outcome = pl.read_csv(files[1], separator="\t")
    stronger = pl.when(pl.col("SNP") == "rs0").then(5 * pl.col("BETA")).otherwise("BETA")
    outcome.with_columns(BETA=stronger).write_csv(files[1], separator="\t")
    out = tmp_path / "out"
    mr(*files, out=out, steiger=True, report=False)
    reasons = dict(pl.read_csv(out / "harmonised.tsv", separator="\t").select("SNP", "reason").iter_rows())
    assert reasons["rs0"] == "explains more of the outcome than of the exposure"
    capsys.readouterr()
    outcome.drop("N").write_csv(files[1], separator="\t")
    mr(*files, out=out, steiger=True, report=False)
    assert "Steiger filtering: 8 variants were kept unexamined" in capsys.readouterr().out


def test_a_method_without_a_standard_error_prints_its_set(
    files: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    mr(*files, out=tmp_path / "out", methods=["mr_conmix"], report=False)
    printed = capsys.readouterr().out
    assert "nan" not in printed
    assert "Contamination mixture (8 variants): 0.5" in printed
    assert "(95 % set [0.4" in printed


def _write(path: Path, **columns: object) -> Path:
    pl.DataFrame(columns).write_csv(path, separator="\t")
    return path


def test_bad_rows_are_dropped_with_their_reasons_and_refused_when_strict(
    files: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    lines = files[0].read_text().splitlines()
    lines[2] = lines[2].replace("0.01", "NA")
    lines[3] = lines[3].replace("A", "<DUP>", 1)
    files[0].write_text("\n".join(lines))
    there = files[1].read_text().replace("rs5\tA", "rs5\t?")
    files[1].write_text(there)
    out = tmp_path / "out"
    mr(*files, out=out, report=False)
    printed = capsys.readouterr().out
    assert "exposure file: 2 of 10 rows were dropped" in printed
    assert "outcome file: 1 of 7 rows were dropped" in printed
    table = pl.read_csv(out / "variants.tsv", separator="\t")
    used = table.filter("kept")["SNP"].to_list()
    assert used == ["rs0", "rs3", "rs4", "rs6", "rs7"]
    lost = {row["SNP"]: row for row in table.filter(~pl.col("kept")).iter_rows(named=True)}
    assert (lost["rs1"]["stage"], lost["rs1"]["line"]) == ("exposure file", 3)
    assert lost["rs2"]["reason"].startswith("alleles must be made of")
    reasons = table.filter(SNP="rs5").select("stage", "reason").rows()
    assert [stage for stage, _ in reasons] == ["harmonising", "outcome file"]
    assert reasons[0][1] == f"its row in the outcome file: {reasons[1][1]}"
    with pytest.raises(InputError, match="alleles must be made of"):
        mr(*files, out=tmp_path / "strict", strict=True)
    assert not (tmp_path / "strict").exists()


def test_variants_of_other_names_are_matched_by_place_and_alleles(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    rng = np.random.default_rng(3)
    beta, place = rng.uniform(0.05, 0.2, 6), np.arange(100, 106)
    here = _write(tmp_path / "ldl.tsv", rsid=[f"rs{i}" for i in range(6)], chr=["chr1"] * 5 + ["23"], pos=place,
                  ea=["A"] * 6, nea=["G"] * 6, beta=beta, se=[0.01] * 6)  # fmt: skip
    names = [f"{'X' if i == 5 else 1}:{100 + i}:{'A:G' if i % 2 else 'G:A'}" for i in range(6)]
    sign = np.where(np.arange(6) % 2, -1.0, 1.0)  # ALT is counted
    there = _write(tmp_path / "sbp.tsv", variant=names, minor_allele=["A"] * 6, minor_AF=[0.3] * 6,
                   beta=0.5 * sign * beta, se=[0.01] * 6, tstat=[1.0] * 6, pval=[0.5] * 6)  # fmt: skip
    out = tmp_path / "out"
    mr(here, there, out=out, report=False, methods=["mr_ivw"])
    printed = capsys.readouterr().out
    assert "Inverse variance weighted (6 variants): 0.5000" in printed
    assert "6 variants have another id in the outcome file" in printed
    table = pl.read_csv(out / "harmonised.tsv", separator="\t")
    assert table["reason"][0] == "1:100:G:A in the outcome, the same variant"
    assert table["eaf.outcome"].round(2).to_list() == [0.3] * 6
    unplaced = _write(tmp_path / "no.tsv", rsid=[f"rs{i}" for i in range(6)], ea=["A"] * 6, beta=beta, se=[0.01] * 6)
    with pytest.raises(InputError, match=r"ids are like 'rs0', here they are like '1:100:G:A'.*add chr and pos"):
        mr(unplaced, there, out=out)


def test_where_no_method_applies_each_says_why(files: tuple[Path, Path], tmp_path: Path):
    files[0].write_text("\n".join(files[0].read_text().splitlines()[:4]))
    with pytest.raises(
        InputError, match="no method applies to the 3 variants that are left: ldl on chd: MR-PRESSO: needs 4"
    ):
        mr(*files, out=tmp_path / "out", methods=["mr_presso"])
    with pytest.raises(InputError, match=r"Wald ratio: takes exactly 1 variant; ldl on chd: MR-PRESSO: needs 4"):
        mr(*files, out=tmp_path / "out", methods=["mr_wald_ratio", "mr_presso"])


def test_columns_and_groups_are_named_on_the_command_line(
    files: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    for path in files:
        path.write_text(path.read_text().replace("NEA", "A2").replace("EA\t", "A1\t"))
    with pytest.raises(InputError, match="A1 and A2 do not say which allele"):
        mr(*files, out=tmp_path / "out")
    named = ["effect_allele=A1", "other_allele=A2"]
    mr(*files, out=tmp_path / "out", exposure_columns=named, outcome_columns=named, report=False, mode="forward")
    assert "Inverse variance weighted (9 variants): 0.5" in capsys.readouterr().out
    with pytest.raises(InputError, match="--exposure-columns takes NAME=COLUMN"):
        mr(*files, out=tmp_path / "out", exposure_columns=["A1"])
    with pytest.raises(InputError, match="an ancestry group"):
        mr(*files, out=tmp_path / "out", exposure_columns=named, exposure_group="eur")


def test_a_file_of_millions_lists_its_first_dropped_rows_and_counts_the_others(
    files: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("invarmr.study.summary_files.MOST_LISTED", 2)
    rows = pl.read_csv(files[0], separator="\t")
    bad = pl.concat([rows.with_columns(SNP=pl.concat_str("SNP", pl.lit(f"x{i}")), SE=0.0) for i in range(3)])
    pl.concat([rows, bad]).write_csv(files[0], separator="\t")
    mr(*files, out=tmp_path / "out", report=False)
    table = pl.read_csv(tmp_path / "out" / "variants.tsv", separator="\t").filter(stage="exposure file")
    assert table["n_rows"].to_list() == [1, 1, 28]
    assert table["reason"][2] == "28 further rows"
