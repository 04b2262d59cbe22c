"""Does cross-fitting cover? Coverage and length of 95 % intervals, and size of the robust tests, over many seeds.

    python validation/cross_fitting.py --out cross_fitting.json

Designs of the latent-instrument simulator, two environments, another mixing with every seed: poly1 (`stationary`),
poly2 (`polynomial`), mlp (`flow`), symmetric and asymmetric effects, people per environment in the name. The number of
latent instruments is chosen from the data, by every part for itself; `K parts` in a name. The last design is `mlp` by
`autoencoder`, which does not undo that mixing: its rows are expected to fail, and its maps to differ. Every draw is
estimated twice from what was learned once: with W alone, and with the directions set aside partialled out (PO(V)),
where the error of learning weighs most. Draws are appended to a JSON-lines file beside the output as they are made, and
not made again by a later run.

A row passes when the coverage of the interval lies in the central 99.9 % binomial band of 0.95 for its number of
draws, so does the share that each robust test accepts, and the root mean square of z-scores lies in its 99.9 %
chi-square band; the last two are widened by `SLACK`. Coverage of the plain interval (learned from the people it
estimates on) and of 2SLS on the true latent instruments are shown beside it; lengths are medians over that oracle's.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from pathlib import Path

import numpy as np
from scipy import stats

import invarmr
from invarmr.estimators.cross_fitting import cross_fit
from invarmr.inference.stacked_form import ROBUST_TESTS

LEARNERS = {
    "poly1": invarmr.StationaryInstruments,
    "poly2": invarmr.PolynomialInstruments,
    "mlp": invarmr.FlowInstruments,
    "autoencoder": invarmr.AutoencoderInstruments,
}
SEEDS = {
    "poly1 asymmetric 500, 2 parts": 400,
    "poly1 asymmetric 500, 5 parts": 400,
    "poly1 symmetric 2000, 2 parts": 400,
    "poly1 symmetric 10000, 2 parts": 400,
    "poly1 asymmetric 2000, 2 parts": 400,
    "poly1 asymmetric 10000, 2 parts": 400,
    "poly1 asymmetric 10000, 5 parts": 200,
    "poly2 asymmetric 2000, 2 parts": 100,
    "mlp asymmetric 10000, 2 parts": 22,
    "mlp asymmetric 10000, 2 parts, autoencoder": 6,
}
"""Designs, and how many draws of each are made unless told otherwise."""
WAYS = {"W": False, "PO(V)": True}
SLACK = 0.01
"""Coverage (of 0.95), and relative sd of z-scores, that a first-order allowance may cost at these sizes."""


class Remembered:
    """A learner that learns from the same people once."""

    def __init__(self, learner: object) -> None:
        self.learner, self.known = learner, {}

    def fit(self, cohort: invarmr.Cohort, *, seed: int) -> invarmr.LatentInstruments:
        """What was learned from these people, from memory where it is there."""
        key = (cohort.sample_ids.tobytes(), seed)
        if key not in self.known:
            self.known[key] = self.learner.fit(cohort, seed=seed)
        return self.known[key]


def draw(name: str, seed: int) -> dict:
    """One study: the cross-fitted interval, the plain one and the oracle's."""
    rest, parts, *other = name.split(", ")
    mixing, effects, n = rest.split()
    design = invarmr.LatentDesign(mixing=mixing, effects=effects, n_samples=int(n), mixing_seed=seed)
    sample = invarmr.simulate_latent(design, seed=seed)
    truth, cohort, liml = design.effect, sample.cohort, invarmr.LimitedInformationML()
    oracle = invarmr.TwoStageLeastSquares().fit(
        invarmr.IVDesign.from_cohort(sample.cohort_on(sample.latent_instrument))
    )
    learner = Remembered(LEARNERS[other[0] if other else mixing]())
    row = {
        "design": name,
        "seed": seed,
        "oracle_length": oracle.confidence_set.upper - oracle.confidence_set.lower,
        "oracle_covers": truth in oracle.confidence_set,
        "plain": {},
        "ways": {},
    }
    latent = learner.fit(cohort, seed=seed)
    for way, partial in WAYS.items() if latent.n_latent else ():
        plain = liml.fit(invarmr.IVDesign.from_cohort(cohort, latent, partial_confounded=partial))
        row["plain"][way] = {
            "covers": truth in plain.confidence_set,
            "length": plain.confidence_set.upper - plain.confidence_set.lower,
        }
    started = time.process_time()
    for way, partial in WAYS.items():
        try:
            found = cross_fit(
                cohort, learner, liml, n_parts=int(parts.split()[0]), seed=seed, partial_confounded=partial
            )
        except invarmr.InputError as error:
            return row | {"failed": str(error)}
        estimate = found.estimate
        row["ways"][way] = {
            "covers": truth in estimate.confidence_set,
            "length": estimate.confidence_set.upper - estimate.confidence_set.lower,
            "z": (estimate.estimate - truth) / estimate.std_error,
            "error": estimate.estimate - truth,
            "factor": estimate.learning_inflation,
            "accepted": {test: bool(found.form.test(test, truth).p_value >= 0.05) for test in ROBUST_TESTS},
            "disagreement": found.disagreement.statistic,
            "disagreement_df": found.disagreement.df,
            "parts_differ": bool(found.heterogeneity.p_value < 0.05) if found.heterogeneity.df else None,
        }
    return row | {
        "numbers": [part.latent.n_latent for part in found.parts],
        "status": found.verdict.status,
        "cpu_seconds": time.process_time() - started,
    }


