"""Estimators for many instruments and unequal variances: each sample's own noise is left out of its first stage.

Symbols: x exposure, y outcome, z orthonormal instruments, all given the c controls; P = zz'; r = x - Px; P_i = |z_i|^2
and C_i the leverages of the instruments and of the controls (the constant counted), Q_i = P_i + C_i; X = (y, x).

    JIVE    x^_i = x_i - r_i / (1 - Q_i)                        (first stage of the others, controls in both stages)
    UJIVE   x^_i = x_i / (1 - C_i) - r_i / (1 - Q_i)            (the controls' coefficients left out too)
            theta = sum x^_i y_i / sum x^_i x_i
    HLIM    a = smallest root of |B - a X'X|, B = X'PX - sum_i P_i X_i X_i'
    HFUL    a <- {a - (1 - a) / n} / {1 - (1 - a) / n}
            theta = (B_xy - a x'y) / (B_xx - a x'x)

2SLS has a bias of about 1 / F of that of OLS because P_i v_i u_i (v, u errors of x and y) does not average to zero;
LIML removes it only where variances are equal. Leaving the diagonal of P out removes it whatever they are. HLIM keeps
LIML's efficiency, HFUL adds moments. y is taken given the controls (not raw), so that nothing depends on the origin of
Y; with C_i small against 1 HLIM and HFUL on (y, x) agree with those that carry the controls along. With learned
instruments X'PX holds the noise of the learning too, which no sample's own row shows: k Q is taken from it
(`learning_covariance`), from B and from both sums of JIVE and UJIVE.

Variances (many instruments, unequal variances), u = y - theta x: for JIVE and UJIVE, with xi_i = u_i / (1 - Q_i),

    V = { sum_i x^_i^2 u_i^2 + sum_{i != j} P_ij^2 x_i xi_i x_j xi_j } / (sum_i x^_i x_i)^2

and for HLIM and HFUL, with H = B_xx - a x'x, w = x - u (u'x / u'u) and p = Pw,

    V = { sum_i (p_i^2 - 2 w_i P_i p_i) u_i^2 + sum_ij P_ij^2 w_i u_i w_j u_j } / H^2.

sum_ij P_ij^2 f_i f_j = || sum_i f_i z_i z_i' ||^2, so everything is two passes over the rows and no n x n matrix.
Sources: Angrist, Imbens & Krueger (1999), Journal of Applied Econometrics 14:57; Kolesar (2013), Estimation in an
Instrumental Variables Model With Treatment Effect Heterogeneity; Chao, Swanson, Hausman, Newey & Woutersen (2012),
Econometric Theory 28:42; Hausman, Newey, Woutersen, Chao & Swanson (2012), Quantitative Economics 3:211.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from scipy import linalg

from invarmr.arrays import FloatArray
from invarmr.data.design import IVDesign
from invarmr.errors import InputError
from invarmr.estimators.estimate import Estimate
from invarmr.estimators.kclass import first_stage
from invarmr.estimators.learning_error import learning_inflation
from invarmr.inference.learning_covariance import with_learning
from invarmr.inference.wald import check_level, wald_p_value, wald_set
from invarmr.linalg.symmetric import RANK_TOLERANCE, solve_on_range

__all__ = ["HeteroskedasticFuller", "HeteroskedasticLIML", "Jackknife", "JackknifeIV", "UnbiasedJackknifeIV"]

_FULL = 1e-6
"""A leverage this close to 1 belongs to a sample that the instruments and controls fit alone."""


@dataclass(frozen=True, eq=False)
class _Block:
    """A block of rows: z (b, k), pair = (y, x) (b, 2), and the leverages P_i and C_i (b,)."""

    z: FloatArray
    pair: FloatArray
    instruments: FloatArray
    controls: FloatArray


@dataclass(frozen=True, kw_only=True)
class Jackknife(ABC):
    """A jackknife estimator: frozen settings; `fit` takes a design with rows and returns an `Estimate`.

    Parameters
    ----------
    level
        Level of the confidence set.
    count_learning
        Whether the error with which learned instruments were learned is counted: in the standard error
        (`learning_inflation`) and in the noise that is left out.
    """

    level: float = 0.95
    count_learning: bool = True
    method: ClassVar[str]
    needs_rows: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_level(self.level)

    @abstractmethod
    def _solve(self, design: IVDesign) -> tuple[float, float, float]:
        """The effect, its variance, and kappa in the sense of the k-class (1 where there is none)."""

    def fit(self, design: IVDesign) -> Estimate:
        """Estimate the effect by two passes over the rows.

        Returns
        -------
        Estimate
            `std_errors` is `robust`: right for unequal variances and many instruments.

        Raises
        ------
        InputError
            The design was built from moments alone, the exposure does not vary given the controls, or a sample is
            fitted by the instruments and controls alone.
        """
        parts = design.partialled
        if parts.projected[1, 1] <= RANK_TOLERANCE * parts.total[1, 1]:
            raise InputError("The instruments do not predict the exposure, or it does not vary, given the controls.")
        theta, variance, kappa = self._solve(design)
        inflation = learning_inflation(design, theta) if self.count_learning else 1.0
        std_error = float(np.sqrt(inflation * variance))
        f, r2 = first_stage(parts)
        return Estimate(
            method=self.method,
            instruments=design.instrument_set,
            estimate=theta,
            std_error=std_error,
            std_errors="robust",
            confidence_set=wald_set(theta, std_error, level=self.level),
            p_value=wald_p_value(theta, std_error),
            n_samples=parts.n_samples,
            n_instruments=parts.n_instruments,
            first_stage_f=f,
            partial_r2=r2,
            kappa=kappa,
            learning_inflation=inflation,
            estimator=self,
        )


@dataclass(frozen=True, kw_only=True)
class _FirstStageOfTheOthers(Jackknife):
    """JIVE and UJIVE: an instrument x^ made of the first stage without the sample itself."""

    @abstractmethod
    def _own(self, block: _Block) -> FloatArray:
        """Factor of x_i in x^_i."""

    def _fitted(self, block: _Block, coefficients: FloatArray) -> FloatArray:
        x = block.pair[:, 1]
        return self._own(block) * x - (x - block.z @ coefficients) * _weight(block)

    def _solve(self, design: IVDesign) -> tuple[float, float, float]:
        k = design.partialled.n_instruments
        coefficients = design.partialled.whitened[:, 1]
        sums = -_learned_noise(design, count=self.count_learning)[1]
        for block in _blocks(design):
            sums += self._fitted(block, coefficients) @ block.pair
        theta = float(sums[0] / sums[1])
        own, spread = 0.0, np.zeros((k, k))
        for block in _blocks(design):
            u = block.pair @ [1.0, -theta]
            shared = block.pair[:, 1] * u * _weight(block)
            own += float(np.sum((self._fitted(block, coefficients) * u) ** 2 - (block.instruments * shared) ** 2))
            spread += (block.z * shared[:, None]).T @ block.z
        return theta, (own + float(np.sum(spread**2))) / float(sums[1]) ** 2, 1.0


@final
@dataclass(frozen=True, kw_only=True)
class JackknifeIV(_FirstStageOfTheOthers):
    """JIVE (JIVE1 of Angrist, Imbens & Krueger): each sample's exposure is predicted from the others.

    Keeps a small bias, of order (number of controls) / n relative to OLS, that `UnbiasedJackknifeIV` removes.
    """

    method: ClassVar[str] = "JIVE"

    def _own(self, block: _Block) -> FloatArray:
        return np.ones(len(block.z))


@final
@dataclass(frozen=True, kw_only=True)
class UnbiasedJackknifeIV(_FirstStageOfTheOthers):
    """UJIVE (Kolesar): JIVE with the controls' own fit left out too; unbiased to first order with many controls.

    Examples
    --------
    >>> import numpy as np, invarmr
    >>> rng = np.random.default_rng(1)
    >>> Z, confounder = rng.normal(size=(1000, 100)), rng.normal(size=1000)
    >>> D = Z @ np.full(100, 0.08) + confounder + rng.normal(size=1000)
    >>> cohort = invarmr.Cohort.from_arrays(
    ...     instrument=Z, exposure=D, outcome=D + confounder + rng.normal(size=1000), environment=np.arange(1000) % 2)
    >>> design = invarmr.IVDesign.from_cohort(cohort)
    >>> print(round(invarmr.TwoStageLeastSquares().fit(design).estimate, 2))
    1.14
    >>> print(round(UnbiasedJackknifeIV().fit(design).estimate, 2))
    1.03
    """

    method: ClassVar[str] = "UJIVE"

    def _own(self, block: _Block) -> FloatArray:
        return np.asarray(1 / (1 - block.controls))


@final
@dataclass(frozen=True, kw_only=True)
class HeteroskedasticLIML(Jackknife):
    """HLIM: LIML without the diagonal of P, consistent with many instruments and unequal variances."""

    method: ClassVar[str] = "HLIM"

    def _solve(self, design: IVDesign) -> tuple[float, float, float]:
        return _hetero(design, 0.0, _learned_noise(design, count=self.count_learning))


@final
@dataclass(frozen=True, kw_only=True)
class HeteroskedasticFuller(Jackknife):
    """HFUL: HLIM with Fuller's correction, so that the estimate has moments.

    Parameters
    ----------
    a
        Fuller's constant: 1 is nearly unbiased.
    """

    a: float = 1.0
    method: ClassVar[str] = "HFUL"

    def _solve(self, design: IVDesign) -> tuple[float, float, float]:
        noise = _learned_noise(design, count=self.count_learning)
        return _hetero(design, self.a / design.partialled.n_samples, noise)


def _hetero(design: IVDesign, correction: float, learned: FloatArray) -> tuple[float, float, float]:
    """HLIM or HFUL: the effect, its variance, and kappa = 1 / (1 - a)."""
    parts = design.partialled
    T, k = parts.total, parts.n_instruments
    diagonal = learned.copy()
    for block in _blocks(design):
        diagonal += (block.pair * block.instruments[:, None]).T @ block.pair
    B = parts.projected - diagonal
    scale = np.sqrt(np.diag(T))
    root = float(linalg.eigh(B / np.outer(scale, scale), T / np.outer(scale, scale), eigvals_only=True)[0])
    a = (root - (1 - root) * correction) / (1 - (1 - root) * correction)
    H = float(B[1, 1] - a * T[1, 1])
    theta = float((B[0, 1] - a * T[0, 1]) / H)
    b = np.array([1.0, -theta])
    w_of = np.array([0.0, 1.0]) - b * (b @ T[:, 1] / (b @ T @ b))
    coefficients = parts.whitened @ w_of
    own, spread = 0.0, np.zeros((k, k))
    for block in _blocks(design):
        u, w, p = block.pair @ b, block.pair @ w_of, block.z @ coefficients
        own += float(np.sum((p**2 - 2 * w * block.instruments * p) * u**2))
        spread += (block.z * (w * u)[:, None]).T @ block.z
    return theta, (own + float(np.sum(spread**2))) / H**2, 1 / (1 - a)


def _learned_noise(design: IVDesign, *, count: bool) -> FloatArray:
    """K Q (2, 2), what learning adds to the noise of (y, x)'P(y, x)."""
    parts = design.partialled
    omega = (parts.total - parts.projected) / (parts.n_samples - parts.n_instruments - parts.n_controls)
    noise = with_learning(omega, design) if count else omega
    return np.asarray(parts.n_instruments * (noise - omega))


