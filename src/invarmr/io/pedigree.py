"""Pedigrees as they come: .fam, .psam, a table with a row per person, and relatives found from genotypes (.kin0).

Foreign names end here: PAT and MAT, SID, KINSHIP and ID1/ID2 become columns of `Pedigree.from_columns`.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from invarmr.errors import InputError, first_few
from invarmr.io.delimited import existing_file
from invarmr.io.tables import read_table

__all__ = ["read_kinship", "read_pedigree"]

_FAM = ("FID", "IID", "PAT", "MAT", "SEX", "PHENO1")
_NAMES = {
    "sample_id": ("IID", "ID", "sample_id", "sample", "child"),
    "father": ("PAT", "father", "father_id", "dad"),
    "mother": ("MAT", "mother", "mother_id", "mum", "mom"),
    "sex": ("SEX", "sex", "gender"),
    "age": ("AGE", "age", "age_years"),
    "sibship": ("SIBSHIP", "sibship", "sibship_id"),
}
_SEXES = {"1": 1, "M": 1, "MALE": 1, "2": 2, "F": 2, "FEMALE": 2}
_PAIRS = (("ID1", "ID2"), ("IID1", "IID2"), ("#IID1", "IID2"))
FULL_SIBLINGS = (0.177, 0.354)
"""Kinship of first-degree relatives (KING); above it twins or the same person twice."""
PARENT_IBS0 = 0.0012
"""Share of opposite homozygotes below which a pair of first degree is parent and child, not siblings."""
LEAST_RELATED = 0.0442
"""Kinship from which a pair is one family for errors: third degree or closer."""


def read_pedigree(path: Path) -> pl.DataFrame:
    """Read `sample_id, father, mother, sex, age, sibship` from a .fam, a .psam or a table; what is absent is null.

    Parameters
    ----------
    path
        A .fam (six columns, no header), a .psam, or a table (.tsv, .csv, .txt, .parquet) with an id column (IID, ID,
        sample_id) and any of PAT or father, MAT or mother, SEX (1, 2, M, F), age, sibship.

    Raises
    ------
    InputError
        No such file, or no id column.
    """
    existing_file(path, "pedigree")
    frame = _fam(path) if path.suffix == ".fam" else _table(path)
    lower = {name.lower(): name for name in frame.columns}
    columns = {}
    for role, names in _NAMES.items():
        found = next((lower[name.lower()] for name in names if name.lower() in lower), None)
        if found is None and role == "sample_id":
            raise InputError(
                f"{path}: a pedigree needs a column with the person's id (IID, ID or sample_id), but has "
                f"{first_few(frame.columns, 12)}."
            )
        columns[role] = pl.lit(None, pl.String).alias(role) if found is None else pl.col(found).alias(role)
    out = frame.select(**columns)
    sex = pl.col("sex").str.to_uppercase().replace_strict(_SEXES, default=0, return_dtype=pl.Int64)
    return out.with_columns(sex, pl.col("age").cast(pl.Float64, strict=False))


def _fam(path: Path) -> pl.DataFrame:
    rows = [line.split() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    short = [number for number, row in enumerate(rows, start=1) if len(row) < 5]
    if short or not rows:
        raise InputError(
            f"{path}: a .fam needs at least five columns in every line, but lines {first_few(short)} do not."
        )
    return pl.DataFrame({name: [row[k] for row in rows] for k, name in enumerate(_FAM[:5])})


def _table(path: Path) -> pl.DataFrame:
    if path.suffix == ".psam":
        lines = path.read_text(encoding="utf-8").splitlines()
        lines = [line for line in lines if line.strip() and not line.startswith("##")]
        if not lines or not lines[0].startswith("#"):
            raise InputError(f"{path}: a .psam needs a header line that begins with #IID or #FID.")
        header = lines[0].lstrip("#").split()
        rows = [line.split("\t") if "\t" in line else line.split() for line in lines[1:]]
        return pl.DataFrame({name: [row[k] if k < len(row) else None for row in rows] for k, name in enumerate(header)})
    return read_table(path, string_columns="all")


def read_kinship(path: Path) -> pl.DataFrame:
    """Read a .kin0 of KING or plink2 `--make-king-table`: `first, second, kinship, siblings`.

    `siblings` is true for first-degree pairs that are not parent and child (IBS0 at least 0.0012; null without IBS0,
    which cannot tell the two apart). Pairs below the third degree are left out.

    Raises
    ------
    InputError
        No such file, no ids of the pairs, or no kinship.
    """
    existing_file(path, "table of relatives")
    frame = _whitespace(path)
    ids = next((pair for pair in _PAIRS if set(pair) <= set(frame.columns)), None)
    kinship = next((name for name in ("KINSHIP", "Kinship") if name in frame.columns), None)
    if ids is None or kinship is None:
        raise InputError(
            f"{path}: a table of relatives needs ID1 and ID2 (or IID1, IID2) and KINSHIP, but has "
            f"{first_few(frame.columns, 12)}."
        )
    value = pl.col(kinship).cast(pl.Float64, strict=False)
    unlike = pl.col("IBS0").cast(pl.Float64, strict=False) if "IBS0" in frame.columns else pl.lit(None, pl.Float64)
    first_degree = value.is_between(*FULL_SIBLINGS)
    return frame.select(
        first=pl.col(ids[0]).cast(pl.String),
        second=pl.col(ids[1]).cast(pl.String),
        kinship=value,
        siblings=first_degree & (unlike >= PARENT_IBS0),
    ).filter(pl.col("kinship") >= LEAST_RELATED)


def _whitespace(path: Path) -> pl.DataFrame:
    lines = [line.split() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    if not lines:
        raise InputError(f"{path}: a table of relatives was required, but the file is empty.")
    header = [name.lstrip("#") for name in lines[0]]
    wrong = [number for number, row in enumerate(lines[1:], start=2) if len(row) != len(header)]
    if wrong:
        raise InputError(f"{path}: every line must have {len(header)} columns, but lines {first_few(wrong)} do not.")
    return pl.DataFrame({name: [row[k] for row in lines[1:]] for k, name in enumerate(header)}, strict=False)
