"""Mendelian estimates and the referee under assortment, dynastic effects and stratification: coverage, size, power.

    python validation/families.py [--seeds 400] [--seconds 36000] [--out validation/results/families.json]

Designs: nothing wrong; stratification under random mating; cross-trait assortment 0, 0.3, 0.6 by environment, and 0.4
everywhere; dynastic effects equal and unequal. Each with 6,000 trios or 8,000 sibling pairs and an effect of 0.2 or 0,
every draw with a seed of its own. Seeds go round all cells, so that a run cut short by --seconds has as many of each
(give or take one). Targets: Mendelian coverage 93 to 97 %, |mean bias| at most 0.1 standard errors; the referee's size
in its binomial band where nothing is wrong, and rejections as often as its stated power at the mean difference; the
combined estimate never wider than the better of the two.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

import invarmr
from invarmr.data.family_design import family_design
from invarmr.diagnostics.referee import combined, referee
from invarmr.estimators.influence import influence

SIZES = {"n_instruments": 60, "n_outcome_variants": 60, "n_variants": 120, "n_environments": 3}
KINDS: dict[str, dict[str, Any]] = {
    "6,000 trios": {"n_samples": 6_000, "trios": 1.0, "sibships": 0.0},
    "8,000 sibling pairs": {"n_samples": 16_000, "trios": 0.0, "sibships": 1.0},
}
DESIGNS: dict[str, dict[str, Any]] = {
    "nothing wrong": {"ancestry_strength": 0.0, "generations": 1},
    "stratification, random mating": {"ancestry_strength": 1.0, "generations": 1},
    "cross-trait assortment 0, 0.3, 0.6": {
        "ancestry_strength": 0.0, "generations": 5, "mating": "cross", "mate_correlation": (0.0, 0.3, 0.6),
    },
    "cross-trait assortment 0.4 everywhere": {
        "ancestry_strength": 0.0, "generations": 5, "mating": "cross", "mate_correlation": 0.4,
    },
    "dynastic effect 0.3 everywhere": {"ancestry_strength": 0.0, "generations": 2, "dynastic_outcome": 0.3},
    "dynastic effect 0, 0.3, 0.6": {"ancestry_strength": 0.0, "generations": 2, "dynastic_outcome": (0.0, 0.3, 0.6)},
}  # fmt: skip
VALID = ("nothing wrong",)
Cell = tuple[str, str, float]


def one(cell: Cell, seed: int) -> dict[str, float]:
    design, kind, effect = cell
    settings = invarmr.FamiliesDesign(**SIZES, **KINDS[kind], **DESIGNS[design], effect=effect)
    drawn = invarmr.simulate_families(settings, seed=seed)
    people = drawn.phenotypes
    names = drawn.variants["variant"].to_list()
    calls = drawn.calls[[names.index(name) for name in drawn.instruments["SNP"]]].T.astype(np.float64)
    cohort = invarmr.Cohort.from_arrays(
        instrument=calls[: people.height],
        exposure=people["exposure"],
        outcome=people["outcome"],
        environment=people["cohort"],
        sample_ids=people["IID"].to_list(),
        instrument_kind="genotype",
    )
    links = drawn.pedigree
    labels = [*people["sibship"].to_list(), *[None] * (links.height - people.height)]
    pedigree = invarmr.Pedigree.from_columns(
        links["IID"].to_list(),
        father=links["father"].to_list(),
        mother=links["mother"].to_list(),
        sibship=labels,
    )
    cohort = cohort.with_families(pedigree, calls=calls, sample_ids=links["IID"].to_list())
    liml, families = invarmr.LimitedInformationML(), cohort.families
    size = int(families.family.max()) + 1
    mendelian = influence(family_design(cohort), liml, families.row_family, n_groups=size)
    observed = influence(
        invarmr.IVDesign.from_cohort(cohort, environment_effects=True), liml, families.family, n_groups=size
    )
    out = {"mendelian": mendelian.estimate.estimate, "mendelian_se": mendelian.estimate.std_error}
    compared = {"observed": observed}
    latent = invarmr.StationaryInstruments(scale_within_environment=True).fit(cohort, seed=seed)
    if latent.n_latent:
        compared["learned"] = influence(
            invarmr.IVDesign.from_cohort(cohort, latent), liml, families.family, n_groups=size
        )
    for name, found in compared.items():
        line, both = referee(found, mendelian, compared=name), combined(found, mendelian)
        out |= {
            name: found.estimate.estimate,
            f"{name}_se": found.estimate.std_error,
            f"{name}_rejects": float(line.rejects),
            f"{name}_difference": line.difference,
            f"{name}_difference_se": line.std_error,
            f"{name}_combined": both.estimate,
            f"{name}_combined_se": both.std_error,
        }
    return out


def _band(count: int, p: float) -> list[float]:
    low, high = stats.binom.ppf([0.025, 0.975], count, p) / count
    return [float(low), float(high)]


def _summary(cell: Cell, rows: list[dict[str, float]]) -> dict[str, Any]:
    design, kind, effect = cell
    theta, se = (np.array([row[name] for row in rows]) for name in ("mendelian", "mendelian_se"))
    covers = np.abs(theta - effect) <= stats.norm.ppf(0.975) * se
    out: dict[str, Any] = {
        "design": design,
        "families": kind,
        "effect": effect,
        "seeds": len(rows),
        "mendelian_bias": float(np.mean(theta - effect)),
        "mendelian_bias_in_se": float(np.mean((theta - effect) / se)),
        "mendelian_sd": float(np.std(theta, ddof=1)),
        "mendelian_mean_se": float(se.mean()),
        "mendelian_coverage": float(covers.mean()),
        "coverage_band": _band(len(rows), 0.95),
    }
    for name in ("observed", "learned"):
        have = [row for row in rows if name in row]
        if len(have) < 2:
            continue
        get = {key: np.array([row[key] for row in have]) for key in have[0] if key.startswith(name)}
        difference, spread = get[f"{name}_difference"], get[f"{name}_difference_se"]
        bound = stats.norm.ppf(1 - 0.005)
        shift = difference.mean() / spread
        stated = np.mean(stats.norm.cdf(shift - bound) + stats.norm.cdf(-shift - bound))
        better = np.minimum(get[f"{name}_se"], [row["mendelian_se"] for row in have])
        both, width = get[f"{name}_combined"], get[f"{name}_combined_se"]
        out[name] = {
            "seeds": len(have),
            "bias": float(np.mean(get[name] - effect)),
            "rejected": float(get[f"{name}_rejects"].mean()),
            "stated_power": float(stated),
            "band_of_stated_power": _band(len(have), float(stated)),
            "difference_sd": float(difference.std(ddof=1)),
            "difference_mean_se": float(spread.mean()),
            "combined_widest": float(np.max(width / better)),
            "combined_coverage": float(np.mean(np.abs(both - effect) <= stats.norm.ppf(0.975) * width)),
        }
    return out


def _draws(cells: list[Cell], seeds: int, seconds: float) -> Iterator[tuple[Cell, dict[str, float]]]:
    start = time.monotonic()
    for seed in range(1, seeds + 1):
        for place, cell in enumerate(cells):
            if time.monotonic() - start > seconds:
                return
            yield cell, one(cell, 100 * seed + place)


def _pooled(cells: list[Cell], found: dict[Cell, list[dict[str, float]]]) -> dict[str, Any]:
    z = np.array([(row["mendelian"] - cell[2]) / row["mendelian_se"] for cell in cells for row in found[cell]])
    valid = [row for cell in cells if cell[0] in VALID for row in found[cell]]
    rejected = [row[f"{name}_rejects"] for row in valid for name in ("learned", "observed") if f"{name}_rejects" in row]
    return {
        "mendelian_draws": len(z),
        "mendelian_coverage": float(np.mean(np.abs(z) <= stats.norm.ppf(0.975))),
        "coverage_band": _band(len(z), 0.95),
        "mendelian_bias_in_se": float(z.mean()),
        "bias_band_in_se": float(1.96 / np.sqrt(len(z))),
        "referee_size_where_nothing_is_wrong": float(np.mean(rejected)),
        "referee_tests": len(rejected),
        "referee_size_band": _band(len(rejected), 0.01),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=400)
    parser.add_argument("--seconds", type=float, default=36_000)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "families.json")
    asked = parser.parse_args()
    cells: list[Cell] = list(product(DESIGNS, KINDS, (0.2, 0.0)))
    found: dict[Cell, list[dict[str, float]]] = {cell: [] for cell in cells}
    for cell, row in _draws(cells, asked.seeds, asked.seconds):
        found[cell].append(row)
    pooled = _pooled(cells, found)
    table = [_summary(cell, found[cell]) for cell in cells if len(found[cell]) > 1]
    asked.out.write_text(json.dumps({"pooled": pooled, "cells": table}, indent=1) + "\n", encoding="utf-8")
    for key, value in pooled.items():
        print(f"{key}: {value}")
    for item in table:
        learned = item.get("learned", {})
        print(
            f"{item['design']}; {item['families']}; effect {item['effect']}: {item['seeds']} seeds; Mendelian bias "
            f"{item['mendelian_bias']:+.3f} (se {item['mendelian_mean_se']:.3f}), covers "
            f"{item['mendelian_coverage']:.2f}; observed bias {item['observed']['bias']:+.3f}; learned bias "
            f"{learned.get('bias', float('nan')):+.3f}, rejected {learned.get('rejected', float('nan')):.2f} (stated "
            f"power {learned.get('stated_power', float('nan')):.2f})"
        )


if __name__ == "__main__":
    main()
