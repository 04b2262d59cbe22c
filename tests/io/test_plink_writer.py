import numpy as np
import polars as pl
import pytest

from invarmr.errors import InputError
from invarmr.io import plink_writer
from invarmr.io.plink import open_genotypes
from invarmr.io.plink_writer import write_plink


def variant_table(count):
    return pl.DataFrame(
        {
            "variant": [f"rs{k}" for k in range(count)],
            "chromosome": ["1"] * (count - 1) + ["X"],
            "position": np.arange(count) * 100 + 7,
            "counted_allele": ["A"] * count,
            "other_allele": ["GT"] * count,
        }
    )


def random_calls(variants, samples, seed=0):
    return np.random.default_rng(seed).choice(np.array([0, 1, 2, -9], dtype=np.int8), (variants, samples))


def decoded(path, samples):
    """One call at a time, by the format's own words."""
    content = path.read_bytes()
    assert content[:3] == bytes([0b01101100, 0b00011011, 1])
    width = (samples + 3) // 4
    copies = {0b00: 2, 0b01: -9, 0b10: 1, 0b11: 0}
    records = [content[start : start + width] for start in range(3, len(content), width)]
    for record in records:
        assert record[-1] >> 2 * ((samples - 1) % 4 + 1) == 0  # spare bits
    return np.array([[copies[record[s // 4] >> 2 * (s % 4) & 3] for s in range(samples)] for record in records])


@pytest.mark.parametrize("samples", [1, 2, 3, 4, 5, 17])
def test_calls_read_back_by_an_independent_decoder(tmp_path, samples):
    calls = random_calls(9, samples)
    bed = write_plink(tmp_path / "study", calls, variant_table(9), [f"id{k}" for k in range(samples)])
    np.testing.assert_array_equal(decoded(bed, samples), calls)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["study.bed", "study.bim", "study.fam"]


def test_calls_read_back_by_our_reader_whatever_the_block(tmp_path, monkeypatch):
    monkeypatch.setattr(plink_writer, "_BLOCK_BYTES", 100)
    calls, table = random_calls(23, 31), variant_table(23)
    ids = [f"id{k}" for k in range(31)]
    reader = open_genotypes(write_plink(tmp_path / "a.b.bed", calls, table, ids))
    np.testing.assert_array_equal(reader.read(np.arange(23), np.arange(31)), calls)
    assert reader.variants.select(table.columns).equals(table)
    assert list(reader.sample_ids) == ids
    assert (tmp_path / "a.b.bim").exists()


def test_columns_of_bim_and_fam(tmp_path):
    write_plink(tmp_path / "x", random_calls(2, 3), variant_table(2), ["a", "b", "c"], sex=[1, 2, 0])
    assert (tmp_path / "x.bim").read_text() == "1\trs0\t0\t7\tA\tGT\nX\trs1\t0\t107\tA\tGT\n"
    assert (tmp_path / "x.fam").read_text() == "a a 0 0 1 -9\nb b 0 0 2 -9\nc c 0 0 0 -9\n"


def test_memory_order_of_calls_does_not_matter(tmp_path):
    calls = random_calls(6, 10)
    ids = [f"id{k}" for k in range(10)]
    first = write_plink(tmp_path / "c", calls, variant_table(6), ids).read_bytes()
    assert write_plink(tmp_path / "f", np.asfortranarray(calls), variant_table(6), ids).read_bytes() == first


@pytest.mark.parametrize("bad", [3, -1, -128, 127])
def test_impossible_calls_are_named_and_nothing_is_left(tmp_path, bad):
    calls = random_calls(4, 5)
    calls[2, 3] = bad
    with pytest.raises(InputError, match=f"variant 2, sample 3 .* is {bad}"):
        write_plink(tmp_path / "x", calls, variant_table(4), list("abcde"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"calls": np.zeros((2, 4), np.int8)}, "shape"),
        ({"calls": np.zeros((2, 3))}, "int8"),
        ({"sample_ids": ["a", "a", "c"]}, "unique.*a"),
        ({"sample_ids": ["a", "b b", "c"]}, "white space"),
        ({"sample_ids": ["a", "", "c"]}, "white space"),
        ({"sex": [1, 2]}, "sex"),
        ({"sex": [1, 2, 3]}, "sex"),
        ({"variants": variant_table(2).drop("position")}, "lacking: position"),
        ({"variants": variant_table(2).with_columns(variant=pl.lit("rs1"))}, "variants must be unique"),
        ({"calls": np.zeros((0, 3), np.int8), "variants": variant_table(2).clear()}, "at least one"),
    ],
)
def test_bad_input_is_refused(tmp_path, changes, message):
    given = {"calls": np.zeros((2, 3), np.int8), "variants": variant_table(2), "sample_ids": list("abc")} | changes
    with pytest.raises(InputError, match=message):
        write_plink(tmp_path / "x", **given)
    assert list(tmp_path.iterdir()) == []


def test_the_folder_must_exist(tmp_path):
    with pytest.raises(InputError, match="must exist"):
        write_plink(tmp_path / "no" / "x", random_calls(2, 3), variant_table(2), list("abc"))
