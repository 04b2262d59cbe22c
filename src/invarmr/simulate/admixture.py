"""Cohorts of admixed people on real genotypes, confounded by ancestry, with known truth.

Recruitment sites differ in mean ancestry and in its spread; ancestry moves allele frequencies and, through an
unobserved confounder, exposure and outcome. Variants that act on the exposure are therefore confounded instruments,
and what is invariant across sites is their variation given ancestry.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.stats import norm

from invarmr.arrays import FloatArray, IntArray, StrArray, read_only
from invarmr.simulate import mosaic, traits
from invarmr.simulate.admixture_design import AdmixtureDesign
from invarmr.simulate.reference_panel import ReferencePanel, load_reference_panel

__all__ = ["AdmixtureDesign", "SimulatedCohort", "draw_ancestry", "external_weights", "simulate_admixture"]

_PURPOSES = (
    "sites", "ancestry", "instruments", "variants", "genotypes", "effects", "confounder", "covariates", "exposure",
    "outcome", "gwas", "missing", "negative_control",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class SimulatedCohort:
    """A simulated cohort: what a user would bring, and the truth beside it.

    Attributes
    ----------
    calls
        (variants, samples) int8 copies of the counted allele; missing is -9.
    variants
        `variant`, `chromosome`, `position` (base pairs), `counted_allele`, `other_allele`.
    sample_ids, site
        (samples,) ids and recruitment sites.
    phenotypes
        `IID`, `site`, `exposure`, `outcome`, `age` (years), `sex` (1 male, 2 female).
    instruments
        `SNP`, `effect_allele`, `other_allele`, `beta`, `se`, `pval`: weights on the exposure per effect allele, as
        an independent study would report them.
    truth
        `effect` (what a linear instrumental-variable estimate aims at) and its `scale`, `liability_effect` (binary
        outcome only), `seed`, `design`, `populations`, `site_dirichlet` and the instruments' true effects.
    truth_samples
        `IID`, `ancestry_<population>` proportions, `confounder`.
    """

    calls: NDArray[np.int8]
    variants: pl.DataFrame
    sample_ids: StrArray
    site: StrArray
    phenotypes: pl.DataFrame
    instruments: pl.DataFrame
    truth: dict[str, Any]
    truth_samples: pl.DataFrame

    @property
    def seed(self) -> int:
        """Seed the cohort was drawn with."""
        return int(self.truth["seed"])


def simulate_admixture(
    design: AdmixtureDesign | None = None, *, seed: int, panel: ReferencePanel | None = None
) -> SimulatedCohort:
    """Draw a cohort of admixed people whose instruments are confounded by ancestry.

    Ancestry q ~ Dirichlet of the person's site; per genomic block a population is drawn from q and a real person's
    genotypes are copied from it; H = s * standardised c'q + N(0, 1); D = G + a H + covariates + noise;
    Y = theta D + b H + covariates + N(0, 1), or its excess over a threshold. Given ancestry the instruments are
    valid: two-stage least squares with Z and q as covariates is consistent for the truth's `effect`.

    Parameters
    ----------
    design
        Sizes and strengths; default `AdmixtureDesign()`.
    seed
        Every draw follows from it; each purpose has its own random stream.
    panel
        Genotypes to copy from; default the 1000 Genomes panel that ships with the package.

    Returns
    -------
    SimulatedCohort
        Calls, phenotypes, instruments, and the truth. Only calls can be missing (`design.missing_rate`).

    Raises
    ------
    InputError
        The panel has too few variants, blocks or populations for the design.

    References
    ----------
    Block-wise copying from a reference panel: Li and Stephens (2003), Genetics 165, 2213-2233.

    Examples
    --------
    >>> cohort = simulate_admixture(AdmixtureDesign(n_samples=200, n_instruments=20, n_variants=50), seed=1)
    >>> cohort.calls.shape, cohort.phenotypes.columns
    ((50, 200), ['IID', 'site', 'exposure', 'outcome', 'age', 'sex', 'negative_control'])
    """
    design = AdmixtureDesign() if design is None else design
    panel = (load_reference_panel() if panel is None else panel).restricted_to(design.populations)
    streams = _streams(seed)
    site = streams["sites"].permutation(np.repeat(np.arange(design.n_sites), design.sizes()))
    dirichlet = design.site_dirichlet(len(panel.populations))
    ancestry = draw_ancestry(dirichlet[site], rng=streams["ancestry"])
    calls, rows, acting = _draw_genotypes(panel, design, ancestry, dirichlet, streams)
    effects, score = traits.scale_effects(
        calls[acting],
        ancestry,
        _draw_effects(panel, rows[acting], dirichlet, rng=streams["effects"]),
        heritability=design.heritability,
    )
    confounder = traits.ancestry_confounder(ancestry, design, rng=streams["confounder"])
    age, sex = traits.covariates(design.n_samples, rng=streams["covariates"])
    exposure = traits.exposure(score, confounder, age, sex, design=design, rng=streams["exposure"])
    outcome = traits.outcome(exposure, confounder, age, sex, design=design, rng=streams["outcome"])
    control = traits.negative_control(confounder, design=design, rng=streams["negative_control"])
    mosaic.lose_calls(calls, rate=design.missing_rate, rng=streams["missing"])
    variants = panel.variants[rows]
    width = len(str(design.n_samples))
    ids = np.array([f"S{number:0{width}d}" for number in range(1, design.n_samples + 1)])
    frequency = _expected_frequency(panel, dirichlet)[rows[acting]]
    weights = external_weights(variants[acting], effects, frequency, size=design.gwas_samples, rng=streams["gwas"])
    sites = np.array(design.site_labels())[site]
    phenotypes = {"IID": ids, "site": sites, "exposure": exposure, "outcome": outcome.values, "age": age, "sex": sex}
    phenotypes["negative_control"] = control
    proportions = {f"ancestry_{name}": ancestry[:, k] for k, name in enumerate(panel.populations)}
    return SimulatedCohort(
        calls=read_only(calls),
        variants=variants,
        sample_ids=ids,
        site=sites,
        phenotypes=pl.DataFrame(phenotypes),
        instruments=weights.drop("true_effect"),
        truth=_truth(design, seed, panel, outcome, weights),
        truth_samples=pl.DataFrame({"IID": ids, **proportions, "confounder": confounder}),
    )


def _streams(seed: int) -> dict[str, np.random.Generator]:
    """One independent generator per purpose."""
    children = np.random.SeedSequence(seed).spawn(len(_PURPOSES))
    return {name: np.random.default_rng(child) for name, child in zip(_PURPOSES, children, strict=True)}


def draw_ancestry(parameters: FloatArray, *, rng: np.random.Generator) -> FloatArray:
    """Dirichlet draws by normalised gammas, one row of parameters per person."""
    draws = rng.standard_gamma(parameters)
    proportions: FloatArray = draws / draws.sum(axis=1, keepdims=True)
    return proportions


def _expected_frequency(panel: ReferencePanel, dirichlet: FloatArray) -> FloatArray:
    """Frequency of the counted allele in a cohort with sites of equal size, (variants,)."""
    mean = (dirichlet / dirichlet.sum(axis=1, keepdims=True)).mean(axis=0)
    frequency: FloatArray = mean @ panel.frequencies()
    return frequency


def _draw_genotypes(
    panel: ReferencePanel,
    design: AdmixtureDesign,
    ancestry: FloatArray,
    dirichlet: FloatArray,
    streams: dict[str, np.random.Generator],
) -> tuple[NDArray[np.int8], IntArray, IntArray]:
    """Calls, the panel rows they come from, and which of the calls' rows are the instruments."""
    blocks = mosaic.genomic_blocks(panel.variants, design.block_length)
    frequency = _expected_frequency(panel, dirichlet)
    surplus = mosaic.heterozygote_surplus(panel) > np.sqrt(10 / design.sizes().max())
    acting = mosaic.choose_instruments(
        blocks,
        frequency,
        count=design.n_instruments,
        rng=streams["instruments"],
        avoid=mosaic.palindromic(panel.variants) | surplus,
    )
    total = panel.variants.height
    rows = mosaic.choose_variants(total, acting, count=design.n_variants, rng=streams["variants"])
    calls = mosaic.copy_blocks(panel, rows, blocks[rows], ancestry, rng=streams["genotypes"])
    return calls, rows, np.searchsorted(rows, acting)


