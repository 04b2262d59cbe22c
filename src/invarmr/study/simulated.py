"""Write a simulated cohort as the files a user would bring, with the truth beside them."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from invarmr.archive.folder import new_folder
from invarmr.io.plink_writer import write_plink
from invarmr.simulate.admixture import SimulatedCohort

__all__ = ["write_admixture_study", "write_study_folder"]

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
        Folder to make. One that an earlier simulation wrote, and nobody touched since, is replaced.
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
    return write_study_folder(Path(out), partial(_write_files, cohort), overwrite=overwrite)


def write_study_folder(folder: Path, write: Callable[[Path], None], *, overwrite: bool = False) -> Path:
    """Make a study folder whole or not at all: `write` fills a folder beside it, which is then renamed.

    Parameters
    ----------
    folder
        Folder to make.
        One that an earlier simulation wrote, and nobody touched since, is replaced.
    write
        Writes the files, `study.toml` among them, into the folder it is given.
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
    with new_folder(folder, kind="simulated", command="simulate", beside_others=overwrite) as workspace:
        write(workspace.path)
    return folder / "study.toml"


def _write_files(cohort: SimulatedCohort, folder: Path) -> None:
    sex = cohort.phenotypes["sex"].to_numpy().astype(np.int64)
    write_plink(folder / "cohort", cohort.calls, cohort.variants, cohort.sample_ids, sex=sex)
    cohort.phenotypes.write_csv(folder / "phenotypes.tsv", separator="\t")
    cohort.instruments.write_csv(folder / "instruments.tsv", separator="\t")
    cohort.truth_samples.write_csv(folder / "truth_samples.tsv", separator="\t")
    (folder / "truth.json").write_text(json.dumps(cohort.truth, indent=2) + "\n", encoding="utf-8")
    (folder / "study.toml").write_text(_STUDY.format(seed=cohort.seed), encoding="utf-8")
