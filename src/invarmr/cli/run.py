"""`invarmr run STUDY.toml --out DIR`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

__all__ = ["run"]


def run(
    study: Path,
    /,
    *,
    out: Path,
    seed: int | None = None,
    smallest_count: int | None = None,
    people: bool | None = None,
    quiet: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Run a whole study: read, learn, estimate, diagnose, report.

    Parameters
    ----------
    study
        The study file (TOML).
    out
        Folder for the archive: a new or empty one, or that of an earlier run, which is replaced as a whole.
    seed
        Overrides [run] seed of the study file.
    smallest_count
        Overrides [disclosure] smallest_count: counts of people below it are masked in everything that is written.
    people
        Overrides [output] people: also write files with a row per person.
    quiet
        Print nothing but the report's path.
    """
    from invarmr.archive.disclosure import Disclosure
    from invarmr.cli.outcome import finish
    from invarmr.study.config import StudyConfig, with_changes
    from invarmr.study.progress import Progress
    from invarmr.study.run import run_study

    config = with_changes(StudyConfig.from_toml(study), seed=seed, smallest_count=smallest_count, people=people)
    result = run_study(
        config, out=out, progress=Progress(quiet=quiet, told=Disclosure(config.disclosure.smallest_count))
    )
    return finish(out, result.verdict, quiet=quiet)
