"""`invarmr demo --out DIR` and `invarmr demo families --out DIR`: from simulation to report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

__all__ = ["app", "demo", "families"]

app = App(name="demo", help="Simulate a confounded cohort, run the study on it, and write the report.")


@app.default
def demo(
    *,
    out: Path = Path("demo"),
    seed: int = 1,
    quiet: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Simulate a confounded cohort on 1000 Genomes genotypes, run the study on it, and write the report.

    20,000 people at four sites, 200 variants as instruments, a true effect of 1, and ancestry that acts on exposure and
    outcome alike.

    Parameters
    ----------
    out
        Folder for the study's files (in `study`) and the archive.
    seed
        Of the simulation and of the study.
    quiet
        Print nothing but the report's path.
    """
    from invarmr.cli.outcome import finish
    from invarmr.simulate.admixture import simulate_admixture
    from invarmr.study.config import check_seed
    from invarmr.study.progress import Progress
    from invarmr.study.run import run_study
    from invarmr.study.simulated import write_admixture_study

    check_seed(seed)
    progress = Progress(quiet=quiet)
    with progress.verb("simulate", "an admixed cohort on 1000 Genomes genotypes"):
        study = write_admixture_study(simulate_admixture(seed=seed), out / "study")
    result = run_study(study, out=out, progress=progress)
    return finish(out, result.verdict, quiet=quiet)


@app.command
def families(
    *,
    out: Path = Path("demo-families"),
    seed: int = 1,
    quiet: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Simulate trios, sibships and single people, and run a study that environments call right and families correct.

    16,000 people in four birth cohorts, 60 variants as instruments, a true effect of 0.2. Parents' exposure acts on
    their children's outcome, alike everywhere: no comparison of environments shows it.

    Parameters
    ----------
    out
        Folder for the study's files (in `study`) and the archive.
    seed
        Of the simulation and of the study.
    quiet
        Print nothing but the report's path.
    """
    from invarmr.cli.outcome import finish
    from invarmr.simulate.families import FamiliesDesign, simulate_families
    from invarmr.study.config import check_seed
    from invarmr.study.progress import Progress
    from invarmr.study.run import run_study
    from invarmr.study.simulated_families import write_families_study

    check_seed(seed)
    progress = Progress(quiet=quiet)
    design = FamiliesDesign(n_samples=16_000, n_environments=4, generations=1, dynastic_outcome=0.4)
    with progress.verb("simulate", "families whose parents act on their children, alike everywhere"):
        study = write_families_study(simulate_families(design, seed=seed), out / "study")
    result = run_study(study, out=out, progress=progress)
    return finish(out, result.verdict, quiet=quiet)
