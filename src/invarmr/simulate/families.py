"""Cohorts of families on real genotypes: assortative mating, dynastic effects and ancestry, with known truth.

What every environment shares (mates chosen alike, parents who act on their children) no comparison of environments can
show; what a child inherits given the parents is random. Trios, sibships and single people come from the same couples.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from invarmr.arrays import FloatArray, IntArray, read_only
from invarmr.simulate import inheritance, mating, mosaic, traits
from invarmr.simulate.admixture import draw_ancestry, external_weights
from invarmr.simulate.families_design import FamiliesDesign
from invarmr.simulate.family_tables import Line, People, assembled
from invarmr.simulate.inheritance import Haplotypes
from invarmr.simulate.reference_panel import ReferencePanel, load_reference_panel

__all__ = ["FamiliesDesign", "SimulatedFamilies", "simulate_families"]

_PURPOSES = ("ancestry", "phase", "variants", "founders", "effects", "gwas", "missing", "generations", "sex")


@dataclass(frozen=True, kw_only=True)
class SimulatedFamilies:
    """A simulated cohort of families: what a user would bring, and the truth beside it.

    Attributes
    ----------
    calls
        (variants, people) int8 copies of the counted allele; missing is -9.
    variants
        `variant`, `chromosome`, `position` (base pairs), `counted_allele`, `other_allele`.
    pedigree
        One row per column of `calls`: `FID, IID, father, mother` ("0" where not in the file), `sex` (1 male, 2 female).
    phenotypes
        `IID`, `cohort` (the environment), `sibship` (missing outside sibships), `exposure`, `outcome`, `sex`: everybody
        but the parents.
    parents
        `IID`, `exposure`, `outcome` of the trios' parents.
    instruments
        `SNP`, `effect_allele`, `other_allele`, `beta`, `se`, `eaf`, `pval`, as an independent study would report.
    truth
        `effect`, `seed`, `design`, `simulator`, the mates' correlations as they came out, and the instruments' effects.
    truth_samples
        `IID`, `ancestry_<population>`, `confounder` of the people with phenotypes.
    """

    calls: NDArray[np.int8]
    variants: pl.DataFrame
    pedigree: pl.DataFrame
    phenotypes: pl.DataFrame
    parents: pl.DataFrame
    instruments: pl.DataFrame
    truth: dict[str, Any]
    truth_samples: pl.DataFrame

    @property
    def seed(self) -> int:
        """Seed the cohort was drawn with."""
        return int(self.truth["seed"])


@dataclass(frozen=True, eq=False)
class _Nature:
    """What is the same for everybody: variants that act, their effects, centres, and the confounder's scale."""

    design: FamiliesDesign
    acting: tuple[IntArray, IntArray]
    effects: tuple[FloatArray, FloatArray]
    means: tuple[float, float]
    line: tuple[FloatArray, float, float]
    parent_scale: tuple[float, float] = (0.0, 1.0)

    def people(
        self,
        haplotypes: Haplotypes,
        ancestry: FloatArray,
        rng: np.random.Generator,
        *,
        environment: int = 0,
        parents: FloatArray | None = None,
        siblings: IntArray | None = None,
    ) -> People:
        """Traits of people: parents (n,) the mean exposure of their parents, siblings (n,) the couple of each."""
        design, n = self.design, len(ancestry)
        scores = [
            _score(haplotypes, rows, effects) - mean
            for rows, effects, mean in zip(self.acting, self.effects, self.means, strict=True)
        ]
        weights, centre, spread = self.line
        confounder = design.ancestry_strength * (ancestry @ weights - centre) / spread + rng.standard_normal(n)
        dynasty = np.zeros(n) if parents is None else (parents - self.parent_scale[0]) / self.parent_scale[1]
        exposure = scores[0] + design.exposure_confounding * confounder
        exposure += np.sqrt(design.exposure_noise_variance) * rng.standard_normal(n)
        exposure += design.by_environment("dynastic_exposure")[environment] * dynasty
        outcome = design.effect * exposure + scores[1] + design.outcome_confounding * confounder
        outcome += design.by_environment("dynastic_outcome")[environment] * dynasty + rng.standard_normal(n)
        if siblings is not None and design.sibling_effect:
            outcome += design.sibling_effect * _mean_of_siblings(exposure, siblings)
        return People(haplotypes, ancestry, np.column_stack([exposure, outcome]), confounder)


