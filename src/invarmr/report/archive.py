"""The archive of a run as the report needs it: every file read once, every column checked by name."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from invarmr.archive.files import read_json, read_table
from invarmr.archive.schema import ESTIMATES, FILES
from invarmr.errors import InputError, first_few

__all__ = ["SETS", "STATUSES", "Archive", "EstimateRow", "Verdict", "read_archive"]

STATUSES = ("identified", "weak", "not identified", "rejected")
SETS = (
    "none", "observed", "observed+environment", "observed+pcs", "allele_score", "learned", "learned+environment",
    "mendelian", "learned+mendelian", "learned (families)", "observed (families)", "observed+pcs (families)", "oracle",
)  # fmt: skip


@dataclass(frozen=True)
class EstimateRow:
    """One row of `estimates.tsv`; None where the field is empty."""

    method: str
    instruments: str
    exposure: str
    outcome: str
    estimate: float | None
    std_error: float | None
    ci_lower: float | None
    ci_upper: float | None
    p_value: float | None
    level: float
    n_samples: int | None
    n_instruments: int | None
    first_stage_f: float | None
    headline: bool
    seed: int | None
    note: str


@dataclass(frozen=True)
class Verdict:
    """What `verdict.json` holds; None where an older or shorter file does not say."""

    status: str
    reasons: tuple[str, ...]
    n_latent: int
    n_confounded: int | None
    path: tuple[Mapping[str, Any], ...]
    shift_rank: int | None
    covariance_informative: bool | None
    saturated: bool | None
    learner: str | None = None
    degree: int | None = None
    ladder: tuple[Mapping[str, Any], ...] = ()
    mendelian_headline: bool = False

    @property
    def interpretable(self) -> bool:
        """Whether the headline may be read as an effect; families may lead where what was learned is rejected."""
        return self.status in ("identified", "weak") or self.mendelian_headline


@dataclass(frozen=True, eq=False, kw_only=True)
class Archive:
    """Everything the report shows; a frame is None where its file is absent or empty."""

    folder: Path
    estimates: tuple[EstimateRow, ...]
    diagnostics: pl.DataFrame
    verdict: Verdict
    provenance: Mapping[str, Any]
    truth: Mapping[str, Any] | None
    environments: pl.DataFrame | None
    balance: pl.DataFrame | None
    eigenvalues: pl.DataFrame | None
    components: pl.DataFrame | None
    loadings: pl.DataFrame | None
    variants: pl.DataFrame | None
    samples: pl.DataFrame | None
    stratification: pl.DataFrame | None = None
    component_counts: pl.DataFrame | None = None
    meta_analysis: pl.DataFrame | None = None
    negative_controls: pl.DataFrame | None = None
    effect_curve: pl.DataFrame | None = None
    confidence_sets: pl.DataFrame | None = None
    sensitivity: pl.DataFrame | None = None
    cross_fitting: pl.DataFrame | None = None
    families: pl.DataFrame | None = None

    @property
    def headline(self) -> EstimateRow:
        """The estimate the report leads with."""
        return next(row for row in self.estimates if row.headline)

    @property
    def n_environments(self) -> int:
        """Environments with people in the analysis; 0 where no file tells."""
        if self.environments is not None:
            return self.environments.height
        if self.samples is None:
            return 0
        used = self.samples.filter((pl.col("stage") == "used") & (pl.col("environment") != ""))
        return used["environment"].n_unique()

    @property
    def true_effect(self) -> float | None:
        """Simulated effect, or None in a real study."""
        effect = (self.truth or {}).get("effect")
        return float(effect) if isinstance(effect, int | float) else None

    def setting(self, section: str, key: str, default: Any = None) -> Any:  # noqa: ANN401 - settings are JSON
        """One resolved setting of the study, such as `setting("phenotypes", "environment")`."""
        section_settings = (self.provenance.get("settings") or {}).get(section) or {}
        value = section_settings.get(key)
        return default if value is None else value


def read_archive(folder: Path) -> Archive:
    """Read and check the files of a finished run.

    `estimates.tsv`, `diagnostics.tsv`, `verdict.json` and `provenance.json` are required, all others optional.

    Raises
    ------
    InputError
        A required file is not there, or a file lacks a column or holds a value of the wrong kind; the message names
        the file and the column.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: the folder of a finished run was required, but there is none. Check the path.")
    return Archive(
        folder=folder,
        estimates=_estimates(folder / "estimates.tsv"),
        diagnostics=_required(folder, "diagnostics.tsv"),
        verdict=_verdict(folder / "verdict.json"),
        provenance=read_json(folder / "provenance.json"),
        truth=read_json(folder / "truth.json") if (folder / "truth.json").exists() else None,
        environments=_optional(folder, "environments.tsv"),
        balance=_optional(folder, "balance.tsv"),
        eigenvalues=_optional(folder, "eigenvalues.tsv"),
        components=_optional(folder, "components.tsv"),
        loadings=_optional(folder, "loadings.tsv"),
        variants=_optional(folder, "variants.tsv"),
        samples=_optional(folder, "samples.tsv"),
        stratification=_optional(folder, "stratification.tsv"),
        component_counts=_optional(folder, "component_counts.tsv"),
        meta_analysis=_optional(folder, "meta_analysis.tsv"),
        negative_controls=_optional(folder, "negative_controls.tsv"),
        effect_curve=_optional(folder, "effect_curve.tsv"),
        confidence_sets=_optional(folder, "confidence_sets.tsv"),
        sensitivity=_optional(folder, "sensitivity.tsv"),
        cross_fitting=_optional(folder, "cross_fitting.tsv"),
        families=_optional(folder, "families.tsv"),
    )


