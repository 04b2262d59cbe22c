"""The effect against the number of principal components that are partialled out.

Where ancestry confounds, an estimate moves as components are added, until they say all that they can; an estimate that
does not need them stays where it is. Everything comes from the moments. Symbols: none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from invarmr.data.design import IVDesign
from invarmr.data.moments import EnvironmentMoments
from invarmr.errors import InputError
from invarmr.estimators.estimate import Estimate
from invarmr.estimators.kclass import KClass

__all__ = ["CountEstimate", "component_curve"]


@dataclass(frozen=True)
class CountEstimate:
    """An estimate with the first `n_components` components partialled out."""

    n_components: int
    instruments: str
    estimate: Estimate


def component_curve(plan: Sequence[tuple[IVDesign, Sequence[KClass]]]) -> tuple[CountEstimate, ...]:
    """Estimate every design with 0, 1, ... up to all components as further controls.

    Parameters
    ----------
    plan
        Designs without components among their controls, and the estimators of each. Standard errors that need rows
        give way to the estimator's default ones.

    Returns
    -------
    tuple of CountEstimate
        By design, estimator and count; without those that cannot be estimated; empty without components.

    Examples
    --------
    >>> import numpy as np, invarmr
    >>> rng = np.random.default_rng(1)
    >>> ancestry = rng.normal(size=2000)
    >>> Z = ancestry + rng.normal(size=2000)
    >>> D = Z + rng.normal(size=2000)
    >>> cohort = invarmr.Cohort.from_arrays(
    ...     instrument=Z, exposure=D, outcome=D + 2 * ancestry + rng.normal(size=2000),
    ...     environment=np.arange(2000) % 2, components=ancestry)
    >>> design = invarmr.IVDesign.from_cohort(cohort)
    >>> curve = component_curve([(design, [invarmr.TwoStageLeastSquares()])])
    >>> [(row.n_components, round(row.estimate.estimate)) for row in curve]
    [(0, 2), (1, 1)]
    """
    out = []
    for design, estimators in plan:
        components = design.moments.index("component")
        if not len(components):
            continue
        steps = [_with_first(design, count) for count in range(len(components) + 1)]
        for estimator in estimators:
            plain = estimator.from_moments()
            for count, step in enumerate(steps):
                try:
                    fitted = plain.fit(step)
                except InputError:
                    continue
                label = design.instrument_set if estimator.uses_instruments else "none"
                out.append(CountEstimate(count, label, replace(fitted, instruments=label)))
    return tuple(out)


def _with_first(design: IVDesign, count: int) -> IVDesign:
    moments = design.moments
    later = moments.index("component")[count:]
    kept = np.setdiff1d(np.arange(len(moments.columns)), later)
    own: EnvironmentMoments = moments.select(kept)
    return replace(design, moments=own, controls=(*design.controls, "components"), cohort=None)
