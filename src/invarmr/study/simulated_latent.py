"""Write a draw of a latent design as the files a user would bring, with the truth beside them."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Literal

import polars as pl

from invarmr.arrays import FloatArray
from invarmr.simulate.latent import LatentSample
from invarmr.study.simulated import write_study_folder

__all__ = ["write_latent_study"]

_STUDY = """\
# A simulated study with latent instruments. What is true is in truth.json, truth_samples.tsv and latents.tsv.
[phenotypes]
path = "phenotypes.{table}"
sample_id = "IID"
exposure = "exposure"
outcome = "outcome"
environment = "environment"

[instruments]
columns = {columns}

[learn]
method = "{learner}"

[truth]
path = "truth.json"
samples = "truth_samples.tsv"

[run]
seed = {seed}
"""


def write_latent_study(
    sample: LatentSample,
    out: Path | str,
    *,
    learner: str = "auto",
    table: Literal["tsv", "parquet"] = "tsv",
    overwrite: bool = False,
) -> Path:
    """Write a draw as a study folder that `invarmr run` takes.

    Files: `phenotypes.tsv` or `.parquet` (id, environment, exposure, outcome and one column per instrument),
    `study.toml`; and, of what a study would not know, `truth.json`, `truth_samples.tsv` (the confounder, given which
    the instruments are valid) and `latents.tsv` (W and V).

    Parameters
    ----------
    sample
        What was drawn.
    out
        Folder to make. One that an earlier simulation wrote, and nobody touched since, is replaced.
    learner
        `[learn] method` of the study file.
    table
        Kind of the phenotype table.
    overwrite
        Write into a folder that holds other files too; those stay as they are.

    Returns
    -------
    Path
        The study file, `out/study.toml`.

    Raises
    ------
    InputError
        As `write_admixture_study`.
    """
    return write_study_folder(
        Path(out), partial(_write_files, sample, learner=learner, table=table), overwrite=overwrite
    )


def _write_files(sample: LatentSample, folder: Path, *, learner: str, table: str) -> None:
    ids = pl.DataFrame({"IID": list(sample.sample_ids)})
    Z = _columns(sample.instrument, "z")
    phenotypes = ids.with_columns(
        pl.Series("environment", sample.environment.astype(str)),
        pl.Series("exposure", sample.exposure),
        pl.Series("outcome", sample.outcome),
        *Z,
    )
    if table == "parquet":
        phenotypes.write_parquet(folder / "phenotypes.parquet")
    else:
        phenotypes.write_csv(folder / "phenotypes.tsv", separator="\t")
    confounder = ids.with_columns(_columns(sample.confounder, "confounder_"))
    confounder.write_csv(folder / "truth_samples.tsv", separator="\t")
    latents = ids.with_columns(
        *_columns(sample.latent_instrument, "valid_"), *_columns(sample.confounded_part, "confounded_")
    )
    latents.write_csv(folder / "latents.tsv", separator="\t")
    (folder / "truth.json").write_text(json.dumps(sample.truth, indent=2) + "\n", encoding="utf-8")
    study = _STUDY.format(
        table=table, columns=json.dumps([column.name for column in Z]), learner=learner, seed=sample.seed
    )
    (folder / "study.toml").write_text(study, encoding="utf-8")


def _columns(values: FloatArray, stem: str) -> list[pl.Series]:
    return [pl.Series(f"{stem}{number + 1}", values[:, number]) for number in range(values.shape[1])]
