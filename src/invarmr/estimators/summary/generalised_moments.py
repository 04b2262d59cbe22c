"""Generalised method of moments on summary data: components of correlated variants, and several exposures.

Symbols: p variants with LD rho, K exposures, gamma_k, Gamma associations with standard errors sigma_k, sigma_Y from
n_k, n_Y
people. With a_j = 1 / (n sigma_j^2 + gamma_j^2) and A = (a^1/2 a^1/2') * rho, the coefficients of all variants at
once are
A^-1 (a gamma). L (p, r) the first principal components of (|gamma| / sigma_Y)(|gamma| / sigma_Y)' * rho that hold a
share of its variance (one exposure), or the identity; then

    c = (L'AL)^-1 L'(a gamma),   S = (L'AL)^-1 {1 - c'L'(a gamma)} / (n - r + 1)
    g(b) = c_Y - sum_k b_k c_k,  W(b) = S_Y + (tau^2 / n_Y) I + sum_kl b_k b_l S_kl,   Q(b) = g'W^-1 g

tau^2 makes Q at the first estimate (tau^2 = 0) equal its degrees of freedom r - K, and is taken as 0 below. One
exposure: b minimises Q (LIML). Several: b solves C'W(b)^-1 g(b) = 0, C the columns c_k. Variance (C'W^-1 C)^-1.
Sources: Patel, Gill, Shungin et al. (2024), Statistics in Medicine 43:342; Burgess, Zuber, Valdes-Marquez et al.
(2017), Genetic Epidemiology 41:714.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, final

import numpy as np
from numpy.typing import ArrayLike
from scipy import linalg, optimize

from invarmr.arrays import FloatArray, finite_matrix
from invarmr.data.harmonised import Associations, MultivariableAssociations
from invarmr.errors import InputError
from invarmr.estimators.summary.base import SummaryEstimator
from invarmr.estimators.summary.multivariable import require_variants
from invarmr.estimators.summary.result import SummaryEstimate, two_sided
from invarmr.inference.wald import check_level

__all__ = ["MultivariableMoments", "PrincipalComponentMoments"]


@final
@dataclass(frozen=True, kw_only=True)
class PrincipalComponentMoments(SummaryEstimator):
    """PC-GMM: the effect from many correlated variants of one region, by LIML on their principal components.

    Parameters
    ----------
    exposure_sample_size, outcome_sample_size
        People behind the associations.
    share
        Share of the variance that the components hold.
    over_dispersion
        Count balanced pleiotropy, tau^2 (default).
    level
        Level of the confidence set.

    Notes
    -----
    Extras: `n_components`, `F` of the components, `Q`, `over_dispersion` (tau^2 before it is taken as zero).
    """

    exposure_sample_size: float
    outcome_sample_size: float
    share: float = 0.999
    over_dispersion: bool = True
    method: ClassVar[str] = "Principal component GMM"
    minimum_variants: ClassVar[int] = 2
    takes_correlation: ClassVar[bool] = True

    def _estimate(self, data: Associations, seed: int) -> SummaryEstimate:
        if not 0.0 < self.share < 1.0:
            raise InputError(f"share must lie in (0, 1), but is {self.share}.")
        rho = np.eye(data.n_variants) if data.correlation is None else data.correlation
        L = _components(np.abs(data.exposure) / data.outcome_std_error, rho, self.share)
        r = L.shape[1]
        if r < 2:
            raise InputError("PC-GMM needs two components at least, but one holds the asked share. Raise share.")
        x = _joint([data.exposure], [data.exposure_std_error], [self.exposure_sample_size], np.eye(1), rho, L)
        y = _joint([data.outcome], [data.outcome_std_error], [self.outcome_sample_size], np.eye(1), rho, L)
        moments = _Moments(x.coefficients, x.covariance, y.coefficients[:, 0], y.covariance[0, 0])
        b, tau2, q = _solve(moments, self.outcome_sample_size, over_dispersion=self.over_dispersion)
        f = float(x.coefficients[:, 0] @ linalg.solve(x.covariance[0, 0], x.coefficients[:, 0], assume_a="pos")) / r
        se = float(np.sqrt(moments.variance(b, max(tau2, 0.0) / self.outcome_sample_size)[0, 0]))
        p, interval, log10_p = two_sided(float(b[0]), se, level=self.level)
        return SummaryEstimate(
            method=self.method,
            nsnp=data.n_variants,
            b=float(b[0]),
            se=se,
            pval=p,
            log10_pval=log10_p,
            confidence_set=interval,
            extras={"n_components": r, "F": f, "Q": q, "over_dispersion": tau2},
        )


@final
@dataclass(frozen=True, kw_only=True)
class MultivariableMoments:
    """MV-GMM: direct effects of several exposures, counting the error of their associations and balanced pleiotropy.

    Parameters
    ----------
    exposure_sample_size, outcome_sample_size
        People behind the associations: one number or one per exposure; and one.
    share
        Share of the variance that principal components hold, of z z' * rho with z the sum of |gamma_k| over sigma_Y
        (MV-PC-GMM, for correlated variants); None: the variants themselves.
    over_dispersion
        Count balanced pleiotropy, tau^2 (default).
    level
        Level of the confidence sets.

    Notes
    -----
    Extras: `Q`, `over_dispersion` (tau^2 before it is taken as zero), `n_components`.
    """

    exposure_sample_size: ArrayLike
    outcome_sample_size: float
    share: float | None = None
    over_dispersion: bool = True
    level: float = 0.95

    def __post_init__(self) -> None:
        check_level(self.level)
        if self.share is not None and not 0.0 < self.share < 1.0:
            raise InputError(f"share must lie in (0, 1), but is {self.share}.")

    def fit(
        self, data: MultivariableAssociations, *, correlation: ArrayLike | None = None, ld: ArrayLike | None = None
    ) -> Mapping[str, SummaryEstimate]:
        """One estimate per exposure, by name.

        Parameters
        ----------
        data
            More variants than exposures.
        ld
            (p, p) correlation of the variants, of the effect alleles; None: independent.
        correlation
            (K, K) phenotypic correlation of the exposures, where their associations come from the same people.

        Raises
        ------
        InputError
            Not more variants than exposures, or no more people than variants.
        """
        p, K = data.exposure.shape
        require_variants(data, K + 1, "Multivariable GMM")
        cor = np.eye(K) if correlation is None else finite_matrix(correlation, "correlation", K)
        sizes = [float(n) for n in np.broadcast_to(np.asarray(self.exposure_sample_size, dtype=np.float64), (K,))]
        rho = np.eye(p) if ld is None else finite_matrix(ld, "ld", p)
        if rho.shape != (p, p) or linalg.eigvalsh(rho)[0] <= 1e-10:
            raise InputError(f"ld must be a positive definite {p} x {p} correlation matrix: prune variants first.")
        L: FloatArray = np.eye(p)
        if self.share is not None:
            L = _components(np.abs(data.exposure).sum(axis=1) / data.outcome_std_error, rho, self.share)
        if L.shape[1] <= K:
            raise InputError(f"{L.shape[1]} components are too few for {K} exposures: raise share.")
        x = _joint(list(data.exposure.T), list(data.exposure_std_error.T), sizes, cor, rho, L)
        y = _joint([data.outcome], [data.outcome_std_error], [self.outcome_sample_size], np.eye(1), rho, L)
        moments = _Moments(x.coefficients, x.covariance, y.coefficients[:, 0], y.covariance[0, 0])
        b, tau2, q = _solve(moments, self.outcome_sample_size, over_dispersion=self.over_dispersion)
        spread = np.sqrt(np.diag(moments.variance(b, max(tau2, 0.0) / self.outcome_sample_size)))
        answers = {}
        for name, value, se in zip(data.exposures, b.tolist(), spread.tolist(), strict=True):
            p_value, interval, log10_p = two_sided(value, se, level=self.level)
            answers[name] = SummaryEstimate(
                method="GMM (multivariable)",
                nsnp=p,
                b=value,
                se=se,
                pval=p_value,
                log10_pval=log10_p,
                confidence_set=interval,
                extras={"Q": q, "over_dispersion": tau2, "n_components": L.shape[1]},
            )
        return answers


class _Joint(NamedTuple):
    """Coefficients (r, K) of components, and their covariances (K, K, r, r)."""

    coefficients: FloatArray
    covariance: FloatArray


def _components(z: FloatArray, rho: FloatArray, share: float) -> FloatArray:
    """Loadings (p, r) of the components of z z' * rho, columns centred, that hold more than a share of its variance."""
    Phi = np.outer(z, z) * rho
    _, s, right = np.linalg.svd(Phi - Phi.mean(axis=0), full_matrices=False)
    held = np.cumsum(s**2) / (s**2).sum()
    return np.asarray(right[: int(np.flatnonzero(held > share)[0]) + 1].T)


