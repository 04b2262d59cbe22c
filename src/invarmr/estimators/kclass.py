"""The k-class of instrumental-variable estimators: OLS, 2SLS, LIML and Fuller, by one formula on moments.

Symbols: X exposure and Y outcome partialled of the controls; P projection on the k instruments; kappa:

    theta(kappa) = X'(I - kappa (I - P)) Y / X'(I - kappa (I - P)) X

OLS kappa = 0; 2SLS kappa = 1; LIML the smallest root of |T - kappa (T - A)| with T = (Y, X)'(Y, X), A = (Y, X)'P(Y, X);
Fuller kappa_LIML - a / (n - k - c). With learned instruments, LIML and Fuller replace (T - A), the noise of the reduced
form, by the noise that it has after learning (`learning_covariance`): learning changes the noise that LIML subtracts,
and leaving that out biases LIML by an amount of order k / n. Sources: Theil (1958); Anderson & Rubin (1949); Fuller
(1977), Econometrica 45:939.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar, Self, final

import numpy as np
from scipy import linalg

from invarmr.arrays import FloatArray
from invarmr.data.design import Partialled
from invarmr.data.stacked_design import Design
from invarmr.errors import InputError
from invarmr.estimators.estimate import Estimate
from invarmr.estimators.learning_error import learning_inflation
from invarmr.estimators.variance import (
    StandardErrors,
    homoskedastic_variance,
    many_instrument_variance,
    row_variance,
)
from invarmr.inference.learning_covariance import with_learning
from invarmr.inference.wald import check_level, wald_p_value, wald_set
from invarmr.linalg.symmetric import RANK_TOLERANCE

__all__ = ["Fuller", "KClass", "LimitedInformationML", "OrdinaryLeastSquares", "TwoStageLeastSquares"]


@dataclass(frozen=True, kw_only=True)
class KClass(ABC):
    """A k-class estimator: frozen settings; `fit` takes a design and returns an `Estimate`.

    Parameters
    ----------
    std_errors
        `homoskedastic`, `many-instrument` (LIML and Fuller only), `robust` or `clustered` (these two need rows).
    level
        Level of the confidence set.
    count_learning
        Whether the error with which learned instruments were learned is counted: in standard errors
        (`learning_inflation`) and, for LIML and Fuller, in the noise they subtract.
    """

    std_errors: StandardErrors = "homoskedastic"
    level: float = 0.95
    count_learning: bool = True
    method: ClassVar[str]
    uses_instruments: ClassVar[bool] = True
    subtracts_noise: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_level(self.level)

    @property
    def needs_rows(self) -> bool:
        """Whether the standard errors need the people, not their moments alone."""
        return self.std_errors in ("robust", "clustered")

    def from_moments(self) -> Self:
        """The same estimator; where its standard errors need rows, with those that it has by default."""
        return replace(self, std_errors=type(self).std_errors) if self.needs_rows else self

    @abstractmethod
    def kappa(self, parts: Partialled, outside: FloatArray) -> float:
        """The k of this member of the class, with (T - A), or what it is after learning, as `outside`."""

    def fit(self, design: Design) -> Estimate:
        """Estimate the effect.

        Raises
        ------
        InputError
            Exposure without variance given the controls, outcome its exact multiple, `many-instrument` errors with OLS
            or 2SLS, or errors that need rows where there are only moments.
        """
        parts = design.partialled
        T, A = parts.total, parts.projected
        if T[1, 1] <= 0:
            raise InputError("The exposure does not vary once the controls are partialled out: nothing to fit.")
        if T[0, 0] * T[1, 1] - T[0, 1] ** 2 <= RANK_TOLERANCE * T[0, 0] * T[1, 1]:
            raise InputError(
                "Given the controls, the outcome is an exact multiple of the exposure, or does not vary: there is no "
                "error to measure the effect against. Check that exposure and outcome are different variables."
            )
        outside: FloatArray = np.asarray(T - A)
        if self.subtracts_noise and self.count_learning:
            free = parts.n_samples - parts.n_instruments - parts.n_controls
            outside = with_learning(outside / free, design) * free
        kappa = self.kappa(parts, outside)
        kept = A - (kappa - 1.0) * outside
        H = kept[1, 1]
        theta = float(kept[0, 1] / H)
        inflation = learning_inflation(design, theta) if self.count_learning and self.uses_instruments else 1.0
        std_error = float(np.sqrt(inflation * self._variance(design, theta, kappa, float(H))))
        f, r2 = first_stage(parts) if self.uses_instruments else (None, None)
        return Estimate(
            method=self.method,
            instruments=design.instrument_set if self.uses_instruments else "none",
            estimate=theta,
            std_error=std_error,
            std_errors=self.std_errors,
            confidence_set=wald_set(theta, std_error, level=self.level),
            p_value=wald_p_value(theta, std_error),
            n_samples=parts.n_samples,
            n_instruments=parts.n_instruments if self.uses_instruments else 0,
            first_stage_f=f,
            partial_r2=r2,
            kappa=kappa,
            learning_inflation=inflation,
            estimator=self,
        )

    def _variance(self, design: Design, theta: float, kappa: float, H: float) -> float:
        parts = design.partialled
        if self.std_errors == "homoskedastic":
            return homoskedastic_variance(parts, theta, H)
        if self.std_errors == "many-instrument":
            if not self.subtracts_noise:
                raise InputError(
                    f"many-instrument errors exist for LIML and Fuller, not for {self.method}, whose bias with many "
                    "instruments they cannot mend. Choose homoskedastic, robust or clustered."
                )
            return many_instrument_variance(parts, theta, H / kappa)
        if self.std_errors in ("robust", "clustered"):
            return row_variance(design, theta, kappa, H, clustered=self.std_errors == "clustered")
        raise InputError(
            f"std_errors must be homoskedastic, many-instrument, robust or clustered, but is {self.std_errors!r}."
        )


@final
@dataclass(frozen=True, kw_only=True)
class OrdinaryLeastSquares(KClass):
    """Least squares of the outcome on the exposure: no instrument, biased by every confounder."""

    method: ClassVar[str] = "OLS"
    uses_instruments: ClassVar[bool] = False

    def kappa(self, parts: Partialled, outside: FloatArray) -> float:
        """0."""
        return 0.0


@final
@dataclass(frozen=True, kw_only=True)
class TwoStageLeastSquares(KClass):
    """2SLS: biased toward OLS by about 1/F of OLS's bias when the instruments are many."""

    method: ClassVar[str] = "2SLS"

    def kappa(self, parts: Partialled, outside: FloatArray) -> float:
        """1."""
        return 1.0


