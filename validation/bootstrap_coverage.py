"""Does the bootstrap that learns the instruments again cover? Coverage and length of 95 % intervals over many seeds.

    python validation/bootstrap_coverage.py --seeds 400 --out bootstrap_coverage.json

Designs: mixing poly1 (`stationary`) and poly2 (`polynomial`), symmetric and asymmetric effects, 500, 2,000 and 10,000
people in each of two environments, one of them with every test on held-out people alone, for comparison; and admixed
cohorts on real genotypes. Another mixing with every seed; the number of
latent instruments is chosen from the data, and again in every replicate. Draws are appended to a JSON-lines file
beside the output as they are made, and not made again by a later run. A design passes when coverage lies between 0.93
and 0.97, widened to the central 99 % binomial band of 0.95 where fewer seeds make that band wider, and the median
length is at most 1.3 times that of 2SLS on the true latent instruments. Coverage of the plain interval, which counts
the error of learning but not the choice of the number, is shown beside it.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from itertools import product
from pathlib import Path

import numpy as np
from scipy import stats

import invarmr
from invarmr.simulate.latent import LatentDesign, simulate_latent

LEARNERS = {"poly1": invarmr.StationaryInstruments, "poly2": invarmr.PolynomialInstruments}
LATENT = [
    f"{mixing} {effects} {n}"
    for effects, mixing, n in product(("symmetric", "asymmetric"), LEARNERS, (500, 2_000, 10_000))
]
HELD_OUT = ["poly1 asymmetric 500 held-out"]
ADMIXED = ["admixed 10000"]
PEOPLE_ADMIXED, VARIANTS_ADMIXED = 10_000, 60


def latent_study(name: str, seed: int) -> tuple[invarmr.Cohort, invarmr.Cohort, dict, type, float]:
    """A published design: cohort, these people with the true instruments, keywords of that design, learner, effect."""
    mixing, effects, n = name.split()[:3]
    design = LatentDesign(mixing=mixing, effects=effects, n_samples=int(n), mixing_seed=seed)
    sample = simulate_latent(design, seed=seed)
    return sample.cohort, sample.cohort_on(sample.latent_instrument), {}, LEARNERS[mixing], design.effect


def admixed_study(seed: int) -> tuple[invarmr.Cohort, invarmr.Cohort, dict, type, float]:
    """An admixed cohort on real genotypes; the oracle is given the true ancestry."""
    design = invarmr.AdmixtureDesign(
        n_samples=PEOPLE_ADMIXED, n_instruments=VARIANTS_ADMIXED, n_variants=VARIANTS_ADMIXED, missing_rate=0.0
    )
    study = invarmr.simulate_admixture(design, seed=seed)
    named = np.isin(study.variants["variant"].to_list(), study.instruments["SNP"].to_list())
    cohort = invarmr.Cohort.from_arrays(
        instrument=study.calls[named].T,
        exposure=study.phenotypes["exposure"],
        outcome=study.phenotypes["outcome"],
        environment=study.phenotypes["site"].to_list(),
        covariates=study.phenotypes.select("age", "sex"),
        truth=study.truth_samples.drop("IID", "confounder").to_numpy()[:, 1:],
        instrument_kind="genotype",
    )
    oracle = {"controls": ("covariates", "truth")}
    return cohort, cohort, oracle, invarmr.StationaryInstruments, design.effect


def draw(name: str, seed: int, n_replicates: int) -> dict:
    """One study: the bootstrap interval, the plain one and the oracle's."""
    study = admixed_study(seed) if name in ADMIXED else latent_study(name, seed)
    cohort, oracle_cohort, oracle_design, learner, effect = study
    latent = (learner(held_out_only=True) if name in HELD_OUT else learner()).fit(cohort, seed=seed)
    liml = invarmr.LimitedInformationML()
    oracle_estimator = liml if oracle_design else invarmr.TwoStageLeastSquares()
    oracle = oracle_estimator.fit(invarmr.IVDesign.from_cohort(oracle_cohort, **oracle_design))
    row = {
        "design": name,
        "seed": seed,
        "replicates": n_replicates,
        "n_latent": latent.n_latent,
        "status": latent.verdict.status,
        "oracle_length": oracle.confidence_set.upper - oracle.confidence_set.lower,
        "oracle_covers": effect in oracle.confidence_set,
    }
    if latent.n_latent == 0:
        return row
    view = invarmr.IVDesign.from_cohort(cohort, latent)
    plain = liml.fit(view)
    started = time.process_time()
    again = invarmr.StationaryInstruments.like(latent)
    found = invarmr.bootstrap_effect(view, again, liml, n_replicates=n_replicates, seed=seed)
    return row | {
        "covers": effect in found.confidence_set,
        "length": found.confidence_set.upper - found.confidence_set.lower,
        "plain_covers": effect in plain.confidence_set,
        "plain_length": plain.confidence_set.upper - plain.confidence_set.lower,
        "numbers": np.bincount(found.n_latent, minlength=5)[:5].tolist(),
        "cpu_seconds": time.process_time() - started,
    }