def _joint(
    gamma: list[FloatArray],
    sigma: list[FloatArray],
    n: list[float],
    cor: FloatArray,
    rho: FloatArray,
    L: FloatArray,
) -> _Joint:
    """What least squares on all components at once would give."""
    r = L.shape[1]
    if min(n) <= len(rho) + 1:
        raise InputError(f"the samples must be larger than the number of variants, but {min(n):g} people came.")
    a = [1.0 / (size * s**2 + g**2) for g, s, size in zip(gamma, sigma, n, strict=True)]
    A = [L.T @ (np.sqrt(np.outer(w, w)) * rho) @ L for w in a]
    B = [L.T @ (w * g) for w, g in zip(a, gamma, strict=True)]
    roots = [linalg.sqrtm(M).real for M in A]
    K = len(n)
    covariance = np.empty((K, K, r, r))
    for k in range(K):
        for other in range(K):
            inverse = np.linalg.inv(roots[k] @ roots[other].T)
            left = float(cor[k, other]) - float(B[k] @ inverse @ B[other])
            covariance[k, other] = inverse * left / np.sqrt((n[k] - r + 1.0) * (n[other] - r + 1.0))
    return _Joint(np.column_stack([np.linalg.solve(M, v) for M, v in zip(A, B, strict=True)]), covariance)


