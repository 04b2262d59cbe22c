"""`[phenotypes]` of a study file: the people, and what the columns of their tables are."""

from __future__ import annotations

from typing import Self

from pydantic import model_validator

from invarmr.errors import first_few
from invarmr.study.sections import ColumnName, Section, StudyPath

__all__ = ["PhenotypesConfig"]


class PhenotypesConfig(Section):
    """`[phenotypes]`: the table with one row per sample, and what its columns are."""

    path: StudyPath
    """.tsv, .csv, .txt (each also .gz) or .parquet."""
    sample_id: ColumnName = "IID"
    exposure: ColumnName
    outcome: ColumnName
    environment: ColumnName | None = None
    """Site, batch or ancestry group; required to learn instruments."""
    covariates: tuple[ColumnName, ...] = ()
    categorical: tuple[ColumnName, ...] = ()
    """Those of the covariates to expand into indicators."""
    cluster: ColumnName | None = None
    """Family or household, for clustered standard errors."""
    missing_codes: tuple[str, ...] = ()
    """Read as missing besides NA, NaN, a dot and nothing."""

    @model_validator(mode="after")
    def _columns_have_one_role(self) -> Self:
        roles = [self.sample_id, self.exposure, self.outcome, *self.covariates]
        repeated = sorted({name for name in roles if roles.count(name) > 1})
        if repeated:
            raise ValueError(
                "sample_id, exposure, outcome and covariates must be different columns, but "
                f"{first_few(repeated)} has more than one of these roles"
            )
        for role, name in (("exposure", self.exposure), ("outcome", self.outcome)):
            if name in (self.environment, self.cluster):
                raise ValueError(f"the {role} '{name}' cannot also be the environment or the cluster")
        strangers = [name for name in self.categorical if name not in self.covariates]
        if strangers:
            raise ValueError(f"categorical must name covariates, but {first_few(strangers)} is not one; add it there")
        return self
