"""The archive of a run as the report needs it: every file read once, every column checked by name."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from invarmr.errors import InputError, first_few

__all__ = ["SETS", "STATUSES", "Archive", "EstimateRow", "Verdict", "read_archive"]

STATUSES = ("identified", "weak", "not identified", "rejected")
SETS = (
    "none", "observed", "observed+environment", "observed+pcs", "allele_score", "learned", "learned+environment",
    "mendelian", "learned+mendelian", "learned (families)", "observed (families)", "observed+pcs (families)", "oracle",
)  # fmt: skip

Columns = Mapping[str, pl.DataType | type[pl.DataType]]
TEXT, NUMBER, WHOLE, TRUTH = pl.String, pl.Float64, pl.Int64, pl.Boolean

ESTIMATES: Columns = {
    "method": TEXT, "instruments": TEXT, "exposure": TEXT, "outcome": TEXT, "estimate": NUMBER, "std_error": NUMBER,
    "ci_lower": NUMBER, "ci_upper": NUMBER, "p_value": NUMBER, "level": NUMBER, "n_samples": WHOLE,
    "n_instruments": WHOLE, "first_stage_f": NUMBER, "headline": TRUTH, "seed": WHOLE, "note": TEXT,
}  # fmt: skip
DIAGNOSTICS: Columns = {
    "assumption": TEXT, "test": TEXT, "null": TEXT, "statistic": NUMBER, "df": TEXT, "p_value": NUMBER,
    "applies": TRUTH, "conclusion": TEXT, "reason": TEXT,
}  # fmt: skip
ENVIRONMENTS: Columns = {
    "environment": TEXT, "n_samples": WHOLE, "estimate": NUMBER, "std_error": NUMBER, "ci_lower": NUMBER,
    "ci_upper": NUMBER, "first_stage_f": NUMBER, "left_out_estimate": NUMBER, "left_out_std_error": NUMBER,
    "left_out_ci_lower": NUMBER, "left_out_ci_upper": NUMBER,
}  # fmt: skip
BALANCE: Columns = {
    "set": TEXT, "instrument": TEXT, "r2_environment": NUMBER, "r2_components": NUMBER, "chance_environment": NUMBER,
    "chance_components": NUMBER,
}  # fmt: skip
EIGENVALUES: Columns = {"direction": WHOLE, "eigenvalue": NUMBER, "kept": TRUTH}
COMPONENTS: Columns = {"environment": TEXT, "PC1": NUMBER, "PC2": NUMBER}
LOADINGS: Columns = {"variant": TEXT, "effect_allele": TEXT}
VARIANTS: Columns = {
    "variant": TEXT, "chromosome": TEXT, "position": WHOLE, "effect_allele": TEXT, "other_allele": TEXT, "status": TEXT,
    "reason": TEXT, "effect_allele_frequency": NUMBER, "min_call_rate": NUMBER, "hardy_weinberg_p": NUMBER,
    "n_imputed": WHOLE,
}  # fmt: skip
STRATIFICATION: Columns = {
    "instruments": TEXT, "against": TEXT, "test": TEXT, "statistic": NUMBER, "df": TEXT, "p_value": NUMBER,
    "share": NUMBER, "chance": NUMBER, "n_samples": WHOLE, "reason": TEXT,
}  # fmt: skip
COMPONENT_COUNTS: Columns = {
    "n_components": WHOLE, "instruments": TEXT, "method": TEXT, "estimate": NUMBER, "std_error": NUMBER,
    "ci_lower": NUMBER, "ci_upper": NUMBER, "first_stage_f": NUMBER,
}  # fmt: skip
META_ANALYSIS: Columns = {
    "instruments": TEXT, "model": TEXT, "estimate": NUMBER, "std_error": NUMBER, "ci_lower": NUMBER, "ci_upper": NUMBER,
    "p_value": NUMBER, "n_environments": WHOLE, "q": NUMBER, "q_df": WHOLE, "q_p_value": NUMBER, "i2": NUMBER,
    "tau2": NUMBER,
}  # fmt: skip
NEGATIVE_CONTROLS: Columns = {
    "control": TEXT, "role": TEXT, "instruments": TEXT, "method": TEXT, "estimate": NUMBER, "std_error": NUMBER,
    "ci_lower": NUMBER, "ci_upper": NUMBER, "p_value": NUMBER, "n_samples": WHOLE, "first_stage_f": NUMBER,
    "joint_f": NUMBER, "joint_df": TEXT, "joint_p_value": NUMBER, "headline": TRUTH,
}  # fmt: skip
SENSITIVITY: Columns = {
    "strength": NUMBER, "lower": NUMBER, "upper": NUMBER, "ci_lower": NUMBER, "ci_upper": NUMBER,
    "confounder_share": NUMBER, "needed": NUMBER, "robustness_value": NUMBER, "robustness_value_interval": NUMBER,
}  # fmt: skip
EFFECT_CURVE: Columns = {
    "value": NUMBER, "wald_p": NUMBER, "anderson_rubin_p": NUMBER, "conditional_likelihood_ratio_p": NUMBER,
}  # fmt: skip
CONFIDENCE_SETS: Columns = {
    "test": TEXT, "instruments": TEXT, "level": NUMBER, "lower": NUMBER, "upper": NUMBER, "shown": TEXT,
}  # fmt: skip
CROSS_FITTING: Columns = {
    "part": TEXT, "n_learned": WHOLE, "n_samples": WHOLE, "learner": TEXT, "n_latent": WHOLE, "n_confounded": WHOLE,
    "status": TEXT, "reason": TEXT, "estimate": NUMBER, "std_error": NUMBER, "ci_lower": NUMBER, "ci_upper": NUMBER,
    "first_stage_f": NUMBER, "anderson_rubin": TEXT, "lagrange_multiplier": TEXT, "conditional_likelihood_ratio": TEXT,
    "heterogeneity_q": NUMBER, "heterogeneity_df": WHOLE, "heterogeneity_p_value": NUMBER, "disagreement": NUMBER,
    "disagreement_df": WHOLE, "disagreement_p_value": NUMBER,
}  # fmt: skip
FAMILIES: Columns = {
    "measure": TEXT, "compared": TEXT, "estimate": NUMBER, "std_error": NUMBER, "ci_lower": NUMBER, "ci_upper": NUMBER,
    "p_value": NUMBER, "detectable": NUMBER, "n_samples": WHOLE, "reason": TEXT,
}  # fmt: skip
SAMPLES: Columns = {"stage": TEXT, "environment": TEXT, "n_samples": WHOLE, "reason": TEXT}


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
    n_samples: int
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
        diagnostics=_required(folder / "diagnostics.tsv", DIAGNOSTICS),
        verdict=_verdict(folder / "verdict.json"),
        provenance=_json(folder / "provenance.json"),
        truth=_json(folder / "truth.json") if (folder / "truth.json").exists() else None,
        environments=_table(folder / "environments.tsv", ENVIRONMENTS),
        balance=_table(folder / "balance.tsv", BALANCE),
        eigenvalues=_table(folder / "eigenvalues.tsv", EIGENVALUES),
        components=_table(folder / "components.tsv", COMPONENTS, others=NUMBER),
        loadings=_table(folder / "loadings.tsv", LOADINGS, others=NUMBER),
        variants=_table(folder / "variants.tsv", VARIANTS),
        samples=_table(folder / "samples.tsv", SAMPLES),
        stratification=_table(folder / "stratification.tsv", STRATIFICATION),
        component_counts=_table(folder / "component_counts.tsv", COMPONENT_COUNTS),
        meta_analysis=_table(folder / "meta_analysis.tsv", META_ANALYSIS),
        negative_controls=_table(folder / "negative_controls.tsv", NEGATIVE_CONTROLS),
        effect_curve=_table(folder / "effect_curve.tsv", EFFECT_CURVE),
        confidence_sets=_table(folder / "confidence_sets.tsv", CONFIDENCE_SETS),
        sensitivity=_table(folder / "sensitivity.tsv", SENSITIVITY),
        cross_fitting=_table(folder / "cross_fitting.tsv", CROSS_FITTING),
        families=_table(folder / "families.tsv", FAMILIES),
    )


def _required(path: Path, columns: Columns) -> pl.DataFrame:
    if not path.exists():
        raise InputError(f"{path}: this file of a finished run was required, but is not there. Run the study again.")
    frame = _table(path, columns)
    return pl.DataFrame(schema=dict(columns)) if frame is None else frame


def _table(path: Path, columns: Columns, *, others: type[pl.DataType] = TEXT) -> pl.DataFrame | None:
    """Read one tab-separated table; None where it is absent or has no rows."""
    if not path.exists() or path.stat().st_size == 0:
        return None
    try:
        raw = pl.read_csv(path, separator="\t", infer_schema=False)
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{path}: a tab-separated table was required, but it could not be read: {reason}.") from error
    missing = [name for name in columns if name not in raw.columns]
    if missing:
        raise InputError(
            f"{path}: the column {first_few(missing)} was required, but the table has {first_few(raw.columns, 20)}. "
            "Was the file written by another version?"
        )
    if raw.is_empty():
        return None
    return raw.select([_typed(path, raw[name], columns.get(name, others)) for name in raw.columns])


def _typed(path: Path, values: pl.Series, kind: pl.DataType | type[pl.DataType]) -> pl.Series:
    """Turn text into the column's kind; empty fields become null (text: the empty text)."""
    if kind == TEXT:
        return values.fill_null("")
    if kind == TRUTH:
        typed = values.replace_strict({"true": True, "false": False}, default=None, return_dtype=pl.Boolean)
    else:
        typed = values.cast(pl.Float64, strict=False).fill_nan(None)
        typed = typed.cast(pl.Int64, strict=False) if kind == WHOLE else typed
    wrong = values.filter(typed.is_null() & values.is_not_null() & ~values.str.to_lowercase().is_in(["", "nan"]))
    if len(wrong):
        required = "true or false" if kind == TRUTH else "whole numbers" if kind == WHOLE else "numbers"
        raise InputError(f"{path}: the column '{values.name}' must hold {required}, but has {first_few(wrong)}.")
    return typed


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: this file of a finished run was required, but could not be read.") from error
    except ValueError as error:
        raise InputError(f"{path}: JSON was required, but this is not valid: {error}.") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: a JSON object was required, but this is a {type(content).__name__}.")
    return content


def _estimates(path: Path) -> tuple[EstimateRow, ...]:
    frame = _required(path, ESTIMATES).select(list(ESTIMATES))
    for name in ("level", "n_samples", "headline"):
        if frame[name].null_count():
            raise InputError(f"{path}: the column '{name}' must be filled in every row, but has empty fields.")
    rows = tuple(EstimateRow(**row) for row in frame.iter_rows(named=True))
    leading = sum(row.headline for row in rows)
    if leading != 1:
        raise InputError(f"{path}: the column 'headline' must be true in exactly one row, but is in {leading}.")
    return tuple(sorted(rows, key=_place))


def _place(row: EstimateRow) -> int:
    return SETS.index(row.instruments) if row.instruments in SETS else len(SETS)


def _verdict(path: Path) -> Verdict:
    content = _json(path)
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
