"""The tables of an archive: estimates, diagnostics, balance, loadings and the rest, from the objects they show."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from invarmr.archive.files import whole_file
from invarmr.archive.schema import COMPONENTS, DIAGNOSTICS, ENVIRONMENTS, ESTIMATES
from invarmr.data.cohort import Cohort
from invarmr.data.latent_instruments import LatentInstruments
from invarmr.diagnostics.battery import Diagnostics
from invarmr.diagnostics.exchangeability import Balance
from invarmr.diagnostics.sensitivity import DependenceSensitivity
from invarmr.diagnostics.stability import EnvironmentEstimate
from invarmr.estimators.estimate import Estimate

__all__ = [
    "balance_table",
    "component_table",
    "diagnostics_table",
    "eigenvalue_table",
    "environment_table",
    "estimate_table",
    "loading_table",
    "sensitivity_table",
    "verdict_content",
    "write_instruments",
]


def estimate_table(estimates: Sequence[Estimate], headline: int, cohort: Cohort, seed: int) -> pl.DataFrame:
    """`estimates.tsv`; `headline` is the position of the estimate that the report leads with."""
    return pl.DataFrame(
        [
            {
                "method": item.method,
                "instruments": item.instruments,
                "exposure": cohort.exposure_name,
                "outcome": cohort.outcome_name,
                "estimate": item.estimate,
                "std_error": item.std_error,
                "ci_lower": item.confidence_set.lower,
                "ci_upper": item.confidence_set.upper,
                "p_value": item.p_value,
                "level": item.confidence_set.level,
                "n_samples": item.n_samples,
                "n_instruments": item.n_instruments,
                "first_stage_f": item.first_stage_f,
                "headline": position == headline,
                "seed": seed,
                "note": item.note,
            }
            for position, item in enumerate(estimates)
        ],
        schema=dict(ESTIMATES),
    )


def diagnostics_table(diagnostics: Diagnostics) -> pl.DataFrame:
    """`diagnostics.tsv`."""
    rows = [{name: getattr(check, name) for name in DIAGNOSTICS} for check in diagnostics.checks]
    return pl.DataFrame(rows, schema=dict(DIAGNOSTICS))


def environment_table(estimates: Sequence[EnvironmentEstimate]) -> pl.DataFrame:
    """`environments.tsv`: the effect in each environment, and without it."""
    rows: list[dict[str, Any]] = []
    for item in estimates:
        row: dict[str, Any] = {"environment": item.environment, "n_samples": item.n_samples}
        made = item.own or item.left_out
        row |= _numbers(item.own, "") | {"level": None if made is None else made.confidence_set.level}
        row |= {"first_stage_f": None if item.own is None else item.own.first_stage_f}
        rows.append(row | _numbers(item.left_out, "left_out_"))
    return pl.DataFrame(rows, schema=dict(ENVIRONMENTS))


def _numbers(item: Estimate | None, prefix: str) -> dict[str, float | None]:
    values = (
        (None,) * 4
        if item is None
        else (item.estimate, item.std_error, item.confidence_set.lower, item.confidence_set.upper)
    )
    return {
        f"{prefix}{name}": v for name, v in zip(("estimate", "std_error", "ci_lower", "ci_upper"), values, strict=True)
    }


def sensitivity_table(found: DependenceSensitivity) -> pl.DataFrame:
    """`sensitivity.tsv`: what remains of the headline if the instruments carried a share of the confounder."""
    return pl.DataFrame(
        {
            **{
                name: [getattr(point, name) for point in found.curve]
                for name in ("strength", "lower", "upper", "ci_lower", "ci_upper")
            },
            "confounder_share": found.confounder_share,
            "needed": found.needed,
            "robustness_value": found.robustness_value,
            "robustness_value_interval": found.robustness_value_interval,
        }
    )


def balance_table(items: Sequence[Balance]) -> pl.DataFrame:
    """`balance.tsv`: how much environment and components explain of each instrument, on held-out people."""
    frames = [
        pl.DataFrame(
            {
                "set": [item.instrument_set] * len(item.names),
                "instrument": list(item.names),
                "r2_environment": item.r2_environment,
                "r2_components": pl.Series(item.r2_components, nan_to_null=True),
                "chance_environment": [item.chance_environment] * len(item.names),
                "chance_components": [item.chance_components] * len(item.names),
            }
        )
        for item in items
    ]
    if frames:
        return pl.concat(frames)
    numbers = ("r2_environment", "r2_components", "chance_environment", "chance_components")
    return pl.DataFrame(schema={"set": pl.String, "instrument": pl.String} | dict.fromkeys(numbers, pl.Float64))


def eigenvalue_table(latent: LatentInstruments) -> pl.DataFrame:
    """`eigenvalues.tsv`: how much each direction varies between environments, ascending, and whether it was kept."""
    r = len(latent.eigenvalues)
    return pl.DataFrame(
        {
            "direction": np.arange(1, r + 1),
            "eigenvalue": np.asarray(latent.eigenvalues),
            "kept": np.arange(r) < latent.n_latent,
        }
    )


def loading_table(latent: LatentInstruments, effect_alleles: Sequence[str]) -> pl.DataFrame:
    """`loadings.tsv`: latent instruments per copy of each variant's effect allele (empty allele: a score)."""
    names = {f"latent{j + 1}": latent.loadings[:, j] for j in range(latent.n_latent)}
    alleles = [*effect_alleles, *[""] * (len(latent.instrument_names) - len(effect_alleles))]
    return pl.DataFrame({"variant": list(latent.instrument_names), "effect_allele": alleles, **names})


