"""The likelihood ratio test of effect = value, Moreira's conditional version, and the sets that invert them.

Symbols: as in `reduced_form`: LR = AR(theta) - min AR, AR in its chi-squared form; q_T the strength of the instruments
if theta is true; k instruments.

The plain test refers LR to chi2(1) and needs strong instruments. The conditional test refers it to its law given q_T
(`conditional_law`), which does not depend on the instruments' strength: it holds its size however weak they are, and is
close to the most powerful test that does (Andrews, Moreira & Stock 2006). Both sets are sublevel sets of AR: exact
roots of one quadratic. For the conditional set its bound m* solves P(LR > m | q_T = lambda_max - m) = 1 - level, one
root between the quantiles of chi2(1) and chi2(k): q_T = lambda_max - LR along the line of effects (Mikusheva 2010).
With one instrument all of them are AR, F included. With learned instruments Omega counts the learning at every theta.
Sources: Moreira (2003), Econometrica 71:1027; Mikusheva (2010), Journal of Econometrics 157:236.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import optimize, stats

from invarmr.data.design import IVDesign
from invarmr.inference.conditional_law import log_conditional_p_value
from invarmr.inference.confidence_set import ConfidenceSet
from invarmr.inference.quadratic_set import sublevel
from invarmr.inference.reduced_form import ReducedForm, reduced_form
from invarmr.inference.statistical_test import NotApplicable, StatisticalTest, check_value, hypothesis
from invarmr.inference.wald import check_level

__all__ = [
    "conditional_likelihood_ratio_set",
    "conditional_likelihood_ratio_test",
    "largest_accepted",
    "likelihood_ratio_set",
    "likelihood_ratio_test",
]

NAME = "likelihood ratio"
CONDITIONAL_NAME = "conditional likelihood ratio"


def likelihood_ratio_test(design: IVDesign, value: float = 0.0, *, count_learning: bool = True) -> StatisticalTest:
    """Likelihood ratio test that the effect is `value`, chi2(1): errors of equal variance, strong instruments.

    Parameters
    ----------
    design, value, count_learning
        As for `conditional_likelihood_ratio_test`, which is to be preferred.

    Returns
    -------
    StatisticalTest
        `statistic` is LR; `applies` is False where there is no error variance.

    Raises
    ------
    InputError
        `value` not finite.

    References
    ----------
    Anderson & Rubin (1949), Annals of Mathematical Statistics 20:46.

    Examples
    --------
    >>> import numpy as np, invarmr
    >>> rng = np.random.default_rng(1)
    >>> Z = rng.normal(size=(500, 3))
    >>> D = Z @ [0.5, 0.5, 0] + rng.normal(size=500)
    >>> cohort = invarmr.Cohort.from_arrays(
    ...     instrument=Z, exposure=D, outcome=D + rng.normal(size=500), environment=np.arange(500) % 2)
    >>> design = invarmr.IVDesign.from_cohort(cohort)
    >>> print(likelihood_ratio_test(design, 1.0))
    likelihood ratio test of effect = 1: statistic 0.1243 (df 1), p = 0.7244
    >>> print(likelihood_ratio_set(design))
    [0.8915, 1.156]
    """
    null = hypothesis({"effect": check_value(value)})
    try:
        form = reduced_form(design, count_learning=count_learning)
    except NotApplicable as error:
        return StatisticalTest.none(NAME, null, error)
    lr = form.at(np.array([value])).lr
    return StatisticalTest(test=NAME, null=null, statistic=lr, law=form.law)


def likelihood_ratio_set(design: IVDesign, level: float = 0.95, *, count_learning: bool = True) -> ConfidenceSet:
    """Effects that the likelihood ratio test does not reject at 1 - level; never empty, exact, for strong instruments.

    Parameters
    ----------
    design, level, count_learning
        As for `conditional_likelihood_ratio_set`.

    Raises
    ------
    InputError
        `level` outside (0, 1), or no error variance.
    """
    check_level(level)
    form = reduced_form(design, count_learning=count_learning)
    return ConfidenceSet(sublevel(form, float(form.roots[0]) + form.law.quantile(1.0 - level)), level)


def conditional_likelihood_ratio_test(
    design: IVDesign, value: float = 0.0, *, count_learning: bool = True
) -> StatisticalTest:
    """Moreira's conditional likelihood ratio test that the effect is `value`: holds its size with weak instruments.

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
        `statistic` is LR, `df` the number of instruments, `reason` the strength that it is conditional on; `applies` is
        False where there is no error variance.

    Raises
    ------
    InputError
        `value` not finite.

    References
    ----------
    Moreira (2003), Econometrica 71:1027.

    Examples
    --------
    >>> import numpy as np, invarmr
    >>> rng = np.random.default_rng(1)
    >>> Z = rng.normal(size=(500, 3))
    >>> D = Z @ [0.5, 0.5, 0] + rng.normal(size=500)
    >>> cohort = invarmr.Cohort.from_arrays(
    ...     instrument=Z, exposure=D, outcome=D + rng.normal(size=500), environment=np.arange(500) % 2)
    >>> design = invarmr.IVDesign.from_cohort(cohort)
    >>> print(conditional_likelihood_ratio_test(design, 1.0))
    conditional likelihood ratio test of effect = 1: statistic 0.1243 (df 3), p = 0.7256
    >>> print(conditional_likelihood_ratio_set(design))
    [0.8909, 1.156]
    """
    null = hypothesis({"effect": check_value(value)})
    try:
        form = reduced_form(design, count_learning=count_learning)
    except NotApplicable as error:
        return StatisticalTest.none(CONDITIONAL_NAME, null, error)
    at, k = form.at(np.array([value])), form.n_instruments
    reason = f"given the instruments' strength {at.strength:.4g} ({at.strength / k:.3g} per instrument)"
    law = form.conditional(at.strength)
    return StatisticalTest(test=CONDITIONAL_NAME, null=null, statistic=at.lr, law=law, reason=reason)


def conditional_likelihood_ratio_set(
    design: IVDesign, level: float = 0.95, *, count_learning: bool = True
) -> ConfidenceSet:
    """Effects that the conditional likelihood ratio test does not reject at 1 - level: holds LIML, perhaps unbounded.

    Parameters
    ----------
    design, count_learning
        As for `conditional_likelihood_ratio_test`.
    level
        Confidence level in (0, 1).

    Raises
    ------
    InputError
        `level` outside (0, 1), or no error variance.
    """
    check_level(level)
    form = reduced_form(design, count_learning=count_learning)
    return ConfidenceSet(sublevel(form, float(form.roots[0]) + _bound(form, 1.0 - level)), level)


def _bound(form: ReducedForm, size: float) -> float:
    """The largest LR that is accepted along the line of effects; infinite where all are."""
    low, high = (float(root) for root in form.roots)
    return largest_accepted(low, high, form.n_instruments, form.law.quantile(size), size)


def largest_accepted(low: float, high: float, n_instruments: int, smallest: float, size: float) -> float:
    """The largest LR that the conditional test accepts where q = high - LR; infinite where it accepts all.

    Parameters
    ----------
    low, high
        The smallest two roots of |A - lambda Omega|.
    n_instruments
        k of the conditional law.
    smallest
        The quantile at full strength, below which nothing is rejected.
    size
        1 - level.
    """
    if n_instruments == 1:
        return smallest
    largest = min(float(stats.chi2.isf(size, n_instruments)), high - low)

    def excess(m: float) -> float:
        return log_conditional_p_value(m, max(high - m, 0.0), n_instruments) - math.log(size)

    if largest <= smallest or excess(largest) >= 0:
        return math.inf
    return float(optimize.brentq(excess, (1 - 1e-6) * smallest, largest, xtol=1e-14, rtol=1e-14))
