"""Strength, over-identification and endogeneity with several exposures.

Symbols: X (m) exposures given the c controls (the constant counted), P projection on the k instruments, N = n - k - c;
A = X'PX, Omega = X'(I - P)X / N, pi (k, m) coefficients of X on orthonormal instruments, V_ab the covariance of pi_a,
pi_b.

    Cragg-Donald            F = smallest root of |A - r Omega| / k;   r ~ chi2(k - m + 1) if the rank is m - 1
    Sanderson-Windmeijer    F_j = {e'Pe / (k - m + 1)} / {e'(I - P)e / N},  e = x_j - X_-j d, d by 2SLS: F(k - m + 1, N)
    Kleibergen-Paap         r = l'W^-1 l, l = U'pi w, W = U'(sum_ab w_a w_b V_ab)U, from the singular value
    decomposition
                            of pi Omega^-1/2: U the left vectors beyond m - 1, w = Omega^-1/2 v, v the last right
                            vector; r ~ chi2(k - m + 1), F = r / k
    Sargan                  J = n u'Pu / u'u ~ chi2(k - m)
    Wu-Hausman              F of the m first-stage residuals in the regression of Y on X: F(m, n - c - 2m)

The effective F of Montiel Olea and Pflueger is for one exposure; with several, look at each exposure's conditional F.
Sources: Cragg & Donald (1993), Econometric Theory 9:222; Sanderson & Windmeijer (2016), Journal of Econometrics
190:212; Kleibergen & Paap (2006), Journal of Econometrics 133:97; Sargan (1958); Hausman (1978), Econometrica 46:1251.
"""

from __future__ import annotations

import numpy as np
from scipy import linalg

from invarmr.arrays import FloatArray
from invarmr.data.several_exposures import SeveralExposures
from invarmr.diagnostics.check import REJECTION, Check, not_applicable
from invarmr.diagnostics.exclusion import agreement
from invarmr.estimators.several_exposures import SeveralEffects
from invarmr.inference.null_law import ChiSquared, FLaw
from invarmr.inference.reduced_form import form_of
from invarmr.inference.statistical_test import NotApplicable

__all__ = ["several_exposures_checks"]

_RANK = "the instruments do not tell the exposures apart: a combination of them is not predicted"
_AGREE = "all instruments give the same effects, so none acts on the outcome other than through the exposures"


def several_exposures_checks(
    design: SeveralExposures, estimate: SeveralEffects, *, clustered: bool = False
) -> list[Check]:
    """Cragg-Donald, Sanderson-Windmeijer of each exposure, Kleibergen-Paap, Sargan and Wu-Hausman.

    Parameters
    ----------
    design, estimate
        The design, and the 2SLS or LIML estimate it gave (for Sargan's J).
    clustered
        Kleibergen-Paap with clustered covariance instead of HC1.

    Examples
    --------
    >>> from invarmr.estimators.several_exposures import SeveralExposuresKClass
    >>> rng = np.random.default_rng(1)
    >>> Z, h = rng.normal(size=(500, 4)), rng.normal(size=(500, 1))
    >>> X = Z @ [[1, 0], [1, 0.9], [1, 1], [1, 1]] + h + rng.normal(size=(500, 2))
    >>> Y = X @ [1.0, -0.5] + h[:, 0] + rng.normal(size=500)
    >>> design = SeveralExposures.from_arrays(instrument=Z, exposures=X, outcome=Y, exposure_names=["LDL", "HDL"])
    >>> for check in several_exposures_checks(design, SeveralExposuresKClass().fit(design)):
    ...     print(check.test, None if check.statistic is None else round(check.statistic, 1))
    Cragg-Donald F 49.1
    conditional F of LDL 70.4
    conditional F of HDL 67.4
    Kleibergen-Paap F 47.5
    Sargan J 1.8
    Wu-Hausman F 58.4
    """
    return [
        _cragg_donald(design),
        *(_conditional(design, place) for place in range(len(design.exposures))),
        _kleibergen_paap(design, clustered=clustered),
        _sargan(design, estimate),
        _wu_hausman(design),
    ]


def _cragg_donald(design: SeveralExposures) -> Check:
    parts, m = design.partialled, len(design.exposures)
    try:
        form = form_of(parts)
    except NotApplicable as error:
        return not_applicable("relevance", "Cragg-Donald F", _RANK, str(error))
    k = parts.n_instruments
    root = float(linalg.eigh(form.projected[1:, 1:], form.covariance[1:, 1:], eigvals_only=True)[0])
    return Check(
        assumption="relevance",
        test="Cragg-Donald F",
        null=_RANK,
        statistic=root / k,
        law=ChiSquared(k - m + 1, divisor=k),
        conclusion=f"F {root / k:.1f} of the combination of exposures that the instruments predict worst",
        reason="errors of equal variance; the p-value is that of k F against chi-squared",
    )


def _conditional(design: SeveralExposures, place: int) -> Check:
    parts, name = design.partialled, design.exposures[place]
    k, m = parts.n_instruments, len(design.exposures)
    free = parts.n_samples - k - parts.n_controls
    others = [1 + j for j in range(m) if j != place]
    A, T = parts.projected, parts.total
    e = np.zeros(1 + m)
    e[1 + place] = 1.0
    e[others] = -np.linalg.lstsq(A[np.ix_(others, others)], A[others, 1 + place], rcond=None)[0]
    inside, whole = float(e @ A @ e), float(e @ T @ e)
    null = f"the instruments say nothing of {name} that they do not say of the other exposures"
    if whole - inside <= 0:
        return not_applicable("relevance", f"conditional F of {name}", null, "the instruments explain it entirely")
    f = inside / (k - m + 1) / ((whole - inside) / free)
    return Check(
        assumption="relevance",
        test=f"conditional F of {name}",
        null=null,
        statistic=f,
        law=FLaw(k - m + 1, free),
        conclusion=f"F {f:.1f}: {'weak' if f < 10 else 'strong enough'} given the other exposures",
        reason="Sanderson and Windmeijer; errors of equal variance; below 10 it is not told apart from the others",
    )


