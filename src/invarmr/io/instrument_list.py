"""The list of variants a study takes as instruments, with the allele each effect refers to.

Foreign column names (SNP, EA, A1, beta, se, ...) are mapped to ours here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from invarmr.errors import InputError, first_few
from invarmr.io.tables import read_table

__all__ = ["ALIASES", "read_instrument_list"]

ALIASES: dict[str, tuple[str, ...]] = {
    "variant": ("variant", "SNP", "rsid", "variant_id", "ID", "MarkerName", "snpid"),
    "effect_allele": ("effect_allele", "EA", "A1", "ALT"),
    "other_allele": ("other_allele", "NEA", "OA", "A2", "OMITTED", "REF"),
    "effect_allele_frequency": ("effect_allele_frequency", "eaf", "A1_FREQ"),
    "weight": ("weight", "beta", "b", "effect_weight"),
    "weight_std_error": ("weight_std_error", "se", "standard_error"),
    "weight_p_value": ("weight_p_value", "pval", "p_value", "P"),
}
"""Our name: the names read for it, in order of preference, whatever the case."""

TEXTS = ("variant", "effect_allele", "other_allele")
NUMBERS = ("effect_allele_frequency", "weight", "weight_std_error", "weight_p_value")
ALLELE = r"^(?:[ACGT]+|[ID]|[1-4])$"


def read_instrument_list(path: str | Path) -> pl.DataFrame:
    """Read the variants to use as instruments.

    Parameters
    ----------
    path
        Any table that `read_table` reads, with the columns of `ALIASES` in any case: variant and effect allele at
        least. Where plink2's A1 stands beside REF and ALT, the other allele is the one of the two that A1 is not.

    Returns
    -------
    polars.DataFrame
        One row per line: `variant`, `effect_allele`, `other_allele` (null where not given); and where the file has
        them `effect_allele_frequency`, `weight` (effect of one effect allele), `weight_std_error` (the weight's
        unit), `weight_p_value`, null where missing. Alleles are upper case. Repeated variants are kept.

    Raises
    ------
    InputError
        A column is missing, or a row has no variant id, an allele that is not made of A, C, G, T (or one of the codes
        I, D, 1, 2, 3, 4), text in a number, a standard error that is not positive, or a frequency or p-value outside
        [0, 1].
    """
    raw = read_table(path, string_columns="all")
    names = _columns_found(raw)
    for name in ("variant", "effect_allele"):
        if name not in names:
            raise InputError(
                f"{path}: the instrument list must have a column '{name}' (or {', '.join(ALIASES[name][1:])}). "
                f"It has: {first_few(raw.columns, 20)}."
            )
    numbers = [name for name in NUMBERS if name in names]
    frame = raw.select(
        *(pl.col(names[name]).alias(name) if name in names else pl.lit(None, pl.String).alias(name) for name in TEXTS),
        *(pl.col(names[name]).alias(name) for name in numbers),
    )
    if _beside_ref_and_alt(names):
        frame = frame.with_columns(other_allele=_the_other_of(raw, names["effect_allele"]))
    frame = frame.with_columns(pl.col("effect_allele", "other_allele").str.to_uppercase())
    _check_texts(frame, path)
    return _with_numbers(frame, numbers, path)


def _columns_found(frame: pl.DataFrame) -> dict[str, str]:
    present = {column.lower(): column for column in reversed(frame.columns)}
    found = {}
    for name, aliases in ALIASES.items():
        for alias in aliases:
            if alias.lower() in present:
                found[name] = present[alias.lower()]
                break
    return found


def _beside_ref_and_alt(names: dict[str, str]) -> bool:
    return names["effect_allele"].upper() == "A1" and names.get("other_allele", "").upper() == "REF"


def _the_other_of(raw: pl.DataFrame, effect_column: str) -> pl.Series:
    columns = {column.upper(): column for column in raw.columns}
    reference = raw[columns["REF"]]
    if "ALT" not in columns:
        return reference
    is_reference = raw[effect_column].str.to_uppercase() == reference.str.to_uppercase()
    return raw[columns["ALT"]].zip_with(is_reference.fill_null(False), reference)


def _check_texts(frame: pl.DataFrame, path: str | Path) -> None:
    _refuse(frame, frame["variant"].is_null(), path, "every row must name a variant", "variant")
    effect, other = frame["effect_allele"], frame["other_allele"]
    required = "alleles must be made of the letters A, C, G, T (or be one of I, D, 1, 2, 3, 4)"
    _refuse(frame, ~effect.str.contains(ALLELE).fill_null(False), path, required, "effect_allele")
    _refuse(frame, ~other.str.contains(ALLELE).fill_null(True), path, required, "other_allele")
    _refuse(frame, (effect == other).fill_null(False), path, "the two alleles must differ", "other_allele")


def _with_numbers(frame: pl.DataFrame, names: Sequence[str], path: str | Path) -> pl.DataFrame:
    for name in names:
        number = frame[name].cast(pl.Float64, strict=False)
        bad = (number.is_null() & frame[name].is_not_null()) | ~number.is_finite().fill_null(True)
        _refuse(frame, bad, path, f"'{name}' must be a number", name)
        if name == "weight_std_error":
            _refuse(frame, (number <= 0).fill_null(False), path, "a standard error must be positive", name)
        elif name != "weight":
            outside = ~number.is_between(0, 1).fill_null(True)
            _refuse(frame, outside, path, f"'{name}' must lie between 0 and 1", name)
        frame = frame.with_columns(number.alias(name))
    return frame


def _refuse(frame: pl.DataFrame, bad: pl.Series, path: str | Path, required: str, column: str) -> None:
    rows = np.flatnonzero(bad.to_numpy())
    if rows.size:
        shown = frame[rows[:6].tolist()]
        cells = [
            f"row {row + 1} ({variant}) has {'nothing' if value is None else repr(value)}"
            for row, variant, value in zip(rows.tolist(), shown["variant"], shown[column], strict=False)
        ]
        more = [""] * max(rows.size - len(cells), 0)
        raise InputError(f"{path}: {required}, but {first_few(cells + more)}. Mend or remove these rows.")
