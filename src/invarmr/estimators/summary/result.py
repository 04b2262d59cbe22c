"""The answer of a summary-data estimator, and what its standard error says.

Symbols: b estimate, se standard error, df degrees of freedom of Student's t.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, final

from scipy import special

from invarmr.arrays import FloatArray
from invarmr.inference.confidence_set import ConfidenceSet
from invarmr.inference.wald import wald_p_value, wald_set

__all__ = ["Distribution", "SummaryEstimate", "two_sided"]

Distribution = Literal["normal", "t"]


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
        Two-sided, of no effect.
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

    def __post_init__(self) -> None:
        object.__setattr__(self, "extras", MappingProxyType(dict(self.extras)))
        object.__setattr__(self, "per_variant", MappingProxyType(dict(self.per_variant)))

    def __str__(self) -> str:
        return (
            f"{self.method}: {self.b:.4f} (se {self.se:.4f}, {100 * self.confidence_set.level:g} % set "
            f"{self.confidence_set}, p {self.pval:.3g}), {self.nsnp} variants"
        )


def two_sided(
    b: float, se: float, *, df: int = 0, distribution: Distribution = "normal", level: float = 0.95
) -> tuple[float, ConfidenceSet]:
    """P-value of b = 0 and the interval that inverts it, by the normal or Student's t with `df` degrees of freedom.

    Examples
    --------
    >>> p, interval = two_sided(2.0, 1.0, df=10, distribution="t")
    >>> round(p, 4), str(interval)
    (0.0734, '[-0.2281, 4.228]')
    """
    if distribution == "normal":
        return wald_p_value(b, se), wald_set(b, se, level=level)
    p = 2.0 * float(special.stdtr(df, -abs(b / se))) if se > 0 else 0.0
    half = -float(special.stdtrit(df, (1.0 - level) / 2.0)) * se
    return p, ConfidenceSet(((b - half, b + half),), level)


def chi_squared_tail(statistic: float, df: int) -> float:
    """P(chi-squared_df > statistic); NaN without degrees of freedom."""
    return float(special.chdtrc(df, statistic)) if df > 0 else math.nan
