"""What a learner returns: the invariant part of the instruments, the rest, and how the split was chosen.

Symbols: d instruments, p latent instruments (W), q confounded directions (V), Z ~ (n, d): W = (Z - center) loadings.
A learner that is not linear maps Z to features u (n, r) first; center and loadings are then those of u.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from invarmr.arrays import FloatArray, IntArray, finite_matrix, read_only
from invarmr.data.instrument_source import InstrumentSource
from invarmr.data.representation import Representation
from invarmr.errors import InputError

__all__ = [
    "MENDELIAN",
    "DimensionStep",
    "LadderStep",
    "LatentInstruments",
    "Leak",
    "Status",
    "Verdict",
    "identification_verdict",
]

Status = Literal["identified", "weak", "not identified", "rejected"]


@dataclass(frozen=True)
class Verdict:
    """Whether an effect estimated with the learned instruments may be interpreted, and why.

    Parameters
    ----------
    status
        `identified`; `weak` (valid, but the first stage is too weak); `not identified` (the data cannot tell valid from
        confounded directions); `rejected` (a test of the assumptions failed).
    reasons
        Plain sentences, the deciding one first.
    mendelian_headline
        Whether the report leads with the Mendelian estimate because families rejected the instruments judged here.
    """

    status: Status
    reasons: tuple[str, ...]
    mendelian_headline: bool = False

    @property
    def interpretable(self) -> bool:
        """Whether the estimate may be read as a causal effect under the stated assumptions."""
        return self.status in ("identified", "weak")


@dataclass(frozen=True)
class DimensionStep:
    """One number of latent instruments that was tried on held-out people, and what the tests said.

    Parameters
    ----------
    n_latent
        The number tried.
    mean_p, covariance_p, independence_p
        p-values: equal means between environments (allowing for the error of learning), equal covariances, and
        covariance with the confounded part equal (zero) in every environment.
    smallest_p
        The smallest of all block tests after Bonferroni's correction.
    rejected
        Whether this number was rejected.
    detail
        Which block of directions and which test was the least invariant, in words.
    """

    n_latent: int
    mean_p: float
    covariance_p: float
    independence_p: float
    smallest_p: float
    rejected: bool
    detail: str


@dataclass(frozen=True, kw_only=True)
class LadderStep:
    """One learner that the automatic choice tried.

    Parameters
    ----------
    learner, n_latent
        Which learner, and how many latent instruments it kept (0: none passed, or it does not apply).
    passed
        Whether held-out people let it stand; the ladder ends there.
    reason
        One sentence.
    """

    learner: str
    n_latent: int
    passed: bool
    reason: str


@dataclass(frozen=True, eq=False)
class Leak:
    """How sampling noise of the moments turned into error of the learned directions, to first order.

    Every learned direction j of W leaks into V by L_j = -sum_f pi_f (e_fj A_f + E_fj B_f), where e_fj and E_fj are the
    noise of its mean and of its covariances with V in environment f.

    Parameters
    ----------
    mean_map, covariance_map
        A (E, q) and B (E, q, q).
    covariance
        Sigma_L (q, q), the covariance of L_j.
    """

    mean_map: FloatArray
    covariance_map: FloatArray
    covariance: FloatArray


@dataclass(frozen=True, eq=False, kw_only=True)
class LatentInstruments:
    """The learned instruments of a cohort: linear loadings, the directions set aside, and the path of decisions.

    Parameters
    ----------
    learner
        Name of the learner, as in study files.
    instrument_names
        d names of the instruments it was learned from.
    center
        (d,) value subtracted from each instrument, in its unit; of (r,) features in the place of instruments, here and
        below, where there are any.
    loadings
        (d, p): latent instruments per unit of each instrument; W has unit pooled within-environment variance.
    confounded_loadings
        (d, q): the same for the confounded part V.
    eigenvalues
        (rank,) ascending: how much each direction varies between environments.
    path
        The numbers of latent instruments tried, from the largest down.
    saturated
        True where directions that differ between environments in their means alone are as many as E environments can
        show (E - 1): a further environment could reveal more of them.
    shift_rank
        Number of directions whose means differ between environments.
    covariance_informative
        True where the covariances of some directions of V differ between environments.
    means_alone
        Names of the instruments, at most three, that correlate most with the directions that shift in means alone.
    n_null
        Directions of the instruments without variance (duplicates, constants) that were dropped first.
    trained_loadings
        (d, p): the same directions learned without the held-out folds; what held-out tests must use.
    learning_error
        (E, E) covariance, over environments, of the shift that learning error alone gives a trained direction.
    leak
        How noise became error of the final directions: what standard errors must count. None: not known.
    fold, held_out
        (n,) fold of each sample (None when learned from moments) and the folds held out when p was chosen.
    settings
        The learner's settings, resolved.
    source
        Where the instruments (or features) of the cohort are read from; None when learned from moments.
    feature_names
        Names of the r features; empty where W is linear in the instruments.
    representation
        The map from instruments to features; None where W is linear, or where it was read from an archive.
    ladder
        The learners that the automatic choice tried, in order; empty where the learner was named.
    """

    learner: str
    instrument_names: tuple[str, ...]
    center: FloatArray
    loadings: FloatArray
    confounded_loadings: FloatArray
    eigenvalues: FloatArray
    path: tuple[DimensionStep, ...] = ()
    saturated: bool = False
    shift_rank: int = 0
    covariance_informative: bool = False
    means_alone: tuple[str, ...] = ()
    n_null: int = 0
    trained_loadings: FloatArray | None = None
    learning_error: FloatArray | None = None
    leak: Leak | None = None
    fold: IntArray | None = None
    held_out: tuple[int, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    source: InstrumentSource | None = None
    feature_names: tuple[str, ...] = ()
    representation: Representation | None = None
    ladder: tuple[LadderStep, ...] = ()

    def __post_init__(self) -> None:
        for name in ("center", "loadings", "confounded_loadings", "eigenvalues"):
            object.__setattr__(self, name, read_only(getattr(self, name)))
        for name in ("trained_loadings", "learning_error", "fold"):
            array = getattr(self, name)
            object.__setattr__(self, name, None if array is None else read_only(array))

    @property
    def n_latent(self) -> int:
        """Number of latent instruments, p."""
        return int(self.loadings.shape[1])

    @property
    def n_confounded(self) -> int:
        """Number of directions set aside, q."""
        return int(self.confounded_loadings.shape[1])

    @property
    def verdict(self) -> Verdict:
        """What the learning alone says of identification, before any effect is estimated (`diagnose` says the rest)."""
        return identification_verdict(self)

    @property
    def confounded_doubt(self) -> str:
        """Why the confounded part should not be partialled out (`PO(V)`); empty where nothing speaks against it.

        Partialling out V leaves W valid only where W is independent of V: a V that carries part of W lets the
        confounder back in. Held-out people test it, with the number of latent instruments that was taken.
        """
        last = self.path[-1] if self.path else None
        if last is None or self.n_confounded == 0 or last.independence_p >= _DEPENDENT:
            return ""
        return (
            "on people not learned from, the directions set aside and the latent instruments are dependent "
            f"(p = {last.independence_p:.2g}), so that partialling the former out can let the confounder in"
        )

    @property
    def latent_instrument(self) -> FloatArray:
        """(n_samples, n_latent) values for the people learned from; computed on demand."""
        return self._learned_from(self.loadings)

    @property
    def confounded_part(self) -> FloatArray:
        """(n_samples, n_confounded) values for the people learned from; computed on demand."""
        return self._learned_from(self.confounded_loadings)

    def with_people(self, *, source: InstrumentSource, fold: IntArray | None = None) -> LatentInstruments:
        """The same instruments, for the people of `source`, with the fold of each."""
        return replace(self, source=source, fold=fold)

    def transform(self, instrument: ArrayLike) -> FloatArray:
        """Latent instruments of new people: (n_new, d) instruments in the same order and units, no missing values."""
        values = finite_matrix(instrument, "instrument")
        if values.shape[1] != len(self.instrument_names):
            raise InputError(
                f"instrument must have the {len(self.instrument_names)} columns that were learned from, in their order "
                f"({self.instrument_names[0]} first), but has {values.shape[1]}."
            )
        if self.representation is not None:
            values = self.representation.apply(values)
        elif self.feature_names:
            raise InputError(
                "An archive keeps the values of these latent instruments and not the map of a neural learner. "
                "Call transform on what the learner's fit returned."
            )
        return np.asarray((values - self.center) @ self.loadings)

    def _learned_from(self, loadings: FloatArray) -> FloatArray:
        if self.source is None:
            raise InputError(
                "These instruments were learned from moments, without people: "
                "call transform(instrument) with their rows."
            )
        everyone = np.arange(self.source.n_samples)
        out = np.empty((len(everyone), loadings.shape[1]))
        for start in range(0, len(everyone), 16_384):
            block = everyone[start : start + 16_384]
            out[block] = (self.source.read(block) - self.center) @ loadings
        return out


MENDELIAN = "mendelian"
"""Name of the learner whose instruments are valid by Mendel's law, not by a comparison of environments."""

