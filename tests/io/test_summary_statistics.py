from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from invarmr.errors import InputError
from invarmr.io.summary_statistics import Layout, Wanted, read_summary_statistics, write_summary_statistics

P = 5.733031437583892e-07  # two-sided, of z = 5
LAYOUTS = {
    "ssf": "chromosome base_pair_location effect_allele other_allele beta standard_error "
    "effect_allele_frequency p_value rsid n\n"
    f"1 100 A G 0.1 0.02 0.3 {P} rs1 5000\n",
    "ssf_log10": "chromosome base_pair_location effect_allele other_allele beta standard_error "
    "effect_allele_frequency neg_log_10_p_value rsid n\n"
    "1 100 A G 0.1 0.02 0.3 6.241615673299904 rs1 5000\n",
    "ssf_odds": "chromosome\tbase_pair_location\teffect_allele\tother_allele\todds_ratio\tci_lower\tci_upper\t"
    "effect_allele_frequency\tp_value\trsid\tn\n"
    f"1\t100\tA\tG\t1.1051709180756477\t1.0626871211239521\t1.1493531199176967\t0.3\t{P}\trs1\t5000\n",
    "catalog_harmonised": "hm_variant_id\thm_rsid\thm_chrom\thm_pos\thm_other_allele\thm_effect_allele\thm_beta\t"
    "hm_odds_ratio\thm_effect_allele_frequency\teffect_allele\tother_allele\tbeta\tstandard_error\tp_value\tn\n"
    f"1_100_G_A\trs1\t1\t100\tG\tA\t0.1\tNA\t0.3\tG\tA\t-0.1\t0.02\t{P}\t5000\n",
    "plink2": "#CHROM POS ID REF ALT A1 A1_FREQ TEST OBS_CT BETA SE T_STAT P\n"
    f"1 100 rs1 G A A 0.3 ADD 5000 0.1 0.02 5 {P}\n",
    "plink2_reference_counted": "#CHROM\tPOS\tID\tREF\tALT\tPROVISIONAL_REF?\tA1\tA1_FREQ\tTEST\tOBS_CT\tBETA\tSE\tP\n"
    f"1\t100\trs1\tA\tG\tN\tA\t0.3\tADD\t5000\t0.1\t0.02\t{P}\n",
    "plink2_omitted": "#CHROM POS ID REF ALT A1 OMITTED A1_FREQ OBS_CT BETA SE P\n"
    f"1 100 rs1 G A A G 0.3 5000 0.1 0.02 {P}\n",
    "plink2_odds": "#CHROM POS ID REF ALT A1 OMITTED A1_FREQ OBS_CT OR LOG(OR)_SE LOG10_P\n"
    "1 100 rs1 G A A G 0.3 5000 1.1051709180756477 0.02 6.241615673299904\n",
    "regenie": "CHROM GENPOS ID ALLELE0 ALLELE1 A1FREQ INFO N TEST BETA SE CHISQ LOG10P EXTRA\n"
    "1 100 rs1 G A 0.3 1 5000 ADD 0.1 0.02 25 6.241615673299904 NA\n"
    "1 100 rs1 G A 0.3 1 5000 DOM 0.7 0.02 25 6.241615673299904 NA\n",
    "bolt": "SNP\tCHR\tBP\tGENPOS\tALLELE1\tALLELE0\tA1FREQ\tF_MISS\tN\tCHISQ_LINREG\tP_LINREG\tBETA\t"
    "SE\tP_BOLT_LMM_INF\n"
    f"rs1\t1\t100\t0.0123\tA\tG\t0.3\t0\t5000\t1\t0.5\t0.1\t0.02\t{P}\n",
    "saige": "CHR\tPOS\tMarkerID\tAllele1\tAllele2\tAC_Allele2\tAF_Allele2\tMissingRate\tBETA\tSE\t"
    "Tstat\tvar\tp.value\tN\n"
    f"1\t100\trs1\tG\tA\t3000\t0.3\t0\t0.1\t0.02\t250\t2500\t{P}\t5000\n",
    "cojo": f"SNP A1 A2 freq b se p N chr bp\nrs1 A G 0.3 0.1 0.02 {P} 5000 1 100\n",
    "fastgwa": f"CHR\tSNP\tPOS\tA1\tA2\tN\tAF1\tBETA\tSE\tP\n1\trs1\t100\tA\tG\t5000\t0.3\t0.1\t0.02\t{P}\n",
    "genal": f"CHR POS SNP EA NEA EAF BETA SE P samplesize\n1 100 rs1 a g 0.3 0.1 0.02 {P} 5000\n",
    "gwaslab": "SNPID rsID CHR POS EA NEA EAF BETA SE P N\n"
    f"1:100:G:A rs1 1 100 A G 0.3 0.1 0.02 {P} 5000\n",
    "metal": "MarkerName\tAllele1\tAllele2\tFreq1\tEffect\tStdErr\tP-value\tDirection\tN\tchr\tpos\n"
    f"rs1\ta\tg\t0.3\t0.1\t0.02\t{P}\t++?-\t5000\t1\t100\n",
    "giant_2014": "MarkerName Allele1 Allele2 Freq.Allele1.HapMapCEU b SE p N CHR POS\n"
    f"rs1 A G 0.3 0.1 0.02 {P} 5000 1 100\n",
    "giant_2018": "CHR POS SNP Tested_Allele Other_Allele Freq_Tested_Allele_in_HRS BETA SE P N\n"
    f"1 100 rs1 A G 0.3 0.1 0.02 {P} 5000\n",
    "giant_ukb": "CHR POS SNP Tested_Allele Other_Allele Freq_Tested_Allele BETA SE P N INFO\n"
    f"1 100 rs1:G:A A G 0.3 0.1 0.02 {P} 5000 1\n",
    "glgc": "SNP_hg18\tSNP_hg19\trsid\tA1\tA2\tbeta\tse\tN\tP-value\tFreq.A1.1000G.EUR\n"
    f"chr1:90\tchr1:100\trs1\ta\tg\t0.1\t0.02\t5000\t{P}\t0.3\n",
    "finngen": "#chrom\tpos\tref\talt\trsids\tnearest_genes\tpval\tmlogp\tbeta\tsebeta\taf_alt\tn\n"
    f"1\t100\tG\tA\trs1,rs9\tABC\t{P}\t6.2416\t0.1\t0.02\t0.3\t5000\n",
    "hgi": "#CHR\tPOS\tREF\tALT\tSNP\tall_inv_var_meta_N\tall_inv_var_meta_beta\t"
    "all_inv_var_meta_sebeta\tall_inv_var_meta_p\t"
    "all_meta_AF\trsid\n"
    f"1\t100\tG\tA\t1:100:G:A\t5000\t0.1\t0.02\t{P}\t0.3\trs1\n",
    "biobank_japan": f"SNP CHR POS REF ALT Rsq AF BETA SE P N\nrs1 1 100 G A 0.9 0.3 0.1 0.02 {P} 5000\n",
    "snptest": "rsid chromosome position alleleA alleleB all_total EAF frequentist_add_pvalue frequentist_add_beta_1 "
    f"frequentist_add_se_1\nrs1 1 100 G A 5000 0.3 {P} 0.1 0.02\n",
    "plink1_assoc": "CHR SNP BP A1 F_A F_U A2 CHISQ P OR SE N\n"
    f"1 rs1 100 A 0.35 0.3 G 25 {P} 1.1051709180756477 0.02 5000\n",
    "daner": "CHR SNP BP A1 A2 FRQ_A_2000 FRQ_U_3000 INFO OR SE P Nca Nco\n"
    f"1 rs1 100 A G 0.35 0.3 1 1.1051709180756477 0.02 {P} 2000 3000\n",
    "pgc": "##fileformat=PGCsumstatsVCFv1.0\n#CHROM\tID\tPOS\tA1\tA2\tFCAS\tFCON\tIMPINFO\tBETA\tSE\tPVAL\tNCAS\tNCON\n"
    f"1\trs1\t100\tA\tG\t0.35\t0.3\t1\t0.1\t0.02\t{P}\t2000\t3000\n",
    "mtag": f"SNP CHR BP A1 A2 Z N FRQ mtag_beta mtag_se mtag_z mtag_pval\nrs1 1 100 A G 4 5000 0.3 0.1 0.02 5 {P}\n",
    "panukb": "chr\tpos\tref\talt\trsid\tn\taf_EUR\tbeta_EUR\tse_EUR\tneglog10_pval_EUR\tlow_confidence_EUR\n"
    "1\t100\tG\tA\trs1\t5000\t0.3\t0.1\t0.02\t6.241615673299904\tfalse\n",
    "panukb_ln": "chr\tpos\tref\talt\trsid\tn\taf_EUR\tbeta_EUR\tse_EUR\tpval_EUR\n"
    "1\t100\tG\tA\trs1\t5000\t0.3\t0.1\t0.02\t-14.371851134722\n",
    "neale": "variant\tminor_allele\tminor_AF\tlow_confidence_variant\tn_complete_samples\tAC\tytx\t"
    "beta\tse\ttstat\tpval\trsid\n"
    f"1:100:G:A\tG\t0.7\tfalse\t5000\t1\t1\t0.1\t0.02\t5\t{P}\trs1\n",
    "opengwas": "##fileformat=VCFv4.2\n##FORMAT=<ID=ES,Number=A,Type=Float,Description=\"x\">\n"
    "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tbmi\n"
    "chr1\t100\trs1\tG\tA\t.\tPASS\tAF=0.3\tES:SE:LP:AF:SS:ID\t0.1:0.02:6.241615673299904:0.3:5000:rs1\n",
    "twosamplemr": "SNP effect_allele.exposure other_allele.exposure beta.exposure se.exposure eaf.exposure "
    "pval.exposure samplesize.exposure chr.exposure pos.exposure exposure id.exposure\n"
    f"rs1 A G 0.1 0.02 0.3 {P} 5000 1 100 BMI ieu-1\n",
    "semicolon": f"SNP;effect_allele;other_allele;beta;se;eaf;pval;n;chr;pos\nrs1;A;G;0.1;0.02;0.3;{P};5000;1;100\n",
    "row_names_of_r": '"SNP" "effect_allele" "other_allele" "beta" "se" "eaf" "pval" "n" "chr" "pos"\n'
    f'"1" "rs1" "A" "G" 0.1 0.02 0.3 {P} 5000 1 100\n',
    "row_names_unquoted": "SNP effect_allele other_allele beta se eaf pval n chr pos\n"
    f"1 rs1 A G 0.1 0.02 0.3 {P} 5000 1 100\n",
    "csv_of_r": '"","SNP","effect_allele","other_allele","beta","se","eaf","pval","n","chr","pos"\n'
    f'"1","rs1","A","G",0.1,0.02,0.3,{P},5000,"1",100\n',
    "cardiogram": "markername chr bp_hg19 effect_allele noneffect_allele effect_allele_freq beta se_dgc p_dgc n\n"
    f"rs1 1 100 A G 0.3 0.1 0.02 {P} 5000\n",
    "diagram": "SNP Chr:Position Allele1 Allele2 EAF Effect StdErr P-value TotalSampleSize\n"
    f"rs1 1:100 A G 0.3 0.1 0.02 {P} 5000\n",
    "no_error_but_z": f"rsid chr pos ea nea beta z_stat eaf p n\nrs1 1 100 A G 0.1 5 0.3 {P} 5000\n",
    "no_error_but_p": f"rsid chr pos ea nea beta eaf p n\nrs1 1 100 A G 0.1 0.3 {P} 5000\n",
}  # fmt: skip


