"""`invarmr simulate admixture --out DIR`, `... latent --out DIR` and `... families --out DIR`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

__all__ = ["app"]

app = App(name="simulate", help="Simulate cohorts with a known truth, as the files a user would bring.")


@app.command
def admixture(
    *,
    out: Path,
    seed: int = 1,
    n_samples: int = 20_000,
    n_sites: int = 4,
    n_instruments: int = 200,
    n_variants: int | None = None,
    effect: float = 1.0,
    heritability: float = 0.3,
    outcome: Literal["quantitative", "binary"] = "quantitative",
    prevalence: float = 0.2,
    missing_rate: float = 0.0,
    quiet: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Simulate admixed people on 1000 Genomes genotypes, their exposure and outcome confounded by ancestry.

    Parameters
    ----------
    out
        Folder for cohort.bed/.bim/.fam, phenotypes.tsv, instruments.tsv, study.toml, truth.json, truth_samples.tsv.
    seed
        Of everything that is drawn.
    n_samples
        People.
    n_sites
        Recruitment sites: the environments.
    n_instruments
        Variants that act on the exposure.
    n_variants
        Variants in the file; all 5,000 of the reference where not given.
    effect
        Effect of the exposure on the outcome; on the liability scale for a binary outcome.
    heritability
        Share of the exposure's variance, given ancestry, that the instruments explain.
    outcome
        Quantitative or binary.
    prevalence
        Of a binary outcome.
    missing_rate
        Share of calls that are missing.
    quiet
        Print nothing but the study file's path.
    """
    from invarmr.simulate.admixture import AdmixtureDesign, simulate_admixture
    from invarmr.study.config import check_seed
    from invarmr.study.progress import Progress
    from invarmr.study.simulated import write_admixture_study

    check_seed(seed)
    design = AdmixtureDesign(
        n_samples=n_samples,
        n_sites=n_sites,
        n_instruments=n_instruments,
        n_variants=n_variants,
        effect=effect,
        heritability=heritability,
        outcome=outcome,
        prevalence=prevalence,
        missing_rate=missing_rate,
    )
    progress = Progress(quiet=quiet)
    with progress.verb("simulate", f"{n_samples:,} people at {n_sites} sites"):
        study = write_admixture_study(simulate_admixture(design, seed=seed), out)
    print(study)
    return 0


