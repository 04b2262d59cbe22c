"""`invarmr demo --out DIR`: a confounded cohort on real genotypes, from simulation to report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

__all__ = ["demo"]


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
