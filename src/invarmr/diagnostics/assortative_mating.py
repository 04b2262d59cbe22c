"""Even- against odd-chromosome scores: a check for assortative mating, and for structure that is left.

Symbols: w weights of the instruments; S_0, S_1 their weighted sums over even and over odd chromosomes; r correlation of
S_0 and S_1 given the controls; n people, c controls: z = atanh(r) (n - c - 3)^1/2, standard normal where r is 0.

Chromosomes are inherited independently. Scores of one trait on different chromosomes are correlated where parents chose
each other by the trait (or by what goes with it), and where people of several ancestries are pooled. Within
environments and given principal components the second cause is less. Source: Yengo et al. (2018), Nature Human
Behaviour 2:948.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from invarmr.arrays import BoolArray, FloatArray
from invarmr.data.moments import EnvironmentMoments
from invarmr.diagnostics.check import REJECTION, Check, not_applicable
from invarmr.inference.null_law import Correlation
from invarmr.linalg.projection import partial_out
from invarmr.linalg.symmetric import solve_on_range

__all__ = ["even_odd_checks"]

_TEST = "even- and odd-chromosome scores"
_NULL = "scores of the exposure on even and on odd chromosomes are unrelated, {}"


def even_odd_checks(
    moments: EnvironmentMoments,
    chromosomes: Sequence[str],
    *,
    weights: FloatArray | None = None,
    training: EnvironmentMoments | None = None,
) -> tuple[Check, ...]:
    """Correlation of the two scores over everyone, within environments, and given components too.

    Parameters
    ----------
    moments
        Of the people in whom the correlation is taken.
    chromosomes
        (d,) chromosome of each instrument; only 1 to 22 count, empty where unknown.
    weights
        (d,) external weight of each instrument. None: joint least squares of the exposure on all instruments within
        environments, in other people, so that their noise does not correlate the scores.
    training
        Moments of those other people.

    Returns
    -------
    tuple of Check
        Three, or two without components; one that says why not, where there is no instrument on either side, or neither
        weights nor other people.
    """
    number = np.array([_autosome(name) for name in chromosomes])
    sides = (number > 0) & (number % 2 == 0), number % 2 == 1
    if not all(side.any() for side in sides):
        reason = "instruments on even and on odd chromosomes are needed"
        return (not_applicable("exchangeability", _TEST, _NULL.format("over everyone"), reason),)
    w = weights if weights is not None or training is None else _learned_weights(training)
    if w is None:
        reason = "neither external weights nor people held out to test weights from others"
        return (not_applicable("exchangeability", _TEST, _NULL.format("over everyone"), reason),)
    source = "external weights" if weights is not None else "weights from the people learned from, tested on others"
    plans = [("over everyone", False, False), ("within environments", True, False)]
    if len(moments.index("component")):
        plans.append(("within environments, given principal components", True, True))
    return tuple(_check(moments, sides, w, where, within, given, source) for where, within, given in plans)


def _autosome(name: str) -> int:
    """Number of an autosome; 0 for any other chromosome."""
    plain = str(name).lower().removeprefix("chr")
    return int(plain) if plain.isdigit() and 1 <= int(plain) <= 22 else 0


def _learned_weights(training: EnvironmentMoments) -> FloatArray:
    within = training.within()
    instruments, exposure = training.index("instrument"), training.index("exposure")
    fitted, _ = solve_on_range(within[np.ix_(instruments, instruments)], within[np.ix_(instruments, exposure)])
    return np.asarray(fitted[:, 0])


def _check(
    moments: EnvironmentMoments,
    sides: tuple[BoolArray, BoolArray],
    w: FloatArray,
    where: str,
    within: bool,
    given: bool,
    source: str,
) -> Check:
    G = moments.within() if within else moments.total()
    instruments = moments.index("instrument")
    controls = moments.index("covariate", *(("component",) if given else ()))
    spread = np.zeros((len(moments.columns), 2))
    for k, side in enumerate(sides):
        spread[instruments[side], k] = w[side]
    mapping = np.hstack([np.eye(len(moments.columns))[:, controls], spread])
    c = len(controls)
    pair, _, rank = partial_out(mapping.T @ G @ mapping, np.arange(c, c + 2), np.arange(c))
    null = _NULL.format(where)
    if min(pair[0, 0], pair[1, 1]) <= 0:
        return not_applicable("exchangeability", f"{_TEST}, {where}", null, "a score does not vary")
    r = float(pair[0, 1] / np.sqrt(pair[0, 0] * pair[1, 1]))
    constants = int((moments.n_samples > 0).sum()) if within else 1
    free = moments.n_total - rank - constants - 2
    law = Correlation(free)
    related = "are correlated" if law.p_value(r) < REJECTION else "show no correlation"
    return Check(
        assumption="exchangeability",
        test=f"{_TEST}, {where}",
        null=null,
        statistic=r,
        law=law,
        conclusion=f"the two scores {related} (r {r:.3f})",
        reason=f"{source}; a correlation points to assortative mating or to ancestry; not in the verdict",
    )
