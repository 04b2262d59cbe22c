"""The five verbs one by one: `read STUDY.toml --out DIR`, then `learn`, `estimate`, `diagnose`, `report DIR`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

if TYPE_CHECKING:
    from invarmr.study.archive import Archive

__all__ = ["diagnose", "estimate", "learn", "read", "report"]

Quiet = Annotated[bool, Parameter(negative="")]


def read(study: Path, /, *, out: Path, seed: int | None = None, quiet: Quiet = False) -> int:
    """READ a study's files into an archive: samples matched, alleles settled, moments taken.

    Parameters
    ----------
    study
        The study file (TOML).
    out
        Folder for the archive; files of an earlier run in it are replaced.
    seed
        Overrides [run] seed of the study file.
    quiet
        Print nothing.
    """
    from invarmr.study.archive import Archive
    from invarmr.study.config import StudyConfig, with_seed
    from invarmr.study.layout import staged_folder
    from invarmr.study.progress import Progress
    from invarmr.study.verbs import describe, read_archive

    config = with_seed(StudyConfig.from_toml(study), seed)
    progress = Progress(quiet=quiet)
    with staged_folder(out) as part:
        archive = Archive(part)
        with progress.verb("read", "files to cohort and moments"):
            read_archive(config, archive, progress)
        archive.add_seconds(progress.seconds)
        progress.say(f"            {describe(archive.cohort)}")
    return 0


def learn(archive: Path, /, *, quiet: Quiet = False) -> int:
    """LEARN which part of the instruments is the same in every environment.

    Parameters
    ----------
    archive
        Folder that `read` wrote.
    quiet
        Print nothing.
    """
    from invarmr.study.progress import Progress
    from invarmr.study.verbs import describe_latent, learn_archive

    progress, opened = Progress(quiet=quiet), _open(archive)
    with progress.verb("learn", "which part of the instruments is the same in every environment"):
        latent = learn_archive(opened)
    opened.add_seconds(progress.seconds)
    progress.say(f"            {describe_latent(latent)}")
    return 0


def estimate(archive: Path, /, *, quiet: Quiet = False) -> int:
    """ESTIMATE the effect, by every estimator on every instrument set.

    Parameters
    ----------
    archive
        Folder that `learn` wrote to.
    quiet
        Print nothing.
    """
    from invarmr.cli.table import print_estimates
    from invarmr.study.progress import Progress
    from invarmr.study.verbs import estimate_archive

    progress, opened = Progress(quiet=quiet), _open(archive)
    with progress.verb("estimate", "the effect, by every estimator"):
        estimate_archive(opened, progress)
    opened.add_seconds(progress.seconds)
    if not quiet:
        print_estimates(archive)
    return 0


def diagnose(archive: Path, /, *, quiet: Quiet = False) -> int:
    """DIAGNOSE the assumptions of the headline, and give the verdict.

    Parameters
    ----------
    archive
        Folder that `estimate` wrote to.
    quiet
        Print nothing.
    """
    from invarmr.cli.outcome import status_of
    from invarmr.study.progress import Progress
    from invarmr.study.verbs import diagnose_archive

    progress, opened = Progress(quiet=quiet), _open(archive)
    with progress.verb("diagnose", "the assumptions, on held-out people"):
        verdict = diagnose_archive(opened)
    opened.add_seconds(progress.seconds)
    if not quiet:
        print(f"verdict: {verdict.status}")
        print("\n".join(f"  {reason}" for reason in verdict.reasons))
    return status_of(verdict)


def report(archive: Path, /, *, smallest_count: int | None = None, quiet: Quiet = False) -> int:
    """REPORT: write the archive's page; it computes nothing, so it can be redrawn at any time.

    Parameters
    ----------
    archive
        Folder that `diagnose` wrote to.
    smallest_count
        Mask counts of people below this number (20 on platforms where no smaller cell may leave).
    quiet
        Print nothing.
    """
    from invarmr.report.html import write_report

    page = write_report(archive, smallest_count=smallest_count)
    if not quiet:
        print(page)
    return 0


def _open(folder: Path) -> Archive:
    from invarmr.study.archive import Archive

    return Archive(folder)
