"""Stability: whether environments agree on the effect, and whether one of them carries it.

Symbols: theta_e, s_e estimate and standard error in environment e; w_e = 1 / s_e^2; Q = sum_e w_e (theta_e - theta)^2.
Source: Cochran (1954), Biometrics 10:101.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from scipy import stats

from invarmr.data.design import IVDesign
from invarmr.diagnostics.check import Check, not_applicable
from invarmr.errors import InputError
from invarmr.estimators.estimate import Estimate
from invarmr.estimators.kclass import KClass
from invarmr.estimators.variance import StandardErrors

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


def environment_estimates(design: IVDesign, estimator: KClass) -> tuple[EnvironmentEstimate, ...]:
    """Estimate the effect in every environment alone, and without it.

    With learned instruments the directions set aside are partialled out within the environment: W is uncorrelated
    with V over all people by construction, but in one environment only up to sampling.
    """
    moments_only = replace(
        design,
        cohort=None,
        confounded_loadings=design.latent.confounded_loadings if design.latent is not None else None,
    )
    plain = replace(estimator, std_errors=_from_moments(estimator))
    everyone = range(len(design.moments.environments))
    out = []
    for e in everyone:
        alone = moments_only.environment_design([e])
        others = [f for f in everyone if f != e]
        out.append(
            EnvironmentEstimate(
                environment=design.moments.environments[e],
                n_samples=int(design.moments.n_samples[e]),
                own=_try_fit(plain, alone),
                left_out=_try_fit(plain, moments_only.environment_design(others)) if others else None,
            )
        )
    return tuple(out)


def _from_moments(estimator: KClass) -> StandardErrors:
    return "homoskedastic" if estimator.std_errors in ("robust", "clustered") else estimator.std_errors


def _try_fit(estimator: KClass, design: IVDesign) -> Estimate | None:
    try:
        return estimator.fit(design)
    except InputError:
        return None


def heterogeneity_check(estimates: tuple[EnvironmentEstimate, ...], *, described_only: str = "") -> Check:
    """Cochran's Q over environments, chi2(E - 1).

    `described_only` says why Q cannot speak against the assumptions here; the verdict then leaves it out.
    """
    test = f"{COCHRAN} (described only)" if described_only else COCHRAN
    null = "the effect is the same in every environment"
    own = [item.own for item in estimates if item.own is not None]
    if len(own) < 2:
        return not_applicable("stability", test, null, "fewer than two environments can be estimated alone")
    weights = [1.0 / item.std_error**2 for item in own]
    pooled = sum(w * item.estimate for w, item in zip(weights, own, strict=True)) / sum(weights)
    q = sum(w * (item.estimate - pooled) ** 2 for w, item in zip(weights, own, strict=True))
    p = float(stats.chi2.sf(q, len(own) - 1))
    return Check(
        assumption="stability",
        test=test,
        null=null,
        statistic=float(q),
        df=str(len(own) - 1),
        p_value=p,
        conclusion="environments agree on the effect" if p >= 0.01 else "environments disagree on the effect",
        reason="; ".join(
            part
            for part in (
                described_only,
                ""
                if len(own) == len(estimates)
                else f"{len(estimates) - len(own)} environments could not be estimated",
            )
            if part
        ),
    )
