from __future__ import annotations

import pytest

from invarmr.errors import InputError, InvarmrError, InvarmrWarning, first_few


def test_the_tree_of_errors() -> None:
    assert issubclass(InputError, InvarmrError)
    assert issubclass(InputError, ValueError)
    assert issubclass(InvarmrWarning, UserWarning)


@pytest.mark.parametrize(
    ("items", "text"),
    [([], ""), ([1], "1"), (range(5), "0, 1, 2, 3, 4"), (range(7), "0, 1, 2, 3, 4 and 2 more")],
)
def test_first_few(items, text) -> None:
    assert first_few(items) == text
