"""Invariance: whether instruments have the same law in every environment, on held-out people, by permutation.

Symbols: x_i (p,) instruments of person i, whitened within environments; m_e, n_e mean and size in environment e.

Means: T = sum_j t_j' Omega^+ t_j, t_j the contrasts of direction j's means, Omega = N (diag(1/n_e) + L) N', where L
allows for the error with which the directions were learned (0 for observed instruments and under permutation).
Law: MMD with the kernel (x'y + 1)^2 by its explicit features, sum over e of n_e { 2 ||m_e - m||^2 + ||M_e - M||_F^2
}, M_e the mean of x x'; no n x n matrix. sum_e n_e ||m_e - m||^2 is T where L = 0; T takes its place where it is not.
Source: Gretton et al. (2012), Journal of Machine Learning Research 13:723.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import linalg

from invarmr.arrays import FloatArray, IntArray
from invarmr.data.cohort import Cohort
from invarmr.data.latent_instruments import LatentInstruments
from invarmr.diagnostics.check import REJECTION, Assumption, Check, not_applicable
from invarmr.instruments.held_out_laws import law_tests
from invarmr.linalg.symmetric import range_whitener

__all__ = ["LAW_TESTS", "PermutationTest", "invariance_checks", "law_checks", "permutation_test"]

_MEANS = "permutation test of equal means"
_LAW = "permutation test of equal law (MMD, polynomial kernel of degree 2)"


@dataclass(frozen=True)
class PermutationTest:
    """Observed statistics and their permutation p-values, (1 + #{T* >= T}) / (B + 1)."""

    mean_statistic: float
    mean_p: float
    law_statistic: float
    law_p: float
    n_samples: int


def invariance_checks(
    cohort: Cohort, latent: LatentInstruments, *, seed: int, n_permutations: int = 199, max_samples: int = 6_000
) -> tuple[Check, ...]:
    """Invariance of the observed and of the learned instruments on people who were held out when learning.

    Parameters
    ----------
    cohort, latent
        The people, and what was learned from them (with folds).
    seed
        Of the permutations and, where more than `max_samples` were held out, of the choice among them.
    n_permutations, max_samples
        Cost: each permutation costs one product of (samples, p) by (samples, p).
    """
    observed_null = "observed instruments: the same {} in every environment"
    learned_null = "learned instruments: the same {} in every environment"
    if latent.fold is None or latent.trained_loadings is None or not latent.held_out:
        reason = "nobody was held out when the instruments were learned"
        return tuple(
            not_applicable("invariance", test, null.format(what), reason)
            for null in (observed_null, learned_null)
            for test, what in ((_MEANS, "means"), (_LAW, "law"))
        )
    generator = np.random.default_rng(seed)
    people = np.flatnonzero(np.isin(latent.fold, latent.held_out))
    if len(people) > max_samples:
        people = np.sort(generator.choice(people, max_samples, replace=False))
    environment = cohort.environment[people]
    observed = cohort.instruments.read(people).astype(np.float64)
    features = cohort.represented(latent).instruments.read(people).astype(np.float64) if latent.n_latent else observed
    out = []
    for null, X, error in (
        (observed_null, observed - observed.mean(axis=0), None),
        (learned_null, (features - latent.center) @ latent.trained_loadings, latent.learning_error),
    ):
        if X.shape[1] == 0:
            continue
        result = permutation_test(X, environment, error=error, n_permutations=n_permutations, generator=generator)
        out += _rows(result, null, learned=error is not None, genotypes=cohort.instrument_kind == "genotype")
    return tuple(out)


LAW_TESTS: Mapping[str, Assumption] = {
    "same shape in every environment": "invariance",
    "independence beyond correlation": "independence",
}
"""The tests of law that enter the verdict, and what each examines."""

_SAID = {
    "same shape in every environment": (
        "the shape of the learned instruments' law does not differ detectably between environments",
        "the shape of the learned instruments' law differs between environments",
    ),
    "independence beyond correlation": (
        "the learned instruments do not depend detectably on what was set aside",
        "the learned instruments depend on what was set aside",
    ),
}


def law_checks(cohort: Cohort, latent: LatentInstruments, *, seed: int, n_permutations: int = 199) -> tuple[Check, ...]:
    """Tests of what means and covariances do not show, on held-out people (`invarmr.instruments.held_out_laws`)."""
    out = []
    found = {test.name: test for test in law_tests(cohort, latent, seed=seed, n_permutations=n_permutations)}
    for name, assumption in LAW_TESTS.items():
        test = found.get(name)
        if test is None:
            reason = (
                "allele copies cannot keep their law where frequencies differ"
                if cohort.instrument_kind == "genotype" and not latent.feature_names
                else "it needs latent instruments, directions set aside, and held-out people in two environments"
            )
            out.append(
                not_applicable(assumption, name, "the learned instruments keep their law", reason, role="decides")
            )
            continue
        out.append(
            Check(
                assumption=assumption,
                test=name,
                null=test.null,
                statistic=test.statistic,
                p_value=test.p_value,
                role="decides",
                conclusion=_SAID[name][0 if test.p_value >= REJECTION else 1],
                reason=f"{test.n_samples} held-out people; by {n_permutations} permutations",
            )
        )
    return tuple(out)


def permutation_test(
    X: FloatArray,
    environment: IntArray,
    *,
    error: FloatArray | None,
    n_permutations: int,
    generator: np.random.Generator,
) -> PermutationTest:
    """Permute environment labels over people and compare means and law.

    Parameters
    ----------
    X
        (n, p) instruments.
    environment
        (n,) codes; every environment of the cohort must be present.
    error
        (E, E) covariance of learning error over environments, or None.
    """
    counts = np.bincount(environment)
    present = np.flatnonzero(counts)
    codes = np.searchsorted(present, environment)
    error = None if error is None else error[np.ix_(present, present)]
    n = counts[present]
    white = _whiten(X, codes, n).astype(np.float32)
    contrasts = linalg.helmert(len(n))
    noise = np.diag(1.0 / n)
    plain = linalg.inv(contrasts @ noise @ contrasts.T)
    allowed = plain if error is None else linalg.inv(contrasts @ (noise + error) @ contrasts.T)
    observed = _statistics(white, codes, n, contrasts, allowed)
    exceed = np.ones(2)
    for _ in range(n_permutations):
        drawn = _statistics(white, generator.permutation(codes), n, contrasts, plain)
        exceed += np.asarray(drawn) >= np.asarray(observed)
    p = exceed / (n_permutations + 1)
    return PermutationTest(observed[0], float(p[0]), observed[1], float(p[1]), len(X))


def _whiten(X: FloatArray, codes: IntArray, n: IntArray) -> FloatArray:
    means = np.stack([X[codes == e].mean(axis=0) for e in range(len(n))])
    centred = X - means[codes]
    R = range_whitener(centred.T @ centred / len(X))
    return np.asarray((X - X.mean(axis=0)) @ R)


def _statistics(
    white: FloatArray, codes: IntArray, n: IntArray, contrasts: FloatArray, precision: FloatArray
) -> tuple[float, float]:
    order = np.argsort(codes, kind="stable")
    parts = np.split(white[order], np.cumsum(n)[:-1])
    means = np.stack([part.mean(axis=0, dtype=np.float64) for part in parts])
    t = contrasts @ means
    second = np.stack([part.T @ part for part in parts]).astype(np.float64) / n[:, None, None]
    weights = n / n.sum()
    spread = n @ np.square(second - np.tensordot(weights, second, axes=1)).sum(axis=(1, 2))
    shift = np.sum(t * (precision @ t))
    return float(shift), float(2 * shift + spread)


def _rows(result: PermutationTest, null: str, *, learned: bool, genotypes: bool) -> list[Check]:
    people = f"{result.n_samples} held-out people; described only, not in the verdict"
    law_reason = people
    if genotypes:
        law_reason += (
            "; for allele copies some difference is expected, since the variance 2f(1-f) moves with the frequency f: "
            "validity of a linear instrument rests on the means"
        )
    allowance = "; allows for the error of learning" if learned else ""
    out = []
    for test, what, statistic, p, reason in (
        (_MEANS, "means", result.mean_statistic, result.mean_p, people + allowance),
        (_LAW, "law", result.law_statistic, result.law_p, law_reason),
    ):
        same = "does not differ detectably between environments" if p >= REJECTION else "differs between environments"
        out.append(
            Check(
                assumption="invariance",
                test=test,
                null=null.format(what),
                statistic=statistic,
                p_value=p,
                conclusion=f"the {'learned' if learned else 'observed'} instruments' {what} {same}".replace(
                    "means does", "means do"
                ).replace("means differs", "means differ"),
                reason=reason,
            )
        )
    return out
