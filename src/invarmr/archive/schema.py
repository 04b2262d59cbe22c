"""Every file of a study's archive: which verb writes it, when it is absent, and each table's columns.

Writers, readers, masking and the manual go by this file; nothing else declares a column.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

__all__ = [
    "BALANCE", "COMPONENTS", "COMPONENT_COUNTS", "CONFIDENCE_SETS", "CROSS_FITTING", "DIAGNOSTICS", "EFFECT_CURVE",
    "EIGENVALUES", "ENVIRONMENTS", "ESTIMATES", "FAMILIES", "FILES", "LOADINGS", "MENDELIAN_ERRORS", "META_ANALYSIS",
    "NEGATIVE_CONTROLS", "NUMBER", "PEDIGREE", "SAMPLES", "SENSITIVITY", "STRATIFICATION", "TABLES", "TEXT", "TRUTH",
    "VARIANTS", "VERBS", "WHOLE", "Columns", "File", "files_after", "files_of", "people_files",
]  # fmt: skip

Columns = Mapping[str, pl.DataType | type[pl.DataType]]
TEXT, NUMBER, WHOLE, TRUTH = pl.String, pl.Float64, pl.Int64, pl.Boolean
VERBS = ("read", "learn", "estimate", "diagnose", "report")

_EFFECT: Columns = {
    "estimate": NUMBER, "std_error": NUMBER, "ci_lower": NUMBER, "ci_upper": NUMBER, "p_value": NUMBER, "level": NUMBER,
}  # fmt: skip
_STRENGTH: Columns = {"n_samples": WHOLE, "n_instruments": WHOLE, "first_stage_f": NUMBER}

ESTIMATES: Columns = {
    "method": TEXT, "instruments": TEXT, "exposure": TEXT, "outcome": TEXT, **_EFFECT, **_STRENGTH, "headline": TRUTH,
    "seed": WHOLE, "note": TEXT,
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
COMPONENTS: Columns = {
    "environment": TEXT, "across": TEXT, "up": TEXT, "x": NUMBER, "y": NUMBER, "n_samples": WHOLE,
}  # fmt: skip
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
    "n_components": WHOLE, "instruments": TEXT, "method": TEXT, **_EFFECT, **_STRENGTH,
}  # fmt: skip
META_ANALYSIS: Columns = {
    "instruments": TEXT, "model": TEXT, **_EFFECT, "n_environments": WHOLE, "q": NUMBER, "q_df": WHOLE,
    "q_p_value": NUMBER, "i2": NUMBER, "tau2": NUMBER,
}  # fmt: skip
NEGATIVE_CONTROLS: Columns = {
    "control": TEXT, "role": TEXT, "instruments": TEXT, "method": TEXT, **_EFFECT, **_STRENGTH, "joint_f": NUMBER,
    "joint_df": TEXT, "joint_p_value": NUMBER, "headline": TRUTH,
}  # fmt: skip
SENSITIVITY: Columns = {
    "strength": NUMBER, "lower": NUMBER, "upper": NUMBER, "ci_lower": NUMBER, "ci_upper": NUMBER,
    "confounder_share": NUMBER, "needed": NUMBER, "robustness_value": NUMBER, "robustness_value_interval": NUMBER,
}  # fmt: skip
EFFECT_CURVE: Columns = {
    "value": NUMBER, "wald_p": NUMBER, "anderson_rubin_p": NUMBER, "conditional_likelihood_ratio_p": NUMBER,
}  # fmt: skip
CONFIDENCE_SETS: Columns = {
    "test": TEXT, "instruments": TEXT, "level": NUMBER, "piece": WHOLE, "lower": NUMBER, "upper": NUMBER, "shown": TEXT,
}  # fmt: skip
CROSS_FITTING: Columns = {
    "part": TEXT, "n_learned": WHOLE, "n_samples": WHOLE, "learner": TEXT, "n_latent": WHOLE, "n_confounded": WHOLE,
    "status": TEXT, "reason": TEXT, **_EFFECT, "first_stage_f": NUMBER, "anderson_rubin": TEXT,
    "lagrange_multiplier": TEXT, "conditional_likelihood_ratio": TEXT, "heterogeneity_q": NUMBER,
    "heterogeneity_df": WHOLE,
    "heterogeneity_p_value": NUMBER, "disagreement": NUMBER, "disagreement_df": WHOLE, "disagreement_p_value": NUMBER,
}  # fmt: skip
FAMILIES: Columns = {
    "measure": TEXT, "compared": TEXT, "estimate": NUMBER, "std_error": NUMBER, "ci_lower": NUMBER, "ci_upper": NUMBER,
    "p_value": NUMBER, "detectable": NUMBER, "n_samples": WHOLE, "reason": TEXT,
}  # fmt: skip
PEDIGREE: Columns = {"sample_id": TEXT, "fault": TEXT, "reason": TEXT}
MENDELIAN_ERRORS: Columns = {"variant": TEXT, "n_trios": WHOLE, "n_inconsistent": WHOLE}
SAMPLES: Columns = {"stage": TEXT, "environment": TEXT, "n_samples": WHOLE, "reason": TEXT}


@dataclass(frozen=True)
class File:
    """A file of the archive.

    Parameters
    ----------
    verb
        Who writes it.
    columns
        Of a table: name and kind; None for other files.
    others
        Kind of further columns, whose names depend on the study; None where there are none.
    absent
        When it is not there; empty: it always is.
    people
        It has a row per person: written on request only, and readable by its owner alone.
    """

    verb: str
    columns: Columns | None = None
    others: type[pl.DataType] | None = None
    absent: str = ""
    people: bool = False


_LEARNED = "nothing was to be learned"
_ON_REQUEST = "`[output] people` is false"
_MASKED = "small counts are masked"
_NO_FAMILIES = "the study names no families"

FILES: Mapping[str, File] = {
    "samples.tsv": File("read", SAMPLES),
    "variants.tsv": File("read", VARIANTS),
    "components.tsv": File("read", COMPONENTS, absent="no principal components"),
    "mendelian_errors.tsv": File("read", MENDELIAN_ERRORS, absent=_NO_FAMILIES),
    "pedigree.tsv": File("read", PEDIGREE, absent=f"{_ON_REQUEST}, or {_NO_FAMILIES}", people=True),
    "provenance.json": File("read"),
    "truth.json": File("read", absent="the study is not simulated"),
    "loadings.tsv": File("learn", LOADINGS, NUMBER, absent=f"{_LEARNED}, or the learner is not linear"),
    "eigenvalues.tsv": File("learn", EIGENVALUES, absent=_LEARNED),
    "instruments.parquet": File("learn", absent=f"{_ON_REQUEST}, or {_LEARNED}", people=True),
    "estimates.tsv": File("estimate", ESTIMATES),
    "cross_fitting.tsv": File(
        "estimate", CROSS_FITTING, absent="`[estimate] cross_fitting` is 0, or no latent instrument"
    ),
    "families.tsv": File("estimate", FAMILIES, absent=_NO_FAMILIES),
    "diagnostics.tsv": File("diagnose", DIAGNOSTICS),
    "environments.tsv": File("diagnose", ENVIRONMENTS),
    "balance.tsv": File("diagnose", BALANCE),
    "sensitivity.tsv": File("diagnose", SENSITIVITY, absent=f"{_LEARNED}, no latent instrument, or {_MASKED}"),
    "verdict.json": File("diagnose"),
    "stratification.tsv": File("diagnose", STRATIFICATION, absent="one environment and no principal components"),
    "component_counts.tsv": File("diagnose", COMPONENT_COUNTS, absent="no principal components"),
    "meta_analysis.tsv": File("diagnose", META_ANALYSIS, absent="fewer than two environments can be estimated alone"),
    "negative_controls.tsv": File("diagnose", NEGATIVE_CONTROLS, absent="the study names none"),
    "effect_curve.tsv": File("diagnose", EFFECT_CURVE, absent="there is no error variance"),
    "confidence_sets.tsv": File("diagnose", CONFIDENCE_SETS, absent="there is no error variance"),
    "report.html": File("report"),
    "state/cohort.parquet": File("read", absent=_ON_REQUEST, people=True),
    "state/instruments.npz": File("read", absent=_ON_REQUEST, people=True),
    "state/moments.npz": File("read", absent=_MASKED),
    "state/latent.npz": File("learn", absent=f"{_LEARNED}, or {_MASKED}"),
    "state/latent.json": File("learn", absent=_MASKED),
}
"""In the order of the flow."""

TABLES: Mapping[str, File] = {name: file for name, file in FILES.items() if file.columns is not None}


def files_of(verb: str) -> tuple[str, ...]:
    """Files that a verb writes.

    Examples
    --------
    >>> files_of("report")
    ('report.html',)
    """
    return tuple(name for name, file in FILES.items() if file.verb == verb)


def files_after(verb: str) -> tuple[str, ...]:
    """Files of all later verbs, which no longer follow from what `verb` writes."""
    later = VERBS[VERBS.index(verb) + 1 :]
    return tuple(name for name, file in FILES.items() if file.verb in later)


def people_files() -> frozenset[str]:
    """Files with a row per person."""
    return frozenset(name for name, file in FILES.items() if file.people)
