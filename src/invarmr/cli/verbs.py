"""The five verbs one by one: `read STUDY.toml --out DIR`, then `learn`, `estimate`, `diagnose`, `report DIR`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

__all__ = ["diagnose", "estimate", "learn", "read", "report"]

Quiet = Annotated[bool, Parameter(negative="")]


def read(
    study: Path,
    /,
    *,
    out: Path,
    seed: int | None = None,
    smallest_count: int | None = None,
    people: bool | None = None,
    quiet: Quiet = False,
) -> int:
    """READ a study's files into an archive: samples matched, alleles settled, moments taken.

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
        Print nothing.
    """
    from invarmr.archive.disclosure import Disclosure
    from invarmr.archive.folder import new_folder
    from invarmr.study.archive import Archive
    from invarmr.study.config import StudyConfig, with_changes
    from invarmr.study.progress import Progress
    from invarmr.study.verbs import describe, inputs_of, read_archive

    config = with_changes(StudyConfig.from_toml(study), seed=seed, smallest_count=smallest_count, people=people)
    told = Disclosure(config.disclosure.smallest_count)
    progress = Progress(quiet=quiet, told=told)
    with told.messages(), new_folder(out, kind="study", command="read", inputs=inputs_of(config)) as workspace:
        archive = Archive(workspace.path, workspace)
        with progress.verb("read", "files to cohort and moments"):
            read_archive(config, archive, progress)
        archive.add_seconds(progress.seconds)
        progress.say(f"            {describe(archive.cohort)}")
    return 0


def learn(archive: Path, /, *, smallest_count: int | None = None, quiet: Quiet = False) -> int:
    """LEARN which part of the instruments is the same in every environment.

    Parameters
    ----------
    archive
        Folder that `read` wrote.
    smallest_count
        Mask counts of people below this number, from here on and in what is there already.
    quiet
        Print nothing.
    """
    from invarmr.study.archive import changed_archive
    from invarmr.study.progress import Progress
    from invarmr.study.verbs import describe_latent, learn_archive

    progress = Progress(quiet=quiet)
    with changed_archive(archive, "learn", smallest_count=smallest_count) as opened, opened.disclosure.messages():
        with progress.verb("learn", "which part of the instruments is the same in every environment"):
            latent = learn_archive(opened)
        opened.add_seconds(progress.seconds)
    progress.say(f"            {describe_latent(latent)}")
    return 0


def estimate(archive: Path, /, *, smallest_count: int | None = None, quiet: Quiet = False) -> int:
    """ESTIMATE the effect, by every estimator on every instrument set.

    Parameters
    ----------
    archive
        Folder that `learn` wrote to.
    smallest_count
        Mask counts of people below this number, from here on and in what is there already.
    quiet
        Print nothing.
    """
    from invarmr.cli.table import print_estimates
    from invarmr.study.archive import changed_archive
    from invarmr.study.progress import Progress
    from invarmr.study.verbs import estimate_archive

    progress = Progress(quiet=quiet)
    with changed_archive(archive, "estimate", smallest_count=smallest_count) as opened, opened.disclosure.messages():
        with progress.verb("estimate", "the effect, by every estimator"):
            estimate_archive(opened, progress)
        opened.add_seconds(progress.seconds)
    if not quiet:
        print_estimates(archive)
    return 0


def diagnose(archive: Path, /, *, smallest_count: int | None = None, quiet: Quiet = False) -> int:
    """DIAGNOSE the assumptions of the headline, and give the verdict.

    Parameters
    ----------
    archive
        Folder that `estimate` wrote to.
    smallest_count
        Mask counts of people below this number, from here on and in what is there already.
    quiet
        Print nothing.
    """
    from invarmr.cli.outcome import reasons_told, status_of
    from invarmr.study.archive import changed_archive
    from invarmr.study.progress import Progress
    from invarmr.study.verbs import diagnose_archive

    progress = Progress(quiet=quiet)
    with changed_archive(archive, "diagnose", smallest_count=smallest_count) as opened, opened.disclosure.messages():
        with progress.verb("diagnose", "the assumptions, on held-out people"):
            verdict = diagnose_archive(opened)
        opened.add_seconds(progress.seconds)
    if not quiet:
        print(f"verdict: {verdict.status}")
        print("\n".join(f"  {reason}" for reason in reasons_told(archive)))
    return status_of(verdict)


def report(archive: Path, /, *, smallest_count: int | None = None, quiet: Quiet = False) -> int:
    """REPORT: write the archive's page; it computes nothing, so it can be redrawn at any time.

    Parameters
    ----------
    archive
        Folder that `diagnose` wrote to.
    smallest_count
        Mask counts of people below this number (20 on platforms where no smaller cell may leave), on the page and in
        every file of the archive; what cannot be masked is removed. Keep a copy where exact counts are needed later.
    quiet
        Print nothing.
    """
    from invarmr.study.archive import changed_archive
    from invarmr.study.verbs import report_archive

    with changed_archive(archive, "report", smallest_count=smallest_count) as opened:
        report_archive(opened)
    if not quiet:
        print(archive / "report.html")
    return 0