class _Moments(NamedTuple):
    """C (r, K), their covariances (K, K, r, r), c_Y (r,), S_Y (r, r)."""

    C: FloatArray
    S: FloatArray
    c_Y: FloatArray
    S_Y: FloatArray

    def weight(self, b: FloatArray, extra: float) -> FloatArray:
        W = self.S_Y + extra * np.eye(len(self.c_Y)) + np.einsum("k,l,klij->ij", b, b, self.S)
        return np.asarray((W + W.T) / 2)

    def q(self, b: FloatArray, extra: float) -> float:
        g = self.c_Y - self.C @ b
        return float(g @ np.linalg.solve(self.weight(b, extra), g))

    def variance(self, b: FloatArray, extra: float) -> FloatArray:
        return np.asarray(np.linalg.inv(self.C.T @ np.linalg.solve(self.weight(b, extra), self.C)))

    def solution(self, start: FloatArray, extra: float) -> FloatArray:
        """LIML with one exposure; with several, the root of C'W(b)^-1 g(b), by iteration."""
        b = start
        if len(b) == 1:
            scale = abs(float(b[0])) + float(np.sqrt(self.variance(b, extra)[0, 0]))
            grid = float(b[0]) + scale * np.linspace(-10.0, 10.0, 401)
            best = int(np.argmin([self.q(np.array([value]), extra) for value in grid]))
            low, high = grid[max(best - 1, 0)], grid[min(best + 1, 400)]
            found = optimize.minimize_scalar(
                lambda value: self.q(np.array([value]), extra),
                bounds=(low, high),
                method="bounded",
                options={"xatol": 1e-10 * scale},
            )
            return np.array([float(found.x)])
        for _ in range(500):
            W = self.weight(b, extra)
            new = np.linalg.solve(self.C.T @ np.linalg.solve(W, self.C), self.C.T @ np.linalg.solve(W, self.c_Y))
            if np.abs(new - b).max() <= 1e-12 * np.abs(new).max():
                return np.asarray(new)
            b = new
        return np.asarray(b)


def _solve(moments: _Moments, n: float, *, over_dispersion: bool) -> tuple[FloatArray, float, float]:
    """Estimate, tau^2 and Q."""
    start = np.linalg.lstsq(moments.C, moments.c_Y, rcond=None)[0]
    b = moments.solution(start, 0.0)
    if not over_dispersion:
        return b, 0.0, moments.q(b, 0.0)
    free = len(moments.c_Y) - len(b)

    def excess(tau2: float) -> float:
        return moments.q(b, tau2 / n) - free

    smallest = -n * float(linalg.eigvalsh(moments.weight(b, 0.0))[0])
    low, high = 0.0, 1.0
    if excess(0.0) > 0:
        while excess(high) > 0:
            high *= 2.0
    else:  # under-dispersed: the root lies between the pole and zero
        low, high = smallest * (1.0 - 1e-9), 0.0
        if excess(low) <= 0:
            return b, 0.0, moments.q(b, 0.0)
    tau2 = float(optimize.brentq(excess, low, high, xtol=1e-12))
    b = moments.solution(b, max(tau2, 0.0) / n)
    return b, tau2, moments.q(b, max(tau2, 0.0) / n)
