"""What every section of a study file shares: unknown keys are refused, and paths are taken from the file's folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo

__all__ = ["ColumnName", "Section", "StudyPath"]


def _beside_study_file(path: Path, info: ValidationInfo) -> Path:
    folder: Path = (info.context or {}).get("folder", Path())
    return (folder / path.expanduser()).absolute()


StudyPath = Annotated[Path, AfterValidator(_beside_study_file)]
ColumnName = Annotated[str, Field(min_length=1)]


class Section(BaseModel):
    """A section of the study file."""

    model_config = ConfigDict(frozen=True, extra="forbid")