def _required(folder: Path, name: str) -> pl.DataFrame:
    path, columns = folder / name, FILES[name].columns or {}
    if not path.exists():
        raise InputError(f"{path}: this file of a finished run was required, but is not there. Run the study again.")
    frame = read_table(path, columns)
    return pl.DataFrame(schema=dict(columns)) if frame is None else frame


def _optional(folder: Path, name: str) -> pl.DataFrame | None:
    file = FILES[name]
    return read_table(folder / name, file.columns or {}, others=file.others or pl.String)


def _estimates(path: Path) -> tuple[EstimateRow, ...]:
    frame = _required(path.parent, "estimates.tsv").select(list(ESTIMATES))
    for name in ("level", "headline"):
        if frame[name].null_count():
            raise InputError(f"{path}: the column '{name}' must be filled in every row, but has empty fields.")
    rows = tuple(EstimateRow(**row) for row in frame.iter_rows(named=True))
    leading = sum(row.headline for row in rows)
    if leading != 1:
        raise InputError(f"{path}: the column 'headline' must be true in exactly one row, but is in {leading}.")
    if any(row.headline and row.estimate is None for row in rows):
        raise InputError(f"{path}: the headline must have an estimate, but its field is empty. Run the study again.")
    return tuple(sorted(rows, key=_place))


def _place(row: EstimateRow) -> int:
    return SETS.index(row.instruments) if row.instruments in SETS else len(SETS)


def _verdict(path: Path) -> Verdict:
    content = read_json(path)
    missing = [name for name in ("status", "reasons", "n_latent", "path") if name not in content]
    if missing:
        raise InputError(f"{path}: the key {first_few(missing)} was required, but it has {first_few(content, 20)}.")
    if content["status"] not in STATUSES:
        raise InputError(f"{path}: 'status' must be one of {first_few(STATUSES)}, but is {content['status']!r}.")
    optional: Callable[[str], Any] = content.get
    return Verdict(
        status=content["status"],
        reasons=tuple(str(reason) for reason in content["reasons"]),
        n_latent=int(content["n_latent"]),
        n_confounded=optional("n_confounded"),
        path=tuple({key: _finite(value) for key, value in step.items()} for step in content["path"]),
        shift_rank=optional("shift_rank"),
        covariance_informative=optional("covariance_informative"),
        saturated=optional("saturated"),
        learner=optional("learner"),
        degree=optional("degree"),
        ladder=tuple(optional("ladder") or ()),
        mendelian_headline=bool(optional("mendelian_headline")),
    )


def _finite(value: Any) -> Any:  # noqa: ANN401 - a value of JSON
    return None if isinstance(value, float) and math.isnan(value) else value
