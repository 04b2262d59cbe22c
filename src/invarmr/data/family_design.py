"""The design on what families make random: rows that carry a person's own part once, and their moments.

Rows are those of `Families.contrasts`: a trio's child as it is, and k - 1 orthonormal contrasts of a sibship. Exposure,
outcome and covariates go through the same map; a constant per environment is a covariate, which siblings of one
environment do not have. So 2SLS on sibships is 2SLS with a fixed effect per sibship, residual variances and degrees of
freedom included, and LIML subtracts the noise that is there.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from invarmr.arrays import FloatArray
from invarmr.data.cohort import Account, Cohort
from invarmr.data.design import IVDesign
from invarmr.data.families import Deviations
from invarmr.data.moments import EnvironmentMoments
from invarmr.errors import InputError

__all__ = ["MENDELIAN_SET", "family_design", "people_in_families"]

MENDELIAN_SET = "mendelian"
"""Label of the instrument set, as in `estimates.tsv`."""


def family_design(cohort: Cohort) -> IVDesign:
    """Design on Mendelian instruments, with the rows of trios and sibships; families are its clusters.

    Parameters
    ----------
    cohort
        A cohort that knows its families; its covariates are partialled out, and a constant per environment.

    Raises
    ------
    InputError
        No families, or too few rows for the instruments and covariates.
    """
    families = cohort.families
    if families is None:
        raise InputError("The cohort knows no families: call Cohort.with_families(pedigree, ...) first.")
    table = families.contrasts
    rows = table.shape[0]
    environments = np.eye(len(cohort.environments))[cohort.environment]
    covariates = np.asarray(table @ np.hstack([environments, cohort.covariates]))
    needed = cohort.n_instruments + covariates.shape[1] + 10
    if rows < needed:
        raise InputError(
            f"Families have {rows} rows (a trio's child is one, a sibship of k is k - 1), but {cohort.n_instruments} "
            f"instruments and {covariates.shape[1]} covariates need {needed}: use fewer instruments."
        )
    within = replace(
        cohort,
        instruments=Deviations(families, by_row=True),
        instrument_kind="score",
        exposure=np.asarray(table @ cohort.exposure),
        outcome=np.asarray(table @ cohort.outcome),
        environment=np.zeros(rows, dtype=np.intp),
        environments=("families",),
        sample_ids=cohort.sample_ids[table.indices[table.indptr[:-1]]],
        covariates=covariates,
        covariate_names=(*(f"environment {name}" for name in cohort.environments), *cohort.covariate_names),
        components=np.zeros((rows, 0)),
        component_names=(),
        truth=np.zeros((rows, 0)),
        truth_names=(),
        weights=None,
        cluster=np.unique(families.row_family, return_inverse=True)[1],
        account=Account(),
        observed=None,
        families=None,
    )
    return IVDesign(moments=_raw_moments(within), instrument_set=MENDELIAN_SET, cohort=within)


def _raw_moments(cohort: Cohort) -> EnvironmentMoments:
    """Moments about zero: contrasts have no constant, and that of the trios is a covariate."""
    m = len(cohort.columns)
    cross: FloatArray = np.zeros((m, m))
    for block in cohort.blocks():
        values = cohort.rows(block)
        cross += values.T @ values
    counts = np.array([cohort.n_samples])
    return EnvironmentMoments(cohort.columns, cohort.environments, counts, np.zeros((1, m)), cross[None])


def people_in_families(cohort: Cohort) -> Cohort:
    """The people of trios and sibships alone, as a cohort whose clusters are its families.

    Raises
    ------
    InputError
        No families, or too few of these people in an environment.
    """
    if cohort.families is None:
        raise InputError("The cohort knows no families: call Cohort.with_families(pedigree, ...) first.")
    kept = cohort.subset(np.flatnonzero(cohort.families.informative))
    return kept if kept.families is None else replace(kept, cluster=kept.families.family)
