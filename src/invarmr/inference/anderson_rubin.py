"""The Anderson-Rubin test of effect = value, and the set that inverts it: right however weak the instruments are.

Symbols: u = Y - theta D given the controls; P projection on the k instruments; n samples, c controls with the constant;

    F_AR(theta) = (u'Pu / k) / (u'(I - P)u / (n - k - c)),    F(k, n - k - c) under the null.

It tests at once that the effect is theta and that every instrument is valid: a set that is empty says that no effect
agrees with all instruments. Exact for normal errors of equal variance, right in large samples without normality. With
learned instruments u'(I - P)u / (n - k - c) gains b'Q b, the variance that learning adds at this very theta
(`learning_covariance`); to first order this divides F by `learning_inflation` at theta.
Robust and clustered versions: `robust_anderson_rubin`. Source: Anderson & Rubin (1949), Annals of Mathematical
Statistics 20:46.
"""

from __future__ import annotations

import numpy as np

from invarmr.data.design import IVDesign
from invarmr.inference.confidence_set import ConfidenceSet
from invarmr.inference.quadratic_set import sublevel
from invarmr.inference.reduced_form import reduced_form
from invarmr.inference.robust_anderson_rubin import RobustErrors, robust_form
from invarmr.inference.statistical_test import NotApplicable, StatisticalTest, check_value, hypothesis
from invarmr.inference.wald import check_level

__all__ = ["anderson_rubin_set", "anderson_rubin_test"]

NAME = "Anderson-Rubin"


def anderson_rubin_test(
    design: IVDesign, value: float = 0.0, *, std_errors: RobustErrors = "homoskedastic", count_learning: bool = True
) -> StatisticalTest:
    """Anderson-Rubin test that the effect is `value` and every instrument valid.

    Parameters
    ----------
    design
        Instruments, controls and their moments.
    value
        The tested effect, in units of outcome per unit of exposure.
    std_errors
        `homoskedastic`: F(k, n - k - c). `robust` or `clustered`: a Wald test in the reduced form with HC1 or clustered
        covariance, F(k, n - k - c) or F(k, clusters - 1), by a pass over the rows.
    count_learning
        Whether to count the error with which learned instruments were learned, at `value`.

    Returns
    -------
    StatisticalTest
        `statistic` is F, divided by k. `applies` is False where there is no error variance, rows or clusters
        are missing, or clusters are no more than instruments.

    Raises
    ------
    InputError
        `value` not finite, or `std_errors` unknown.

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
    >>> print(anderson_rubin_test(design, 1.0))
    Anderson-Rubin test of effect = 1: statistic 0.044972 (df 3, 496), p = 0.9873
    >>> print(anderson_rubin_set(design))
    [0.8329, 1.214]
    """
    null = hypothesis({"effect": check_value(value)})
    try:
        if std_errors == "homoskedastic":
            form = reduced_form(design, count_learning=count_learning)
            law = form.joint_law
            f = form.at(np.array([value])).ar / form.n_instruments
        else:
            robust = robust_form(design, std_errors, count_learning=count_learning)
            law = robust.law
            f = robust.at(value)
    except NotApplicable as error:
        return StatisticalTest.none(NAME, null, error)
    return StatisticalTest(test=NAME, null=null, statistic=f, law=law)


def anderson_rubin_set(
    design: IVDesign, level: float = 0.95, *, std_errors: RobustErrors = "homoskedastic", count_learning: bool = True
) -> ConfidenceSet:
    """Effects that the Anderson-Rubin test does not reject at 1 - level: exact, perhaps empty, unbounded or disjoint.

    The roots of the quadratic b'(A - c Omega)b in theta, b = (1, -theta), c = k times the quantile of F; with robust or
    clustered errors the real eigenvalues of a quadratic matrix polynomial, each then found by bracketing.

    Parameters
    ----------
    design, std_errors, count_learning
        As for `anderson_rubin_test`; learning is counted at every value of the effect, not at the estimate only.
    level
        Confidence level in (0, 1).

    Raises
    ------
    InputError
        `level` outside (0, 1), or the test does not apply to this design.
    """
    check_level(level)
    if std_errors == "homoskedastic":
        form = reduced_form(design, count_learning=count_learning)
        bound = form.joint_law.quantile(1.0 - level) * form.n_instruments
        return ConfidenceSet(sublevel(form, bound), level)
    return robust_form(design, std_errors, count_learning=count_learning).confidence_set(level)
