"""The associations of a study's variants with exposure and outcome, per environment and pooled, as files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl

from invarmr.data.cohort import Cohort
from invarmr.data.design import Control
from invarmr.genetics.association import Model, Trait, associate
from invarmr.io.summary_statistics import Layout, write_summary_statistics
from invarmr.study.archive import Archive
from invarmr.study.layout import require, staged_folder, write_table

__all__ = ["POOLED", "write_associations"]

POOLED = "pooled"
"""Name of the table of everybody, with one constant per environment."""
_UNSAFE = re.compile(r"[^\w.-]+")


def write_associations(
    archive: Archive,
    out: Path,
    *,
    model: Model = "auto",
    controls: Sequence[Control] = ("covariates",),
    layout: Layout = "TwoSampleMR",
) -> pl.DataFrame:
    """Write one table per trait for everybody and for each environment, and `associations.tsv`, which lists them.

    Parameters
    ----------
    archive
        A study that was read.
    out
        Folder for the tables.
    model, controls
        As for `associate`.
    layout
        As for `write_summary_statistics`.

    Returns
    -------
    polars.DataFrame
        `associations.tsv`: `file, trait, role, environment, model, n_samples, n_cases, n_variants, controls`.

    Raises
    ------
    InputError
        Instruments that are scores, or a setting that `associate` refuses.
    """
    cohort = archive.cohort
    variants = pl.read_csv(require(archive.folder, "variants.tsv", "read"), separator="\t", schema_overrides=_TEXT)
    rows = []
    with staged_folder(out) as part:
        for role, environment, file in _plan(cohort):
            table = associate(
                cohort,
                role,
                environment=environment,
                model=model,
                controls=controls,
                variants=variants,
                moments=archive.pooled,
            )
            write_summary_statistics(table, part / file, layout=layout)
            cases = table.frame["ncase"][0]
            rows.append(
                {
                    "file": file,
                    "trait": table.frame["Phenotype"][0],
                    "role": role,
                    "environment": POOLED if environment is None else environment,
                    "model": "linear" if cases is None else "logistic",
                    "n_samples": int(table.frame["samplesize"][0]),
                    "n_cases": None if cases is None else int(cases),
                    "n_variants": int(table.frame["beta"].count()),
                    "controls": ", ".join((*controls, *(("environment",) if environment is None else ()))),
                }
            )
        index = pl.DataFrame(rows, infer_schema_length=None)
        write_table(part / "associations.tsv", index)
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
