"""Sensitivity: how much of the confounder the learned instruments may still carry before the conclusion changes.

Symbols: w the combination of the latent instruments that predicts the exposure, u = Y - theta D, C the confounder, all
given the controls; a the share of u's variance, given w, that C explains; b the share of w's variance that C explains;
se the standard error of theta without the error of learning, df its degrees of freedom, t = theta / se.

If C was left out, theta is off by at most

    |bias| = se sqrt(df) sqrt(a b / (1 - b)),

whatever C is, and a confidence interval that takes C into account has its standard error multiplied by
sqrt((1 - a) / (1 - b)). The robustness value is the strength a = b = R at which the bias can be as large as theta,

    R = (sqrt(f^4 + 4 f^2) - f^2) / 2,   f = |t| / sqrt(df),

and the one of the interval the least at which it reaches no effect. This is omitted-variable bias in the regression of
Y - theta_0 D on w, the reduced form of the Anderson-Rubin test, to first order in theta_0 about the estimate.
Sources: Cinelli & Hazlett (2020), Journal of the Royal Statistical Society B 82:39; Cinelli & Hazlett (2025),
Biometrika 112, asaf004, for instruments. That the confounded part serves as a yardstick is this package's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import optimize, stats

from invarmr.data.design import IVDesign
from invarmr.diagnostics.check import Check, not_applicable
from invarmr.errors import InputError
from invarmr.estimators.estimate import Estimate
from invarmr.linalg.symmetric import solve_on_range

__all__ = ["DependenceSensitivity", "SensitivityPoint", "dependence_sensitivity", "robustness_check"]

STRENGTHS = (0.0, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)
TEST = "robustness value"
_NULL = "none: a description"


@dataclass(frozen=True)
class SensitivityPoint:
    """What remains of the effect if the confounder had one strength.

    Parameters
    ----------
    strength
        Share b of the instruments' variance that the confounder explains.
    lower, upper
        Range of the estimate after taking the bias out, in either direction.
    ci_lower, ci_upper
        Its confidence interval.
    """

    strength: float
    lower: float
    upper: float
    ci_lower: float
    ci_upper: float


@dataclass(frozen=True)
class DependenceSensitivity:
    """How an effect depends on what its instruments still carry of the confounder.

    Parameters
    ----------
    estimate
        The effect.
    null
        The value of the effect that would change the conclusion.
    robustness_value
        Strength a = b at which the bias can bring the estimate to `null`.
    robustness_value_interval
        The same for the confidence interval; 0 where it contains `null` already.
    confounder_share
        The a of the curve: how much of u the confounder explains. By default what the learned confounded part
        explains of it, in these data.
    needed
        The b at which, with that a, the confidence interval reaches `null`; 0 where it does already.
    curve
        One point for each strength b, with that a.
    """

    estimate: float
    null: float
    robustness_value: float
    robustness_value_interval: float
    confounder_share: float
    needed: float
    curve: tuple[SensitivityPoint, ...]

    def __str__(self) -> str:
        lines = [
            f"estimate {self.estimate:.4g}; robustness value {self.robustness_value:.3g}, of the interval "
            f"{self.robustness_value_interval:.3g}; with a confounder that explains {self.confounder_share:.2g} of "
            f"the error, the interval reaches {self.null:g} at {self.needed:.3g}"
        ]
        lines += [
            f"{point.strength:8.4g}  {point.lower:8.4g} to {point.upper:8.4g}  "
            f"[{point.ci_lower:.4g}, {point.ci_upper:.4g}]"
            for point in self.curve
        ]
        return "\n".join(lines)


def dependence_sensitivity(
    design: IVDesign,
    estimate: Estimate,
    *,
    null: float = 0.0,
    confounder_share: float | None = None,
    strengths: Sequence[float] = STRENGTHS,
) -> DependenceSensitivity:
    """How the effect would change if the instruments still carried part of the confounder.

    Parameters
    ----------
    design, estimate
        The design, with whatever learner's instruments, and the estimate it gave.
    null
        Value of the effect at which the conclusion changes.
    confounder_share
        Share of the variance of u = Y - theta D that the confounder explains, 0 to 1. None: the share that the learned
        confounded part explains, which stands in for the confounder; 0.5 where there is none.
    strengths
        Shares of the instruments' variance that the confounder might explain, from 0 to below 1.

    Raises
    ------
    InputError
        A share outside its range, or least squares, which has no instruments.

    Examples
    --------
    >>> import invarmr
    >>> from invarmr.simulate.latent import LatentDesign, simulate_latent
    >>> cohort = simulate_latent(LatentDesign(mixing="poly1", n_samples=2_000), seed=1).cohort
    >>> design = invarmr.IVDesign.from_cohort(cohort, invarmr.StationaryInstruments().fit(cohort, seed=1))
    >>> found = dependence_sensitivity(design, invarmr.LimitedInformationML().fit(design))
    >>> 0 < found.robustness_value_interval < found.robustness_value < 1
    True
    """
    if estimate.n_instruments == 0:
        raise InputError("Sensitivity to what instruments carry needs an estimate with instruments, not least squares.")
    share = _confounded_share(design, estimate) if confounder_share is None else confounder_share
    if not 0.0 <= share <= 1.0:
        raise InputError(f"confounder_share must lie between 0 and 1, but is {share:g}.")
    outside = [b for b in strengths if not 0.0 <= b < 1.0]
    if outside:
        raise InputError(f"strengths must lie between 0 and below 1, but one is {outside[0]:g}.")
    parts = design.partialled
    model = _Model(
        effect=estimate.estimate,
        scale=estimate.std_error / math.sqrt(estimate.learning_inflation),
        inflation=estimate.learning_inflation,
        df=parts.n_samples - parts.n_controls - parts.n_instruments - 1,
        z=float(stats.norm.isf((1.0 - estimate.confidence_set.level) / 2.0)),
    )
    distance = abs(estimate.estimate - null)
    f = distance / model.scale / math.sqrt(model.df)
    return DependenceSensitivity(
        estimate=estimate.estimate,
        null=null,
        robustness_value=0.5 * (math.sqrt(f**4 + 4 * f**2) - f**2),
        robustness_value_interval=_least(lambda b: model.reach(b, b) - distance),
        confounder_share=share,
        needed=_least(lambda b: model.reach(share, b) - distance),
        curve=tuple(model.point(share, b) for b in strengths),
    )


@dataclass(frozen=True)
class _Model:
    """The bias bound about one estimate."""

    effect: float
    scale: float
    inflation: float
    df: int
    z: float

    def bias(self, a: float, b: float) -> float:
        return self.scale * math.sqrt(self.df * a * b / (1.0 - b))

    def half(self, a: float, b: float) -> float:
        """Half the length of the interval: learning adds to it what it adds without the confounder."""
        own = (1.0 - a) / (1.0 - b)
        return self.z * self.scale * math.sqrt(own * self.inflation)

    def reach(self, a: float, b: float) -> float:
        return self.bias(a, b) + self.half(a, b)

    def point(self, a: float, b: float) -> SensitivityPoint:
        bias, reach = self.bias(a, b), self.reach(a, b)
        return SensitivityPoint(
            strength=b,
            lower=self.effect - bias,
            upper=self.effect + bias,
            ci_lower=self.effect - reach,
            ci_upper=self.effect + reach,
        )


_BELOW_ONE = 1.0 - 1e-9


def _least(gap: Callable[[float], float]) -> float:
    """The least share at which the gap is not negative; 1 where it never is."""
    if gap(0.0) >= 0:
        return 0.0
    if gap(_BELOW_ONE) < 0:
        return 1.0
    return float(optimize.brentq(gap, 0.0, _BELOW_ONE, xtol=1e-12))


_WITHOUT = 0.5
"""Share taken where no confounded part was learned."""


def _confounded_share(design: IVDesign, estimate: Estimate) -> float:
    """R2 of u = Y - theta D, given the controls, on the learned confounded part V."""
    latent = design.latent
    if latent is None or latent.n_confounded == 0 or design.confounded_loadings is not None:
        return _WITHOUT
    moments = design.moments
    c, k = design.n_columns
    V = np.zeros((len(moments.columns), latent.n_confounded))
    V[moments.index("instrument")] = latent.confounded_loadings
    b = np.array([1.0, -estimate.estimate])
    u = (design.mapping[:, c + k :] - design.mapping[:, :c] @ design.crossproduct[1][:, k:]) @ b
    full = moments.within() if design.environment_effects else moments.total()
    controls = design.mapping[:, :c]
    if c:
        coefficients, _ = solve_on_range(controls.T @ full @ controls, controls.T @ full @ V)
        V = V - controls @ coefficients
    cross = V.T @ full @ u
    fitted, _ = solve_on_range(V.T @ full @ V, cross)
    return float(np.clip(cross @ fitted / (u @ full @ u), 0.0, 1.0))


def robustness_check(design: IVDesign, estimate: Estimate) -> Check:
    """The robustness values as one row of `diagnostics.tsv`."""
    if estimate.n_instruments == 0:
        return not_applicable("independence", TEST, _NULL, "least squares has no instruments")
    found = dependence_sensitivity(design, estimate)
    if found.robustness_value_interval == 0:
        conclusion = f"the {100 * estimate.confidence_set.level:g} % set contains no effect already"
    else:
        conclusion = (
            f"an unobserved confounder that explains {100 * found.needed:.2g} % of the instruments' variance, and "
            f"{100 * found.confounder_share:.2g} % of the error of the outcome, would bring the "
            f"{100 * estimate.confidence_set.level:g} % set to no effect"
        )
    return Check(
        assumption="independence",
        test=TEST,
        null=_NULL,
        statistic=found.robustness_value_interval,
        conclusion=conclusion,
        reason="the statistic is the share of both that it would have to explain; a description, not a test",
    )
