"""The flow on the published invertible-network design, and the study of its open questions.

    python validation/flow_design.py targets           20 data seeds, E = 2 and 3: the table of docs/methods/flow.md
    python validation/flow_design.py mixings           other draws of the network, one data seed each
    python validation/flow_design.py variants          maps, laws, restarts, polish: a few seeds each
    python validation/flow_design.py beyond            smooth mixings that are no such network; not normal latents
    python validation/flow_design.py rectangular       twelve columns on a curved surface: two fronts
    python validation/flow_design.py report            prints the tables from what was computed

Every fit is one line of `flow_design.jsonl` (`--out`); lines that exist are not computed again, so a run may
be interrupted. `report` also writes `flow_design.json`, a verdict for each target over
the fits that gave an estimate (`estimated` of `fits`: where held-out people reject every p there is none), and
`flow_design_tables.json`, the other studies fit by fit.
Symmetric and asymmetric effects share Z, so one fit serves both. Seconds are those of the processor, over all threads.
"""

from __future__ import annotations

import argparse
import json
import pickle
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

import invarmr
from invarmr.instruments.flow_search import features, with_law
from invarmr.instruments.represented import learn_from_features
from invarmr.nn.maximum_likelihood import maximise
from invarmr.simulate.mixing import monomials

TARGETS = {"bias_symmetric": 0.02, "bias_asymmetric": 0.04, "leakage": 0.02, "seconds": 60.0}
VARIANTS: dict[str, dict[str, Any]] = {
    "default": {},
    "leaky, normal law, 1 start": {"map": "leaky", "n_layers": 1, "law": "gaussian", "n_starts": 1},
    "leaky, normal law, 4 starts": {"map": "leaky", "n_layers": 1, "law": "gaussian", "n_starts": 4},
    "leaky, 2 layers, normal law": {"map": "leaky", "n_layers": 2, "law": "gaussian"},
    "leaky, shared spline law": {"map": "leaky", "n_layers": 1, "law": "shared"},
    "leaky, free spline law": {"map": "leaky", "n_layers": 1, "law": "free"},
    "spline, normal law": {"map": "spline", "law": "gaussian", "n_starts": 2},
    "spline, free spline law": {"map": "spline", "law": "free", "n_starts": 2},
}
FRONTS: dict[str, dict[str, Any]] = {
    "linear front": {"n_components": 4},
    "autoencoding front": {"n_components": 4, "front": "autoencoder"},
}
SETTINGS = {**VARIANTS, **FRONTS}

BASE = {"mixing": "mlp", "shape": "gaussian", "mixing_seed": 0, "variant": "default"}
KINDS = (("arcsinh", "gaussian"), ("residual", "gaussian"), ("mlp", "bounded"), ("mlp", "skewed"))
STUDIES: dict[str, list[dict[str, Any]]] = {
    "targets": [{**BASE, "E": E, "seed": seed} for seed in range(20) for E in (2, 3)],
    "mixings": [{**BASE, "E": E, "seed": 100 + draw, "mixing_seed": draw} for draw in range(1, 11) for E in (2, 3)],
    "variants": [
        {**BASE, "E": E, "seed": seed, "variant": name, "n": 2_500}
        for name in VARIANTS
        for seed in range(3)
        for E in (2, 3)
    ],
    "beyond": [
        {**BASE, "E": E, "seed": 100 + draw, "mixing": mixing, "shape": shape, "mixing_seed": draw, "n": 2_500}
        for draw in range(2)
        for mixing, shape in KINDS
        for E in (2, 3)
    ],
    "rectangular": [
        {**BASE, "E": E, "seed": 100 + draw, "mixing": mixing, "mixing_seed": draw, "variant": name}
        for mixing, draws in (("wide", 5), ("wide arcsinh", 2))
        for draw in range(1, draws + 1)
        for E in (2, 3)
        for name in FRONTS
    ],
}


def smooth_mixing(name: str, latent: np.ndarray, seed: int) -> np.ndarray:
    """Z of smooth mixings.

    arcsinh: B arcsinh(A u), four columns. residual: B (h + 0.6 tanh(C h)), h = A u and |0.6 C| < 1, four columns. wide:
    B LeakyReLU(A u), with twelve hidden units and twelve columns; `wide arcsinh` with arcsinh in its place.
    """
    rng = np.random.default_rng([seed, 8])
    if name.startswith("wide"):
        A, B = rng.uniform(-1, 1, (4, 12)), rng.uniform(-1, 1, (12, 12))
        h = latent @ (A / np.linalg.norm(A, axis=0))
        h = np.where(h > 0, h, 0.2 * h) if name == "wide" else np.arcsinh(h)
        return h @ (B / np.linalg.norm(B, axis=0))
    A, B, C = (rng.uniform(-1, 1, (4, 4)) for _ in range(3))
    h = latent @ (A / np.linalg.norm(A, axis=0))
    h = np.arcsinh(h) if name == "arcsinh" else h + 0.6 * np.tanh(1.5 * h @ (C / np.linalg.norm(C, 2)))
    return h @ (B / np.linalg.norm(B, axis=0))


