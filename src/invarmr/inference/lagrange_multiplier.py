"""Kleibergen's Lagrange multiplier (K) test of effect = value, and the set that inverts it.

Symbols: as in `reduced_form`: LM = (T'S)'(T'T)^-1 (T'S), chi2(1) under the null however weak the instruments are. It
looks at the one direction of the instruments that informs on the effect, so it does not lose power as AR does when the
instruments are many; but LM is also zero where AR is largest, so its set may hold a second, spurious part.
With one instrument it is AR, F included. With learned instruments Omega counts the learning at every
theta. With x = (AR - lambda_min) / Delta, LM <= c is Delta^2 x^2 - Delta (Delta + c) x + c lambda_max >= 0: two roots
in x, each a sublevel set of AR, so at most four ends, all exact. Source: Kleibergen (2002), Econometrica 70:1781.
"""

from __future__ import annotations

import math

import numpy as np

from invarmr.data.design import IVDesign
from invarmr.inference.confidence_set import ConfidenceSet
from invarmr.inference.quadratic_set import WHOLE_LINE, Intervals, sublevel, superlevel, union
from invarmr.inference.reduced_form import ReducedForm, reduced_form
from invarmr.inference.statistical_test import NotApplicable, StatisticalTest, check_value, hypothesis
from invarmr.inference.wald import check_level

__all__ = ["lagrange_multiplier_set", "lagrange_multiplier_test"]

NAME = "Lagrange multiplier"


def lagrange_multiplier_test(design: IVDesign, value: float = 0.0, *, count_learning: bool = True) -> StatisticalTest:
    """Kleibergen's LM test that the effect is `value`, errors of equal variance.

    Parameters
    ----------
    design
        Instruments, controls and their moments.
    value
        The tested effect, in units of outcome per unit of exposure.
    count_learning
        Whether to count the error with which learned instruments were learned.

    Returns
    -------
    StatisticalTest
        `statistic` is LM, chi-squared with 1 degree of freedom (F with one instrument); `applies` is False where there
        is no error variance.

    Raises
    ------
    InputError
        `value` not finite.

    References
    ----------
    Kleibergen (2002), Econometrica 70:1781.

    Examples
    --------
    >>> import numpy as np, invarmr
    >>> rng = np.random.default_rng(1)
    >>> Z = rng.normal(size=(500, 3))
    >>> D = Z @ [0.5, 0.5, 0] + rng.normal(size=500)
    >>> cohort = invarmr.Cohort.from_arrays(
    ...     instrument=Z, exposure=D, outcome=D + rng.normal(size=500), environment=np.arange(500) % 2)
    >>> design = invarmr.IVDesign.from_cohort(cohort)
    >>> print(lagrange_multiplier_test(design, 1.0))
    Lagrange multiplier test of effect = 1: statistic 0.12429 (df 1), p = 0.7244
    >>> print(lagrange_multiplier_set(design))
    (-inf, -1237] U [0.8915, 1.156] U [1002, inf)
    """
    null = hypothesis({"effect": check_value(value)})
    try:
        form = reduced_form(design, count_learning=count_learning)
    except NotApplicable as error:
        return StatisticalTest.none(NAME, null, error)
    lm = form.at(np.array([value])).lm
    return StatisticalTest(test=NAME, null=null, statistic=lm, law=form.law)


def lagrange_multiplier_set(design: IVDesign, level: float = 0.95, *, count_learning: bool = True) -> ConfidenceSet:
    """Effects that the LM test does not reject at 1 - level: never empty, perhaps in two parts, perhaps unbounded.

    Parameters
    ----------
    design, count_learning
        As for `lagrange_multiplier_test`.
    level
        Confidence level in (0, 1).

    Raises
    ------
    InputError
        `level` outside (0, 1), or no error variance.
    """
    check_level(level)
    form = reduced_form(design, count_learning=count_learning)
    return ConfidenceSet(_accepted(form, form.law.quantile(1.0 - level)), level)


def _accepted(form: ReducedForm, c: float) -> Intervals:
    low, high = (float(root) for root in form.roots)
    delta = high - low
    if form.n_instruments == 1:
        return sublevel(form, c)
    if c >= delta or (gap := (delta + c) ** 2 - 4 * c * high) <= 0:
        return WHOLE_LINE
    near = 2 * c * high / (delta + c + math.sqrt(gap))
    return union(sublevel(form, low + near), superlevel(form, low + c * high / near))
