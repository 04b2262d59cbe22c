import pytest

from invarmr.errors import InputError
from invarmr.io.instrument_list import read_instrument_list


def read(tmp_path, text, name="instruments.tsv"):
    path = tmp_path / name
    path.write_text(text)
    return read_instrument_list(path)


def test_our_own_columns(tmp_path):
    frame = read(tmp_path, "variant\teffect_allele\tother_allele\nrs1\ta\tG\nrs1\tAC\tNA\n")
    assert frame.columns == ["variant", "effect_allele", "other_allele"]
    assert frame.rows() == [("rs1", "A", "G"), ("rs1", "AC", None)]


@pytest.mark.parametrize(
    "header",
    [
        "SNP\teffect_allele\tother_allele\tbeta\tse\tpval\teaf",
        "rsid\tEA\tNEA\tb\tSE\tP\tEAF",
        "variant_id\tA1\tA2\tBETA\tstandard_error\tp_value\teffect_allele_frequency",
        "ID\tALT\tREF\teffect_weight\tse\tp\tA1_freq",
        "id\tEa\toA\tBeta\tSe\tPval\tEaf",
    ],
)
def test_aliases_in_any_case(tmp_path, header):
    frame = read(tmp_path, f"{header}\textra\n7\tI\tD\t-0.1\t0.02\t1e-300\t0.25\tx\n8\tA\tC\tNA\tNA\tNA\tNA\tx\n")
    assert frame.to_dict(as_series=False) == {
        "variant": ["7", "8"],
        "effect_allele": ["I", "A"],
        "other_allele": ["D", "C"],
        "effect_allele_frequency": [0.25, None],
        "weight": [-0.1, None],
        "weight_std_error": [0.02, None],
        "weight_p_value": [1e-300, None],
    }


def test_other_allele_is_optional(tmp_path):
    assert read(tmp_path, "SNP,EA\nrs1,A\n", "i.csv")["other_allele"].to_list() == [None]


def test_plink2_a1_may_be_the_reference(tmp_path):
    frame = read(tmp_path, "#CHROM\tPOS\tID\tREF\tALT\tA1\n1\t1\trs1\tG\tA\tA\n1\t2\trs2\tG\tA\tG\n")
    assert frame.rows() == [("rs1", "A", "G"), ("rs2", "G", "A")]
    assert read(tmp_path, "ID\tA1\tREF\nrs1\tA\tG\n").rows() == [("rs1", "A", "G")]


def test_a_score_file_of_the_pgs_catalog(tmp_path):
    comments = "###PGS CATALOG\n#format_version=2.0\n##SOURCE\n"
    text = comments + "rsID\teffect_allele\tother_allele\teffect_weight\nrs1\tA\tG\t0.5\n"
    assert read(tmp_path, text).row(0) == ("rs1", "A", "G", 0.5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rs\tEA\nrs1\tA\n", r"must have a column 'variant' \(or SNP, rsid, variant_id, ID.*It has: rs, EA"),
        ("SNP\tallele\nrs1\tA\n", r"must have a column 'effect_allele' \(or EA, A1, ALT\)"),
        ("SNP\tEA\nrs1\tA\nNA\tA\n", r"every row must name a variant, but row 2 \(None\) has nothing"),
        (
            "SNP\tEA\nrs1\tA\nrs2\tB\nrs3\tNA\n",
            r"letters A, C, G, T .* row 2 \(rs2\) has 'B', row 3 \(rs3\) has nothing",
        ),
        ("SNP\tEA\tOA\nrs1\tA\t<DEL>\n", r"row 1 \(rs1\) has '<DEL>'"),
        ("SNP\tEA\tOA\nrs1\tA\ta\n", r"the two alleles must differ, but row 1"),
        (
            "SNP\tEA\tse\nrs1\tA\t0\nrs2\tA\t-1\n",
            r"must be positive, but row 1 \(rs1\) has '0', row 2 \(rs2\) has '-1'",
        ),
        ("SNP\tEA\tbeta\nrs1\tA\t1,5\n", r"'weight' must be a number, but row 1 \(rs1\) has '1,5'"),
        ("SNP\tEA\tbeta\nrs1\tA\tinf\n", r"'weight' must be a number"),
        ("SNP\tEA\tpval\nrs1\tA\t1.5\n", r"'weight_p_value' must lie between 0 and 1, but row 1"),
        ("SNP\tEA\teaf\nrs1\tA\t-0.5\n", r"'effect_allele_frequency' must lie between 0 and 1"),
        ("SNP\tEA\n" + "rs\tX\n" * 9, r"row 5 \(rs\) has 'X' and 4 more"),
    ],
)
def test_bad_lists(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        read(tmp_path, text)
