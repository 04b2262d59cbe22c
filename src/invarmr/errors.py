"""Every exception and warning that invarmr raises on purpose.

An `InputError` is the user's to mend: its message says what was required, what came and what to do, and the
command line prints it alone and exits with status 2. Anything else that escapes is a defect of ours.
"""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["InputError", "InvarmrError", "InvarmrWarning", "first_few"]


class InvarmrError(Exception):
    """Base of all errors raised on purpose."""


class InputError(InvarmrError, ValueError):
    """The input cannot be used as it is; the message says what was required, what came and what to do."""


class InvarmrWarning(UserWarning):
    """Something was done that the user should know of."""


def first_few(items: Iterable[object], limit: int = 5) -> str:
    """Name the first `limit` items of a list for a message, and how many more there are.

    Examples
    --------
    >>> first_few(["a", "b", "c"], limit=2)
    'a, b and 1 more'
    """
    everything = [str(item) for item in items]
    shown = ", ".join(everything[:limit])
    rest = len(everything) - limit
    return f"{shown} and {rest} more" if rest > 0 else shown
