"""What families add to a study: Mendelian rows, the same people by the other instruments, and the referee.

Which estimate leads is a rule fixed beforehand: the Mendelian LIML where `[learn] method = "mendelian"`, and where the
referee rejects the learned instruments; else what led without families.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import polars as pl

from invarmr.archive.schema import FAMILIES
from invarmr.data.cohort import Cohort
from invarmr.data.design import IVDesign
from invarmr.data.families import Families
from invarmr.data.family_design import family_design, people_in_families
from invarmr.data.latent_instruments import MENDELIAN, LatentInstruments
from invarmr.data.moments import EnvironmentMoments
from invarmr.diagnostics.mates import FamilyMeasure, family_measures
from invarmr.diagnostics.referee import Referee, combined, referee
from invarmr.errors import InputError
from invarmr.estimators.estimate import Estimate
from invarmr.estimators.influence import Influence, influence
from invarmr.estimators.jackknife import UnbiasedJackknifeIV
from invarmr.estimators.kclass import LimitedInformationML, TwoStageLeastSquares
from invarmr.inference.anderson_rubin import anderson_rubin_set
from invarmr.inference.likelihood_ratio import conditional_likelihood_ratio_set
from invarmr.inference.statistical_test import NotApplicable
from invarmr.study.families import parents_traits

if TYPE_CHECKING:
    from invarmr.study.archive import Archive

__all__ = ["FamilyEstimates", "family_estimates", "family_lead"]


@dataclass(frozen=True, eq=False)
class FamilyEstimates:
    """Rows for `estimates.tsv`, the referee's lines, and what mates and non-transmitted alleles show.

    Parameters
    ----------
    rows
        Estimates; the Mendelian LIML is `rows[lead]`.
    lead
        Position of the Mendelian LIML; None where families are too few for it, `reason` says why.
    referees
        One per instrument set compared.
    measures
        Assortment and dynasties.
    reason
        Why there is no Mendelian estimate; empty where there is one.
    """

    rows: tuple[Estimate, ...] = ()
    lead: int | None = None
    referees: tuple[Referee, ...] = ()
    measures: tuple[FamilyMeasure, ...] = ()
    reason: str = ""

    def joined(self, rows: Sequence[Estimate], headline: int, method: str) -> tuple[list[Estimate], int]:
        """All rows, and which one leads: the rule of this module."""
        everything = [*rows, *self.rows]
        if self.lead is None:
            return everything, headline
        against = any(item.compared == "learned" and item.rejects for item in self.referees)
        leads = method == MENDELIAN or against
        return everything, len(rows) + self.lead if leads else headline

    def table(self) -> pl.DataFrame:
        """`families.tsv`."""
        rows: list[tuple[object, ...]] = []
        for item in self.referees:
            half = 1.959963984540054 * item.std_error
            interval = (item.difference, item.std_error, item.difference - half, item.difference + half)
            numbers = (item.p_value, item.detectable, None)
            rows.append(("referee", item.compared, *interval, *numbers, "estimate less the Mendelian one"))
        for found in self.measures:
            interval = (found.estimate, found.std_error, found.ci_lower, found.ci_upper)
            rows.append((found.measure, "", *interval, found.p_value, None, found.n_samples, found.reason))
        return pl.DataFrame(rows, schema=dict(FAMILIES), orient="row")


def family_lead(archive: Archive) -> tuple[IVDesign, Estimate, Families] | None:
    """Design, estimate and families of a study that leads with the Mendelian estimate by its method."""
    if archive.config.learn.method != MENDELIAN:
        return None
    cohort = _cohort(archive)
    if cohort is None or cohort.families is None:
        raise InputError('[learn] method = "mendelian" needs families: add a section [families] to the study file.')
    design = family_design(cohort)
    liml = LimitedInformationML(level=archive.config.estimate.level)
    return design, influence(design, liml, cohort.families.row_family).estimate, cohort.families


def _cohort(archive: Archive) -> Cohort | None:
    found = archive.families
    return None if found is None else replace(archive.cohort, families=found.families)


def family_estimates(archive: Archive, latent: LatentInstruments | None) -> FamilyEstimates | None:
    """Everything families add to a study; None where the study names none.

    Raises
    ------
    InputError
        `[learn] method = "mendelian"` where families are too few.
    """
    cohort = _cohort(archive)
    if cohort is None or cohort.families is None:
        return None
    level = archive.config.estimate.level
    measures = family_measures(cohort, parents=parents_traits(archive.config, cohort), level=level)
    try:
        design = family_design(cohort)
    except InputError as error:
        if archive.config.learn.method == MENDELIAN:
            raise
        return FamilyEstimates(measures=measures, reason=str(error))
    n_groups = int(cohort.families.family.max()) + 1
    liml = LimitedInformationML(level=level)
    mendelian = influence(design, liml, cohort.families.row_family, n_groups=n_groups)
    rows = [*_mendelian_rows(design, mendelian, cohort.families, level)]
    others = dict(_everybody(cohort, archive.pooled, latent, liml, n_groups))
    referees = tuple(referee(found, mendelian, compared=name) for name, found in others.items())
    rows += _same_people(cohort, latent, liml)
    learned = next((item for item in referees if item.compared == "learned"), None)
    if learned is not None and not learned.rejects:
        rows.append(combined(others["learned"], mendelian))
    return FamilyEstimates(tuple(rows), 0, referees, measures)


def _mendelian_rows(design: IVDesign, leading: Influence, families: Families, level: float) -> Iterator[Estimate]:
    counts = families.counts
    n = int(families.informative.sum())
    who = f"{counts['trios']} trios, {counts['sibships']} sibships of {counts['siblings']}; errors by family"
    sets = []
    for name, make in (("Anderson-Rubin", anderson_rubin_set), ("conditional LR", conditional_likelihood_ratio_set)):
        try:
            sets.append(f"{name} {make(design, level=level)}")
        except (NotApplicable, InputError) as error:
            sets.append(f"{name}: {error}")
    note = "; ".join([who, *sets])
    yield replace(leading.estimate, n_samples=n, note=note)
    tsls = influence(design, TwoStageLeastSquares(level=level), families.row_family).estimate
    yield replace(tsls, n_samples=n, note=who)
    yield replace(UnbiasedJackknifeIV(level=level).fit(design), n_samples=n, note=who.replace("by family", "by row"))


def _everybody(
    cohort: Cohort,
    moments: EnvironmentMoments,
    latent: LatentInstruments | None,
    liml: LimitedInformationML,
    n_groups: int,
) -> Iterator[tuple[str, Influence]]:
    """Estimates on everybody, to be compared with the Mendelian one."""
    if cohort.families is None:
        return
    for name, design in _designs(cohort, latent, moments):
        yield name, influence(design, liml, cohort.families.family, n_groups=n_groups)


def _designs(
    cohort: Cohort, latent: LatentInstruments | None, moments: EnvironmentMoments | None
) -> Iterator[tuple[str, IVDesign]]:
    """The learned instruments, and the observed ones within environments, without and with components."""
    several = len(cohort.environments) > 1
    if latent is not None and latent.n_latent:
        seen = cohort.represented(latent)
        yield "learned", IVDesign.from_cohort(seen, latent, moments=moments if seen is cohort else None)
    yield "observed", IVDesign.from_cohort(cohort, moments=moments, environment_effects=several)
    if cohort.component_names:
        both = IVDesign.from_cohort(
            cohort, moments=moments, controls=("covariates", "components"), environment_effects=several
        )
        yield "observed+pcs", both


def _same_people(cohort: Cohort, latent: LatentInstruments | None, liml: LimitedInformationML) -> Iterator[Estimate]:
    """The other instruments on the people of trios and sibships alone."""
    try:
        people = people_in_families(cohort)
        designs = list(_designs(people, latent, None))
    except InputError:  # too few of them in an environment: the other rows stand
        return
    if people.families is None:
        return
    for name, design in designs:
        found = influence(design, liml, people.families.family).estimate
        constant = "; environment fixed effects" if design.environment_effects else ""
        yield replace(
            found,
            instruments=f"{name} (families)",
            note=f"on the {people.n_samples} people of trios and sibships; errors by family{constant}",
        )
