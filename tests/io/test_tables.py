import gzip

import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from invarmr.errors import InputError
from invarmr.io.table_format import column_names
from invarmr.io.tables import as_polars, read_table, require_columns

EXPECTED = pl.DataFrame({"IID": ["001", "002", None], "age": [50, None, 7], "ldl": [1.5, None, -9.0]})


def written(path, text):
    raw = text.encode()
    path.write_bytes(gzip.compress(raw) if path.suffix == ".gz" else raw)
    return path


@pytest.mark.parametrize("packed", ["", ".gz"])
@pytest.mark.parametrize(
    ("ending", "text"),
    [
        (".tsv", "IID\tage\tldl\n001\t50\t1.5\n002\tNA\t.\n\t7\t-9\n"),
        (".csv", 'IID,age,ldl\r\n"001",50,1.5\r\n002,NaN,nan\r\nNA,7,-9\r\n'),
        (".csv", "\ufeffIID, age,ldl \n 001 ,50,1.5\n002,,NA\n.,7,-9"),
        (".txt", "IID  age\tldl\n  001 50 1.5  \n002 NA .\nNA 7 -9\n\n"),
        (".txt", "###SCORES\n#genome=37\n#IID age ldl\n001 50 1.5\n002 NA .\nNA 7 -9\n"),
    ],
)
def test_text_tables(tmp_path, ending, text, packed):
    table = read_table(written(tmp_path / f"t{ending}{packed}", text), string_columns=("IID", "absent"))
    assert table.equals(EXPECTED)


def test_parquet(tmp_path):
    frame = EXPECTED.with_columns(number=pl.Series([1.0, 2.0, float("nan")]), text=pl.Series(["-9", "x", "NA"]))
    frame.write_parquet(tmp_path / "t.parquet")
    table = read_table(tmp_path / "t.parquet", string_columns=("IID", "number", "age"))
    assert table["number"].to_list() == ["1", "2", None]
    assert table["age"].to_list() == ["50", None, "7"]
    assert table["text"].to_list() == ["-9", "x", "NA"]
    coded = read_table(tmp_path / "t.parquet", missing_codes=("-9", "NA"))
    assert coded["ldl"].to_list() == [1.5, None, None]
    assert coded["text"].to_list() == [None, "x", None]
    assert set(read_table(tmp_path / "t.parquet", string_columns="all").dtypes) == {pl.String}


def test_minus_nine_is_a_number_unless_told_otherwise(tmp_path):
    path = written(tmp_path / "t.csv", "a,b\n-9,x\n1,-9\n")
    assert read_table(path)["a"].to_list() == [-9, 1]
    coded = read_table(path, missing_codes=("-9",))
    assert coded["a"].to_list() == [None, 1]
    assert coded["b"].to_list() == ["x", None]


def test_all_columns_as_text(tmp_path):
    table = read_table(written(tmp_path / "t.csv", "a,b\n01,1e3\n"), string_columns="all")
    assert table.row(0) == ("01", "1e3")


def test_a_late_text_keeps_the_whole_column_text(tmp_path):
    rows = "\n".join(str(i) for i in range(5000))
    assert read_table(written(tmp_path / "t.csv", f"a\n{rows}\nx\n"))["a"].dtype == pl.String


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("t.csv", "a,b\n1,2\n3\n4,5,6\n", "2 columns as the header has, but line 3 has 1, line 4 has 3"),
        ("t.csv", "##note\na,b\n1,2\n3\n", "line 4 has 1"),
        ("t.csv", '"a",b\n1,2\n4,5,6\n', "could not be read"),
        ("t.csv", 'a,b\n1,"2\n', "quotation"),
        ("t.csv", "a,b,a\n1,2,3\n", "header repeats a"),
        ("t.csv", "a,b\n", r"has a header \(a, b\) but no rows"),
        ("t.csv", "\n\n", "holds no line"),
        ("t.csv", "", "is empty"),
        ("t.xlsx", "PK\x03\x04", "zip or Excel file"),
        ("t.anything", "a", "no rows"),
        ("t.parquet", "a", "could not be read as parquet"),
        ("t.parquet.gz", "a", "could not be read"),
        ("t.csv", "a;b\n1;2\n3\n", "line 3 has 1 .columns separated by semicolons."),
    ],
)
def test_bad_tables(tmp_path, name, text, message):
    (tmp_path / name).write_bytes(text.encode())
    with pytest.raises(InputError, match=message):
        read_table(tmp_path / name)