def judge(rows: list[dict]) -> dict:
    """Coverage and length of one design, with bands."""
    usable = [row for row in rows if "covers" in row]
    seeds = len(usable)
    low, high = stats.binom.ppf([0.005, 0.995], seeds, 0.95) / seeds
    band = [min(0.93, float(low)), max(0.97, float(high))]
    coverage = float(np.mean([row["covers"] for row in usable]))
    ratio = float(np.median([row["length"] for row in usable]) / np.median([row["oracle_length"] for row in usable]))
    return {
        "design": rows[0]["design"],
        "seeds": seeds,
        "without_instruments": len(rows) - seeds,
        "replicates": rows[0]["replicates"],
        "coverage": coverage,
        "band": band,
        "length_to_oracle": ratio,
        "plain_coverage": float(np.mean([row["plain_covers"] for row in usable])),
        "plain_length_to_oracle": float(
            np.median([row["plain_length"] for row in usable]) / np.median([row["oracle_length"] for row in usable])
        ),
        "oracle_coverage": float(np.mean([row["oracle_covers"] for row in usable])),
        "n_latent": np.bincount([row["n_latent"] for row in rows]).tolist(),
        "median_cpu_seconds": float(np.median([row["cpu_seconds"] for row in usable])),
        "passed": bool(band[0] <= coverage <= band[1] and ratio <= 1.3),
    }


def main() -> int:
    """Run, print the table, write the verdicts; status 1 when a design fails."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=400)
    parser.add_argument("--replicates", type=int, default=200)
    parser.add_argument("--designs", nargs="*", default=LATENT + HELD_OUT + ADMIXED, help="names, as in the table")
    parser.add_argument("--out", type=Path, default=Path("bootstrap_coverage.json"))
    arguments = parser.parse_args()
    kept = arguments.out.with_suffix(".jsonl")
    rows = [json.loads(line) for line in kept.read_text().splitlines()] if kept.exists() else []
    done = {(row["design"], row["seed"]) for row in rows if row["replicates"] == arguments.replicates}
    with kept.open("a") as stream:
        for seed, name in product(range(arguments.seeds), arguments.designs):
            if (name, seed) not in done:
                rows.append(draw(name, seed, arguments.replicates))
                stream.write(json.dumps(rows[-1]) + "\n")
                stream.flush()
    cells: dict[str, list[dict]] = {}
    for row in rows:
        if row["seed"] < arguments.seeds and row["replicates"] == arguments.replicates:
            cells.setdefault(row["design"], []).append(row)
    verdicts = [judge(cell) for cell in cells.values()]
    print("design                   seeds  cover  length  plain cover  plain length  oracle cover  cpu s  passed")
    for item in verdicts:
        print(
            f"{item['design']:24} {item['seeds']:5}{item['coverage']:7.3f}{item['length_to_oracle']:8.2f}"
            f"{item['plain_coverage']:13.3f}{item['plain_length_to_oracle']:14.2f}{item['oracle_coverage']:14.3f}"
            f"{item['median_cpu_seconds']:7.2f}  {item['passed']}"
        )
    arguments.out.write_text(json.dumps(verdicts, indent=1) + "\n")
    failed = sum(not item["passed"] for item in verdicts)
    print(f"{'FAIL' if failed else 'PASS'}: {failed} of {len(verdicts)} designs fail")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
