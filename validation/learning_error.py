"""Do standard errors that count the error of learning cover? Size of z-scores, coverage and J over many seeds.

    python validation/learning_error.py --seeds 1000 --out learning_error.json

Draws are appended to a JSON-lines file beside the output as they are made, and not made again by a later run. A row
passes when coverage of the 95 % set lies within the central 99.9 % binomial band and the variance of the z-scores
within the 99.9 % chi-square band, both widened by `SLACK` for what a first-order allowance leaves out.
"""

from __future__ import annotations

import argparse
import json
import sys
from itertools import product
from pathlib import Path

import numpy as np
from scipy import stats

sys.path.insert(0, str(Path(__file__).parent))

from linear_design import linear_study

import invarmr
from invarmr.diagnostics.exclusion import sargan_check

DESIGNS = {
    "E=2 symmetric": {"environments": 2},
    "E=2 asymmetric": {"environments": 2, "asymmetric": True},
    "E=3 symmetric": {"environments": 3},
    "E=3 asymmetric": {"environments": 3, "asymmetric": True},
    "E=3 asymmetric, unequal": {"environments": 3, "asymmetric": True, "n": (4000, 1000, 1000)},
    "E=4 p=q=5": {"environments": 4, "p": 5, "q": 5},
    "E=4 p=q=5 asymmetric": {"environments": 4, "p": 5, "q": 5, "asymmetric": True},
}
SLACK = 0.01
"""Coverage lost (of 0.95), and relative sd of z-scores gained, that second-order error may cost at these sizes."""


def draw(name: str, seed: int) -> list[dict]:
    """One study, every way of estimating it."""
    settings = {"n": 1_500, **DESIGNS[name]}
    study = linear_study(seed, **settings)
    latent = invarmr.StationaryInstruments(n_latent=settings.get("p", 2)).fit(study.cohort, seed=seed)
    out = []
    for partial, fixed, counted in product((False, True), repeat=3):
        design = invarmr.IVDesign.from_cohort(
            study.cohort, latent, partial_confounded=partial, environment_effects=fixed
        )
        estimate = invarmr.LimitedInformationML(count_learning=counted).fit(design)
        out.append(
            {
                "design": name,
                "seed": seed,
                "partial_confounded": partial,
                "environment_effects": fixed,
                "count_learning": counted,
                "z": (estimate.estimate - 1.0) / estimate.std_error,
                "covers": 1.0 in estimate.confidence_set,
                "j": sargan_check(design, estimate).statistic,
                "df": estimate.n_instruments - 1,
                "inflation": estimate.learning_inflation,
            }
        )
    return out


def judge(rows: list[dict]) -> dict:
    """Coverage, sd of z and J / df of one cell, with bands."""
    z = np.array([row["z"] for row in rows])
    seeds = len(rows)
    covered = sum(row["covers"] for row in rows)
    low, high = stats.binom.ppf([0.0005, 0.9995], seeds, 0.95) / seeds
    spread = np.sqrt(stats.chi2.ppf([0.0005, 0.9995], seeds) / seeds)
    root = float(np.sqrt(np.mean(z**2)))
    passed = bool(low - SLACK <= covered / seeds <= high + SLACK and spread[0] - SLACK <= root <= spread[1] + SLACK)
    return {
        **{key: rows[0][key] for key in ("design", "partial_confounded", "environment_effects", "count_learning")},
        "seeds": seeds,
        "coverage": covered / seeds,
        "coverage_band": [float(low), float(high)],
        "rms_z": root,
        "rms_z_band": [float(end) for end in spread],
        "j_over_df": float(np.mean([row["j"] / row["df"] for row in rows])),
        "median_inflation": float(np.median([row["inflation"] for row in rows])),
        "passed": passed if rows[0]["count_learning"] else None,
    }


def main() -> int:
    """Run, print the table, write the verdicts; status 1 when a counted row fails."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=1_000)
    parser.add_argument("--out", type=Path, default=Path("learning_error.json"))
    arguments = parser.parse_args()
    kept = arguments.out.with_suffix(".jsonl")
    rows = [json.loads(line) for line in kept.read_text().splitlines()] if kept.exists() else []
    done = {(row["design"], row["seed"]) for row in rows}
    with kept.open("a") as stream:
        for name, seed in product(DESIGNS, range(arguments.seeds)):
            if (name, seed) not in done:
                drawn = draw(name, seed)
                stream.write("".join(json.dumps(row) + "\n" for row in drawn))
                stream.flush()
                rows += drawn
    cells: dict[tuple, list[dict]] = {}
    for row in rows:
        if row["seed"] < arguments.seeds:
            key = (row["design"], row["partial_confounded"], row["environment_effects"], row["count_learning"])
            cells.setdefault(key, []).append(row)
    verdicts = [judge(cell) for cell in cells.values()]
    print(f"{'design':24} {'PO(V)':6}{'env':6}{'counted':8}{'cover':>7}{'rms z':>7}{'J/df':>7}{'factor':>8}  passed")
    for item in verdicts:
        flags = "".join(
            f"{'yes' if item[key] else 'no':{width}}"
            for key, width in (("partial_confounded", 6), ("environment_effects", 6), ("count_learning", 8))
        )
        print(
            f"{item['design']:24} {flags}{item['coverage']:7.3f}{item['rms_z']:7.3f}{item['j_over_df']:7.3f}"
            f"{item['median_inflation']:8.3f}  {'' if item['passed'] is None else item['passed']}"
        )
    arguments.out.write_text(json.dumps(verdicts, indent=1) + "\n")
    failed = sum(item["passed"] is False for item in verdicts)
    print(f"{'FAIL' if failed else 'PASS'}: {failed} of {sum(item['passed'] is not None for item in verdicts)} fail")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
