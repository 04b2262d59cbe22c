"""Write simulated families as the files a user would bring, with the truth beside them."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np

from invarmr.io.plink_writer import write_plink
from invarmr.simulate.families import SimulatedFamilies
from invarmr.study.simulated import write_study_folder

__all__ = ["write_families_study"]

_STUDY = """\
# A simulated study of families: trios, sibships and single people. What is true is in truth.json.
[genotypes]
path = "cohort.bed"

[phenotypes]
path = "phenotypes.tsv"
sample_id = "IID"
exposure = "exposure"
outcome = "outcome"
environment = "cohort"
covariates = ["sex"]

[instruments]
variants = "instruments.tsv"

[families]
pedigree = "cohort.fam"
sibship = "sibship"
{parents}
[learn]
method = "stationary"

[truth]
path = "truth.json"
samples = "truth_samples.tsv"

[run]
seed = {seed}
"""


def write_families_study(cohort: SimulatedFamilies, out: Path | str, *, overwrite: bool = False) -> Path:
    """Write simulated families as a study folder that `invarmr run` takes.

    Files: `cohort.bed`, `.bim`, `.fam` (trios' parents included, and named in the .fam); `phenotypes.tsv`;
    `parents.tsv` (the parents' traits); `instruments.tsv`; `study.toml`; and, of what a study would not know,
    `truth.json` and `truth_samples.tsv`. The folder is there whole or not at all.

    Parameters
    ----------
    cohort
        Simulated families.
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
    return write_study_folder(Path(out), partial(_write_files, cohort), overwrite=overwrite)


def _write_files(cohort: SimulatedFamilies, folder: Path) -> None:
    people = cohort.pedigree
    sex = people["sex"].to_numpy().astype(np.int64)
    ids = people["IID"].to_numpy().astype(np.str_)
    write_plink(folder / "cohort", cohort.calls, cohort.variants, ids, sex=sex, family=people)
    tables = {
        "phenotypes": cohort.phenotypes,
        "parents": cohort.parents,
        "instruments": cohort.instruments,
        "truth_samples": cohort.truth_samples,
    }
    for name, table in tables.items():
        if table.height == 0:  # no trios, no parents
            continue
        table.write_csv(folder / f"{name}.tsv", separator="\t", null_value="NA")
    (folder / "truth.json").write_text(json.dumps(cohort.truth, indent=2) + "\n", encoding="utf-8")
    parents = 'parents = "parents.tsv"\n' if cohort.parents.height else ""
    (folder / "study.toml").write_text(_STUDY.format(seed=cohort.seed, parents=parents), encoding="utf-8")
