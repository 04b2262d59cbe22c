"""Write a simulated cohort as the files a user would bring, with the truth beside them."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from invarmr.errors import InputError, first_few
from invarmr.io.plink_writer import write_plink
from invarmr.simulate.admixture import SimulatedCohort

__all__ = ["write_admixture_study", "write_study_folder"]

_FILES = (
    "cohort.bed", "cohort.bim", "cohort.fam", "phenotypes.tsv", "instruments.tsv", "truth_samples.tsv", "truth.json",
    "study.toml",
)  # fmt: skip

_STUDY = """\
# A simulated study: admixed people on real genotypes, confounded by ancestry. What is true is in truth.json.
[genotypes]
path = "cohort.bed"

[phenotypes]
path = "phenotypes.tsv"
sample_id = "IID"
exposure = "exposure"
outcome = "outcome"
environment = "site"
covariates = ["age", "sex"]

[instruments]
variants = "instruments.tsv"

[learn]
method = "stationary"

[negative_controls]
outcomes = ["negative_control"]

[truth]
path = "truth.json"
samples = "truth_samples.tsv"

[run]
seed = {seed}
"""


def write_admixture_study(cohort: SimulatedCohort, out: Path | str, *, overwrite: bool = False) -> Path:
    """Write a simulated cohort as a study folder that `invarmr run` takes.

    Files: `cohort.bed`, `.bim`, `.fam`; `phenotypes.tsv`; `instruments.tsv`; `study.toml`; and, of what a study
    would not know, `truth.json` and `truth_samples.tsv`. They are written in a folder beside `out` that is then
    renamed, so that a study is there whole or not at all.

    Parameters
    ----------
    cohort
        Simulated cohort.
    out
        Folder to make. One that holds nothing but an earlier simulated study is replaced.
    overwrite
        Write into a folder that holds other files too; those stay as they are.

    Returns
    -------
    Path
        The study file, `out/study.toml`.

    Raises
    ------
    InputError
        `out` is a file or cannot be written, or is a folder that holds other files and `overwrite` is false.
    """
    return write_study_folder(Path(out), _FILES, partial(_write_files, cohort), overwrite=overwrite)


def write_study_folder(
    folder: Path, files: Sequence[str], write: Callable[[Path], None], *, overwrite: bool = False
) -> Path:
    """Make a study folder whole or not at all: `write` fills a folder beside it, which is then renamed.

    Parameters
    ----------
    folder
        Folder to make.
    files
        Names that `write` may make, `study.toml` among them; a folder that holds nothing else is replaced.
    write
        Writes the files into the folder it is given.
    overwrite
        Write into a folder that holds other files too; those stay as they are.

    Returns
    -------
    Path
        The study file, `folder/study.toml`.

    Raises
    ------
    InputError
        As `write_admixture_study`.
    """
    others = _other_files(folder, files)
    if others and not overwrite:
        raise InputError(
            f"{folder} holds files that are not of a simulated study ({first_few(others)}): choose a new folder, "
            "or overwrite=True to write beside them."
        )
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        hidden = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    except OSError as error:
        raise InputError(
            f"{folder} could not be made ({error.strerror}). Choose a folder that can be written."
        ) from error
    part = hidden / folder.name
    try:
        part.mkdir()
        write(part)
        _put(part, folder, files, keep=bool(others))
    finally:
        shutil.rmtree(hidden, ignore_errors=True)
    return folder / "study.toml"


def _other_files(folder: Path, files: Sequence[str]) -> list[str]:
    """Names in `folder` that are not of a simulated study."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} must be a folder to write a study into, but is a file.")
    names = sorted(path.name for path in folder.iterdir()) if folder.exists() else []
    return [name for name in names if name not in files]


def _write_files(cohort: SimulatedCohort, folder: Path) -> None:
    sex = cohort.phenotypes["sex"].to_numpy().astype(np.int64)
    write_plink(folder / "cohort", cohort.calls, cohort.variants, cohort.sample_ids, sex=sex)
    cohort.phenotypes.write_csv(folder / "phenotypes.tsv", separator="\t")
    cohort.instruments.write_csv(folder / "instruments.tsv", separator="\t")
    cohort.truth_samples.write_csv(folder / "truth_samples.tsv", separator="\t")
    (folder / "truth.json").write_text(json.dumps(cohort.truth, indent=2) + "\n", encoding="utf-8")
    (folder / "study.toml").write_text(_STUDY.format(seed=cohort.seed), encoding="utf-8")


def _put(part: Path, folder: Path, files: Sequence[str], *, keep: bool) -> None:
    """Move the finished files into place: by renaming the folder, or file by file beside others' files."""
    if keep:
        for name in files:
            (folder / name).unlink(missing_ok=True)
        for path in part.iterdir():
            path.replace(folder / path.name)
        return
    if folder.exists():
        for name in files:
            (folder / name).unlink(missing_ok=True)
        folder.rmdir()
    part.rename(folder)
