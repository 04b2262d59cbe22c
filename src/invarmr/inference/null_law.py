"""The laws that test statistics have under their null hypotheses: one object gives p, log10 p, quantile and text.

Symbols: T the statistic, t what was observed; p = P(T >= t), two-sided for a standard normal or a correlation.

Every p-value is a survival function, never 1 - cdf, and every logarithm is right where p is below the smallest float
(`log_survival`). Sources: Fisher (1921), Metron 1:3, for the correlation; Moreira (2003), Econometrica 71:1027, for the
law of a likelihood ratio given the strength of the instruments.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import final

from scipy import optimize, special, stats

from invarmr.inference.conditional_law import log_conditional_p_value
from invarmr.inference.log_survival import log_survival_chi2, log_survival_f

__all__ = ["ChiSquared", "Conditional", "Correlation", "FLaw", "Normal", "NullLaw"]


class NullLaw(ABC):
    """The law of a statistic where the null hypothesis holds."""

    @abstractmethod
    def p_value(self, statistic: float) -> float:
        """P(T >= statistic); 0 only where it is below the smallest float, and `log10_p` then says how small."""

    @abstractmethod
    def log_p(self, statistic: float) -> float:
        """Natural logarithm of the p-value, at most 0."""

    @abstractmethod
    def quantile(self, size: float) -> float:
        """The statistic whose p-value is `size`: where a test at level `size` begins to reject."""

    @property
    @abstractmethod
    def df(self) -> str:
        """Degrees of freedom, to be shown; "" where there are none."""

    def log10_p(self, statistic: float) -> float:
        """Decimal logarithm of the p-value."""
        return self.log_p(statistic) / math.log(10.0)


@final
@dataclass(frozen=True)
class ChiSquared(NullLaw):
    """`divisor` T ~ chi2(k): chi-squared, or an "F" of rank that is chi-squared over the number of instruments.

    Examples
    --------
    >>> law = ChiSquared(3)
    >>> round(law.p_value(law.quantile(0.05)), 12), round(law.log10_p(20_000.0), 1)
    (0.05, -4340.9)
    >>> ChiSquared(3, divisor=4).log10_p(5_000.0) == law.log10_p(20_000.0)
    True
    """

    k: int
    divisor: int = 1

    def p_value(self, statistic: float) -> float:
        """Survival function of chi-squared."""
        return float(special.chdtrc(self.k, max(statistic, 0.0) * self.divisor))

    def log_p(self, statistic: float) -> float:
        """Its logarithm."""
        return min(float(log_survival_chi2(statistic * self.divisor, self.k)), 0.0)

    def quantile(self, size: float) -> float:
        """Its inverse."""
        return float(stats.chi2.isf(size, self.k)) / self.divisor

    @property
    def df(self) -> str:
        """K."""
        return str(self.k)


@final
@dataclass(frozen=True)
class FLaw(NullLaw):
    """T ~ F(k, n); degrees of freedom need not be whole (Rao's F of Wilks' Lambda).

    Examples
    --------
    >>> law = FLaw(3, 20_000)
    >>> round(law.p_value(law.quantile(0.05)), 12), round(law.log10_p(900.0), 1)
    (0.05, -548.4)
    >>> law.df
    '3, 20000'
    """

    k: float
    n: float

    def p_value(self, statistic: float) -> float:
        """Survival function of F."""
        return float(special.fdtrc(self.k, self.n, max(statistic, 0.0)))

    def log_p(self, statistic: float) -> float:
        """Its logarithm."""
        return min(log_survival_f(statistic, self.k, self.n), 0.0)

    def quantile(self, size: float) -> float:
        """Its inverse."""
        return float(stats.f.isf(size, self.k, self.n))

    @property
    def df(self) -> str:
        """K and n, rounded."""
        return f"{self.k:.0f}, {self.n:.0f}"


@final
@dataclass(frozen=True)
class Normal(NullLaw):
    """T ~ N(0, 1), two-sided.

    Examples
    --------
    >>> round(Normal().p_value(-1.959963984540054), 12), round(Normal().quantile(0.05), 4)
    (0.05, 1.96)
    """

    def p_value(self, statistic: float) -> float:
        """P(|T| >= |statistic|)."""
        return float(special.erfc(abs(statistic) / math.sqrt(2.0)))

    def log_p(self, statistic: float) -> float:
        """Its logarithm."""
        return min(float(log_survival_chi2(statistic**2, 1)), 0.0)

    def quantile(self, size: float) -> float:
        """Its positive inverse."""
        return -float(special.ndtri(size / 2.0))

    @property
    def df(self) -> str:
        """None."""
        return ""


@final
@dataclass(frozen=True)
class Correlation(NullLaw):
    """A correlation on `free` degrees of freedom: sqrt(free) atanh T ~ N(0, 1), two-sided (Fisher).

    Examples
    --------
    >>> law = Correlation(1_000)
    >>> round(law.p_value(law.quantile(0.01)), 12), round(law.log10_p(0.9), 1)
    (0.01, -472.4)
    """

    free: int

    def _normal(self, statistic: float) -> float:
        return math.atanh(min(max(statistic, -1 + 1e-15), 1 - 1e-15)) * math.sqrt(self.free)

    def p_value(self, statistic: float) -> float:
        """P(|T| >= |statistic|)."""
        return Normal().p_value(self._normal(statistic))

    def log_p(self, statistic: float) -> float:
        """Its logarithm."""
        return Normal().log_p(self._normal(statistic))

    def quantile(self, size: float) -> float:
        """Its positive inverse."""
        return math.tanh(Normal().quantile(size) / math.sqrt(self.free))

    @property
    def df(self) -> str:
        """The degrees of freedom."""
        return str(self.free)


@final
@dataclass(frozen=True)
class Conditional(NullLaw):
    """A likelihood ratio of m effects by k instruments, given their strength (`conditional_law`).

    Examples
    --------
    >>> law = Conditional(5, 20.0)
    >>> round(law.p_value(law.quantile(0.05)), 12)
    0.05
    """

    k: int
    strength: float
    m: int = 1

    def p_value(self, statistic: float) -> float:
        """P(LR >= statistic), given the strength."""
        return math.exp(self.log_p(statistic))

    def log_p(self, statistic: float) -> float:
        """Its logarithm."""
        return log_conditional_p_value(statistic, self.strength, self.k, self.m)

    def quantile(self, size: float) -> float:
        """Its inverse, between those of chi2(m) and of chi2(k)."""
        low, high = (ChiSquared(df).quantile(size) for df in (self.m, self.k))
        if self.log_p(high) >= math.log(size):
            return high
        return float(optimize.brentq(lambda t: self.log_p(t) - math.log(size), (1 - 1e-6) * low, high, rtol=1e-14))

    @property
    def df(self) -> str:
        """k; m and k where several effects are tested."""
        return str(self.k) if self.m == 1 else f"{self.m}, {self.k}"
