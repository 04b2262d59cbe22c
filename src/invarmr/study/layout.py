"""What a study leaves on disk: file names by verb, and writing that is whole or not at all."""

from __future__ import annotations

import json
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from invarmr.arrays import FloatArray
from invarmr.errors import InputError

__all__ = [
    "OUTPUTS",
    "STRATIFICATION",
    "VERBS",
    "forget_after",
    "require",
    "staged_folder",
    "whole_file",
    "write_arrays",
    "write_json",
    "write_table",
]

VERBS = ("read", "learn", "estimate", "diagnose", "report")

STRATIFICATION = (
    "stratification.tsv",
    "component_counts.tsv",
    "meta_analysis.tsv",
    "negative_controls.tsv",
    "effect_curve.tsv",
    "confidence_sets.tsv",
)
"""Tables of the stratification battery; each is absent where it has no rows."""

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
        "pedigree.tsv",
        "mendelian_errors.tsv",
        "state/families.npz",
    ),
    "learn": ("loadings.tsv", "instruments.parquet", "eigenvalues.tsv", "state/latent.npz", "state/latent.json"),
    "estimate": ("estimates.tsv", "cross_fitting.tsv", "families.tsv"),
    "diagnose": (
        "diagnostics.tsv",
        "environments.tsv",
        "balance.tsv",
        "sensitivity.tsv",
        "verdict.json",
        *STRATIFICATION,
    ),
    "report": ("report.html",),
}
"""Files of each verb, relative to the archive; some are absent where they do not apply."""


@contextmanager
def staged_folder(out: Path) -> Iterator[Path]:
    """A hidden folder inside `out` whose files are moved into place at the end, or removed if anything fails.

    Files of an earlier run are replaced, other files in `out` are left alone; folders that had to be made are removed
    again on failure.

    Raises
    ------
    InputError
        `out` is a file, or cannot be made or written.
    """
    if out.exists() and not out.is_dir():
        raise InputError(f"--out must be a folder, but {out} is a file. Choose another name.")
    made = [folder for folder in (out, *out.parents) if not folder.exists()]
    try:
        try:
            out.mkdir(parents=True, exist_ok=True)
            part = Path(tempfile.mkdtemp(prefix=".partial-", dir=out))
        except OSError as error:
            raise InputError(
                f"--out {out}: nothing can be written there ({error.strerror}). Choose a folder that can be written."
            ) from error
        try:
            yield part
            with _uninterrupted():
                _move_into_place(part, out)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    finally:
        for folder in made:
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()


def _move_into_place(part: Path, out: Path) -> None:
    for name in sorted(name for names in OUTPUTS.values() for name in names):
        if not (part / name).exists():
            (out / name).unlink(missing_ok=True)
    for path in sorted(p for p in part.rglob("*") if p.is_file()):
        target = out / path.relative_to(part)
        target.parent.mkdir(exist_ok=True)
        path.replace(target)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Put off an interrupt from the keyboard until the block is done, so that an archive never mixes two runs."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    caught: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: caught.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if caught:
        raise KeyboardInterrupt


def forget_after(archive: Path, verb: str) -> None:
    """Remove what later verbs wrote, before `verb` writes what it no longer follows from."""
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


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A hidden name beside `path`, renamed to it at the end, or removed if anything fails."""
    temporary = path.with_name(f".part-{path.name}")
    path.parent.mkdir(exist_ok=True)
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_table(path: Path, frame: pl.DataFrame) -> None:
    """Write a tab-separated table, whole or not at all."""
    with whole_file(path) as temporary:
        frame.write_csv(temporary, separator="\t")


def write_json(path: Path, content: Mapping[str, Any] | Sequence[Any]) -> None:
    """Write JSON, whole or not at all."""
    with whole_file(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def write_arrays(path: Path, arrays: Mapping[str, FloatArray | np.ndarray[Any, Any]]) -> None:
    """Write named arrays as .npz, whole or not at all."""
    with whole_file(path) as temporary:
        np.savez(temporary, **arrays)  # type: ignore[arg-type]  # numpy's stub takes **kwargs of arrays as positional
