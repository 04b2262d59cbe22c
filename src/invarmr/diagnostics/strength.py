"""How strong the instruments are, and how strong they need to be: Cragg-Donald, Kleibergen-Paap, effective F.

Symbols: x exposure given the c controls (the constant counted), z orthonormal instruments (k); pi = z'x; V (k, k) the
covariance of pi, robust to unequal variances or clustered (`score_covariance`); n samples.

    Cragg-Donald     F = (x'Px / k) / (x'(I - P)x / (n - k - c)),    equal to the first-stage F with one exposure
    Kleibergen-Paap  F = pi'V^-1 pi / k
    effective        F = pi'pi / tr V

Bounds. Stock & Yogo: F above c(k, b) rejects, at 5 %, that the bias of 2SLS exceeds the share b of that of OLS:
c = q / k, q the 95 % point of chi2_k with noncentrality mu2, where 1F1(1; k/2; -mu2 / 2) equals b (closed form of
Skeels & Windmeijer, k >= 2; the printed table was simulated and differs by up to 0.15). Montiel Olea & Pflueger:
effective F above c(tau) rejects, at 5 %, that the worst Nagar bias exceeds the share tau; with x = 1 / tau and w the
eigenvalues of V / tr V, by Patnaik's approximation

    K = (1 + 2 x) / (sum w^2 + 2 x max w),    c = (95 % point of chi2_K with noncentrality K x) / K.

It is their simplified bound, at or above the exact one. Sources: Cragg & Donald (1993), Econometric Theory 9:222;
Kleibergen & Paap (2006), Journal of Econometrics 133:97; Stock & Yogo (2005), in Identification and Inference for
Econometric Models, Cambridge; Skeels & Windmeijer (2018), Econometrics 6:44; Montiel Olea & Pflueger (2013), Journal of
Business & Economic Statistics 31:358; Patnaik (1949), Biometrika 36:202.
"""

from __future__ import annotations

import numpy as np
from scipy import linalg, optimize, special, stats

from invarmr.arrays import FloatArray
from invarmr.data.design import IVDesign
from invarmr.diagnostics.check import Check, not_applicable
from invarmr.errors import InputError
from invarmr.estimators.kclass import first_stage
from invarmr.inference.null_law import FLaw
from invarmr.inference.robust_anderson_rubin import score_covariance
from invarmr.inference.statistical_test import NotApplicable
from invarmr.linalg.symmetric import RANK_TOLERANCE

__all__ = [
    "cragg_donald_check",
    "effective_f_bound",
    "effective_f_check",
    "kleibergen_paap_check",
    "stock_yogo_bound",
    "strength_checks",
]

_IRRELEVANT = "no instrument predicts the exposure, given the controls"


def stock_yogo_bound(n_instruments: int, bias: float = 0.1) -> float:
    """Cragg-Donald F above which 2SLS has at most the share `bias` of the bias of OLS, one exposure, a 5 % test.

    Parameters
    ----------
    n_instruments
        k, at least 2: with one instrument 2SLS has no mean.
    bias
        Largest tolerated share, in (0, 1).

    Raises
    ------
    InputError
        k < 2, or `bias` outside (0, 1).

    References
    ----------
    Stock & Yogo (2005), table 5.1; Skeels & Windmeijer (2018), Econometrics 6:44.

    Examples
    --------
    >>> [round(stock_yogo_bound(k), 2) for k in (3, 4, 5)]
    [9.18, 10.23, 10.78]
    """
    if n_instruments < 2 or not 0 < bias < 1:
        raise InputError(
            f"The Stock-Yogo bound needs two instruments or more and a bias in (0, 1), but came {n_instruments} "
            f"and {bias!r}."
        )
    k = n_instruments
    noncentrality = optimize.brentq(lambda m: float(special.hyp1f1(1.0, k / 2, -m / 2)) - bias, 0.0, 10 * k / bias)
    return float(stats.ncx2.isf(0.05, k, noncentrality) / k)


def effective_f_bound(covariance: FloatArray, bias: float = 0.1) -> float:
    """Effective F above which the worst-case Nagar bias of 2SLS is at most the share `bias`, a 5 % test (simplified).

    Parameters
    ----------
    covariance
        V (k, k), in any unit: only its eigenvalues relative to their sum matter.
    bias
        tau, in (0, 1).

    Raises
    ------
    InputError
        `bias` outside (0, 1).

    References
    ----------
    Montiel Olea & Pflueger (2013), Journal of Business & Economic Statistics 31:358.

    Examples
    --------
    >>> [round(effective_f_bound(np.eye(1), tau), 2) for tau in (0.05, 0.1, 0.2, 0.3)]
    [37.42, 23.11, 15.06, 12.05]
    """
    if not 0 < bias < 1:
        raise InputError(f"bias must lie in (0, 1), but is {bias!r}.")
    weights = linalg.eigvalsh(covariance) / np.trace(covariance)
    x = 1 / bias
    K = (1 + 2 * x) / (weights @ weights + 2 * x * weights.max())
    return float(stats.ncx2.isf(0.05, K, K * x) / K)


