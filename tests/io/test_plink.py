import gzip
import pickle
import re
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pgenlib
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from invarmr.data.genotypes import MISSING_CALL
from invarmr.errors import InputError
from invarmr.io.plink import open_genotypes
from invarmr.io.plink_writer import write_plink

CALLS = [[0, 1, 2, -9, 1], [2, 2, 1, 0, 0], [1, -9, -9, 0, 2]]


def everything(reader):
    return np.arange(reader.variants.height), np.arange(len(reader.sample_ids))


def write_pgen(prefix, rows, *, dosages=False, pvar=None, psam=None):
    m, n = len(rows), len(rows[0])
    with pgenlib.PgenWriter(
        str(prefix.with_suffix(".pgen")).encode(), n, variant_ct=m, nonref_flags=False, dosage_present=dosages
    ) as writer:
        for row in rows:
            if dosages:
                writer.append_dosages(np.array(row, dtype=np.float64))
            else:
                writer.append_biallelic(np.array(row, dtype=np.int8))
    lines = "".join(f"chr2\t{10 * j}\tv{j}\ta\tc\n" for j in range(m))
    prefix.with_suffix(".pvar").write_text(pvar or "##source=test\n#CHROM\tPOS\tID\tREF\tALT\n" + lines)
    prefix.with_suffix(".psam").write_text(psam or "#FID\tIID\tSEX\n" + "".join(f"f\tp{i}\t1\n" for i in range(n)))
    return prefix.with_suffix(".pgen")


def refused(path, *fragments):
    with pytest.raises(InputError) as caught:
        open_genotypes(path)
    message = str(caught.value)
    for fragment in fragments:
        assert re.search(fragment, message), (fragment, message)
    return message


def test_bed_counts_the_first_allele_of_the_bim(tmp_path, write_bed):
    bed = write_bed(
        tmp_path / "c", CALLS, alleles=[("a", "g"), ("T", "C"), ("AC", "A")], chromosomes=["chr1", "X", "CHR2"]
    )
    reader = open_genotypes(bed)
    calls = reader.read(*everything(reader))
    assert calls.dtype == np.int8
    assert calls.flags.c_contiguous
    assert calls.tolist() == CALLS
    assert reader.variants.columns == ["variant", "chromosome", "position", "counted_allele", "other_allele"]
    assert reader.variants["chromosome"].to_list() == ["1", "X", "2"]
    assert reader.variants["counted_allele"].to_list() == ["A", "T", "AC"]
    assert reader.variants["other_allele"].to_list() == ["G", "C", "A"]
    assert reader.variants["position"].to_list() == [100, 200, 300]
    assert reader.sample_ids.tolist() == ["s0", "s1", "s2", "s3", "s4"]


def test_hapmap_agrees_with_a_bed_decoded_by_hand(oracles):
    bed = oracles / "hapmap3_admixture" / "hapmap3.bed"
    reader = open_genotypes(bed)
    variants, samples = everything(reader)
    assert (variants.size, samples.size) == (13928, 324)
    bits = np.unpackbits(np.fromfile(bed, dtype=np.uint8)[3:].reshape(13928, 81), axis=1, bitorder="little")
    low, high = bits[:, 0::2], bits[:, 1::2]
    expected = np.where(low & high, 0, np.where(high, 1, np.where(low, MISSING_CALL, 2)))
    assert np.array_equal(reader.read(variants, samples), expected)
    first = (bed.with_suffix(".bim")).read_text().split("\n")[0].split()
    assert reader.variants.row(0) == (first[1], first[0], int(first[3]), first[4], first[5])
    assert reader.sample_ids[0] == "NA19916"
    counts = np.stack([(expected == copies).sum(axis=1) for copies in (0, 1, 2, MISSING_CALL)], axis=1)
    assert np.array_equal(reader.counts(variants, samples), counts)


