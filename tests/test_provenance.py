from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import pytest

import invarmr
from invarmr.errors import InputError
from invarmr.provenance import check_fingerprint, describe_run, fingerprint


def test_a_fingerprint_is_path_size_and_digest(tmp_path: Path) -> None:
    file = tmp_path / "x.txt"
    file.write_bytes(b"abc")
    found = fingerprint(file)
    assert found == {"path": str(file), "bytes": 3, "sha256": hashlib.sha256(b"abc").hexdigest()}
    check_fingerprint(found)
    file.write_bytes(b"abcd")
    with pytest.raises(InputError, match="had 3 bytes when the study was read, but has 4 bytes now"):
        check_fingerprint(found)
    file.unlink()
    with pytest.raises(InputError, match="is gone"):
        check_fingerprint(found)


@pytest.mark.parametrize(
    ("argv", "command"),
    [(["/bin/invarmr", "run", "s.toml"], "invarmr run s.toml"), (["pytest"], "Python API"), ([], "Python API")],
)
def test_a_run_can_be_told_again(tmp_path: Path, monkeypatch, argv, command) -> None:
    monkeypatch.setattr(sys, "argv", argv)
    file = tmp_path / "x.txt"
    file.write_bytes(b"abc")
    found = describe_run(settings={"a": 1}, seed=7, inputs=[file], version=invarmr.__version__)
    assert found["command"] == command
    assert found["seed"] == 7
    assert found["settings"] == {"a": 1}
    assert found["inputs"] == [fingerprint(file)]
    assert {"python", "numpy", "scipy"} <= set(found["versions"])
    assert json.loads(json.dumps(found)) == found
