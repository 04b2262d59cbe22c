"""What every section of a study file is made of: paths beside the file, shares, names of columns."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo

__all__ = ["ColumnName", "Section", "Share", "StudyPath"]


def _beside_study_file(path: Path, info: ValidationInfo) -> Path:
    folder: Path = (info.context or {}).get("folder", Path())
    return (folder / path.expanduser()).absolute()


StudyPath = Annotated[Path, AfterValidator(_beside_study_file)]
Share = Annotated[float, Field(ge=0, le=1)]
ColumnName = Annotated[str, Field(min_length=1)]


class Section(BaseModel):
    """A section of the study file: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")
