"""The phenotype table of a study: numbers where numbers are needed, complete rows, and a count of what was lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from invarmr.arrays import FloatArray, IntArray
from invarmr.errors import InputError, first_few
from invarmr.study.config import StudyConfig
from invarmr.study.environments import environment_of
from invarmr.study.number_columns import as_number, is_list, list_parts
from invarmr.study.people_settings import PhenotypesConfig
from invarmr.study.people_tables import FAMILY, Lost, People, named_by, read_people

__all__ = ["ENVIRONMENT", "Lost", "Phenotypes", "read_phenotypes"]


@dataclass(frozen=True, eq=False)
class Phenotypes:
    """Complete rows of the phenotype tables.

    Parameters
    ----------
    frame
        Sample id as text, environment as text, everything else numeric.
    covariate_names
        Columns that are covariates, indicators of categorical ones included.
    score_names, component_names
        Columns that are instruments and components, names with a `*` written out.
    lost
        What was read and dropped, per environment.
    """

    frame: pl.DataFrame
    covariate_names: tuple[str, ...]
    score_names: tuple[str, ...]
    component_names: tuple[str, ...]
    lost: tuple[Lost, ...]


def read_phenotypes(config: StudyConfig) -> Phenotypes:
    """Read, join, check and complete the phenotype tables.

    Raises
    ------
    InputError
        A column absent or not numeric, a sample id repeated or missing, an environment missing, fewer than two
        environments where learning was asked for, or no complete row.
    """
    settings = config.phenotypes
    controls = (*config.negative_controls.outcomes, *config.negative_controls.exposures)
    people, scores, components = _read(config, controls)
    frame, notes = people.frame, list(people.lost)

    def number(name: str) -> pl.Series:
        column, said = as_number(
            people.frame[name],
            people.source,
            settings.missing_codes,
            plink=name in people.plink,
            covariate=name in settings.covariates,
        )
        notes.extend(said)
        return column

    names = [settings.exposure, settings.outcome, *settings.covariates, *scores, *components]
    numeric = [name for name in dict.fromkeys(names) if name not in settings.categorical]
    label = environment_of(frame, settings, number, needed=config.learn.compares_environments, path=people.source)
    frame = frame.with_columns(label.alias(ENVIRONMENT)).with_columns(number(name) for name in (*numeric, *controls))
    frame, said = _case_control(frame, settings, plink=settings.outcome in people.plink, source=people.source)
    notes += said
    frame, covariates = _indicators(frame, settings.covariates, settings.categorical)
    notes += [Lost("read", *row, "in the phenotype table") for row in _count(frame)]
    frame, filled = _filled(frame, [name for name in scores if name in people.counted])
    notes += filled
    needed = [*numeric, *settings.categorical, *([settings.cluster] if settings.cluster else [])]
    frame, lost = _complete(frame, needed, people.source)
    _check_controls(frame, controls, people.source)
    return Phenotypes(frame, covariates, tuple(scores), tuple(components), (*notes, *lost))


ENVIRONMENT = "__environment__"


def _read(config: StudyConfig, controls: Sequence[str]) -> tuple[People, list[str], list[str]]:
    """The joined tables, and the columns that instruments and components stand for."""
    settings = config.phenotypes
    texts = [name for name in settings.environments if name not in settings.bins]
    texts += [*([settings.cluster] if settings.cluster else []), *settings.categorical]
    plain = [settings.exposure, settings.outcome, *settings.covariates, *settings.environments, *texts, *controls]
    asked = (*config.instruments.columns, *config.components.columns)
    people = read_people(settings, texts=texts, wanted=[*dict.fromkeys(plain), *asked], preset=config.preset)
    columns = [name for name in people.frame.columns if name != settings.sample_id]
    taken = {*plain, FAMILY}
    scores, components = (
        list(dict.fromkeys(name for item in items for name in named_by(item, columns) if name not in taken))
        for items in (config.instruments.columns, config.components.columns)
    )
    frame = people.frame
    listed = [name for name in components if is_list(frame[name])]
    for name in listed:
        parts = list_parts(frame[name], people.source)
        frame = frame.drop(name).hstack(parts)
        place = components.index(name)
        components[place : place + 1] = [part.name for part in parts]
    return replace(people, frame=frame), scores, components


def _complete(frame: pl.DataFrame, needed: Sequence[str], source: str) -> tuple[pl.DataFrame, list[Lost]]:
    lost: list[Lost] = []
    for name in dict.fromkeys(needed):
        if frame[name].null_count() == 0:
            continue
        missing = frame.filter(pl.col(name).is_null())
        lost += [Lost("dropped", *row, f"{name} is missing") for row in _count(missing)]
        frame = frame.filter(pl.col(name).is_not_null())
    if frame.height == 0:
        raise InputError(
            f"{source}: no sample has all of {first_few(dict.fromkeys(needed), 20)}. {_what_is_missing(lost)} Check "
            "the columns and missing codes, or leave a column out."
        )
    return frame, lost


def _check_controls(frame: pl.DataFrame, controls: Sequence[str], source: str) -> None:
    for name in controls:
        if frame[name].n_unique() - (frame[name].null_count() > 0) < 2:
            raise InputError(
                f"{source}: the negative control {name} must vary among the people of the study, but does not. Check "
                "the column, or leave it out of [negative_controls]."
            )


def _filled(frame: pl.DataFrame, counted: Sequence[str]) -> tuple[pl.DataFrame, list[Lost]]:
    """Allele counts of a .raw with missing calls replaced by the mean of the environment, as in a genotype file."""
    holes = frame.select(pl.any_horizontal(pl.col(counted).is_null()).alias("hole"))["hole"].sum() if counted else 0
    if not holes:
        return frame, []
    frame = frame.with_columns(pl.col(counted).fill_null(pl.col(counted).mean().over(ENVIRONMENT)))
    return frame, [Lost("filled", "", int(holes), "allele counts missing: the environment's mean instead")]


def _case_control(
    frame: pl.DataFrame, settings: PhenotypesConfig, *, plink: bool, source: str
) -> tuple[pl.DataFrame, list[Lost]]:
    """PLINK's 1 (control) and 2 (case) as 0 and 1."""
    name = settings.outcome
    values = set(frame[name].drop_nulls().unique().to_list())
    if plink and values == {0.0, 1.0, 2.0} and settings.missing_codes is None:
        raise InputError(
            f"{source}: the outcome {name} has the values 0, 1 and 2 in a table of PLINK's layout, where 0 may "
            'stand for missing. Say which: [phenotypes] missing_codes = ["0", "-9"] if it does, ["-9"] if 0 is a value.'
        )
    if values != {1.0, 2.0}:
        return frame, []
    cases = int((frame[name] == 2.0).sum())
    return frame.with_columns(pl.col(name) - 1.0), [
        Lost(
            "recoded", "", cases, f"{name} is coded 1 (control) and 2 (case): read as 0 and 1; people counted are cases"
        )
    ]


def _what_is_missing(lost: Sequence[Lost]) -> str:
    counts: dict[str, int] = {}
    for item in lost:
        if item.stage == "dropped":
            counts[item.reason] = counts.get(item.reason, 0) + item.n_samples
    return "; ".join(f"{reason} in {count} rows" for reason, count in counts.items()) + "."


def _count(frame: pl.DataFrame) -> list[tuple[str, int]]:
    return [(str(label), int(size)) for label, size in frame.group_by(ENVIRONMENT).len().sort(ENVIRONMENT).iter_rows()]


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
