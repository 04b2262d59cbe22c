"""`invarmr simulate admixture --out DIR`."""

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
