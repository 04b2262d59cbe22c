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
    for row in estimates.iter_rows(named=True):
        f = row["first_stage_f"]
        table.add_row(
            row["instruments"],
            row["method"],
            f"{row['estimate']:.4f}",
            f"{row['std_error']:.4f}",
            f"{row['ci_lower']:.3f} to {row['ci_upper']:.3f}",
            "" if f is None else f"{f:.1f}",
            "<- headline" if row["headline"] else "",
            style="bold" if row["headline"] else "",
        )
    Console(width=110, highlight=False).print(table)
