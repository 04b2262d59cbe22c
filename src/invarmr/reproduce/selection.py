"""Which model of a grid is reported: the least validation MMD, models without an independence penalty left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["chosen_index"]


def chosen_index(
    settings: Sequence[Mapping[str, Any]], validation: Sequence[float | None], *, independence: bool = True
) -> int:
    """Position of the chosen model; -1 where none can be chosen.

    Parameters
    ----------
    settings
        Of every model; those without `lambda_independence` have no grid, and the first is taken.
    validation
        Criterion of every model, smaller is better; None: the model failed.
    independence
        False: choose among the models without independence penalty instead (figure 3).

    Examples
    --------
    >>> grid = [{"lambda_independence": 0}, {"lambda_independence": 1}, {"lambda_independence": 5}]
    >>> chosen_index(grid, [0.1, 0.3, 0.2])
    2
    """
    if not any("lambda_independence" in own for own in settings):
        return 0 if settings and independence else -1
    allowed = [
        (value, number)
        for number, (own, value) in enumerate(zip(settings, validation, strict=True))
        if value is not None and (float(own["lambda_independence"]) > 0) == independence
    ]
    return min(allowed)[1] if allowed else -1
