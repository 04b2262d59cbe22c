"""Quality of genotype calls, per environment: call rate, frequency, Hardy-Weinberg proportions, and who fails.

A cohort that mixes ancestries has fewer heterozygotes than Hardy-Weinberg proportions ask for (Wahlund 1928) at every
variant whose frequency differs between the ancestries: variants that such a study is about, and no artefact. An
excess of heterozygotes cannot come from structure, but comes from bad genotyping (two loci read as one). So by
default the excess drops a variant, and the deficit is only reported.

Symbols: E environments, m variants, n called samples, h heterozygotes, r copies of the rarer allele.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.special import gammaln

from invarmr.arrays import BoolArray, IntArray, StrArray
from invarmr.errors import InputError, first_few

__all__ = ["call_rate", "counted_allele_frequency", "hardy_weinberg_p", "variant_filters"]

Tail = Literal["excess", "deficit", "two-sided"]
STEPS_BETWEEN_CHECKS = 64
NEGLIGIBLE = 1e-17
SAME_PROBABILITY = 1e-7  # log probabilities closer than this are equal
Floats = NDArray[np.float64]


def call_rate(counts: IntArray) -> Floats:
    """Share of samples with a call.

    Parameters
    ----------
    counts
        (..., 4): samples with 0, 1, 2 copies of the counted allele, and missing.

    Returns
    -------
    numpy.ndarray
        (...), 0 to 1; NaN where there are no samples.
    """
    number = np.asarray(counts, dtype=np.float64)
    return _ratio(number[..., :3].sum(axis=-1), number.sum(axis=-1))


def counted_allele_frequency(counts: IntArray) -> Floats:
    """Frequency of the counted allele among the calls, (n1 + 2 n2) / (2 (n0 + n1 + n2)).

    Parameters
    ----------
    counts
        (..., 4): samples with 0, 1, 2 copies of the counted allele, and missing.

    Returns
    -------
    numpy.ndarray
        (...), 0 to 1; NaN where nobody is called.
    """
    number = np.asarray(counts, dtype=np.float64)
    return _ratio(number[..., 1] + 2 * number[..., 2], 2 * number[..., :3].sum(axis=-1))


def hardy_weinberg_p(counts: IntArray, *, tail: Tail = "two-sided") -> Floats:
    r"""Exact p-value of Hardy-Weinberg proportions, given the allele counts.

    .. math:: P(h) = \frac{n!}{n_{rr}!\, h!\, n_{cc}!} \frac{2^h\, r!\, (2n - r)!}{(2n)!}

    with n_rr = (r - h) / 2 and n_cc = n - h - n_rr. "excess" sums P over at least as many heterozygotes as observed,
    "deficit" over at most as many, "two-sided" over all outcomes no more probable than the observed one. Tails are
    summed away from the mode by the ratio of neighbours, so they are exact for any n and reach 0 only below the
    smallest float.

    Assumes unrelated samples from one population that mates at random; a mixture of populations has a deficit.

    Parameters
    ----------
    counts
        (..., 4): samples with 0, 1, 2 copies of the counted allele, and missing (not used).
    tail
        Which departure counts against the null hypothesis.

    Returns
    -------
    numpy.ndarray
        (...), 0 to 1; 1 where the variant does not vary or nobody is called.

    References
    ----------
    Wigginton, Cutler and Abecasis (2005), Am J Hum Genet 76:887.

    Examples
    --------
    >>> hardy_weinberg_p(np.array([50, 57, 14, 0])).round(6)
    np.float64(0.84228)
    """
    excess, deficit, two_sided = _hardy_weinberg(counts, two_sided=tail == "two-sided")
    return {"excess": excess, "deficit": deficit, "two-sided": two_sided}[tail][()]


def variant_filters(
    counts: IntArray,
    environments: Sequence[str],
    *,
    min_call_rate: float = 0.95,
    min_allele_frequency: float = 0.01,
    min_hardy_weinberg_p: float | None = 1e-6,
    hardy_weinberg_tail: Tail = "excess",
) -> pl.DataFrame:
    """Judge each variant on its calls in every environment.

    A variant is dropped when its call rate is below the bound in any environment; when its minor allele frequency
    pooled over environments is below the bound; when it varies in no environment; or when Hardy-Weinberg proportions
    fail within any environment, by default through too many heterozygotes only (see the module's text: in cohorts
    with mixed ancestry a deficit is expected).

    Parameters
    ----------
    counts
        (environments, variants, 4): samples with 0, 1, 2 copies of the counted allele, and missing.
    environments
        (environments,) labels, for the reasons.
    min_call_rate, min_allele_frequency
        Lower bounds, 0 to 1; 0 switches off.
    min_hardy_weinberg_p
        Lower bound of the exact p-value in each environment; None or 0 switches off. Not corrected for the number of
        tests.
    hardy_weinberg_tail
        The departure that drops a variant.

    Returns
    -------
    polars.DataFrame
        One row per variant, in order: `call_rate` (worst environment), `counted_allele_frequency` (pooled),
        `minor_allele_frequency` (pooled), `min_environment_frequency` and `max_environment_frequency` (of the counted
        allele), `heterozygote_excess_p` and `heterozygote_deficit_p` (smallest over environments), `status` ("kept"
        or "dropped"), `reason` (empty where kept).

    Raises
    ------
    InputError
        `counts` of another shape, or an environment without samples.

    References
    ----------
    Wahlund (1928), Hereditas 11:65; Wigginton, Cutler and Abecasis (2005), Am J Hum Genet 76:887.
    """
    counts = np.asarray(counts)
    labels = [str(label) for label in environments]
    _check_counts(counts, labels)
    rates, within = call_rate(counts), counted_allele_frequency(counts)
    frequency = counted_allele_frequency(counts.sum(axis=0))
    minor = np.minimum(frequency, 1 - frequency)
    excess, deficit, two_sided = _hardy_weinberg(counts, two_sided=hardy_weinberg_tail == "two-sided")
    p = {"excess": excess, "deficit": deficit, "two-sided": two_sided}[hardy_weinberg_tail]
    departure = "Hardy-Weinberg" if hardy_weinberg_tail == "two-sided" else f"heterozygote {hardy_weinberg_tail}"
    varies = ((within > 0) & (within < 1)).any(axis=0)
    reasons = [
        _worst_environment(rates, min_call_rate, labels, "call rate"),
        np.where(varies, "", "does not vary within any environment"),
        _too_rare(np.where(varies, minor, np.inf), min_allele_frequency),
        _worst_environment(p, min_hardy_weinberg_p or 0.0, labels, f"{departure} p-value"),
    ]
    reason = ["; ".join(part for part in parts if part) for parts in zip(*reasons, strict=True)]
    return pl.DataFrame(
        {
            "call_rate": rates.min(axis=0),
            "counted_allele_frequency": frequency,
            "minor_allele_frequency": minor,
            "min_environment_frequency": np.fmin.reduce(within, axis=0),
            "max_environment_frequency": np.fmax.reduce(within, axis=0),
            "heterozygote_excess_p": excess.min(axis=0),
            "heterozygote_deficit_p": deficit.min(axis=0),
            "status": ["dropped" if text else "kept" for text in reason],
            "reason": reason,
        }
    ).with_columns(pl.col(pl.Float64).fill_nan(None))


def _check_counts(counts: IntArray, labels: Sequence[str]) -> None:
    if counts.ndim != 3 or counts.shape[2] != 4 or counts.shape[0] != len(labels) or not labels:
        raise InputError(
            f"counts must have shape (environments, variants, 4) with {len(labels)} environments, but have shape "
            f"{counts.shape}."
        )
    empty = [label for label, total in zip(labels, counts.sum(axis=2).max(axis=1, initial=0), strict=True) if not total]
    if empty and counts.shape[1]:
        raise InputError(f"every environment must have samples, but {first_few(empty)} has none. Leave it out.")


def _worst_environment(values: Floats, bound: float, labels: Sequence[str], what: str) -> StrArray:
    """Name the environment with the lowest value where it is below the bound, else an empty text; (variants,)."""
    reasons = np.full(values.shape[1], "", dtype=object)
    below = values < bound
    for variant in np.flatnonzero(below.any(axis=0)):
        environment = int(np.argmin(values[:, variant]))
        others = int(below[:, variant].sum()) - 1
        also = f" and lower than required in {others} more" if others else ""
        value = f"{what} {values[environment, variant]:.4g} in {labels[environment]}{also}"
        reasons[variant] = f"{value} (at least {bound:g} required)"
    return reasons.astype(np.str_)


def _too_rare(minor: Floats, bound: float) -> StrArray:
    reasons = [
        f"minor allele frequency {value:.4g} over all environments (at least {bound:g} required)"
        if value < bound
        else ""
        for value in minor.tolist()
    ]
    return np.array(reasons, dtype=np.str_)


def _ratio(part: Floats, whole: Floats) -> Floats:
    share: Floats = np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=np.asarray(whole) > 0)
    return share


def _hardy_weinberg(counts: IntArray, *, two_sided: bool) -> tuple[Floats, Floats, Floats]:
    """Exact p-values (excess, deficit, two-sided), each (...); the last is 1 where not asked for."""
    counts = np.asarray(counts)
    called = counts[..., :3].reshape(-1, 3).astype(np.float64)
    rare = called[:, 1] + 2 * np.minimum(called[:, 0], called[:, 2])
    vary = rare > 0
    distribution = _Heterozygotes(rare[vary], called[vary].sum(axis=1))
    table = np.ones((3, called.shape[0]))
    table[0, vary], table[1, vary] = distribution.tails(called[vary, 1])
    if two_sided:
        table[2, vary] = distribution.as_improbable(called[vary, 1])
    excess, deficit, both = table.reshape(3, *counts.shape[:-1])
    return excess, deficit, both


class _Heterozygotes:
    """Distribution of the number of heterozygotes h given r rare alleles among n samples, many tests at once.

    h runs over r, r - 2, ... down to 0 or 1, and P has one mode, so a tail beyond the mode is summed by the ratio
    of neighbours, P(h + 2) / P(h) = 4 n_rr n_cc / ((h + 2) (h + 1)), until its terms are negligible.
    """

    def __init__(self, rare: Floats, n: Floats) -> None:
        self.rare, self.n = rare, n

    def log_probability(self, het: Floats) -> Floats:
        rare, n = self.rare, self.n
        rr = (rare - het) / 2
        ways = gammaln(n + 1) - gammaln(rr + 1) - gammaln(het + 1) - gammaln(n - het - rr + 1)
        pairs = gammaln(2 * n + 1) - gammaln(rare + 1) - gammaln(2 * n - rare + 1)
        return np.asarray(ways + het * np.log(2.0) - pairs)

    def past_mode(self, het: Floats) -> BoolArray:
        """Whether one more pair of heterozygotes would be no more probable."""
        rr = (self.rare - het) / 2
        return np.asarray(4 * rr * (self.n - het - rr) <= (het + 2) * (het + 1))

    def tails(self, het: Floats) -> tuple[Floats, Floats]:
        """P(H >= h) and P(H <= h): the one that leads away from the mode is summed, the other is its complement."""
        upward = self.past_mode(het)
        log_p = self.log_probability(het)
        away = np.minimum(np.exp(log_p + np.log(self.sum_away(het, upward))), 1.0)
        back = np.clip(1.0 - away + np.exp(log_p), 0.0, 1.0)
        return np.where(upward, away, back), np.where(upward, back, away)

    def as_improbable(self, het: Floats) -> Floats:
        """P of all outcomes no more probable than h: its own tail, and the tail on the far side of the mode."""
        upward = self.past_mode(het)
        own = np.where(upward, *self.tails(het))
        step = np.where(upward, -2.0, 2.0)
        last = np.where(upward, np.floor(het / 2), (self.rare - het) / 2)  # steps to the end of the support
        bound = self.log_probability(het) + SAME_PROBABILITY
        near, far = np.zeros_like(het), last + 1  # P(near) > bound or near = 0; P(far) <= bound or far = last + 1
        while bool((far - near > 1).any()):
            middle = np.floor((near + far) / 2)
            rare_enough = self.log_probability(het + step * np.minimum(middle, last)) <= bound
            inside = far - near > 1
            far = np.where(inside & rare_enough, middle, far)
            near = np.where(inside & ~rare_enough, middle, near)
        there = het + step * np.minimum(far, last)
        other = np.exp(self.log_probability(there) + np.log(self.sum_away(there, ~upward)))
        return np.asarray(np.minimum(own + np.where(far <= last, other, 0.0), 1.0))

    def sum_away(self, het: Floats, upward: BoolArray) -> Floats:
        """Sum P over h and beyond, divided by P(h); upward or downward in h."""
        total = np.ones_like(het)
        open_tests = np.arange(het.size)
        term, rr = np.ones_like(het), (self.rare - het) / 2
        cc, up = self.n - het - rr, upward
        while open_tests.size:
            sums = total[open_tests]
            for _ in range(STEPS_BETWEEN_CHECKS):
                over = np.where(up, 4 * rr * cc, het * (het - 1))
                under = np.where(up, (het + 2) * (het + 1), 4 * (rr + 1) * (cc + 1))
                term = term * (over / under)
                sums += term
                het, rr, cc = het + np.where(up, 2, -2), rr - np.where(up, 1, -1), cc - np.where(up, 1, -1)
            total[open_tests] = sums
            more = term > NEGLIGIBLE * sums
            open_tests, term, up = open_tests[more], term[more], up[more]
            het, rr, cc = het[more], rr[more], cc[more]
        return total
