"""Cross-fitting: every person's latent instruments come from a learner that has not seen that person.

Symbols: K parts S_k of the people; T_k everybody else, from whom map k is learned; W_k the latent instruments that map
k gives the people of S_k; theta_k the effect estimated on S_k alone.

The effect is estimated once, on all parts, with stacked instruments: those of part k are W_k on S_k and zero
elsewhere, and every part has a constant and controls of its own. No basis of one part need be matched to another's.
Standard errors and robust sets count the error of learning, which comes from other people than the noise of the
estimate, and what the parts have in common (`stacked_learning`). Sources: Angrist & Krueger (1995), Journal of Business
& Economic Statistics 13:225, for estimating on people who did not choose the instruments; Chernozhukov et al. (2018),
Econometrics Journal 21:C1, for using every person on both sides; the covariance is this package's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from scipy import linalg, special

from invarmr.arrays import FloatArray, IntArray
from invarmr.data.cohort import Cohort
from invarmr.data.design import Control, IVDesign
from invarmr.data.folds import split_people
from invarmr.data.latent_instruments import LatentInstruments, Status, Verdict
from invarmr.data.stacked_design import StackedDesign
from invarmr.errors import InputError, first_few
from invarmr.estimators.estimate import Estimate
from invarmr.estimators.kclass import KClass
from invarmr.inference.confidence_set import ConfidenceSet
from invarmr.inference.stacked_form import ROBUST_TESTS, StackedForm, stacked_form
from invarmr.inference.stacked_learning import LearnedMaps
from invarmr.inference.statistical_test import NotApplicable

__all__ = ["CrossFitted", "CrossFittedPart", "Heterogeneity", "cross_fit"]


class _Learner(Protocol):
    def fit(self, data: Cohort, *, seed: int) -> LatentInstruments: ...


_WORST: tuple[Status, ...] = ("identified", "weak", "not identified", "rejected")
Track = Callable[[Sequence[int]], Iterable[int]]
"""Iterates over the numbers of the parts, and may show progress."""


@dataclass(frozen=True, eq=False, kw_only=True)
class CrossFittedPart:
    """One part: what was learned without its people, and the effect on them.

    Parameters
    ----------
    part
        1..K.
    people
        Indices of its people in the cohort.
    n_learned
        People it was learned from.
    latent
        What was learned from them, with the verdict of their own held-out people.
    estimate
        From the people of this part alone; None where nothing was learned for them.
    """

    part: int
    people: IntArray
    n_learned: int
    latent: LatentInstruments
    estimate: Estimate | None


@dataclass(frozen=True)
class Heterogeneity:
    """Whether the parts agree.

    Parameters
    ----------
    statistic, df, p_value
        c'C^-1 c of contrasts c between the parts, C their covariance; chi2(df). None and 0 where it does not apply.
    """

    statistic: float | None
    df: int
    p_value: float | None


@dataclass(frozen=True, eq=False, kw_only=True)
class CrossFitted:
    """An effect estimated by cross-fitting.

    Parameters
    ----------
    estimate
        The pooled estimate, from the stacked instruments of all parts that have any.
    parts
        Every part, in order.
    heterogeneity
        Whether the parts agree on the effect: Cochran's Q with the covariances of their estimates.
    disagreement
        Whether the maps differ, on the same people, by more than the error of learning that is counted: the error of a
        network beyond that of the split of its features shows here (`LearnedMaps.disagreement`). It does not apply with
        the confounded part partialled out, or where parts have other numbers of latent instruments.
    design
        The stacked design.
    form
        What robust tests of other values need: `form.test("Anderson-Rubin", 0.0)`. None where there is no error to
        measure the effect against.
    verdict
        The worst of the parts', with the reasons of every part that has it.
    """

    estimate: Estimate
    parts: tuple[CrossFittedPart, ...]
    heterogeneity: Heterogeneity
    disagreement: Heterogeneity
    design: StackedDesign
    form: StackedForm | None
    verdict: Verdict

    @cached_property
    def sets(self) -> dict[str, ConfidenceSet]:
        """The sets that invert `ROBUST_TESTS`, by name, at the level of the estimate; empty where `form` is None."""
        level = self.estimate.confidence_set.level
        return {} if self.form is None else {name: self.form.confidence_set(name, level) for name in ROBUST_TESTS}

    def __str__(self) -> str:
        numbers = ", ".join(str(part.latent.n_latent) for part in self.parts)
        found = self.heterogeneity
        agree = "" if found.p_value is None else f"; parts differ with p = {found.p_value:.2g}"
        return (
            f"{self.estimate.method}: {self.estimate.estimate:.4f} (se {self.estimate.std_error:.4f}, "
            f"{100 * self.estimate.confidence_set.level:g} % set {self.estimate.confidence_set}; latent instruments "
            f"{numbers} in {len(self.parts)} parts{agree}; {self.verdict.status})"
        )


def cross_fit(
    cohort: Cohort,
    learner: _Learner,
    estimator: KClass,
    *,
    n_parts: int = 2,
    seed: int = 1,
    controls: Sequence[Control] = ("covariates",),
    environment_effects: bool = False,
    partial_confounded: bool = False,
    track: Track = iter,
) -> CrossFitted:
    """Estimate an effect with latent instruments that were learned, for every person, from other people.

    Parameters
    ----------
    cohort
        The people. They are split at random into parts, even within environments; a person's part follows from the
        sample id, and clusters stay whole.
    learner
        Any learner; for every part it learns from all other people as it would from a study: choice of the number of
        latent instruments, held-out tests and verdict.
    estimator
        `LimitedInformationML()`, say; its `level` is that of the sets, its `count_learning` holds for them too.
    n_parts
        K, at least 2. With 2 every learner sees half of the people; more parts take as many times longer.
    seed
        Of the split, and of every learner.
    controls, environment_effects, partial_confounded
        As in `IVDesign.from_cohort`, for every part on its own.
    track
        Iterates over the parts, and may show progress.

    Returns
    -------
    CrossFitted
        A part for which held-out people rejected every number of latent instruments is left out of the estimate, and
        the verdict is then `rejected`.

    Raises
    ------
    InputError
        No cohort, fewer than two parts, a part with too few people in an environment, an estimator without instruments,
        or what the learner refuses (with the part).
    NotApplicable
        No part has latent instruments.

    References
    ----------
    Angrist & Krueger (1995), JBES 13:225; Chernozhukov et al. (2018), Econometrics Journal 21:C1; Kleibergen (2005),
    Econometrica 73:1103.

    Examples
    --------
    >>> import invarmr
    >>> cohort = invarmr.simulate_latent(invarmr.LatentDesign(mixing="poly1", n_samples=2_000), seed=1).cohort
    >>> found = cross_fit(cohort, invarmr.StationaryInstruments(), invarmr.LimitedInformationML(), n_parts=2, seed=1)
    >>> [part.latent.n_latent for part in found.parts]
    [2, 2]
    >>> 1.0 in found.estimate.confidence_set and 1.0 in found.sets["Anderson-Rubin"]
    True
    """
    part = _split(cohort, n_parts, seed, estimator)
    fitted: list[tuple[int, IntArray, LatentInstruments]] = []
    for k in track(range(n_parts)):
        latent = _learned(cohort.subset(np.flatnonzero(part != k)), learner, k, n_parts, seed)
        fitted.append((k, np.flatnonzero(part == k), latent))
    usable = [(people, latent) for _, people, latent in fitted if latent.n_latent]
    if not usable:
        raise NotApplicable(
            f"In none of the {n_parts} parts did held-out people leave a latent instrument, so there is nothing to "
            f"estimate. The first part: {fitted[0][2].verdict.reasons[0]}"
        )
    seen = tuple(cohort.represented(latent) for _, latent in usable)
    designs = tuple(
        IVDesign.from_cohort(
            own.subset(people),
            latent,
            controls=controls,
            environment_effects=environment_effects,
            partial_confounded=partial_confounded,
        )
        for own, (people, latent) in zip(seen, usable, strict=True)
    )
    people = tuple(chosen for chosen, _ in usable)
    maps = LearnedMaps.of(designs, seen)
    learning = maps.covariance() if maps is not None and estimator.count_learning else None
    design = StackedDesign(parts=designs, people=people, cohort=cohort, learning=learning)
    return _combined(design, maps, estimator, fitted)


def _split(cohort: Cohort, n_parts: int, seed: int, estimator: KClass) -> IntArray:
    """Part of every person, once it is clear that the parts can be estimated on."""
    if not isinstance(cohort, Cohort):
        raise InputError(
            "Cross-fitting learns from some people and estimates on others: it needs a cohort, but "
            f"{type(cohort).__name__} came. From moments alone, use bootstrap_effect or the plain interval."
        )
    if n_parts < 2:
        raise InputError(f"n_parts must be at least 2, so that somebody is left to learn from, but is {n_parts}.")
    if not estimator.uses_instruments:
        raise InputError(f"{estimator.method} uses no instruments, so there is nothing to cross-fit. Choose LIML, say.")
    part = split_people(
        cohort.environment, n_parts=n_parts, seed=seed, sample_ids=cohort.sample_ids, cluster=cohort.cluster
    )
    counts = np.zeros((len(cohort.environments), n_parts), dtype=np.intp)
    np.add.at(counts, (cohort.environment, part), 1)
    needed = cohort.n_instruments + len(cohort.covariate_names) + 2
    small = np.flatnonzero(counts.min(axis=1) < needed)
    if small.size:
        found = [f"{cohort.environments[e]} ({counts[e].min()})" for e in small]
        raise InputError(
            f"Every part must have at least {needed} people of every environment ({cohort.n_instruments} instruments, "
            f"{len(cohort.covariate_names)} covariates), but with n_parts = {n_parts} the smallest part has fewer of "
            f"{first_few(found)}. Use fewer parts, or merge small environments."
        )
    return part


def _learned(others: Cohort, learner: _Learner, k: int, n_parts: int, seed: int) -> LatentInstruments:
    own: Any = learner
    if getattr(learner, "checkpoint", None) is not None:
        own = replace(own, checkpoint=Path(own.checkpoint) / f"part-{k + 1}-of-{n_parts}")
    try:
        latent: LatentInstruments = own.fit(others, seed=seed)
    except InputError as error:
        raise InputError(
            f"Part {k + 1} of {n_parts}, for which {others.n_samples} people are learned from: {error}"
        ) from error
    return latent


def _combined(
    design: StackedDesign,
    maps: LearnedMaps | None,
    estimator: KClass,
    fitted: Sequence[tuple[int, IntArray, LatentInstruments]],
) -> CrossFitted:
    pooled = estimator.fit(design)
    prefix = "cross-fitted PO(V)-" if design.parts[0].confounded_loadings is not None else "cross-fitted "
    pooled = replace(pooled, method=prefix + pooled.method)
    positions = iter(range(len(design.parts)))
    parts = tuple(
        CrossFittedPart(
            part=k + 1,
            people=people,
            n_learned=design.cohort.n_samples - len(people),
            latent=latent,
            estimate=estimator.fit(design.only(next(positions))) if latent.n_latent else None,
        )
        for k, people, latent in fitted
    )
    try:
        form = stacked_form(design, count_learning=estimator.count_learning)
    except NotApplicable:
        form = None
    estimates = np.array([part.estimate.estimate for part in parts if part.estimate is not None])
    return CrossFitted(
        estimate=pooled,
        parts=parts,
        heterogeneity=_heterogeneity(design, estimates),
        disagreement=_disagreement(design, maps, pooled.estimate),
        design=design,
        form=form,
        verdict=_worst([part.latent.verdict for part in parts]),
    )


def _heterogeneity(design: StackedDesign, estimates: FloatArray) -> Heterogeneity:
    """Q of the parts' estimates; cov(theta_k, theta_l) = h_k'M_kl h_l / (h_k'h_k h_l'h_l), M the covariance of u's.

    u of part k is Y - theta_k D, so that the covariances hold also where the parts disagree.
    """
    df = len(estimates) - 1
    if df == 0:
        return Heterogeneity(None, 0, None)
    parts = design.partialled
    omega = (parts.total - parts.projected) / (parts.n_samples - parts.n_instruments - parts.n_controls)
    V = omega[:, :, None, None] * np.eye(parts.n_instruments)
    if design.learning is not None:
        V = V + design.learning
    own = np.repeat(estimates, [item.stop - item.start for item in design.columns])
    b = np.stack([np.ones_like(own), -own])
    M = np.einsum("ai,acij,cj->ij", b, V, b)
    h = np.zeros((parts.n_instruments, len(estimates)))
    for k, place in enumerate(design.columns):
        h[place, k] = parts.whitened[place, 1] / (parts.whitened[place, 1] @ parts.whitened[place, 1])
    contrasts = linalg.helmert(len(estimates))
    c, C = contrasts @ estimates, contrasts @ h.T @ M @ h @ contrasts.T
    statistic = float(c @ linalg.solve(C, c, assume_a="pos"))
    return Heterogeneity(statistic, df, float(special.chdtrc(df, statistic)))


def _disagreement(design: StackedDesign, maps: LearnedMaps | None, theta: float) -> Heterogeneity:
    """Whether the maps differ by more than the error of learning that is counted."""
    if maps is None or design.parts[0].confounded_loadings is not None:
        return Heterogeneity(None, 0, None)
    found = maps.disagreement(theta)
    if found is None:
        return Heterogeneity(None, 0, None)
    return Heterogeneity(*found, float(special.chdtrc(found[1], found[0])))


def _worst(verdicts: Sequence[Verdict]) -> Verdict:
    """The worst of the parts' verdicts, and the reasons of those that have it."""
    worst = max((item.status for item in verdicts), key=_WORST.index)
    reasons = tuple(
        f"Part {k} of {len(verdicts)}: {reason}"
        for k, item in enumerate(verdicts, start=1)
        if item.status == worst
        for reason in item.reasons
    )
    return Verdict(worst, reasons)
