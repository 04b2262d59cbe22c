"""What a study leaves on disk: file names by verb, and writing that is whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from invarmr.arrays import FloatArray
from invarmr.errors import InputError

__all__ = ["OUTPUTS", "VERBS", "forget_after", "require", "staged_folder", "write_arrays", "write_json", "write_table"]

VERBS = ("read", "learn", "estimate", "diagnose", "report")

OUTPUTS: dict[str, tuple[str, ...]] = {
    "read": (
        "samples.tsv",
        "variants.tsv",
        "components.tsv",
        "provenance.json",
        "truth.json",
        "state/cohort.parquet",
        "state/instruments.npz",
        "state/moments.npz",
    ),
    "learn": ("loadings.tsv", "instruments.parquet", "eigenvalues.tsv", "state/latent.npz", "state/latent.json"),
    "estimate": ("estimates.tsv",),
    "diagnose": ("diagnostics.tsv", "environments.tsv", "balance.tsv", "verdict.json"),
    "report": ("report.html",),
}
"""Files of each verb, relative to the archive; some are absent where they do not apply."""


@contextmanager
def staged_folder(out: Path) -> Iterator[Path]:
    """A hidden folder inside `out` whose files are moved into place at the end, or removed if anything fails.

    Files of an earlier run are replaced, other files in `out` are left alone; an `out` that had to be made is removed
    again on failure.
    """
    if out.exists() and not out.is_dir():
        raise InputError(f"--out must be a folder, but {out} is a file. Choose another name.")
    made = not out.exists()
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{out} could not be made ({error.strerror}). Choose a folder that can be written.") from error
    part = out / f".partial-{os.getpid()}"
    part.mkdir()
    try:
        yield part
        known = {name for names in OUTPUTS.values() for name in names}
        for name in sorted(known):
            if not (part / name).exists():
                (out / name).unlink(missing_ok=True)
        for path in sorted(p for p in part.rglob("*") if p.is_file()):
            target = out / path.relative_to(part)
            target.parent.mkdir(exist_ok=True)
            path.replace(target)
    finally:
        shutil.rmtree(part, ignore_errors=True)
        if made and out.exists() and not any(out.iterdir()):
            out.rmdir()


def forget_after(archive: Path, verb: str) -> None:
    """Remove what later verbs wrote: it no longer follows from what `verb` is about to write."""
    for later in VERBS[VERBS.index(verb) + 1 :]:
        for name in OUTPUTS[later]:
            (archive / name).unlink(missing_ok=True)


def require(archive: Path, name: str, verb: str) -> Path:
    """Path of a file of the archive that `verb` writes.

    Raises
    ------
    InputError
        It is not there.
    """
    path = archive / name
    if not path.exists():
        raise InputError(f"{archive} has no {name}: run `invarmr {verb}` on it first.")
    return path


def write_table(path: Path, frame: pl.DataFrame) -> None:
    """Write a tab-separated table, whole or not at all."""
    temporary = path.with_name(f".{path.name}.part")
    path.parent.mkdir(exist_ok=True)
    frame.write_csv(temporary, separator="\t")
    temporary.replace(path)


def write_json(path: Path, content: Mapping[str, Any] | Sequence[Any]) -> None:
    """Write JSON, whole or not at all."""
    temporary = path.with_name(f".{path.name}.part")
    path.parent.mkdir(exist_ok=True)
    temporary.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    temporary.replace(path)


def write_arrays(path: Path, arrays: Mapping[str, FloatArray | np.ndarray[Any, Any]]) -> None:
    """Write named arrays as .npz, whole or not at all."""
    temporary = path.with_name(f".{path.name}.part.npz")
    path.parent.mkdir(exist_ok=True)
    np.savez(temporary, **arrays)  # type: ignore[arg-type]  # numpy's stub takes **kwargs of arrays as positional
    temporary.replace(path)
