"""The tables beside PLINK genotypes: .bim and .pvar (variants), .fam and .psam (samples).

Foreign names end here: A1 of a .bim and ALT of a .pvar become `counted_allele`, A2 and REF `other_allele`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from invarmr.arrays import StrArray
from invarmr.errors import InputError, first_few
from invarmr.io.delimited import existing_file, one_tab_between, read_bytes, split_fields

__all__ = ["read_family_ids", "read_sample_ids", "read_variants"]

BIM_COLUMNS = ("CHROM", "ID", "CM", "POS", "A1", "A2")
FAM_COLUMNS = ("FID", "IID", "PAT", "MAT", "SEX", "PHENO1")


def read_variants(path: Path) -> pl.DataFrame:
    """Read a .bim or .pvar (also .pvar.zst, .pvar.gz) into one row per variant, in file order.

    Parameters
    ----------
    path
        A .bim has six columns and no header; a .pvar has a header line that begins with `#CHROM`, and is read
        like a .bim where it has none.

    Returns
    -------
    polars.DataFrame
        `variant`, `chromosome` (no leading "chr"), `position` (base pairs), `counted_allele` and
        `other_allele` (upper case; more than one ALT stays as "C,T").

    Raises
    ------
    InputError
        Missing or empty file, missing column, a line with another number of columns, a position that is no
        whole number.

    References
    ----------
    plink2 file formats, https://www.cog-genomics.org/plink/2.0/formats
    """
    text = read_bytes(existing_file(path, "table of variants"))
    header, first_line, text = _header_and_lines(path, text)
    if header is None:
        frame = split_fields(
            path,
            text,
            BIM_COLUMNS,
            keep=("CHROM", "ID", "POS", "A1", "A2"),
            first_line=first_line,
            what=".bim file",
        )
        frame = frame.rename({"A1": "ALT", "A2": "REF"})
    else:
        _require(path, header, ("CHROM", "POS", "ID", "REF", "ALT"))
        frame = split_fields(
            path,
            text,
            header,
            keep=("CHROM", "POS", "ID", "REF", "ALT"),
            first_line=first_line,
            what=".pvar file",
        )
    position = frame["POS"].cast(pl.Int64, strict=False)
    if position.null_count():
        wrong = np.flatnonzero(position.is_null().to_numpy())
        lines = [f"line {first_line + row} has '{frame['POS'][int(row)]}'" for row in wrong]
        raise InputError(f"{path}: a position must be a whole number of base pairs, but {first_few(lines)}.")
    return frame.select(
        pl.col("ID").alias("variant"),
        pl.col("CHROM").str.replace("(?i)^chr", "").alias("chromosome"),
        position.alias("position"),
        pl.col("ALT").str.to_uppercase().alias("counted_allele"),
        pl.col("REF").str.to_uppercase().alias("other_allele"),
    )


def read_sample_ids(path: Path) -> StrArray:
    """Read the sample ids (IID) of a .fam or .psam, (samples,), in file order.

    Parameters
    ----------
    path
        A .fam has six columns and no header; a .psam has a header line that begins with `#FID` or `#IID`, and
        is read like a .fam where it has none.

    Raises
    ------
    InputError
        Missing or empty file, no IID column, a line with another number of columns, or ids that occur twice.
    """
    text = read_bytes(existing_file(path, "table of samples"))
    header, first_line, text = _header_and_lines(path, text)
    what = ".fam file" if header is None else ".psam file"
    columns = FAM_COLUMNS if header is None else header
    _require(path, columns, ("IID",))
    ids = split_fields(path, text, columns, keep=("IID",), first_line=first_line, what=what)["IID"]
    if ids.n_unique() < len(ids):
        repeated = ids.filter(ids.is_duplicated()).unique(maintain_order=True)
        raise InputError(
            f"{path}: every sample id (IID) must be unique, but {repeated.len()} occur more than once: "
            f"{first_few(repeated)}. Make the ids unique, or remove the repeats with plink2."
        )
    return np.asarray(ids.to_list(), dtype=np.str_)


def read_family_ids(path: Path) -> StrArray | None:
    """Read the family ids (FID) of a .fam or .psam, (samples,), in file order; None for a .psam without them.

    Raises
    ------
    InputError
        As `read_sample_ids`.
    """
    text = read_bytes(existing_file(path, "table of samples"))
    header, first_line, text = _header_and_lines(path, text)
    columns = FAM_COLUMNS if header is None else header
    if "FID" not in columns:
        return None
    found = split_fields(path, text, columns, keep=("FID",), first_line=first_line, what="table of samples")["FID"]
    return np.asarray(found.to_list(), dtype=np.str_)


def _header_and_lines(path: Path, text: bytes) -> tuple[tuple[str, ...] | None, int, bytes]:
    """Split off the `##` lines and the header: column names or None, line number of the rest, the rest."""
    line = 1
    start = 0
    while text.startswith(b"##", start):
        start = text.index(b"\n", start) + 1
        line += 1
    if not text.startswith(b"#", start):
        return None, line, one_tab_between(text[start:])
    end = text.index(b"\n", start)
    raw = text[start + 1 : end].decode(errors="replace")
    rest = text[end + 1 :]
    if not rest:
        raise InputError(f"{path}: there is a header line, but no line after it.")
    if "\t" in raw:
        return tuple(raw.split("\t")), line + 1, rest
    return tuple(raw.split()), line + 1, one_tab_between(rest)


def _require(path: Path, header: tuple[str, ...], names: tuple[str, ...]) -> None:
    missing = [name for name in names if name not in header]
    if missing:
        raise InputError(
            f"{path}: the header line must name {', '.join(names)}, but {', '.join(missing)} is not there; "
            f"found {first_few(header, 12)}."
        )