@app.command
def latent(
    *,
    out: Path,
    seed: int = 1,
    n_samples: int = 10_000,
    n_environments: int = 2,
    n_valid: int = 2,
    n_confounded: int = 2,
    mixing: Literal["none", "linear", "poly1", "poly2", "poly3", "mlp", "discrete"] = "poly3",
    effects: Literal["symmetric", "asymmetric"] = "symmetric",
    effect: float = 1.0,
    covariance: Literal["fixed", "wishart"] = "fixed",
    shape: Literal["gaussian", "bounded", "skewed"] = "gaussian",
    shifts: Literal["mean_and_scale", "mean", "none"] = "mean_and_scale",
    relevance: float = 1.0,
    direct_effect: float = 0.0,
    valid: bool = True,
    noise: float = 0.0,
    n_instruments: int | None = None,
    mixing_seed: int = 0,
    part: Literal["training", "validation", "test"] = "training",
    learner: str = "auto",
    table: Literal["tsv", "parquet"] = "tsv",
    quiet: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Simulate instruments that mix valid latent instruments with a confounded part, as the published study does.

    Parameters
    ----------
    out
        Folder for phenotypes (with the instruments as columns), study.toml, truth.json, truth_samples.tsv, latents.tsv.
    seed
        Of the data.
    n_samples
        Rows per environment.
    n_environments
        Environments.
    n_valid
        Valid latent instruments W.
    n_confounded
        Columns of the confounded part V.
    mixing
        How V and W become the observed instruments.
    effects
        Symmetric, as published, or asymmetric: only the first column of V and of the confounder acts.
    effect
        Effect of the exposure on the outcome.
    covariance
        Of V and W given the confounder: variance 1 and correlation 0.5, or a Wishart draw.
    shape
        Marginal law of the latent variables.
    shifts
        How V differs between environments.
    relevance
        Scale of W's effect on the exposure; 0 makes it irrelevant.
    direct_effect
        Effect of W on the outcome beside the exposure; 0 where the exclusion restriction holds.
    valid
        With --no-valid W is confounded too.
    noise
        Standard deviation of noise on the instruments, as a share of each one's.
    n_instruments
        Of the discrete mixing.
    mixing_seed
        Of the mixing and of Wishart covariances.
    part
        Which of three independent draws of the same population.
    learner
        [learn] method in study.toml.
    table
        Kind of the phenotype table.
    quiet
        Print nothing but the study file's path.
    """
    from invarmr.simulate.latent import LatentDesign, simulate_latent
    from invarmr.study.config import check_seed
    from invarmr.study.progress import Progress
    from invarmr.study.simulated_latent import write_latent_study

    check_seed(seed)
    design = LatentDesign(
        n_valid=n_valid,
        n_confounded=n_confounded,
        n_environments=n_environments,
        n_samples=n_samples,
        mixing=mixing,
        effects=effects,
        effect=effect,
        covariance=covariance,
        shape=shape,
        shifts=shifts,
        relevance=relevance,
        direct_effect=direct_effect,
        valid=valid,
        noise=noise,
        n_instruments=n_instruments,
        mixing_seed=mixing_seed,
    )
    progress = Progress(quiet=quiet)
    with progress.verb("simulate", f"{n_samples:,} rows in each of {n_environments} environments"):
        sample = simulate_latent(design, seed=seed, part=part)
        study = write_latent_study(sample, out, learner=learner, table=table)
    print(study)
    return 0


@app.command
def families(
    *,
    out: Path,
    seed: int = 1,
    n_samples: int = 12_000,
    n_environments: int = 3,
    trios: float = 0.5,
    sibships: float = 0.25,
    sibship_size: int = 2,
    n_instruments: int = 60,
    n_variants: int = 400,
    effect: float = 0.2,
    generations: int = 2,
    mating: Literal["random", "within", "cross"] = "random",
    mate_correlation: tuple[float, ...] = (0.0,),
    dynastic_outcome: tuple[float, ...] = (0.0,),
    dynastic_exposure: tuple[float, ...] = (0.0,),
    sibling_effect: float = 0.0,
    ancestry_strength: float = 1.0,
    missing_rate: float = 0.0,
    quiet: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Simulate trios, sibships and single people with assortative mating, dynastic effects and ancestry.

    Parameters
    ----------
    out
        Folder for cohort.bed/.bim/.fam, phenotypes.tsv, parents.tsv, instruments.tsv, study.toml, truth.json and
        truth_samples.tsv.
    seed
        Of everything that is drawn.
    n_samples
        People with phenotypes; the trios' parents come on top.
    n_environments
        Birth cohorts or regions: the environments.
    trios
        Share of the people whose parents are in the file.
    sibships
        Share of the people who are in a sibship.
    sibship_size
        Children in each sibship.
    n_instruments
        Variants that act on the exposure; as many others may act on the outcome.
    n_variants
        Variants in the file.
    effect
        Effect of the exposure on the outcome.
    generations
        Of couples and children after the founders.
    mating
        Random, within (exposure with exposure), or cross (exposure of one mate with outcome of the other).
    mate_correlation
        Of these traits: once, or once per environment.
    dynastic_outcome
        Effect of the parents' exposure on the child's outcome: once, or once per environment.
    dynastic_exposure
        Effect of the parents' exposure on the child's exposure: once, or once per environment.
    sibling_effect
        Effect of the siblings' exposure on the outcome.
    ancestry_strength
        Standard deviation of the ancestry part of the confounder; 0 for none.
    missing_rate
        Share of calls that are missing.
    quiet
        Print nothing but the study file's path.
    """
    from invarmr.simulate.families import FamiliesDesign, simulate_families
    from invarmr.study.config import check_seed
    from invarmr.study.progress import Progress
    from invarmr.study.simulated_families import write_families_study

    check_seed(seed)
    design = FamiliesDesign(
        n_samples=n_samples,
        n_environments=n_environments,
        trios=trios,
        sibships=sibships,
        sibship_size=sibship_size,
        n_instruments=n_instruments,
        n_outcome_variants=min(n_instruments, max(n_variants - n_instruments, 0)),
        n_variants=n_variants,
        effect=effect,
        generations=generations,
        mating=mating,
        mate_correlation=mate_correlation,
        dynastic_outcome=dynastic_outcome,
        dynastic_exposure=dynastic_exposure,
        sibling_effect=sibling_effect,
        ancestry_strength=ancestry_strength,
        missing_rate=missing_rate,
    )
    progress = Progress(quiet=quiet)
    with progress.verb("simulate", f"families of {n_samples:,} people in {n_environments} environments"):
        study = write_families_study(simulate_families(design, seed=seed), out)
    print(study)
    return 0
