"""Moments per environment from summary statistics, LD and allele frequencies: the linear methods without the people.

Symbols: in one environment, n people, c covariates of the regressions; v_j variance of variant j, f_j its frequency, R
the correlation of the variants (LD); b_j, s_j association of variant j with a trait t and its standard error.

    Z'Z / n = (v_j v_k)^1/2 R_jk,   Z't / n = v_j b_j,   t't / n = v_j {b_j^2 + (n - c - 2) s_j^2};

D'Y follows from the correlation of the traits. These are exact for linear regressions: the third is the sum of squares
that the regression split. It gives v_j where the variance of a trait is known; else v_j = 2 f_j (1 - f_j), which holds
under Hardy-Weinberg proportions, and the variance of the trait is the median of the third over variants. Source: Yang
et al. (2012), Nature Genetics 44:369, for joint analysis from summary statistics.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import numpy as np
import polars as pl
from numpy.typing import ArrayLike

from invarmr.arrays import FloatArray, IntArray, finite_matrix, finite_vector
from invarmr.data.moments import EnvironmentMoments
from invarmr.data.summary_statistics import SummaryStatistics
from invarmr.errors import InputError, first_few

__all__ = ["EnvironmentSummary", "moments_from_summary"]

_NEGATIVE = 1e-6
"""Size of a negative eigenvalue of a correlation matrix that counts as rounding."""


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class EnvironmentSummary:
    """What is known of one environment.

    Parameters
    ----------
    exposure, outcome
        Linear associations of the same d variants with each trait, on the same alleles or swapped ones.
    correlation
        (d, d) LD of the variants in this environment, for the effect alleles and in the order of `exposure`.
    trait_correlation
        Correlation of exposure and outcome in this environment, given the covariates of the regressions.
    n_samples
        People; None: the smallest `samplesize` of the tables. Associations of more people are scaled to it.
    exposure_variance, outcome_variance
        Variances of the traits given the covariates, in squared units (divisor n - 1); None: from the associations.
    genotype_variance
        (d,) variances of the copies (divisor n - 1), in the order of `exposure`; None: from the variance of the
        exposure or the outcome where that is given, else 2 f (1 - f).
    exposure_mean, outcome_mean
        Means of the traits. Where they are not known, 0 in every environment takes the traits as centred in each.
    n_covariates
        Covariates of the regressions, the constant not counted.
    """

    exposure: SummaryStatistics
    outcome: SummaryStatistics
    correlation: ArrayLike
    trait_correlation: float
    n_samples: int | None = None
    exposure_variance: float | None = None
    outcome_variance: float | None = None
    genotype_variance: ArrayLike | None = None
    exposure_mean: float = 0.0
    outcome_mean: float = 0.0
    n_covariates: int = 0


@dataclass(frozen=True, eq=False)
class _Trait:
    """Effects (d,), what v_j multiplies to give the trait's mean square (d,), and people (d,)."""

    effect: FloatArray
    ratio: FloatArray
    n: FloatArray


def moments_from_summary(environments: Mapping[str, EnvironmentSummary]) -> EnvironmentMoments:
    """Counts, means and cross-products of instruments, exposure and outcome per environment, from summary statistics.

    Parameters
    ----------
    environments
        Label of each environment to what is known of it. All must have the variants of the first one's exposure table;
        alleles that are swapped are turned, so that every environment counts the same allele.

    Returns
    -------
    EnvironmentMoments
        Columns `instrument:ID`, `exposure`, `outcome`; environments sorted by label, as in a cohort. The learner
        `StationaryInstruments` takes it, and `IVDesign.from_moments`.

    Raises
    ------
    InputError
        No environment; variants or alleles that do not match; log odds ratios; a missing association, frequency or
        sample size; an LD matrix that does not match in size, is no correlation matrix or is not positive
        semidefinite; associations that no people with this LD could have.

    References
    ----------
    Yang et al. (2012). Conditional and joint multiple-SNP analysis of GWAS summary statistics. Nature Genetics 44, 369.

    Examples
    --------
    >>> import polars as pl
    >>> from invarmr.data.summary_statistics import SummaryStatistics
    >>> def table(trait, betas):
    ...     return SummaryStatistics.from_frame(pl.DataFrame({
    ...         "SNP": ["rs1", "rs2"], "effect_allele": ["A", "C"], "other_allele": ["G", "T"], "beta": betas,
    ...         "se": [0.01, 0.01], "eaf": [0.3, 0.4], "samplesize": [20_000, 20_000]}), name=trait)
    >>> site = EnvironmentSummary(
    ...     exposure=table("ldl", [0.2, 0.1]), outcome=table("sbp", [0.1, 0.05]), correlation=[[1, 0.1], [0.1, 1]],
    ...     trait_correlation=0.3)
    >>> moments_from_summary({"north": site}).columns
    ('instrument:rs1', 'instrument:rs2', 'exposure', 'outcome')
    """
    if not environments:
        raise InputError("At least one environment was required, but none came.")
    labels = tuple(sorted(environments))
    reference = next(iter(environments.values())).exposure.frame
    counts, means, products = zip(*(_moments(label, environments[label], reference) for label in labels), strict=True)
    columns = (*(f"instrument:{name}" for name in reference["SNP"]), "exposure", "outcome")
    return EnvironmentMoments(columns, labels, np.array(counts, dtype=np.int64), np.stack(means), np.stack(products))


