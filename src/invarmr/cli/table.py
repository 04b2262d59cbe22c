"""The table of estimates on a terminal."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
from rich.console import Console
from rich.table import Table
from rich.text import Text

__all__ = ["print_estimates"]

_NUMBERS = ("estimate", "std_error", "ci_lower", "ci_upper", "level", "first_stage_f")


def print_estimates(folder: Path) -> None:
    """Print `estimates.tsv` of an archive, the headline marked, the truth beside it where it was simulated."""
    texts = pl.read_csv(folder / "estimates.tsv", separator="\t", infer_schema=False)
    estimates = texts.with_columns(pl.col(*_NUMBERS).cast(pl.Float64), pl.col("headline") == "true")
    truth = folder / "truth.json"
    first = estimates.row(0, named=True)
    title = f"effect of {first['exposure']} on {first['outcome']}"
    if truth.exists():
        title += f" (true effect {json.loads(truth.read_text(encoding='utf-8'))['effect']:.4g})"
    table = Table(title=Text(title), title_justify="left", box=None, pad_edge=False)
    for name in ("instruments", "method", "estimate", "std_error", f"{100 * first['level']:g} % set", "F", ""):
        table.add_column(name, justify="left" if name in ("instruments", "method", "") else "right")
    lead = estimates.filter("headline").row(0, named=True)
    places = 4 if 1e-4 < lead["std_error"] < 1e3 else -1
    for row in estimates.iter_rows(named=True):
        f = row["first_stage_f"]
        table.add_row(
            row["instruments"],
            row["method"],
            _shown(row["estimate"], places),
            _shown(row["std_error"], places),
            f"{_shown(row['ci_lower'], places - 1)} to {_shown(row['ci_upper'], places - 1)}",
            "" if f is None else f"{f:.1f}",
            "<- headline" if row["headline"] else "",
            style="bold" if row["headline"] else "",
        )
    Console(width=110, highlight=False).print(table)


def _shown(value: float, places: int) -> str:
    """A number with so many decimals; in powers of ten where the effect is very small or very large (`places` < 0)."""
    return f"{value:.{places}f}" if places >= 0 else f"{value:.4g}"