GRID = 40
"""Cells of each axis."""
FEWEST_IN_CELL = 5
"""People in a cell that is told."""


def component_table(cohort: Cohort) -> pl.DataFrame:
    """`components.tsv`: how many people of each environment lie where on the first four principal components.

    A grid of 40 by 40 cells between the extremes of each pair of components; cells of fewer than 5 people are left out,
    so that the table shows no single person.
    """
    labels = np.array(cohort.environments)
    parts = []
    for first in range(0, min(4, cohort.components.shape[1]) - 1, 2):
        scores = cohort.components[:, first : first + 2]
        low, high = scores.min(axis=0), scores.max(axis=0)
        width = np.where(high > low, (high - low) / GRID, 1.0)
        cell = np.clip(((scores - low) / width).astype(np.intp), 0, GRID - 1)
        rows, counts = np.unique(np.column_stack([cohort.environment, cell]), axis=0, return_counts=True)
        told = counts >= FEWEST_IN_CELL
        middle = low + (rows[told, 1:] + 0.5) * width
        parts.append(
            pl.DataFrame(
                {
                    "environment": labels[rows[told, 0]],
                    "across": [f"PC{first + 1}"] * len(middle),
                    "up": [f"PC{first + 2}"] * len(middle),
                    "x": middle[:, 0],
                    "y": middle[:, 1],
                    "n_samples": counts[told].astype(np.int64),
                },
                schema=dict(COMPONENTS),
            )
        )
    return pl.concat(parts) if parts else pl.DataFrame(schema=dict(COMPONENTS))


def verdict_content(diagnostics: Diagnostics, latent: LatentInstruments | None) -> dict[str, Any]:
    """`verdict.json`."""
    content: dict[str, Any] = {
        "status": diagnostics.verdict.status,
        "reasons": list(diagnostics.verdict.reasons),
        "n_latent": 0 if latent is None else latent.n_latent,
        "path": [] if latent is None else [vars(step) for step in latent.path],
    }
    if diagnostics.verdict.mendelian_headline:
        content["mendelian_headline"] = True
    if latent is not None:
        content |= {
            "n_confounded": latent.n_confounded,
            "shift_rank": latent.shift_rank,
            "covariance_informative": latent.covariance_informative,
            "saturated": latent.saturated,
            "learner": latent.learner,
            "degree": latent.settings.get("degree"),
            "ladder": [vars(step) for step in latent.ladder],
        }
    return content


def write_instruments(path: Path, cohort: Cohort, latent: LatentInstruments) -> None:
    """`instruments.parquet`: sample id, environment, fold and every latent instrument, written block by block."""
    labels = np.array(cohort.environments)
    parts = Path(tempfile.mkdtemp(prefix=".invarmr-", dir=path.parent))
    try:
        for number, block in enumerate(cohort.blocks()):
            values = ((cohort.instruments.read(block) - latent.center) @ latent.loadings).astype(np.float32)
            frame = pl.DataFrame(
                {
                    "sample_id": cohort.sample_ids[block],
                    "environment": labels[cohort.environment[block]],
                    "fold": (np.zeros(len(block)) if latent.fold is None else latent.fold[block]).astype(np.int32),
                    **{f"latent{j + 1}": values[:, j] for j in range(latent.n_latent)},
                }
            )
            frame.write_parquet(parts / f"{number:06d}.parquet", compression="lz4")
        with whole_file(path) as temporary:
            pl.scan_parquet(sorted(parts.glob("*.parquet"))).sink_parquet(temporary, compression="zstd")
    finally:
        shutil.rmtree(parts, ignore_errors=True)
