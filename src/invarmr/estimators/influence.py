"""What each row contributes to an estimate, so that rows may depend on each other and estimates can be compared.

Symbols: x exposure, y outcome given the controls, P projection on the instruments, u = y - theta x, T and A as in
`kclass`, kappa; a = 1 - 1 / kappa; x~ = x - u (u'x / u'u) for LIML and Fuller, x for 2SLS.

    psi_i = u_i {(P x~)_i - a x~_i} / (A_xx - a T_xx),      theta_hat - theta ~ sum_i psi_i

With independent rows of equal variance sum psi_i^2 is Bekker's many-instrument variance (LIML, Fuller) or the usual one
(2SLS). Summed by family first, it holds whatever relatives share. Sources: Bekker (1994), Econometrica 62:657; Liang &
Zeger (1986), Biometrika 73:13.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from invarmr.arrays import FloatArray, IntArray, read_only
from invarmr.data.design import IVDesign
from invarmr.errors import InputError
from invarmr.estimators.estimate import Estimate
from invarmr.estimators.kclass import KClass, OrdinaryLeastSquares, TwoStageLeastSquares
from invarmr.inference.wald import wald_p_value, wald_set

__all__ = ["Influence", "influence"]


@dataclass(frozen=True, eq=False)
class Influence:
    """An estimate with standard errors by group, and the groups' contributions.

    Parameters
    ----------
    estimate
        The estimate; `std_error` counts dependence within groups.
    sums
        (G,) contribution of each group, scaled so that the sum of squares is the variance before learning is counted.
    """

    estimate: Estimate
    sums: FloatArray

    @property
    def variance(self) -> float:
        """Of the estimate, learning counted."""
        return self.estimate.std_error**2

    def covariance(self, other: Influence) -> float:
        """With another estimate on people of the same groups."""
        if self.sums.shape != other.sums.shape:
            raise InputError(
                "Two estimates can be compared over the same groups only, but these have "
                f"{len(self.sums)} and {len(other.sums)}."
            )
        return float(self.sums @ other.sums)


def influence(design: IVDesign, estimator: KClass, group: IntArray, *, n_groups: int | None = None) -> Influence:
    """Estimate the effect, with errors by group and each group's contribution, by one more pass over the rows.

    Parameters
    ----------
    design
        With people.
    estimator
        2SLS, LIML or Fuller.
    group
        (rows,) code 0..G-1: families, say.
    n_groups
        G; default the largest code and one. Groups without rows contribute nothing.

    Raises
    ------
    InputError
        Least squares, one group alone, or a design without rows.
    """
    if isinstance(estimator, OrdinaryLeastSquares):
        raise InputError("influence is for instrumental-variable estimators: 2SLS, LIML or Fuller.")
    fitted = replace(estimator, std_errors="homoskedastic").fit(design)
    parts, theta, a = design.partialled, fitted.estimate, 1 - 1 / fitted.kappa
    contrast, of_x = np.array([1.0, -theta]), np.array([0.0, 1.0])
    if not isinstance(estimator, TwoStageLeastSquares):
        of_x = of_x - contrast * (contrast @ parts.total[:, 1] / (contrast @ parts.total @ contrast))
    H = parts.projected[1, 1] - a * parts.total[1, 1]
    size = int(group.max()) + 1 if n_groups is None else n_groups
    sums = np.zeros(size)
    for values, rows in _combinations(design, parts.whitener @ (parts.whitened @ of_x)):
        pair = values[:, 1:]
        psi = (pair @ contrast) * (values[:, 0] - a * (pair @ of_x)) / H
        sums += np.bincount(group[rows], weights=psi, minlength=size)
    groups = len(np.unique(group))
    if groups < 2:
        raise InputError("Errors by group need at least two groups, but all rows are in one.")
    n = parts.n_samples
    sums *= np.sqrt(n / (n - parts.n_controls - 1) * groups / (groups - 1))
    std_error = float(np.sqrt(fitted.learning_inflation * (sums @ sums)))
    return Influence(
        replace(
            fitted,
            std_error=std_error,
            std_errors="clustered",
            confidence_set=wald_set(theta, std_error, level=estimator.level),
            p_value=wald_p_value(theta, std_error),
            estimator=estimator,
        ),
        read_only(sums),
    )


def _combinations(design: IVDesign, fitted: FloatArray) -> Iterator[tuple[FloatArray, IntArray]]:
    """Rows in blocks, given the controls: one combination of the instruments, then (Y, D); and the samples' indices.

    Three columns instead of all instruments: a pass costs little more than reading.
    """
    if design.cohort is None:
        raise InputError("Contributions need the rows of the cohort, but the design was built from moments alone.")
    c, k = design.n_columns
    mapping, coefficients = design.mapping, design.crossproduct[1]
    wanted = np.zeros((k + 2, 3))
    wanted[:k, 0], wanted[k, 1], wanted[k + 1, 2] = fitted, 1.0, 1.0
    directions = (mapping[:, c:] - mapping[:, :c] @ coefficients) @ wanted
    fixed = design.environment_effects
    center = (design.moments.mean if fixed else design.moments.grand_mean()[None, :]) @ directions
    for block in design.cohort.blocks():
        codes = design.cohort.environment[block] if fixed else np.zeros(len(block), dtype=np.intp)
        yield design.cohort.rows(block) @ directions - center[codes], block
