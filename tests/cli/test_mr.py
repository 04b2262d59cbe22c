from __future__ import annotations

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


def test_three_tables_are_written_and_the_estimates_printed(
    files: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    out = tmp_path / "out"
    assert mr(*files, out=out) == 0
    assert sorted(path.name for path in out.iterdir()) == ["harmonised.tsv", "mr.tsv", "sensitivity.tsv"]
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
    assert capsys.readouterr().out == f"{out / 'mr.tsv'}\n"
    mr(*files, out=out, p_value=1e-20, quiet=True)
    assert pl.read_csv(out / "mr.tsv", separator="\t")["nsnp"].max() < 8


def test_nothing_is_written_where_nothing_can_be_estimated(files: tuple[Path, Path], tmp_path: Path):
    out = tmp_path / "out"
    with pytest.raises(InputError, match="no variant has a p-value below"):
        mr(*files, out=out, p_value=1e-300)
    pl.read_csv(files[1], separator="\t").with_columns(NEA=pl.lit("C")).write_csv(files[1], separator="\t")
    with pytest.raises(InputError, match="no variant is left to estimate with: 8 x alleles A/G"):
        mr(*files, out=out)
    with pytest.raises(InputError, match="is no method"):
        mr(*files, out=out, methods=["magic"])
    assert not out.exists()