def simulate_families(
    design: FamiliesDesign | None = None, *, seed: int, panel: ReferencePanel | None = None
) -> SimulatedFamilies:
    """Draw a cohort of trios, sibships and single people with assortment, dynastic effects and stratification.

    Founders are copied block-wise from real people of their ancestry; couples form within an environment, their traits
    correlated as stated; children inherit with recombination at 1 cM a million base pairs. Given the parents, a
    child's genotypes are random: z - (mother + father) / 2 is a valid
    instrument in every design without a sibling effect.

    Parameters
    ----------
    design
        Sizes and strengths; default `FamiliesDesign()`.
    seed
        Every draw follows from it.
    panel
        Genotypes to copy founders from; default the 1000 Genomes panel that ships with the package.

    Returns
    -------
    SimulatedFamilies
        Calls of the people and of the trios' parents, pedigree, phenotypes, instruments, and the truth.

    Raises
    ------
    InputError
        The panel has too few variants, blocks or populations for the design.

    Examples
    --------
    >>> design = FamiliesDesign(n_samples=120, n_environments=2, n_instruments=10, n_outcome_variants=5, n_variants=30)
    >>> cohort = simulate_families(design, seed=1)
    >>> cohort.calls.shape, cohort.phenotypes.height, cohort.parents.height
    ((30, 240), 120, 120)
    """
    design = FamiliesDesign() if design is None else design
    panel = (load_reference_panel() if panel is None else panel).restricted_to(design.populations)
    streams = dict(
        zip(_PURPOSES, map(np.random.default_rng, np.random.SeedSequence(seed).spawn(len(_PURPOSES))), strict=True)
    )
    rows, acting, frequency = _choose(panel, design, streams["variants"])
    variants = panel.variants[rows]
    founders = _founders(panel, design, rows, streams)
    nature = _nature(design, founders, acting, frequency, streams["effects"])
    switch = inheritance.recombination(variants)
    children = streams["generations"].spawn(design.n_environments)
    lines = [
        _descend(nature, founders.pop(0), switch, environment=e, rng=children[e]) for e in range(design.n_environments)
    ]
    found = assembled(design, lines, rng=streams["sex"])
    calls = found.pop("calls")
    mosaic.lose_calls(calls, rate=design.missing_rate, rng=streams["missing"])
    weights = external_weights(
        variants[acting[0]], nature.effects[0], frequency[acting[0]], size=design.gwas_samples, rng=streams["gwas"]
    )
    ancestry = found.pop("ancestry")
    names = {f"ancestry_{name}": ancestry[:, k] for k, name in enumerate(panel.populations)}
    people = found["phenotypes"].select("IID").with_columns(pl.Series(k, v) for k, v in names.items())
    return SimulatedFamilies(
        calls=read_only(calls),
        variants=variants,
        instruments=weights.drop("true_effect"),
        truth={
            "effect": design.effect,
            "scale": "outcome units per unit of exposure",
            "seed": int(seed),
            "simulator": "families",
            "design": design.as_dict(),
            "populations": list(panel.populations),
            "mates": dict(zip(design.labels(), (line.mates() for line in lines), strict=True)),
            "instruments": weights.select("SNP", "effect_allele", "true_effect").to_dicts(),
        },
        truth_samples=people.with_columns(pl.Series("confounder", found.pop("confounder"))),
        **found,
    )


def _choose(
    panel: ReferencePanel, design: FamiliesDesign, rng: np.random.Generator
) -> tuple[IntArray, tuple[IntArray, IntArray], FloatArray]:
    """Panel rows kept, which of them act on exposure and on outcome, and everybody's allele frequencies."""
    sources = design.sources()
    dirichlet = sources.site_dirichlet(len(panel.populations))
    mean = (dirichlet / dirichlet.sum(axis=1, keepdims=True)).mean(axis=0)
    frequency = mean @ panel.frequencies()
    blocks = mosaic.genomic_blocks(panel.variants, design.block_length)
    both = mosaic.choose_instruments(
        blocks,
        frequency,
        count=design.n_instruments + design.n_outcome_variants,
        rng=rng,
        avoid=mosaic.palindromic(panel.variants) | (mosaic.heterozygote_surplus(panel) > 0.2),
    )
    exposed = np.sort(rng.permutation(len(both))[: design.n_instruments])
    rows = mosaic.choose_variants(panel.variants.height, both, count=design.n_variants, rng=rng)
    places = np.searchsorted(rows, both)
    return rows, (places[exposed], np.delete(places, exposed)), frequency[rows]


