"""What a likelihood learner might add to the likelihood: open questions, each tried on the same fits.

    python validation/flow_questions.py run [--limit N]      fits, one line each in flow_questions.jsonl (--out)
    python validation/flow_questions.py report               table of docs/methods/flow.md, and flow_questions.json

Every cell fits four restarts of one flow (the same people, other random starts) on the published network, with 2,500
people in each environment, and takes two latent instruments in different ways:

* `one restart`, `best likelihood`: a single one, and the one with the highest held-out likelihood;
* `average of estimates`, `common part`: the mean of the four effects; the two leading principal components of all eight
  learned instruments;
* `least varying`: of the restarts within two standard errors of the best, the one whose features are most nearly
  linear in the instruments;
* `split by likelihood`: W and V by the likelihood of the best flow, map and law refitted together, without more; with
  an `independence term`, the squared correlations of polynomials of W and of V up to degree 2 in every environment;
  with `component-wise laws`, every column of V an own monotone spline in each environment, independent of the others.
"""

from __future__ import annotations

import argparse
import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from flow_design import biases, done, draw, row
from torch import Tensor, nn

from invarmr.data.representation import Representation
from invarmr.instruments.base import assign_folds
from invarmr.instruments.flow_search import SearchSettings, features, search_flow, with_law
from invarmr.instruments.represented import learn_from_features
from invarmr.nn.flows import Flow, SplineLaw, _Rotation, _spline
from invarmr.nn.maximum_likelihood import held_out_likelihood, maximise

MAPS = {
    "leaky, normal law": SearchSettings("leaky", "gaussian", 1, 4, 300),
    "spline, free law": SearchSettings("spline", "free", 2, 1, 150),
}
CELLS = [
    {"mixing": "mlp", "shape": "gaussian", "mixing_seed": 0, "E": E, "seed": seed, "n": 2_500, "map": name}
    for seed in range(3)
    for name in MAPS
    for E in (2, 3)
]
RESTARTS = 4


class Penalised(nn.Module):
    """A flow whose log density is lessened by dependence of W and V."""

    def __init__(self, flow: Flow, strength: float) -> None:
        super().__init__()
        self.flow, self.strength = flow, strength

    def forward(self, rows: list[Tensor]) -> list[Tensor]:
        """Log density of every row, less the penalty."""
        penalty = torch.stack([_dependence(self.flow, z) for z in rows]).mean()
        return [density - self.strength * penalty for density in self.flow(rows)]


def _dependence(flow: Flow, z: Tensor) -> Tensor:
    split = flow.law.rotation([flow.map(z)[0]])[0][0]
    w, v = _polynomials(split[:, :2]), _polynomials(split[:, 2:])
    return (w.T @ v / len(z)).square().sum()


def _polynomials(x: Tensor) -> Tensor:
    x = (x - x.mean(dim=0)) / x.std(dim=0)
    columns = torch.cat([x, x**2, (x[:, :1] * x[:, 1:])], dim=1)
    return (columns - columns.mean(dim=0)) / columns.std(dim=0)


class ComponentLaw(nn.Module):
    """W ~ N(0, I); each column of V a monotone spline of a normal in every environment, all independent."""

    def __init__(self, start: SplineLaw, E: int) -> None:
        super().__init__()
        self.rotation: _Rotation = copy.deepcopy(start.rotation)
        self.columns = nn.ModuleList([_spline(1, E, 32, 8) for _ in range(2)])
        self.E = E

    def forward(self, values: list[Tensor]) -> list[Tensor]:
        """Log p(u | e) of every row."""
        split, log_det = self.rotation(values)
        out = []
        for e, u in enumerate(split):
            label = torch.nn.functional.one_hot(torch.tensor(e), self.E).to(u)
            density = log_det - 0.5 * (u[:, :2].square() + np.log(2 * np.pi)).sum(dim=1)
            for j, column in enumerate(self.columns):
                # splines live on (-5, 5): columns of V are brought there by their own scale, which the map can change
                density = density + column(label).log_prob(u[:, 2 + j : 3 + j] / 4) - np.log(4)
            out.append(density)
        return out


class Features(Representation):
    """Given features, standing for a map."""

    def __init__(self, flow: Flow, centre: np.ndarray, front: np.ndarray) -> None:
        self.flow, self.centre, self.front = flow, centre, front
        self.feature_names = tuple(f"u{j + 1}" for j in range(front.shape[1]))

    def apply(self, instrument: np.ndarray) -> np.ndarray:
        """Features of instruments."""
        return features(self.flow, [torch.from_numpy((instrument - self.centre) @ self.front)])[0]


