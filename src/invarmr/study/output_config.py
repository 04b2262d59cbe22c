"""`[output]` and `[disclosure]` of a study file."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from invarmr.study.sections import Section

__all__ = ["DisclosureConfig", "OutputConfig"]


class OutputConfig(Section):
    """`[output]`: what the archive holds besides the result."""

    people: bool = False
    """Also files with a row per person: latent instruments, and what lets a later verb go on without reading again."""


class DisclosureConfig(Section):
    """`[disclosure]`: what the archive may say of few people."""

    smallest_count: Annotated[int, Field(ge=2)] | None = None
    """Counts of people below it are masked in everything that is written or shown; none where not given."""
