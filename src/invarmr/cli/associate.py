"""`invarmr associate ARCHIVE --out DIR`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

__all__ = ["associate"]


def associate(
    archive: Path,
    /,
    *,
    out: Path,
    model: Literal["auto", "linear", "logistic"] = "auto",
    controls: Annotated[
        list[Literal["covariates", "components", "truth"]] | None, Parameter(negative="", consume_multiple=True)
    ] = None,
    layout: Literal["TwoSampleMR", "GWAS-SSF"] = "TwoSampleMR",
    smallest_count: int | None = None,
    quiet: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Associate every variant with exposure and outcome, in each environment and pooled.

    Parameters
    ----------
    archive
        Folder that `read` (or `run`) wrote.
    out
        Folder for the tables; associations.tsv lists them.
    model
        linear, logistic (a trait with two values), or auto: logistic where it can be.
    controls
        What each regression holds fixed: covariates (the default), components, truth.
    layout
        Column names: TwoSampleMR or GWAS-SSF. `invarmr mr` reads both.
    smallest_count
        Mask counts of people below this number; by default as the study does. Smaller groups get no table.
    quiet
        Print nothing but the list's path.
    """
    from invarmr.study.associations import write_associations

    chosen = ("covariates",) if controls is None else tuple(controls)
    written = write_associations(
        archive, out, model=model, controls=chosen, layout=layout, smallest_count=smallest_count
    )
    for row in [] if quiet else written.iter_rows(named=True):
        print(f"{row['file']}: {row['n_variants']} variants, {row['n_samples']:,} people, {row['model']}")
    print(out / "associations.tsv")
    return 0