@final
@dataclass(frozen=True, kw_only=True)
class LimitedInformationML(KClass):
    """LIML: median-unbiased to high order, also with many instruments; its own standard errors by default."""

    std_errors: StandardErrors = "many-instrument"
    method: ClassVar[str] = "LIML"
    subtracts_noise: ClassVar[bool] = True

    def kappa(self, parts: Partialled, outside: FloatArray) -> float:
        """The smallest root of |T - kappa (T - A)|, at least 1."""
        return liml_kappa(parts, outside)


@final
@dataclass(frozen=True, kw_only=True)
class Fuller(KClass):
    """Fuller's modified LIML, with moments of all orders.

    Parameters
    ----------
    a
        Fuller's constant: 1 (nearly unbiased) or 4 (smallest mean squared error).
    """

    std_errors: StandardErrors = "many-instrument"
    a: float = 1.0
    method: ClassVar[str] = "Fuller"
    subtracts_noise: ClassVar[bool] = True

    def kappa(self, parts: Partialled, outside: FloatArray) -> float:
        """kappa_LIML - a / (n - k - c)."""
        return liml_kappa(parts, outside) - self.a / (parts.n_samples - parts.n_instruments - parts.n_controls)


def liml_kappa(parts: Partialled, outside: FloatArray) -> float:
    """Smallest root of |A - (kappa - 1) M|, M = T - A: 1 / (1 - a), a the smallest of |A - a (A + M)|; 1 if k = 1."""
    if parts.n_instruments == 1:
        return 1.0
    whole = parts.projected + outside
    scale = np.sqrt(np.diag(whole))
    share = linalg.eigh(*(M / np.outer(scale, scale) for M in (parts.projected, whole)), eigvals_only=True)[0]
    return float(1.0 / (1.0 - max(share, 0.0)))


def first_stage(parts: Partialled) -> tuple[float, float]:
    """First-stage F and partial R2 of the instruments.

    F = (X'PX / k) / (X'(I - P)X / (n - k - c)); R2 = X'PX / X'X, both given the controls.
    """
    explained, total = parts.projected[1, 1], parts.total[1, 1]
    free = parts.n_samples - parts.n_instruments - parts.n_controls
    residual = total - explained
    f = np.inf if residual <= 0 else (explained / parts.n_instruments) / (residual / free)
    return float(f), float(explained / total)
