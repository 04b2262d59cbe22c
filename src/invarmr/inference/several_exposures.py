"""Weak-instrument-robust tests with several exposures, jointly and one exposure at a time, and their exact sets.

Symbols: A, Omega, b = (1, -beta')' as in `reduced_form`, m exposures, k instruments, N = n - k - c.

Joint tests of the whole vector beta, right however weak the instruments are:

    AR / k ~ F(k, N);   LM ~ chi2(m);   LR given q_T: as for one exposure, with Q_1 ~ chi2(m), Q_2 ~ chi2(k - m), from
    the smallest root q_T only (an upper bound of the exact law, equal to it for m = 1)

Subset tests of some effects x, the others gamma minimised out: AR(x) = min_gamma AR(x, gamma) is the smallest root of
|B'AB - r B'Omega B|, B = (b_x, e_gamma). AR(x) / (k - m_gamma) against F(k - m_gamma, N) never rejects too often, weak
instruments or not (Guggenberger et al. 2012); so does LR(x) = AR(x) - r_0 given q = r_0 + r_1 - AR(x) for one effect,
r_0 and r_1 the smallest two roots of |A - r Omega| (Kleibergen 2021); LR(x) against chi2 needs strong instruments.

Sets for one effect: {x : AR(x) <= c} is the shadow on x of {beta : b'(A - c Omega)b <= 0}. With M = A - c Omega,
minimising
over gamma leaves the Schur complement of M_gamma,gamma, a quadratic in x, if that block is positive definite; else the
shadow is the whole line. Sources: Anderson & Rubin (1949); Kleibergen (2002, 2007), Journal of Econometrics 139:181;
Guggenberger, Kleibergen, Mavroeidis & Chen (2012), Econometrica 80:2649; Kleibergen (2021), Quantitative Economics
12:495; Londschien & Buhlmann (2024), arXiv:2407.15256.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

import numpy as np
from scipy import linalg

from invarmr.arrays import FloatArray
from invarmr.data.several_exposures import SeveralExposures
from invarmr.errors import InputError
from invarmr.inference.confidence_set import ConfidenceSet
from invarmr.inference.likelihood_ratio import largest_accepted
from invarmr.inference.null_law import ChiSquared, Conditional, FLaw, NullLaw
from invarmr.inference.quadratic_set import WHOLE_LINE, Intervals
from invarmr.inference.reduced_form import ReducedForm, form_of
from invarmr.inference.statistical_test import NotApplicable, StatisticalTest, hypothesis
from invarmr.inference.wald import check_level

__all__ = ["RobustTest", "joint_test", "subset_set", "subset_test"]

RobustTest = Literal["AR", "LM", "LR", "CLR"]
_NAMES = {
    "AR": "Anderson-Rubin",
    "LM": "Lagrange multiplier",
    "LR": "likelihood ratio",
    "CLR": "conditional likelihood ratio",
}


def joint_test(design: SeveralExposures, values: Mapping[str, float], test: RobustTest = "AR") -> StatisticalTest:
    """Test that every exposure has the given effect; errors of equal variance.

    Parameters
    ----------
    design
        Instruments, controls and exposures.
    values
        Effect of each exposure, by name.
    test
        "AR" (also tests that every instrument is valid), "LM", "CLR", or "LR" (strong instruments only).

    Raises
    ------
    InputError
        An exposure without a finite value, a name that is no exposure, or an unknown test.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> Z, h = rng.normal(size=(500, 4)), rng.normal(size=(500, 1))
    >>> X = Z @ [[1, 0], [1, 0], [0, 1], [0.5, 1]] + h + rng.normal(size=(500, 2))
    >>> Y = X @ [1.0, -0.5] + h[:, 0] + rng.normal(size=500)
    >>> design = SeveralExposures.from_arrays(instrument=Z, exposures=X, outcome=Y, exposure_names=["LDL", "HDL"])
    >>> print(joint_test(design, {"LDL": 1.0, "HDL": -0.5}))
    Anderson-Rubin test of LDL = 1, HDL = -0.5: statistic 1.2808 (df 4, 495), p = 0.2765
    """
    name, tested = _checked(test), _checked_values(design, values)
    if len(tested) != len(design.exposures):
        missing = [exposure for exposure in design.exposures if exposure not in tested]
        raise InputError(f"A joint test needs a value for every exposure, but {', '.join(missing)} has none.")
    try:
        form = form_of(design.partialled)
    except NotApplicable as error:
        return StatisticalTest.none(name, hypothesis(tested), error)
    at = form.at(np.array([tested[exposure] for exposure in design.exposures]))
    k, m = form.n_instruments, len(tested)
    if test == "AR" or k == m:
        return _of(name, tested, at.ar / k, form.joint_law)
    if test == "CLR":
        reason = f"given the strength {at.strength:.4g}, the smallest root only"
        return _of(name, tested, at.lr, Conditional(k, at.strength, m), reason)
    return _of(name, tested, at.lm if test == "LM" else at.lr, ChiSquared(m))


def _of(test: str, tested: Mapping[str, float], statistic: float, law: NullLaw, reason: str = "") -> StatisticalTest:
    return StatisticalTest(test=test, null=hypothesis(tested), statistic=statistic, law=law, reason=reason)


def subset_test(
    design: SeveralExposures, values: Mapping[str, float], test: Literal["AR", "LR", "CLR"] = "AR"
) -> StatisticalTest:
    """Test the effects of some exposures, those of the others left free; errors of equal variance.

    Parameters
    ----------
    design
        Instruments, controls and exposures.
    values
        Effect of each tested exposure, by name; at least one, and not all.
    test
        "AR", "CLR" (one tested exposure only), or "LR" (strong instruments only).

    Raises
    ------
    InputError
        As of `joint_test`; all exposures or none tested; CLR of several exposures.
    """
    name, tested = _checked(test), _checked_values(design, values)
    m_x, m = len(tested), len(design.exposures)
    if not 0 < m_x < m or test not in ("AR", "LR", "CLR"):
        raise InputError(
            f"A subset test is AR, LR or CLR of at least one and not all of the {m} exposures, but {test} of {m_x} was "
            "asked for. Use joint_test for all."
        )
    if test == "CLR" and m_x > 1:
        raise InputError("A subset test by CLR is known to hold its size for one tested exposure only. Use AR.")
    try:
        form = form_of(design.partialled)
    except NotApplicable as error:
        return StatisticalTest.none(name, hypothesis(tested), error)
    places = [1 + design.exposures.index(exposure) for exposure in tested]
    ar = _minimised(form, places, np.array(list(tested.values())))
    left = form.n_instruments - (m - m_x)
    if test == "AR" or form.n_instruments == m:
        return _of(name, tested, ar / left, FLaw(left, form.free))
    lr = max(ar - float(form.roots[0]), 0.0)
    if test == "LR":
        return _of(name, tested, lr, ChiSquared(m_x))
    strength = max(float(form.roots[0] + form.roots[1]) - ar, 0.0)
    return _of(name, tested, lr, Conditional(left, strength), f"given the strength {strength:.4g}")


def subset_set(
    design: SeveralExposures, exposure: str, level: float = 0.95, test: Literal["AR", "LR", "CLR"] = "CLR"
) -> ConfidenceSet:
    """Effects of one exposure that its subset test does not reject at 1 - level: exact, perhaps empty or unbounded.

    Parameters
    ----------
    design
        Instruments, controls and exposures.
    exposure
        Its name.
    level
        Confidence level in (0, 1).
    test
        As for `subset_test`.

    Raises
    ------
    InputError
        No such exposure, an unknown test, `level` outside (0, 1), or the test does not apply to this design.
    """
    check_level(level)
    _checked(test)
    place = 1 + design.exposures.index(next(iter(_checked_values(design, {exposure: 0.0}))))
    form = form_of(design.partialled)
    left = form.n_instruments - (len(design.exposures) - 1)
    if test == "AR" or left == 1:
        bound = left * FLaw(left, form.free).quantile(1.0 - level)
    elif test == "LR":
        bound = float(form.roots[0]) + ChiSquared(1).quantile(1.0 - level)
    elif test == "CLR":
        low, high = (float(root) for root in form.roots[:2])
        bound = low + largest_accepted(low, high, left, ChiSquared(1).quantile(1.0 - level), 1.0 - level)
    else:
        raise InputError(f"A set of one exposure's effects inverts AR, LR or CLR, but {test} was asked for.")
    return ConfidenceSet(_shadow(form, place, bound), level)


def _checked(test: str) -> str:
    if test not in _NAMES:
        raise InputError(f"test must be AR, LM, LR or CLR, but is {test!r}.")
    return _NAMES[test]


def _checked_values(design: SeveralExposures, values: Mapping[str, float]) -> dict[str, float]:
    unknown = [name for name in values if name not in design.exposures]
    if unknown:
        raise InputError(f"The exposures are {', '.join(design.exposures)}, but {', '.join(unknown)} was named.")
    if not all(math.isfinite(value) for value in values.values()):
        raise InputError("The tested effects must be finite numbers.")
    return {name: float(value) for name, value in values.items()}


def _minimised(form: ReducedForm, places: list[int], values: FloatArray) -> float:
    """AR with the effects of the exposures that are not at `places` minimised out."""
    size = len(form.covariance)
    tested = np.zeros((size, 1))
    tested[0], tested[places, 0] = 1.0, -values
    B = np.hstack([tested, np.eye(size)[:, [i for i in range(1, size) if i not in places]]])
    pencil = [B.T @ M @ B for M in (form.projected, form.covariance)]
    scale = np.sqrt(np.diag(pencil[1]))
    pencil = [M / np.outer(scale, scale) for M in pencil]
    return max(float(linalg.eigh(*pencil, eigvals_only=True)[0]), 0.0)


def _shadow(form: ReducedForm, place: int, bound: float) -> Intervals:
    """Effects x of the exposure at `place` with AR(x) <= bound."""
    if not math.isfinite(bound):
        return WHOLE_LINE
    if bound < form.roots[0]:
        return ()
    scale = np.sqrt(np.diag(form.covariance))
    M = (form.projected - bound * form.covariance) / np.outer(scale, scale)
    pair = [0, place]
    rest = [i for i in range(1, len(M)) if i != place]
    if linalg.eigvalsh(M[np.ix_(rest, rest)])[0] <= 0:
        return WHOLE_LINE
    Q = M[np.ix_(pair, pair)]
    Q = Q - M[np.ix_(pair, rest)] @ linalg.solve(M[np.ix_(rest, rest)], M[np.ix_(rest, pair)], assume_a="pos")
    unit = float(scale[0] / scale[place])
    leading, half, constant = float(Q[1, 1]), float(Q[0, 1]), float(Q[0, 0])
    inside = half**2 - leading * constant
    if inside <= 0 or leading == 0:
        return WHOLE_LINE if leading <= 0 else ()
    far = half + math.copysign(math.sqrt(inside), half)
    low, high = sorted((unit * far / leading, unit * constant / far))
    return ((low, high),) if leading > 0 else ((-math.inf, low), (high, math.inf))