def _moments(label: str, given: EnvironmentSummary, reference: pl.DataFrame) -> tuple[int, FloatArray, FloatArray]:
    own, sign = _matched(label, given.exposure, reference, "exposure")
    other, other_sign = _matched(label, given.outcome, reference, "outcome")
    n = _count(label, given)
    exposure = _trait(label, "exposure", given.exposure.frame[own], sign, given, n)
    outcome = _trait(label, "outcome", given.outcome.frame[other], other_sign, given, n)
    frequency = _frequency(label, given, own, sign)
    v = _variances(label, given, own, exposure, outcome, frequency)
    R = _ld(label, given.correlation, len(own))[np.ix_(own, own)] * np.outer(sign, sign)
    xx = _mean_square(given.exposure_variance, v, exposure)
    yy = _mean_square(given.outcome_variance, v, outcome)
    if not -1 <= given.trait_correlation <= 1:
        raise InputError(f"{label}: trait_correlation must lie between -1 and 1, but is {given.trait_correlation!r}.")
    d = len(v)
    G = np.empty((d + 2, d + 2))
    G[:d, :d] = np.sqrt(np.outer(v, v)) * R
    G[:d, d] = G[d, :d] = v * exposure.effect
    G[:d, d + 1] = G[d + 1, :d] = v * outcome.effect
    G[d:, d:] = [[xx, given.trait_correlation * np.sqrt(xx * yy)], [given.trait_correlation * np.sqrt(xx * yy), yy]]
    _check_joint(label, G)
    mean = np.concatenate([2 * frequency, [given.exposure_mean, given.outcome_mean]])
    return n, mean, n * G


def _matched(label: str, table: SummaryStatistics, reference: pl.DataFrame, role: str) -> tuple[IntArray, FloatArray]:
    """Rows of the table in the order of the reference, and +1, or -1 where the alleles are swapped."""
    frame = table.frame
    if frame["SNP"].is_duplicated().any() or frame["ncase"].count():
        what = "log odds ratios" if frame["ncase"].count() else "a variant more than once"
        raise InputError(f"{label}, {role}: one linear association per variant was required, but there are {what}.")
    place = {name: row for row, name in enumerate(frame["SNP"].to_list())}
    missing = [name for name in reference["SNP"] if name not in place]
    extra = frame.height - reference.height + len(missing)
    if missing or extra:
        raise InputError(
            f"{label}, {role}: the same {reference.height} variants are required in every table, but {len(missing)} "
            f"are missing ({first_few(missing)}) and {extra} are too many. Keep the variants that all tables have."
        )
    rows = np.array([place[name] for name in reference["SNP"]], dtype=np.intp)
    ours = frame[rows]
    pairs = [(part["effect_allele"].to_numpy(), part["other_allele"].to_numpy()) for part in (ours, reference)]
    (effect, other), (wanted, against) = pairs
    same, swapped = effect == wanted, (effect == against) & (other == wanted)
    same &= (
        (other == against) | ours["other_allele"].is_null().to_numpy() | reference["other_allele"].is_null().to_numpy()
    )
    unclear = np.flatnonzero(~same & ~swapped)
    if unclear.size:
        shown = [f"{reference['SNP'][int(j)]} {effect[j]}/{other[j]} against {wanted[j]}/{against[j]}" for j in unclear]
        raise InputError(
            f"{label}, {role}: alleles must be those of the first table, or swapped, but {len(shown)} are not: "
            f"{first_few(shown)}. Harmonise the tables first."
        )
    return rows, np.where(same, 1.0, -1.0)


