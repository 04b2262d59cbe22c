"""Open, make and change result folders: locked, verified, and written whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from invarmr import __version__
from invarmr.archive.lock import locked, private_folder, sweep
from invarmr.archive.manifest import MANIFEST, Entry, Kind, Manifest, digest, foreign, nested, shown, verify
from invarmr.archive.swap import put, recover
from invarmr.errors import InputError, first_few

__all__ = ["Workspace", "changed_folder", "new_folder", "opened_folder", "seal"]

_COMMANDS = {
    "study": "run or read",
    "two-sample": "mr",
    "associations": "associate",
    "reproduction": "reproduce",
    "simulated": "simulate",
}


@dataclass
class Workspace:
    """A private folder that becomes the result when the block ends without an error.

    Parameters
    ----------
    path
        Where to write.
    out
        What it will be.
    command
        Who writes.
    people
        Files with a row per person; only their owner may read them.
    """

    path: Path
    out: Path
    kind: Kind
    command: str
    previous: Manifest | None = None
    people: set[str] = field(default_factory=set)
    carried: dict[str, Entry] = field(default_factory=dict)
    beside_others: bool = False

    def forget(self, names: Iterable[str]) -> None:
        """Remove files that no longer follow from the others."""
        for name in names:
            (self.path / name).unlink(missing_ok=True)
            self.carried.pop(name, None)
            if (self.path / name).parent != self.path:
                with suppress(OSError):
                    (self.path / name).parent.rmdir()  # where it is empty

    def manifest(self) -> Manifest:
        """What the workspace holds now."""
        files = {}
        for path in sorted(self.path.rglob("*")):
            name = str(path.relative_to(self.path))
            if path.is_file() and name != MANIFEST:
                files[name] = self._entry(name, digest(path))
        content = json.dumps([self.kind, __version__, *((name, entry.sha256) for name, entry in files.items())])
        return Manifest(self.kind, hashlib.sha256(content.encode()).hexdigest()[:32], __version__, files)

    def _entry(self, name: str, sha256: str) -> Entry:
        before = self.carried.get(name)
        if before is not None and before.sha256 == sha256:
            return before
        return Entry(sha256, self.command, name in self.people)


@contextmanager
def new_folder(
    out: Path | str, *, kind: Kind, command: str, inputs: Iterable[Path] = (), beside_others: bool = False
) -> Iterator[Workspace]:
    """Make a result folder, or replace one of the same kind.

    Parameters
    ----------
    out
        Its final place: a new name, an empty folder, or a result that the same kind of command wrote and nobody
        touched since.
    kind, command
        Of result; who writes it.
    inputs
        Files and folders that are read meanwhile; none of them may lie in `out`.
    beside_others
        Leave files that are not of an earlier run where they are, instead of refusing the folder.

    Raises
    ------
    InputError
        `out` is a file, holds something that no earlier run wrote or that was changed since, holds an input, is being
        written by another command, or cannot be written. Nothing is changed then.
    """
    folder = _resolved(out)
    with suppress(OSError):  # what cannot be looked at is told below
        _check_inputs(folder, inputs)
    made = _make_parents(folder)
    try:
        with locked(folder):
            previous = _replaceable(folder, kind, beside_others=beside_others)
            sweep(folder)
            workspace = Workspace(private_folder(folder), folder, kind, command, previous, beside_others=beside_others)
            with _committed(workspace):
                yield workspace
    finally:
        _remove_empty(made)


@contextmanager
def changed_folder(folder: Path | str, *, kind: Kind, command: str) -> Iterator[Workspace]:
    """Change a result folder: the workspace begins with all its files, and takes its place at the end.

    Files of the workspace are shared with the old folder until they are replaced: write a new file and rename it, never
    into an old one.

    Raises
    ------
    InputError
        As `opened_folder`.
    """
    place = _resolved(folder)
    with opened_folder(place, kind=kind) as manifest:
        _refuse(place, foreign(place, manifest))
        workspace = Workspace(private_folder(place), place, kind, command, manifest)
        workspace.carried = dict(manifest.files)
        workspace.people = {name for name, entry in manifest.files.items() if entry.people}
        with _committed(workspace):
            for name in manifest.files:
                _link(place / name, workspace.path / name)
            yield workspace


@contextmanager
def opened_folder(folder: Path | str, *, kind: Kind) -> Iterator[Manifest]:
    """Hold a result folder, verified file by file against its manifest, until the block is done.

    Raises
    ------
    InputError
        No such folder or no result in it, files that were changed, removed or swapped since they were written (each
        named), or another command at work there.
    """
    place = _resolved(folder)
    if not place.is_dir():
        raise InputError(
            f"{shown(place)}: the folder of a finished run was required, but there is none. Check the path."
        )
    with locked(place):
        recover(place)
        sweep(place)
        manifest = Manifest.read(place)
        if manifest is None or manifest.kind != kind:
            what = f"has no {MANIFEST}" if manifest is None else f"was written by `invarmr {_COMMANDS[manifest.kind]}`"
            raise InputError(
                f"{shown(place)} {what}: a folder that `invarmr {_COMMANDS[kind]}` wrote was required. Check "
                "the path, or "
                "run it again into a new folder."
            )
        verify(place, manifest)
        yield manifest


def seal(folder: Path, *, kind: Kind, command: str = "seal", people: Iterable[str] = ()) -> Manifest:
    """Write the manifest of a folder as it is: for results that another program put together.

    Parameters
    ----------
    folder
        Whose files are accounted for from now on.
    kind, command, people
        As for a workspace.
    """
    workspace = Workspace(folder, folder, kind, command, people=set(people))
    manifest = workspace.manifest()
    (folder / MANIFEST).unlink(missing_ok=True)
    (folder / MANIFEST).write_text(manifest.text(), encoding="utf-8")
    return manifest


def _resolved(path: Path | str) -> Path:
    try:
        return Path(path).expanduser().resolve()
    except (OSError, RuntimeError) as error:
        raise InputError(f"{path}: this path cannot be followed ({error}). Check it.") from error


@contextmanager
def _committed(workspace: Workspace) -> Iterator[None]:
    """Put the workspace in place at the end; remove it whatever happens."""
    try:
        yield
        manifest = workspace.manifest()
        _set_modes(workspace, manifest)
        (workspace.path / MANIFEST).write_text(manifest.text(), encoding="utf-8")
        put(workspace.path, workspace.out, workspace.previous, beside_others=workspace.beside_others)
    finally:
        shutil.rmtree(workspace.path, ignore_errors=True)


def _begun(folder: Path, kind: Kind, command: str, *, beside_others: bool) -> Workspace:
    """A workspace for a folder that may be made or replaced."""
    try:
        previous = _replaceable(folder, kind, beside_others=beside_others)
        sweep(folder)
        return Workspace(private_folder(folder), folder, kind, command, previous, beside_others=beside_others)
    except OSError as error:
        raise InputError(
            f"--out {shown(folder)}: nothing can be written there ({error.strerror}). Choose a folder that "
            "can be written."
        ) from error


def _set_modes(workspace: Workspace, manifest: Manifest) -> None:
    """Files about people: for their owner alone; the folder: as it was, or as any new folder."""
    for name, entry in manifest.files.items():
        if entry.people:
            (workspace.path / name).chmod(0o600)
    umask = os.umask(0o077)
    os.umask(umask)
    before = workspace.out.stat().st_mode & 0o7777 if workspace.out.is_dir() else 0o777 & ~umask
    workspace.path.chmod(before)


def _replaceable(folder: Path, kind: Kind, *, beside_others: bool) -> Manifest | None:
    """The manifest of what may be replaced; None where nothing is there."""
    if not os.path.lexists(folder):
        return None
    if not folder.is_dir():
        raise InputError(f"--out must be a folder, but {shown(folder)} is a file. Choose another name.")
    recover(folder)
    manifest = Manifest.read(folder)
    if not beside_others:
        _refuse(folder, foreign(folder, manifest))
    if manifest is None:
        return None
    if manifest.kind != kind:
        raise InputError(
            f"{shown(folder)} holds what `invarmr {_COMMANDS[manifest.kind]}` wrote, which `invarmr "
            f"{_COMMANDS[kind]}` does "
            "not replace. Choose a new folder."
        )
    verify(folder, manifest)
    return manifest


def _refuse(folder: Path, strangers: list[str]) -> None:
    if strangers:
        raise InputError(
            f"{shown(folder)} holds files that invarmr did not write there ({first_few(strangers)}), and "
            "could mix them with "
            "its own. Choose a new or empty folder, or move them away."
        )


def _check_inputs(folder: Path, inputs: Iterable[Path]) -> None:
    own = [folder, *nested(folder)]
    for path in inputs:
        place = _resolved(path)
        holder = next((parent for parent in (place, *place.parents) if parent in own), None)
        if holder == folder:
            raise InputError(
                f"{path} is an input and lies in --out {shown(folder)}, where it could be replaced. Choose "
                "another folder."
            )


def _make_parents(folder: Path) -> list[Path]:
    """Make the folders that lead to `folder`; those that had to be made, the innermost first."""
    missing = [parent for parent in folder.parents if not parent.exists()]
    try:
        if not folder.parents[len(missing)].is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        folder.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        _remove_empty(missing)
        raise InputError(
            f"--out {shown(folder)}: nothing can be written there ({error.strerror}). Choose a folder that "
            "can be written."
        ) from error
    return missing


def _remove_empty(made: list[Path]) -> None:
    for place in made:
        if place.is_dir() and not any(place.iterdir()):
            place.rmdir()


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, target)
