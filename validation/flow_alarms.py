"""Whether the held-out tests reject a flow that is right too often: fresh held-out people for maps that were learned.

    python validation/flow_design.py mixings --keep maps --out flow_design.jsonl
    python validation/flow_design.py targets --where E=3 seed=8 --keep maps --out flow_design.jsonl      # and seed=19
    python validation/flow_alarms.py maps --draws 150 --out flow_alarms.json

A map is learned once; whether its held-out people speak against it is then chance, of the people and of the map. For
every kept map of the published network, with two latent instruments, the directions are learned from the features of
the training people, as in a fit, and tested on `--draws` fresh sets of held-out people (3,000 of every environment).
The same is done with the true latent variables in place of the features: what the tests do where no map was learned.
"""

from __future__ import annotations

import argparse
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

import invarmr
from invarmr.data.moments import EnvironmentMoments
from invarmr.instruments.base import assign_folds
from invarmr.instruments.dimension import HeldOut, choose_dimension
from invarmr.instruments.stationary_system import StationarySystem, solve_stationary

LEVELS = (0.01, 0.05)


def moments(u: np.ndarray, environment: np.ndarray, E: int) -> EnvironmentMoments:
    """Moments of features."""
    names = [f"instrument:u{j + 1}" for j in range(u.shape[1])]
    return EnvironmentMoments.from_arrays(u, environment, columns=names, environments=[str(e) for e in range(E)])


def smallest_p(system: StationarySystem, u: np.ndarray, environment: np.ndarray, E: int) -> float:
    """The held-out test of two latent instruments."""
    third = np.arange(len(u)) % 3
    folds = [moments(u[third == k], environment[third == k], E) for k in range(3)]
    held_out = HeldOut.from_folds(folds, system, within=False)
    return choose_dimension(system, held_out, rejection=0.01, n_latent=2)[1][0].smallest_p


def alarms(cell: dict[str, Any], representation: Any, draws: int) -> dict[str, list[float]]:  # noqa: ANN401
    """p-values of one map, and of the truth, over fresh held-out people."""
    E = cell["E"]
    design = invarmr.LatentDesign(mixing="mlp", n_environments=E, mixing_seed=cell["mixing_seed"])

    def seen(sample: Any) -> dict[str, np.ndarray]:  # noqa: ANN401
        truth = np.hstack([sample.confounded_part, sample.latent_instrument])
        return {"flow": representation.apply(sample.instrument), "truth": truth}

    sample = invarmr.simulate_latent(design, seed=cell["seed"])
    environment = sample.cohort.environment
    fold = assign_folds(environment, n_folds=10, seed=cell["seed"], sample_ids=sample.cohort.sample_ids)
    systems = {
        name: solve_stationary(moments(u[fold < 7], environment[fold < 7], E), within=False)
        for name, u in seen(sample).items()
    }
    out: dict[str, list[float]] = {name: [] for name in systems}
    for draw in range(draws):
        fresh = invarmr.simulate_latent(design, seed=50_000 + draw, n_samples=3_000)
        for name, u in seen(fresh).items():
            out[name].append(smallest_p(systems[name], u, fresh.environment, E))
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("maps", type=Path, help="folder of flow_design.py --keep")
    parser.add_argument("--draws", type=int, default=150)
    parser.add_argument("--out", type=Path, default=Path("flow_alarms.json"))
    options = parser.parse_args()
    found: dict[str, list[list[float]]] = {}
    for path in sorted(options.maps.glob("*.pkl")):
        cell, representation = pickle.loads(path.read_bytes())
        if (cell["mixing"], cell["shape"], cell["variant"], cell.get("n")) != ("mlp", "gaussian", "default", None):
            continue
        for name, values in alarms(cell, representation, options.draws).items():
            found.setdefault(f"E = {cell['E']}, {name}", []).append(values)
    summary: dict[str, Any] = {}
    for name, lists in sorted(found.items()):
        values = np.concatenate(lists)
        summary[name] = {"maps": len(lists), "draws": len(values)}
        for level in LEVELS:
            count = int(np.sum(values < level))
            worst = max(float(np.mean(np.array(item) < level)) for item in lists)
            summary[name][f"at {level}"] = {
                "rejected": count,
                "share": count / len(values),
                "interval": [float(x) for x in stats.binomtest(count, len(values)).proportion_ci(method="exact")],
                "worst_map": worst,
            }
        print(name, summary[name])
    options.out.write_text(json.dumps(summary, indent=1) + "\n")


if __name__ == "__main__":
    main()
