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

__all__ = ["check_fingerprint", "check_unwritten", "describe_run", "fingerprint"]

_PACKAGES = ("numpy", "scipy", "polars", "pgenlib", "matplotlib")


def fingerprint(path: Path) -> dict[str, Any]:
    """Path, size in bytes, SHA-256 and stamp of a file; take it before the file is used.

    The stamp is the file's number, size and times of change as the file system keeps them. The time of the last status
    change among them cannot be set by a program, so that a file with the same stamp was not written since.

    Raises
    ------
    InputError
        The file cannot be read, or was written while it was read.
    """
    try:
        before = _stamp(path)
        digest = hashlib.sha256()
        with path.open("rb") as stream:
            while chunk := stream.read(1 << 22):
                digest.update(chunk)
    except OSError as error:
        raise InputError(f"{path} could not be read ({error.strerror}). Check the path.") from error
    found = {"path": str(path), "bytes": path.stat().st_size, "sha256": digest.hexdigest(), "stamp": before}
    if _stamp(path) != before:
        raise InputError(f"{path} was written while it was read. Wait until whoever writes it is done.")
    return found


def _stamp(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns]


def check_unwritten(recorded: Iterable[Mapping[str, Any]]) -> None:
    """Make sure that files were not written since their fingerprints were taken, so that these are of what was read.

    Raises
    ------
    InputError
        A file that was.
    """
    for item in recorded:
        path = Path(str(item["path"]))
        if not path.exists() or _stamp(path) != item["stamp"]:
            raise InputError(f"{path} was changed while it was read. Give the command again when it is whole.")


def check_fingerprint(recorded: Mapping[str, Any]) -> None:
    """Make sure that an input is still what was read, byte by byte, whatever its times say.

    Only where its stamp is the same to the last digit are its bytes not read again.

    Raises
    ------
    InputError
        The file is gone or has another content.
    """
    path = Path(str(recorded["path"]))
    if not path.exists():
        raise InputError(f"{path}, an input of the study, is gone. Put it back, or read again.")
    if _stamp(path) != recorded.get("stamp") and fingerprint(path)["sha256"] != recorded["sha256"]:
        raise InputError(f"{path} was changed after the study was read. Put it back, or read again.")


def describe_run(
    *, settings: Mapping[str, Any], seed: int, inputs: Iterable[Mapping[str, Any]], version: str
) -> dict[str, Any]:
    """Content of `provenance.json`, but for the seconds, which the verbs add as they end; `inputs` are fingerprints."""
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
        "inputs": [dict(item) for item in inputs],
        "seconds": {},
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }
