"""Over-identification: whether the instruments agree on one effect.

Symbols: u = Y - theta D; P projection on the k instruments; Z~ orthonormal instruments.
With learned instruments J is divided by the factor by which the error of learning inflates the variance of Z'u.
Sources: Sargan (1958), Econometrica 26:393; Hansen (1982), Econometrica 50:1029.
"""

from __future__ import annotations

import numpy as np

from invarmr.arrays import FloatArray
from invarmr.data.design import IVDesign
from invarmr.diagnostics.check import REJECTION, Check, not_applicable
from invarmr.errors import InputError
from invarmr.estimators.estimate import Estimate
from invarmr.inference.null_law import ChiSquared
from invarmr.linalg.symmetric import solve_on_range

__all__ = ["agreement", "hansen_check", "sargan_check"]

_NULL = "all instruments give the same effect, so none acts on the outcome other than through the exposure"
_JUST = "as many instruments as exposures: nothing to compare"


def sargan_check(design: IVDesign, estimate: Estimate) -> Check:
    """Sargan's J = n u'Pu / u'u, chi2(k - 1); errors of equal variance."""
    parts = design.partialled
    k = parts.n_instruments
    if k < 2:
        return not_applicable("exclusion", "Sargan J", _NULL, _JUST, role="decides")
    contrast = np.array([1.0, -estimate.estimate])
    j = float(parts.n_samples * (contrast @ parts.projected @ contrast) / (contrast @ parts.total @ contrast))
    return _judge("Sargan J", j / estimate.learning_inflation, k - 1, estimate.learning_inflation)


def hansen_check(design: IVDesign, estimate: Estimate) -> Check:
    """Hansen's J = g'S^-1 g, chi2(k - 1), with g = Z~'u and S = sum_i u_i^2 z~_i z~_i' from a pass over the rows.

    With clustered errors the scores u_i z~_i are summed within clusters before they are squared; J then needs more
    clusters than instruments.
    """
    k = design.partialled.n_instruments
    if k < 2:
        return not_applicable("exclusion", "Hansen J", _NULL, _JUST, role="decides")
    if design.cohort is None:
        return not_applicable(
            "exclusion", "Hansen J", _NULL, "it needs rows, but only moments are at hand", role="decides"
        )
    cluster = design.cohort.cluster if estimate.std_errors == "clustered" else None
    clusters = 0 if cluster is None else int(cluster.max()) + 1
    if cluster is not None and clusters <= k:
        few = f"{clusters} clusters are too few for {k} instruments"
        return not_applicable("exclusion", "Hansen J", _NULL, few, role="decides")
    S: FloatArray = np.zeros((k, k))
    g = np.zeros(k)
    sums = np.zeros((clusters, k))
    for instruments, pair, rows in design.residual_rows():
        u = pair[:, 0] - estimate.estimate * pair[:, 1]
        scored = instruments * u[:, None]
        g += scored.sum(axis=0)
        if cluster is None:
            S += scored.T @ scored
        else:
            np.add.at(sums, cluster[rows], scored)
    if cluster is not None:
        S = sums.T @ sums
    weighted, rank = solve_on_range(S, g)
    if rank < k:
        raise InputError(f"Hansen's J needs more samples than instruments; {k} instruments have scores of rank {rank}.")
    j = float(g @ weighted) / estimate.learning_inflation
    return _judge("Hansen J", j, k - 1, estimate.learning_inflation)


def _judge(test: str, statistic: float, df: int, inflation: float) -> Check:
    law = ChiSquared(df)
    return Check(
        assumption="exclusion",
        test=test,
        null=_NULL,
        statistic=statistic,
        law=law,
        role="decides",
        conclusion=agreement(law.p_value(statistic)),
        reason="it cannot see a violation that all instruments share"
        + ("" if inflation == 1.0 else f"; divided by {inflation:.3g} for the error of learning"),
    )


def agreement(p_value: float) -> str:
    """What a test of over-identification says."""
    if p_value >= REJECTION:
        return "the instruments do not contradict each other"
    return "the instruments contradict each other: at least one is not valid"
