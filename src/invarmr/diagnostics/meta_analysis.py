"""Per-environment estimates combined: fixed and random effects, and how far environments disagree.

Symbols: theta_e, s_e estimate and standard error in environment e of E; w_e = 1 / s_e^2;

    Q = sum w_e (theta_e - theta)^2,
    tau2 = max{0, (Q - E + 1) / (sum w_e - sum w_e^2 / sum w_e)},    I2 = max{0, (Q - E + 1) / Q},

random effects with weights 1 / (s_e^2 + tau2). Sources: DerSimonian & Laird (1986), Controlled Clinical Trials 7:177;
Higgins & Thompson (2002), Statistics in Medicine 21:1539.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from invarmr.diagnostics.stability import EnvironmentEstimate
from invarmr.inference.confidence_set import ConfidenceSet
from invarmr.inference.wald import wald_p_value, wald_set

__all__ = ["Combined", "combine_environments"]


@dataclass(frozen=True, kw_only=True)
class Combined:
    """One row of `meta_analysis.tsv`.

    Parameters
    ----------
    instruments, model
        Instrument set; `fixed` or `random`.
    estimate, std_error, confidence_set, p_value
        The combined effect.
    n_environments
        Environments that could be estimated alone.
    q, q_df, q_p_value
        Cochran's Q, chi2(E - 1) where all environments have one effect.
    i2, tau2
        Share of the spread beyond chance, and the variance of the effect between environments.
    """

    instruments: str
    model: Literal["fixed", "random"]
    estimate: float
    std_error: float
    confidence_set: ConfidenceSet
    p_value: float
    n_environments: int
    q: float
    q_df: int
    q_p_value: float
    i2: float
    tau2: float


def combine_environments(
    estimates: Sequence[EnvironmentEstimate], *, instruments: str, level: float = 0.95
) -> tuple[Combined, ...]:
    """Combine the estimates of environments alone by fixed and by random effects.

    Parameters
    ----------
    estimates
        Of `environment_estimates`.
    instruments
        Label of the instrument set.
    level
        Of the confidence sets.

    Returns
    -------
    tuple of Combined
        Two rows; none where fewer than two environments could be estimated alone.

    Examples
    --------
    >>> import numpy as np, invarmr
    >>> from invarmr.diagnostics.stability import environment_estimates
    >>> rng = np.random.default_rng(1)
    >>> Z = rng.normal(size=900)
    >>> D = Z + rng.normal(size=900)
    >>> cohort = invarmr.Cohort.from_arrays(
    ...     instrument=Z, exposure=D, outcome=D + rng.normal(size=900), environment=np.arange(900) % 3)
    >>> each = environment_estimates(invarmr.IVDesign.from_cohort(cohort), invarmr.TwoStageLeastSquares())
    >>> [round(row.estimate, 1) for row in combine_environments(each, instruments="observed")]
    [1.0, 1.0]
    """
    own = [item.own for item in estimates if item.own is not None]
    if len(own) < 2:
        return ()
    theta, variance = np.array([item.estimate for item in own]), np.array([item.std_error for item in own]) ** 2
    w = 1.0 / variance
    center = float(w @ theta / w.sum())
    q, df = float(w @ (theta - center) ** 2), len(own) - 1
    tau2 = max(0.0, (q - df) / float(w.sum() - w @ w / w.sum()))
    out = []
    models: tuple[tuple[Literal["fixed", "random"], float], ...] = (("fixed", 0.0), ("random", tau2))
    for model, extra in models:
        weight = 1.0 / (variance + extra)
        estimate, error = float(weight @ theta / weight.sum()), float(weight.sum() ** -0.5)
        out.append(
            Combined(
                instruments=instruments,
                model=model,
                estimate=estimate,
                std_error=error,
                confidence_set=wald_set(estimate, error, level=level),
                p_value=wald_p_value(estimate, error),
                n_environments=len(own),
                q=q,
                q_df=df,
                q_p_value=float(stats.chi2.sf(q, df)),
                i2=max(0.0, (q - df) / q) if q > 0 else 0.0,
                tau2=tau2,
            )
        )
    return tuple(out)
