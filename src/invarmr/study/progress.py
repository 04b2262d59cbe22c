"""What a person at a terminal sees while a study runs: one line per verb, a bar on long steps, nothing when quiet."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichProgress

from invarmr.archive.disclosure import Disclosure

__all__ = ["Progress"]

T = TypeVar("T")


class Progress:
    """Progress on standard error.

    Parameters
    ----------
    quiet
        Show nothing.
    told
        How counts of people are shown.
    """

    def __init__(self, *, quiet: bool = True, told: Disclosure | None = None) -> None:
        self._told = told or Disclosure()
        self._console = Console(stderr=True, quiet=quiet, highlight=False)
        self.seconds: dict[str, float] = {}

    @contextmanager
    def verb(self, name: str, doing: str) -> Iterator[None]:
        """Time one verb and say when it is done."""
        start = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - start, 3)
        self._console.print(f"  [bold]{name:<9}[/bold] {doing} [dim]{self.seconds[name]:.1f} s[/dim]")

    def track(self, items: Sequence[T], doing: str) -> Iterator[T]:
        """Iterate with a bar that vanishes when done; without one where nobody watches."""
        if not self._console.is_terminal:
            yield from items
            return
        columns = (TextColumn("  {task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with RichProgress(*columns, console=self._console, transient=True) as bar:
            yield from bar.track(items, description=doing)

    def say(self, message: str) -> None:
        """Print a line."""
        self._console.print(self._told.text(message))
