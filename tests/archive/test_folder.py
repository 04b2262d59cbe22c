"""Result folders: whole or not at all, whoever kills or edits what."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import stat
from pathlib import Path

import pytest

from invarmr.archive import swap
from invarmr.archive.files import read_json, read_table, write_arrays, write_json, write_text
from invarmr.archive.folder import changed_folder, new_folder, opened_folder, seal
from invarmr.archive.lock import locked
from invarmr.archive.manifest import MANIFEST, Manifest, verify
from invarmr.archive.swap import JOURNAL, recover
from invarmr.errors import InputError

OLD, NEW = {"a.tsv": "old a", "b.tsv": "old b", "state/c.txt": "old c"}, {"a.tsv": "new a", "d.tsv": "new d"}


def make(out: Path, content: dict[str, str], **settings: object) -> None:
    with new_folder(out, kind="study", command="run", **settings) as workspace:  # type: ignore[arg-type]  # kinds vary
        for name, text in content.items():
            write_text(workspace.path / name, text)


def content(out: Path) -> dict[str, str]:
    return {
        str(path.relative_to(out)): path.read_text()
        for path in sorted(out.rglob("*"))
        if path.is_file() and path.name != MANIFEST
    }


def whole(out: Path) -> dict[str, str]:
    """Content of a folder that is what its manifest says, with nothing else in it or beside it."""
    manifest = Manifest.read(out)
    assert manifest is not None
    verify(out, manifest)
    found = content(out)
    assert set(found) == set(manifest.files)
    return found


@pytest.fixture
def out(tmp_path: Path) -> Path:
    make(tmp_path / "out", OLD)
    return tmp_path / "out"


def test_a_result_replaces_another_as_a_whole(out: Path) -> None:
    assert whole(out) == OLD
    make(out, NEW)
    assert whole(out) == NEW
    assert [path.name for path in out.parent.iterdir()] == ["out"]


def test_the_same_content_has_the_same_name(out: Path, tmp_path: Path) -> None:
    make(tmp_path / "twin", OLD)
    assert (tmp_path / "twin" / MANIFEST).read_bytes() == (out / MANIFEST).read_bytes()


def test_a_failure_changes_nothing(out: Path) -> None:
    def fail(place: Path) -> None:
        with new_folder(place, kind="study", command="run") as workspace:
            write_text(workspace.path / "a.tsv", "half")
            raise RuntimeError

    for place in (out, out.with_name("fresh") / "deep"):
        with pytest.raises(RuntimeError):
            fail(place)
    assert whole(out) == OLD
    assert [path.name for path in out.parent.iterdir()] == ["out"]


@pytest.mark.parametrize("name", ["notes.txt", "figures/", "state/mine.txt", "link"])
def test_what_invarmr_did_not_write_is_refused_and_kept(out: Path, name: str) -> None:
    path = out / name
    if name == "link":
        path.symlink_to("a.tsv")
    elif name.endswith("/"):
        path.mkdir()
    else:
        path.write_text("mine")
    for attempt in (make, change):
        with pytest.raises(InputError, match=name):
            attempt(out, NEW)
    assert os.path.lexists(path)
    assert (out / "a.tsv").read_text() == "old a"


def change(out: Path, files: dict[str, str]) -> None:
    with changed_folder(out, kind="study", command="learn") as workspace:
        for name, text in files.items():
            write_text(workspace.path / name, text)


def test_a_folder_without_a_manifest_is_the_users(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.tsv").write_text("mine")
    with pytest.raises(InputError, match=r"a\.tsv"):
        make(tmp_path / "out", NEW)
    with pytest.raises(InputError, match=r"has no manifest\.json"):
        change(tmp_path / "out", NEW)
    with pytest.raises(InputError, match="is a file"):
        make(tmp_path / "out" / "a.tsv", NEW)
    with pytest.raises(InputError, match="there is none"):
        change(tmp_path / "nowhere", NEW)


@pytest.mark.parametrize("how", ["edited", "gone", "swapped for a link", "unreadable manifest", "edited manifest"])
def test_what_is_not_as_it_was_left_is_refused_by_name(out: Path, how: str) -> None:
    if how == "edited":
        (out / "a.tsv").write_text("mine")
    elif how == "gone":
        (out / "a.tsv").unlink()
    elif how == "swapped for a link":
        (out / "a.tsv").rename(out.parent / "a.tsv")
        (out / "a.tsv").symlink_to("../a.tsv")
    elif how == "unreadable manifest":
        (out / MANIFEST).write_text("{")
    else:
        about = json.loads((out / MANIFEST).read_text())
        about["files"]["a.tsv"]["sha256"] = "0" * 64
        (out / MANIFEST).write_text(json.dumps(about))
    for attempt in (make, change):
        with pytest.raises(InputError, match=MANIFEST if "manifest" in how else r"a\.tsv"):
            attempt(out, NEW)
    assert (out / "b.tsv").read_text() == "old b"


def test_a_manifest_of_a_later_format_or_with_paths_outside_is_refused(out: Path) -> None:
    about = json.loads((out / MANIFEST).read_text())
    (out / MANIFEST).write_text(json.dumps(about | {"format": 99}))
    with pytest.raises(InputError, match="format 99"):
        make(out, NEW)
    manifest = Manifest("study", "r", "v", {"../x": next(iter(seal(out, kind="study").files.values()))})
    (out / MANIFEST).write_text(manifest.text())
    with pytest.raises(InputError, match="damaged"):
        make(out, NEW)


def test_another_commands_result_is_not_replaced(out: Path) -> None:
    with (
        pytest.raises(InputError, match="wrote, which `invarmr mr` does not replace"),
        new_folder(out, kind="two-sample", command="mr"),
    ):
        pass
    with (
        pytest.raises(InputError, match="was written by `invarmr run or read`"),
        opened_folder(out, kind="associations"),
    ):
        pass
    assert whole(out) == OLD


def test_an_input_in_the_output_is_refused(out: Path) -> None:
    for place in (out / "a.tsv", out):
        with pytest.raises(InputError, match="is an input and lies in --out"):
            make(out, NEW, inputs=[place])
    assert whole(out) == OLD


def test_a_change_keeps_the_rest_and_forgets_what_it_is_told(out: Path) -> None:
    with changed_folder(out, kind="study", command="learn") as workspace:
        workspace.forget(["b.tsv", "state/c.txt"])
        write_text(workspace.path / "a.tsv", "newer a")
    assert whole(out) == {"a.tsv": "newer a"}
    assert not (out / "state").exists()
    manifest = Manifest.read(out)
    assert manifest is not None
    assert manifest.files["a.tsv"].command == "learn"


def test_people_are_for_their_owner(tmp_path: Path) -> None:
    with new_folder(tmp_path / "out", kind="study", command="run") as workspace:
        assert stat.S_IMODE(workspace.path.stat().st_mode) == 0o700
        workspace.people.add("people.tsv")
        write_text(workspace.path / "people.tsv", "x")
        write_text(workspace.path / "sums.tsv", "x")
    assert stat.S_IMODE((tmp_path / "out" / "people.tsv").stat().st_mode) == 0o600
    manifest = Manifest.read(tmp_path / "out")
    assert manifest is not None
    assert [name for name, entry in manifest.files.items() if entry.people] == ["people.tsv"]


def test_one_command_at_a_time(out: Path) -> None:
    with locked(out), pytest.raises(InputError, match=r"another command is at work on .*process"):
        make(out, NEW)
    make(out, NEW)
    assert whole(out) == NEW


def test_a_result_in_a_result_stays(out: Path) -> None:
    make(out / "inner", {"x.tsv": "inner"})
    make(out, NEW)
    assert content(out) == NEW | {"inner/x.tsv": "inner"}
    assert whole(out / "inner") == {"x.tsv": "inner"}
    make(out, OLD, inputs=[out / "inner" / "x.tsv"])  # an input there is safe
    assert content(out) == OLD | {"inner/x.tsv": "inner"}
    (out / "inner" / "mine").write_text("mine")
    with pytest.raises(InputError, match="inner/mine"):
        make(out, NEW)


def test_somebody_standing_in_the_folder_stays_there(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(out)
    make(out, NEW)
    assert sorted(path.name for path in Path().iterdir()) == ["a.tsv", "d.tsv", MANIFEST]
    assert whole(out) == NEW


@pytest.mark.parametrize("exchange", [True, False])
def test_a_file_that_turns_up_meanwhile_is_kept(out: Path, monkeypatch: pytest.MonkeyPatch, exchange: bool) -> None:
    if not exchange:
        monkeypatch.setattr(swap, "_exchange", lambda *_: False)

    def interfere() -> None:
        with new_folder(out, kind="study", command="run") as workspace:
            write_text(workspace.path / "a.tsv", "new a")
            (out / "notes.txt").write_text("mine")

    with pytest.raises(InputError, match=r"notes\.txt"):
        interfere()
    kept = list(out.parent.rglob("notes.txt"))
    assert [path.read_text() for path in kept] == ["mine"]
    assert any(path.read_text() == "new a" for path in out.parent.rglob("a.tsv"))  # nor is the result lost


def test_others_files_stay_where_they_were_asked_to(out: Path) -> None:
    (out / "notes.txt").write_text("mine")
    make(out, NEW, beside_others=True)
    assert content(out) == NEW | {"notes.txt": "mine"}


def _killed(out: Path, step: int, exchange: bool) -> None:
    """In a process of its own: replace the folder, and be killed at the given rename, removal or write."""
    count = 0

    def counted(real):  # type: ignore[no-untyped-def]  # any function of the file system
        def call(*arguments, **settings):  # type: ignore[no-untyped-def]
            nonlocal count
            count += 1
            if count == step:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments, **settings)

        return call

    if not exchange:
        swap._exchange = lambda *_: False
    for owner, name in ((os, "rename"), (os, "fsync"), (os, "link"), (Path, "replace"), (Path, "unlink"),
                        (Path, "write_text"), (Path, "rmdir")):  # fmt: skip
        setattr(owner, name, counted(getattr(owner, name)))
    make(out, NEW)
    os._exit(7)


@pytest.mark.parametrize("exchange", [True, False])
def test_killed_at_any_step_the_folder_is_the_old_one_or_the_new(tmp_path: Path, exchange: bool) -> None:
    context, step, ends = multiprocessing.get_context("fork"), 0, set()
    while True:
        step += 1
        out = tmp_path / str(step) / "out"
        make(out, OLD)
        process = context.Process(target=_killed, args=(out, step, exchange))
        process.start()
        process.join()
        if exchange:
            assert whole(out) in (OLD, NEW)  # without any help
        with opened_folder(out, kind="study"):
            found = whole(out) if not (out / JOURNAL).exists() else None
        assert found in (OLD, NEW)
        ends.add("old" if found == OLD else "new")
        make(out, OLD)  # the next command works, and leaves nothing behind
        assert whole(out) == OLD
        assert [path.name for path in out.parent.iterdir()] == ["out"]
        if process.exitcode == 7:
            break
    assert step > 10
    assert ends == {"old", "new"}


def test_a_journal_that_cannot_be_followed_says_so(out: Path) -> None:
    (out / JOURNAL).write_text("{")
    with pytest.raises(InputError, match="was stopped while it put files there"):
        recover(out)


def test_what_a_killed_command_left_for_a_neighbour_is_swept(tmp_path: Path) -> None:
    with new_folder(tmp_path / "other", kind="study", command="run") as workspace:
        left, lock = workspace.path, next(workspace.path.parent.glob(".invarmr-*.lock"))
    left.mkdir()
    (left / "people.tsv").write_text("people")
    lock.write_text("")
    make(tmp_path / "out", NEW)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other", "out"]


def test_files_that_are_not_what_they_should_be(tmp_path: Path) -> None:
    (tmp_path / "list.json").write_text("[]")
    (tmp_path / "broken.json").write_text("{")
    for name, said in (
        ("list.json", "a JSON object"),
        ("broken.json", "not valid"),
        ("none.json", "could not be read"),
    ):
        with pytest.raises(InputError, match=said):
            read_json(tmp_path / name)
    assert read_table(tmp_path / "none.tsv", {}) is None
    write_json(tmp_path / "x.json", {"a": 1})
    assert read_json(tmp_path / "x.json") == {"a": 1}
    write_arrays(tmp_path / "x.npz", {})
    assert stat.S_IMODE((tmp_path / "x.json").stat().st_mode) & 0o400