def test_pgen_agrees_with_its_vcf(oracles):
    folder = oracles / "io_testfiles"
    reader = open_genotypes(folder / "simple.pgen")
    lines = [line.split("\t") for line in (folder / "simple.vcf").read_text().splitlines() if line[0] != "#"]
    expected = [[call.count("1") for call in line[9:]] for line in lines]
    calls = reader.read(*everything(reader))
    assert calls.dtype == np.int8
    assert calls.tolist() == expected
    assert reader.variants["counted_allele"].to_list() == [line[4] for line in lines]
    assert reader.sample_ids.tolist() == ["HG00096", "HG00097", "HG00099", "HG00100", "HG00101"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("calls")


@given(data=st.data())
def test_any_block_of_any_file_equals_the_matrix(data, folder, write_bed):
    shape = data.draw(st.tuples(st.integers(1, 6), st.integers(1, 13)))
    calls = data.draw(hnp.arrays(np.int8, shape, elements=st.sampled_from([0, 1, 2, MISSING_CALL])))
    variants = data.draw(st.lists(st.integers(0, shape[0] - 1), max_size=8))
    samples = sorted(data.draw(st.sets(st.integers(0, shape[1] - 1), max_size=13)))
    for path in (write_bed(folder / "h", calls), write_pgen(folder / "h", calls)):
        reader = open_genotypes(path)
        for chosen in (samples, np.arange(shape[1]), samples):
            block = calls[np.ix_(variants, chosen)]
            read = reader.read(np.array(variants, dtype=int), np.array(chosen, dtype=int))
            assert read.shape == block.shape
            assert np.array_equal(read, block)
            counts = reader.counts(np.array(variants, dtype=int), np.array(chosen, dtype=int))
            expected = [[int((row == copies).sum()) for copies in (0, 1, 2, MISSING_CALL)] for row in block]
            assert counts.tolist() == expected


def test_dosages_are_float32_and_uncertain_ones_count_as_missing_calls(tmp_path):
    reader = open_genotypes(write_pgen(tmp_path / "d", [[0, 0.5, 1.25, 2, -9], [0, 1, 1, 2, -9]], dosages=True))
    copies = reader.read(np.array([1, 0]), np.array([0, 1, 2, 4]))
    assert copies.dtype == np.float32
    assert copies.flags.c_contiguous
    assert np.allclose(copies, [[0, 1, 1, -9], [0, 0.5, 1.25, -9]], atol=1e-4)
    assert reader.counts(np.array([0, 1]), np.arange(5)).tolist() == [[1, 0, 1, 3], [1, 2, 1, 1]]


def test_dosages_are_found_beyond_the_first_block_of_variants(tmp_path):
    rows = [[0, 1]] * 65537 + [[0.5, 1.5]]
    reader = open_genotypes(write_pgen(tmp_path / "many", rows, dosages=True))
    assert np.allclose(reader.read(np.array([65537]), np.arange(2)), [[0.5, 1.5]], atol=1e-4)


def test_dosage_file_without_dosages_is_read_as_calls(tmp_path):
    reader = open_genotypes(write_pgen(tmp_path / "d", [[0, 1, 2, -9, 1]] * 3, dosages=False))
    assert reader.read(*everything(reader)).dtype == np.int8


def test_threads_share_a_reader_and_a_pickled_one_opens_again(tmp_path, write_bed):
    calls = np.random.default_rng(1).integers(0, 3, (40, 200))
    reader = pickle.loads(pickle.dumps(open_genotypes(write_bed(tmp_path / "c", calls))))
    blocks = [np.arange(start, 200, 7) for start in range(7)] * 20
    with ThreadPoolExecutor(4) as pool:
        read = pool.map(lambda block: reader.read(np.arange(40), block), blocks)
    assert all(np.array_equal(found, calls[:, block]) for found, block in zip(read, blocks, strict=True))


def test_sample_ids_are_read_only(tmp_path, write_bed):
    with pytest.raises(ValueError, match="read-only"):
        open_genotypes(write_bed(tmp_path / "c", CALLS)).sample_ids[0] = "x"


@pytest.mark.parametrize("separator", [" ", "   ", "\t", " \t "])
def test_tables_may_use_any_white_space(tmp_path, write_bed, separator):
    bed = write_bed(tmp_path / "c", CALLS, separator=separator)
    bim, fam = bed.with_suffix(".bim"), bed.with_suffix(".fam")
    bim.write_text("\n".join("  " + line + " " for line in bim.read_text().splitlines()) + "\n\n")
    fam.write_bytes(fam.read_bytes().replace(b"\n", b"\r\n"))
    reader = open_genotypes(str(bed))
    assert reader.variants["variant"].to_list() == ["rs0", "rs1", "rs2"]
    assert reader.sample_ids.tolist() == ["s0", "s1", "s2", "s3", "s4"]


def test_sample_ids_stay_text(tmp_path, write_bed):
    assert open_genotypes(write_bed(tmp_path / "c", [[0, 1]], sample_ids=["001", "NA"])).sample_ids.tolist() == [
        "001",
        "NA",
    ]


def test_repeated_variant_ids_are_allowed(tmp_path, write_bed):
    assert open_genotypes(write_bed(tmp_path / "c", [[0], [1]], variant_ids=["rs1", "rs1"])).variants.height == 2


def test_pgen_beside_plink1_tables_and_packed_pvar(tmp_path, write_bed):
    pgen = write_pgen(tmp_path / "c", CALLS, psam="#IID SEX\n" + "".join(f"p{i} 1\n" for i in range(5)))
    pvar = pgen.with_suffix(".pvar")
    (tmp_path / "c.pvar.gz").write_bytes(gzip.compress(pvar.read_bytes()))
    pvar.unlink()
    reader = open_genotypes(pgen)
    assert reader.variants.row(2) == ("v2", "2", 20, "C", "A")
    assert reader.sample_ids.tolist() == ["p0", "p1", "p2", "p3", "p4"]
    (tmp_path / "c.pvar.gz").unlink()
    (tmp_path / "c.psam").unlink()
    write_bed(tmp_path / "c", CALLS)
    assert open_genotypes(pgen).variants["counted_allele"].to_list() == ["A", "A", "A"]


def test_pvar_packed_with_zstandard(tmp_path):
    pgen = write_pgen(tmp_path / "c", CALLS)
    pvar = pgen.with_suffix(".pvar")
    ready = bytes.fromhex("28b52ffd")  # frame of one raw block: magic, descriptor, size, block header, content
    text = pvar.read_bytes()
    frame = ready + bytes([0x60]) + (len(text) - 256).to_bytes(2, "little") if len(text) >= 256 else None
    if frame is None:
        frame = ready + bytes([0x20, len(text)])
    frame += (1 | len(text) << 3).to_bytes(3, "little") + text
    (tmp_path / "c.pvar.zst").write_bytes(frame)
    pvar.unlink()
    assert open_genotypes(pgen).variants["variant"].to_list() == ["v0", "v1", "v2"]


def test_several_alternate_alleles_stay_together(tmp_path):
    pvar = "#CHROM\tPOS\tID\tREF\tALT\tINFO\n1\t1\tx\tA\tc,G\ta b\n"
    reader = open_genotypes(write_pgen(tmp_path / "c", [[0, 1]], pvar=pvar))
    assert reader.variants.row(0) == ("x", "1", 1, "C,G", "A")


def test_unknown_ending_names_the_genotype_file_beside(tmp_path, write_bed):
    bed = write_bed(tmp_path / "c", CALLS)
    refused(bed.with_suffix(".bim"), "'.bim'", "Did you mean .*c.bed")
    refused(tmp_path / "c", "Did you mean .*c.bed")
    refused(tmp_path / "c.vcf", "make-pgen")


def test_missing_files(tmp_path, write_bed):
    refused(tmp_path / "none.bed", "none.bed", "no such file")
    (tmp_path / "folder.bed").mkdir()
    refused(tmp_path / "folder.bed", "a folder")
    for suffix in (".bim", ".fam"):
        bed = write_bed(tmp_path / "c", CALLS)
        bed.with_suffix(suffix).unlink()
        refused(bed, f"a {suffix} file of the same name", rf"c\{suffix} does not exist")
    pgen = write_pgen(tmp_path / "p", CALLS)
    pgen.with_suffix(".psam").unlink()
    refused(pgen, ".psam or .fam")


@pytest.mark.parametrize("suffix", [".bed", ".bim", ".fam"])
def test_empty_files(tmp_path, write_bed, suffix):
    bed = write_bed(tmp_path / "c", CALLS)
    bed.with_suffix(suffix).write_bytes(b"")
    refused(bed, rf"c\{suffix}: the .* is empty \(0 bytes\)")


def test_blank_tables(tmp_path, write_bed):
    bed = write_bed(tmp_path / "c", CALLS)
    bed.with_suffix(".fam").write_text("\n \n")
    refused(bed, "holds no line")


def test_bed_of_another_kind(tmp_path, write_bed):
    bed = write_bed(tmp_path / "c", CALLS)
    calls = bed.read_bytes()
    bed.write_bytes(b"chr1" + calls[4:])
    refused(bed, "6c 1b", "63 68")
    bed.write_bytes(calls[:2] + b"\x00" + calls[3:])
    refused(bed, "sample-major", r"plink2 --bfile .*c --make-bed")
    bed.write_bytes(calls[:2] + b"\x10" + calls[3:])
    refused(bed, "third byte .* 01", "it is 10")


@pytest.mark.parametrize(("change", "word"), [(-1, "truncated"), (1, "too long"), (-6, "truncated")])
def test_bed_of_another_size(tmp_path, write_bed, change, word):
    bed = write_bed(tmp_path / "c", CALLS)
    calls = bed.read_bytes()
    bed.write_bytes(calls[:change] if change < 0 else calls + b"\x00" * change)
    refused(bed, word, "9 bytes expected", "3 .bim rows", "5 .fam rows", f"{9 + change} bytes found")


def test_malformed_lines_are_named(tmp_path, write_bed):
    bed = write_bed(tmp_path / "c", CALLS)
    bim, fam = bed.with_suffix(".bim"), bed.with_suffix(".fam")
    fam.write_text(fam.read_text().replace("F1\ts1\t0", "F1\ts1").replace("F3\ts3", "F3\ts3\ts3"))
    refused(bed, "6 columns", "line 2 has 5", "line 4 has 7")
    bim.write_text(bim.read_text().replace("200", "2e2"))
    refused(bed, "position", "line 2 has '2e2'")
    bim.write_text("only\n")
    refused(bed, "c.bim", "6 columns", "line 1 has 1")


def test_malformed_pvar_and_psam(tmp_path):
    pgen = write_pgen(tmp_path / "c", CALLS, pvar="##x\n#CHROM\tPOS\tID\tREF\tALT\n1\t1\tv\tA\n")
    refused(pgen, "5 columns", "line 3 has 4")
    pgen = write_pgen(tmp_path / "c", CALLS, pvar="#CHROM\tPOS\tID\tREF\n1\t1\tv\tA\n")
    refused(pgen, "must name CHROM, POS, ID, REF, ALT", "but ALT is not there")
    pgen = write_pgen(tmp_path / "c", CALLS, pvar="#CHROM\tPOS\tID\tREF\tALT\n")
    refused(pgen, "no line after it")
    pgen = write_pgen(tmp_path / "c", CALLS, psam="#FID\tSEX\n1\t1\n")
    refused(pgen, "must name IID")


def test_repeated_sample_ids_are_named(tmp_path, write_bed):
    bed = write_bed(tmp_path / "c", [[0] * 16], sample_ids=list("aabbccddeeffgghi"))
    refused(bed, "7 occur more than once", "a, b, c, d, e and 2 more")


def test_pgen_of_another_size_than_its_tables(tmp_path):
    pgen = write_pgen(tmp_path / "c", CALLS)
    pgen.with_suffix(".psam").write_text("#IID\na\nb\n")
    refused(pgen, "3 variants x 5 samples", "c.pvar has 3 rows", "c.psam has 2 rows")


def test_damaged_pgen(tmp_path):
    pgen = write_pgen(tmp_path / "c", [[0, 1, 2, -9, 1]] * 50)
    whole = pgen.read_bytes()
    pgen.write_bytes(b"PK" + whole[2:])
    refused(pgen, "6c 1b", "50 4b")
    pgen.write_bytes(whole[:10])
    refused(pgen, "not a complete", "10 bytes")
    pgen.write_bytes(whole[:2] + b"\x01" + whole[3:])
    refused(pgen, "Name it .bed")
    pgen.write_bytes(whole[:-3])
    refused(pgen, "truncated", f"{len(whole)} bytes expected", f"{len(whole) - 3} bytes found")
    pgen.write_bytes(whole[:2] + b"\x7f" + whole[3:])
    refused(pgen, "could not be opened", "plink2 --validate")


def test_fixed_width_pgen_is_calls(tmp_path):
    pgen = write_pgen(tmp_path / "c", [[0, 1, 2, -9, 1]])
    header = b"\x6c\x1b\x02" + (1).to_bytes(4, "little") + (5).to_bytes(4, "little") + b"\x40"
    pgen.write_bytes(header + bytes([0b11100100, 0b01]))
    reader = open_genotypes(pgen)
    assert reader.read(np.array([0]), np.arange(5)).tolist() == [[0, 1, 2, -9, 1]]


@pytest.mark.parametrize("kind", ["bed", "pgen"])
def test_file_damaged_while_open(tmp_path, write_bed, kind):
    calls = np.random.default_rng(1).integers(0, 3, (9, 100_000))
    path = write_pgen(tmp_path / "c", calls) if kind == "pgen" else write_bed(tmp_path / "c", calls)
    reader = open_genotypes(path)
    with path.open("r+b") as file:
        file.truncate(100)
    with pytest.raises(InputError, match="could not be read"):
        reader.read(np.arange(9), np.arange(100_000))


def test_a_bed_is_read_as_pgenlib_reads_it(tmp_path, write_bed):
    generator = np.random.default_rng(7)
    n = 1003
    bed = write_bed(tmp_path / "c", generator.choice([0, 1, 2, MISSING_CALL], size=(6, n)))
    reader, variants = open_genotypes(bed), np.array([5, 0, 2, 2])
    for samples in (np.arange(n), np.arange(n - 1, n), np.arange(7, 800), np.arange(3, n, 11), np.array([0, 1, 997])):
        expected = np.empty((4, len(samples)), dtype=np.int8)
        other = pgenlib.PgenReader(str(bed).encode(), raw_sample_ct=n, variant_ct=6)
        other.change_sample_subset(samples.astype(np.uint32))
        other.read_list(variants.astype(np.uint32), expected)
        other.close()
        found = reader.read(variants, samples)
        np.testing.assert_array_equal(found, expected)
        assert found.dtype == np.int8
        assert found.flags.c_contiguous


def test_many_variants_open_quickly(tmp_path, write_bed):
    bed = write_bed(tmp_path / "c", [[0]])
    m = 200_000
    bed.with_suffix(".bim").write_text("".join(f"1 rs{j} 0 {j} A G\n" for j in range(m)))
    bed.write_bytes(b"\x6c\x1b\x01" + b"\x00" * m)
    assert open_genotypes(bed).variants.tail(1)["position"].item() == m - 1


@pytest.mark.parametrize("change", [-1, 1])
def test_a_fam_of_another_length_with_as_many_bytes_is_refused(tmp_path, change):
    """Bytes per variant do not tell 6 samples from 7; the bits behind the last one do."""
    rng = np.random.default_rng(1)
    n = 6 if change == 1 else 7
    calls = rng.binomial(2, 0.5, (60, n)).astype(np.int8)
    variants = pl.DataFrame(
        {
            "chromosome": ["1"] * 60,
            "variant": [f"rs{k}" for k in range(60)],
            "position": range(1, 61),
            "counted_allele": ["A"] * 60,
            "other_allele": ["C"] * 60,
        }
    )
    write_plink(tmp_path / "x", calls, variants, [f"i{k}" for k in range(n)])
    open_genotypes(tmp_path / "x.bed")
    lines = (tmp_path / "x.fam").read_text().splitlines()
    lines = lines[:-1] if change == -1 else [*lines, lines[-1].replace("i5", "i6")]
    (tmp_path / "x.fam").write_text("\n".join(lines) + "\n")
    with pytest.raises(InputError, match="fewer rows" if change == -1 else "more rows"):
        open_genotypes(tmp_path / "x.bed")
