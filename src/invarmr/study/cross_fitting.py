"""Cross-fitting in a study: every part's learner is the study's, and what it leaves in the archive."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from invarmr.archive.schema import CROSS_FITTING
from invarmr.data.cohort import Cohort
from invarmr.estimators.cross_fitting import CrossFitted, CrossFittedPart, cross_fit
from invarmr.estimators.estimate import Estimate
from invarmr.estimators.kclass import LimitedInformationML
from invarmr.inference.stacked_form import ROBUST_TESTS, StackedForm, stacked_form
from invarmr.inference.statistical_test import NotApplicable
from invarmr.instruments.base import Learner
from invarmr.study.config import EstimateConfig
from invarmr.study.progress import Progress

__all__ = ["StudyCrossFit", "cross_fit_study"]


@dataclass(frozen=True, eq=False)
class StudyCrossFit:
    """What cross-fitting adds to a study.

    Parameters
    ----------
    row
        For `estimates.tsv`; None where no part had latent instruments.
    table
        `cross_fitting.tsv`: a row per part and one of all; None where no part had latent instruments.
    failure
        Why there is no row.
    """

    row: Estimate | None
    table: pl.DataFrame | None
    failure: str = ""


def cross_fit_study(
    cohort: Cohort, learner: Learner, settings: EstimateConfig, *, seed: int, progress: Progress
) -> StudyCrossFit:
    """Cross-fit the headline's estimator, LIML, with the study's learner.

    Raises
    ------
    InputError
        Parts that are too small to learn from or to estimate on.
    """
    n_parts = settings.cross_fitting

    def shown(parts: Sequence[int]) -> Iterator[int]:
        for k in progress.track(parts, "cross-fitting, part by part"):
            start = time.perf_counter()
            yield k
            seconds = time.perf_counter() - start
            progress.say(f"            part {k + 1} of {n_parts}: learned from everybody else in {seconds:.1f} s")

    estimator = LimitedInformationML(std_errors=settings.std_errors, level=settings.level)
    try:
        found = cross_fit(cohort, learner, estimator, n_parts=n_parts, seed=seed, track=shown)
    except NotApplicable as error:
        return StudyCrossFit(None, None, str(error))
    return StudyCrossFit(replace(found.estimate, note=_note(found)), _table(found))


def _note(found: CrossFitted) -> str:
    parts = found.parts
    numbers = ", ".join(str(part.latent.n_latent) for part in parts)
    note = (
        f"for every person instruments learned from people of the other {len(parts) - 1} parts"
        if len(parts) > 2
        else "for every person instruments learned from the other half of the people"
    )
    note += f"; latent instruments in the parts: {numbers}"
    left_out = [str(part.part) for part in parts if part.estimate is None]
    if left_out:
        note += f"; without part {', '.join(left_out)}, for which none was left"
    if found.heterogeneity.p_value is not None:
        note += f"; the parts differ with p = {found.heterogeneity.p_value:.2g}"
    if found.disagreement.p_value is not None:
        note += f", what was learned for them by more than is counted with p = {found.disagreement.p_value:.2g}"
    inflation = found.estimate.learning_inflation
    if inflation != 1.0:
        note += f"; variance x {inflation:.3g} for learning"
    return note + f"; worst verdict of the parts: {found.verdict.status}"


def _table(found: CrossFitted) -> pl.DataFrame:
    positions = iter(range(len(found.design.parts)))
    rows = []
    for part in found.parts:
        form = None
        if part.estimate is not None:
            form = _form(found, next(positions))
        rows.append(_part_row(part) | _numbers(part.estimate) | _sets(form, found.estimate.confidence_set.level))
    agree, maps = found.heterogeneity, found.disagreement
    rows.append(
        {
            "part": "all",
            "n_samples": found.estimate.n_samples,
            "status": found.verdict.status,
            "reason": " ".join(found.verdict.reasons),
            "heterogeneity_q": agree.statistic,
            "heterogeneity_df": agree.df,
            "heterogeneity_p_value": agree.p_value,
            "disagreement": maps.statistic,
            "disagreement_df": maps.df,
            "disagreement_p_value": maps.p_value,
        }
        | _numbers(found.estimate)
        | {_column(name): str(item) for name, item in found.sets.items()}
    )
    return pl.DataFrame([dict.fromkeys(CROSS_FITTING) | row for row in rows], schema=CROSS_FITTING)


def _form(found: CrossFitted, position: int) -> StackedForm | None:
    try:
        return stacked_form(found.design.only(position))
    except NotApplicable:
        return None


def _part_row(part: CrossFittedPart) -> dict[str, Any]:
    verdict = part.latent.verdict
    return {
        "part": str(part.part),
        "n_learned": part.n_learned,
        "n_samples": len(part.people),
        "learner": part.latent.learner,
        "n_latent": part.latent.n_latent,
        "n_confounded": part.latent.n_confounded,
        "status": verdict.status,
        "reason": verdict.reasons[0],
    }


def _numbers(item: Estimate | None) -> dict[str, Any]:
    if item is None:
        return {}
    return {
        "estimate": item.estimate,
        "std_error": item.std_error,
        "ci_lower": item.confidence_set.lower,
        "ci_upper": item.confidence_set.upper,
        "p_value": item.p_value,
        "level": item.confidence_set.level,
        "first_stage_f": item.first_stage_f,
    }


def _sets(form: StackedForm | None, level: float) -> dict[str, str]:
    return {} if form is None else {_column(name): str(form.confidence_set(name, level)) for name in ROBUST_TESTS}


def _column(test: str) -> str:
    return test.lower().replace("-", "_").replace(" ", "_")
