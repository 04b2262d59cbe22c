"""From a .bed file to estimates at biobank scale: time against the bare matrix product, and memory against n.

    python benchmarks/moments_from_bed.py [--samples 500000] [--variants 500] [--threads 2] [--repeats 3]
        [--missing 0]

Each measured part runs in a process of its own. The yardsticks are the float32 products X'Y and X'X of the same size,
their blocks already in memory: nothing read, decoded, checked, grouped or estimated. Of X'X numpy computes half.
Parts take turns; times are the best of the repeats, and ratios are of one run on one machine.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

SITES = 4
BED_MAGIC = b"\x6c\x1b\x01"


def main() -> None:
    options = parse()
    if options.part:
        print(json.dumps({"product": product, "study": study}[options.part](options)))
        return
    few = options.samples // 5
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        paths = {samples: Path(folder) / f"cohort_{samples}" for samples in (few, options.samples)}
        for samples, path in paths.items():
            write_cohort(path, samples, options.variants, missing=options.missing, seed=1)
        small = measure("study", paths[few], few, options)
        turns = [
            (measure("study", paths[options.samples], options.samples, options), measure("product", None, 0, options))
            for _ in range(options.repeats)
        ]
    large = min((study for study, _ in turns), key=lambda found: found["seconds"])
    for samples, found in ((few, small), (options.samples, large)):
        print(
            f"{samples:>9,} people x {options.variants} variants: file to estimates "
            f"{found['seconds']:.2f} s, peak memory {found['peak_mb']:.0f} MB"
        )
    for name, what in (("general", "X'Y"), ("symmetric", "X'X, of which half is computed")):
        bare = min(found[name] for _, found in turns)
        ratio = large["seconds"] / bare
        print(f"bare float32 {what}: {bare:.2f} s; ratio, file to estimates / this product: {ratio:.2f}")
    print(f"ratio, peak memory at 5 x the people / at 1 x: {large['peak_mb'] / small['peak_mb']:.2f}")
    print(f"estimate {large['estimate']:.4f} (true 0.5); seconds by part: {large['parts']}")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=500_000)
    parser.add_argument("--variants", type=int, default=500)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--missing", type=float, default=0.0, help="share of calls that are missing")
    parser.add_argument("--folder", default=None, help="where the temporary files go")
    parser.add_argument("--part", choices=["product", "study"], help=argparse.SUPPRESS)
    parser.add_argument("--path", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def measure(part: str, path: Path | None, samples: int, options: argparse.Namespace) -> dict:
    """Run one part in a fresh process with fixed thread counts."""
    threads = {name: str(options.threads) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS")}
    command = [
        sys.executable,
        __file__,
        "--part",
        part,
        "--path",
        str(path),
        "--samples",
        str(samples or options.samples),
    ]
    command += ["--variants", str(options.variants)]
    done = subprocess.run(command, env={**os.environ, **threads}, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def product(options: argparse.Namespace) -> dict:
    """X'X and X'Y in float32, the same block of people again and again, so that memory is not the limit."""
    block = 20_000
    rng = np.random.default_rng(1)
    X = rng.integers(-1, 2, (block, options.variants)).astype(np.float32)
    total = np.zeros((options.variants, options.variants), dtype=np.float32)
    total += X.T @ X
    Y = X.copy()
    seconds = []
    for other in (X, Y):  # numpy computes half of X'X, and all of X'Y
        start = time.perf_counter()
        for _ in range(options.samples // block):
            total += X.T @ other
        seconds.append(time.perf_counter() - start)
    return {"symmetric": seconds[0], "general": seconds[1]}


def study(options: argparse.Namespace) -> dict:
    """Read, match, settle, filter, take moments, learn, and estimate by every estimator."""
    from invarmr.data.moments import merge_moments
    from invarmr.instruments.base import assign_folds
    from invarmr.instruments.stationary import StationaryInstruments
    from invarmr.study.config import StudyConfig
    from invarmr.study.estimates import all_estimates
    from invarmr.study.read import read_study

    config = StudyConfig.model_validate(
        {
            "genotypes": {"path": options.path.with_suffix(".bed")},
            "phenotypes": {
                "path": options.path.with_suffix(".parquet"),
                "exposure": "exposure",
                "outcome": "outcome",
                "environment": "site",
                "covariates": ["age"],
            },
            "instruments": {"variants": "all"},
            "components": {"count": 0},
        }
    )
    clock = [time.perf_counter()]
    cohort = read_study(config).cohort
    clock.append(time.perf_counter())
    fold = assign_folds(cohort.environment, n_folds=10, seed=1, sample_ids=cohort.sample_ids)
    moments = cohort.folded_moments(fold)
    clock.append(time.perf_counter())
    latent = StationaryInstruments(scale_within_environment=True).fit(moments, seed=1)
    clock.append(time.perf_counter())
    estimates, headline = all_estimates(cohort, merge_moments(moments), latent, config.estimate)
    clock.append(time.perf_counter())
    parts = dict(zip(("read", "moments", "learn", "estimate"), np.diff(clock).round(2).tolist(), strict=True))
    return {
        "seconds": clock[-1] - clock[0],
        "parts": parts,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "estimate": estimates[headline].estimate,
    }


def write_cohort(path: Path, samples: int, variants: int, *, missing: float, seed: int) -> None:
    """Two ancestries mixed at four sites; written variant by variant, so that this needs little memory either."""
    import polars as pl

    rng = np.random.default_rng(seed)
    site = rng.integers(0, SITES, samples)
    share = rng.beta(1.0 + 2 * site, 3.0 + (SITES - site), samples).astype(np.float32)
    score = np.zeros(samples, dtype=np.float32)
    with path.with_suffix(".bed").open("wb") as bed:
        bed.write(BED_MAGIC)
        for _ in range(variants):
            low, high = rng.uniform(0.1, 0.9, 2)
            frequency = low + (high - low) * share
            calls = (rng.random(samples, dtype=np.float32) < frequency).astype(np.uint8)
            calls += rng.random(samples, dtype=np.float32) < frequency
            score += rng.normal() * calls
            codes = np.zeros(-(-samples // 4) * 4, dtype=np.uint8)
            codes[:samples] = np.array([3, 2, 0], dtype=np.uint8)[calls]
            if missing:
                codes[:samples][rng.random(samples, dtype=np.float32) < missing] = 1
            quarter = codes.reshape(-1, 4)
            bed.write((quarter[:, 0] | quarter[:, 1] << 2 | quarter[:, 2] << 4 | quarter[:, 3] << 6).tobytes())
    confounder = 3 * share + rng.normal(size=samples)
    exposure = score / score.std() + confounder + rng.normal(size=samples)
    outcome = 0.5 * exposure + confounder + rng.normal(size=samples)
    path.with_suffix(".bim").write_text("".join(f"1\trs{j}\t0\t{1000 * (j + 1)}\tA\tC\n" for j in range(variants)))
    path.with_suffix(".fam").write_text("".join(f"0\tP{i}\t0\t0\t0\t-9\n" for i in range(samples)))
    pl.DataFrame(
        {
            "IID": [f"P{i}" for i in range(samples)],
            "site": np.array(["a", "b", "c", "d"])[site],
            "age": rng.normal(50, 10, samples),
            "exposure": exposure,
            "outcome": outcome,
        }
    ).write_parquet(path.with_suffix(".parquet"))


if __name__ == "__main__":
    main()