def _draw_effects(
    panel: ReferencePanel, rows: IntArray, dirichlet: FloatArray, *, rng: np.random.Generator
) -> FloatArray:
    """Per-allele effects, N(0, 1) per standard deviation of the genotype at its expected frequency."""
    frequency = _expected_frequency(panel, dirichlet)[rows]
    effects: FloatArray = rng.standard_normal(rows.size) / np.sqrt(2 * frequency * (1 - frequency))
    return effects


def external_weights(
    variants: pl.DataFrame, effects: FloatArray, frequency: FloatArray, *, size: int, rng: np.random.Generator
) -> pl.DataFrame:
    """Weights as an independent study of `size` people reports them: truth plus noise, effect allele at random."""
    flipped = rng.random(effects.size) < 0.5
    true_effect = np.where(flipped, -effects, effects)
    std_error = 1 / np.sqrt(size * 2 * frequency * (1 - frequency))
    beta = true_effect + std_error * rng.standard_normal(effects.size)
    counted, other = (variants[name].to_numpy() for name in ("counted_allele", "other_allele"))
    return pl.DataFrame(
        {
            "SNP": variants["variant"],
            "effect_allele": np.where(flipped, other, counted).astype(np.str_),
            "other_allele": np.where(flipped, counted, other).astype(np.str_),
            "beta": beta,
            "se": std_error,
            "eaf": np.where(flipped, 1 - frequency, frequency),
            "pval": 2 * norm.sf(np.abs(beta) / std_error),
            "true_effect": true_effect,
        }
    )


def _truth(
    design: AdmixtureDesign, seed: int, panel: ReferencePanel, outcome: traits.Outcome, weights: pl.DataFrame
) -> dict[str, Any]:
    """Everything that was set or drawn and a study would not know, ready for JSON."""
    binary = {"liability_effect": design.effect} if design.outcome == "binary" else {}
    return {
        "effect": outcome.effect,
        "scale": outcome.scale,
        **binary,
        "seed": int(seed),
        "simulator": "admixture",
        "design": design.as_dict(),
        "populations": list(panel.populations),
        "ancestry_weights": design.weights(len(panel.populations)).tolist(),
        "site_dirichlet": dict(
            zip(design.site_labels(), design.site_dirichlet(len(panel.populations)).tolist(), strict=True)
        ),
        "instruments": weights.select("SNP", "effect_allele", "true_effect").to_dicts(),
    }
