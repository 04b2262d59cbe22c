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
    quiet: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Run a whole study: read, learn, estimate, diagnose, report.

    Parameters
    ----------
    study
        The study file (TOML).
    out
        Folder for the archive; files of an earlier run in it are replaced.
    seed
        Overrides [run] seed of the study file.
    quiet
        Print nothing but the report's path.
    """
    from invarmr.cli.outcome import finish
    from invarmr.study.config import StudyConfig, with_seed
    from invarmr.study.progress import Progress
    from invarmr.study.run import run_study

    config = with_seed(StudyConfig.from_toml(study), seed)
    result = run_study(config, out=out, progress=Progress(quiet=quiet))
    return finish(out, result.verdict, quiet=quiet)
