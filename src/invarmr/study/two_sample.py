"""A two-sample study from two files of summary statistics: choose and clump variants, harmonise, estimate, check."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from invarmr.data.harmonised import HarmonisedStatistics
from invarmr.data.summary_statistics import SummaryStatistics
from invarmr.diagnostics.summary.battery import sensitivity
from invarmr.errors import InputError
from invarmr.estimators.summary.base import SummaryEstimator
from invarmr.estimators.summary.table import DEFAULT_METHODS, mr, resolve_methods
from invarmr.genetics.clumping import TWO_SAMPLE_MR, ClumpSettings, clump
from invarmr.genetics.harmonise import HarmoniseMode, harmonise
from invarmr.io.plink import open_genotypes
from invarmr.io.summary_statistics import read_summary_statistics
from invarmr.study.layout import staged_folder, write_table

__all__ = ["TwoSampleSettings", "TwoSampleStudy", "two_sample_study", "write_two_sample_study"]


@dataclass(frozen=True, kw_only=True)
class TwoSampleSettings:
    """Settings of a two-sample study.

    Parameters
    ----------
    mode
        How palindromic variants are harmonised.
    methods
        Estimators, by name or label.
    p_value
        Use variants with a p-value below this only; None: all of the exposure's.
    clump
        Genotypes whose LD clumps the variants; None: they are independent already.
    clump_settings
        Bounds of clumping.
    bidirectional
        Also take the outcome as the exposure, with variants chosen from its own file; needs `p_value`.
    binary_exposure, binary_outcome
        The effects are log odds ratios.
    overlap
        Share of the outcome study's people who are in the exposure study too; None: not known.
    seed
        Of the bootstraps.
    """

    mode: HarmoniseMode = "infer"
    methods: Sequence[str | SummaryEstimator] = DEFAULT_METHODS
    p_value: float | None = None
    clump: Path | None = None
    clump_settings: ClumpSettings = TWO_SAMPLE_MR
    bidirectional: bool = False
    binary_exposure: bool = False
    binary_outcome: bool = False
    overlap: float | None = None
    seed: int = 1


@dataclass(frozen=True, eq=False)
class TwoSampleStudy:
    """What a two-sample study gives; with both directions, the rows of both in every table.

    Parameters
    ----------
    estimates, sensitivity, harmonised
        Tables of `mr`, `sensitivity`, and every variant with the reason why it was dropped.
    clumping
        Every variant with its index variant; None where nothing was clumped.
    notes
        What the reader must know: a direction that could not be estimated.
    """

    estimates: pl.DataFrame
    sensitivity: pl.DataFrame
    harmonised: pl.DataFrame
    clumping: pl.DataFrame | None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class _Direction:
    harmonised: HarmonisedStatistics
    clumping: pl.DataFrame | None


def two_sample_study(
    exposure: SummaryStatistics, outcome: SummaryStatistics, settings: TwoSampleSettings | None = None
) -> TwoSampleStudy:
    """Run a two-sample study in one direction or both.

    Parameters
    ----------
    exposure, outcome
        Summary statistics.
    settings
        Defaults where None.

    Raises
    ------
    InputError
        No variant is left; both directions without `p_value`; or a setting that a step refuses.
    """
    settings = settings or TwoSampleSettings()
    methods = resolve_methods(settings.methods)
    if settings.bidirectional and settings.p_value is None:
        raise InputError(
            "Both directions need a p-value (--p-value) below which variants are taken: those of the reverse direction "
            "must be chosen from the outcome's own file."
        )
    parts = [_direction(exposure, outcome, settings)]
    tables = [mr(parts[0].harmonised, methods, seed=settings.seed)]
    if tables[0].height == 0:
        reasons = parts[0].harmonised.dropped["reason"].value_counts(sort=True).head(3)
        shown = "; ".join(f"{count} x {reason}" for reason, count in reasons.iter_rows())
        raise InputError(f"no variant is left to estimate with: {shown}." if shown else "no method applies.")
    checks = [_checks(parts[0], settings, reverse=False)]
    notes = []
    if settings.bidirectional:
        try:
            back = _direction(outcome, exposure, settings)
            tables.append(mr(back.harmonised, methods, seed=settings.seed))
            checks.append(_checks(back, settings, reverse=True))
            parts.append(back)
        except InputError as error:
            notes.append(f"reverse direction: {error}")
        if len(tables) == 2 and tables[1].height == 0:
            notes.append("reverse direction: no variant is left to estimate with")
    absent = [part.harmonised.absent.with_columns(mr_keep=pl.lit(False)) for part in parts]
    clumped = [part.clumping for part in parts if part.clumping is not None]
    return TwoSampleStudy(
        pl.concat(tables),
        pl.concat(checks),
        pl.concat([*(part.harmonised.frame for part in parts), *absent], how="diagonal"),
        pl.concat(clumped) if clumped else None,
        tuple(notes),
    )


def _checks(part: _Direction, settings: TwoSampleSettings, *, reverse: bool) -> pl.DataFrame:
    binary = (settings.binary_exposure, settings.binary_outcome)
    first, second = reversed(binary) if reverse else binary
    overlap = None if reverse else settings.overlap  # the share of the other study's people is another one
    return sensitivity(part.harmonised, binary_exposure=first, binary_outcome=second, overlap=overlap)


def _direction(cause: SummaryStatistics, effect: SummaryStatistics, settings: TwoSampleSettings) -> _Direction:
    chosen = cause
    if settings.p_value is not None:
        strong = cause.frame.filter(pl.col("pval") < settings.p_value)
        if strong.height == 0:
            raise InputError(
                f"no variant of {', '.join(cause.ids)} has a p-value below {settings.p_value:g}. Raise --p-value."
            )
        chosen = SummaryStatistics(strong)
    table = None
    if settings.clump is not None:
        clumps = clump(chosen, open_genotypes(settings.clump), settings=settings.clump_settings)
        chosen, table = clumps.kept, clumps.table
        if chosen.n_variants == 0:
            raise InputError(f"no variant is left after clumping: {table['reason'][0]}, say.")
    return _Direction(harmonise(chosen, effect, settings.mode), table)


def write_two_sample_study(
    exposure: Path,
    outcome: Path,
    out: Path,
    settings: TwoSampleSettings,
    *,
    exposure_name: str | None = None,
    outcome_name: str | None = None,
) -> TwoSampleStudy:
    """Read two files, run the study, and write `mr.tsv`, `harmonised.tsv`, `sensitivity.tsv` and `clumping.tsv`."""
    study = two_sample_study(
        read_summary_statistics(exposure, name=exposure_name),
        read_summary_statistics(outcome, name=outcome_name),
        settings,
    )
    with staged_folder(out) as part:
        write_table(part / "harmonised.tsv", study.harmonised)
        write_table(part / "sensitivity.tsv", study.sensitivity)
        if study.clumping is not None:
            write_table(part / "clumping.tsv", study.clumping)
        else:
            (out / "clumping.tsv").unlink(missing_ok=True)
        write_table(part / "mr.tsv", study.estimates)
    return study
