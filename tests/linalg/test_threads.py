from __future__ import annotations

import threading

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from invarmr.linalg import threads
from invarmr.linalg.threads import in_turn, small_problems, threads_at_once


def allowed() -> int:
    return max(library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas")


@pytest.fixture(autouse=True)
def _two():
    with threadpool_limits(2, user_api="blas"):
        yield


def test_two_problems_at_once_with_one_thread_in_each() -> None:
    together = threading.Barrier(2, timeout=10)

    def both_are_here(item: int) -> tuple[int, int]:
        together.wait()
        return item, allowed()

    with threads_at_once() as each:
        assert list(each(both_are_here, [5, 3])) == [(5, 1), (3, 1)]
    assert allowed() == 2


def test_memory_leaves_the_threads_to_the_linear_algebra() -> None:
    with threads_at_once(100, at_most=150) as each:
        assert list(each(lambda _: allowed(), range(3))) == [2, 2, 2]


def test_large_matrices_keep_their_threads() -> None:
    with small_problems(threads.SMALL + 1) as each:
        assert each is in_turn
        assert allowed() == 2
    with small_problems(threads.SMALL) as each:
        assert allowed() == 1
        squares = list(each(lambda k: np.full((2, 2), k) @ np.ones(2), range(9)))
    assert [square[0] for square in squares] == [2.0 * k for k in range(9)]
    assert list(in_turn(abs, [-1, 2])) == [1, 2]


def test_threads_are_given_back_after_an_error() -> None:
    def fails(item: int) -> None:
        raise ValueError(item)

    with pytest.raises(ValueError, match="7"), threads_at_once() as each:
        list(each(fails, [7]))
    assert allowed() == 2
