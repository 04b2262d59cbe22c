"""Where a result comes from: command, settings, seed, versions, fingerprints of the inputs, seconds per verb."""

from __future__ import annotations

import hashlib
import platform
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from invarmr.errors import InputError

__all__ = ["check_fingerprint", "describe_run", "fingerprint"]

_PACKAGES = ("numpy", "scipy", "polars", "pgenlib", "matplotlib")


def fingerprint(path: Path) -> dict[str, Any]:
    """Path, size in bytes and SHA-256 of a file, read in blocks."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(1 << 22):
            digest.update(chunk)
    return {"path": str(path), "bytes": path.stat().st_size, "sha256": digest.hexdigest()}


def check_fingerprint(recorded: Mapping[str, Any]) -> None:
    """Make sure that an input is still there with the size it had when it was read.

    Raises
    ------
    InputError
        The file is gone or has another size.
    """
    path = Path(str(recorded["path"]))
    size = path.stat().st_size if path.exists() else None
    if size != recorded["bytes"]:
        found = "is gone" if size is None else f"has {size} bytes now"
        raise InputError(
            f"{path} had {recorded['bytes']} bytes when the study was read, but {found}. Put it back, or read again."
        )


def describe_run(*, settings: Mapping[str, Any], seed: int, inputs: Iterable[Path], version: str) -> dict[str, Any]:
    """Content of `provenance.json`, but for the seconds, which the verbs add as they end."""
    return {
        "command": " ".join(["invarmr", *sys.argv[1:]])
        if sys.argv and Path(sys.argv[0]).stem == "invarmr"
        else "Python API",
        "version": version,
        "settings": dict(settings),
        "seed": seed,
        "versions": {
            "python": platform.python_version(),
            **{name: metadata.version(name) for name in _PACKAGES},
        },
        "inputs": [fingerprint(path) for path in inputs],
        "seconds": {},
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }
