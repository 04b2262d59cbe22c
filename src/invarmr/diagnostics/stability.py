"""Stability: whether environments agree on the effect, and whether one of them carries it.

Symbols: theta_e, s_e estimate and standard error in environment e; w_e = 1 / s_e^2; Q = sum_e w_e (theta_e - theta)^2.
Source: Cochran (1954), Biometrics 10:101.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from invarmr.data.design import IVDesign
from invarmr.diagnostics.check import REJECTION, Check, Role, not_applicable
from invarmr.errors import InputError
from invarmr.estimators.estimate import Estimate, Estimator
from invarmr.inference.null_law import ChiSquared

__all__ = ["COCHRAN", "EnvironmentEstimate", "environment_estimates", "heterogeneity_check"]


COCHRAN = "Cochran Q over environments"


@dataclass(frozen=True)
class EnvironmentEstimate:
    """The effect in one environment, and without it; None where it could not be estimated.

    Parameters
    ----------
    environment, n_samples
        Label and size.
    own, left_out
        Estimate from this environment alone, and from all others.
    """

    environment: str
    n_samples: int
    own: Estimate | None
    left_out: Estimate | None


def environment_estimates(design: IVDesign, estimator: Estimator) -> tuple[EnvironmentEstimate, ...]:
    """Estimate the effect in every environment alone, and without it, by the same estimator with the same settings.

    With learned instruments the directions set aside are partialled out within the environment: W is uncorrelated
    with V over all people by construction, but in one environment only up to sampling. An estimator that needs rows
    passes over the people of each environment, and over everybody else.
    """
    set_aside = design.latent.confounded_loadings if design.latent is not None else None
    given = replace(design, confounded_loadings=set_aside)
    everyone = range(len(design.moments.environments))
    out = []
    for e in everyone:
        others = [f for f in everyone if f != e]
        out.append(
            EnvironmentEstimate(
                environment=design.moments.environments[e],
                n_samples=int(design.moments.n_samples[e]),
                own=_try_fit(estimator, given, [e]),
                left_out=_try_fit(estimator, given, others) if others else None,
            )
        )
    return tuple(out)


def _try_fit(estimator: Estimator, design: IVDesign, environments: Sequence[int]) -> Estimate | None:
    try:
        return estimator.fit(design.environment_design(environments, rows=estimator.needs_rows))
    except InputError:
        return None


def heterogeneity_check(estimates: tuple[EnvironmentEstimate, ...], *, described_only: str = "") -> Check:
    """Cochran's Q over environments, chi2(E - 1).

    `described_only` says why Q cannot speak against the assumptions here; its role is then to describe.
    """
    role: Role = "describes" if described_only else "decides"
    null = "the effect is the same in every environment"
    own = [item.own for item in estimates if item.own is not None]
    if len(own) < 2:
        return not_applicable(
            "stability", COCHRAN, null, "fewer than two environments can be estimated alone", role=role
        )
    weights = [1.0 / item.std_error**2 for item in own]
    pooled = sum(w * item.estimate for w, item in zip(weights, own, strict=True)) / sum(weights)
    q = float(sum(w * (item.estimate - pooled) ** 2 for w, item in zip(weights, own, strict=True)))
    law = ChiSquared(len(own) - 1)
    agree = "agree" if law.p_value(q) >= REJECTION else "disagree"
    return Check(
        assumption="stability",
        test=COCHRAN,
        null=null,
        statistic=q,
        law=law,
        role=role,
        conclusion=f"environments {agree} on the effect",
        reason="; ".join(
            part
            for part in (
                f"described only, not in the verdict: {described_only}" if described_only else "",
                ""
                if len(own) == len(estimates)
                else f"{len(estimates) - len(own)} environments could not be estimated",
            )
            if part
        ),
    )
