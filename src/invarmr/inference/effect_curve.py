"""P-values of every value of the effect: the curves that the confidence sets cut.

Symbols: as in `reduced_form`. A set at level 1 - a is where its curve lies above a.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from invarmr.arrays import FloatArray
from invarmr.data.design import IVDesign
from invarmr.inference.anderson_rubin import anderson_rubin_set
from invarmr.inference.confidence_set import ConfidenceSet
from invarmr.inference.likelihood_ratio import conditional_likelihood_ratio_set
from invarmr.inference.reduced_form import reduced_form
from invarmr.inference.wald import check_level, wald_p_value, wald_set

__all__ = ["EffectCurve", "effect_curve"]


@dataclass(frozen=True, eq=False)
class EffectCurve:
    """The Wald, Anderson-Rubin and conditional likelihood ratio tests at many values of the effect.

    Parameters
    ----------
    values
        (m,) increasing, in units of outcome per unit of exposure.
    wald, anderson_rubin, conditional_likelihood_ratio
        (m,) p-values.
    sets
        Test to the confidence set that inverts it.
    """

    values: FloatArray
    wald: FloatArray
    anderson_rubin: FloatArray
    conditional_likelihood_ratio: FloatArray
    sets: dict[str, ConfidenceSet]


def effect_curve(
    design: IVDesign, estimate: float, std_error: float, *, level: float = 0.95, n_values: int = 161
) -> EffectCurve:
    """P-values of the three tests around an estimate, and their confidence sets.

    The values run over the Wald set and half its length beyond on either side, or over the finite ends of the other
    sets where these reach further, up to ten lengths of the Wald set.

    Parameters
    ----------
    design
        The design of the estimate. Errors of equal variance; the error of learning is counted.
    estimate, std_error
        Of the Wald test.
    level
        Of the sets.
    n_values
        Values of the curve; the estimate and the ends of the sets are added.

    Raises
    ------
    NotApplicable
        There is no error variance.
    InputError
        `level` outside (0, 1).

    Examples
    --------
    >>> import numpy as np, invarmr
    >>> rng = np.random.default_rng(1)
    >>> Z = rng.normal(size=(500, 3))
    >>> D = Z @ [0.5, 0.5, 0] + rng.normal(size=500)
    >>> cohort = invarmr.Cohort.from_arrays(
    ...     instrument=Z, exposure=D, outcome=D + rng.normal(size=500), environment=np.arange(500) % 2)
    >>> curve = effect_curve(invarmr.IVDesign.from_cohort(cohort), 1.02, 0.07)
    >>> for test, found in curve.sets.items():
    ...     print(f"{test}: {found}")
    Wald: [0.8828, 1.157]
    Anderson-Rubin: [0.8329, 1.214]
    conditional likelihood ratio: [0.8909, 1.156]
    """
    check_level(level)
    form = reduced_form(design)
    sets = {
        "Wald": wald_set(estimate, std_error, level=level),
        "Anderson-Rubin": anderson_rubin_set(design, level),
        "conditional likelihood ratio": conditional_likelihood_ratio_set(design, level),
    }
    values = _values(estimate, sets, n_values)
    k = form.n_instruments
    wald, ar, clr = np.empty((3, len(values)))
    for i, value in enumerate(values):
        at = form.at(np.array([value]))
        wald[i] = wald_p_value(estimate, std_error, float(value))
        ar[i] = math.exp(form.joint_law.log_p(at.ar / k))
        clr[i] = math.exp(form.conditional(at.strength).log_p(at.lr))
    return EffectCurve(values, wald, ar, clr, sets)


def _values(estimate: float, sets: dict[str, ConfidenceSet], n_values: int) -> FloatArray:
    wald = sets["Wald"]
    length = wald.upper - wald.lower
    ends = [end for found in sets.values() for pair in found.intervals for end in pair if math.isfinite(end)]
    low = max(min([wald.lower - length / 2, *(end - length / 10 for end in ends)]), estimate - 10 * length)
    high = min(max([wald.upper + length / 2, *(end + length / 10 for end in ends)]), estimate + 10 * length)
    inside = [end for end in ends if low <= end <= high]
    return np.unique(np.concatenate([np.linspace(low, high, n_values), inside, [estimate]]))
