"""Tables with one or more rows per exposure-outcome pair.

Symbols: none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import polars as pl

from invarmr.data.harmonised import PAIR, Associations, HarmonisedStatistics, to_associations

__all__ = ["Row", "rows_of_pairs"]

Row = Mapping[str, object]


def rows_of_pairs(
    harmonised: HarmonisedStatistics,
    measure: Callable[[Associations, pl.DataFrame], Iterable[Row]],
    columns: Mapping[str, type[pl.DataType]],
) -> pl.DataFrame:
    """Measure every pair; `columns` name and type what `measure` returns, after the pair's names."""
    rows = [{**names, **row} for names, part in harmonised.pairs() for row in measure(to_associations(part), part)]
    return pl.DataFrame(rows, schema={**dict.fromkeys(PAIR, pl.String), **columns})
