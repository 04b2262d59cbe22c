"""The k-class with several exposures: OLS, 2SLS, LIML and Fuller for a vector of effects, on moments.

Symbols: X (m) exposures and Y outcome given the controls; P projection on the k instruments; kappa as in `kclass`:

    theta = H^-1 X'(I - kappa (I - P)) Y,    H = X'(I - kappa (I - P)) X

    homoskedastic     s2 H^-1,  s2 = u'u / (n - c - m)
    many-instrument   s2 H_a^-1 {(1 - a)^2 X~'P X~ + a^2 X~'(I - P) X~} H_a^-1,  H_a = X'PX - a X'X, a = u'Pu / u'u,
                      X~ = X - u (u'X / u'u)
    robust, clustered H^-1 {f sum_g s_g s_g'} H^-1,  s_g = sum_{i in g} u_i (PX)_i, f as for one exposure

Sources: Theil (1958); Anderson & Rubin (1949); Fuller (1977), Econometrica 45:939; Bekker (1994), Econometrica 62:657.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, final

import numpy as np
from scipy import linalg

from invarmr.arrays import FloatArray, read_only
from invarmr.data.design import Partialled
from invarmr.data.several_exposures import SeveralExposures
from invarmr.errors import InputError
from invarmr.estimators.variance import StandardErrors
from invarmr.inference.confidence_set import ConfidenceSet
from invarmr.inference.null_law import ChiSquared
from invarmr.inference.statistical_test import StatisticalTest, hypothesis
from invarmr.inference.wald import check_level, wald_p_value, wald_set
from invarmr.linalg.symmetric import RANK_TOLERANCE

__all__ = ["SeveralEffects", "SeveralExposuresKClass"]

Member = Literal["OLS", "2SLS", "LIML", "Fuller"]


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class SeveralEffects:
    """Estimated direct effects of several exposures.

    Parameters
    ----------
    method
        Member of the k-class.
    exposures
        m names.
    estimates, covariance
        (m,) effects, each with the other exposures held fixed, and the covariance (m, m) of their errors.
    std_errors
        Which standard error.
    level
        Of the confidence sets.
    n_samples, n_instruments
        Samples, and rank of the instruments (0 for least squares).
    kappa
        k of the k-class.
    """

    method: str
    exposures: tuple[str, ...]
    estimates: FloatArray
    covariance: FloatArray
    std_errors: str
    level: float
    n_samples: int
    n_instruments: int
    kappa: float

    @property
    def std_error(self) -> FloatArray:
        """Standard errors (m,)."""
        return np.sqrt(np.diag(self.covariance))

    @property
    def p_values(self) -> tuple[float, ...]:
        """Two-sided, of no effect of each exposure."""
        return tuple(
            wald_p_value(b, se) for b, se in zip(self.estimates.tolist(), self.std_error.tolist(), strict=True)
        )

    @property
    def confidence_sets(self) -> tuple[ConfidenceSet, ...]:
        """Wald intervals, one per exposure."""
        pairs = zip(self.estimates.tolist(), self.std_error.tolist(), strict=True)
        return tuple(wald_set(b, se, level=self.level) for b, se in pairs)

    def wald_test(self, values: Mapping[str, float]) -> StatisticalTest:
        """Wald test that the named exposures have these effects, chi-squared; needs strong instruments."""
        places = [self.exposures.index(name) for name in values]
        step = self.estimates[places] - np.array(list(values.values()))
        statistic = float(step @ linalg.solve(self.covariance[np.ix_(places, places)], step, assume_a="pos"))
        law = ChiSquared(len(places))
        return StatisticalTest(test="Wald", null=hypothesis(values), statistic=statistic, law=law)

    def __str__(self) -> str:
        rows = [
            f"{self.method}, {name}: {b:.4f} (se {se:.4f}, {100 * self.level:g} % set {interval})"
            for name, b, se, interval in zip(
                self.exposures, self.estimates, self.std_error, self.confidence_sets, strict=True
            )
        ]
        return "\n".join(rows)


@final
@dataclass(frozen=True, kw_only=True)
class SeveralExposuresKClass:
    """A member of the k-class for several exposures: frozen settings, and `fit`.

    Parameters
    ----------
    member
        "OLS", "2SLS", "LIML" (default) or "Fuller".
    std_errors
        `homoskedastic`, `many-instrument` (LIML and Fuller only), `robust` or `clustered` (these two need rows); None:
        `many-instrument` where it exists, as for one exposure.
    a
        Fuller's constant.
    level
        Level of the confidence sets.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> Z, h = rng.normal(size=(2000, 4)), rng.normal(size=(2000, 1))
    >>> X = Z @ [[1, 0], [1, 0], [0, 1], [0.5, 1]] + h + rng.normal(size=(2000, 2))
    >>> Y = X @ [1.0, -0.5] + h[:, 0] + rng.normal(size=2000)
    >>> design = SeveralExposures.from_arrays(instrument=Z, exposures=X, outcome=Y, exposure_names=["LDL", "HDL"])
    >>> print(SeveralExposuresKClass().fit(design))
    LIML, LDL: 0.9705 (se 0.0219, 95 % set [0.9276, 1.013])
    LIML, HDL: -0.4916 (se 0.0234, 95 % set [-0.5375, -0.4458])
    """

    member: Member = "LIML"
    std_errors: StandardErrors | None = None
    a: float = 1.0
    level: float = 0.95

    def __post_init__(self) -> None:
        check_level(self.level)
        if self.member not in ("OLS", "2SLS", "LIML", "Fuller"):
            raise InputError(f"member must be OLS, 2SLS, LIML or Fuller, but is {self.member!r}.")

    def fit(self, design: SeveralExposures) -> SeveralEffects:
        """Estimate the effects.

        Raises
        ------
        InputError
            The (projected) exposures are collinear given the controls, `many-instrument` errors with OLS or 2SLS, or
            errors that need rows where there are only moments.
        """
        parts = design.partialled
        kappa = self._kappa(parts)
        outside = parts.total - parts.projected
        kept = parts.projected - (kappa - 1.0) * outside
        H = kept[1:, 1:]
        scale = np.sqrt(np.clip(np.diag(parts.total)[1:], 0.0, None))
        if not (scale > 0).all() or linalg.eigvalsh(H / np.outer(scale, scale))[0] <= RANK_TOLERANCE:
            raise InputError(
                f"The exposures ({', '.join(design.exposures)}), or what the instruments say of them, are collinear "
                "given the controls: their effects cannot be told apart. Leave an exposure out, or add instruments."
            )
        theta = linalg.solve(H, kept[1:, 0], assume_a="pos")
        kind = self.std_errors or ("many-instrument" if self.member in ("LIML", "Fuller") else "homoskedastic")
        covariance = self._covariance(design, theta, kappa, H, kind)
        return SeveralEffects(
            method=self.member,
            exposures=design.exposures,
            estimates=read_only(theta),
            covariance=read_only((covariance + covariance.T) / 2),
            std_errors=kind,
            level=self.level,
            n_samples=parts.n_samples,
            n_instruments=0 if self.member == "OLS" else parts.n_instruments,
            kappa=kappa,
        )

    def _kappa(self, parts: Partialled) -> float:
        if self.member in ("OLS", "2SLS"):
            return 0.0 if self.member == "OLS" else 1.0
        kappa = 1.0
        if parts.n_instruments >= len(parts.total):
            scale = np.sqrt(np.diag(parts.total))
            pencil = [M / np.outer(scale, scale) for M in (parts.projected, parts.total)]
            kappa = float(1.0 / (1.0 - max(linalg.eigh(*pencil, eigvals_only=True)[0], 0.0)))
        if self.member == "Fuller":
            kappa -= self.a / (parts.n_samples - parts.n_instruments - parts.n_controls)
        return kappa

    def _covariance(
        self, design: SeveralExposures, theta: FloatArray, kappa: float, H: FloatArray, kind: StandardErrors
    ) -> FloatArray:
        parts, inverse = design.partialled, linalg.inv(H)
        b = np.concatenate([[1.0], -theta])
        n, free = parts.n_samples, parts.n_samples - parts.n_controls - len(theta)
        uu = float(b @ parts.total @ b)
        if kind == "homoskedastic":
            return np.asarray(uu / free * inverse)
        if kind == "many-instrument":
            if self.member not in ("LIML", "Fuller"):
                raise InputError(f"many-instrument errors exist for LIML and Fuller, not for {self.member}.")
            a = float(b @ parts.projected @ b) / uu
            tilde = np.eye(len(b))[:, 1:] - np.outer(b, b @ parts.total[:, 1:]) / uu
            inside = tilde.T @ parts.projected @ tilde
            outside = tilde.T @ (parts.total - parts.projected) @ tilde
            return np.asarray(uu / free * kappa**2 * inverse @ ((1 - a) ** 2 * inside + a**2 * outside) @ inverse)
        if kind not in ("robust", "clustered"):
            raise InputError(
                f"std_errors must be homoskedastic, many-instrument, robust or clustered, but is {kind!r}."
            )
        middle, factor = _scores(design, theta, kappa, clustered=kind == "clustered")
        return np.asarray(n / free * factor * inverse @ middle @ inverse)


def _scores(design: SeveralExposures, theta: FloatArray, kappa: float, *, clustered: bool) -> tuple[FloatArray, float]:
    """Sum of squared scores (m, m), summed within clusters before, and the factor that clusters add."""
    cohort, parts = design.design.cohort, design.partialled
    cluster = cohort.cluster if cohort is not None and clustered else None
    if clustered and cluster is None:
        raise InputError("Clustered errors need the rows of the cohort and a cluster for every sample.")
    m = len(theta)
    clusters = 0 if cluster is None else int(cluster.max()) + 1
    total, sums = np.zeros((m, m)), np.zeros((clusters, m))
    for instruments, values, rows in design.residual_rows():
        fitted = instruments @ parts.whitened[:, 1:] if kappa else values[:, 1:]
        scores = fitted * (values[:, :1] - values[:, 1:] @ theta[:, None])
        if cluster is None:
            total += scores.T @ scores
        else:
            np.add.at(sums, cluster[rows], scores)
    if cluster is None:
        return total, 1.0
    if clusters < 2:
        raise InputError("Clustered errors need at least two clusters, but all samples are in one.")
    n = parts.n_samples
    return np.asarray(sums.T @ sums), clusters / (clusters - 1) * (n - 1) / n
