"""Columns of people's tables as numbers: missing codes, PLINK's -9, decimal commas, lists written as text."""

from __future__ import annotations

import json
from collections.abc import Sequence

import polars as pl

from invarmr.errors import InputError, first_few
from invarmr.study.people_tables import Lost

__all__ = ["as_number", "is_list", "list_parts"]

_PLINK_MISSING = -9.0


def as_number(
    column: pl.Series, source: str, missing_codes: Sequence[str] | None, *, plink: bool, covariate: bool
) -> tuple[pl.Series, list[Lost]]:
    """A column as numbers, null where missing, and what to say of it.

    Where no missing codes are given, -9 is missing in a table of PLINK's layout, unless other values lie below it or
    within a standard deviation above it: then nobody can tell, and the study file must. In other tables -9 is a
    number; a heap of -9 far below all others is refused until the study file says what it is.

    Raises
    ------
    InputError
        A value is no number or infinite, or it cannot be told whether -9 is missing.
    """
    number = _parsed(column, source, covariate=covariate)
    infinite = int(number.is_infinite().sum())
    if infinite:
        raise InputError(f"{source}: {column.name} must be finite, but {infinite} values are infinite.")
    number = number.fill_nan(None)
    if missing_codes is None:
        return _without_plink_code(number, source, plink=plink)
    codes = pl.Series(missing_codes, dtype=pl.String).cast(pl.Float64, strict=False).drop_nulls()
    return number.set(number.is_in(codes.implode()), None), []  # a code -9 stands for -9.0 too


def _parsed(column: pl.Series, source: str, *, covariate: bool) -> pl.Series:
    if column.dtype.is_numeric() or column.dtype == pl.Boolean:
        return column.cast(pl.Float64)
    number = column.cast(pl.String).str.strip_chars().cast(pl.Float64, strict=False)
    bad = column.filter(number.is_null() & column.is_not_null()).cast(pl.String)
    if not len(bad):
        return number
    advice = "Correct them, or name them in [phenotypes] missing_codes"
    if bad.str.contains(r"^[+-]?[0-9]+,[0-9]+$").all():
        advice = "If 1,5 is one and a half, add decimal_comma = true to [phenotypes]"
    elif covariate:
        advice += (
            f'; if they are groups, list {column.name} in [phenotypes] categorical: categorical = ["{column.name}"]'
        )
    raise InputError(
        f"{source}: {column.name} must be numeric, but {len(bad)} values are not: "
        f"{first_few(bad.unique(maintain_order=True))}. {advice}."
    )


def _without_plink_code(number: pl.Series, source: str, *, plink: bool) -> tuple[pl.Series, list[Lost]]:
    coded = (number == _PLINK_MISSING).fill_null(value=False)
    heap, others = int(coded.sum()), number.filter(~coded).drop_nulls().to_numpy()
    if not heap:
        return number, []
    apart = len(others) == 0 or float(others.min()) - (float(others.std()) if len(others) > 1 else 0.0) > _PLINK_MISSING
    if plink and apart:
        reason = f"-9 read as missing in {number.name}, as PLINK has it"
        return number.set(coded, None), [Lost("missing", "", heap, reason)]
    span = f"{others.min():g} to {others.max():g}" if len(others) else "none"
    if plink:
        raise InputError(
            f"{source}: {heap} values of {number.name} are -9, in a table of PLINK's layout, where -9 stands for "
            f"missing; but its other values ({span}) are near it. Say which with [phenotypes] missing_codes: "
            '["-9"] if it is missing, [] if it is a number.'
        )
    if heap >= 2 and len(others) >= 2 and apart:
        raise InputError(
            f"{source}: {heap} values of {number.name} are -9, far below all others ({span}). This is PLINK's code for "
            'a missing value: say so with [phenotypes] missing_codes = ["-9"], or missing_codes = [] if it is a number.'
        )
    return number, []


def is_list(column: pl.Series) -> bool:
    """Whether a column holds lists, as such or written as text: `[0.1, 0.2]`."""
    if isinstance(column.dtype, pl.List | pl.Array):
        return True
    known = column.drop_nulls()
    return column.dtype == pl.String and len(known) > 0 and bool(known.str.starts_with("[").all())


def list_parts(column: pl.Series, source: str) -> pl.DataFrame:
    """A column of lists as numbered columns `name_1`, `name_2`, ...; null where a person has no list.

    Raises
    ------
    InputError
        A text that is no list of numbers, or lists of unequal length.
    """
    if column.dtype == pl.String:
        try:
            values = [None if text is None else [float(part) for part in json.loads(text)] for text in column]
        except (ValueError, TypeError) as error:
            raise InputError(
                f"{source}: {column.name} must hold lists of numbers, [0.1, 0.2], but: {error}."
            ) from error
        column = pl.Series(column.name, values, dtype=pl.List(pl.Float64))
    column = column.cast(pl.List(pl.Float64))
    lengths = column.list.len().drop_nulls().unique().sort().to_list()
    if len(lengths) != 1 or lengths[0] == 0:
        raise InputError(f"{source}: the lists of {column.name} must be of one length, but have {first_few(lengths)}.")
    return pl.DataFrame([column.list.get(k).alias(f"{column.name}_{k + 1}") for k in range(lengths[0])])
