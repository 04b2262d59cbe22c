from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path

import pytest

import invarmr
from invarmr.errors import InputError
from invarmr.provenance import check_fingerprint, check_unwritten, describe_run, fingerprint


def test_a_fingerprint_is_path_size_and_digest(tmp_path: Path) -> None:
    file = tmp_path / "x.txt"
    file.write_bytes(b"abc")
    found = fingerprint(file)
    stamp = found.pop("stamp")
    assert found == {"path": str(file), "bytes": 3, "sha256": hashlib.sha256(b"abc").hexdigest()}
    check_fingerprint(found | {"stamp": stamp})
    for content in (b"abcd", b"abd"):
        file.write_bytes(content)
        with pytest.raises(InputError, match="was changed after the study was read"):
            check_fingerprint(found | {"stamp": stamp})
    file.write_bytes(b"abc")  # the same bytes at another time are the same file
    check_fingerprint(found | {"stamp": stamp})
    file.unlink()
    with pytest.raises(InputError, match="is gone"):
        check_fingerprint(found)


def test_an_old_date_hides_nothing(tmp_path: Path) -> None:
    """`cp -p` and `rsync -t` bring their own times along; the content is compared all the same."""
    file = tmp_path / "cohort.bed"
    file.write_bytes(b"mine")
    found, status = fingerprint(file), file.stat()
    file.write_bytes(b"them")
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    with pytest.raises(InputError, match="was changed"):
        check_fingerprint(found)
    with pytest.raises(InputError, match="was changed while it was read"):
        check_unwritten([found])


@pytest.mark.parametrize(
    ("argv", "command"),
    [(["/bin/invarmr", "run", "s.toml"], "invarmr run s.toml"), (["pytest"], "Python API"), ([], "Python API")],
)
def test_a_run_can_be_told_again(tmp_path: Path, monkeypatch, argv, command) -> None:
    monkeypatch.setattr(sys, "argv", argv)
    file = tmp_path / "x.txt"
    file.write_bytes(b"abc")
    found = describe_run(settings={"a": 1}, seed=7, inputs=[fingerprint(file)], version=invarmr.__version__)
    assert found["command"] == command
    assert found["seed"] == 7
    assert found["settings"] == {"a": 1}
    assert found["inputs"] == [fingerprint(file)]
    assert {"python", "numpy", "scipy"} <= set(found["versions"])
    assert json.loads(json.dumps(found)) == found
