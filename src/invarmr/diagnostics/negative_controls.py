"""Negative controls: traits that the exposure cannot change, and exposures that cannot change the outcome.

A negative-control outcome shares the outcome's confounders and is no consequence of the exposure; the estimated effect
on it is bias. A negative-control exposure shares the exposure's confounders and is no cause of the outcome; an
association of the instruments with it is confounding of the instruments, and its estimated effect is bias.
Symbols: none. Sources: Lipsitch, Tchetgen Tchetgen & Cohen (2010), Epidemiology 21:383; Sanderson et al. (2021),
International Journal of Epidemiology 50:1350, for Mendelian randomization.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from invarmr.arrays import FloatArray, IntArray
from invarmr.data.cohort import Cohort
from invarmr.data.design import Control, IVDesign
from invarmr.data.latent_instruments import LatentInstruments
from invarmr.data.moments import EnvironmentMoments
from invarmr.diagnostics.check import REJECTION, Check
from invarmr.errors import InputError
from invarmr.estimators.estimate import Estimate
from invarmr.estimators.kclass import KClass, LimitedInformationML, OrdinaryLeastSquares
from invarmr.inference.anderson_rubin import anderson_rubin_test
from invarmr.inference.statistical_test import StatisticalTest

__all__ = ["ControlEstimate", "ControlTrait", "Role", "negative_control_checks", "negative_controls"]

Role = Literal["outcome", "exposure"]


@dataclass(frozen=True, eq=False)
class ControlTrait:
    """A negative control.

    Parameters
    ----------
    name, role
        Name, and whether it stands in for the outcome or for the exposure.
    values
        (n,) numbers, NaN where missing.
    """

    name: str
    role: Role
    values: FloatArray


@dataclass(frozen=True, kw_only=True)
class ControlEstimate:
    """One row of `negative_controls.tsv`.

    Parameters
    ----------
    control, role
        The negative control.
    estimate
        Effect of the exposure on it (`outcome`), or its effect on the outcome (`exposure`), with one instrument set.
    joint
        Anderson-Rubin test that the instruments do not predict the control; None for least squares.
    headline
        Whether the instrument set is that of the headline.
    """

    control: str
    role: Role
    estimate: Estimate
    joint: StatisticalTest | None
    headline: bool


_LIML = LimitedInformationML()


def negative_controls(
    cohort: Cohort,
    controls: Sequence[ControlTrait],
    *,
    latent: LatentInstruments | None = None,
    headline: str = "observed",
    estimator: KClass = _LIML,
) -> tuple[ControlEstimate, ...]:
    """Estimate with every instrument set: least squares, and an estimator with observed and learned instruments.

    Parameters
    ----------
    cohort
        The people.
    controls
        Negative controls of the same people; those without a value are left out of that control alone.
    latent
        What was learned, if anything.
    headline
        Label of the instrument set of the headline.
    estimator
        Of all but least squares, which has its level; standard errors that need rows give way to its default ones.

    Returns
    -------
    tuple of ControlEstimate
        Without those that cannot be estimated.

    Raises
    ------
    InputError
        A control of another length, or that does not vary.

    Examples
    --------
    >>> import numpy as np, invarmr
    >>> rng = np.random.default_rng(1)
    >>> ancestry = rng.normal(size=3000)
    >>> Z = ancestry + rng.normal(size=3000)
    >>> D = Z + rng.normal(size=3000)
    >>> cohort = invarmr.Cohort.from_arrays(
    ...     instrument=Z, exposure=D, outcome=D + ancestry, environment=np.arange(3000) % 2)
    >>> tan = ControlTrait("tan", "outcome", 2 * ancestry + rng.normal(size=3000))
    >>> [(row.estimate.instruments, row.estimate.p_value < 0.01) for row in negative_controls(cohort, [tan])]
    [('none', True), ('observed', True), ('observed+environment', True)]
    """
    for control in controls:
        _check(control, cohort.n_samples)
    learned = latent if latent is not None and latent.n_latent else None
    seen = cohort if learned is None else cohort.represented(learned)
    out: list[ControlEstimate] = []
    for people, group in _groups(controls):
        plain = _moments(cohort, people, group)
        features = plain if seen is cohort else _moments(seen, people, group)
        for control in group:
            designs = _designs(cohort, _standing_in(plain, control), None)
            designs += _designs(seen, _standing_in(features, control), learned) if learned is not None else []
            as_outcome = replace(control, role="outcome")
            tested = _designs(cohort, _standing_in(plain, as_outcome), None)
            tested += _designs(seen, _standing_in(features, as_outcome), learned) if learned is not None else []
            out += _estimates(control, designs, tested, headline=headline, estimator=estimator)
    return tuple(out)


def _check(control: ControlTrait, n: int) -> None:
    known = control.values[np.isfinite(control.values)] if len(control.values) == n else None
    if known is None:
        raise InputError(f"{control.name} must have {n} values, one per sample, but has {len(control.values)}.")
    if len(known) == 0 or np.ptp(known) == 0:
        raise InputError(
            f"The negative control {control.name} must vary between samples, but does not. Leave it out, or check the "
            "column."
        )


def _groups(controls: Sequence[ControlTrait]) -> Iterator[tuple[IntArray, list[ControlTrait]]]:
    """Controls known for the same people, so that one pass over these serves them all."""
    groups: dict[bytes, list[ControlTrait]] = {}
    for control in controls:
        groups.setdefault(np.isfinite(control.values).tobytes(), []).append(control)
    for group in groups.values():
        yield np.flatnonzero(np.isfinite(group[0].values)), group


def _moments(cohort: Cohort, people: IntArray, group: Sequence[ControlTrait]) -> EnvironmentMoments:
    """Moments with the controls in the place of the truth."""
    values = np.column_stack([np.nan_to_num(control.values) for control in group])
    carrier = replace(cohort, truth=values, truth_names=tuple(control.name for control in group))
    whole = carrier.moments_of(people)
    present = np.flatnonzero(whole.n_samples > 0)
    return whole if len(present) == len(whole.environments) else whole.subset(present.tolist())


def _standing_in(moments: EnvironmentMoments, control: ControlTrait) -> EnvironmentMoments:
    """The moments with the control as the outcome or the exposure, and no other control."""
    others = set(moments.index("truth").tolist())
    place, replaced = moments.columns.index(f"truth:{control.name}"), moments.columns.index(control.role)
    kept = [place if i == replaced else i for i in range(len(moments.columns)) if i not in others]
    chosen = moments.select(np.array(kept, dtype=np.intp))
    names = tuple(control.role if name == f"truth:{control.name}" else name for name in chosen.columns)
    return replace(chosen, columns=names)


def _designs(cohort: Cohort, moments: EnvironmentMoments, latent: LatentInstruments | None) -> list[IVDesign]:
    given: list[tuple[tuple[Control, ...], bool]] = [(("covariates",), False)]
    if len(moments.environments) > 1:
        given.append((("covariates",), True))
    if cohort.component_names and latent is None:
        given.append((("covariates", "components"), False))
    return [
        replace(
            IVDesign.from_cohort(cohort, latent, moments=moments, controls=controls, environment_effects=effects),
            cohort=None,
        )
        for controls, effects in given
    ]


def _estimates(
    control: ControlTrait, designs: Sequence[IVDesign], tested: Sequence[IVDesign], *, headline: str, estimator: KClass
) -> list[ControlEstimate]:
    out = []
    first: tuple[KClass, ...] = (OrdinaryLeastSquares(level=estimator.level), estimator.from_moments())
    for position, (design, test) in enumerate(zip(designs, tested, strict=True)):
        for kind in first if position == 0 else first[1:]:
            try:
                estimate = kind.fit(design)
                joint = anderson_rubin_test(test, 0.0) if kind.uses_instruments else None
            except InputError:
                continue
            out.append(
                ControlEstimate(
                    control=control.name,
                    role=control.role,
                    estimate=estimate,
                    joint=joint,
                    headline=kind.uses_instruments and design.instrument_set == headline,
                )
            )
    return out


def negative_control_checks(estimates: Sequence[ControlEstimate]) -> tuple[Check, ...]:
    """Rows of `diagnostics.tsv`: each control with the headline's instruments."""
    out = []
    for item in estimates:
        if not item.headline or item.joint is None or item.joint.p_value is None:
            continue
        found, estimate = item.joint.p_value < REJECTION, item.estimate
        out.append(
            Check(
                assumption="exchangeability",
                test=f"negative-control {item.role} {item.control}",
                null=f"the headline's instruments do not predict {item.control}, on which the exposure cannot act"
                if item.role == "outcome"
                else f"the headline's instruments do not predict {item.control}, which is no cause of the outcome",
                statistic=item.joint.statistic,
                law=item.joint.law,
                conclusion=f"the instruments {'predict' if found else 'do not detectably predict'} {item.control}",
                reason=f"Anderson-Rubin; effect {estimate.estimate:.3g} (se {estimate.std_error:.2g}), expected 0; "
                f"{estimate.n_samples:,} people; described only, not in the verdict",
            )
        )
    return tuple(out)
