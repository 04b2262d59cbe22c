"""Which estimators are run on which instrument sets, in which order, and which one the report leads with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from invarmr.data.cohort import Cohort
from invarmr.data.design import IVDesign
from invarmr.data.latent_instruments import LatentInstruments
from invarmr.data.moments import EnvironmentMoments
from invarmr.errors import InputError
from invarmr.estimators.estimate import Estimate
from invarmr.estimators.kclass import Fuller, KClass, LimitedInformationML, OrdinaryLeastSquares, TwoStageLeastSquares
from invarmr.estimators.variance import StandardErrors
from invarmr.inference.bootstrap import bootstrap_effect
from invarmr.instruments.allele_score import AlleleScore
from invarmr.instruments.stationary import StationaryInstruments
from invarmr.linalg.threads import small_problems
from invarmr.study.config import EstimateConfig
from invarmr.study.cross_fitting import StudyCrossFit

__all__ = ["all_estimates", "headline_design"]


def all_estimates(
    cohort: Cohort,
    moments: EnvironmentMoments,
    latent: LatentInstruments | None,
    settings: EstimateConfig,
    *,
    seed: int = 1,
    cross_fitted: StudyCrossFit | None = None,
) -> tuple[list[Estimate], int]:
    """Every row of `estimates.tsv`, and the position of the headline.

    Beside a cross-fitted row the others with learned instruments are labelled as plain.
    """
    lead, estimator = headline_design(cohort, moments, latent, settings)
    with small_problems(len(moments.columns)) as each:
        fitted = each(lambda row: _fitted(*row, settings), _plan(cohort, moments, latent))
        rows = [item for items in fitted for item in items]
    leading = [k for k, row in enumerate(rows) if (row.method, row.instruments) == (_LEAD.method, lead.instrument_set)]
    headline = leading[-1] if leading else 0
    if settings.bootstrap and latent is not None and latent.n_latent and latent.leak is not None:
        rows.append(_bootstrapped(lead, estimator, settings, seed))
    if cross_fitted is not None:
        rows = [_plain(row, cross_fitted) if row.instruments.startswith("learned") else row for row in rows]
        rows += [] if cross_fitted.row is None else [cross_fitted.row]
    return rows, headline


def _plain(row: Estimate, cross_fitted: StudyCrossFit) -> Estimate:
    """The same row, labelled: its instruments were learned from the people it was estimated on."""
    label = "plain: instruments learned from the same people"
    if cross_fitted.failure:
        label += f"; not cross-fitted: {cross_fitted.failure.rstrip('.')}"
    return replace(row, note="; ".join(part for part in (label, row.note) if part))


def _bootstrapped(design: IVDesign, estimator: KClass, settings: EstimateConfig, seed: int) -> Estimate:
    """The headline with an interval from learning again in every replicate."""
    latent = design.latent
    if latent is None:
        raise InputError("There are no learned instruments to bootstrap.")
    plain = replace(estimator, std_errors="many-instrument").fit(design)
    learner = StationaryInstruments.like(latent)
    found = bootstrap_effect(
        design, learner, estimator.from_moments(), n_replicates=settings.bootstrap, level=settings.level, seed=seed
    )
    without = int(np.count_nonzero(found.n_latent == 0))
    note = f"instruments learned again in each of {settings.bootstrap} replicates; percentile interval"
    if learner.n_latent is None:
        note += f"; their number chosen again too ({without} without any)"
    beyond = min(np.count_nonzero(found.replicates <= 0), np.count_nonzero(found.replicates >= 0))
    return replace(
        plain,
        method=f"bootstrap {plain.method}",
        std_error=found.std_error,
        std_errors="bootstrap",
        confidence_set=found.confidence_set,
        estimator=None,
        p_value=min(1.0, 2.0 * (1 + int(beyond)) / (1 + len(found.replicates))),
        note=note,
    )


def _fitted(design: IVDesign, kinds: tuple[type[KClass], ...], note: str, settings: EstimateConfig) -> list[Estimate]:
    """One design by several estimators."""
    rows = []
    for kind in kinds:
        item = _estimator(kind, settings).fit(design)
        inflation = item.learning_inflation
        counted = "" if inflation == 1.0 else f"variance x {inflation:.3g} for learning"
        method = f"PO(V)-{item.method}" if design.confounded_loadings is not None else item.method
        rows.append(replace(item, method=method, note="; ".join(part for part in (note, counted) if part)))
    return rows


def headline_design(
    cohort: Cohort, moments: EnvironmentMoments, latent: LatentInstruments | None, settings: EstimateConfig
) -> tuple[IVDesign, KClass]:
    """The design and estimator the report leads with: LIML on the learned instruments, where there are any.

    Many instruments bias 2SLS toward OLS by about 1/F of OLS's bias; LIML is nearly unbiased, with standard errors that
    stay right. Without learned instruments: LIML on the observed ones, environments partialled out where there are any.
    """
    estimator = _estimator(_LEAD, settings)
    if latent is not None and latent.n_latent:
        seen, known = _represented(cohort, moments, latent)
        return IVDesign.from_cohort(seen, latent, moments=known), estimator
    several = len(moments.environments) > 1
    return IVDesign.from_cohort(cohort, moments=moments, environment_effects=several), estimator


def _represented(
    cohort: Cohort, moments: EnvironmentMoments, latent: LatentInstruments
) -> tuple[Cohort, EnvironmentMoments]:
    """The cohort and its moments as a nonlinear learner sees them; the same ones for a linear learner."""
    seen = cohort.represented(latent)
    return seen, moments if seen is cohort else seen.moments


def _estimator(kind: type[KClass], settings: EstimateConfig) -> KClass:
    errors: StandardErrors = settings.std_errors
    if errors == "many-instrument" and kind in (OrdinaryLeastSquares, TwoStageLeastSquares):
        errors = "homoskedastic"
    return kind(std_errors=errors, level=settings.level)


_LEAD = LimitedInformationML
_Row = tuple[IVDesign, tuple[type[KClass], ...], str]


def _plan(cohort: Cohort, moments: EnvironmentMoments, latent: LatentInstruments | None) -> Iterator[_Row]:
    tsls, liml = TwoStageLeastSquares, LimitedInformationML
    several = len(moments.environments) > 1

    def observed(**how: object) -> IVDesign:
        return IVDesign.from_cohort(cohort, moments=moments, **how)  # type: ignore[arg-type]  # keywords of from_cohort

    yield observed(), (OrdinaryLeastSquares,), "no instrument"
    yield observed(), (tsls, liml, Fuller), ""
    if several:
        yield observed(environment_effects=True), (tsls, liml, Fuller), "environment fixed effects"
    if cohort.component_names:
        count = len(cohort.component_names)
        note = f"{count} principal components as covariates"
        yield observed(controls=("covariates", "components")), (tsls, liml, Fuller), note
    if latent is not None and latent.n_latent:
        seen, known = _represented(cohort, moments, latent)
        learned = IVDesign.from_cohort(seen, latent, moments=known)
        yield learned, (liml, tsls, Fuller), f"{latent.n_latent} of {latent.n_latent + latent.n_confounded} directions"
        given = replace(learned, confounded_loadings=latent.confounded_loadings)
        doubt = f"; not to be relied on: {latent.confounded_doubt}" if latent.confounded_doubt else ""
        yield given, (liml,), f"the directions set aside partialled out{doubt}"
        within = IVDesign.from_cohort(seen, latent, moments=known, environment_effects=True)
        yield within, (liml, tsls), "environment fixed effects"
    score = AlleleScore().fit(cohort)
    note = "weighted" if score.settings["weighted"] else "unweighted: effect alleles taken as exposure-raising"
    yield IVDesign.from_cohort(cohort, score, moments=moments), (tsls,), note
    if cohort.truth_names:
        note = "given the true ancestry, which only a simulation knows"
        yield observed(controls=("covariates", "truth")), (tsls, liml), note
