"""The phenotype table of a study: numbers where numbers are needed, complete rows, and a count of what was lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from invarmr.arrays import FloatArray, IntArray
from invarmr.errors import InputError, first_few
from invarmr.io.tables import read_table, require_columns
from invarmr.study.config import StudyConfig

__all__ = ["Lost", "Phenotypes", "read_phenotypes"]


@dataclass(frozen=True)
class Lost:
    """Samples lost at one step: `stage, environment, n_samples, reason` of `samples.tsv`."""

    stage: str
    environment: str
    n_samples: int
    reason: str


@dataclass(frozen=True, eq=False)
class Phenotypes:
    """Complete rows of the phenotype table.

    Parameters
    ----------
    frame
        Sample id as text, environment as text, everything else numeric.
    covariate_names
        Columns that are covariates, indicators of categorical ones included.
    lost
        What was read and dropped, per environment.
    """

    frame: pl.DataFrame
    covariate_names: tuple[str, ...]
    lost: tuple[Lost, ...]


def read_phenotypes(config: StudyConfig) -> Phenotypes:
    """Read, check and complete the phenotype table.

    Raises
    ------
    InputError
        A column absent or not numeric, a sample id repeated or missing, an environment missing, fewer than two
        environments where learning was asked for, or no complete row.
    """
    settings = config.phenotypes
    path = settings.path
    scores = config.instruments.columns
    components = config.components.columns
    controls = (*config.negative_controls.outcomes, *config.negative_controls.exposures)
    texts = [name for name in (settings.sample_id, settings.environment, settings.cluster) if name is not None]
    texts += list(settings.categorical)
    numbers = [settings.exposure, settings.outcome, *settings.covariates, *scores, *components]
    frame = read_table(path, string_columns=texts, missing_codes=settings.missing_codes)
    require_columns(frame, list(dict.fromkeys([*texts, *numbers, *controls])), path)
    frame = frame.with_columns(pl.col(pl.String).str.strip_chars().replace("", None))  # parquet may hold blanks
    _check_sample_ids(frame[settings.sample_id], str(path))
    if settings.environment is None:
        frame = frame.with_columns(pl.lit("all").alias(_ENVIRONMENT))
    else:
        _check_environment(frame, settings.environment, str(path), needed=config.learn.compares_environments)
        frame = frame.with_columns(pl.col(settings.environment).alias(_ENVIRONMENT))
    numeric = [name for name in dict.fromkeys(numbers) if name not in settings.categorical]
    frame = frame.with_columns(
        _as_number(frame[name], str(path), settings.missing_codes, covariate=name in settings.covariates)
        for name in (*numeric, *controls)
    )
    frame, covariates = _indicators(frame, settings.covariates, settings.categorical)
    lost = [Lost("read", *row, "in the phenotype table") for row in _count(frame)]
    needed = [*numeric, *settings.categorical, *([settings.cluster] if settings.cluster else [])]
    for name in dict.fromkeys(needed):
        if frame[name].null_count() == 0:
            continue
        missing = frame.filter(pl.col(name).is_null())
        lost += [Lost("dropped", *row, f"{name} is missing") for row in _count(missing)]
        frame = frame.filter(pl.col(name).is_not_null())
    if frame.height == 0:
        raise InputError(
            f"{path}: no sample has all of {first_few(dict.fromkeys(needed), 20)}. {_what_is_missing(lost)} Check the "
            "columns and missing codes, or leave a column out."
        )
    for name in controls:
        if frame[name].n_unique() - (frame[name].null_count() > 0) < 2:
            raise InputError(
                f"{path}: the negative control {name} must vary among the people of the study, but does not. Check the "
                "column, or leave it out of [negative_controls]."
            )
    return Phenotypes(frame, covariates, tuple(lost))


_ENVIRONMENT = "__environment__"


def _what_is_missing(lost: Sequence[Lost]) -> str:
    counts: dict[str, int] = {}
    for item in lost:
        if item.stage == "dropped":
            counts[item.reason] = counts.get(item.reason, 0) + item.n_samples
    return "; ".join(f"{reason} in {count} rows" for reason, count in counts.items()) + "."


def _count(frame: pl.DataFrame) -> list[tuple[str, int]]:
    return [
        (str(label), int(size)) for label, size in frame.group_by(_ENVIRONMENT).len().sort(_ENVIRONMENT).iter_rows()
    ]


def _check_sample_ids(ids: pl.Series, path: str) -> None:
    if ids.null_count():
        rows = np.flatnonzero(ids.is_null().to_numpy()) + 2
        raise InputError(f"{path}: every row needs a sample id ({ids.name}), but lines {first_few(rows)} have none.")
    if ids.n_unique() < len(ids):
        repeated = ids.filter(ids.is_duplicated()).unique(maintain_order=True)
        raise InputError(
            f"{path}: sample ids ({ids.name}) must be unique, but {len(repeated)} come more than once: "
            f"{first_few(repeated)}. Keep one row per sample."
        )


def _check_environment(frame: pl.DataFrame, name: str, path: str, *, needed: bool) -> None:
    missing = np.flatnonzero(frame[name].is_null().to_numpy())
    if missing.size:
        raise InputError(
            f"{path}: the environment ({name}) must be known for every sample, but {missing.size} of {frame.height} "
            f"rows have none (first lines: {first_few(missing + 2)}). Leave these samples out or give them a level "
            "of their own."
        )
    levels = frame[name].unique().sort()
    if needed and len(levels) < 2:
        raise InputError(
            f"{path}: at least two environments ({name}) are required, but there is only {first_few(levels)}. Learning "
            "compares environments: name a column with two or more levels (site, ancestry group, region), or set "
            '[learn] method = "none".'
        )


def _as_number(column: pl.Series, path: str, missing_codes: Sequence[str], *, covariate: bool) -> pl.Series:
    if column.dtype.is_numeric() or column.dtype == pl.Boolean:
        number = column.cast(pl.Float64)
    else:
        number = column.cast(pl.String).str.strip_chars().cast(pl.Float64, strict=False)
        bad = column.filter(number.is_null() & column.is_not_null())
        if len(bad):
            raise InputError(
                f"{path}: {column.name} must be numeric, but {len(bad)} values are not: "
                f"{first_few(bad.unique(maintain_order=True))}. "
                "Correct them, or name them in [phenotypes] missing_codes"
                + (f"; if they are groups, list {column.name} in [phenotypes] categorical." if covariate else ".")
            )
    infinite = int(number.is_infinite().sum())
    if infinite:
        raise InputError(f"{path}: {column.name} must be finite, but {infinite} values are infinite.")
    codes = pl.Series(missing_codes, dtype=pl.String).cast(pl.Float64, strict=False).drop_nulls()
    number = number.fill_nan(None)
    number = number.set(number.is_in(codes.implode()), None)  # a code -9 stands for -9.0 too
    _check_plink_code(number, path)
    return number.alias(column.name)


def _check_plink_code(number: pl.Series, path: str) -> None:
    """Refuse a heap of -9, PLINK's code for missing, that lies apart from all other values."""
    known = number.drop_nulls().to_numpy()
    others = known[known != _PLINK_MISSING]
    heap = len(known) - len(others)
    if heap < 2 or len(others) < 2 or others.min() - others.std() <= _PLINK_MISSING:
        return
    raise InputError(
        f"{path}: {heap} values of {number.name} are -9, far below all others ({others.min():g} to {others.max():g}). "
        'This is PLINK\'s code for a missing value: say so with [phenotypes] missing_codes = ["-9"].'
    )


_PLINK_MISSING = -9.0


def _indicators(
    frame: pl.DataFrame, covariates: Sequence[str], categorical: Sequence[str]
) -> tuple[pl.DataFrame, tuple[str, ...]]:
    names: list[str] = []
    for name in covariates:
        if name not in categorical:
            names.append(name)
            continue
        levels = frame[name].drop_nulls().unique().sort().to_list()
        made = [f"{name}={level}" for level in levels[1:]]
        frame = frame.with_columns(
            (pl.col(name) == level).cast(pl.Float64).alias(label) for level, label in zip(levels[1:], made, strict=True)
        )
        names += made
    return frame, tuple(names)


def columns_of(frame: pl.DataFrame, names: Sequence[str]) -> FloatArray:
    """Numeric columns of a frame as (n, len(names)) float64."""
    return frame.select(names).to_numpy().astype(np.float64) if names else np.zeros((frame.height, 0))


def encode(values: pl.Series) -> tuple[IntArray, tuple[str, ...]]:
    """Codes 0..L-1 of a text column, and its sorted levels."""
    texts = values.cast(pl.String)
    levels = texts.unique().sort()
    return texts.cast(pl.Enum(levels)).to_physical().to_numpy().astype(np.intp), tuple(levels.to_list())
