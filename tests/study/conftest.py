"""A small study of arrays drawn here, written as the files a user would bring, with any of its parts changed first."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from invarmr.cli import main


class SmallStudy:
    """Three sites, eight variants, a true effect of 0.5; everything may be changed before `write`."""

    def __init__(self, folder: Path, write_bed: Callable[..., Path], *, n: int = 900, d: int = 8) -> None:
        rng = np.random.default_rng(5)
        self.folder, self._write_bed = folder, write_bed
        site = np.arange(n) % 3
        frequency = np.clip(0.4 + np.outer([-1, 0, 1], np.linspace(-0.15, 0.2, d)), 0.05, 0.95)
        calls = rng.binomial(2, frequency[site].T)
        confounder = rng.normal(size=n) + site
        exposure = 0.4 * calls.sum(axis=0) + confounder + rng.normal(size=n)
        self.calls: np.ndarray = calls
        self.ids = [f"P{i:04d}" for i in range(n)]
        self.variant_ids = [f"rs{j + 1}" for j in range(d)]
        self.alleles = [("A", "G")] * d
        self.separator = "\t"
        self.phenotypes = pl.DataFrame(
            {
                "IID": self.ids,
                "site": np.array(["north", "south", "west"])[site],
                "ldl": exposure,
                "sbp": 0.5 * exposure + confounder + rng.normal(size=n),
                "age": rng.integers(40, 70, n),
                "sex": rng.choice(["F", "M"], n),
                "family": [f"F{i // 3}" for i in range(n)],
            }
        )
        self.instruments = pl.DataFrame(
            {"SNP": self.variant_ids, "effect_allele": ["A"] * d, "other_allele": ["G"] * d}
        )
        self.table = "phenotypes.tsv"
        self.settings: dict[str, dict[str, Any]] = {
            "genotypes": {"path": "cohort.bed"},
            "phenotypes": {
                "path": self.table,
                "exposure": "ldl",
                "outcome": "sbp",
                "environment": "site",
                "covariates": ["age"],
            },
            "instruments": {"variants": "instruments.tsv"},
            "run": {"seed": 3},
        }

    def set(self, section: str, **settings: Any) -> SmallStudy:
        kept = self.settings.setdefault(section, {}) | settings
        self.settings[section] = {key: value for key, value in kept.items() if value is not None}
        return self

    def change(self, **columns: Any) -> SmallStudy:
        self.phenotypes = self.phenotypes.with_columns(**columns)
        return self

    def write(self) -> Path:
        self.folder.mkdir(exist_ok=True)
        self._write_bed(
            self.folder / "cohort.bed",
            self.calls,
            sample_ids=self.ids,
            variant_ids=self.variant_ids,
            alleles=self.alleles,
            separator=self.separator,
        )
        self.instruments.write_csv(self.folder / "instruments.tsv", separator="\t")
        table = self.folder / self.settings["phenotypes"]["path"]
        if table.suffix == ".parquet":
            self.phenotypes.write_parquet(table)
        else:
            separator = "," if table.suffix == ".csv" else "\t"
            self.phenotypes.write_csv(table, separator=separator, null_value="NA")
        sections = [
            f"[{name}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in settings.items())
            for name, settings in self.settings.items()
        ]
        path = self.folder / "study.toml"
        path.write_text("\n".join(sections), encoding="utf-8")
        return path


@pytest.fixture
def small_study(tmp_path, write_bed):
    def make(name="study", **sizes):
        return SmallStudy(tmp_path / name, write_bed, **sizes)

    return make


@pytest.fixture
def no_report(monkeypatch):
    """Leave out the page, which takes most of the time of a small study; its own tests draw it."""
    monkeypatch.setattr("invarmr.study.run.report_archive", lambda archive: archive.folder / "report.html")


@pytest.fixture
def invarmr(capsys):
    """Run the command line in this process: `status, stdout, stderr = invarmr("run", ...)`."""

    def call(*arguments):
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return ended.value.code, out, err

    return call


@pytest.fixture
def refused(invarmr, tmp_path):
    """Run a study that cannot be run: exit status 2, one line on standard error, nothing written; the line."""

    def call(study, *, command="run"):
        out = tmp_path / "deep" / "out"
        status, printed, message = invarmr(command, study, "--out", out, "--quiet")
        assert status == 2, message
        assert printed == ""
        assert message.startswith("invarmr: ")
        assert message.count("\n") == 1
        assert "Traceback" not in message
        assert not out.parent.exists()
        return message

    return call
