"""Threads for many small problems: several problems at once, and one thread in each.

numpy and scipy each bring a linear algebra whose threads wait for work in a busy loop. On matrices of a few hundred
columns they cost more than they give, and far more where other programs want the same cores. So what goes over
environments, folds or blocks of people runs in threads of our own, within which the linear algebra has one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from typing import Protocol, TypeVar

import numpy as np  # noqa: F401 - loads its linear algebra, which is then found
import scipy.linalg  # noqa: F401 - likewise
from threadpoolctl import ThreadpoolController

__all__ = ["Each", "in_turn", "small_problems", "threads_at_once"]

SMALL = 1_000
"""Columns up to which a matrix is better left to one thread."""
TINY = 40
"""Columns up to which handing a matrix to another thread takes longer than the matrix."""
Item = TypeVar("Item")
Result = TypeVar("Result")


class Each(Protocol):
    """Applies a function to every item, in any thread."""

    def __call__(self, function: Callable[[Item], Result], items: Iterable[Item], /) -> Iterator[Result]:
        """Results in the order of the items."""


def in_turn(function: Callable[[Item], Result], items: Iterable[Item], /) -> Iterator[Result]:
    """The plain `Each`: one item after another."""
    return map(function, items)


@contextmanager
def threads_at_once(bytes_each: int = 0, *, at_most: int = 2**27) -> Iterator[Each]:
    """As many threads as the linear algebra is allowed, each with one of it.

    Fewer where each takes `bytes_each` of memory and all together would take more than `at_most`; the linear algebra
    has the remaining threads then.
    """
    blas = _linear_algebra()
    allowed = max((library["num_threads"] for library in blas.info()), default=1)
    n_threads = max(1, min(allowed, at_most // max(bytes_each, 1)))
    with blas.limit(limits=allowed // n_threads), ThreadPoolExecutor(max_workers=n_threads) as pool:
        yield pool.map


@contextmanager
def small_problems(n_columns: int) -> Iterator[Each]:
    """`threads_at_once` for matrices of `TINY` to `SMALL` columns; beyond, the linear algebra keeps its threads."""
    if not TINY < n_columns <= SMALL:
        yield in_turn
        return
    with threads_at_once() as each:
        yield each


@cache
def _linear_algebra() -> ThreadpoolController:
    """The linear algebra of numpy and that of scipy (finding them takes milliseconds, so only once)."""
    return ThreadpoolController().select(user_api="blas")
