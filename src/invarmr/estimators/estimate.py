"""The answer of an estimator: the effect, its uncertainty, and what they rest on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from invarmr.data.design import IVDesign
from invarmr.inference.confidence_set import ConfidenceSet
from invarmr.inference.null_law import Normal

__all__ = ["Estimate", "Estimator"]


class Estimator(Protocol):
    """What gives an `Estimate`: frozen settings with a level, and `fit`."""

    @property
    def level(self) -> float:
        """Level of the confidence set."""

    @property
    def needs_rows(self) -> bool:
        """Whether `fit` needs the people, not their moments alone."""

    def fit(self, design: IVDesign) -> Estimate:
        """Estimate the effect."""


@dataclass(frozen=True)
class Estimate:
    """An estimated effect of the exposure on the outcome.

    Parameters
    ----------
    method
        Name of the estimator, as in `estimates.tsv`.
    instruments
        Label of the instrument set: `none`, `observed`, `learned`, ...
    estimate, std_error
        Effect in units of outcome per unit of exposure, and its standard error.
    std_errors
        Which standard error: `homoskedastic`, `many-instrument`, `robust` or `clustered`.
    confidence_set
        At the level it carries.
    p_value
        Two-sided, of no effect; 0 where it is below the smallest float (see `log10_p_value`).
    n_samples, n_instruments
        Samples, and rank of the instruments (0 for least squares).
    first_stage_f
        F of the instruments in the first stage, an F in the strict sense (divided by the number of instruments);
        None for least squares.
    partial_r2
        Share of the exposure's variance, given the controls, that the instruments explain; None for least squares.
    kappa
        k of the k-class.
    learning_inflation
        Factor by which the variance was multiplied because the instruments were learned from the same people; 1 where
        they were not.
    note
        What a reader must know of this row.
    estimator
        Who made it, with its settings: `estimate.estimator.fit(other_design)` makes it again elsewhere. None for what
        no estimator gives on one design: a combination of estimates, a bootstrap.
    """

    method: str
    instruments: str
    estimate: float
    std_error: float
    std_errors: str
    confidence_set: ConfidenceSet
    p_value: float
    n_samples: int
    n_instruments: int
    first_stage_f: float | None
    partial_r2: float | None
    kappa: float
    learning_inflation: float = 1.0
    note: str = ""
    estimator: Estimator | None = None

    @property
    def log10_p_value(self) -> float:
        """Decimal logarithm of the p-value, right where the p-value is below the smallest float."""
        return Normal().log10_p(self.estimate / self.std_error)

    def __str__(self) -> str:
        strength = "" if self.first_stage_f is None else f", first-stage F {self.first_stage_f:.1f}"
        return (
            f"{self.method} ({self.instruments}): {self.estimate:.4f} (se {self.std_error:.4f}, "
            f"{100 * self.confidence_set.level:g} % set {self.confidence_set}), n {self.n_samples}, "
            f"{self.n_instruments} instrument{'s' * (self.n_instruments != 1)}{strength}"
        )
