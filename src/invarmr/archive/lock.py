"""One command at a time on a result folder, and the removal of what a killed command left beside it."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from invarmr.archive.manifest import OWN, Manifest, foreign, shown
from invarmr.errors import InputError

__all__ = ["locked", "place_for", "private_folder", "sweep"]


def _stem(out: Path) -> str:
    """How the names of everything temporary that belongs to `out` begin; short however long its name is."""
    return f"{OWN}{hashlib.sha256(os.fsencode(out.name)).hexdigest()[:12]}"


def place_for(out: Path) -> Path:
    """The folder that holds what is temporary: beside `out`, or inside where its parent is not ours to write.

    Raises
    ------
    InputError
        Neither can be written.
    """
    for place in (out.parent, out):
        if (
            not (place is out.parent and os.path.ismount(out))
            and place.is_dir()
            and os.access(place, os.W_OK | os.X_OK)
        ):
            return place
    raise InputError(
        f"--out {shown(out)}: nothing can be written there (permission denied). Choose a folder that can be written."
    )


def private_folder(out: Path) -> Path:
    """A new empty folder with an unpredictable name that only its owner can open."""
    return Path(tempfile.mkdtemp(prefix=f"{_stem(out)}-", dir=place_for(out)))


def sweep(out: Path) -> None:
    """Remove what killed commands left for `out` and its neighbours; call it under the lock of `out`."""
    for place in {out.parent, out}:
        with suppress(OSError):
            _sweep_stem(place, _stem(out))
            for lock in place.glob(f"{OWN}*.lock"):
                _sweep_neighbour(lock, out)


def _sweep_neighbour(lock: Path, out: Path) -> None:
    """Remove what belongs to another folder's lock, if nobody holds it."""
    if lock.stem == _stem(out):
        return
    with suppress(OSError):
        stream = os.open(lock, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _sweep_stem(lock.parent, lock.stem)
            lock.unlink(missing_ok=True)
        finally:
            os.close(stream)


def _sweep_stem(place: Path, stem: str) -> None:
    for path in place.glob(f"{stem}-*"):
        if path.is_dir() and not path.is_symlink() and not _holds_others(path):
            shutil.rmtree(path, ignore_errors=True)


def _holds_others(folder: Path) -> bool:
    """Whether a folder that was put aside holds something that its manifest does not know."""
    try:
        manifest = Manifest.read(folder)
        return manifest is not None and bool(foreign(folder, manifest))
    except InputError:
        return True


@contextmanager
def locked(out: Path) -> Iterator[None]:
    """Keep other commands out of a result folder until the block is done.

    The lock is the operating system's, on a file beside the folder (inside it where its parent cannot be written), and
    ends with the process, however that ends. A folder that cannot be written at all needs none.

    Raises
    ------
    InputError
        Another command is at work there; it is named.
    """
    try:
        place = place_for(out)
    except InputError:
        yield
        return
    path = place / f"{_stem(out)}.lock"
    stream = _acquire(path, out)
    try:
        about = {"pid": os.getpid(), "command": " ".join(sys.argv[1:2]), "since": datetime.now(UTC).isoformat()}
        os.ftruncate(stream, 0)
        os.pwrite(stream, json.dumps(about).encode(), 0)
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(stream)


def _acquire(path: Path, out: Path) -> int:
    while True:
        try:
            stream = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise InputError(
                f"{shown(out)} cannot be locked ({error.strerror}). Choose a folder that can be written."
            ) from error
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            who = _owner(stream)
            os.close(stream)
            raise InputError(
                f"another command is at work on {shown(out)}{who}. Wait until it is done, or choose another folder."
            ) from error
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(stream), path.lstat()):
                return stream
        os.close(stream)  # whoever had it has removed the file meanwhile


def _owner(stream: int) -> str:
    try:
        about = json.loads(os.pread(stream, 4096, 0))
        return f" (`invarmr {about['command']}`, process {about['pid']}, since {about['since'][:19]})"
    except (ValueError, KeyError, TypeError):
        return ""
