"""PLINK 1 (.bed/.bim/.fam) and PLINK 2 (.pgen/.pvar/.psam) genotypes, read in blocks.

The calls of a .bed are read by `plink_bed`, everything else through pgenlib. The counted allele is A1 (column 5) of a
.bim and ALT of a .pvar.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import pgenlib
import polars as pl
from numpy.typing import NDArray

from invarmr.arrays import IntArray, StrArray, read_only
from invarmr.data.genotypes import GenotypeReader
from invarmr.errors import InputError
from invarmr.io.delimited import existing_file
from invarmr.io.plink_bed import BedCalls
from invarmr.io.plink_tables import read_family_ids, read_sample_ids, read_variants

__all__ = ["PlinkReader", "genotype_files", "open_genotypes"]

MAGIC = b"\x6c\x1b"
SAMPLE_MAJOR, VARIANT_MAJOR, FIXED_HARD_CALLS, STANDARD_PGEN = b"\x00", b"\x01", b"\x02", b"\x10"
VARIANTS_PER_BLOCK = 65536
DOSAGE_BITS = 0x60


class PlinkReader(GenotypeReader):
    """Calls of one .bed or .pgen file; made by `open_genotypes`.

    Any number of threads may share a reader: they take turns. A pickled reader opens its file again.

    Attributes
    ----------
    path
        The .bed or .pgen file.
    has_dosages
        Whether `read` returns float32 dosages; hard calls are int8.
    """

    def __init__(self, path: Path, variants: pl.DataFrame, sample_ids: StrArray, *, has_dosages: bool) -> None:
        self.path = path
        self.variants = variants
        self.sample_ids = read_only(sample_ids)
        self.has_dosages = has_dosages
        self._file = _opened(path, n_samples=len(sample_ids), n_variants=variants.height)
        self._bed = BedCalls(path, len(sample_ids)) if path.suffix == ".bed" else None
        self._subset: NDArray[np.uint32] | None = None
        self._lock = Lock()

    def read(self, variants: IntArray, samples: IntArray) -> NDArray[Any]:
        """Read copies of the counted allele, (len(variants), len(samples)), C order.

        Parameters
        ----------
        variants
            File indices, in any order.
        samples
            Strictly increasing file indices. In a .pgen, reading the same samples again is cheaper than changing them.

        Returns
        -------
        numpy.ndarray
            int8 in {0, 1, 2}, or float32 in [0, 2] where the file has dosages; -9 where missing.

        Raises
        ------
        InputError
            The file is damaged.
        """
        if self._bed is not None:
            try:
                return self._bed.read(variants, samples)
            except OSError as error:
                raise _damaged(self.path, error) from error
        rows = np.ascontiguousarray(variants, dtype=np.uint32)
        copies = np.empty((len(rows), len(samples)), dtype=np.float32 if self.has_dosages else np.int8)
        if copies.size == 0:
            return copies
        with self._reading(samples) as file:
            load: Callable[..., None] = file.read_dosages_list if self.has_dosages else file.read_list
            load(rows, copies)
        return copies

    def counts(self, variants: IntArray, samples: IntArray) -> IntArray:
        """Count hard calls, (len(variants), 4): 0, 1, 2 copies of the counted allele, missing.

        A .pgen with dosages also stores hard calls: a dosage further than 0.1 (plink2's default) from a whole
        number has none and counts as missing.

        Raises
        ------
        InputError
            The file is damaged.
        """
        table = np.zeros((len(variants), 4), dtype=np.uint32)
        if len(samples) == 0:
            return table.astype(np.int64)
        with self._reading(samples) as file:
            for variant, row in zip(np.asarray(variants).tolist(), table, strict=True):
                file.count(variant, row)
        return table.astype(np.int64)

    @contextmanager
    def _reading(self, samples: IntArray) -> Iterator[Any]:
        wanted = np.ascontiguousarray(samples, dtype=np.uint32)
        with self._lock:
            try:
                if self._subset is None or not np.array_equal(wanted, self._subset):
                    self._subset = None
                    everyone = len(wanted) == len(self.sample_ids)
                    self._file.change_sample_subset(None if everyone else wanted)
                    self._subset = wanted.copy()
                yield self._file
            except RuntimeError as error:
                raise _damaged(self.path, error) from error

    def __reduce__(self) -> tuple[Callable[[Path], GenotypeReader], tuple[Path]]:
        return open_genotypes, (self.path,)


def open_genotypes(path: str | Path) -> GenotypeReader:
    """Open PLINK 1 (.bed) or PLINK 2 (.pgen) genotypes after checking them against their tables.

    Parameters
    ----------
    path
        The .bed file, with .bim and .fam beside it; or the .pgen file, with .pvar (or .pvar.zst, .pvar.gz, .bim)
        and .psam (or .fam) beside it.

    Returns
    -------
    GenotypeReader
        Counts copies of A1 (column 5 of the .bim) or of ALT (.pvar); dosages 0 to 2, missing calls -9.

    Raises
    ------
    InputError
        Unknown ending; a file that is missing, empty, malformed, sample-major, or of another size than its
        tables require; repeated sample ids. Repeated variant ids are not an error here.

    References
    ----------
    plink2 file formats, https://www.cog-genomics.org/plink/2.0/formats
    """
    path = Path(path)
    if path.suffix not in (".bed", ".pgen"):
        raise InputError(
            f"{path}: genotypes are read from a .bed or .pgen file, but this ends in '{path.suffix}'. "
            + _suggestion(path)
        )
    existing_file(path, "genotype file")
    plink1 = path.suffix == ".bed"
    _, variant_table, sample_table = genotype_files(path)
    variants, sample_ids = read_variants(variant_table), read_sample_ids(sample_table)
    if plink1:
        _check_bed(path, n_variants=variants.height, n_samples=len(sample_ids))
        reader = PlinkReader(path, variants, sample_ids, has_dosages=False)
    else:
        has_dosages = _check_pgen(path, variant_table, sample_table, variants.height, len(sample_ids))
        reader = PlinkReader(path, variants, sample_ids, has_dosages=has_dosages)
    reader.family_ids = read_family_ids(sample_table)
    return reader


def genotype_files(path: Path) -> tuple[Path, Path, Path]:
    """The three files that `open_genotypes` reads: calls, table of variants, table of samples.

    Raises
    ------
    InputError
        A table is not beside the calls.
    """
    plink1 = path.suffix == ".bed"
    variant_table = _beside(path, (".bim",) if plink1 else (".pvar", ".pvar.zst", ".pvar.gz", ".bim"))
    return path, variant_table, _beside(path, (".fam",) if plink1 else (".psam", ".fam"))


def _suggestion(path: Path) -> str:
    stem = path.with_suffix("") if path.suffix in (".bim", ".fam", ".pvar", ".psam") else path
    for suffix in (".bed", ".pgen"):
        candidate = stem.with_name(stem.name + suffix)
        if candidate.exists():
            return f"Did you mean {candidate}?"
    return "Convert other formats with plink2 --make-pgen."


def _beside(path: Path, suffixes: tuple[str, ...]) -> Path:
    for suffix in suffixes:
        sibling = path.with_suffix(suffix)
        if sibling.exists():
            return sibling
    raise InputError(
        f"{path}: a {' or '.join(suffixes)} file of the same name must lie beside it, but "
        f"{path.with_suffix(suffixes[0])} does not exist. Copy it there."
    )


def _check_bed(path: Path, *, n_variants: int, n_samples: int) -> None:
    with path.open("rb") as file:
        start = file.read(3)
    _check_magic(path, start, "PLINK 1 .bed")
    kind = start[2:3]
    if kind == SAMPLE_MAJOR:
        raise InputError(
            f"{path}: a variant-major .bed (third byte 01) is required, but this one is sample-major (third byte "
            f"00). Convert it: plink2 --bfile {path.with_suffix('')} --make-bed --out NEW"
        )
    if kind not in (VARIANT_MAJOR, b""):
        raise InputError(
            f"{path}: the third byte of a .bed must be 01 (variant-major), but it is {kind.hex()}. Name the file "
            ".pgen if it is PLINK 2, or write it again with plink2 --make-bed."
        )
    expected, found = 3 + n_variants * ((n_samples + 3) // 4), path.stat().st_size
    if found != expected:
        raise InputError(
            f"{path}: {'truncated' if found < expected else 'too long'}: {expected} bytes expected for "
            f"{n_variants} .bim rows x {n_samples} .fam rows, but {found} bytes found. Use the .bim and .fam "
            "written with this .bed, or copy the .bed again."
        )
    _check_padding(path, n_samples, n_variants)


def _check_padding(path: Path, n_samples: int, n_variants: int) -> None:
    """The bits behind the last sample of a variant are zero; a .fam that is a row short or long shows there.

    Looked at in at most 2,000 variants, evenly spaced. A last sample with two copies of the first allele everywhere,
    which is what these bits read as, is taken for one where so many in a row are unlikely by the file's other calls.
    """
    width, used = -(-n_samples // 4), n_samples % 4 or 4
    rows = np.unique(np.linspace(0, n_variants - 1, min(n_variants, _PADDING_LOOKS)).astype(np.int64))
    content = np.memmap(path, dtype=np.uint8, mode="r")
    last = content[2 + (rows + 1) * width]
    filled = int(np.count_nonzero(last >> np.uint8(2 * used))) if used < 4 else 0
    if filled:
        raise InputError(
            f"{path}: the bits behind sample {n_samples}, the last of the .fam, must be zero, but in {filled} of the "
            f"{len(rows)} variants looked at they hold calls: the .fam has fewer rows than the .bed has samples. Use "
            "the .fam written with this .bed."
        )
    if width == 1 or np.any(last >> np.uint8(2 * used - 2)):
        return
    codes = content[3 + rows * width, None] >> (2 * np.arange(4, dtype=np.uint8)) & 3
    if len(rows) * np.log(max(float(np.mean(codes == 0)), 1e-9)) < np.log(_UNLIKELY):
        raise InputError(
            f"{path}: sample {n_samples}, the last of the .fam, has two copies of the first allele in all {len(rows)} "
            "variants looked at, as the bits behind the last sample have: the .fam has more rows than the .bed has "
            "samples. Use the .fam written with this .bed."
        )


_PADDING_LOOKS, _UNLIKELY = 2_000, 1e-9


def _check_magic(path: Path, start: bytes, what: str) -> None:
    if start[:2] != MAGIC:
        raise InputError(
            f"{path}: a {what} file must begin with the bytes {MAGIC.hex(' ')}, but this begins with "
            f"{start[:2].hex(' ')}: it is no {what} file. Name another file, or write it again with plink2."
        )


def _check_pgen(path: Path, variant_table: Path, sample_table: Path, n_variants: int, n_samples: int) -> bool:
    """Check the header of a .pgen against its tables and its size; return whether it has dosages."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(12)
        _check_magic(path, start, "PLINK 2 .pgen")
        kind = start[2:3]
        if len(start) < 12 or kind in (SAMPLE_MAJOR, VARIANT_MAJOR):
            raise InputError(
                f"{path}: this is not a complete PLINK 2 .pgen file ({size} bytes, third byte {kind.hex()}). "
                "Name it .bed if it is PLINK 1; otherwise write it again with plink2 --make-pgen."
            )
        found_variants, found_samples = struct.unpack("<II", start[3:11])
        if (found_variants, found_samples) != (n_variants, n_samples):
            raise InputError(
                f"{path}: holds {found_variants} variants x {found_samples} samples, but {variant_table.name} "
                f"has {n_variants} rows and {sample_table.name} has {n_samples} rows. Use the tables written with "
                "this .pgen."
            )
        if kind != STANDARD_PGEN:
            return kind != FIXED_HARD_CALLS
        has_dosages, expected = _scan_index(file.read, start[11], n_variants)
    if expected > size:
        raise InputError(
            f"{path}: truncated: {expected} bytes expected for {n_variants} variants x {n_samples} samples, but "
            f"{size} bytes found. Copy or write the file again."
        )
    return has_dosages


def _scan_index(read: Callable[[int], bytes], control: int, n_variants: int) -> tuple[bool, int]:
    """Walk the index of a standard .pgen: whether any record has dosages, and the bytes the file must have.

    The index is a file offset for every block of 65,536 variants, then for each block the record types (4 or
    8 bits each), record lengths (1 to 4 bytes each), allele counts (0 to 3 bytes each) and a bit for each
    provisional reference allele.
    """
    layout = control & 15
    if layout >= 8:  # lengths implied by the types (one sample): read as dosages, which is right for either
        return True, 0
    length_bytes, allele_bytes, reference_bits = layout % 4 + 1, control >> 4 & 3, control >> 6 == 3
    n_blocks = -(-n_variants // VARIANTS_PER_BLOCK)
    offsets = read(8 * n_blocks)
    has_dosages, lengths = False, b""
    for block in range(n_blocks):
        size = min(VARIANTS_PER_BLOCK, n_variants - block * VARIANTS_PER_BLOCK)
        types = read(size if layout >= 4 else (size + 1) // 2)
        has_dosages |= layout >= 4 and bool((np.frombuffer(types, dtype=np.uint8) & DOSAGE_BITS).any())
        lengths = read(size * length_bytes)
        read(size * allele_bytes + (reference_bits * (size + 7)) // 8)
    digits = np.frombuffer(lengths[: len(lengths) // length_bytes * length_bytes], dtype=np.uint8)
    total = int((digits.reshape(-1, length_bytes).astype(np.int64) @ (256 ** np.arange(length_bytes))).sum())
    return has_dosages, int.from_bytes(offsets[-8:], "little") + total


def _damaged(path: Path, error: Exception) -> InputError:
    return InputError(
        f"{path}: the genotypes could not be read ({error}); the file may be damaged. Check it with plink2 --validate."
    )


def _opened(path: Path, *, n_samples: int, n_variants: int) -> Any:  # noqa: ANN401 - pgenlib has no types
    try:
        return pgenlib.PgenReader(str(path).encode(), raw_sample_ct=n_samples, variant_ct=n_variants)
    except RuntimeError as error:
        raise InputError(
            f"{path}: the genotypes could not be opened ({error}). Check the file with plink2 --validate."
        ) from error