def cragg_donald_check(design: IVDesign) -> Check:
    """Cragg and Donald's F, with the Stock-Yogo bound for 10 % of the bias of OLS; errors of equal variance.

    Examples
    --------
    >>> import numpy as np, invarmr
    >>> rng = np.random.default_rng(1)
    >>> Z = rng.normal(size=(500, 3))
    >>> D = Z @ [0.5, 0.5, 0] + rng.normal(size=500)
    >>> cohort = invarmr.Cohort.from_arrays(
    ...     instrument=Z, exposure=D, outcome=D + rng.normal(size=500), environment=np.arange(500) % 2)
    >>> cragg_donald_check(invarmr.IVDesign.from_cohort(cohort)).conclusion
    'F 75.0 is above 9.18: the bias of 2SLS is below 10 % of that of OLS'
    """
    parts = design.partialled
    k, free = parts.n_instruments, parts.n_samples - parts.n_instruments - parts.n_controls
    f, _ = first_stage(parts)
    if k < 2:
        conclusion = f"F {f:.1f}; no Stock-Yogo bound on bias exists for one instrument"
    else:
        bound = stock_yogo_bound(k)
        low, verb = ("above", "is below") if f > bound else ("not above", "may exceed")
        conclusion = f"F {f:.1f} is {low} {bound:.2f}: the bias of 2SLS {verb} 10 % of that of OLS"
    return Check(
        assumption="relevance",
        test="Cragg-Donald F",
        null=_IRRELEVANT,
        statistic=f,
        law=FLaw(k, free),
        conclusion=conclusion,
        reason="with one exposure it is the first-stage F; errors of equal variance",
    )


def kleibergen_paap_check(design: IVDesign, *, clustered: bool = False) -> Check:
    """Kleibergen and Paap's rank F: the first-stage F that is right with unequal variances or clusters; needs rows.

    HC1 or clustered covariance, referred to F(k, n - k - c) or F(k, clusters - 1).
    """
    name = "Kleibergen-Paap F"
    try:
        V, free = _robust_covariance(design, clustered=clustered)
    except NotApplicable as error:
        return not_applicable("relevance", name, _IRRELEVANT, str(error))
    pi = design.partialled.whitened[:, 1]
    f = float(pi @ linalg.solve(V[1, 1], pi, assume_a="pos")) / len(pi)
    return Check(
        assumption="relevance",
        test=name,
        null=_IRRELEVANT,
        statistic=f,
        law=FLaw(len(pi), free),
        conclusion=f"F {f:.1f}, {'clustered' if clustered else 'robust to unequal variances'}",
        reason="Stock-Yogo bounds do not hold for it: see the effective F",
    )


def effective_f_check(design: IVDesign, *, clustered: bool = False) -> Check:
    """Montiel Olea and Pflueger's effective F with its bounds for 5 % and 10 % of the worst-case bias; needs rows."""
    name, null = "effective F", "the bias of 2SLS may exceed 10 % of its worst case"
    try:
        V, _ = _robust_covariance(design, clustered=clustered)
    except NotApplicable as error:
        return not_applicable("relevance", name, null, str(error))
    f = float(design.partialled.projected[1, 1] / np.trace(V[1, 1]))
    five, ten = (effective_f_bound(V[1, 1], bias) for bias in (0.05, 0.1))
    share = "below 5 %" if f > five else "below 10 %" if f > ten else "possibly above 10 %"
    return Check(
        assumption="relevance",
        test=name,
        null=null,
        statistic=f,
        conclusion=f"F {f:.1f} (bounds {ten:.1f} for 10 %, {five:.1f} for 5 %): bias {share} of the worst case",
        reason="for 2SLS; rejected at 5 % above the bound for 10 %; simplified, conservative bound",
    )


def _robust_covariance(design: IVDesign, *, clustered: bool) -> tuple[FloatArray, int]:
    parts = design.partialled
    if parts.total[1, 1] - parts.projected[1, 1] <= RANK_TOLERANCE * parts.total[1, 1]:
        raise NotApplicable("the instruments explain the exposure entirely")
    return score_covariance(design, clustered=clustered)


def strength_checks(design: IVDesign, *, clustered: bool = False) -> list[Check]:
    """All three checks of strength."""
    return [
        cragg_donald_check(design),
        kleibergen_paap_check(design, clustered=clustered),
        effective_f_check(design, clustered=clustered),
    ]