def _count(label: str, given: EnvironmentSummary) -> int:
    n = given.n_samples
    if n is None:
        tables = (given.exposure, given.outcome)
        smallest = min(float(table.frame["samplesize"].fill_null(np.nan).to_numpy().min()) for table in tables)
        if not np.isfinite(smallest):
            raise InputError(f"{label}: the number of people is required: n_samples, or samplesize in every row.")
        n = int(smallest)
    if n <= given.n_covariates + 2:
        raise InputError(f"{label}: more people than covariates are required, but n is {n}.")
    return n


def _trait(label: str, role: str, rows: pl.DataFrame, sign: FloatArray, given: EnvironmentSummary, n: int) -> _Trait:
    if rows["beta"].null_count():
        without = first_few(rows.filter(pl.col("beta").is_null())["SNP"])
        raise InputError(
            f"{label}, {role}: every variant needs an association, but {without} have none. Leave them out of "
            "all tables."
        )
    people = rows["samplesize"].fill_null(n).to_numpy()
    b, s = rows["beta"].to_numpy(), rows["se"].to_numpy()
    return _Trait(sign * b, b**2 + (people - given.n_covariates - 2) * s**2, people)


def _frequency(label: str, given: EnvironmentSummary, own: IntArray, sign: FloatArray) -> FloatArray:
    frequency = given.exposure.frame["eaf"][own]
    if frequency.null_count():
        names = given.exposure.frame[own].filter(pl.col("eaf").is_null())["SNP"]
        raise InputError(
            f"{label}: frequencies are required, because environments are compared by them, but {len(names)} variants "
            f"have no eaf in the exposure table: {first_few(names)}."
        )
    f = frequency.to_numpy()
    return np.where(sign > 0, f, 1 - f)


def _variances(
    label: str,
    given: EnvironmentSummary,
    own: IntArray,
    exposure: _Trait,
    outcome: _Trait,
    frequency: FloatArray,
) -> FloatArray:
    """Mean squares of the centred copies (divisor n), by what is known best."""
    v: FloatArray
    if given.genotype_variance is not None:
        variance = finite_vector(given.genotype_variance, f"{label}: genotype_variance", len(own), axis="variant")
        v = variance[own] * (exposure.n - 1) / exposure.n
    elif given.exposure_variance is not None:
        v = given.exposure_variance * (exposure.n - 1) / exposure.n / exposure.ratio
    elif given.outcome_variance is not None:
        v = given.outcome_variance * (outcome.n - 1) / outcome.n / outcome.ratio
    else:
        v = 2 * frequency * (1 - frequency)
    bad = np.flatnonzero(~(v > 0))
    if bad.size:
        raise InputError(
            f"{label}: every variant must vary, but {bad.size} do not (first rows: {first_few(bad)}). Leave them out, "
            "and see that variances are positive and frequencies lie between 0 and 1."
        )
    return v


def _mean_square(variance: float | None, v: FloatArray, trait: _Trait) -> float:
    if variance is not None:
        n = float(np.median(trait.n))
        return variance * (n - 1) / n
    return float(np.median(v * trait.ratio))


def _ld(label: str, values: ArrayLike, d: int) -> FloatArray:
    R = finite_matrix(values, f"{label}: correlation")
    if R.shape != (d, d):
        raise InputError(
            f"{label}: the LD matrix must be {d} x {d}, one row and column per variant of the exposure table, but is "
            f"{R.shape[0]} x {R.shape[1]}."
        )
    if not np.allclose(R, R.T, atol=1e-6) or not np.allclose(np.diag(R), 1.0, atol=1e-6):
        raise InputError(f"{label}: the LD matrix must be symmetric with ones on its diagonal (r, not r2 or D').")
    R = (R + R.T) / 2
    smallest = float(np.linalg.eigvalsh(R)[0])
    if smallest < -_NEGATIVE:
        raise InputError(
            f"{label}: the LD matrix must be positive semidefinite, but its smallest eigenvalue is {smallest:.3g}. "
            "Was it rounded, or put together from pairs of different people? Give more digits, or compute it from "
            "complete genotypes."
        )
    return R


def _check_joint(label: str, G: FloatArray) -> None:
    """Make sure that people with these cross-products can exist."""
    scale = np.sqrt(np.diag(G))
    smallest = float(np.linalg.eigvalsh(G / np.outer(scale, scale))[0])
    if smallest < -_NEGATIVE:
        raise InputError(
            f"{label}: no people can have these associations, this LD and this correlation of the traits together (the "
            f"smallest eigenvalue of their joint correlation matrix is {smallest:.3g}). The LD must be that of the "
            "people whose associations these are, for the effect alleles of the exposure table."
        )
