"""Double machine learning for the partially linear instrumental-variable model, by the package DoubleML.

Symbols: X controls (V^, covariates), Z instruments, D exposure, Y outcome:

    Y - l(X) = theta (D - r(X)) + error,    instruments Z - m(X),    l, r, m learned with cross-fitting

With several instruments, two-stage least squares on the residuals. Without controls it is two-stage least squares with
cross-fitted means. Needs rows, and the extra `dml`. Sources: Chernozhukov et al. (2018), Econometrics Journal 21:C1;
Bach, Kurz, Chernozhukov, Spindler & Klaassen (2024), Journal of Statistical Software 108:3.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, final

import numpy as np

from invarmr.arrays import FloatArray
from invarmr.data.design import IVDesign
from invarmr.errors import InputError
from invarmr.estimators.estimate import Estimate
from invarmr.estimators.kclass import TwoStageLeastSquares
from invarmr.inference.wald import check_level, wald_p_value, wald_set

__all__ = ["DoubleMachineLearning"]

Regressor = Literal["boosting", "linear"]


@final
@dataclass(frozen=True, kw_only=True)
class DoubleMachineLearning:
    """Partially linear instrumental-variable regression with learned controls.

    Parameters
    ----------
    regressor
        What learns l, r and m: `boosting` (histogram gradient boosting, 100 rounds) or `linear` (least squares).
    n_folds
        Folds of the cross-fitting.
    level
        Level of the confidence set.
    """

    regressor: Regressor = "boosting"
    n_folds: int = 5
    level: float = 0.95
    method: ClassVar[str] = "DML"
    needs_rows: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_level(self.level)
        if self.regressor not in ("boosting", "linear"):
            raise InputError(f"regressor must be 'boosting' or 'linear', but is {self.regressor!r}.")
        if self.n_folds < 2:
            raise InputError(f"n_folds must be at least 2, but is {self.n_folds}.")

    def fit(self, design: IVDesign, *, seed: int = 1) -> Estimate:
        """Estimate the effect; `seed` decides the folds and the learners' draws.

        Raises
        ------
        InputError
            The design has moments without rows, or the extra is not installed.
        """
        dml = _doubleml()
        Z, X, D, Y = _rows_of(design)
        data = dml.DoubleMLData.from_arrays(
            x=X if X.shape[1] else np.zeros((len(D), 1)), y=Y, d=D, z=Z if Z.shape[1] > 1 else Z[:, 0]
        )
        model = dml.DoubleMLPLIV(
            data, **{role: self._learner(seed) for role in ("ml_l", "ml_m", "ml_r")}, draw_sample_splitting=False
        )
        model.set_sample_splitting(_folds(len(D), self.n_folds, seed))
        model.fit()
        theta, std_error = float(model.coef[0]), float(model.se[0])
        linear = TwoStageLeastSquares(level=self.level, count_learning=False).fit(design)
        return Estimate(
            method=self.method,
            instruments=design.instrument_set,
            estimate=theta,
            std_error=std_error,
            std_errors="robust",
            confidence_set=wald_set(theta, std_error, level=self.level),
            p_value=wald_p_value(theta, std_error),
            n_samples=len(D),
            n_instruments=linear.n_instruments,
            first_stage_f=linear.first_stage_f,
            partial_r2=linear.partial_r2,
            kappa=1.0,
            note=f"{self.regressor}, {self.n_folds} folds; strength as of the linear first stage",
            estimator=self,
        )

    def _learner(self, seed: int) -> Any:  # noqa: ANN401 - scikit-learn ships no type information
        if self.regressor == "linear":
            return importlib.import_module("sklearn.linear_model").LinearRegression()
        ensemble = importlib.import_module("sklearn.ensemble")
        return ensemble.HistGradientBoostingRegressor(max_iter=100, random_state=seed % 2**32)


def _doubleml() -> Any:  # noqa: ANN401 - DoubleML is imported only when it is used
    try:
        return importlib.import_module("doubleml")
    except ModuleNotFoundError as error:
        raise InputError(
            f"Double machine learning needs {error.name}, which is not installed. "
            "Install it with: pip install 'invarmr[dml]'"
        ) from error


def _folds(n: int, n_folds: int, seed: int) -> list[tuple[Any, Any]]:
    """Train and test rows of every fold, (one repetition of) what DoubleML takes."""
    parts = np.array_split(np.random.default_rng(seed).permutation(n), n_folds)
    return [(np.sort(np.concatenate([*parts[:k], *parts[k + 1 :]])), np.sort(part)) for k, part in enumerate(parts)]


def _rows_of(design: IVDesign) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Instruments, controls (with indicators of the environments where they are partialled out), exposure, outcome."""
    cohort = design.cohort
    if cohort is None:
        raise InputError("Double machine learning needs the rows of the cohort, but the design has moments alone.")
    c, k = design.n_columns
    values = np.vstack([cohort.rows(block) @ design.mapping for block in cohort.blocks()])
    controls = values[:, :c]
    if design.environment_effects:
        indicators = cohort.environment[:, None] == np.arange(1, len(cohort.environments))
        controls = np.hstack([controls, indicators.astype(np.float64)])
    return values[:, c : c + k], controls, values[:, c + k + 1], values[:, c + k]
