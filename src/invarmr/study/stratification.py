"""The stratification battery of a study: what it computes from an archive, and the tables it leaves there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from invarmr.archive.schema import STRATIFICATION
from invarmr.data.design import IVDesign
from invarmr.data.latent_instruments import LatentInstruments
from invarmr.data.moments import EnvironmentMoments, merge_moments
from invarmr.diagnostics.assortative_mating import even_odd_checks
from invarmr.diagnostics.check import Check
from invarmr.diagnostics.component_count import CountEstimate, component_curve
from invarmr.diagnostics.dependence import component_dependence
from invarmr.diagnostics.meta_analysis import Combined, combine_environments
from invarmr.diagnostics.negative_controls import ControlEstimate, negative_control_checks, negative_controls
from invarmr.diagnostics.stability import EnvironmentEstimate, environment_estimates
from invarmr.diagnostics.stratification import JointTest, joint_checks, joint_tests
from invarmr.estimators.estimate import Estimate
from invarmr.estimators.kclass import KClass, OrdinaryLeastSquares, TwoStageLeastSquares
from invarmr.inference.effect_curve import EffectCurve, effect_curve
from invarmr.inference.statistical_test import NotApplicable
from invarmr.study.archive import Archive

__all__ = ["Stratification", "stratify_archive"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Stratification:
    """What the battery found.

    Parameters
    ----------
    checks
        Rows for `diagnostics.tsv`.
    joint
        Instruments against environment labels and components.
    counts
        Estimates against the number of components.
    combined
        Estimates by environment, combined.
    controls
        Negative controls.
    curve, instruments
        p-values of every value of the effect, with the headline's instruments; None where there is no error variance.
    """

    checks: tuple[Check, ...]
    joint: tuple[JointTest, ...]
    counts: tuple[CountEstimate, ...]
    combined: tuple[Combined, ...]
    controls: tuple[ControlEstimate, ...]
    curve: EffectCurve | None
    instruments: str

    def tables(self) -> dict[str, pl.DataFrame]:
        """File name to table, for those that have rows."""
        found = {
            "stratification.tsv": _joint_table(self.joint),
            "component_counts.tsv": _count_table(self.counts),
            "meta_analysis.tsv": _combined_table(self.combined),
            "negative_controls.tsv": _control_table(self.controls),
        }
        if self.curve is not None:
            found["effect_curve.tsv"] = _curve_table(self.curve)
            found["confidence_sets.tsv"] = _set_table(self.curve, self.instruments)
        return {name: table for name, table in found.items() if table.height}


def stratify_archive(
    archive: Archive,
    design: IVDesign,
    estimator: KClass,
    estimate: Estimate,
    environments: Sequence[EnvironmentEstimate],
) -> Stratification:
    """Run the battery on an archive that was learned on.

    Parameters
    ----------
    archive
        The study.
    design, estimator, estimate
        The headline's.
    environments
        The headline in each environment.
    """
    cohort, latent, level = archive.cohort, archive.latent, archive.config.estimate.level
    learned = latent if latent is not None and latent.n_latent else None
    seen = cohort if learned is None else cohort.represented(learned)
    everyone = archive.pooled if seen is cohort else seen.moments
    held_out = _held_out(archive, learned, everyone)
    joint = joint_tests(archive.pooled) + tuple(
        test for test in joint_tests(everyone, learned, held_out) if test.instruments == "learned"
    )
    joint += component_dependence(seen, learned, seed=archive.config.run.seed)
    checks = joint_checks(joint, n_components=len(cohort.component_names))
    checks += _even_odd(archive, learned)
    controls = negative_controls(
        cohort, archive.negative_controls, latent=learned, headline=design.instrument_set, estimator=estimator
    )
    observed = IVDesign.from_cohort(cohort, moments=archive.pooled)
    combined = combine_environments(environments, instruments=design.instrument_set, level=level)
    if design.instrument_set != observed.instrument_set and len(cohort.environments) > 1:
        own = environment_estimates(observed, estimator)
        combined += combine_environments(own, instruments=observed.instrument_set, level=level)
    try:
        curve = effect_curve(design, estimate.estimate, estimate.std_error, level=level)
    except NotApplicable:
        curve = None
    return Stratification(
        checks=(*checks, *negative_control_checks(controls)),
        joint=joint,
        counts=component_curve(_plan(archive, learned, estimator)),
        combined=combined,
        controls=controls,
        curve=curve,
        instruments=design.instrument_set,
    )


def _held_out(
    archive: Archive, latent: LatentInstruments | None, everyone: EnvironmentMoments
) -> EnvironmentMoments | None:
    """Moments of the people held out, with the instruments that `latent` is linear in."""
    if latent is None or not latent.held_out:
        return None
    if everyone is archive.pooled:
        return merge_moments([archive.moments[k] for k in latent.held_out])
    fold = archive.fold if latent.fold is None else latent.fold
    return archive.cohort.represented(latent).moments_of(np.flatnonzero(np.isin(fold, latent.held_out)))


def _even_odd(archive: Archive, latent: LatentInstruments | None) -> tuple[Check, ...]:
    cohort = archive.cohort
    if cohort.instrument_kind != "genotype":
        return ()
    table = pl.read_csv(archive.require("variants.tsv"), separator="\t", infer_schema=False).filter(status="kept")
    place = dict(zip(table["variant"], table["chromosome"].fill_null(""), strict=True))
    chromosomes = [place.get(name, "") for name in cohort.instrument_names]
    if cohort.weights is not None:
        return even_odd_checks(archive.pooled, chromosomes, weights=cohort.weights)
    folds = latent.held_out if latent is not None and latent.held_out else tuple(range(7, len(archive.moments)))
    test = merge_moments([archive.moments[k] for k in folds])
    others = merge_moments([part for k, part in enumerate(archive.moments) if k not in folds])
    return even_odd_checks(test, chromosomes, training=others)


def _plan(
    archive: Archive, latent: LatentInstruments | None, liml: KClass
) -> list[tuple[IVDesign, tuple[KClass, ...]]]:
    cohort, moments = archive.cohort, archive.pooled
    level = liml.level
    first = (OrdinaryLeastSquares(level=level), TwoStageLeastSquares(level=level), liml)
    plan: list[tuple[IVDesign, tuple[KClass, ...]]] = [(IVDesign.from_cohort(cohort, moments=moments), first)]
    if len(cohort.environments) > 1:
        plan.append((IVDesign.from_cohort(cohort, moments=moments, environment_effects=True), (liml,)))
    if latent is not None:
        seen = cohort.represented(latent)
        own = moments if seen is cohort else seen.moments
        plan.append((IVDesign.from_cohort(seen, latent, moments=own), (liml,)))
    return plan


def _numbers(item: Estimate) -> dict[str, Any]:
    return {
        "method": item.method,
        "estimate": item.estimate,
        "std_error": item.std_error,
        "ci_lower": item.confidence_set.lower,
        "ci_upper": item.confidence_set.upper,
        "p_value": item.p_value,
        "level": item.confidence_set.level,
        "n_samples": item.n_samples,
        "n_instruments": item.n_instruments,
        "first_stage_f": item.first_stage_f,
    }


def _joint_table(tests: Sequence[JointTest]) -> pl.DataFrame:
    return pl.DataFrame(
        [{name: getattr(test, name) for name in STRATIFICATION} for test in tests], schema=dict(STRATIFICATION)
    )


def _count_table(rows: Sequence[CountEstimate]) -> pl.DataFrame:
    return pl.DataFrame(
        [{"n_components": row.n_components, "instruments": row.instruments} | _numbers(row.estimate) for row in rows],
        infer_schema_length=None,
    )


def _combined_table(rows: Sequence[Combined]) -> pl.DataFrame:
    return pl.DataFrame(
        [
            {
                "instruments": row.instruments,
                "model": row.model,
                "estimate": row.estimate,
                "std_error": row.std_error,
                "ci_lower": row.confidence_set.lower,
                "ci_upper": row.confidence_set.upper,
                "p_value": row.p_value,
                "level": row.confidence_set.level,
                "n_environments": row.n_environments,
                "q": row.q,
                "q_df": row.q_df,
                "q_p_value": row.q_p_value,
                "i2": row.i2,
                "tau2": row.tau2,
            }
            for row in rows
        ]
    )


def _control_table(rows: Sequence[ControlEstimate]) -> pl.DataFrame:
    return pl.DataFrame(
        [
            {"control": row.control, "role": row.role, "instruments": row.estimate.instruments}
            | _numbers(row.estimate)
            | {
                "joint_f": None if row.joint is None else row.joint.statistic,
                "joint_df": None if row.joint is None else row.joint.df,
                "joint_p_value": None if row.joint is None else row.joint.p_value,
                "headline": row.headline,
            }
            for row in rows
        ],
        infer_schema_length=None,
    )


def _curve_table(curve: EffectCurve) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "value": curve.values,
            "wald_p": curve.wald,
            "anderson_rubin_p": curve.anderson_rubin,
            "conditional_likelihood_ratio_p": curve.conditional_likelihood_ratio,
        }
    )


def _set_table(curve: EffectCurve, instruments: str) -> pl.DataFrame:
    """One row per interval of each set; an empty set has one row without ends."""
    rows = []
    for test, found in curve.sets.items():
        for piece, (lower, upper) in enumerate(found.intervals or ((None, None),), start=1):
            rows.append(
                {
                    "test": test,
                    "instruments": instruments,
                    "level": found.level,
                    "piece": piece,
                    "lower": lower,
                    "upper": upper,
                    "shown": str(found),
                }
            )
    return pl.DataFrame(rows, schema_overrides={"lower": pl.Float64, "upper": pl.Float64}, infer_schema_length=None)
