"""The referee: an estimate that rests on environments, or on no confounding, against what Mendel's law gives.

Symbols: t estimate on learned (or observed) instruments, m Mendelian estimate, S_t and S_m contributions summed by
family over everybody (`estimators.influence`): V_t, V_m their variances, C = S_t'S_m.

    difference  t - m,  variance V_t + V_m - 2 C
    power       bias seen with probability 0.8 at level alpha: (z_{1 - alpha/2} + z_0.8) times its standard error
    combined    w t + (1 - w) m,  w = (V_m - C) / (V_t + V_m - 2 C), kept in [0, 1]: the smallest variance there is

A small p-value says that t is not the effect that families show; a large one says no more than the power allows.
Source: Hausman (1978), Econometrica 46:1251, with the covariance estimated and not derived from efficiency.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import special

from invarmr.data.latent_instruments import Verdict
from invarmr.diagnostics.check import REJECTION, Check
from invarmr.diagnostics.relevance import WEAK_BELOW
from invarmr.errors import InputError
from invarmr.estimators.estimate import Estimate
from invarmr.estimators.influence import Influence
from invarmr.inference.null_law import Normal
from invarmr.inference.wald import wald_p_value, wald_set

__all__ = ["Referee", "combined", "judge_with_families", "mendelian_verdict", "referee"]

POWER = 0.8
"""Probability with which `Referee.detectable` would have been seen."""


@dataclass(frozen=True)
class Referee:
    """The difference of an estimate from the Mendelian one.

    Parameters
    ----------
    compared
        Instrument set of the estimate: `learned`, `observed`, ...
    difference, std_error
        Estimate less Mendelian estimate, and its standard error.
    level
        Level of the test that can reject.
    """

    compared: str
    difference: float
    std_error: float
    level: float = REJECTION

    @property
    def statistic(self) -> float:
        """Difference over its standard error, standard normal where both estimate one effect."""
        return self.difference / self.std_error

    @property
    def p_value(self) -> float:
        """Two-sided."""
        return wald_p_value(self.difference, self.std_error)

    @property
    def rejects(self) -> bool:
        """Whether the p-value is below the level."""
        return self.p_value < self.level

    @property
    def detectable(self) -> float:
        """Smallest bias that would have been seen with 80 % power at the level."""
        return float(special.ndtri(1 - self.level / 2) + special.ndtri(POWER)) * self.std_error

    def power(self, bias: float) -> float:
        """Probability of rejecting where the compared estimate is off by `bias`.

        Examples
        --------
        >>> found = Referee("learned", 0.0, 0.05)
        >>> round(found.power(found.detectable), 3), round(found.power(0.0), 3)
        (0.8, 0.01)
        """
        bound, shift = special.ndtri(1 - self.level / 2), bias / self.std_error
        return float(special.ndtr(shift - bound) + special.ndtr(-shift - bound))

    @property
    def sentence(self) -> str:
        """What came out, with what could have."""
        could = f"a bias of {self.detectable:.3g} would have been seen with 80 % power"
        apart = f"differ by {self.difference:+.3g} (se {self.std_error:.3g}, p = {self.p_value:.2g})"
        return f"the {self.compared} instruments and Mendel's law {apart}; {could}"

    def check(self) -> Check:
        """As a row of `diagnostics.tsv`."""
        return Check(
            assumption="exchangeability",
            test=f"referee: {self.compared} against Mendelian",
            null=f"the {self.compared} instruments estimate the same effect as what children inherit at random",
            statistic=self.statistic,
            law=Normal(),
            role="decides" if self.compared == "learned" else "describes",
            conclusion=self.sentence,
            reason="covariance of the two estimates from contributions summed by family; "
            + ("decides the verdict" if self.compared == "learned" else "not in the verdict"),
        )


def referee(other: Influence, mendelian: Influence, *, compared: str, level: float = REJECTION) -> Referee:
    """Compare an estimate with the Mendelian one, the two on overlapping people.

    Raises
    ------
    InputError
        Contributions of different groups, or two estimates that are the same to rounding.
    """
    own = np.asarray(other.sums - mendelian.sums)
    learning = max(other.variance - float(other.sums @ other.sums), 0.0)
    variance = float(own @ own) + learning
    if variance <= 1e-14 * (other.variance + mendelian.variance):
        raise InputError("The two estimates rest on the same contributions: there is nothing to compare.")
    return Referee(compared, other.estimate.estimate - mendelian.estimate.estimate, float(np.sqrt(variance)), level)


def combined(other: Influence, mendelian: Influence) -> Estimate:
    """The estimate of smallest variance between the two, for where the referee does not reject.

    Never wider than the better of the two, as standard errors go. Its interval takes the referee's silence as known.
    """
    covariance = other.covariance(mendelian)
    spread = other.variance + mendelian.variance - 2 * covariance
    w = float(np.clip((mendelian.variance - covariance) / spread, 0.0, 1.0)) if spread > 0 else 0.0
    variance = w**2 * other.variance + (1 - w) ** 2 * mendelian.variance + 2 * w * (1 - w) * covariance
    first, second = other.estimate, mendelian.estimate
    theta, std_error = w * first.estimate + (1 - w) * second.estimate, float(np.sqrt(variance))
    better = min(first.std_error, second.std_error)
    return replace(
        second,
        method="combined",
        instruments=f"{first.instruments}+{second.instruments}",
        estimate=theta,
        std_error=std_error,
        confidence_set=wald_set(theta, std_error, level=second.confidence_set.level),
        p_value=wald_p_value(theta, std_error),
        n_samples=max(first.n_samples, second.n_samples),
        first_stage_f=None,
        partial_r2=None,
        learning_inflation=1.0,
        estimator=None,
        note=f"weight {w:.2f} on the {first.instruments} instruments; standard error {std_error / better:.2f} of the "
        "better of the two",
    )


def judge_with_families(verdict: Verdict, found: Sequence[Referee]) -> Verdict:
    """The verdict on the learned instruments, with what families say of them.

    Rejected where the referee rejects; the report then leads with the Mendelian estimate, a rule fixed beforehand.
    """
    line = next((item for item in found if item.compared == "learned"), None)
    if line is None:
        return verdict
    said = f"{line.sentence[0].upper()}{line.sentence[1:]}."
    if not line.rejects:
        return Verdict(verdict.status, (*verdict.reasons, f"Checked inside families: {line.sentence}."))
    lead = "The headline is the Mendelian estimate, which rests on families alone."
    before = f"Without families the verdict would have been {verdict.status}."
    return Verdict("rejected", (said, lead, before, *verdict.reasons), mendelian_headline=True)


def mendelian_verdict(checks: Sequence[Check], counts: dict[str, int]) -> Verdict:
    """The verdict on a Mendelian headline: valid by design, unless too weak or rejected by over-identification."""
    families = f"{counts['trios']} trios and {counts['sibships']} sibships ({counts['siblings']} siblings)"
    by_law = f"Given the family, genotypes vary by Mendel's law alone; the estimate rests on {families}."
    siblings = ("Effects of siblings on each other would remain in the sibships.",) if counts["sibships"] else ()
    for check in checks:
        if check.rejects:
            return Verdict("rejected", (check.sentence, by_law, *siblings))
    strength = next((check.statistic for check in checks if check.measures_strength), None)
    if strength is not None and strength < WEAK_BELOW:
        weak = f"Families are few: first-stage F {strength:.1f}, bound {WEAK_BELOW:g}."
        return Verdict("weak", (weak, by_law, *siblings))
    return Verdict("identified", (by_law, *siblings))