def _kleibergen_paap(design: SeveralExposures, *, clustered: bool) -> Check:
    name, parts, m = "Kleibergen-Paap F", design.partialled, len(design.exposures)
    try:
        V = _score_covariance(design, clustered=clustered)
        omega = form_of(parts).covariance[1:, 1:]
    except NotApplicable as error:
        return not_applicable("relevance", name, _RANK, str(error))
    k = parts.n_instruments
    values, vectors = linalg.eigh(omega)
    half = vectors / np.sqrt(values) @ vectors.T
    U, _, right = linalg.svd(parts.whitened[:, 1:] @ half)
    w = half @ right[-1]
    rest = U[:, m - 1 :]
    lam = rest.T @ parts.whitened[:, 1:] @ w
    W = rest.T @ np.einsum("a,b,abij->ij", w, w, V) @ rest
    r = float(lam @ linalg.solve(W, lam, assume_a="pos"))
    return Check(
        assumption="relevance",
        test=name,
        null=_RANK,
        statistic=r / k,
        law=ChiSquared(k - m + 1, divisor=k),
        conclusion=f"F {r / k:.1f}, {'clustered' if clustered else 'robust to unequal variances'}",
        reason="the p-value is that of k F against chi-squared",
    )


def _sargan(design: SeveralExposures, estimate: SeveralEffects) -> Check:
    parts, m = design.partialled, len(design.exposures)
    df = parts.n_instruments - m
    if df < 1:
        return not_applicable(
            "exclusion", "Sargan J", _AGREE, "as many instruments as exposures: nothing to compare", role="decides"
        )
    b = np.concatenate([[1.0], -estimate.estimates])
    j = float(parts.n_samples * (b @ parts.projected @ b) / (b @ parts.total @ b))
    law = ChiSquared(df)
    return Check(
        assumption="exclusion",
        test="Sargan J",
        null=_AGREE,
        statistic=j,
        law=law,
        role="decides",
        conclusion=agreement(law.p_value(j)),
        reason="it cannot see a violation that all instruments share",
    )


def _wu_hausman(design: SeveralExposures) -> Check:
    name = "Wu-Hausman F"
    null = "least squares and the instruments give the same effects, so the exposures are not confounded"
    parts, m = design.partialled, len(design.exposures)
    T, A = parts.total, parts.projected
    outside = T - A
    free = parts.n_samples - parts.n_controls - 2 * m
    if free < 1 or linalg.eigvalsh(outside[1:, 1:])[0] <= 1e-9 * np.diag(T)[1:].min():
        return not_applicable(
            "exchangeability",
            name,
            null,
            "the instruments explain a combination of the exposures entirely, or samples are too few",
        )
    explained = [float(M[0, 1:] @ linalg.solve(M[1:, 1:], M[1:, 0], assume_a="pos")) for M in (T, A, outside)]
    rest = float(T[0, 0]) - explained[1] - explained[2]
    f = (explained[1] + explained[2] - explained[0]) / m / (rest / free)
    law = FLaw(m, free)
    differ = "differ: an exposure is confounded" if law.p_value(f) < REJECTION else "do not differ clearly"
    return Check(
        assumption="exchangeability",
        test=name,
        null=null,
        statistic=f,
        law=law,
        conclusion=f"least squares and the instruments {differ}",
        reason="of the exposures; it trusts the instruments, and has little power where they are weak",
    )


def _score_covariance(design: SeveralExposures, *, clustered: bool) -> FloatArray:
    """Covariance (m, m, k, k) of the coefficients of the exposures on orthonormal instruments."""
    cohort, parts = design.design.cohort, design.partialled
    if cohort is None:
        raise NotApplicable("It needs the rows of the cohort, but only moments are at hand.")
    if clustered and cohort.cluster is None:
        raise NotApplicable("Clustered covariance needs a cluster for every sample.")
    n, k, m = parts.n_samples, parts.n_instruments, len(design.exposures)
    free = n - k - parts.n_controls
    V = np.zeros((m, m, k, k))
    clusters = int(cohort.cluster.max()) + 1 if clustered and cohort.cluster is not None else 0
    if clustered and clusters <= k:
        raise NotApplicable(f"Clustered covariance needs more clusters than instruments: {clusters} for {k}.")
    sums = np.zeros((clusters, m, k))
    for z, values, rows in design.residual_rows():
        e = values[:, 1:] - z @ parts.whitened[:, 1:]
        scores = e[:, :, None] * z[:, None, :]
        if clustered and cohort.cluster is not None:
            np.add.at(sums, cohort.cluster[rows], scores)
        else:
            V += np.einsum("iaj,ibl->abjl", scores, scores, optimize=True)
    if clustered:
        factor = clusters / (clusters - 1) * (n - 1) / free
        return np.asarray(factor * np.einsum("iaj,ibl->abjl", sums, sums, optimize=True))
    return np.asarray(n / free * V)
