"""`invarmr inspect FILES [--out study.toml]`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from invarmr.study.inspect import Seen

__all__ = ["inspect"]


def inspect(*files: Path, out: Path | None = None) -> int:
    """Say what is in files: layout, people, variants, which column is what, and what stands in the way.

    Parameters
    ----------
    files
        Files of any kind (genotypes, tables of people, summary statistics, a list of instruments, a study file), and
        folders of them. One genotype file a chromosome counts as one.
    out
        Write a first study file here, with comments on what to check; a file that exists is not overwritten.
    """
    from invarmr.errors import InputError
    from invarmr.study.first_study_file import write_first_study_file
    from invarmr.study.inspect import inspect_files

    if not files:
        raise InputError("invarmr inspect needs one file or folder at least: invarmr inspect cohort.bed pheno.txt.")
    if out is not None and out.exists():
        raise InputError(f"{out}: there is a file already, and it is not overwritten. Name another with --out.")
    seen = inspect_files(files)
    for item in seen:
        _say(item)
    if out is not None:
        print(write_first_study_file(seen, out))
    return 0


def _say(item: Seen) -> None:
    print(f"{item.name}: {item.kind}")
    for label, text in item.facts:
        print(f"  {label:<14} {text}")
    for problem in item.problems:
        print(f"  problem        {problem}")