def draw(cell: dict[str, Any], effects: str) -> tuple[invarmr.Cohort, Any]:
    """The cohort of a cell, and the sample with the truth."""
    design = invarmr.LatentDesign(
        mixing="mlp",
        n_environments=cell["E"],
        shape=cell["shape"],
        mixing_seed=cell["mixing_seed"],
        effects=effects,  # type: ignore[arg-type]
    )
    sample = invarmr.simulate_latent(design, seed=cell["seed"], n_samples=cell.get("n"))
    if cell["mixing"] == "mlp":
        return sample.cohort, sample
    latent = np.hstack([sample.confounded_part, sample.latent_instrument])
    return sample.cohort_on(smooth_mixing(cell["mixing"], latent, cell["mixing_seed"])), sample


def explained(target: np.ndarray, given: np.ndarray, degree: int = 1) -> float:
    """Largest R2 over the columns of the target, of a polynomial regression, on the half it was not fitted to."""
    x = monomials((given - given.mean(axis=0)) / given.std(axis=0), degree)
    y = target - target.mean(axis=0)
    half = np.arange(len(x)) % 2 == 0
    fitted = x[~half] @ np.linalg.lstsq(x[half], y[half], rcond=None)[0]
    return float((1 - ((y[~half] - fitted) ** 2).sum(axis=0) / (y[~half] ** 2).sum(axis=0)).max())


def biases(instrument: np.ndarray, samples: dict[str, Any], label: str) -> dict[str, float]:
    """2SLS with some instruments: bias in both designs, leakage and recovery."""
    out = {}
    for effects, sample in samples.items():
        design = invarmr.IVDesign.from_cohort(sample.cohort_on(instrument))
        out[f"{label}bias_{effects}"] = invarmr.TwoStageLeastSquares().fit(design).estimate - 1.0
    V, W = samples["symmetric"].confounded_part, samples["symmetric"].latent_instrument
    out[f"{label}leakage"] = explained(V, instrument)
    out[f"{label}leakage_cubic"] = explained(V, instrument, 3)
    out[f"{label}recovery"] = explained(W, instrument)
    return out


def said(
    latent: invarmr.LatentInstruments, cohorts: dict[str, invarmr.Cohort], seed: int, label: str
) -> dict[str, Any]:
    """What `diagnose` says of LIML with these instruments in both designs, and the p-values that can reject."""
    out: dict[str, Any] = {}
    for effects, cohort in cohorts.items():
        if not latent.n_latent:
            out[f"{label}verdict_{effects}"] = latent.verdict.status
            continue
        design = invarmr.IVDesign.from_cohort(cohort, latent)
        estimate = invarmr.LimitedInformationML().fit(design)
        found = invarmr.diagnose(design, estimate, seed=seed)
        out[f"{label}liml_{effects}"] = [estimate.estimate, estimate.std_error]
        out[f"{label}verdict_{effects}"] = found.verdict.status
        out[f"{label}tests_{effects}"] = {check.test: check.p_value for check in found.checks if check.can_reject}
    return out


