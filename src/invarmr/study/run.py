"""A whole study: read, learn, estimate, diagnose, report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from invarmr.archive.disclosure import Disclosure
from invarmr.archive.folder import new_folder
from invarmr.data.latent_instruments import Verdict
from invarmr.estimators.estimate import Estimate
from invarmr.study.archive import Archive
from invarmr.study.config import StudyConfig
from invarmr.study.progress import Progress
from invarmr.study.verbs import (
    describe,
    describe_latent,
    diagnose_archive,
    estimate_archive,
    inputs_of,
    learn_archive,
    read_archive,
    report_archive,
)

__all__ = ["StudyResult", "run_study"]


@dataclass(frozen=True)
class StudyResult:
    """What a run left: the estimates, the verdict, and where the report is."""

    estimates: tuple[Estimate, ...]
    verdict: Verdict
    report: Path


def run_study(study: str | Path | StudyConfig, *, out: str | Path, progress: Progress | None = None) -> StudyResult:
    """Run a study and write its archive, whole or not at all.

    Parameters
    ----------
    study
        Path of `study.toml`, or its settings.
    out
        Folder of the archive: a new or empty one, or that of an earlier run, which is replaced as a whole.
    progress
        What to show on the way; nothing by default.

    Raises
    ------
    InputError
        Anything that cannot be used as it is; nothing is written then.
    """
    config = study if isinstance(study, StudyConfig) else StudyConfig.from_toml(study)
    told = Disclosure(config.disclosure.smallest_count)
    progress = progress or Progress(told=told)
    folder = Path(out)
    with told.messages(), new_folder(folder, kind="study", command="run", inputs=inputs_of(config)) as workspace:
        archive = Archive(workspace.path, workspace)
        with progress.verb("read", "files to cohort and moments"):
            read_archive(config, archive, progress)
        progress.say(f"            {describe(archive.cohort)}")
        with progress.verb("learn", "which part of the instruments is the same in every environment"):
            latent = learn_archive(archive)
        progress.say(f"            {describe_latent(latent)}")
        with progress.verb("estimate", "the effect, by every estimator"):
            estimates = estimate_archive(archive, progress)
        with progress.verb("diagnose", "the assumptions, on held-out people"):
            verdict = diagnose_archive(archive)
        archive.add_seconds(progress.seconds)
        with progress.verb("report", "one page"):
            report_archive(archive)
        archive.add_seconds(progress.seconds)
    return StudyResult(tuple(estimates), verdict, folder / "report.html")
