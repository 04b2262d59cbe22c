"""The environment of every person: a column, several columns crossed, or a number cut into groups."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import polars as pl

from invarmr.errors import InputError, first_few
from invarmr.study.people_settings import PhenotypesConfig

__all__ = ["environment_of"]


def environment_of(
    frame: pl.DataFrame, settings: PhenotypesConfig, number: Callable[[str], pl.Series], *, needed: bool, path: str
) -> pl.Series:
    """The label of each person's environment; labels of several columns are joined by a stroke.

    Parameters
    ----------
    frame
        One row a person; environment columns that are not cut are text.
    settings
        Which columns, and how numeric ones are cut: `b` groups at the quantiles `1/b, ..., (b-1)/b` of the people
        who have a value, or at given points. A group holds its lower end and not its upper.
    number
        A column by name as numbers.
    needed
        Whether at least two environments are required.
    path
        Where the frame came from, for messages.

    Raises
    ------
    InputError
        A person without one of the columns, a number that has too few values to be cut, or one environment only.
    """
    if not settings.environments:
        return pl.repeat("all", frame.height, eager=True, dtype=pl.String)
    parts = []
    for name in settings.environments:
        column = frame[name] if name not in settings.bins else _cut(number(name), settings.bins[name], path)
        _check_known(column, frame[settings.sample_id], path)
        parts.append(column.cast(pl.String))
    label = parts[0]
    for part in parts[1:]:
        label = label + "/" + part
    _check_levels(label, settings.environment_name, path, needed=needed)
    return label


def _cut(values: pl.Series, cuts: int | tuple[float, ...], path: str) -> pl.Series:
    known = values.drop_nulls().to_numpy()
    if isinstance(cuts, int):
        if not len(known):
            return values.cast(pl.String)
        edges = np.unique(np.quantile(known, np.arange(1, cuts) / cuts))
        groups = len(np.unique(np.searchsorted(edges, known, side="right")))
        if len(edges) < cuts - 1 or groups < cuts:
            raise InputError(
                f"{path}: {values.name} cannot be cut into {cuts} groups at its quantiles: too many people share "
                f"a value (quantiles {first_few(f'{edge:g}' for edge in edges)}). Ask for fewer groups, or give cut "
                f"points: environment_bins = {{{values.name} = [...]}}."
            )
    else:
        edges = np.array(cuts)
    names = [f"{edge:.6g}" for edge in edges]
    labels = [
        f"{values.name} below {names[0]}",
        *(f"{values.name} {low} to {high}" for low, high in pairwise(names)),
        f"{values.name} {names[-1]} or more",
    ]
    place = np.searchsorted(edges, values.fill_null(edges[0]).to_numpy(), side="right")
    made = pl.Series(values.name, np.array(labels)[place], dtype=pl.String)
    return made.set(values.is_null(), None)


def _check_known(column: pl.Series, ids: pl.Series, path: str) -> None:
    missing = column.is_null()
    if missing.any():
        raise InputError(
            f"{path}: the environment ({column.name}) must be known for every sample, but {missing.sum()} of "
            f"{len(column)} rows have none ({first_few(ids.filter(missing))}). Leave these samples out or give "
            "them a level of their own."
        )


def _check_levels(label: pl.Series, name: str, path: str, *, needed: bool) -> None:
    levels = label.unique().sort()
    if needed and len(levels) < 2:
        raise InputError(
            f"{path}: at least two environments ({name}) are required, but there is only {first_few(levels)}. Learning "
            "compares environments: name a column with two or more levels (site, ancestry group, region), or set "
            '[learn] method = "none".'
        )