_DEPENDENT = 0.01
"""Level of the test on which the doubt about the confounded part rests."""


def identification_verdict(latent: LatentInstruments) -> Verdict:
    """Identification from the learning alone: METHOD conditions on shifts, saturation and held-out invariance.

    Rejected when no number of latent instruments passed; not identified when the environments do not differ, or when
    they differ in means alone and in as many directions as their number can show; identified otherwise.
    """
    if latent.learner == MENDELIAN:
        varies = f"Given the family, {_count(latent.n_latent, 'variant')} can differ by Mendel's law alone."
        return Verdict("identified", (varies,))
    p, q = latent.n_latent, latent.n_confounded
    if latent.ladder and not latent.ladder[-1].passed:
        tried = " ".join(f"{step.learner}: {step.reason}" for step in latent.ladder)
        return Verdict("rejected", (f"Every learner that applies was rejected. {tried}",))
    last = latent.path[-1] if latent.path else None
    if p == 0 or (last is not None and last.rejected):
        detail = f": {last.detail} (p = {last.smallest_p:.2g})" if last is not None else ""
        return Verdict("rejected", (f"On people not learned from, the learned instruments are not invariant{detail}.",))
    if q == 0 or (latent.shift_rank == 0 and not latent.covariance_informative):
        return Verdict(
            "not identified",
            (
                "No difference between the environments was detected in any direction of the instruments, so they "
                "cannot show which part is confounded. Environments with other ancestry or other recruitment would.",
            ),
        )
    if latent.saturated:
        led = f" (led by {_listed(latent.means_alone)})" if latent.means_alone else ""
        return Verdict(
            "not identified",
            (
                f"The instruments shift between environments in {_count(latent.shift_rank, 'direction')}, and "
                f"directions that shift in their means alone{led}, without a detectable difference of covariances, are "
                "as many as this number of environments can show: a further confounded direction could hide among the "
                "learned instruments. One more environment would show it if its mean lies off the line or plane "
                "through the means of these, or if the spread of these directions differs there.",
            ),
        )
    how = "means and covariances" if latent.covariance_informative else "means"
    return Verdict(
        "identified",
        (
            f"{_count(q, 'direction')} of the instruments, differing between environments in {how}, "
            f"{'were' if q > 1 else 'was'} set aside; the other {p} passed the tests of invariance on held-out people.",
        ),
    )


def _listed(names: tuple[str, ...]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
