"""Fixtures shared by every room: where the oracle data lie, and genotypes written by hand."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

BED_CODES = {2: 0b00, -9: 0b01, 1: 0b10, 0: 0b11}


@pytest.fixture(scope="session")
def oracles() -> Path:
    """Folder of real data and foreign numbers; tests that need it are skipped where it is absent."""
    default = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("INVARMR_ORACLES", default))
    if not folder.is_dir():
        pytest.skip(f"no oracle data at {folder}; set INVARMR_ORACLES")
    return folder


@pytest.fixture(scope="session")
def write_bed() -> Callable[..., Path]:
    """Write PLINK 1 files by hand: `write_bed(prefix, genotypes)` returns the .bed."""

    def write(
        prefix: Path,
        genotypes: Sequence[Sequence[int]] | np.ndarray,
        *,
        sample_ids: Sequence[str] | None = None,
        variant_ids: Sequence[str] | None = None,
        alleles: Sequence[tuple[str, str]] | None = None,
        chromosomes: Sequence[str] | None = None,
        separator: str = "\t",
    ) -> Path:
        """Genotypes are copies of A1, (variants, samples), -9 missing."""
        calls = np.atleast_2d(np.asarray(genotypes))
        m, n = calls.shape
        sample_ids = sample_ids or [f"s{i}" for i in range(n)]
        variant_ids = variant_ids or [f"rs{j}" for j in range(m)]
        alleles = alleles or [("A", "G")] * m
        chromosomes = chromosomes or ["1"] * m
        packed = bytearray(b"\x6c\x1b\x01")
        for row in calls.tolist():
            for start in range(0, n, 4):
                packed.append(sum(BED_CODES[call] << 2 * k for k, call in enumerate(row[start : start + 4])))
        bim = [
            (chromosomes[j], variant_ids[j], "0", str(100 * (j + 1)), alleles[j][0], alleles[j][1]) for j in range(m)
        ]
        fam = [(f"F{i}", sample_ids[i], "0", "0", "1", "-9") for i in range(n)]
        for suffix, rows in ((".bim", bim), (".fam", fam)):
            lines = "".join(separator.join(row) + "\n" for row in rows)
            prefix.with_suffix(suffix).write_text(lines, encoding="utf-8")
        bed = prefix.with_suffix(".bed")
        bed.write_bytes(bytes(packed))
        return bed

    return write
