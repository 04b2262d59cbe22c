"""Put a finished folder where an earlier one lies, so that whoever looks sees all of the old or all of the new.

Where the operating system can, two folders trade names in one step (`renameat2` on Linux, `renamex_np` on macOS). Where
it cannot (a mount point, a folder that somebody stands in, results inside results), files are moved one by one after a
journal was written, which the next command completes.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from invarmr.archive.manifest import MANIFEST, OWN, Manifest, digest, foreign, nested, shown
from invarmr.errors import InputError, first_few

__all__ = ["JOURNAL", "put", "recover", "sync"]

JOURNAL = f"{OWN}journal.json"
_AT_FDCWD, _EXCHANGE = -100, 2


def sync(folder: Path) -> None:
    """Make every file and folder durable: a power cut after this leaves them whole."""
    for path in [*folder.rglob("*"), folder]:
        _sync_one(path)


def _sync_one(path: Path) -> None:
    with suppress(OSError):  # some file systems cannot sync a folder
        stream = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        try:
            os.fsync(stream)
        finally:
            os.close(stream)


def put(new: Path, out: Path, previous: Manifest | None, *, beside_others: bool = False) -> None:
    """Make `new` the folder `out`; `previous` is the manifest of what lies there, None where nothing does.

    With `beside_others` whatever else lies in `out` stays.

    Raises
    ------
    InputError
        Something of the user's appeared in `out` meanwhile, or a step failed; the message says where the finished
        result is.
    """
    sync(new)
    if not out.exists():
        _rename(new, out)
    elif not beside_others and _movable(out) and _exchange(new, out):
        _discard(new, out, previous)
    else:
        _in_place(new, out, previous, beside_others=beside_others)
    _sync_one(out.parent)


def _rename(new: Path, out: Path) -> None:
    try:
        os.rename(new, out)
    except OSError as error:
        raise _kept_aside(new, out, f"it could not be put there ({error.strerror})") from error


def _movable(out: Path) -> bool:
    """Whether the folder's name may pass to another folder: nobody stands in it, nothing else lives in it."""
    here = Path.cwd()
    return not (out.is_symlink() or os.path.ismount(out) or here == out or out in here.parents or nested(out))


def _exchange(new: Path, out: Path) -> bool:
    """Let two folders trade names in one step; False where this system or file system cannot."""
    library = ctypes.CDLL(None, use_errno=True)
    first, second = os.fsencode(new), os.fsencode(out)
    if sys.platform == "darwin":
        return bool(library.renamex_np(first, second, _EXCHANGE) == 0)
    call = getattr(library, "renameat2", None)
    return call is not None and call(_AT_FDCWD, first, _AT_FDCWD, second, _EXCHANGE) == 0


def _discard(old: Path, out: Path, previous: Manifest | None) -> None:
    """Remove what an earlier run wrote, now that it lies beside; whatever else turned up there is kept."""
    strangers = [*foreign(old, previous), *_changed(old, previous)]
    if not strangers:
        shutil.rmtree(old, ignore_errors=True)
        return
    aside = _free_name(out.with_name(f"{out.name}-before"))
    os.rename(old, aside)
    raise InputError(
        f"{shown(out)} is done, but while it was made somebody wrote {first_few(strangers)} there: the "
        "earlier folder, with "
        f"these files, is {aside} now."
    )


def _changed(folder: Path, manifest: Manifest | None) -> list[str]:
    """Files of a manifest that are no longer what it says: somebody's work."""
    files = {} if manifest is None else manifest.files
    return [
        name
        for name, entry in files.items()
        if os.path.lexists(folder / name)
        and ((folder / name).is_symlink() or not (folder / name).is_file() or digest(folder / name) != entry.sha256)
    ]


def _kept_aside(new: Path, out: Path, why: str) -> InputError:
    """Keep a finished result under a free name beside `out`, and say so."""
    aside = _free_name(out.with_name(f"{out.name}-new"))
    os.rename(new, aside)
    return InputError(f"{shown(out)}: {why}. The finished result is {shown(aside)}.")


def _free_name(path: Path) -> Path:
    names = (path, *(path.with_name(f"{path.name}-{number}") for number in range(2, 10_000)))
    return next(name for name in names if not os.path.lexists(name))


def _in_place(new: Path, out: Path, previous: Manifest | None, *, beside_others: bool) -> None:
    """Move files one by one behind a journal; the last is the manifest."""
    strangers = [*([] if beside_others else foreign(out, previous)), *_changed(out, previous)]
    names = sorted(str(path.relative_to(new)) for path in new.rglob("*") if path.is_file() and path.name != MANIFEST)
    old = () if previous is None else previous.files
    blocked = [name for name in names if name not in old and os.path.lexists(out / name)]
    if strangers or blocked:
        raise _kept_aside(
            new, out, f"it holds files that are not of an earlier run ({first_few(strangers or blocked)})"
        )
    staged = out / new.name
    if staged != new:
        shutil.move(new, staged)
    journal = {"staged": staged.name, "put": names, "remove": sorted(set(old) - set(names))}
    draft = staged / JOURNAL
    draft.write_text(json.dumps(journal) + "\n", encoding="utf-8")
    _sync_one(draft)
    draft.replace(out / JOURNAL)
    _sync_one(out)
    recover(out)


def recover(out: Path) -> None:
    """Complete what a killed command had begun to put into `out`; nothing where there is no journal.

    Raises
    ------
    InputError
        The journal is damaged, or a step failed; the journal stays.
    """
    path = out / JOURNAL
    if not path.is_file() or path.is_symlink():
        return
    try:
        journal = json.loads(path.read_text(encoding="utf-8"))
        staged, names, removed = out / journal["staged"], journal["put"], journal["remove"]
        _complete(staged, out, names, removed)
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f"{shown(out)}: a command was stopped while it put files there, and the rest cannot be moved ({reason}). "
            "Clear the way, and give the command again."
        ) from error
    path.unlink()
    shutil.rmtree(staged, ignore_errors=True)
    _sync_one(out)


def _complete(staged: Path, out: Path, names: Sequence[str], removed: Sequence[str]) -> None:
    for name in (*names, MANIFEST):
        if (staged / name).exists():
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            (staged / name).replace(out / name)
            _sync_one((out / name).parent)
    for name in removed:
        (out / name).unlink(missing_ok=True)
        with suppress(OSError):
            (out / name).parent.rmdir()  # where it is empty
