import subprocess
import sys

import polars as pl
import pytest

from invarmr.errors import InputError
from invarmr.reproduce.tidy_table import (
    COLUMNS,
    MODEL_COLUMNS,
    Store,
    locked,
    parse_settings,
    settings_text,
    write_whole,
)

ISSUE = (
    "design, environments, mixing, symmetric, seed, learner, settings, estimator, estimate, bias, recovery, leakage, "
    "leakage_nonlinear, gcm_p, validation, seconds"
)


def row(**changes):
    base = dict.fromkeys(COLUMNS) | {
        "design": "p2-q2-n500", "environments": 2, "mixing": "poly1", "symmetric": True, "seed": 1, "learner": "none",
        "settings": "", "estimator": "OLS", "estimate": 1.3, "bias": 0.3, "seconds": 0.1,
    }  # fmt: skip
    return base | changes


def test_the_columns_are_those_asked_for(tmp_path):
    store = Store(tmp_path)
    store.add([row()])
    assert (tmp_path / "replicates.tsv").read_text().splitlines()[0].split("\t") == ISSUE.split(", ")


def test_rows_are_kept_replaced_by_key_and_read_back(tmp_path):
    store = Store(tmp_path)
    model = dict.fromkeys(MODEL_COLUMNS) | {"design": "d", "settings": "n_latent=2", "seed": 1, "failure": ""}
    store.add([row(), row(seed=2, estimate=None, bias=None)], [model])
    store.add([row(estimate=1.5), row(symmetric=False)])
    again = Store(tmp_path)
    assert again.replicates.equals(store.replicates)
    assert again.models.equals(store.models.with_columns(pl.col(pl.String).fill_null("")))
    assert dict(again.replicates.select("seed", "estimate").filter(again.replicates["symmetric"]).iter_rows()) == {
        1: 1.5,
        2: None,
    }
    assert again.replicates.height == 3
    assert again.keys() == {
        ("p2-q2-n500", 2, "poly1", symmetric, seed, "none", "")
        for symmetric, seed in ((True, 1), (True, 2), (False, 1))
    }
    assert '""' not in (tmp_path / "replicates.tsv").read_text()


def test_another_table_in_its_place_is_refused(tmp_path):
    (tmp_path / "replicates.tsv").write_text("a\tb\n1\t2\n")
    with pytest.raises(InputError, match="must have the columns design, environments"):
        Store(tmp_path)


def test_settings_go_into_a_cell_and_come_out():
    text = settings_text({"n_latent": 2, "lambda_relevance": 0.001, "decoder": "mlp"})
    assert text == "decoder=mlp;lambda_relevance=0.001;n_latent=2"
    assert parse_settings(text) == {"decoder": "mlp", "lambda_relevance": "0.001", "n_latent": "2"}
    assert parse_settings(None) == parse_settings("") == {}


def test_writing_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_whole(path, "old")

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr("pathlib.Path.replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_whole(path, b"new")
    assert [item.name for item in tmp_path.iterdir()] == ["file"]
    assert path.read_text() == "old"


def test_two_runs_do_not_write_into_one_folder(tmp_path):
    program = (
        "import sys; from pathlib import Path\n"
        "from invarmr.reproduce.tidy_table import locked\n"
        "with locked(Path(sys.argv[1])): pass"
    )
    with locked(tmp_path / "deep" / "out"):
        run = subprocess.run(
            [sys.executable, "-c", program, str(tmp_path / "deep" / "out")], capture_output=True, text=True, check=False
        )
        assert "Another run is writing into" in run.stderr
    with locked(tmp_path / "deep" / "out"):
        pass
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="nothing can be written there"), locked(tmp_path / "file"):
        pass
