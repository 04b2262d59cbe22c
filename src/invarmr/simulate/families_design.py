"""The settings of a simulated cohort of families."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from invarmr.arrays import FloatArray, IntArray
from invarmr.errors import InputError, first_few
from invarmr.simulate.admixture_design import AdmixtureDesign

__all__ = ["FamiliesDesign"]

_PER_ENVIRONMENT = ("mate_correlation", "dynastic_outcome", "dynastic_exposure")


@dataclass(frozen=True, kw_only=True)
class FamiliesDesign:
    """How a cohort of families from several birth cohorts or regions is drawn.

    Each environment is a population of its own: founders of ancestry q ~ Dirichlet(environment) (as in
    `AdmixtureDesign`), then `generations` of couples and children. A person's traits are

        D = G_D + exposure_confounding H + dynastic_exposure P + noise
        Y = effect D + G_Y + outcome_confounding H + dynastic_outcome P + sibling_effect S + N(0, 1)

    G_D and G_Y scores of different variants, H = ancestry_strength (c'q, standardised) + N(0, 1), P the mean exposure
    of the two parents (in standard deviations, 0 for founders), S the mean exposure of the siblings.

    Attributes
    ----------
    n_samples
        People with phenotypes, all of the last generation (trios' parents come on top).
    n_environments
        Birth cohorts or regions, 2 to 26.
    trios, sibships
        Shares of the people who are the child of a trio, and who are in a sibship; the others are single.
    sibship_size
        Children in each sibship, 2 or more.
    n_instruments, n_outcome_variants
        Variants that act on the exposure, and others that act on the outcome.
    n_variants
        Variants in the file, these included.
    effect
        Causal effect of the exposure on the outcome.
    exposure_heritability, outcome_heritability
        Variance, given ancestry among founders, of G_D (D's is 1 there) and of G_Y.
    generations
        Of couples and children after the founders, 1 or more.
    mating
        "random"; "within": mates' exposures are correlated; "cross": the exposure of one with the outcome of the
        other, in half of the couples the mother's exposure.
    mate_correlation
        Of these traits within the couples of an environment: one number, or one per environment.
    dynastic_outcome, dynastic_exposure
        Effect of the parents' mean exposure on the child's outcome and exposure: one number, or one per environment.
    sibling_effect
        Effect of the siblings' mean exposure on the outcome.
    ancestry_strength, exposure_confounding, outcome_confounding
        Of the confounder H; ancestry_strength 0: no stratification.
    populations, site_tilt, site_concentration
        Ancestry of the founders, as in `AdmixtureDesign`.
    block_length
        Base pairs of founders' haplotypes copied whole from one real person.
    missing_rate
        Share of calls lost.
    gwas_samples
        Size of the independent study from which the instruments' weights come.

    Raises
    ------
    InputError
        A setting is out of its range.
    """

    n_samples: int = 12_000
    n_environments: int = 3
    trios: float = 0.5
    sibships: float = 0.25
    sibship_size: int = 2
    n_instruments: int = 60
    n_outcome_variants: int = 60
    n_variants: int = 400
    effect: float = 0.2
    exposure_heritability: float = 0.4
    outcome_heritability: float = 0.4
    generations: int = 2
    mating: Literal["random", "within", "cross"] = "random"
    mate_correlation: float | tuple[float, ...] = 0.0
    dynastic_outcome: float | tuple[float, ...] = 0.0
    dynastic_exposure: float | tuple[float, ...] = 0.0
    sibling_effect: float = 0.0
    ancestry_strength: float = 1.0
    exposure_confounding: float = 0.4
    outcome_confounding: float = 0.4
    populations: tuple[str, ...] | None = ("AFR", "EUR", "SAS")
    site_tilt: float = 0.5
    site_concentration: tuple[float, float] = (6.0, 30.0)
    block_length: int = 5_000_000
    missing_rate: float = 0.0
    gwas_samples: int = 500_000

    def __post_init__(self) -> None:
        self._check_counts()
        self._check_shares()
        for name in _PER_ENVIRONMENT:
            self.by_environment(name)
        if np.abs(self.by_environment("mate_correlation")).max() >= 1:
            raise InputError(f"mate_correlation must lie between -1 and 1, but is {self.mate_correlation}.")
        if self.mating not in ("random", "within", "cross"):
            raise InputError(f"mating must be 'random', 'within' or 'cross', but is {self.mating!r}.")
        if self.mating == "random" and np.any(self.by_environment("mate_correlation")):
            raise InputError("mate_correlation needs mating='within' or 'cross', but mating is 'random'.")
        self.sources()

    def _check_counts(self) -> None:
        lower = {
            "sibship_size": 2,
            "n_instruments": 1,
            "n_outcome_variants": 0,
            "generations": 1,
            "n_samples": 20 * self.n_environments,
        }
        for name, least in lower.items():
            if getattr(self, name) < least:
                raise InputError(f"{name} must be at least {least}, but is {getattr(self, name)}.")
        if self.n_variants < self.n_instruments + self.n_outcome_variants:
            raise InputError(
                "n_variants must be at least n_instruments and n_outcome_variants together "
                f"({self.n_instruments + self.n_outcome_variants}), but is {self.n_variants}."
            )

    def _check_shares(self) -> None:
        if min(self.trios, self.sibships) < 0 or self.trios + self.sibships > 1:
            raise InputError(
                "trios and sibships must be shares of the people, not negative and at most 1 together, but are "
                f"{self.trios} and {self.sibships}."
            )
        if not 0 <= self.missing_rate < 1:
            raise InputError(f"missing_rate must be at least 0 and below 1, but is {self.missing_rate}.")
        if not self.exposure_noise_variance >= 0.01:
            raise InputError(
                "exposure_heritability + exposure_confounding^2 must stay below 0.99, but is "
                f"{1 - self.exposure_noise_variance:.3f}."
            )
        if self.outcome_heritability < 0 or self.exposure_heritability <= 0:
            raise InputError("exposure_heritability must be positive and outcome_heritability not negative.")

    @property
    def exposure_noise_variance(self) -> float:
        """Variance of the exposure's own noise: its variance is 1 among founders, given ancestry."""
        return 1 - self.exposure_heritability - self.exposure_confounding**2

    def by_environment(self, name: str) -> FloatArray:
        """A setting that may differ between environments, (environments,)."""
        value = np.atleast_1d(np.asarray(getattr(self, name), dtype=np.float64))
        if value.shape not in ((1,), (self.n_environments,)) or not np.isfinite(value).all():
            raise InputError(
                f"{name} must be one finite number, or one for each of the {self.n_environments} environments, but is "
                f"{first_few(np.ravel(value))}."
            )
        return np.broadcast_to(value, (self.n_environments,)).copy()

    def families(self) -> IntArray:
        """Couples of the last generation by environment and kind (trios, sibships, singles), (environments, 3)."""
        people = self.n_samples // self.n_environments + (
            np.arange(self.n_environments) < self.n_samples % self.n_environments
        )
        trios = np.rint(people * self.trios).astype(np.int64)
        sibships = np.rint(people * self.sibships / self.sibship_size).astype(np.int64)
        sibships = np.minimum(sibships, (people - trios) // self.sibship_size)
        return np.stack([trios, sibships, people - trios - sibships * self.sibship_size], axis=1)

    def sources(self) -> AdmixtureDesign:
        """The founders' ancestry as a design of admixed people."""
        return AdmixtureDesign(
            n_samples=self.n_samples,
            n_sites=self.n_environments,
            populations=self.populations,
            n_instruments=1,
            ancestry_strength=self.ancestry_strength,
            site_tilt=self.site_tilt,
            site_concentration=self.site_concentration,
            block_length=self.block_length,
            missing_rate=self.missing_rate,
            gwas_samples=self.gwas_samples,
        )

    def labels(self) -> list[str]:
        """`cohort_01`, `cohort_02`, ..."""
        return [f"cohort_{number:02d}" for number in range(1, self.n_environments + 1)]

    def as_dict(self) -> dict[str, Any]:
        """Settings by name, ready for JSON."""
        return asdict(self)
