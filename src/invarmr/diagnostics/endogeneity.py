"""Whether instruments are needed, and whether they agree: Wu-Hausman and Basmann, by F tests on moments.

Symbols: x exposure and y outcome given the c controls (the constant counted); P projection on the k instruments;
p = Px, r = x - Px; u = y - theta x.
Sources: Durbin (1954), Review of the International Statistical Institute 22:23; Wu (1973), Econometrica 41:733; Hausman
(1978), Econometrica 46:1251; Basmann (1960), Journal of the American Statistical Association 55:650.
"""

from __future__ import annotations

import numpy as np

from invarmr.data.design import IVDesign
from invarmr.diagnostics.check import REJECTION, Check, not_applicable
from invarmr.diagnostics.exclusion import agreement
from invarmr.estimators.estimate import Estimate
from invarmr.estimators.learning_error import learning_inflation
from invarmr.inference.null_law import FLaw
from invarmr.linalg.symmetric import RANK_TOLERANCE

__all__ = ["basmann_check", "wu_hausman_check"]

_SAME = "least squares and the instruments give the same effect, so the exposure is not confounded"
_AGREE = "all instruments give the same effect, so none acts on the outcome other than through the exposure"


def wu_hausman_check(design: IVDesign) -> Check:
    """Wu and Hausman's F of the first-stage residual in the regression of the outcome on the exposure, F(1, n - c - 2).

    rho = r'y / r'r - p'y / p'p is what the residual adds to the effect that the instruments give;

        F = rho^2 / { s2 (phi / p'p + 1 / r'r) },   s2 = (y'y - (p'y)^2 / p'p - (r'y)^2 / r'r) / (n - c - 2),

    phi the factor that learning the instruments gives the variance of the effect (1 where they were not learned).

    Returns
    -------
    Check
        Of assumption `exchangeability`: of the exposure, not of the instruments. Not applicable where the instruments
        explain all or nothing of the exposure.

    Examples
    --------
    >>> import numpy as np, invarmr
    >>> rng = np.random.default_rng(1)
    >>> Z, confounder = rng.normal(size=(500, 3)), rng.normal(size=500)
    >>> D = Z @ [0.5, 0.5, 0] + confounder + rng.normal(size=500)
    >>> cohort = invarmr.Cohort.from_arrays(
    ...     instrument=Z, exposure=D, outcome=D + confounder + rng.normal(size=500), environment=np.arange(500) % 2)
    >>> check = wu_hausman_check(invarmr.IVDesign.from_cohort(cohort))
    >>> check.conclusion
    'least squares and the instruments differ: the exposure is confounded'
    """
    name, parts = "Wu-Hausman F", design.partialled
    T, A = parts.total, parts.projected
    outside = T - A
    free = parts.n_samples - parts.n_controls - 2
    if min(A[1, 1], outside[1, 1]) <= RANK_TOLERANCE * T[1, 1] or free < 1:
        reason = "the instruments explain all or nothing of the exposure, or samples are too few"
        return not_applicable("exchangeability", name, _SAME, reason)
    by_instruments, by_rest = A[0, 1] / A[1, 1], outside[0, 1] / outside[1, 1]
    s2 = (T[0, 0] - by_instruments * A[0, 1] - by_rest * outside[0, 1]) / free
    if s2 <= RANK_TOLERANCE * T[0, 0] / free:
        return not_applicable(
            "exchangeability", name, _SAME, "there is no error of the outcome left to measure against"
        )
    phi = learning_inflation(design, float(T[0, 1] / T[1, 1]))
    f = float((by_rest - by_instruments) ** 2 / (s2 * (phi / A[1, 1] + 1 / outside[1, 1])))
    law = FLaw(1, free)
    differ = "differ: the exposure is confounded" if law.p_value(f) < REJECTION else "do not differ clearly"
    return Check(
        assumption="exchangeability",
        test=name,
        null=_SAME,
        statistic=f,
        law=law,
        conclusion=f"least squares and the instruments {differ}",
        reason="of the exposure; it trusts the instruments, and has little power where they are weak"
        + ("" if phi == 1.0 else f"; counts the error of learning (factor {phi:.3g})"),
    )


def basmann_check(design: IVDesign, estimate: Estimate) -> Check:
    """Basmann's F of over-identification, {u'Pu / (k - 1)} / {u'(I - P)u / (n - k - c)}, F(k - 1, n - k - c).

    Closer to its nominal size in small samples than Sargan's J, with which it agrees in large ones. With learned
    instruments it is divided by the factor by which learning inflates the variance of Z'u.

    Parameters
    ----------
    design, estimate
        The design, and the 2SLS or LIML estimate it gave.

    Returns
    -------
    Check
        Of assumption `exclusion`; not applicable with one instrument.
    """
    parts = design.partialled
    k, free = parts.n_instruments, parts.n_samples - parts.n_instruments - parts.n_controls
    if k < 2:
        return not_applicable("exclusion", "Basmann F", _AGREE, "as many instruments as exposures: nothing to compare")
    b = np.array([1.0, -estimate.estimate])
    inside, whole = float(b @ parts.projected @ b), float(b @ parts.total @ b)
    f = inside / (k - 1) / ((whole - inside) / free) / estimate.learning_inflation
    law = FLaw(k - 1, free)
    return Check(
        assumption="exclusion",
        test="Basmann F",
        null=_AGREE,
        statistic=f,
        law=law,
        conclusion=agreement(law.p_value(f)),
        reason="it cannot see a violation that all instruments share"
        + (
            "" if estimate.learning_inflation == 1.0 else f"; divided by {estimate.learning_inflation:.3g} for learning"
        ),
    )