def run(cell: dict[str, Any]) -> dict[str, Any]:
    """All ways of taking two latent instruments, from four restarts."""
    samples = {effects: draw({**cell, "variant": ""}, effects)[1] for effects in ("symmetric", "asymmetric")}
    cohort, E, seed = samples["symmetric"].cohort, cell["E"], cell["seed"]
    Z = np.array(cohort.instruments.read(np.arange(cohort.n_samples)))
    fold = assign_folds(cohort.environment, n_folds=10, seed=seed, sample_ids=cohort.sample_ids)
    centre = Z[fold < 7].mean(axis=0)
    front = np.linalg.inv(np.linalg.cholesky(np.cov(Z[fold < 7].T)).T)
    z = torch.from_numpy((Z - centre) @ front)
    training, validation, test, everyone = (
        [z[torch.from_numpy(chosen & (cohort.environment == e))] for e in range(E)]
        for chosen in (fold < 6, fold == 6, fold >= 7, fold >= 0)
    )
    found = []
    for restart in range(RESTARTS):
        rng = np.random.default_rng([seed, restart])
        flow, _ = search_flow(training, validation, MAPS[cell["map"]], n_latent=2, rng=rng)
        latent = learn_from_features(
            cohort, Features(flow, centre, front), learner="flow", settings={}, n_latent=2, seed=seed
        )
        u = np.vstack(features(flow, everyone))
        plain = np.column_stack([np.ones(len(u)), np.vstack([x.numpy() for x in everyone])])
        rest = u - plain @ np.linalg.lstsq(plain, u, rcond=None)[0]
        found.append((held_out_likelihood(flow, test), 1 - rest.var() / u.var(), flow, latent.latent_instrument))
    return {"restarts": [float(item[0].mean()) for item in found], **ways(found, samples, training, everyone)}


def ways(found: list[Any], samples: dict[str, Any], training: list[Tensor], everyone: list[Tensor]) -> dict[str, Any]:
    """Bias, leakage and recovery of every way."""
    best = max(range(RESTARTS), key=lambda k: found[k][0].mean())
    near = []
    for k, (density, _, _, _) in enumerate(found):
        gap = found[best][0] - density
        if gap.mean() <= 2 * gap.std(ddof=1) / np.sqrt(len(gap)):
            near.append(k)
    least = max(near, key=lambda k: found[k][1])
    alone = [biases(item[3], samples, "") for item in found]
    out: dict[str, Any] = {"one restart": alone[0], "best likelihood": alone[best], "least varying": alone[least]}
    out["average of estimates"] = {name: float(np.mean([item[name] for item in alone])) for name in alone[0]}
    together = np.hstack([item[3] for item in found])
    together = (together - together.mean(axis=0)) / together.std(axis=0)
    common = together @ np.linalg.eigh(together.T @ together)[1][:, -2:]
    out["common part"] = biases(common, samples, "")
    flow = found[best][2]
    law = "free" if isinstance(flow.law, SplineLaw) else "gaussian"
    for name, strength in (("split by likelihood", 0.0), ("independence term", 1.0)):
        split = with_law(flow, training, 2, law, seed=1)
        target = Penalised(split, strength)
        maximise(target, training, iterations=60)  # type: ignore[arg-type]
        out[name] = biases(_valid(split, everyone), samples, "")
    split = with_law(flow, training, 2, "free", seed=1)
    split = Flow(split.map, ComponentLaw(split.law, len(training)))  # type: ignore[arg-type]
    maximise(split, training, iterations=60)
    out["component-wise laws"] = biases(_valid(split, everyone), samples, "")
    return out


def _valid(flow: Flow, rows: list[Tensor]) -> np.ndarray:
    with torch.no_grad():
        return np.vstack([x[:, :2].numpy() for x in flow.law.rotation([flow.map(z)[0] for z in rows])[0]])


def report(out: Path) -> None:
    """Means over fits, as a table and as JSON."""
    entries = list(done(out).values())
    summary: dict[str, Any] = {}
    for name in MAPS:
        for E in (2, 3):
            fits = [entry for entry in entries if entry["cell"]["map"] == name and entry["cell"]["E"] == E]
            if not fits:
                continue
            for way in (key for key in fits[0] if key not in ("cell", "restarts")):
                values = [entry[way] for entry in fits]
                summary.setdefault(f"{name}, E = {E}", {})[way] = {
                    "fits": len(values),
                    **{key: float(np.mean([value[key] for value in values])) for key in values[0]},
                    "largest_bias_asymmetric": float(max(abs(value["bias_asymmetric"]) for value in values)),
                }
                print(f"| {name}, E = {E}: {way} | {len(values)} | {row(values)} |")
    out.with_suffix(".json").write_text(json.dumps(summary, indent=1) + "\n")


if __name__ == "__main__":
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["run", "report"])
    parser.add_argument("--limit", type=int, help="at most so many fits")
    parser.add_argument("--out", type=Path, default=Path("flow_questions.jsonl"), help="where the fits are kept")
    options = parser.parse_args()
    if options.what == "report":
        report(options.out)
    else:
        known = done(options.out)
        left = [cell for cell in CELLS if json.dumps(cell, sort_keys=True) not in known][: options.limit]
        for cell in left:
            with options.out.open("a") as file:
                file.write(json.dumps({"cell": cell, **run(cell)}) + "\n")
            print(json.dumps(cell), flush=True)
