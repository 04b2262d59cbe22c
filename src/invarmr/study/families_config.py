"""`[families]` of a study file."""

from __future__ import annotations

from typing import Self

from pydantic import model_validator

from invarmr.study.sections import ColumnName, Section, StudyPath

__all__ = ["FamiliesConfig"]


class FamiliesConfig(Section):
    """`[families]`: who is whose child or sibling."""

    pedigree: StudyPath | None = None
    """.fam, .psam, or a table with IID and any of father, mother, sex, age, sibship."""
    sibship: ColumnName | None = None
    """Column of the phenotype table: one label per sibship, empty for others."""
    kin0: StudyPath | None = None
    """Relatives found from genotypes (KING, or plink2 --make-king-table): full siblings, and who is one family."""
    parents: StudyPath | None = None
    """Table with the parents' exposure and outcome, columns named as in the phenotype table: how mates resemble."""

    @model_validator(mode="after")
    def _something_named(self) -> Self:
        if self.pedigree is None and self.sibship is None and self.kin0 is None:
            raise ValueError('name the families: pedigree = "cohort.fam", sibship = a column, or kin0 = "king.kin0"')
        return self