def run(cell: dict[str, Any], keep: Path | None = None) -> dict[str, Any]:
    """One fit: p^ chosen from data; p = 2 set; p = 2 as the likelihood alone splits the features (not polished)."""
    drawn = {effects: draw(cell, effects) for effects in ("symmetric", "asymmetric")}
    cohorts = {effects: cohort for effects, (cohort, _) in drawn.items()}
    samples = {effects: sample for effects, (_, sample) in drawn.items()}
    cohort = cohorts["symmetric"]
    learner = invarmr.FlowInstruments(**SETTINGS[cell["variant"]])
    started, wall = time.process_time(), time.perf_counter()
    latent = learner.fit(cohort, seed=cell["seed"])
    out: dict[str, Any] = {"seconds": time.process_time() - started, "wall": time.perf_counter() - wall}
    found = latent.representation
    if keep is not None:
        keep.mkdir(exist_ok=True)
        name = "_".join(str(value) for value in cell.values()).replace(" ", "-").replace(",", "")
        (keep / f"{name}.pkl").write_bytes(pickle.dumps((cell, found)))
    out.update(n_latent=latent.n_latent, verdict=latent.verdict.status, steps=latent.settings["steps"])
    out["reconstruction"] = latent.settings["reconstruction"]
    out["path"] = [asdict(step) for step in latent.path]
    if latent.n_latent:
        out.update(biases(latent.latent_instrument, samples, ""))
    out.update(said(latent, cohorts, cell["seed"], ""))
    two = learn_from_features(cohort, found, learner="flow", settings={}, n_latent=2, seed=cell["seed"])
    out.update(biases(two.latent_instrument, samples, "two_"))
    out.update(said(two, cohorts, cell["seed"], "two_"), two_path=[asdict(step) for step in two.path])
    Z = cohort.instruments.read(np.arange(cohort.n_samples))
    coded = Z if found.flattening is None else found.flattening.apply(Z)
    z = (coded - found.centre) @ found.front
    rows = [_tensor(z[cohort.environment == e]) for e in range(cell["E"])]
    raw = with_law(found.flow, rows, 2, "gaussian", seed=0)
    maximise(raw, rows, iterations=100)
    basis = raw.law.rotation.L.detach().numpy().T
    out.update(biases(np.vstack(features(raw, rows)) @ basis[:, :2], samples, "raw_"))
    for label, given in (("observed_", Z), ("oracle_", samples["symmetric"].latent_instrument)):
        out.update({name: value for name, value in biases(given, samples, label).items() if "bias" in name})
    return out


def _tensor(values: np.ndarray) -> Any:  # noqa: ANN401 - torch is imported by the learner alone
    import torch

    return torch.from_numpy(values)


def done(out: Path) -> dict[str, dict[str, Any]]:
    """Results by cell."""
    if not out.exists():
        return {}
    entries = [json.loads(line) for line in out.read_text().splitlines()]
    return {json.dumps(entry["cell"], sort_keys=True): entry for entry in entries}


def compute(study: str, limit: int | None, out: Path, where: dict[str, str], keep: Path | None) -> None:
    """Fit what is missing, at most `limit` fits."""
    known = done(out)
    wanted = [cell for cell in STUDIES[study] if all(str(cell[key]) == value for key, value in where.items())]
    left = [cell for cell in wanted if json.dumps(cell, sort_keys=True) not in known][:limit]
    for cell in left:
        entry = {"cell": cell, **run(cell, keep)}
        with out.open("a") as file:
            file.write(json.dumps(entry) + "\n")
        found = " ".join(f"{key} {entry.get(key, float('nan')):+.4f}" for key in TARGETS)
        print(json.dumps(cell), "p^", entry["n_latent"], entry["verdict"], found, flush=True)


def row(entries: list[dict[str, Any]], label: str = "") -> str:
    """Mean biases (sd) and the rest, over fits."""
    parts = []
    for name in ("bias_symmetric", "bias_asymmetric"):
        values = [entry[label + name] for entry in entries if label + name in entry]
        sd = f" ({np.std(values, ddof=1):.3f})" if len(values) > 1 else ""
        parts.append(f"{np.mean(values):+.3f}{sd}" if values else "none")
    for name, digits in (("leakage", 4), ("leakage_cubic", 4), ("recovery", 3)):
        values = [entry[label + name] for entry in entries if label + name in entry]
        parts.append(f"{np.mean(values):.{digits}f}" if values else "")
    return " | ".join(parts)


HEAD = "| {} | fits | p^ | bias symmetric (sd) | bias asymmetric (sd) | R2(V/W^) | cubic | R2(W/W^) | seconds |"
RULE = "|---|---|---|---|---|---|---|---|---|"


def found_in(results: dict[str, Any], study: str, **where: Any) -> list[dict[str, Any]]:  # noqa: ANN401
    """Results of the cells of a study with some settings."""
    keys = [json.dumps(c, sort_keys=True) for c in STUDIES[study] if all(c[key] == v for key, v in where.items())]
    return [results[key] for key in keys if key in results]


def kept(entry: dict[str, Any]) -> dict[str, Any]:
    """The rung that was kept last."""
    return [step for step in entry["steps"] if step["kept"]][-1]


