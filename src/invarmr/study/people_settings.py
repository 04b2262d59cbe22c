"""`[phenotypes]` of a study file: the people, and what the columns of their tables are."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from pydantic import ConfigDict, Field, model_validator

from invarmr.errors import first_few
from invarmr.study.sections import ColumnName, Section, StudyPath

__all__ = ["CrosswalkConfig", "PhenotypesConfig"]

Bins = Annotated[int, Field(ge=2)]
Cuts = tuple[float, ...]


class CrosswalkConfig(Section):
    """`crosswalk` of `[phenotypes]`: a table of two ids for each person."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    path: StudyPath
    """The table."""
    table_id: ColumnName = Field(alias="from")
    """Its column with the ids of the phenotype tables."""
    genotype_id: ColumnName = Field(alias="to")
    """Its column with the ids of the genotype file."""


class PhenotypesConfig(Section):
    """`[phenotypes]`: the tables with one row per sample, and what their columns are."""

    path: StudyPath | tuple[StudyPath, ...]
    """A table, or several that are joined by id: text of any separator (also packed), parquet or feather."""
    sample_id: ColumnName = "IID"
    exposure: ColumnName
    outcome: ColumnName
    environment: ColumnName | tuple[ColumnName, ...] | None = None
    """Site, batch or ancestry group; several columns are crossed. Required to learn instruments."""
    environment_bins: Bins | dict[str, Bins | Cuts] | None = None
    """Cuts a numeric environment: a number of quantile groups, or by column a number or a list of cut points."""
    covariates: tuple[ColumnName, ...] = ()
    categorical: tuple[ColumnName, ...] = ()
    """Those of the covariates to expand into indicators."""
    cluster: ColumnName | None = None
    """Family or household, for clustered standard errors."""
    missing_codes: tuple[str, ...] | None = None
    """Read as missing besides NA, NaN, a dot and nothing. Where not given, -9 is missing in tables that begin with
    FID or #IID, as PLINK has it; `[]` makes it a number there."""
    decimal_comma: bool = False
    """Whether 1,5 is one and a half."""
    crosswalk: CrosswalkConfig | None = None
    """`{path, from, to}`: a table from the ids of the phenotype tables to those of the genotype file."""
    exclude: tuple[StudyPath, ...] = ()
    """Lists of people to leave out: withdrawn, related, flagged."""

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file that is read for these settings."""
        lists = (*self.exclude, *([self.crosswalk.path] if self.crosswalk else []))
        return (*self.tables, *lists)

    @property
    def tables(self) -> tuple[Path, ...]:
        """The phenotype tables."""
        return self.path if isinstance(self.path, tuple) else (self.path,)

    @property
    def environments(self) -> tuple[str, ...]:
        """The columns that make the environment."""
        if self.environment is None:
            return ()
        return self.environment if isinstance(self.environment, tuple) else (self.environment,)

    @property
    def environment_name(self) -> str:
        """What the environment is called: the names of its columns, or "none"."""
        return " x ".join(self.environments) or "none"

    @property
    def bins(self) -> dict[str, int | Cuts]:
        """How each numeric environment column is cut."""
        asked = self.environment_bins
        if asked is None:
            return {}
        return dict(asked) if isinstance(asked, dict) else {self.environments[0]: asked}

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
            if name in (*self.environments, self.cluster):
                raise ValueError(f"the {role} '{name}' cannot also be the environment or the cluster")
        strangers = [name for name in self.categorical if name not in self.covariates]
        if strangers:
            raise ValueError(f"categorical must name covariates, but {first_few(strangers)} is not one; add it there")
        return self

    @model_validator(mode="after")
    def _people_are_named(self) -> Self:
        if not self.tables:
            raise ValueError("path must name a table, but the list is empty")
        if self.environment is not None and not self.environments:
            raise ValueError("environment must name a column, but the list is empty")
        if isinstance(self.environment_bins, int) and len(self.environments) != 1:
            raise ValueError(
                "environment_bins must say which column it cuts: environment_bins = {age = 4}, for as many of the "
                "columns of environment as are numeric"
            )
        for name, cuts in self.bins.items():
            if name not in self.environments:
                raise ValueError(f"environment_bins names '{name}', which is not in environment; add it there")
            if isinstance(cuts, tuple) and (not cuts or list(cuts) != sorted(set(cuts))):
                raise ValueError(f"environment_bins of '{name}' must be cut points that ascend, but are {list(cuts)}")
        return self
