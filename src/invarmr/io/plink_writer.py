"""Write genotype calls as PLINK 1 binary files (.bed, .bim, .fam).

The .bed is variant-major: after three magic bytes, each variant takes ceil(n / 4) bytes, four samples a byte,
the first sample in the lowest bits; 00 is two copies of A1, 10 one, 11 none, 01 missing. A1 is the counted
allele.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
import polars as pl
from numpy.typing import NDArray

from invarmr.arrays import IntArray, StrArray
from invarmr.data.genotypes import MISSING_CALL
from invarmr.errors import InputError, first_few

__all__ = ["write_plink"]

_MAGIC = bytes([0x6C, 0x1B, 0x01])
_INVALID = 255
_BLOCK_BYTES = 1 << 25
_COLUMNS = ("variant", "chromosome", "position", "counted_allele", "other_allele")


def _call_codes() -> NDArray[np.uint8]:
    """Two-bit code of each int8 call, looked up by its unsigned byte; `_INVALID` for an impossible call."""
    codes = np.full(256, _INVALID, dtype=np.uint8)
    codes[[2, 1, 0, MISSING_CALL % 256]] = [0, 2, 3, 1]
    return codes


_CODES = _call_codes()


def write_plink(
    prefix: Path | str,
    calls: NDArray[np.int8],
    variants: pl.DataFrame,
    sample_ids: Sequence[str] | StrArray,
    *,
    sex: Sequence[int] | IntArray | None = None,
    family: pl.DataFrame | None = None,
) -> Path:
    """Write a genotype matrix as `prefix`.bed, `prefix`.bim and `prefix`.fam.

    Each file is written beside its place and renamed into it, so that none is ever half written, and calls
    that cannot be written leave nothing behind. Every sample is its own family, and parents are unknown, unless
    `family` says more; the phenotype is unknown.

    Parameters
    ----------
    prefix
        Path without suffix; a suffix .bed is taken off. The folder must exist.
    calls
        (variants, samples) int8 copies of the counted allele, 0, 1 or 2; missing is -9.
    variants
        One row per row of `calls`: `variant`, `chromosome`, `position` (base pairs), `counted_allele` (A1),
        `other_allele` (A2), as in `GenotypeReader.variants`.
    sample_ids
        One unique id per column of `calls`, without white space.
    sex
        1 male, 2 female, 0 unknown, one per sample; default unknown.
    family
        `FID`, `father`, `mother`, one row per sample; "0" for an unknown parent.

    Returns
    -------
    Path
        The .bed file.

    Raises
    ------
    InputError
        Shapes disagree, a call is not 0, 1, 2 or -9, a column is lacking, an id is repeated or has spaces.

    References
    ----------
    PLINK 1 binary file formats, https://www.cog-genomics.org/plink/1.9/formats.

    Examples
    --------
    >>> import tempfile
    >>> rows = {"variant": ["rs1"], "chromosome": ["1"], "position": [5]}
    >>> table = pl.DataFrame({**rows, "counted_allele": ["A"], "other_allele": ["G"]})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     calls = np.array([[0, 1, 2, -9]], dtype=np.int8)
    ...     bed = write_plink(f"{folder}/tiny", calls, table, ["a", "b", "c", "d"])
    ...     bed.read_bytes().hex()
    '6c1b014b'
    """
    base = Path(prefix)
    base = base.with_suffix("") if base.suffix == ".bed" else base
    ids = [str(name) for name in sample_ids]
    _check_shapes(calls, variants, ids)
    _check_ids(ids, "sample_ids")
    _check_ids(variants["variant"].cast(pl.String).to_list(), "variants")
    fam = _fam(ids, _sexes(sex, len(ids)), family)
    bed = _beside(base, ".bed")
    _replace(bed, lambda file: _pack_all(calls, file))
    _replace(_beside(base, ".bim"), lambda file: file.write(_bim(variants)))
    _replace(_beside(base, ".fam"), lambda file: file.write(fam))
    return bed


def _beside(base: Path, suffix: str) -> Path:
    return base.parent / (base.name + suffix)


def _check_shapes(calls: NDArray[np.int8], variants: pl.DataFrame, ids: list[str]) -> None:
    lacking = [name for name in _COLUMNS if name not in variants.columns]
    if lacking:
        wanted_columns = ", ".join(_COLUMNS)
        raise InputError(f"variants must have the columns {wanted_columns}; lacking: {', '.join(lacking)}.")
    if calls.dtype != np.int8:
        raise InputError(f"calls must be int8 copies of the counted allele, but are {calls.dtype}.")
    wanted = (variants.height, len(ids))
    if calls.shape != wanted:
        raise InputError(f"calls must have shape (variants, samples) = {wanted}, but have {calls.shape}.")
    if 0 in wanted:
        raise InputError("A .bed file needs at least one variant and one sample, but there is none.")


def _check_words(ids: list[str], name: str) -> None:
    odd = [text for text in ids if not text or any(letter.isspace() for letter in text)]
    if odd:
        shown = first_few([repr(text) for text in odd])
        raise InputError(f"{name} must be ids without white space, but {len(odd)} are not: {shown}.")


def _check_ids(ids: list[str], name: str) -> None:
    _check_words(ids, name)
    if len(set(ids)) != len(ids):
        seen: set[str] = set()
        repeated = [text for text in ids if text in seen or seen.add(text)]  # type: ignore[func-returns-value]
        raise InputError(f"{name} must be unique, but some come again: {first_few(repeated)}.")


def _sexes(sex: Sequence[int] | IntArray | None, samples: int) -> IntArray:
    codes = np.zeros(samples, dtype=np.int64) if sex is None else np.asarray(sex)
    if codes.shape != (samples,) or not np.isin(codes, (0, 1, 2)).all():
        raise InputError(f"sex must be {samples} codes, 1 male, 2 female or 0 unknown.")
    return codes.astype(np.int64)


def _fam(ids: list[str], sexes: IntArray, family: pl.DataFrame | None) -> bytes:
    if family is None:
        pairs = zip(ids, sexes.tolist(), strict=True)
        return "".join(f"{name} {name} 0 0 {code} -9\n" for name, code in pairs).encode()
    columns = [[str(name) for name in family[column].to_list()] for column in ("FID", "father", "mother")]
    for values in columns:
        _check_words(values, "family")
    rows = zip(columns[0], ids, *columns[1:], sexes.tolist(), strict=True)
    return "".join(f"{fid} {name} {father} {mother} {code} -9\n" for fid, name, father, mother, code in rows).encode()


def _bim(variants: pl.DataFrame) -> bytes:
    rows = variants.select(
        "chromosome", "variant", pl.lit(0).alias("centimorgan"), "position", "counted_allele", "other_allele"
    )
    return rows.write_csv(separator="\t", include_header=False, quote_style="never").encode()


def _replace(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a temporary file in the same folder, then rename it to `path`."""
    if not path.parent.is_dir():
        raise InputError(f"The folder {path.parent} must exist before {path.name} is written into it.")
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            write(file)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _pack_all(calls: NDArray[np.int8], file: BinaryIO) -> None:
    """Write the magic bytes and every variant, in blocks of variants of about 32 MB."""
    file.write(_MAGIC)
    step = max(1, _BLOCK_BYTES // calls.shape[1])
    for start in range(0, calls.shape[0], step):
        file.write(_pack(calls[start : start + step], start).tobytes())


def _pack(calls: NDArray[np.int8], start: int) -> NDArray[np.uint8]:
    """Pack (variants, samples) calls into (variants, ceil(samples / 4)) bytes; spare bits are zero."""
    rows, samples = calls.shape
    codes = np.zeros((rows, -(-samples // 4) * 4), dtype=np.uint8)
    np.take(_CODES, np.ascontiguousarray(calls).view(np.uint8), out=codes[:, :samples])
    if codes.max() == _INVALID:
        row, column = np.argwhere(codes == _INVALID)[0]
        raise InputError(
            f"calls must be 0, 1, 2 or {MISSING_CALL} (missing), but variant {start + row}, sample {column} "
            f"(counted from 0) is {calls[row, column]}."
        )
    # Four codes as one little-endian word: bits 0-1, 8-9, 16-17, 24-25 fold into the lowest byte.
    words = codes.view("<u4")
    words |= words >> np.uint32(6)
    words |= words >> np.uint32(12)
    return words.astype(np.uint8)