def judge(rows: list[dict], way: str) -> dict:
    """Coverage and length of one design and way of estimating, with bands."""
    usable = [row | row["ways"][way] for row in rows if way in row["ways"]]
    plain = [row["plain"][way] for row in usable if way in row["plain"]]
    draws = len(usable)
    low, high = (float(end) for end in stats.binom.ppf([0.0005, 0.9995], draws, 0.95) / draws)
    spread = np.sqrt(stats.chi2.ppf([0.0005, 0.9995], draws) / draws)
    oracle = float(np.median([row["oracle_length"] for row in usable]))
    coverage = float(np.mean([row["covers"] for row in usable]))
    accepted = {test: float(np.mean([row["accepted"][test] for row in usable])) for test in ROBUST_TESTS}
    rms_z = float(np.sqrt(np.mean([row["z"] ** 2 for row in usable])))
    right = [row["covers"] for row in usable if set(row["numbers"]) == {2}]
    maps = [row for row in usable if row.get("disagreement") is not None]
    differ = [row["parts_differ"] for row in usable if row["parts_differ"] is not None]
    within = [low <= coverage <= high, spread[0] - SLACK <= rms_z <= spread[1] + SLACK]
    within += [low - SLACK <= share <= high + SLACK for share in accepted.values()]
    return {
        "design": rows[0]["design"],
        "way": way,
        "draws": draws,
        "without_instruments": len(rows) - draws,
        "band": [low, high],
        "coverage": coverage,
        "length_to_oracle": float(np.median([row["length"] for row in usable])) / oracle,
        "mean_error": float(np.mean([row["error"] for row in usable])),
        "rms_z": rms_z,
        "rms_z_band": [float(end) for end in spread],
        "median_factor": float(np.median([row["factor"] for row in usable])),
        "accepted": accepted,
        "parts_differ": float(np.mean(differ)) if differ else None,
        "maps_compared": len(maps),
        "disagreement_over_df": sum(row["disagreement"] for row in maps) / sum(row["disagreement_df"] for row in maps)
        if maps
        else None,
        "n_latent_right": len(right),
        "coverage_where_right": float(np.mean(right)) if right else None,
        "plain_coverage": float(np.mean([item["covers"] for item in plain])),
        "plain_length_to_oracle": float(np.median([item["length"] for item in plain])) / oracle,
        "oracle_coverage": float(np.mean([row["oracle_covers"] for row in usable])),
        "median_cpu_seconds": float(np.median([row["cpu_seconds"] for row in usable])),
        "passed": all(bool(one) for one in within),
    }


def main() -> int:
    """Run, print the table, write the verdicts; status 1 when a design fails."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--designs", nargs="*", default=list(SEEDS), help="names, as in the table")
    parser.add_argument("--seeds", type=int, default=None, help="draws of every design; default: its own number")
    parser.add_argument("--judge", action="store_true", help="draw nothing, judge the draws that are kept")
    parser.add_argument("--out", type=Path, default=Path("cross_fitting.json"))
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", invarmr.InvarmrWarning)
    kept = arguments.out.with_suffix(".jsonl")
    rows = [json.loads(line) for line in kept.read_text().splitlines()] if kept.exists() else []
    done = {(row["design"], row["seed"]) for row in rows}
    wanted = {name: arguments.seeds or SEEDS.get(name, 100) for name in arguments.designs}
    with kept.open("a") as stream:
        for name, seeds in wanted.items():
            for seed in range(0 if arguments.judge else seeds):
                if (name, seed) not in done:
                    rows.append(draw(name, seed))
                    stream.write(json.dumps(rows[-1]) + "\n")
                    stream.flush()
    cells = {name: [row for row in rows if row["design"] == name and row["seed"] < n] for name, n in wanted.items()}
    verdicts = [judge(cell, way) for cell in cells.values() for way in WAYS if cell]
    print(f"{'design':46}way    draws  cover  band         rms z  length  plain    AR    LM   CLR  passed")
    for item in verdicts:
        low, high = item["band"]
        shares = "".join(f"{share:6.3f}" for share in item["accepted"].values())
        print(
            f"{item['design']:46}{item['way']:6}{item['draws']:6}{item['coverage']:7.3f}  {low:.3f}-{high:.3f}"
            f"{item['rms_z']:7.3f}{item['length_to_oracle']:8.2f}{item['plain_coverage']:7.3f}{shares}"
            f"  {item['passed']}"
        )
    arguments.out.write_text(json.dumps(verdicts, indent=1) + "\n")
    failed = sum(not item["passed"] for item in verdicts)
    print(f"{'FAIL' if failed else 'PASS'}: {failed} of {len(verdicts)} rows fail")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