def _weight(block: _Block) -> FloatArray:
    """1 / (1 - Q_i)."""
    return np.asarray(1 / (1 - block.instruments - block.controls))


def _blocks(design: IVDesign) -> Iterator[_Block]:
    """Rows with the leverages of instruments and controls; the constants (of environments, or one) counted."""
    if design.cohort is None:
        raise InputError(
            "Jackknife estimators need the rows of the cohort, but the design was built from moments alone."
        )
    moments, cohort = design.moments, design.cohort
    c = design.n_columns[0]
    mapping = design.mapping[:, :c]
    fixed = design.environment_effects
    inverse, _ = solve_on_range(mapping.T @ (moments.within() if fixed else moments.total()) @ mapping, np.eye(c))
    center = moments.mean if fixed else moments.grand_mean()[None, :]
    constant = 1 / (moments.n_samples if fixed else np.array([moments.n_total]))
    for z, pair, rows in design.residual_rows():
        codes = cohort.environment[rows] if fixed else np.zeros(len(rows), dtype=np.intp)
        leverage = constant[codes]
        if c:
            controls = (cohort.rows(rows) - center[codes]) @ mapping
            leverage = leverage + np.einsum("ij,ij->i", controls @ inverse, controls)
        instruments = np.einsum("ij,ij->i", z, z)
        alone = np.flatnonzero(instruments + leverage > 1 - _FULL)
        if alone.size:
            raise InputError(
                f"The instruments and controls fit {alone.size} samples alone (leverage 1; first: sample "
                f"{cohort.sample_ids[rows[alone[0]]]}). Drop instruments or controls that hardly anyone carries."
            )
        yield _Block(z, pair, instruments, leverage)
