"""The associations of a study's variants with exposure and outcome, per environment and pooled, as files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl

from invarmr.archive.disclosure import Disclosure
from invarmr.archive.files import write_table
from invarmr.archive.folder import new_folder, opened_folder
from invarmr.data.cohort import Cohort
from invarmr.data.design import Control
from invarmr.data.summary_statistics import SummaryStatistics
from invarmr.genetics.association import Model, Trait, associate
from invarmr.io.summary_statistics import Layout, write_summary_statistics
from invarmr.study.archive import Archive

__all__ = ["POOLED", "write_associations"]

POOLED = "pooled"
"""Name of the table of everybody, with one constant per environment."""
_UNSAFE = re.compile(r"[^\w.-]+")


def write_associations(
    folder: Path,
    out: Path,
    *,
    model: Model = "auto",
    controls: Sequence[Control] = ("covariates",),
    layout: Layout = "TwoSampleMR",
    smallest_count: int | None = None,
) -> pl.DataFrame:
    """Write one table per trait for everybody and for each environment, and `associations.tsv`, which lists them.

    Parameters
    ----------
    folder
        Archive of a study that was read.
    out
        Folder for the tables: a new or empty one, or one that an earlier call wrote.
    model, controls
        As for `associate`.
    layout
        As for `write_summary_statistics`.
    smallest_count
        Mask counts of people below it; None: as the study does. Groups of fewer people get no table.

    Returns
    -------
    polars.DataFrame
        `associations.tsv`: `file, trait, role, environment, model, n_samples, n_cases, n_variants, controls`.

    Raises
    ------
    InputError
        Instruments that are scores, or a setting that `associate` refuses; as `opened_folder` and `new_folder`.
    """
    with (
        opened_folder(folder, kind="study"),
        new_folder(out, kind="associations", command="associate", inputs=[folder]) as workspace,
    ):
        archive = Archive(folder)
        told = archive.disclosure if smallest_count is None else Disclosure(smallest_count)
        variants = pl.read_csv(archive.require("variants.tsv"), separator="\t", schema_overrides=_TEXT)
        rows = []
        for role, environment, file in _plan(archive.cohort):
            table = associate(
                archive.cohort,
                role,
                environment=environment,
                model=model,
                controls=controls,
                variants=variants,
                moments=archive.pooled,
            )
            cases, people = table.frame["ncase"][0], int(table.frame["samplesize"][0])
            fewest = min([people, *(() if cases is None else (int(cases), people - int(cases)))])
            if told.smallest is not None and fewest < told.smallest:
                continue
            masked = SummaryStatistics(told.frame(table.frame))
            write_summary_statistics(masked, workspace.path / file, layout=layout)
            rows.append(
                {
                    "file": file,
                    "trait": table.frame["Phenotype"][0],
                    "role": role,
                    "environment": POOLED if environment is None else environment,
                    "model": "linear" if cases is None else "logistic",
                    "n_samples": told.count(people),
                    "n_cases": None if cases is None else told.count(int(cases)),
                    "n_variants": int(table.frame["beta"].count()),
                    "controls": ", ".join((*controls, *(("environment",) if environment is None else ()))),
                }
            )
        index = pl.DataFrame(rows, infer_schema_length=None)
        write_table(workspace.path / "associations.tsv", index)
    return index


_TEXT = {"chromosome": pl.String, "variant": pl.String, "effect_allele": pl.String, "other_allele": pl.String}


def _plan(cohort: Cohort) -> Iterator[tuple[Trait, str | None, str]]:
    """Role, environment (None: all) and file of each table; a name that a file cannot have is made safe."""
    several = len(cohort.environments) > 1
    taken: set[str] = set()
    traits: tuple[tuple[Trait, str], ...] = (("exposure", cohort.exposure_name), ("outcome", cohort.outcome_name))
    for role, trait in traits:
        for environment in (None, *(cohort.environments if several else ())):
            stem = _UNSAFE.sub("_", f"{trait}.{POOLED if environment is None else environment}")
            while stem in taken:
                stem += "_"
            taken.add(stem)
            yield role, environment, f"{stem}.tsv"
