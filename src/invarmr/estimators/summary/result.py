"""The answer of a summary-data estimator, and what its standard error says.

Symbols: b estimate, se standard error, df degrees of freedom of Student's t.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, NamedTuple, final

from scipy import special

from invarmr.arrays import FloatArray
from invarmr.inference.confidence_set import ConfidenceSet
from invarmr.inference.log_survival import log_survival_chi2, log_survival_f
from invarmr.inference.wald import wald_p_value, wald_set

__all__ = ["Distribution", "SummaryEstimate", "TwoSided", "chi_squared_tail", "show_p_value", "two_sided"]

Distribution = Literal["normal", "t"]
_LN10 = math.log(10.0)


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class SummaryEstimate:
    """An estimated effect of the exposure on the outcome from summary data.

    Parameters
    ----------
    method
        Label, spelled as TwoSampleMR spells it where TwoSampleMR has the method.
    nsnp
        Variants the estimate rests on.
    b, se
        Effect in units of outcome per unit of exposure, and its standard error (NaN for a method that states a set
        without one).
    pval
        Two-sided, of no effect; 0 where it is below the smallest float.
    log10_pval
        Its decimal logarithm, which says how small; that of `pval` where not given.
    confidence_set
        At the level it carries.
    extras
        Further numbers by name: `Q`, `intercept`, `tau2`, ...
    per_variant
        Arrays (nsnp,) by name, in the order of the data's variants.
    outliers
        Variants that the method set aside.
    note
        What a reader must know.
    """

    method: str
    nsnp: int
    b: float
    se: float
    pval: float
    confidence_set: ConfidenceSet
    extras: Mapping[str, float] = field(default_factory=dict)
    per_variant: Mapping[str, FloatArray] = field(default_factory=dict)
    outliers: tuple[str, ...] = ()
    note: str = ""
    log10_pval: float = math.nan

    def __post_init__(self) -> None:
        if math.isnan(self.log10_pval) and self.pval > 0:
            object.__setattr__(self, "log10_pval", math.log10(self.pval))
        object.__setattr__(self, "extras", MappingProxyType(dict(self.extras)))
        object.__setattr__(self, "per_variant", MappingProxyType(dict(self.per_variant)))

    def __str__(self) -> str:
        return (
            f"{self.method}: {self.b:.4f} (se {self.se:.4f}, {100 * self.confidence_set.level:g} % set "
            f"{self.confidence_set}, p {show_p_value(self.pval, self.log10_pval)}), {self.nsnp} variants"
        )


class TwoSided(NamedTuple):
    """P-value of b = 0, the interval that inverts it, and the decimal logarithm of p, right where p underflows."""

    p: float
    interval: ConfidenceSet
    log10_p: float


def two_sided(
    b: float, se: float, *, df: int = 0, distribution: Distribution = "normal", level: float = 0.95
) -> TwoSided:
    """P-value of b = 0 and the interval that inverts it, by the normal or Student's t with `df` degrees of freedom.

    Examples
    --------
    >>> p, interval, log10_p = two_sided(2.0, 1.0, df=10, distribution="t")
    >>> round(p, 4), str(interval), round(log10_p, 3)
    (0.0734, '[-0.2281, 4.228]', -1.134)
    >>> answer = two_sided(50.0, 1.0)
    >>> answer.p, round(answer.log10_p, 2)
    (0.0, -544.67)
    """
    if not se > 0:
        return TwoSided(0.0, ConfidenceSet(((b, b),), level), -math.inf)
    z = abs(b / se)
    if distribution == "normal":
        log_p = float(log_survival_chi2(z**2, 1))
        return TwoSided(wald_p_value(b, se), wald_set(b, se, level=level), log_p / _LN10)
    half = -float(special.stdtrit(df, (1.0 - level) / 2.0)) * se
    log_p = log_survival_f(z**2, 1, df)
    return TwoSided(2.0 * float(special.stdtr(df, -z)), ConfidenceSet(((b - half, b + half),), level), log_p / _LN10)


def show_p_value(p: float, log10_p: float) -> str:
    """A p-value as text, as a power of ten below 1e-300.

    Examples
    --------
    >>> show_p_value(0.0312, -1.5058), show_p_value(0.0, -412.345)
    ('0.0312', '10^-412.3')
    """
    return f"{p:.3g}" if p >= 1e-300 or not math.isfinite(log10_p) else f"10^{log10_p:.1f}"


def chi_squared_tail(statistic: float, df: int) -> float:
    """P(chi-squared_df > statistic); NaN without degrees of freedom."""
    return float(special.chdtrc(df, statistic)) if df > 0 else math.nan
