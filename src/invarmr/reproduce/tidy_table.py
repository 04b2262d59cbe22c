"""The tidy table of replicates: one row per estimate, kept whole on disk, never computed twice.

`replicates.tsv` has exactly the columns of `COLUMNS`; `models.tsv` beside it says more of every trained model. `design`
names sizes (`p2-q2-n10000`: p, q and rows per environment), so that runs of other sizes do not mix.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, final

import polars as pl

from invarmr.archive.files import whole_file
from invarmr.errors import InputError, first_few

__all__ = ["COLUMNS", "MODEL_COLUMNS", "Store", "parse_settings", "settings_text", "write_whole"]

COLUMNS: Mapping[str, Any] = {
    "design": pl.String,
    "environments": pl.Int64,
    "mixing": pl.String,
    "symmetric": pl.Boolean,
    "seed": pl.Int64,
    "learner": pl.String,
    "settings": pl.String,
    "estimator": pl.String,
    "estimate": pl.Float64,
    "bias": pl.Float64,
    "recovery": pl.Float64,
    "leakage": pl.Float64,
    "leakage_nonlinear": pl.Float64,
    "gcm_p": pl.Float64,
    "validation": pl.Float64,
    "seconds": pl.Float64,
}
KEY = ("design", "environments", "mixing", "symmetric", "seed", "learner", "settings", "estimator")
MODEL_COLUMNS: Mapping[str, Any] = {
    "design": pl.String,
    "environments": pl.Int64,
    "mixing": pl.String,
    "trained_on": pl.String,
    "seed": pl.Int64,
    "learner": pl.String,
    "settings": pl.String,
    "validation": pl.Float64,
    "validation_whitened": pl.Float64,
    "spread": pl.Float64,
    "seconds": pl.Float64,
    "failure": pl.String,
    "resolved": pl.String,
}
_MODEL_KEY = ("design", "environments", "mixing", "trained_on", "seed", "learner", "settings")


def settings_text(settings: Mapping[str, Any]) -> str:
    """Settings as one cell, `name=value;...`, by name.

    Examples
    --------
    >>> settings_text({"n_latent": 2, "lambda_invariance": 1.0})
    'lambda_invariance=1;n_latent=2'
    """
    return ";".join(
        f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}"
        for name, value in sorted(settings.items())
    )


def parse_settings(text: str | None) -> dict[str, str]:
    """The cell taken apart again; values are text."""
    return dict(part.split("=", 1) for part in (text or "").split(";") if part)


@final
class Store:
    """The tables of one output folder, read at the start and written whole after every addition.

    Raises
    ------
    InputError
        A table that is there has other columns.
    """

    def __init__(self, out: Path) -> None:
        self.out = out
        self.replicates = _read(out / "replicates.tsv", COLUMNS)
        self.models = _read(out / "models.tsv", MODEL_COLUMNS)

    def add(self, rows: Sequence[Mapping[str, Any]], models: Sequence[Mapping[str, Any]] = ()) -> None:
        """Add rows, replacing those of the same key, and write both tables (models first)."""
        self.models = _added(self.models, models, MODEL_COLUMNS, _MODEL_KEY)
        self.replicates = _added(self.replicates, rows, COLUMNS, KEY)
        if models:
            write_whole(self.out / "models.tsv", _text(self.models))
        write_whole(self.out / "replicates.tsv", _text(self.replicates))

    def keys(self) -> set[tuple[Any, ...]]:
        """Keys of all rows but the estimator: what has been done."""
        return set(self.replicates.select(KEY[:-1]).unique().iter_rows())


def _read(path: Path, schema: Mapping[str, Any]) -> pl.DataFrame:
    if not path.exists():
        return pl.DataFrame(schema=schema)
    header = path.read_text(encoding="utf-8").split("\n", 1)[0].split("\t")
    if header != list(schema):
        raise InputError(
            f"{path} must have the columns {first_few(schema, 20)}, but has {first_few(header, 20)}. It is not of this "
            "command: choose another --out."
        )
    return pl.read_csv(path, separator="\t", schema=dict(schema)).with_columns(pl.col(pl.String).fill_null(""))


def _text(frame: pl.DataFrame) -> str:
    """Tab-separated text; an empty cell for nothing, be it text or number."""
    return frame.with_columns(pl.col(pl.String).replace("", None)).write_csv(separator="\t")


def _added(
    frame: pl.DataFrame, rows: Sequence[Mapping[str, Any]], schema: Mapping[str, Any], key: Sequence[str]
) -> pl.DataFrame:
    if not rows:
        return frame
    new = pl.DataFrame([dict(row) for row in rows], schema=dict(schema))
    return pl.concat([frame, new]).unique(subset=list(key), keep="last", maintain_order=True)


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file whole or not at all."""
    with whole_file(path) as temporary:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)


@contextmanager
def locked(out: Path) -> Iterator[None]:
    """Keep a second run out of the folder while this one writes there; the folder is made.

    Raises
    ------
    InputError
        Another run is at work there, or the folder cannot be made.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        stream = (out / ".lock").open("w")
    except OSError as error:
        raise InputError(
            f"--out {out}: nothing can be written there ({error.strerror}). Choose another folder."
        ) from error
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise InputError(f"Another run is writing into {out}. Wait for it, or choose another --out.") from error
        yield