@pytest.mark.parametrize("packed", ["", ".gz"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_row_whatever_the_file_is_called(layout: str, packed: str, tmp_path: Path):
    path = tmp_path / f"bmi.vcf{packed}"
    text = LAYOUTS[layout].encode()
    path.write_bytes(gzip.compress(text) if packed else text)
    row = read_summary_statistics(path).frame.row(0, named=True)
    expected = {"SNP": "rs1", "effect_allele": "A", "other_allele": "G", "chr": "1", "pos": 100, "samplesize": 5000.0}
    assert {name: row[name] for name in expected} == expected
    numbers = [row[name] for name in ("beta", "se", "eaf", "pval")]
    assert numbers == pytest.approx([0.1, 0.02, 0.3, P], rel=1e-6)
    named = {"twosamplemr": ("BMI", "ieu-1")}.get(layout, ("bmi", "bmi"))
    assert (row["Phenotype"], row["id"]) == named


PLINK_1 = {
    "linear": " CHR  SNP   BP   A1  TEST NMISS   BETA    STAT    P \n"
    f"   1  rs1  100    A   ADD  5000    0.1     5     {P}\n   1  rs1  100    A   COV1  5000    0.9     5     {P}\n",
    "logistic": " CHR  SNP   BP   A1  TEST NMISS   OR  SE L95 U95  STAT    P \n"
    f"   1  rs1  100    A   ADD  5000  1.1051709180756477 NA 1.0626871211239521 1.1493531199176967    5     {P}\n",
}


@pytest.mark.parametrize("kind", PLINK_1)
def test_plink_1_states_the_effect_allele_alone(kind: str, tmp_path: Path):
    path = tmp_path / "plink.assoc"
    path.write_text(PLINK_1[kind])
    found = read_summary_statistics(path)
    row = found.frame.row(0, named=True)
    assert (row["SNP"], row["effect_allele"], row["other_allele"], row["samplesize"]) == ("rs1", "A", None, 5000.0)
    assert [row["beta"], row["se"], row["pval"]] == pytest.approx([0.1, 0.02, P], rel=1e-6)
    assert found.n_variants == 1
    assert [note for note in found.notes if "COV1" in note] == (
        ["rows of other tests than ADD were left out: 1 of COV1"] if kind == "linear" else []
    )


REFUSED = {
    " CHR SNP BP NMISS BETA SE R2 T P\n 1 rs1 1 5 1 1 1 1 1\n": "does not state any allele",
    "SNP A1 A2 BETA SE P\nrs1 A G 1 1 1\n": "A1 and A2 do not say which allele .* effect_allele=A1 other_allele=A2",
    "ID Allele1 Allele2 BETA SE P\nrs1 A G 1 1 1\n": "Allele1 and Allele2 do not say",
    "id marker x\n1 2 3\n": r"no known layout .* first line reads 'id marker x'\. The nearest known is",
    "SNP Tested_Allele Other BETA SE P\nrs1 A G 1 1 1\n": "nearest known is GIANT|other_allele",
    "SNP effect_allele other_allele se\nrs1 A G 1\n": "must have an effect",
    "SNP effect_allele other_allele beta\nrs1 A G 1\n": "must have a standard error",
    "SNP A1 A2 N Z\nrs1 A G 100 2\n": "must have eaf beside Z",
    "effect_allele other_allele beta se\nA G 1 1\n": "variant ids, or chromosome and position",
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_cannot_be_told_is_refused_with_what_is_missing(text: str, tmp_path: Path):
    path = tmp_path / "x.tsv"
    path.write_text(text)
    if "Tested_Allele Other " in text:
        assert read_summary_statistics(path).frame["other_allele"].to_list() == [None]
        return
    with pytest.raises(InputError, match=REFUSED[text]):
        read_summary_statistics(path)


def test_a_header_after_megabytes_of_comments_is_found(tmp_path: Path):
    path = tmp_path / "x.vcf"
    path.write_text("##contig=<ID=1>\n" * 150_000 + LAYOUTS["opengwas"].split("\n", 1)[1])
    assert read_summary_statistics(path).frame["SNP"].to_list() == ["rs1"]


def test_stated_alleles_settle_what_the_header_does_not():
    rows = {"SNP": ["rs1"], "A1": ["A"], "A2": ["G"], "freq": [0.2], "BETA": [1.0], "SE": [1.0]}
    one = read_summary_statistics(rows, columns={"effect_allele": "A1"}).frame.row(0, named=True)
    assert (one["effect_allele"], one["other_allele"], one["eaf"]) == ("A", "G", None)
    two = read_summary_statistics(rows, columns={"effect_allele": "A2", "eaf": "freq"}).frame.row(0, named=True)
    assert (two["effect_allele"], two["other_allele"], two["eaf"]) == ("G", "A", 0.2)
    gcta = {"SNP": ["rs1"], "A1": ["A"], "A2": ["G"], "freq": [0.2], "b": [1.0], "se": [1.0], "p": [0.3]}
    turned = read_summary_statistics(gcta, columns={"effect_allele": "A2"}).frame.row(0, named=True)
    assert (turned["effect_allele"], turned["other_allele"], turned["eaf"]) == ("G", "A", None)


def test_several_groups_of_ancestry_must_be_chosen_from():
    rows = {"chr": ["1"], "pos": [5], "ref": ["G"], "alt": ["A"], "beta_AFR": [1.0], "se_AFR": [0.5],
            "neglog10_pval_AFR": [1.0], "beta_meta": [2.0], "se_meta": [0.5], "neglog10_pval_meta": [4.0]}  # fmt: skip
    with pytest.raises(InputError, match="columns for afr, meta, and none was chosen"):
        read_summary_statistics(rows)
    with pytest.raises(InputError, match="'eur' is none of them"):
        read_summary_statistics(rows, group="eur")
    found = read_summary_statistics(rows, group="meta")
    assert (found.frame["beta"].item(), found.frame["SNP"].item()) == (2.0, "1:5:G:A")
    assert found.notes == ("columns of meta",)
    with pytest.raises(InputError, match="has no such columns"):
        read_summary_statistics({"SNP": ["rs1"], "EA": ["A"], "beta": [1], "se": [1]}, group="eur")


def test_effects_follow_from_z_size_and_frequency_and_this_is_said():
    z, n, f = np.array([5.0, -3.0]), 10_000.0, 0.2
    rows = {"MarkerName": ["rs1", "rs2"], "Allele1": ["a", "c"], "Allele2": ["g", "t"], "Freq1": [f, f],
            "Weight": [n, n], "Zscore": z, "P-value": [0.1, 0.1]}  # fmt: skip
    found = read_summary_statistics(rows)
    # a regression of a trait of variance 1: residual variance 1 - 2 f (1 - f) b^2, so that z = b / s exactly
    b, s = found.frame["beta"].to_numpy(), found.frame["se"].to_numpy()
    assert np.allclose(b / s, z)
    assert np.allclose(s, np.sqrt((1 - 2 * f * (1 - f) * b**2) / (2 * f * (1 - f) * n)))
    assert found.notes == (
        "2 effects made from Z, sample size and frequency: they are in standard deviations of the "
        "trait, not in its units",
    )


def test_p_values_below_the_smallest_float_still_give_their_standard_error():
    text = {"SNP": ["rs1", "rs2", "rs3"], "EA": ["A"] * 3, "beta": ["1", "1", "1"], "pval": ["1e-400", "0", "2e-3"]}
    found = read_summary_statistics(text)
    assert 1 / found.frame["se"].to_numpy() == pytest.approx([42.8264, 3.0902], abs=1e-4)
    assert found.dropped["reason"].to_list() == ["every beta must have its se, but 'se' is empty"]
    logs = read_summary_statistics({"SNP": ["rs1"], "EA": ["A"], "beta": [1.0], "mlogp": [400.0]})
    assert 1 / logs.frame["se"].item() == pytest.approx(42.8264, abs=1e-4)
    assert logs.frame["pval"].item() == 0.0


def test_bad_rows_are_dropped_with_line_and_reason_and_refused_when_strict(tmp_path: Path):
    path = tmp_path / "x.tsv"
    good = "rs1\tA\tG\t0.1\t0.02\t0.3\n"
    bad = {
        "rs2\tA\tG\tNA\t0.02\t0.3\n": "every se must have its beta, but 'beta' is empty",
        "rs3\tA\tG\tNA\tNA\t0.3\n": "an effect is needed: beta and se, but 'beta' is empty",
        "rs4\tA\tG\t0.1\t0\t0.3\n": "a standard error must be positive, but 'se' is 0.0",
        "rs5\tA\t<DEL>\t0.1\t0.02\t0.3\n": "alleles must be made of",
        "rs6\tA\tG\t0.1\tx\t0.3\n": "'se' must be a number, but 'se' is x",
        "rs7\tA\tG\t0.1\t0.02\t3\n": "'eaf' must lie between 0 and 1, but 'eaf' is 3.0",
        "rs8\tA\tG\t0.1\t0.02\n": "the line has 5 fields, the header 6",
        "rs9\tA\tG\tinf\t0.02\t0.3\n": "'beta' must be a number, but 'beta' is inf",
        "NA\tA\tG\t0.1\t0.02\t0.3\n": "every row must name a variant",
    }
    path.write_text("SNP\tEA\tNEA\tbeta\tse\teaf\n" + good + "".join(bad) + good)
    found = read_summary_statistics(path)
    assert found.frame["SNP"].to_list() == ["rs1"]
    reasons = dict(found.dropped.select("line", "reason").iter_rows())
    assert sorted(reasons) == list(range(3, 13))
    assert reasons.pop(12) == "repeats an earlier row"
    for line, expected in enumerate(bad.values(), start=3):
        assert reasons[line].startswith(expected)
    with pytest.raises(InputError, match="line 9: the line has 5 fields"):
        read_summary_statistics(path, strict=True)


def test_a_variant_with_several_pairs_of_alleles_keeps_them_apart():
    rows = {"SNP": ["rs1", "rs1", "rs2", "rs2"], "EA": ["A", "T", "A", "A"], "NEA": ["G", "G", "C", "C"],
            "beta": [1.0, 2.0, 3.0, 4.0], "se": [1.0] * 4}  # fmt: skip
    found = read_summary_statistics(rows)
    assert found.frame["SNP"].to_list() == ["rs1[G/A]", "rs1[G/T]"]
    assert found.dropped["reason"].unique().to_list() == ["the variant occurs in 2 rows that differ"]
    with pytest.raises(InputError, match="a variant must occur once per trait"):
        read_summary_statistics(rows, strict=True)


def test_a_table_without_a_good_row_is_refused_as_a_whole():
    rows = {"SNP": ["rs1", "rs2"], "EA": ["A", "A"], "beta": ["0,5", "0,25"], "se": ["0,1", "0,1"]}
    with pytest.raises(InputError, match=r"no row can be used: 2 x 'beta' must be a number.*say --decimal-comma"):
        read_summary_statistics(rows)
    assert read_summary_statistics(rows, decimal_comma=True).frame["beta"].to_list() == [0.5, 0.25]


def test_a_ratio_outside_its_interval_and_a_ratio_of_zero_are_dropped():
    rows = {"SNP": ["rs1", "rs2", "rs3"], "EA": ["A"] * 3, "OR": [2.0, 0.0, 1.2], "L95": [0.9, 1.0, 1.1],
            "U95": [1.1, 1.0, 1.3]}  # fmt: skip
    found = read_summary_statistics(rows)
    assert found.frame["SNP"].to_list() == ["rs3"]
    assert found.dropped["reason"].str.contains("a ratio of 0|'se' is empty").all()


def test_only_wanted_rows_of_a_file_in_blocks_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("invarmr.io.text_blocks.BLOCK", 1 << 10)
    rows = pl.DataFrame(
        {
            "#chrom": ["1"] * 3000, "pos": range(3000), "ref": ["G"] * 3000, "alt": ["A"] * 3000,
            "rsids": [f"rs{i}" if i % 2 else f"rs{i},x{i}" for i in range(3000)],
            "pval": np.linspace(1e-9, 1, 3000), "beta": 0.1, "sebeta": 0.02,
        }
    )  # fmt: skip
    path = tmp_path / "fg.gz"
    path.write_bytes(gzip.compress(rows.write_csv(separator="\t").encode()))
    assert read_summary_statistics(path).n_variants == 3000
    other = {"SNP": ["rs7", "x8", "other"], "chr": ["1", "1", "1"], "pos": [None, None, 2999],
             "EA": ["A"] * 3, "NEA": ["G"] * 3, "beta": [1.0] * 3, "se": [1.0] * 3}  # fmt: skip
    wanted = Wanted.like(read_summary_statistics(other))
    assert read_summary_statistics(path, wanted=wanted).frame["SNP"].to_list() == ["rs7", "x8", "rs2999"]
    strong = read_summary_statistics(path, wanted=Wanted.like(None, p_below=1e-3)).frame["SNP"].to_list()
    assert strong == ["rs0", "rs1", "rs2"]
    line = read_summary_statistics(path, wanted=wanted, columns={"se": "pos"}).frame
    assert line["se"].to_list() == [7.0, 8.0, 2999.0]


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
        read_summary_statistics(rows, strict=True)
    with pytest.raises(InputError, match="no rows"):
        read_summary_statistics(pl.DataFrame(rows).clear())


def test_a_zipped_file_lends_its_name(tmp_path: Path):
    path = tmp_path / "ldl.csv.gz"
    pl.DataFrame({"SNP": ["rs1"], "A1": ["A"], "b": [1.0], "se": [1.0]}).write_csv(path, compression="gzip")
    assert read_summary_statistics(path).ids == ("ldl",)


@pytest.mark.parametrize("layout", ["TwoSampleMR", "GWAS-SSF"])
def test_what_is_written_is_read_back(tmp_path: Path, layout: Layout):
    rows = {"SNP": ["rs1", "rs2"], "EA": ["A", "C"], "NEA": ["G", "T"], "beta": [1.0, None], "se": [0.25, None],
            "n": [100, 90], "chr": ["1", "X"], "pos": [5, 6]}  # fmt: skip
    table = read_summary_statistics(rows, name="ldl", strict=True)
    path = write_summary_statistics(table, tmp_path / "ldl.tsv", layout=layout)
    again = read_summary_statistics(path, name="ldl", strict=True)
    kept = table.frame if layout == "TwoSampleMR" else table.frame.head(1)
    assert again.frame.equals(kept)
    with pytest.raises(InputError, match="layout must be one of TwoSampleMR, GWAS-SSF"):
        write_summary_statistics(table, tmp_path / "ldl.tsv", layout="VCF")
