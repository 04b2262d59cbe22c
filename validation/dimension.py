"""How often the number of latent instruments is right on affine designs, and what learning alone says of them.

    python validation/dimension.py [--seeds 100] [--out validation/dimension]

The identified linear designs of `validation/verdicts.py`, and smaller and larger ones, another mixing with every seed;
`StationaryInstruments`, without the tests of law and of the effect that `verdicts.py` adds, so that a draw takes a
twentieth of a second. Each draw is a line of `<out>.jsonl`; draws that are there are not made again. `<out>.json` has
for each design the counts, the 95 % Clopper-Pearson interval and whether 95 of 100 are right.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from verdicts import ASYMMETRIC, CASES, FEWEST_RIGHT, clopper_pearson

import invarmr

DESIGNS = {
    name: (case.design, case.n_latent)
    for name, case in CASES.items()
    if case.n_latent is not None and case.design.mixing == "poly1"
}
DESIGNS |= {
    f"poly1_e{environments}_n{n}": (replace(ASYMMETRIC, n_environments=environments, n_samples=n), 2)
    for environments, n in ((2, 1_000), (2, 2_000), (3, 200), (3, 500), (5, 200), (5, 10_000), (20, 200))
}
DESIGNS |= {
    f"poly1_e2_{shape}_n500": (replace(ASYMMETRIC, shape=shape, n_samples=500), 2) for shape in ("skewed", "bounded")
}
DESIGNS |= {"p5_q5_e4_n1000": (replace(CASES["p5_q5_e4"].design, n_samples=1_000), 5)}


def draw(name: str, seed: int) -> dict[str, object]:
    """One study: the number chosen, and the verdict of learning alone."""
    design = replace(DESIGNS[name][0], mixing_seed=seed)
    cohort = invarmr.simulate_latent(design, seed=seed).cohort
    latent = invarmr.StationaryInstruments().fit(cohort, seed=seed)
    return {"design": name, "seed": seed, "n_latent": latent.n_latent, "status": latent.verdict.status}


def judge(name: str, rows: list[dict]) -> dict[str, object]:
    """Counts of one design."""
    right = sum(row["n_latent"] == DESIGNS[name][1] for row in rows)
    low, high = clopper_pearson(right, len(rows))
    return {
        "draws": len(rows),
        "n_latent": DESIGNS[name][1],
        "n_samples": DESIGNS[name][0].n_samples,
        "right": right,
        "right_interval": [round(low, 4), round(high, 4)],
        "chosen": np.bincount([row["n_latent"] for row in rows]).tolist(),
        "identified": sum(row["status"] == "identified" for row in rows),
        "holds": right >= FEWEST_RIGHT * len(rows),
    }


def main() -> int:
    """Draw, print the table, write the counts; status 1 when a design of 10,000 people or more fails."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--out", default="validation/dimension", help="path without ending")
    options = parser.parse_args()
    kept = Path(options.out).with_suffix(".jsonl")
    rows = [json.loads(line) for line in kept.read_text().splitlines()] if kept.exists() else []
    done = {(row["design"], row["seed"]) for row in rows}
    with kept.open("a") as stream:
        for seed in range(1, options.seeds + 1):
            for name in DESIGNS:
                if (name, seed) not in done:
                    rows.append(draw(name, seed))
                    stream.write(json.dumps(rows[-1]) + "\n")
                    stream.flush()
    found = {name: judge(name, own) for name in DESIGNS if (own := [row for row in rows if row["design"] == name])}
    for name, item in found.items():
        said = f"{item['right']:>4} of {item['draws']} right, chosen {item['chosen']}, {item['identified']} identified"
        print(f"{name:24} {said}")
    Path(options.out).with_suffix(".json").write_text(json.dumps(found, indent=1) + "\n")
    return int(any(not item["holds"] and item["n_samples"] >= 10_000 for item in found.values()))


if __name__ == "__main__":
    sys.exit(main())