def test_absent_and_damaged_files(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_table(tmp_path / "none.tsv")
    (tmp_path / "t.csv.gz").write_bytes(b"not packed")
    with pytest.raises(InputError, match="could not be read"):
        read_table(tmp_path / "t.csv.gz")


@given(st.lists(st.text("0123456789-abe.", min_size=1).filter(lambda text: text != "."), min_size=1, max_size=20))
def test_ids_survive(tmp_path_factory, ids):
    path = tmp_path_factory.mktemp("ids") / "t.tsv"
    path.write_text("IID\tx\n" + "".join(f"{name}\t1\n" for name in ids))
    assert read_table(path, string_columns=("IID",))["IID"].to_list() == ids


def test_as_polars_takes_pandas_polars_and_mappings():
    frame = pd.DataFrame(
        {
            "IID": ["001", None],
            "x": [1.5, float("nan")],
            "n": pd.array([1, None], dtype="Int64"),
            "k": pd.Categorical(["a", "b"]),
            3: [True, False],
        }
    )
    table = as_polars(frame)
    assert table.to_dict(as_series=False) == {
        "IID": ["001", None],
        "x": [1.5, None],
        "n": [1, None],
        "k": ["a", "b"],
        "3": [True, False],
    }
    assert as_polars(table.lazy()).equals(table)
    assert as_polars({"x": [1.0, float("nan")]})["x"].to_list() == [1.0, None]


@pytest.mark.parametrize("frame", [[1, 2], "text", {"a": [1, 2], "b": [1, 2, 3]}])
def test_as_polars_refuses_the_rest(frame):
    with pytest.raises(InputError, match="table"):
        as_polars(frame)


def test_missing_columns_name_the_nearest():
    frame = pl.DataFrame({"LDL_chol": [1], "age": [2], "IID": [3]})
    require_columns(frame, ["age", "IID"], "p.tsv")
    with pytest.raises(InputError) as caught:
        require_columns(frame, ["ldl_chol", "Age ", "zzz"], "p.tsv")
    assert str(caught.value) == (
        "p.tsv: the table must have the columns 'ldl_chol' (did you mean 'LDL_chol'?), 'Age ' (did you mean 'age'?), "
        "'zzz'. It has: LDL_chol, age, IID."
    )


LINES = (("IID", "age", "ldl"), ("001", "50", "1.5"), ("002", "NA", "."), ("NA", "7", "-9"))


@pytest.mark.parametrize(
    "name", ["t.phe", "t.cov", "t.txt", "t.csv", "t.tsv", "t.sscore", "t", "t.gz", "t.bgz", "t.zst"]
)
@pytest.mark.parametrize("mark", ["\t", ",", ";", "  "])
def test_the_separator_is_told_by_content(tmp_path, name, mark):
    text = "".join(mark.join(line) + "\n" for line in LINES).encode()
    packed = {".gz": gzip.compress, ".bgz": lambda raw: gzip.compress(raw[:20]) + gzip.compress(raw[20:])}
    path = tmp_path / name
    if path.suffix == ".zst":
        pl.Series(text.decode().splitlines()).to_frame("").write_csv(
            path, include_header=False, quote_style="never", compression="zstd", check_extension=False
        )
        assert path.read_bytes().startswith(b"\x28\xb5")
    else:
        path.write_bytes(packed.get(path.suffix, bytes)(text))
    assert read_table(path, string_columns=("IID",)).equals(EXPECTED)
    assert column_names(path) == LINES[0]


def test_packed_files_are_known_by_their_first_bytes(tmp_path):
    (tmp_path / "t.csv").write_bytes(gzip.compress(b"IID,age\n1,2\n"))
    assert read_table(tmp_path / "t.csv")["age"].to_list() == [2]
    EXPECTED.write_parquet(tmp_path / "t.dat")
    EXPECTED.write_ipc(tmp_path / "t.feather")
    for name in ("t.dat", "t.feather"):
        assert read_table(tmp_path / name).equals(EXPECTED)
        assert column_names(tmp_path / name) == LINES[0]


def test_decimal_commas_only_where_asked(tmp_path):
    path = written(tmp_path / "t.phe", "IID;bmi\n1;22,5\n2;30\n")
    assert read_table(path)["bmi"].to_list() == ["22,5", "30"]
    assert read_table(path, decimal_comma=True)["bmi"].to_list() == [22.5, 30.0]
    path = written(tmp_path / "t.csv", "IID,bmi\n1,22.5\n")
    with pytest.raises(InputError, match="separated by commas"):
        read_table(path, decimal_comma=True)


def test_a_separator_inside_names_and_texts_does_not_mislead(tmp_path):
    path = written(tmp_path / "t.tsv", "IID\tage, years\tplace\n1\t50\tYork, UK\n2\t60\tBath\n")
    assert read_table(path)["place"].to_list() == ["York, UK", "Bath"]
    path = written(tmp_path / "t.csv", 'IID,place\n1,"a;b;c"\n2,"a b"\n')
    assert read_table(path)["place"].to_list() == ["a;b;c", "a b"]
    path = written(tmp_path / "one.csv", "name\nJohn Smith\nAnn\n")
    assert read_table(path)["name"].to_list() == ["John Smith", "Ann"]
    path = written(tmp_path / "t.raw", "FID IID PAT MAT SEX PHENOTYPE rs1_A\n1 1 0 0 1 -9 2\n2 2 0 0 2 -9 NA\n")
    assert read_table(path)["rs1_A"].to_list() == [2, None]


@pytest.mark.parametrize("packed", ["", ".gz"])
def test_a_header_longer_than_what_is_looked_at(tmp_path, packed):
    names = ["IID", *(f"rs{j:08d}_A" for j in range(30_000))]
    path = written(tmp_path / f"t.raw{packed}", " ".join(names) + "\n" + " ".join(["1"] * len(names)) + "\n")
    assert column_names(path) == tuple(names)
    assert read_table(path).columns == names
