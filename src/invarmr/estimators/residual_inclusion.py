"""Two-stage residual inclusion: a log odds ratio of a binary outcome, the exposure's confounded part held fixed.

Symbols: W = (1, C, Z) constant, controls and instruments; D exposure, Y outcome 0 or 1; v = D - W a, a by least
squares; X = (1, C, D, v), mu = 1 / (1 + exp(-X b)):

    logit P(Y = 1 | C, D, v) = constant + theta D + C'd + rho v,    b by maximum likelihood

Standard errors count the first stage: with scores s_i = (v_i W_i, (Y_i - mu_i) X_i) and slopes

    A_22 = sum mu (1 - mu) X X',   A_21 = sum {rho mu (1 - mu) X W' - (Y - mu) e_v W'},   A_11 = sum W W'

Var b = A_22^-1 {sum_g (s_2g + A_21 A_11^-1 s_1g)(...)'} A_22^-1, each sample its own g unless clustered.
Sources: Rivers & Vuong (1988), Journal of Econometrics 39:347; Terza, Basu & Rathouz (2008), Journal of Health
Economics
27:531; Palmer et al. (2011), American Journal of Epidemiology 173:1392; Newey (1984), Economics Letters 14:201.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal, final

import numpy as np
from scipy import linalg

from invarmr.arrays import FloatArray
from invarmr.data.design import IVDesign
from invarmr.errors import InputError
from invarmr.estimators.estimate import Estimate
from invarmr.estimators.kclass import first_stage
from invarmr.inference.wald import check_level, wald_p_value, wald_set
from invarmr.linalg.symmetric import RANK_TOLERANCE, range_whitener

__all__ = ["TwoStageResidualInclusion"]

_STEPS = 100


@final
@dataclass(frozen=True, kw_only=True)
class TwoStageResidualInclusion:
    """2SRI with a logistic second stage, for a binary outcome.

    Assumes valid instruments, a linear first stage whose error is independent of them, and a logistic outcome given the
    exposure, the controls and that error. The effect is conditional on the error: because odds ratios do not
    collapse, it
    is not the marginal log odds ratio, which is nearer to zero; and where further causes of the outcome are left out
    of the second stage, the estimate moves toward zero too. Zero itself is tested correctly in any case.

    Parameters
    ----------
    std_errors
        `robust` (default) or `clustered`; both count the error of the first stage.
    level
        Level of the confidence set.

    Notes
    -----
    The error of learning is not counted where instruments were learned.

    Examples
    --------
    >>> import invarmr
    >>> rng = np.random.default_rng(1)
    >>> Z, v = rng.normal(size=(4000, 3)), rng.normal(size=4000)
    >>> D = Z @ [0.5, 0.5, 0.5] + v
    >>> Y = rng.random(4000) < 1 / (1 + np.exp(-(0.4 * D + 0.8 * v - 0.5)))
    >>> cohort = invarmr.Cohort.from_arrays(
    ...     instrument=Z, exposure=D, outcome=Y.astype(float), environment=np.arange(4000) % 2)
    >>> answer = TwoStageResidualInclusion().fit(invarmr.IVDesign.from_cohort(cohort))
    >>> round(answer.estimate, 1), round(answer.std_error, 2)
    (0.4, 0.04)
    """

    std_errors: Literal["robust", "clustered"] = "robust"
    level: float = 0.95
    method: ClassVar[str] = "2SRI"
    needs_rows: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_level(self.level)
        if self.std_errors not in ("robust", "clustered"):
            raise InputError(f"std_errors must be robust or clustered, but is {self.std_errors!r}.")

    def fit(self, design: IVDesign) -> Estimate:
        """Estimate the log odds ratio per unit of the exposure.

        Raises
        ------
        InputError
            The outcome is not 0 or 1, there are moments alone, a cluster is missing, or exposure and controls separate
            cases from controls.
        """
        cohort = design.cohort
        if cohort is None:
            raise InputError("2SRI needs the rows of the cohort, but the design has moments alone.")
        cluster = cohort.cluster if self.std_errors == "clustered" else None
        if self.std_errors == "clustered" and cluster is None:
            raise InputError("Clustered errors need a cluster for every sample: name it with [phenotypes] cluster.")
        y = cohort.outcome
        if not np.isin(y, (0.0, 1.0)).all():
            raise InputError(
                f"2SRI needs a binary outcome, 0 (control) or 1 (case), but {cohort.outcome_name} has other values. "
                f"Use "
                "2SLS or LIML for a quantitative outcome."
            )
        T, A = design.partialled.total[1, 1], design.partialled.projected[1, 1]
        if T - A <= RANK_TOLERANCE * T:
            raise InputError("2SRI needs an exposure that instruments and controls do not explain entirely.")
        C = _controls(design)
        v, basis = _first_stage(design, C)
        X = np.column_stack([C, cohort.exposure, v])
        b, H, mu = _logistic(X, y)
        weight = mu * (1.0 - mu)
        cross = b[-1] * (X * weight[:, None]).T @ basis
        cross[-1] -= (y - mu) @ basis
        scores = (y - mu)[:, None] * X + (v[:, None] * basis) @ cross.T
        if cluster is not None:
            sums = np.zeros((int(cluster.max()) + 1, X.shape[1]))
            np.add.at(sums, cluster, scores)
            scores = sums * math.sqrt(len(sums) / (len(sums) - 1))
        inverse = np.linalg.inv(H)
        theta, place = float(b[-2]), X.shape[1] - 2
        se = float(np.sqrt((inverse @ (scores.T @ scores) @ inverse)[place, place]))
        f, r2 = first_stage(design.partialled)
        note = (
            "log odds ratio per unit of the exposure, given controls and the first stage's residual: conditional, "
            "not marginal; "
            f"coefficient of the residual {b[-1]:.3g}"
        )
        if design.latent is not None:
            note += "; the error of learning is not counted"
        return Estimate(
            method=self.method,
            instruments=design.instrument_set,
            estimate=theta,
            std_error=se,
            std_errors=self.std_errors,
            confidence_set=wald_set(theta, se, level=self.level),
            p_value=wald_p_value(theta, se),
            n_samples=len(y),
            n_instruments=design.partialled.n_instruments,
            first_stage_f=f,
            partial_r2=r2,
            kappa=math.nan,
            note=note,
            estimator=self,
        )


def _controls(design: IVDesign) -> FloatArray:
    """Orthonormal basis (n, c) of the constant (or the environments' constants) and the controls."""
    cohort, moments = design.cohort, design.moments
    if cohort is None:
        raise InputError("2SRI needs the rows of the cohort, but the design has moments alone.")
    c, _ = design.n_columns
    center = moments.grand_mean()
    values = np.vstack([(cohort.rows(block) - center) @ design.mapping[:, :c] for block in cohort.blocks()])
    ones = np.ones((len(values), 1))
    if design.environment_effects:
        ones = (cohort.environment[:, None] == np.arange(len(cohort.environments))).astype(np.float64)
    scale = np.linalg.norm(values, axis=0)
    U, s, _ = np.linalg.svd(np.hstack([ones, values / np.where(scale > 0, scale, 1.0)]), full_matrices=False)
    return np.asarray(U[:, s > 1e-9 * s[0]])


def _first_stage(design: IVDesign, C: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Residual v (n,), and an orthonormal basis (n, c + k) of constant, controls and instruments."""
    parts = design.partialled
    v = np.empty(len(C))
    Z = np.empty((len(C), parts.n_instruments))
    for instruments, pair, rows in design.residual_rows():
        Z[rows] = instruments
        v[rows] = pair[:, 1] - instruments @ parts.whitened[:, 1]
    return v, np.hstack([C, Z])


def _logistic(X: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Maximum likelihood b, its information H, and the fitted probabilities."""
    scale = np.sqrt((X**2).mean(axis=0))
    U = X / np.where(scale > 0, scale, 1.0)
    b = np.zeros(X.shape[1])
    whiten = range_whitener(U.T @ U / 4.0)

    def likelihood(at: FloatArray) -> float:
        eta = U @ at
        return float(y @ eta - np.logaddexp(0.0, eta).sum())

    best = likelihood(b)
    for _ in range(_STEPS):
        mu = 0.5 * (1.0 + np.tanh(U @ b / 2.0))
        H = U.T @ (U * (mu * (1.0 - mu))[:, None])
        gradient = U.T @ (y - mu)
        if float(linalg.eigvalsh(whiten.T @ H @ whiten)[0]) < 1e-8:  # information left of what there was at no effect
            break
        step = np.linalg.solve(H, gradient)
        while likelihood(b + step) < best - 1e-9 * abs(best):
            step = step / 2.0
        b = b + step
        best = likelihood(b)
        if gradient @ step < 1e-16 * len(y):
            mu = 0.5 * (1.0 + np.tanh(U @ b / 2.0))
            H = U.T @ (U * (mu * (1.0 - mu))[:, None])
            return b / scale, H * np.outer(scale, scale), mu
    raise InputError(
        "2SRI has no finite estimate: exposure and controls separate cases from controls. Use fewer controls, or more "
        "cases."
    )