def report_targets(results: dict[str, Any], study: str) -> dict[str, Any]:
    """Table of a study by E, and its verdicts."""
    verdicts = {}
    print(f"\n{HEAD.format(study)}\n{RULE}")
    for E in (2, 3):
        found = found_in(results, study, E=E)
        if not found:
            continue
        chosen = ", ".join(f"{p}: {sum(entry['n_latent'] == p for entry in found)}" for p in range(4))
        seconds = max(entry["seconds"] for entry in found)
        print(f"| E = {E}, flow | {len(found)} | {chosen} | {row(found)} | at most {seconds:.0f} |")
        for label, words in (("two_", "p = 2 set"), ("raw_", "p = 2, not polished"), ("oracle_", "2SLS, true W"), ("observed_", "2SLS, Z")):  # fmt: skip # noqa: E501
            print(f"| E = {E}, {words} | {len(found)} | | {row(found, label)} | |")
        means = {name: float(np.mean([entry[name] for entry in found if name in entry])) for name in TARGETS}
        means["seconds"] = seconds
        verdicts[f"{study} E={E}"] = {
            name: {"value": value, "bound": TARGETS[name], "reached": bool(abs(value) <= TARGETS[name])}
            for name, value in means.items()
        } | {
            "fits": len(found),
            "estimated": sum(entry["n_latent"] > 0 for entry in found),
            "identified": sum(entry["verdict"] == "identified" for entry in found),
        }
    return verdicts


def report_rest(results: dict[str, Any]) -> None:
    """Table of the variants."""
    print(f"\n{HEAD.format('variants, p = 2 set').replace('p^', 'LL')}\n{RULE}")
    for variant in VARIANTS:
        for E in (2, 3):
            if found := found_in(results, "variants", E=E, variant=variant):
                density = np.mean([kept(entry)["validation"] for entry in found])
                seconds = np.mean([entry["seconds"] for entry in found])
                cells = f"{variant}, E = {E} | {len(found)} | {density:.3f} | {row(found, 'two_')} | {seconds:.0f}"
                print(f"| {cells} |")


def cells_table(results: dict[str, Any], study: str) -> list[dict[str, Any]]:
    """One row per fit and design: the flow taken, the verdict, LIML and its standard error, leakage, with p^ chosen."""
    rows = []
    for cell in STUDIES[study]:
        for entry in found_in(results, study, **cell):
            last = kept(entry)
            for effects in ("symmetric", "asymmetric"):
                estimate, std_error = entry.get(f"liml_{effects}", (None, None))
                rows.append(
                    {
                        "mixing": cell["mixing"],
                        "shape": cell["shape"],
                        "draw": cell["mixing_seed"],
                        "E": cell["E"],
                        "variant": cell["variant"],
                        "effects": effects,
                        "flow": f"{last['map']} {last['n_layers']}, {last['law']}",
                        "normal_p": last["normal_p"],
                        "n_latent": entry["n_latent"],
                        "verdict": entry[f"verdict_{effects}"],
                        "failed": {
                            test: p
                            for test, p in entry.get(f"tests_{effects}", {}).items()
                            if p is not None and p < 0.01
                        },
                        "bias": None if estimate is None else estimate - 1.0,
                        "std_error": std_error,
                        "observed_bias": entry[f"observed_bias_{effects}"],
                        "two_bias": entry[f"two_bias_{effects}"],
                        "two_leakage": entry["two_leakage"],
                        "seconds": entry["seconds"],
                    }
                )
    return rows


def variants_table(results: dict[str, Any]) -> list[dict[str, Any]]:
    """Means over seeds, with p = 2 set."""
    rows = []
    for variant in VARIANTS:
        for E in (2, 3):
            if found := found_in(results, "variants", E=E, variant=variant):
                means = {
                    name: float(np.mean([entry[name] for entry in found]))
                    for name in ("two_bias_symmetric", "two_bias_asymmetric", "two_leakage", "two_recovery", "seconds")
                }
                density = float(np.mean([kept(entry)["validation"] for entry in found]))
                rows.append({"variant": variant, "E": E, "fits": len(found), "validation": density, **means})
    return rows


def report(out: Path) -> None:
    """All tables, and a verdict per target."""
    results = done(out)
    verdicts = {**report_targets(results, "targets"), **report_targets(results, "mixings")}
    report_rest(results)
    out.with_suffix(".json").write_text(json.dumps(verdicts, indent=2) + "\n")
    tables = {study: cells_table(results, study) for study in ("mixings", "beyond", "rectangular")}
    tables["variants"] = variants_table(results)
    out.with_name(out.stem + "_tables.json").write_text(json.dumps(tables, indent=1) + "\n")
    print(json.dumps(verdicts, indent=2))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", choices=[*STUDIES, "report"])
    parser.add_argument("--limit", type=int, help="at most so many fits")
    parser.add_argument("--where", nargs="*", default=[], metavar="KEY=VALUE", help="only such fits: E=2 seed=0")
    parser.add_argument("--out", type=Path, default=Path("flow_design.jsonl"), help="where the fits are kept")
    parser.add_argument("--keep", type=Path, help="a folder for the learned maps, which flow_alarms.py reads")
    options = parser.parse_args()
    if options.study == "report":
        report(options.out)
    else:
        compute(
            options.study, options.limit, options.out, dict(item.split("=", 1) for item in options.where), options.keep
        )
