"""How often the automatic choice says what it should: verdicts and numbers of latent instruments over designs.

    python validation/verdicts.py [--seeds 100] [--designs poly1_e2 ...] [--out validation/verdicts]

Each draw is a line of `<out>.tsv`; draws that are there are not made again, so that an interrupted run goes on where it
stopped. `<out>.json` has, for each design, the counts, the 95 % Clopper-Pearson interval, the target and whether the
interval allows it. Draws are of `invarmr.simulate_latent`, 10,000 people in each environment unless the name says
otherwise; the verdict is that of `invarmr.diagnose` on LIML with the learned instruments.
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy import stats

import invarmr
from invarmr.simulate.latent_design import LatentDesign

COLUMNS = ("design", "seed", "learner", "n_latent", "status", "bias", "leakage", "recovery", "seconds")
ASYMMETRIC = LatentDesign(effects="asymmetric", mixing="poly1")


@dataclass(frozen=True)
class Case:
    """A design, which verdicts are right on it, and the right number of latent instruments (None: none is)."""

    design: LatentDesign
    right: tuple[str, ...]
    n_latent: int | None = None


IDENTIFIED, REFUSED = ("identified",), ("not identified", "rejected", "weak")
CASES = {
    "poly1_e2": Case(replace(ASYMMETRIC), IDENTIFIED, 2),
    "poly1_e3": Case(replace(ASYMMETRIC, n_environments=3), IDENTIFIED, 2),
    "poly1_e2_symmetric": Case(replace(ASYMMETRIC, effects="symmetric"), IDENTIFIED, 2),
    "poly1_e3_n2000": Case(replace(ASYMMETRIC, n_environments=3, n_samples=2_000), IDENTIFIED, 2),
    "poly1_e2_wishart": Case(replace(ASYMMETRIC, covariance="wishart"), IDENTIFIED, 2),
    "poly1_e2_skewed": Case(replace(ASYMMETRIC, shape="skewed"), IDENTIFIED, 2),
    "poly1_e2_bounded": Case(replace(ASYMMETRIC, shape="bounded"), IDENTIFIED, 2),
    "p5_q5_e4": Case(replace(ASYMMETRIC, n_valid=5, n_confounded=5, n_environments=4), IDENTIFIED, 5),
    "p10_q10_e4": Case(replace(ASYMMETRIC, n_valid=10, n_confounded=10, n_environments=4), IDENTIFIED, 10),
    "poly1_e20_n2000": Case(replace(ASYMMETRIC, n_environments=20, n_samples=2_000), IDENTIFIED, 2),
    "poly1_e2_n200": Case(replace(ASYMMETRIC, n_samples=200), IDENTIFIED, 2),
    "poly1_e2_n500": Case(replace(ASYMMETRIC, n_samples=500), IDENTIFIED, 2),
    "poly1_e2_n100000": Case(replace(ASYMMETRIC, n_samples=100_000), IDENTIFIED, 2),
    "poly2_e2": Case(replace(ASYMMETRIC, mixing="poly2"), IDENTIFIED, 2),
    "mlp_e2": Case(replace(ASYMMETRIC, mixing="mlp"), IDENTIFIED, 2),
    "mlp_e3": Case(replace(ASYMMETRIC, mixing="mlp", n_environments=3), IDENTIFIED, 2),
    "poly3_e3": Case(replace(ASYMMETRIC, mixing="poly3", n_environments=3), IDENTIFIED, 2),
    "means_alone_e2": Case(replace(ASYMMETRIC, shifts="mean"), REFUSED),
    "means_alone_e3": Case(replace(ASYMMETRIC, shifts="mean", n_environments=3), REFUSED),
    "means_alone_e3_symmetric": Case(
        replace(ASYMMETRIC, shifts="mean", n_environments=3, effects="symmetric"), REFUSED
    ),
    "no_valid_instrument": Case(replace(ASYMMETRIC, valid=False), REFUSED),
    "no_valid_instrument_n2000": Case(replace(ASYMMETRIC, valid=False, n_samples=2_000), REFUSED),
    "no_valid_instrument_n500": Case(replace(ASYMMETRIC, valid=False, n_samples=500), REFUSED),
    "irrelevant": Case(replace(ASYMMETRIC, relevance=0.0), REFUSED),
    "weak_e2": Case(replace(ASYMMETRIC, relevance=0.03), REFUSED),
    "discretised_e2": Case(replace(ASYMMETRIC, mixing="discrete"), REFUSED),
    "direct_effect": Case(replace(ASYMMETRIC, direct_effect=0.2), ("identified", "rejected")),
}
FEWEST_RIGHT = 0.95


def main() -> None:
    options = parse()
    out = Path(options.out)
    done = {(row["design"], int(row["seed"])) for row in read(out.with_suffix(".tsv"))}
    for seed in range(1, options.seeds + 1):
        for name in options.designs:
            if (name, seed) not in done:
                append(out.with_suffix(".tsv"), draw(name, seed))
    summary = summarise(read(out.with_suffix(".tsv")))
    out.with_suffix(".json").write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    for name, item in summary["designs"].items():
        right = f"{item['right']:>3} of {item['draws']:>3} right"
        print(f"{name:28} {right}; p^ right in {item['n_latent_right']}; {dict(item['status'])}")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--designs", nargs="*", default=list(CASES), choices=list(CASES))
    parser.add_argument("--out", default="validation/verdicts", help="path without ending")
    return parser.parse_args()


def read(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def append(path: Path, row: dict[str, object]) -> None:
    fresh = not path.exists()
    with path.open("a", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, delimiter="\t", lineterminator="\n")
        if fresh:
            writer.writeheader()
        writer.writerow(row)


def draw(name: str, seed: int) -> dict[str, object]:
    """One study: what was learned, what it gave, and the verdict."""
    sample = invarmr.simulate_latent(CASES[name].design, seed=seed)
    start = time.perf_counter()
    latent = invarmr.AutomaticInstruments().fit(sample.cohort, seed=seed)
    row: dict[str, object] = {"design": name, "seed": seed, "learner": latent.learner, "n_latent": latent.n_latent}
    row["status"] = latent.verdict.status
    if latent.n_latent:
        design = invarmr.IVDesign.from_cohort(sample.cohort, latent)
        estimate = invarmr.LimitedInformationML().fit(design)
        row["status"] = invarmr.diagnose(design, estimate, seed=seed).verdict.status
        row["bias"] = f"{estimate.estimate - CASES[name].design.effect:.5f}"
        row["leakage"] = f"{r2(sample.confounded_part, latent.latent_instrument, sample.cohort.environment):.5f}"
        row["recovery"] = f"{r2(sample.latent_instrument, latent.latent_instrument, sample.cohort.environment):.5f}"
    row["seconds"] = f"{time.perf_counter() - start:.2f}"
    return row


def r2(target: np.ndarray, given: np.ndarray, environment: np.ndarray) -> float:
    """Mean R2 of the columns of `target` on `given`, within environments."""
    target, given = (X - np.stack([X[environment == e].mean(axis=0) for e in np.unique(environment)])[environment]
                     for X in (target, given))  # fmt: skip
    fitted = given @ np.linalg.lstsq(given, target, rcond=None)[0]
    return float(np.mean(np.sum(fitted**2, axis=0) / np.sum(target**2, axis=0)))


def summarise(rows: list[dict[str, str]]) -> dict[str, object]:
    designs: dict[str, object] = {}
    for name, case in CASES.items():
        own = [row for row in rows if row["design"] == name]
        if not own:
            continue
        right = sum(row["status"] in case.right for row in own)
        low, high = clopper_pearson(right, len(own))
        counts = {
            status: sum(row["status"] == status for row in own) for status in sorted({row["status"] for row in own})
        }
        p_right = None if case.n_latent is None else sum(int(row["n_latent"]) == case.n_latent for row in own)
        biases = np.array([float(row["bias"]) for row in own if row["bias"]])
        designs[name] = {
            "draws": len(own),
            "right_verdicts": list(case.right),
            "right": right,
            "right_interval": [round(low, 4), round(high, 4)],
            "target": FEWEST_RIGHT,
            "holds": right >= FEWEST_RIGHT * len(own),
            "status": counts,
            "learners": {
                learner: sum(row["learner"] == learner for row in own) for learner in {row["learner"] for row in own}
            },
            "n_latent_right": p_right,
            "mean_bias": round(float(biases.mean()), 4) if len(biases) else None,
            "sd_bias": round(float(biases.std(ddof=1)), 4) if len(biases) > 1 else None,
            "seconds_median": round(float(np.median([float(row["seconds"]) for row in own])), 2),
        }
    return {"version": invarmr.__version__, "designs": designs}


def clopper_pearson(right: int, draws: int) -> tuple[float, float]:
    low = stats.beta.ppf(0.025, right, draws - right + 1) if right else 0.0
    high = stats.beta.ppf(0.975, right + 1, draws - right) if right < draws else 1.0
    return float(low), float(high)


if __name__ == "__main__":
    main()
