"""Sets of effects in which the Anderson-Rubin statistic is below or above a bound: exact roots of one quadratic.

Symbols: A, Omega as in `reduced_form` with one exposure; b = (1, -theta); M = A - c Omega:

    { theta: AR(theta) <= c } = { theta: M_DD theta^2 - 2 M_YD theta + M_YY <= 0 }.

M_YD^2 - M_YY M_DD = |Omega| (c - lambda_min) (lambda_max - c): empty where c < lambda_min, the whole line where
c >= lambda_max, and else an interval, or the complement of one where M_DD < 0 (the first stage is too weak for c).
"""

from __future__ import annotations

import math

from invarmr.inference.reduced_form import ReducedForm

__all__ = ["WHOLE_LINE", "Intervals", "sublevel", "superlevel", "union"]

Intervals = tuple[tuple[float, float], ...]
WHOLE_LINE: Intervals = ((-math.inf, math.inf),)


def sublevel(form: ReducedForm, bound: float) -> Intervals:
    """Effects with AR <= bound (AR in its chi-squared form, not divided by k)."""
    if bound < form.roots[0]:
        return ()
    return WHOLE_LINE if bound >= form.roots[1] else _solve(form, bound, 1.0)


def superlevel(form: ReducedForm, bound: float) -> Intervals:
    """Effects with AR >= bound."""
    if bound > form.roots[1]:
        return ()
    return WHOLE_LINE if bound <= form.roots[0] else _solve(form, bound, -1.0)


def union(*parts: Intervals) -> Intervals:
    """Union of intervals, in increasing order, joined where they overlap or touch."""
    joined: list[tuple[float, float]] = []
    for low, high in sorted(pair for part in parts for pair in part):
        if joined and low <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(high, joined[-1][1]))
        else:
            joined.append((low, high))
    return tuple(joined)


def _solve(form: ReducedForm, bound: float, sign: float) -> Intervals:
    """Effects with sign (AR - bound) <= 0, the bound between the roots."""
    M = sign * (form.projected - bound * form.covariance)
    low, high = (float(root) for root in form.roots)
    determinant = form.covariance[0, 0] * form.covariance[1, 1] - form.covariance[0, 1] ** 2
    spread = math.sqrt(max(determinant * (bound - low) * (high - bound), 0.0))
    half, leading, constant = float(M[0, 1]), float(M[1, 1]), float(M[0, 0])
    if leading == 0:
        return _half_line(half, constant)
    far = half + math.copysign(spread, half)
    low, high = sorted((far / leading, constant / far if far else 0.0))
    return ((low, high),) if leading > 0 else ((-math.inf, low), (high, math.inf))


def _half_line(half: float, constant: float) -> Intervals:
    """Effects with constant - 2 half theta <= 0."""
    if half == 0:
        return WHOLE_LINE if constant <= 0 else ()
    edge = constant / (2 * half)
    return ((edge, math.inf),) if half > 0 else ((-math.inf, edge),)
