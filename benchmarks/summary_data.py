"""Summary data: harmonising 100,000 variants, and MR-PRESSO, each against a plain loop that does the same.

    python benchmarks/summary_data.py [--variants 100000] [--instruments 50]

Ratios are of one run on one machine, single-threaded; the loops are written as the methods read.
"""

from __future__ import annotations

import argparse
import os
import time

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", POLARS_MAX_THREADS="1")

import numpy as np
import polars as pl

from invarmr.data.harmonised import Associations
from invarmr.data.summary_statistics import SummaryStatistics
from invarmr.estimators.summary.presso import Presso
from invarmr.genetics.harmonise import harmonise

PAIRED = dict(zip("ACGT", "TGCA", strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--variants", type=int, default=100_000)
    parser.add_argument("--instruments", type=int, default=50)
    options = parser.parse_args()
    harmonising(options.variants)
    for n_draws in (1_000, 10_000):
        presso(options.instruments, n_draws)


def harmonising(n: int) -> None:
    exposure, outcome = study(n, 1), study(n, 2)
    vectorised, result = min((timed(lambda: harmonise(exposure, outcome)) for _ in range(3)), key=lambda pair: pair[0])
    loop, table = timed(lambda: plain_table(exposure.frame, outcome.frame))
    print(f"harmonise {n:,} variants: {vectorised:.2f} s; plain loop {loop:.2f} s; ratio {loop / vectorised:.1f}")
    print(f"  kept {result.frame['mr_keep'].sum():,} and {table['mr_keep'].sum():,} by the loop")


def plain_table(exposure: pl.DataFrame, outcome: pl.DataFrame) -> pl.DataFrame:
    """Match rows by id in a dictionary, and write one row after the other."""
    there = {row["SNP"]: row for row in outcome.iter_rows(named=True)}
    rows = []
    for left in exposure.iter_rows(named=True):
        right = there.get(left["SNP"])
        if right is not None:
            beta = plain_harmonise(left, right)
            row = {f"{name}.exposure": value for name, value in left.items()}
            row |= {f"{name}.outcome": value for name, value in right.items()}
            rows.append(row | {"beta.outcome": beta, "mr_keep": beta is not None})
    return pl.DataFrame(rows, infer_schema_length=None)


def study(n: int, seed: int) -> SummaryStatistics:
    rng = np.random.default_rng(seed)
    first = rng.integers(0, 4, n)
    bases = np.array(list("ACGT"))
    frame = pl.DataFrame(
        {
            "SNP": [f"rs{row}" for row in range(n)],
            "effect_allele": bases[first],
            "other_allele": bases[(first + rng.integers(1, 4, n)) % 4],
            "beta": rng.normal(size=n),
            "se": np.full(n, 0.1),
            "eaf": rng.uniform(size=n),
        }
    )
    return SummaryStatistics.from_frame(frame, name=f"trait{seed}")


def plain_harmonise(exposure: dict, outcome: dict) -> float | None:
    """One variant by the rules of mode 2, an `if` at a time: the outcome's effect, None where dropped."""
    a1, a2, b1, b2 = (row[name] for row in (exposure, outcome) for name in ("effect_allele", "other_allele"))
    fa, fb, beta = exposure["eaf"], outcome["eaf"], outcome["beta"]
    if {a1, a2} != {b1, b2} and PAIRED[a1] != a2:
        b1, b2 = PAIRED[b1], PAIRED[b2]
    if (a1, a2) == (b2, b1):
        beta, fb = -beta, 1 - fb
    elif (a1, a2) != (b1, b2):
        return None
    if PAIRED[a1] == a2:
        if 0.42 < fa < 0.58 or 0.42 < fb < 0.58:
            return None
        return -beta if (fa < 0.5) != (fb < 0.5) else beta
    return beta


def presso(p: int, n_draws: int) -> None:
    rng = np.random.default_rng(1)
    true, sigma = rng.uniform(0.05, 0.15, p), np.full(p, 0.01)
    data = Associations.from_arrays(
        exposure=true + sigma * rng.normal(size=p),
        exposure_std_error=sigma,
        outcome=0.5 * true + np.where(np.arange(p) < 3, 0.06, 0.0) + sigma * rng.normal(size=p),
        outcome_std_error=sigma,
    )
    method = Presso(n_draws=n_draws)
    vectorised, answer = min((timed(lambda: method.fit(data)) for _ in range(3)), key=lambda pair: pair[0])
    loop, (rss, p_global) = timed(lambda: plain_presso(data, n_draws))
    print(
        f"MR-PRESSO, {p} variants, {n_draws:,} draws: {1000 * vectorised:.1f} ms; plain loop {loop:.1f} s; "
        f"ratio {loop / vectorised:.0f}"
    )
    found = answer.extras
    print(f"  RSS {found['global_rss']:.6f} and {rss:.6f}, p {found['global_pval']:.4f} and {p_global:.4f} by the loop")


def plain_presso(data: Associations, n_draws: int) -> tuple[float, float]:
    """The method as it reads: a regression for every variant of every draw."""
    rng = np.random.default_rng(2)
    rows = np.arange(data.n_variants)

    def slopes(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        found = []
        for j in rows:
            rest = rows != j
            s = data.outcome_std_error[rest]
            found.append(np.linalg.lstsq((x[rest] / s)[:, None], y[rest] / s, rcond=None)[0][0])
        return np.array(found)

    def residual_sum(x: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray]:
        b = slopes(x, y)
        return float((((y - b * x) / data.outcome_std_error) ** 2).sum()), b

    rss, b = residual_sum(data.exposure, data.outcome)
    above = 0
    for _ in range(n_draws):
        x = rng.normal(data.exposure, data.exposure_std_error)
        y = rng.normal(b * data.exposure, data.outcome_std_error)
        above += residual_sum(x, y)[0] > rss
    return rss, above / n_draws


def timed(work):
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


if __name__ == "__main__":
    main()
