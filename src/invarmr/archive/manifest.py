"""The manifest of a result folder: which files a command wrote, with the SHA-256 of each, and what else lies there.

`manifest.json` is written last and read first. A folder without one was not written by this program; a file that is not
in it, or is not what it says, is the user's.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from invarmr.errors import InputError, first_few

__all__ = ["MANIFEST", "OWN", "Entry", "Kind", "Manifest", "digest", "foreign", "nested", "shown", "verify"]

MANIFEST = "manifest.json"
OWN = ".invarmr-"
"""How names of this program's own temporary files, locks and journals begin."""
FORMAT = 1
Kind = Literal["study", "two-sample", "associations", "reproduction", "simulated"]
_JUNK = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})


@dataclass(frozen=True)
class Entry:
    """One file: the SHA-256 of its bytes, the command that wrote it, and whether it has a row per person."""

    sha256: str
    command: str
    people: bool = False


@dataclass(frozen=True)
class Manifest:
    """What a command left in a folder.

    Parameters
    ----------
    kind
        Of result; a command replaces results of its own kind only.
    run
        Name of this content, from the hashes of its files: two results with one name are the same.
    version
        Of invarmr.
    files
        Path relative to the folder, with `/`, to its entry.
    """

    kind: Kind
    run: str
    version: str
    files: Mapping[str, Entry]

    def text(self) -> str:
        """The manifest as JSON, sealed by the SHA-256 of its own content."""
        content: dict[str, Any] = {
            "format": FORMAT,
            "kind": self.kind,
            "run": self.run,
            "version": self.version,
            "files": {name: vars(entry) for name, entry in sorted(self.files.items())},
        }
        return json.dumps(content | {"seal": _seal(content)}, indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def read(cls, folder: Path) -> Manifest | None:
        """The manifest of a folder; None where there is none.

        Raises
        ------
        InputError
            It is there, but damaged, edited, or of a later format.
        """
        path = folder / MANIFEST
        if not path.is_file() or path.is_symlink():
            return None
        damaged = InputError(
            f"{path} is damaged or was edited: what the folder holds cannot be told apart from other files. Run the "
            "study again into a new folder."
        )
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            seal = content.pop("seal")
            if content["format"] > FORMAT:
                raise InputError(
                    f"{path} has format {content['format']}, but this version of invarmr reads formats up to {FORMAT}. "
                    "Use the version that wrote it, or a later one."
                )
            files = {name: Entry(**entry) for name, entry in content["files"].items()}
            found = cls(content["kind"], content["run"], content["version"], files)
        except InputError:
            raise
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise damaged from error
        if seal != _seal(content) or found.kind not in get_args(Kind) or not all(map(_inside, files)):
            raise damaged
        return found


def _seal(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def _inside(name: str) -> bool:
    """Whether a name stays within the folder."""
    parts = Path(name).parts
    return bool(parts) and not Path(name).is_absolute() and ".." not in parts and name != MANIFEST


def shown(path: Path) -> str:
    """A path as a person at this terminal would write it: relative to where they are, if it lies there."""
    with suppress(OSError, ValueError):
        return str(path.relative_to(Path.cwd()))
    return str(path)


def digest(path: Path) -> str:
    """SHA-256 of a regular file, read in blocks; a link is not followed."""
    found = hashlib.sha256()
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as stream:
        while chunk := stream.read(1 << 22):
            found.update(chunk)
    return found.hexdigest()


def verify(folder: Path, manifest: Manifest) -> None:
    """Make sure that every file of the manifest is there and is what was written.

    Raises
    ------
    InputError
        Files that are gone, changed or no longer plain files; each is named.
    """
    wrong = [f"{name} {fault}" for name, entry in manifest.files.items() if (fault := _fault(folder / name, entry))]
    if wrong:
        raise InputError(
            f"{shown(folder)} is not as invarmr left it: {first_few(wrong)}. Put the files back, or write "
            "into a new folder."
        )


def _fault(path: Path, entry: Entry) -> str:
    """What is wrong with a file, in words; empty where nothing is."""
    if not os.path.lexists(path):
        return "is gone"
    if path.is_symlink() or not path.is_file():
        return "is not a plain file now"
    try:
        return "" if digest(path) == entry.sha256 else "was changed"
    except OSError as error:
        return f"cannot be read ({error.strerror})"


def nested(folder: Path) -> list[Path]:
    """Folders directly or deeper inside `folder` that are results of their own, intact ones and others."""
    return [place for place in _folders(folder) if (place / MANIFEST).is_file()]


def foreign(folder: Path, manifest: Manifest | None) -> list[str]:
    """Names in a folder that no manifest there accounts for: the user's.

    Results inside it that have a manifest of their own are left alone and not named; of those, files that their own
    manifests do not know are named.
    """
    known = set() if manifest is None else {*manifest.files, MANIFEST}
    parents = {str(parent) for name in known for parent in Path(name).parents}
    return sorted(_strangers(folder, "", known, parents))


def _strangers(folder: Path, prefix: str, known: Iterable[str], parents: set[str]) -> Iterator[str]:
    for path in sorted(folder.iterdir()):
        name = prefix + path.name
        if name in known or path.name in _JUNK or (path.name.startswith(OWN) and not prefix):
            continue
        if path.is_symlink() or not path.is_dir():
            yield name
        elif name in parents:
            yield from _strangers(path, f"{name}/", known, parents)
        elif (path / MANIFEST).is_file():
            yield from (f"{name}/{inner}" for inner in foreign(path, Manifest.read(path)))
        else:
            yield f"{name}/"


def _folders(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.is_dir() and not path.is_symlink() and not path.name.startswith(OWN):
            yield path
            yield from _folders(path)
