"""Small counts: what a result may say of few people, applied to every table, text and number before it is written.

The rule is that of data platforms which let no cell below a number of people leave (20 in *All of Us*). A count from 1
to `smallest - 1` is left empty and shown as "<smallest"; every other count is rounded down to a multiple of `smallest`,
so that every count of a masked cell stays possible, whatever totals are told. What gives the number of people exactly
by another way is emptied (degrees of freedom, what chance gives, call rates) or rounded (p-values to two digits, other
numbers to four).
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import polars as pl

from invarmr.errors import InputError, InvarmrWarning

__all__ = ["COUNT_COLUMNS", "Disclosure"]

COUNT_COLUMNS = frozenset(
    f"{name}{suffix}"
    for name in (
        "n_samples",
        "n_learned",
        "n_imputed",
        "n_cases",
        "ncase",
        "ncontrol",
        "samplesize",
        "n",
        "n_trios",
        "n_inconsistent",
    )
    for suffix in ("", ".exposure", ".outcome")
)
"""Columns that count people."""
_EXACT = frozenset({"df", "joint_df", "chance", "chance_environment", "chance_components", "min_call_rate",
                    "hardy_weinberg_p", "share"})  # fmt: skip
"""Columns from which the number of people follows."""
_FREQUENCY = frozenset({"effect_allele_frequency", "eaf", "eaf.exposure", "eaf.outcome"})
_WHOLE_TABLE = frozenset({"sensitivity.tsv"})
"""Tables whose numbers together give the degrees of freedom."""
_PEOPLE = (
    "people|persons|individuals|participants|samples|cases|controls|rows|men|women|families|trios|sibships|siblings"
)
_COUNT_IN_TEXT = re.compile(
    rf"\b(\d[\d,]*)(?=(?: of (?:the |its )?\d[\d,]*)? (?:[a-z-]+ )?(?:{_PEOPLE})\b)"
    rf"|(?<=\bof )(\d[\d,]*)(?= (?:{_PEOPLE})\b)"
    r"|(?<=\()(\d[\d,]*)(?=\))|(?<=\bn = )(\d[\d,]*)|(?<=\bn )(\d[\d,]*)"
)
_DECIMAL = re.compile(r"\d+\.\d{3,}(?:e-?\d+)?")
_CONTROL_LEVELS = ("p_value", "pval", "_p")


@dataclass(frozen=True)
class Disclosure:
    """How counts of people are written and shown.

    Parameters
    ----------
    smallest
        Counts from 1 to `smallest - 1` are not told; None tells every count as it is.

    Examples
    --------
    >>> Disclosure().show(20000), Disclosure(20).show(13), Disclosure(20).show(4987), Disclosure(20).show(0)
    ('20,000', '<20', '4,980', '0')
    >>> Disclosure(20).text("dropped 13 people at site A, of 1,950 samples")
    'dropped <20 people at site A, of 1,940 samples'
    """

    smallest: int | None = None

    def __post_init__(self) -> None:
        if self.smallest is not None and self.smallest < 2:
            raise InputError(f"smallest_count must be 2 or more, or left out to mask nothing, but is {self.smallest}.")

    @property
    def masks(self) -> bool:
        """Whether anything is masked."""
        return self.smallest is not None

    def count(self, number: int | None) -> int | None:
        """A count as it may be written: rounded down; None where it may not be told.

        Examples
        --------
        >>> [Disclosure(20).count(n) for n in (0, 7, 20, 29, 31)]
        [0, None, 20, 20, 20]
        """
        if self.smallest is None or number is None or number == 0:
            return number
        return None if number < self.smallest else number - number % self.smallest

    def show(self, number: int | None) -> str:
        """A count in words; a count that was masked when it was written is shown so."""
        told = self.count(number)
        if told is None:
            return "–" if self.smallest is None else f"<{self.smallest}"
        return f"{told:,}"

    def text(self, sentence: str) -> str:
        """A sentence with its counts of people as they may be told."""
        if self.smallest is None:
            return sentence
        masked = _COUNT_IN_TEXT.sub(lambda found: self.show(int(found[0].replace(",", ""))), sentence)
        return _DECIMAL.sub(lambda found: f"{float(found[0]):.2g}", masked)

    @contextmanager
    def messages(self) -> Iterator[None]:
        """Within the block errors and warnings tell counts of people as tables do."""
        if self.smallest is None:
            yield
            return
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always", InvarmrWarning)
                yield
        except InputError as error:
            raise InputError(self.text(str(error))) from None
        for item in caught:
            warnings.warn(self.text(str(item.message)), item.category, stacklevel=3)

    def table(self, name: str, frame: pl.DataFrame) -> pl.DataFrame | None:
        """A table as it may be written; None where it may not be at all.

        Parameters
        ----------
        name
            File name.
        frame
            Table; counts of people are known by the names of their columns.
        """
        if self.smallest is None:
            return frame
        if name in _WHOLE_TABLE:
            return None
        if name == "components.tsv":
            frame = frame.filter(pl.col("n_samples") >= self.smallest)
        return self.frame(frame)

    def frame(self, frame: pl.DataFrame) -> pl.DataFrame:
        """A table as it may be written, whatever it is."""
        if self.smallest is None:
            return frame
        counted = [column for column in frame.columns if column in COUNT_COLUMNS]
        if counted and "environment" in frame.columns:
            frame = self._without_small_groups(frame, counted)
        return frame.with_columns(expression for column in frame.columns for expression in self._column(frame, column))

    def _without_small_groups(self, frame: pl.DataFrame, counted: list[str]) -> pl.DataFrame:
        """Numbers on too few people are not told either."""
        few = pl.any_horizontal(pl.col(column).is_between(1, (self.smallest or 0) - 1) for column in counted)
        numbers = [column for column, kind in frame.schema.items() if kind.is_float()]
        return frame.with_columns(pl.when(few).then(None).otherwise(pl.col(column)).alias(column) for column in numbers)

    def _column(self, frame: pl.DataFrame, name: str) -> list[pl.Expr]:
        column, kind = pl.col(name), frame.schema[name]
        if name in COUNT_COLUMNS:
            size = self.smallest or 1
            shown = (column / size).floor() * size
            return [pl.when(column.is_between(1, size - 1)).then(None).otherwise(shown).cast(pl.Int64).alias(name)]
        if name in _EXACT:
            return [pl.lit(None, dtype=kind).alias(name)]
        if kind == pl.String:
            return [column.map_elements(self.text, return_dtype=pl.String)]
        if not kind.is_float():
            return []
        if name in _FREQUENCY:
            return [column.round(2)]
        return [column.round_sig_figs(2 if name.endswith(_CONTROL_LEVELS) else 4)]

    def content(self, value: Any) -> Any:  # noqa: ANN401 - what JSON holds
        """What a JSON file holds, as it may be written: counts by their keys, sentences, numbers."""
        if self.smallest is None:
            return value
        if isinstance(value, Mapping):
            return {
                key: self.count(item) if key in COUNT_COLUMNS and isinstance(item, int) else self.content(item)
                for key, item in value.items()
                if key != "bytes"
            }
        if isinstance(value, list | tuple):
            return [self.content(item) for item in value]
        if isinstance(value, str):
            return self.text(value)
        return float(f"{value:.2g}") if isinstance(value, float) else value
