"""Who marries whom: couples whose traits are correlated as stated."""

from __future__ import annotations

import numpy as np

from invarmr.arrays import FloatArray, IntArray

__all__ = ["couples", "matched"]


def matched(first: FloatArray, second: FloatArray, *, correlation: float, rng: np.random.Generator) -> IntArray:
    """Partner of each of the first group: indices into the second group, of equal size.

    Both groups are sorted by |r|^1/2 trait + (1 - |r|)^1/2 noise (traits standardised) and matched in that order, which
    makes the correlation of normal traits r.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> a, b = rng.standard_normal((2, 20_000))
    >>> partner = matched(a, b, correlation=0.4, rng=rng)
    >>> bool(abs(np.corrcoef(a, b[partner])[0, 1] - 0.4) < 0.02)
    True
    """
    share = abs(correlation)

    def order(trait: FloatArray) -> IntArray:
        own = (trait - trait.mean()) / (trait.std() or 1.0)
        return np.argsort(np.sqrt(share) * own + np.sqrt(1 - share) * rng.standard_normal(len(trait)))

    partner = np.empty(len(first), dtype=np.intp)
    ranked = order(second)
    partner[order(first)] = ranked if correlation >= 0 else ranked[::-1]
    return partner


def couples(
    women: FloatArray, men: FloatArray, *, mating: str, correlation: float, rng: np.random.Generator
) -> IntArray:
    """Partner of each woman, as indices of men.

    Parameters
    ----------
    women, men
        (people, 2) exposure and outcome.
    mating
        "within": exposure with exposure; "cross": the woman's exposure with the man's outcome in a random half of both,
        her outcome with his exposure in the other half; "random".
    correlation
        Of the traits named, within each half.
    """
    n = len(women)
    if mating == "random" or correlation == 0:
        return np.asarray(rng.permutation(n))
    if mating == "within":
        return matched(women[:, 0], men[:, 0], correlation=correlation, rng=rng)
    partner = np.empty(n, dtype=np.intp)
    halves = np.array_split(rng.permutation(n), 2), np.array_split(rng.permutation(n), 2)
    for own, others, traits in zip(*halves, ((0, 1), (1, 0)), strict=True):
        found = matched(women[own, traits[0]], men[others, traits[1]], correlation=correlation, rng=rng)
        partner[own] = others[found]
    return partner
