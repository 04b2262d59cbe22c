"""The settings of a simulated admixed cohort."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from invarmr.arrays import FloatArray, IntArray
from invarmr.errors import InputError

__all__ = ["AGE_MEAN", "AGE_SD", "AdmixtureDesign"]

AGE_MEAN = 55.0
"""Mean age, years."""
AGE_SD = 8.0
"""Standard deviation of age, years."""


@dataclass(frozen=True, kw_only=True)
class AdmixtureDesign:
    """How a cohort of admixed people from several recruitment sites is drawn.

    A person of site e has ancestry q ~ Dirichlet(concentration_e * mean_e) over the populations of the panel, a
    confounder H = ancestry_strength * (c'q, standardised) + N(0, 1), an exposure D = G + exposure_confounding * H
    + covariates + noise, and an outcome Y = effect * D + outcome_confounding * H + covariates + N(0, 1). The
    residual variance of D given ancestry is 1, so effects are per standard deviation of exposure within ancestry.

    Attributes
    ----------
    n_samples
        People.
    n_sites
        Recruitment sites, 2 to 26: the environments.
    populations
        Source populations, from those of the panel; None: all. The default is four of the shipped panel's five: with
        as many sites as sources every direction of ancestry shows as a shift of means between sites. A fifth
        (AMR, itself admixed) adds a direction that shifts no mean between four sites and is hardly found at 5,000
        people a site; the over-identification test then rejects. A fifth site mends that.
    site_sizes
        People per site, summing to `n_samples`; default as equal as can be.
    n_instruments
        Variants that act on the exposure, at most one in each genomic block.
    n_variants
        Variants in the cohort, instruments included; default all of the panel.
    effect
        Causal effect of the exposure on the outcome; with a binary outcome, on its liability.
    heritability
        Share of the exposure's variance *given ancestry* that the instruments explain: the variance of the genetic
        score G about its regression on q, while D's variance about that regression is 1.
    ancestry_strength
        Standard deviation of the ancestry part of the confounder; its other part has standard deviation 1.
    ancestry_weights
        c, one weight per population in alphabetical order; default evenly spaced from 1 down to -1.
    exposure_confounding, outcome_confounding
        Effects of the confounder on exposure and outcome.
    site_tilt
        How far a site's mean ancestry lies from equal shares, toward its leading population: 0 to below 1.
    site_concentration
        Dirichlet concentration of the first and the last site, geometric between: large values make people of one
        site alike. Different values make the spread of ancestry differ between sites.
    block_length
        Base pairs; each block is copied whole from one real person.
    missing_rate
        Share of calls lost, independently of everything.
    outcome
        "quantitative", or "binary" (1 where liability plus standard normal noise exceeds a threshold).
    prevalence
        Expected share of cases with a binary outcome.
    covariate_effect
        Change of exposure and of outcome per standard deviation of age and between the sexes.
    gwas_samples
        Size of the independent genome-wide association study from which the instruments' weights come.

    Raises
    ------
    InputError
        A setting is out of its range, or the variance shares of the exposure exceed 1.
    """

    n_samples: int = 20_000
    n_sites: int = 4
    populations: tuple[str, ...] | None = ("AFR", "EAS", "EUR", "SAS")
    site_sizes: tuple[int, ...] | None = None
    n_instruments: int = 200
    n_variants: int | None = None
    effect: float = 1.0
    heritability: float = 0.3
    ancestry_strength: float = 2.0
    ancestry_weights: tuple[float, ...] | None = None
    exposure_confounding: float = 0.4
    outcome_confounding: float = 0.57
    site_tilt: float = 0.5
    site_concentration: tuple[float, float] = (6.0, 30.0)
    block_length: int = 5_000_000
    missing_rate: float = 0.0
    outcome: Literal["quantitative", "binary"] = "quantitative"
    prevalence: float = 0.2
    covariate_effect: float = 0.15
    gwas_samples: int = 500_000

    def __post_init__(self) -> None:
        self._check_counts()
        self._check_shares()
        if not self.exposure_noise_variance >= 0.01:
            raise InputError(
                "heritability + exposure_confounding^2 + 1.25 covariate_effect^2 must stay below 0.99, the variance "
                f"of the exposure given ancestry being 1, but is {1 - self.exposure_noise_variance:.3f}."
            )
        if self.outcome not in ("quantitative", "binary"):
            raise InputError(f"outcome must be 'quantitative' or 'binary', but is {self.outcome!r}.")

    def _check_counts(self) -> None:
        if not 2 <= self.n_sites <= 26:
            raise InputError(f"n_sites must lie between 2 and 26, but is {self.n_sites}.")
        lower = {"n_samples": 10 * self.n_sites, "n_instruments": 1, "block_length": 1, "gwas_samples": 2}
        for name, least in lower.items():
            if getattr(self, name) < least:
                raise InputError(f"{name} must be at least {least}, but is {getattr(self, name)}.")
        if self.n_variants is not None and self.n_variants < self.n_instruments:
            raise InputError(f"n_variants must be at least n_instruments, but is {self.n_variants}.")
        sizes = self.site_sizes
        if sizes is not None and (len(sizes) != self.n_sites or min(sizes) < 1 or sum(sizes) != self.n_samples):
            raise InputError(
                f"site_sizes must be {self.n_sites} positive counts with sum {self.n_samples}, but are {sizes}."
            )

    def _check_shares(self) -> None:
        ranges = {
            "heritability": (0.0 < self.heritability < 1.0, "above 0 and below 1"),
            "site_tilt": (0.0 <= self.site_tilt < 1.0, "at least 0 and below 1"),
            "missing_rate": (0.0 <= self.missing_rate < 1.0, "at least 0 and below 1"),
            "prevalence": (0.0 < self.prevalence < 1.0, "above 0 and below 1"),
            "ancestry_strength": (0.0 <= self.ancestry_strength < np.inf, "finite and not negative"),
            "effect": (bool(np.isfinite(self.effect)), "finite"),
            "outcome_confounding": (bool(np.isfinite(self.outcome_confounding)), "finite"),
            "site_concentration": (
                len(self.site_concentration) == 2 and 0 < min(self.site_concentration) < np.inf,
                "two positive numbers",
            ),
        }
        for name, (holds, required) in ranges.items():
            if not holds:
                raise InputError(f"{name} must be {required}, but is {getattr(self, name)}.")

    @property
    def exposure_noise_variance(self) -> float:
        """Variance of the exposure's own noise: what makes its variance given ancestry 1."""
        covariates = 1.25 * self.covariate_effect**2
        return 1 - self.heritability - self.exposure_confounding**2 - covariates

    def sizes(self) -> IntArray:
        """People per site, (sites,)."""
        if self.site_sizes is not None:
            return np.array(self.site_sizes)
        return self.n_samples // self.n_sites + (np.arange(self.n_sites) < self.n_samples % self.n_sites)

    def site_labels(self) -> list[str]:
        """`site_01`, `site_02`, ..."""
        return [f"site_{number:02d}" for number in range(1, self.n_sites + 1)]

    def site_dirichlet(self, n_populations: int) -> FloatArray:
        """Dirichlet parameters alpha_e = concentration_e * mean_e, (sites, populations).

        Site e leads with population e mod K; once every population has led, with an equal mix of two. Mean ancestry
        is `site_tilt` of the lead and equal shares of the rest.
        """
        everyone = np.eye(n_populations)
        sites = np.arange(self.n_sites)
        second = (sites + sites // n_populations) % n_populations
        lead = (everyone[sites % n_populations] + everyone[second]) / 2
        mean = self.site_tilt * lead + (1 - self.site_tilt) / n_populations
        first, last = self.site_concentration
        parameters: FloatArray = mean * np.geomspace(first, last, self.n_sites)[:, None]
        return parameters

    def weights(self, n_populations: int) -> FloatArray:
        """Weights c of the ancestry part of the confounder, (populations,)."""
        if self.ancestry_weights is None:
            return np.linspace(1.0, -1.0, n_populations)
        weights = np.array(self.ancestry_weights, dtype=np.float64)
        if weights.shape != (n_populations,) or not np.isfinite(weights).all() or np.ptp(weights) == 0:
            raise InputError(
                f"ancestry_weights must be {n_populations} finite numbers, not all equal (one per population of the "
                f"panel), but are {self.ancestry_weights}."
            )
        return weights

    def as_dict(self) -> dict[str, Any]:
        """Settings by name, ready for JSON."""
        return asdict(self)