def _founders(
    panel: ReferencePanel, design: FamiliesDesign, rows: IntArray, streams: dict[str, np.random.Generator]
) -> list[tuple[Haplotypes, FloatArray]]:
    """Two founders per couple of the last generation: haplotypes and ancestry, by environment."""
    phased = ReferencePanel(
        calls=inheritance.split_phase(panel.calls, rng=streams["phase"]),
        variants=panel.variants,
        population=np.tile(panel.population, 2),
    )
    blocks = mosaic.genomic_blocks(panel.variants, design.block_length)[rows]
    dirichlet = design.sources().site_dirichlet(len(panel.populations))
    out = []
    for e, couples in enumerate(design.families().sum(axis=1)):
        ancestry = draw_ancestry(np.tile(dirichlet[e], (2 * couples, 1)), rng=streams["ancestry"])
        first, second = (mosaic.copy_blocks(phased, rows, blocks, ancestry, rng=streams["founders"]) for _ in range(2))
        out.append(((first, second), ancestry))
    return out


def _nature(
    design: FamiliesDesign,
    founders: list[tuple[Haplotypes, FloatArray]],
    acting: tuple[IntArray, IntArray],
    frequency: FloatArray,
    rng: np.random.Generator,
) -> _Nature:
    """Effects scaled to their heritability given ancestry among founders, and the scale of ancestry there."""
    ancestry = np.vstack([own for _, own in founders])
    effects: list[FloatArray] = []
    means: list[float] = []
    for rows, share in zip(acting, (design.exposure_heritability, design.outcome_heritability), strict=True):
        raw = rng.standard_normal(len(rows)) / np.sqrt(2 * frequency[rows] * (1 - frequency[rows]))
        if len(rows) == 0:
            effects.append(raw)
            means.append(0.0)
            continue
        copies = np.hstack([haplotypes[0][rows] + haplotypes[1][rows] for haplotypes, _ in founders])
        scaled, _ = traits.scale_effects(copies, ancestry, raw, heritability=share)
        effects.append(scaled)
        means.append(float(traits.genetic_score(copies, scaled).mean()))
    weights = design.sources().weights(ancestry.shape[1])
    line = ancestry @ weights
    pairs = (effects[0], effects[1]), (means[0], means[1])
    return _Nature(design, acting, *pairs, (weights, float(line.mean()), float(line.std())))


def _score(haplotypes: Haplotypes, rows: IntArray, effects: FloatArray) -> FloatArray:
    if len(rows) == 0:
        return np.zeros(haplotypes[0].shape[1])
    return traits.genetic_score(haplotypes[0][rows] + haplotypes[1][rows], effects)


def _mean_of_siblings(values: FloatArray, couple: IntArray) -> FloatArray:
    """Mean of the others of the same couple, 0 for an only child."""
    count = np.bincount(couple)[couple]
    total = np.bincount(couple, weights=values)[couple]
    return np.where(count > 1, (total - values) / np.maximum(count - 1, 1), 0.0)


def _descend(
    nature: _Nature,
    founders: tuple[Haplotypes, FloatArray],
    switch: FloatArray,
    *,
    environment: int,
    rng: np.random.Generator,
) -> Line:
    """The last generation of an environment, and its parents with who married whom."""
    design = nature.design
    haplotypes, ancestry = founders
    n = len(ancestry) // 2
    halves = slice(0, n), slice(n, 2 * n)
    women, men = (
        nature.people((haplotypes[0][:, half], haplotypes[1][:, half]), ancestry[half], rng, environment=environment)
        for half in halves
    )
    correlation = float(design.by_environment("mate_correlation")[environment])
    counts = np.repeat([1, design.sibship_size, 1], design.families()[environment])
    for generation in range(design.generations, 0, -1):
        partner = mating.couples(women.traits, men.traits, mating=design.mating, correlation=correlation, rng=rng)
        couple = np.repeat(np.arange(n), counts) if generation == 1 else np.tile(np.arange(n), 2)
        parents = (women.traits[:, 0] + men.traits[partner, 0]) / 2
        scale = float(parents.mean()), float(np.concatenate([women.traits[:, 0], men.traits[:, 0]]).std())
        children = replace(nature, parent_scale=scale).people(
            inheritance.children_of(women.haplotypes, men.haplotypes, couple, partner[couple], switch, rng=rng),
            (women.ancestry[couple] + men.ancestry[partner[couple]]) / 2,
            rng,
            environment=environment,
            parents=parents[couple],
            siblings=couple,
        )
        line = Line(children, women, men, partner, couple)
        women, men = children.part(halves[0]), children.part(halves[1])
    return line
