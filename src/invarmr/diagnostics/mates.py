"""Assortment and dynasties as trios show them: correlations of mates, effects of alleles that were not transmitted.

Symbols: w weights; s_m, s_f, s scores of mother, father and child; S_NT = s_m + s_f - s, the alleles a child did
not get. Correlations
of mates have Fisher's interval; the effect of S_NT on a trait, given s and the environment, has errors
by family. With random mating and no effect of parents it is zero; assortment and ancestry show in it too. Sources:
Kong et al. (2018), Science 359:424; Yengo et al. (2018), Nature Human Behaviour 2:948.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from scipy import special

from invarmr.arrays import FloatArray, IntArray
from invarmr.data.cohort import Cohort
from invarmr.data.families import Families
from invarmr.diagnostics.check import Check
from invarmr.inference.wald import wald_p_value
from invarmr.linalg.symmetric import solve_on_range

__all__ = ["FamilyMeasure", "family_measures", "score_weights"]

_FEWEST = 30
_TIMES = 10


@dataclass(frozen=True)
class FamilyMeasure:
    """One quantity with its interval: `measure` in words, on `n_samples` couples or children."""

    measure: str
    estimate: float
    std_error: float
    ci_lower: float
    ci_upper: float
    p_value: float
    n_samples: int
    reason: str = ""

    def check(self) -> Check:
        """As a row of `diagnostics.tsv`."""
        shown = f"{self.estimate:.3g} ({self.ci_lower:.3g} to {self.ci_upper:.3g})"
        return Check(
            assumption="exchangeability",
            test=self.measure,
            null="zero",
            statistic=self.estimate,
            p_value=self.p_value,
            conclusion=f"{shown} on {self.n_samples}",
            reason=f"{self.reason}; not in the verdict".removeprefix("; "),
        )


def score_weights(cohort: Cohort) -> tuple[FloatArray, str] | None:
    """Weights of the exposure's score and where they come from; None where there are none to trust.

    External ones; else joint least squares within environments, in people outside trios, so that their noise is not
    that of the trios.
    """
    if cohort.weights is not None:
        return cohort.weights, "external weights"
    families = cohort.families
    outside = np.flatnonzero(~families.trio) if families is not None else np.zeros(0, dtype=np.intp)
    if len(outside) < _TIMES * cohort.n_instruments:
        return None
    moments = cohort.moments_of(outside)
    within, instruments = moments.within(), moments.index("instrument")
    cross = within[np.ix_(instruments, moments.index("exposure"))]
    fitted, _ = solve_on_range(within[np.ix_(instruments, instruments)], cross)
    return np.asarray(fitted[:, 0]), "weights from the people outside trios"


def family_measures(
    cohort: Cohort, *, parents: Mapping[str, FloatArray] | None = None, level: float = 0.95
) -> tuple[FamilyMeasure, ...]:
    """Everything trios show of assortment and dynasties; nothing where there are fewer than 30 of them.

    Parameters
    ----------
    cohort
        A cohort that knows its families.
    parents
        `exposure` and `outcome`, each (n, 2) of mother and father of each person, NaN where unknown.
    level
        Of the intervals.
    """
    families = cohort.families
    if families is None or int(families.trio.sum()) < _FEWEST:
        return ()
    return (*_mates(cohort, families, parents or {}, level), *_scores(cohort, families, level))


def _mates(
    cohort: Cohort, families: Families, parents: Mapping[str, FloatArray], level: float
) -> Iterator[FamilyMeasure]:
    couples = _one_per_couple(families)
    groups = cohort.environment[couples]
    for first, second, name in (
        ("exposure", "exposure", "the exposure"),
        ("exposure", "outcome", "the exposure of one and the outcome of the other"),
        ("outcome", "outcome", "the outcome"),
    ):
        if first not in parents or second not in parents:
            continue
        a, b = parents[first][couples], parents[second][couples]
        mother, father = a[:, 0], b[:, 1]
        if first != second:  # both directions: each couple counts twice, and once in n
            mother, father = np.concatenate([a[:, 0], a[:, 1]]), np.concatenate([b[:, 1], b[:, 0]])
        own = np.tile(groups, len(mother) // len(couples))
        sides = np.repeat(np.arange(len(mother) // len(couples)), len(couples))
        yield from _correlation(f"mates' correlation of {name}", mother, father, own, sides, level, len(couples))


def _scores(cohort: Cohort, families: Families, level: float) -> Iterator[FamilyMeasure]:
    weights = score_weights(cohort)
    if weights is None:
        return
    w, source = weights
    people = np.flatnonzero(families.trio)
    child, mother, father = (
        _score(families, rows[people], w) for rows in (families.own, families.mother, families.father)
    )
    couples = _one_per_couple(families)
    place = np.searchsorted(people, couples)
    sides = np.zeros(len(couples), dtype=np.intp)
    yield from _correlation(
        "mates' correlation of the exposure's score",
        mother[place], father[place], cohort.environment[couples], sides, level, len(couples), source,
    )  # fmt: skip
    controls = np.hstack(
        [np.eye(len(cohort.environments))[cohort.environment[people]], cohort.covariates[people], child[:, None]]
    )
    for name, trait in (("exposure", cohort.exposure), ("outcome", cohort.outcome)):
        yield _regression(
            f"effect of non-transmitted alleles on the {name}",
            trait[people], mother + father - child, controls, families.family[people], level, source,
        )  # fmt: skip


def _one_per_couple(families: Families) -> IntArray:
    """One child of every couple."""
    people = np.flatnonzero(families.trio)
    pairs = np.stack([families.mother[people], families.father[people]], axis=1)
    return np.sort(people[np.unique(pairs, axis=0, return_index=True)[1]])


def _score(families: Families, rows: IntArray, w: FloatArray) -> FloatArray:
    """Weighted sum of copies, missing ones at the mean of those called."""
    out = np.empty(len(rows))
    for start in range(0, len(rows), 4_096):
        calls = families.calls.read(rows[start : start + 4_096])
        gaps = np.isnan(calls)
        if gaps.any():
            calls = np.where(gaps, np.nan_to_num(np.nanmean(calls, axis=0)), calls)
        out[start : start + 4_096] = calls @ w
    return out


def _correlation(
    name: str,
    x: FloatArray,
    y: FloatArray,
    group: IntArray,
    side: IntArray,
    level: float,
    n: int,
    source: str = "traits of the parents",
) -> Iterator[FamilyMeasure]:
    """Correlation within environments (and sides), with Fisher's interval on the couples with both values."""
    known = np.isfinite(x) & np.isfinite(y)
    code = np.unique(np.stack([group, side]), axis=1, return_inverse=True)[1].ravel()[known]
    count = np.bincount(code)
    x, y = (
        values[known] - (np.bincount(code, weights=values[known]) / np.maximum(count, 1))[code] for values in (x, y)
    )
    couples = round(known.mean() * n)
    if couples < _FEWEST or min(x @ x, y @ y) <= 0:
        return
    r = float(x @ y / np.sqrt((x @ x) * (y @ y)))
    half = float(-special.ndtri((1 - level) / 2) / np.sqrt(couples - len(count) / (side.max() + 1) - 2))
    z = float(np.arctanh(r))
    std_error = half / float(-special.ndtri((1 - level) / 2))
    yield FamilyMeasure(
        f"{name}, within environments", r, (1 - r**2) * std_error, float(np.tanh(z - half)), float(np.tanh(z + half)),
        wald_p_value(z, std_error), couples, source,
    )  # fmt: skip


def _regression(
    name: str,
    y: FloatArray,
    x: FloatArray,
    controls: FloatArray,
    group: IntArray,
    level: float,
    source: str,
) -> FamilyMeasure:
    """Least squares of y on x given controls, errors by group; per standard deviation of x given the controls."""
    basis = np.linalg.qr(controls[:, controls.std(axis=0) + np.abs(controls).sum(axis=0) > 0])[0]
    x, y = (values - basis @ (basis.T @ values) for values in (x, y))
    x = x / x.std()
    b = float(x @ y / (x @ x))
    sums = np.bincount(np.unique(group, return_inverse=True)[1], weights=x * (y - b * x))
    std_error = float(np.sqrt(sums @ sums) / (x @ x))
    half = float(-special.ndtri((1 - level) / 2)) * std_error
    return FamilyMeasure(
        name, b, std_error, b - half, b + half, wald_p_value(b, std_error), len(y), f"per standard deviation; {source}"
    )
