"""Pedigrees and relatives as files come: the same people from every format, and one clear message for what is wrong."""

import polars as pl
import pytest

from invarmr.errors import InputError
from invarmr.io.pedigree import read_kinship, read_pedigree

TRIO = [("kid", "dad", "mum", 1), ("dad", "0", "0", 1), ("mum", "0", "0", 2)]


def write(path, text):
    path.write_text(text)
    return path


def test_every_format_gives_the_same_people(tmp_path):
    fam = write(tmp_path / "a.fam", "".join(f"f {i} {p} {m} {s} -9\n" for i, p, m, s in TRIO))
    psam = write(
        tmp_path / "a.psam",
        "##note\n#FID\tIID\tPAT\tMAT\tSEX\n" + "".join(f"f\t{i}\t{p}\t{m}\t{s}\n" for i, p, m, s in TRIO),
    )
    table = write(
        tmp_path / "a.csv",
        "sample_id,father,mother,sex\n" + "".join(f"{i},{p},{m},{'MF'[s - 1]}\n" for i, p, m, s in TRIO),
    )
    first, *others = (read_pedigree(path) for path in (fam, psam, table))
    assert first["sample_id"].to_list() == ["kid", "dad", "mum"]
    assert first["sex"].to_list() == [1, 1, 2]
    for other in others:
        assert other.equals(first)


def test_ages_and_sibships_are_read_where_they_are(tmp_path):
    found = read_pedigree(write(tmp_path / "a.tsv", "IID\tage\tsibship\nx\t41.5\ts1\ny\tNA\ts1\n"))
    assert found["age"].to_list() == [41.5, None]
    assert found["sibship"].to_list() == ["s1", "s1"]
    assert found["father"].null_count() == 2


def test_kinship_tells_siblings_from_parents(tmp_path):
    lines = [
        "FID1 ID1 FID2 ID2 N_SNP HetHet IBS0 Kinship",
        "f a f b 9 .1 .01 .25",
        "f a f m 9 .1 .0001 .24",
        "f a f c 9 .1 .02 .12",
        "f a f z 9 .1 .05 .01",
        "f t f u 9 .3 .0 .49",
    ]
    found = read_kinship(write(tmp_path / "k.kin0", "\n".join(lines)))
    assert found.select("second", "siblings").rows() == [("b", True), ("m", False), ("c", False), ("u", False)]
    assert found["kinship"].dtype == pl.Float64


@pytest.mark.parametrize(
    ("name", "text", "read", "message"),
    [
        ("a.tsv", "who\tfather\nx\ty\n", read_pedigree, "needs a column with the person's id"),
        ("a.fam", "f x 0\n", read_pedigree, "at least five columns in every line, but lines 1"),
        ("a.psam", "x y z\n", read_pedigree, "needs a header line"),
        ("k.kin0", "a b\n1 2\n", read_kinship, "needs ID1 and ID2"),
        ("k.kin0", "", read_kinship, "is empty"),
        ("k.kin0", "ID1 ID2 KINSHIP\na b\n", read_kinship, "every line must have 3 columns, but lines 2"),
    ],
)
def test_bad_files_are_named(tmp_path, name, text, read, message):
    with pytest.raises(InputError, match=message):
        read(write(tmp_path / name, text))


def test_an_absent_file_is_named(tmp_path):
    with pytest.raises(InputError, match="pedigree"):
        read_pedigree(tmp_path / "none.fam")
