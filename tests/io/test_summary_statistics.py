from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from invarmr.errors import InputError
from invarmr.io.summary_statistics import Layout, read_summary_statistics, write_summary_statistics

LAYOUTS = {
    "ssf": "chromosome base_pair_location effect_allele other_allele beta standard_error "
    "effect_allele_frequency p_value rsid n\n"
    "1 100 A G 0.1 0.02 0.3 1e-6 rs1 5000\n",
    "plink2": "#CHROM POS ID REF ALT A1 A1_FREQ TEST OBS_CT BETA SE T_STAT P\n"
    "1 100 rs1 A G A 0.3 ADD 5000 0.1 0.02 5 1e-6\n",
    "plink2_omitted": "#CHROM POS ID REF ALT A1 OMITTED A1_FREQ OBS_CT BETA SE P\n"
    "1 100 rs1 G A A G 0.3 5000 0.1 0.02 1e-6\n",
    "plink2_odds": "#CHROM POS ID REF ALT A1 OMITTED A1_FREQ OBS_CT OR LOG(OR)_SE P\n"
    "1 100 rs1 G A A G 0.3 5000 1.1051709180756477 0.02 1e-6\n",
    "regenie": "CHROM GENPOS ID ALLELE0 ALLELE1 A1FREQ INFO N TEST BETA SE CHISQ LOG10P EXTRA\n"
    "1 100 rs1 G A 0.3 1 5000 ADD 0.1 0.02 25 6 NA\n",
    "cojo": "SNP A1 A2 freq b se p N chr bp\nrs1 A G 0.3 0.1 0.02 1e-6 5000 1 100\n",
    "genal": "CHR POS SNP EA NEA EAF BETA SE P samplesize\n1 100 rs1 a g 0.3 0.1 0.02 1e-6 5000\n",
    "gwaslab": "SNPID rsID CHR POS EA NEA EAF BETA SE P N\n1:100:G:A rs1 1 100 A G 0.3 0.1 0.02 1e-6 5000\n",
    "metal": "MarkerName Allele1 Allele2 Freq1 Effect StdErr P-value N chr pos\nrs1 a g 0.3 0.1 0.02 1e-6 5000 1 100\n",
    "twosamplemr": "SNP effect_allele.exposure other_allele.exposure beta.exposure se.exposure eaf.exposure "
    "pval.exposure samplesize.exposure chr.exposure pos.exposure exposure id.exposure\n"
    "rs1 A G 0.1 0.02 0.3 1e-6 5000 1 100 BMI ieu-1\n",
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_row(layout: str, tmp_path: Path):
    path = tmp_path / "bmi.txt"
    path.write_text(LAYOUTS[layout])
    row = read_summary_statistics(path).frame.row(0, named=True)
    expected = {"SNP": "rs1", "effect_allele": "A", "other_allele": "G", "chr": "1", "pos": 100, "samplesize": 5000.0}
    assert {name: row[name] for name in expected} == expected
    numbers = [row[name] for name in ("beta", "se", "eaf", "pval")]
    assert numbers == pytest.approx([0.1, 0.02, 0.3, 1e-6])
    assert (row["Phenotype"], row["id"]) == (("BMI", "ieu-1") if layout == "twosamplemr" else ("bmi", "bmi"))


def test_the_other_allele_is_the_one_that_a1_is_not():
    rows = {"ID": ["rs1", "rs2"], "REF": ["A", "A"], "ALT": ["G", "G"], "A1": ["A", "G"], "BETA": [1, 1], "SE": [1, 1]}
    assert read_summary_statistics(rows).frame["other_allele"].to_list() == ["G", "A"]


def test_stated_columns_go_first_and_must_exist():
    rows = pl.DataFrame({"SNP": ["rs1"], "A1": ["A"], "beta": [1.0], "mine": [2.0], "se": [1.0]})
    assert read_summary_statistics(rows, columns={"beta": "mine"}).frame["beta"].item() == 2.0
    with pytest.raises(InputError, match="'beta' is mapped to 'yours'"):
        read_summary_statistics(rows, columns={"beta": "yours"})


def test_text_in_an_odds_ratio_is_named_as_text_in_beta():
    rows = {"SNP": ["rs1"], "A1": ["A"], "OR": ["high"], "se": [1.0]}
    with pytest.raises(InputError, match=r"'beta' must be a number, but in 'beta' row 1 \(rs1\) has 'high'"):
        read_summary_statistics(rows)
    with pytest.raises(InputError, match="no rows"):
        read_summary_statistics(pl.DataFrame(rows).clear())


def test_a_zipped_file_lends_its_name(tmp_path: Path):
    path = tmp_path / "ldl.csv.gz"
    pl.DataFrame({"SNP": ["rs1"], "A1": ["A"], "b": [1.0], "se": [1.0]}).write_csv(path, compression="gzip")
    assert read_summary_statistics(path).ids == ("ldl",)


@pytest.mark.parametrize("layout", ["TwoSampleMR", "GWAS-SSF"])
def test_what_is_written_is_read_back(tmp_path: Path, layout: Layout):
    rows = {"SNP": ["rs1", "rs2"], "A1": ["A", "C"], "A2": ["G", "T"], "beta": [1.0, None], "se": [0.25, None],
            "n": [100, 90], "chr": ["1", "X"], "pos": [5, 6]}  # fmt: skip
    table = read_summary_statistics(rows, name="ldl")
    again = read_summary_statistics(write_summary_statistics(table, tmp_path / "ldl.tsv", layout=layout), name="ldl")
    kept = table.frame if layout == "TwoSampleMR" else table.frame.head(1)
    assert again.frame.equals(kept)
    with pytest.raises(InputError, match="layout must be one of TwoSampleMR, GWAS-SSF"):
        write_summary_statistics(table, tmp_path / "ldl.tsv", layout="VCF")
