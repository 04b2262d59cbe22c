"""The estimators of the study on one draw: baselines on Z, oracles on the true parts, and those on learned parts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from invarmr.arrays import FloatArray
from invarmr.data.design import Control, IVDesign
from invarmr.errors import InputError
from invarmr.estimators.column_associations import column_associations
from invarmr.estimators.double_machine_learning import DoubleMachineLearning
from invarmr.estimators.kclass import KClass, LimitedInformationML, OrdinaryLeastSquares, TwoStageLeastSquares
from invarmr.estimators.summary.egger import Egger
from invarmr.simulate.latent import LatentSample

__all__ = ["baseline_estimates", "dml_estimates", "part_estimates"]

Named = tuple[str, float | None]
_PLAIN: tuple[Control, ...] = ()
_GIVEN: tuple[Control, ...] = ("covariates",)


def baseline_estimates(sample: LatentSample) -> list[Named]:
    """Estimators on the observed instruments; `PO(K)`: K as one number, `PO(K one-hot)`: one column each."""
    K = sample.environment.astype(np.float64)
    cohort = sample.cohort_on(sample.instrument, covariates=K)
    plain = IVDesign.from_cohort(cohort, controls=_PLAIN)
    numeric = IVDesign.from_cohort(cohort, controls=_GIVEN)
    each = IVDesign.from_cohort(cohort, controls=_PLAIN, environment_effects=True)
    return [
        ("OLS", _kclass(OrdinaryLeastSquares(), plain)),
        ("2SLS(Z)", _kclass(TwoStageLeastSquares(), plain)),
        ("PO(K)-2SLS(Z)", _kclass(TwoStageLeastSquares(), numeric)),
        ("PO(K one-hot)-2SLS(Z)", _kclass(TwoStageLeastSquares(), each)),
        ("MR-Egger", _egger(plain)),
        ("PO(K)-MR-Egger", _egger(numeric)),
        ("PO(K one-hot)-MR-Egger", _egger(each)),
    ]


def part_estimates(sample: LatentSample, valid: FloatArray, confounded: FloatArray) -> list[Named]:
    """2SLS and LIML on W^ (n, p), alone and with V^ (n, q) partialled out."""
    return [
        (f"{'PO(V^)-' if given else ''}{estimator.method}(W^)", _kclass(estimator, design))
        for estimator in (TwoStageLeastSquares(), LimitedInformationML())
        for given, design in _designs(sample, valid, confounded)
    ]


def dml_estimates(sample: LatentSample, valid: FloatArray, confounded: FloatArray, *, seed: int) -> list[Named]:
    """Double machine learning with W^ as instruments, without controls and with V^; nothing without the extra."""
    method = DoubleMachineLearning()

    def fit(design: IVDesign) -> float | None:
        return _tried(lambda: method.fit(design, seed=seed).estimate)

    return [
        ("DML(W^, V^)" if given else "DML(W^)", fit(design)) for given, design in _designs(sample, valid, confounded)
    ]


def _designs(sample: LatentSample, valid: FloatArray, confounded: FloatArray) -> Iterator[tuple[bool, IVDesign]]:
    covariates = confounded if confounded.shape[1] else None
    cohort = sample.cohort_on(valid, covariates=covariates)
    yield False, IVDesign.from_cohort(cohort, controls=_PLAIN)
    if covariates is not None:
        yield True, IVDesign.from_cohort(cohort, controls=_GIVEN)


def _kclass(estimator: KClass, design: IVDesign) -> float | None:
    return _tried(lambda: estimator.fit(design).estimate)


def _egger(design: IVDesign) -> float | None:
    return _tried(lambda: Egger().fit(column_associations(design)).b)


def _tried(estimate: Callable[[], float]) -> float | None:
    """The estimate; None where the design has none (a W^ without variance, say)."""
    try:
        value = estimate()
    except InputError:
        return None
    return value if np.isfinite(value) else None


def named_rows(estimates: Sequence[Named], effect: float) -> list[dict[str, float | str | None]]:
    """Rows with `estimator`, `estimate` and `bias`."""
    return [
        {"estimator": name, "estimate": value, "bias": None if value is None else value - effect}
        for name, value in estimates
    ]
