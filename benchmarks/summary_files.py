"""Two-sample MR with an outcome file of 20 million rows: the whole command, from the files to the written tables.

    python benchmarks/summary_files.py [--rows 20000000] [--instruments 100] [--folder DIR]

A file of FinnGen's layout is simulated, plain and packed. Each is then the outcome of `invarmr mr` with a small
exposure file; and the exposure too, of which the variants below 5e-8 are taken (`--p-value`). Wall seconds and the most
memory that the command held are those of a process of its own; beside them what it takes to read the bytes and do
nothing.
"""

from __future__ import annotations

import argparse
import gzip
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

PART = 2_000_000
RUN = """
import atexit, sys
from pathlib import Path
from invarmr.cli import main
peak = lambda: [line for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line][0].split()[1]
atexit.register(lambda: print(peak(), file=sys.stderr))
main(sys.argv[1:])
"""  # the peak of the process itself: what the kernel tells its parent counts the parent's memory too


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=20_000_000)
    parser.add_argument("--instruments", type=int, default=100)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        exposure = simulate(folder, options.rows, options.instruments)
        for outcome in (folder / "outcome.tsv", folder / "outcome.tsv.gz"):
            size = outcome.stat().st_size / 1e9
            print(f"{outcome.name}: {options.rows:,} rows, {size:.2f} GB; bytes alone {bare(outcome):.1f} s")
            said("outcome", command(exposure, outcome, folder / "out"))
            strong = command(outcome, exposure, folder / "out", "--p-value", "5e-8", "--mode", "forward")
            said("exposure, --p-value 5e-8", strong)


def simulate(folder: Path, n_rows: int, n_instruments: int) -> Path:
    rng = np.random.default_rng(1)
    bases = np.array(list("ACGT"))
    chosen = np.sort(rng.choice(n_rows, n_instruments, replace=False))
    effect = rng.uniform(0.05, 0.1, n_instruments)
    tables = []
    with (folder / "outcome.tsv").open("wb") as plain, gzip.open(folder / "outcome.tsv.gz", "wb", 1) as packed:
        for start in range(0, n_rows, PART):
            n = min(PART, n_rows - start)
            first = rng.integers(0, 4, n)
            beta = rng.normal(0, 0.02, n).round(6)
            here = (chosen >= start) & (chosen < start + n)
            beta[chosen[here] - start] = (0.4 * effect[here]).round(6) + 0.2
            row = np.arange(start, start + n)
            table = pl.DataFrame(
                {
                    "#chrom": 1 + row * 22 // n_rows,
                    "pos": row * 10,
                    "ref": bases[first],
                    "alt": bases[(first + rng.integers(1, 4, n)) % 4],
                    "rsids": pl.Series(row).cast(pl.String),
                    "nearest_genes": "ABC1",
                    "pval": pl.Series(rng.uniform(size=n)).round_sig_figs(6),
                    "mlogp": rng.uniform(0, 3, n).round(4),
                    "beta": beta,
                    "sebeta": rng.uniform(0.019, 0.021, n).round(6),
                    "af_alt": rng.uniform(0.01, 0.4, n).round(6),
                }
            ).with_columns(pl.concat_str(pl.lit("rs"), "rsids").alias("rsids"))
            table[chosen[here] - start, "pval"] = 1e-12
            tables.append(table[chosen[here] - start])
            text = table.write_csv(separator="\t", include_header=start == 0).encode()
            plain.write(text)
            packed.write(text)
    found = pl.concat(tables).select(
        SNP="rsids", effect_allele="alt", other_allele="ref", beta=pl.Series(effect), se=pl.lit(0.005), eaf="af_alt"
    )
    found.write_csv(folder / "exposure.tsv", separator="\t")
    return folder / "exposure.tsv"


def bare(path: Path) -> float:
    start = time.perf_counter()
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        while file.read(1 << 25):
            pass
    return time.perf_counter() - start


def command(exposure: Path, outcome: Path, out: Path, *more: str) -> tuple[float, float]:
    """Wall seconds and the most memory in GB of `invarmr mr`."""
    asked = ["mr", str(exposure), str(outcome), "--out", str(out), "--no-report", "--quiet", *more]
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", RUN, *asked], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"the command ended with status {done.returncode}: {done.stderr}")
    return time.perf_counter() - start, int(done.stderr.split()[-1]) / 1e6


def said(role: str, figures: tuple[float, float]) -> None:
    print(f"  as the {role}: {figures[0]:.1f} s, {figures[1]:.2f} GB at most")


if __name__ == "__main__":
    main()
