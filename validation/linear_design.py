"""The linear latent designs of the paper and the asymmetric one of this project, for tests and validation.

Symbols: E environments, n people in each, p valid and q confounded directions, eta_e (q,) strength of the confounder:
H_e ~ N(2 e, I), V = V0 + eta_e H, W and V0 ~ N(0, 1/2 + I/2), Z = (V, W) A with one fixed square A,
D = V a + W 1 + H a + e, Y = effect D + H a + e; a is all ones, or (asymmetric) the first unit vector.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from invarmr.data.cohort import Cohort

__all__ = ["LinearStudy", "linear_study"]


@dataclass(frozen=True, eq=False, kw_only=True)
class LinearStudy:
    """One draw: what is observed (a cohort) and what is not."""

    valid: np.ndarray
    confounded: np.ndarray
    confounder: np.ndarray
    cohort: Cohort


def strengths(environments: int, q: int) -> np.ndarray:
    """Eta (E, q): the paper's for q = 2, a fixed draw between 1 and 2.5 otherwise."""
    if q == 2 and environments <= 3:
        return np.array({1: [[1, 1]], 2: [[1, 1], [2, 2]], 3: [[1, 1], [2, 1], [1, 2]]}[environments], dtype=float)
    return 1.0 + np.random.default_rng(5).uniform(0.0, 1.5, (environments, q))


def linear_study(
    seed: int,
    *,
    n: int | tuple[int, ...] = 1_500,
    environments: int = 2,
    p: int = 2,
    q: int = 2,
    asymmetric: bool = False,
    effect: float = 1.0,
    eta: np.ndarray | None = None,
    shift: float = 2.0,
    cluster: np.ndarray | None = None,
) -> LinearStudy:
    """Draw a study; `shift` is the step of the confounder's mean from one environment to the next."""
    generator = np.random.default_rng(seed)
    sizes = np.broadcast_to(n, environments)
    codes = np.repeat(np.arange(environments), sizes)
    size = len(codes)
    eta = strengths(environments, q) if eta is None else eta

    def equicorrelated(columns: int) -> np.ndarray:
        return generator.normal(size=(size, columns)) * np.sqrt(0.5) + generator.normal(size=(size, 1)) * np.sqrt(0.5)

    H = generator.normal(size=(size, q)) + shift * codes[:, None]
    V = equicorrelated(q) + eta[codes] * H
    W = equicorrelated(p)
    a = np.eye(q)[0] if asymmetric else np.ones(q)
    exposure = V @ a + W.sum(axis=1) + H @ a + generator.normal(size=size)
    outcome = effect * exposure + H @ a + generator.normal(size=size)
    mixing = np.random.default_rng(99).normal(size=(p + q, p + q))
    cohort = Cohort.from_arrays(
        instrument=np.hstack([V, W]) @ mixing,
        exposure=exposure,
        outcome=outcome,
        environment=codes,
        cluster=cluster,
    )
    return LinearStudy(valid=W, confounded=V, confounder=H, cohort=cohort)
