"""A two-sample study from two files of summary statistics: choose and clump variants, harmonise, estimate, check."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import polars as pl

from invarmr import __version__
from invarmr.archive.disclosure import Disclosure
from invarmr.archive.files import write_json, write_table, write_text
from invarmr.archive.folder import new_folder
from invarmr.data.harmonised import HarmonisedStatistics
from invarmr.data.summary_statistics import SummaryStatistics
from invarmr.diagnostics.summary.battery import sensitivity
from invarmr.diagnostics.summary.direction import steiger_filter
from invarmr.errors import InputError
from invarmr.estimators.summary.base import SummaryEstimator
from invarmr.estimators.summary.table import COLUMNS, DEFAULT_METHODS, mr_details, resolve_methods, why_no_rows
from invarmr.genetics.clumping import TWO_SAMPLE_MR, ClumpSettings, clump
from invarmr.genetics.harmonise import HarmoniseMode, harmonise
from invarmr.io.plink import genotype_files, open_genotypes
from invarmr.provenance import check_unwritten, describe_run, fingerprint
from invarmr.report.two_sample import two_sample_page
from invarmr.study.summary_files import Reading, account_of_variants, read_pair, said_of_files
from invarmr.study.within_family import WithinFamily, compare_within_family

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
    steiger
        Drop variants that explain more of the outcome than of the exposure.
    report
        Also draw the page.
    smallest_count
        Mask counts of people below it.
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
    steiger: bool = False
    report: bool = True
    smallest_count: int | None = None
    seed: int = 1


@dataclass(frozen=True, eq=False)
class TwoSampleStudy:
    """What a two-sample study gives; with both directions, the rows of both in every table.

    Parameters
    ----------
    estimates, sensitivity, harmonised
        Tables of `mr`, `sensitivity`, and every variant with the reason why it was dropped.
    details
        Table of `mr_details`.
    clumping
        Every variant with its index variant; None where nothing was clumped.
    notes
        What the reader must know: a direction that could not be estimated.
    within_family
        Table of `compare_within_family`; None where no within-family associations were given.
    variants
        Every variant, kept or dropped with its reason, and every row of the files that could not be used
        (`invarmr.study.summary_files.VARIANTS`).
    """

    estimates: pl.DataFrame
    details: pl.DataFrame
    sensitivity: pl.DataFrame
    harmonised: pl.DataFrame
    clumping: pl.DataFrame | None
    notes: tuple[str, ...] = ()
    within_family: pl.DataFrame | None = None
    variants: pl.DataFrame = field(default_factory=pl.DataFrame)


@dataclass(frozen=True, eq=False)
class _Direction:
    harmonised: HarmonisedStatistics
    clumping: pl.DataFrame | None
    notes: tuple[str, ...] = ()


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
    parts = [_direction(exposure, outcome, settings, reverse=False)]
    tables = [mr_details(parts[0].harmonised, methods, seed=settings.seed)]
    if tables[0].height == 0:
        raise InputError(_why_no_estimate(parts[0].harmonised, methods, seed=settings.seed))
    checks = [_checks(parts[0], settings, reverse=False)]
    notes = list(said_of_files(exposure, outcome))
    if settings.bidirectional:
        try:
            back = _direction(outcome, exposure, settings, reverse=True)
            tables.append(mr_details(back.harmonised, methods, seed=settings.seed))
            checks.append(_checks(back, settings, reverse=True))
            parts.append(back)
        except InputError as error:
            notes.append(f"reverse direction: {error}")
        if len(tables) == 2 and tables[1].height == 0:
            notes.append("reverse direction: no variant is left to estimate with")
    absent = [part.harmonised.absent.with_columns(mr_keep=pl.lit(False)) for part in parts]
    clumped = [part.clumping for part in parts if part.clumping is not None]
    details = pl.concat(tables)
    return TwoSampleStudy(
        details.select(COLUMNS),
        details,
        pl.concat(checks),
        pl.concat([*(part.harmonised.frame for part in parts), *absent], how="diagonal"),
        pl.concat(clumped) if clumped else None,
        (*notes, *(note for part in parts for note in part.notes)),
        variants=account_of_variants([(part.harmonised, part.clumping) for part in parts], exposure, outcome),
    )


def _why_no_estimate(harmonised: HarmonisedStatistics, methods: Sequence[SummaryEstimator], *, seed: int) -> str:
    kept = int(harmonised.frame["mr_keep"].sum())
    reasons = harmonised.dropped["reason"].value_counts(sort=True).head(3)
    lost = "; ".join(f"{count} x {reason}" for reason, count in reasons.iter_rows())
    if kept == 0:
        return f"no variant is left to estimate with: {lost}."
    why = "; ".join(why_no_rows(harmonised, methods, seed=seed))
    return f"no method applies to the {kept} variants that are left: {why}.{f' Dropped: {lost}.' if lost else ''}"


def _checks(part: _Direction, settings: TwoSampleSettings, *, reverse: bool) -> pl.DataFrame:
    first, second = _binary(settings, reverse=reverse)
    overlap = None if reverse else settings.overlap  # the share of the other study's people is another one
    return sensitivity(part.harmonised, binary_exposure=first, binary_outcome=second, overlap=overlap)


def _binary(settings: TwoSampleSettings, *, reverse: bool) -> tuple[bool, bool]:
    """Whether the exposure and the outcome of this direction are binary."""
    binary = (settings.binary_exposure, settings.binary_outcome)
    return (binary[1], binary[0]) if reverse else binary


def _direction(
    cause: SummaryStatistics, effect: SummaryStatistics, settings: TwoSampleSettings, *, reverse: bool
) -> _Direction:
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
    harmonised = _with_lost_rows(harmonise(chosen, effect, settings.mode), effect)
    renamed = int(harmonised.frame["reason"].str.contains(" in the outcome, the same variant").sum())
    notes: tuple[str, ...] = ()
    if renamed:
        notes = (
            f"{renamed} variants have another id in the outcome file, and were matched by position and alleles: both "
            "files must be of one genome build",
        )
    if settings.steiger:
        first, second = _binary(settings, reverse=reverse)
        harmonised = steiger_filter(harmonised, binary_exposure=first, binary_outcome=second)
        unknown = int(harmonised.frame.filter("mr_keep")["steiger_dir"].null_count())
        if unknown:
            notes += (
                f"Steiger filtering: {unknown} variants were kept unexamined, because a sample size (or, of a "
                f"binary trait, a "
                "frequency) is not in the files",
            )
    return _Direction(harmonised, table, notes)


def _with_lost_rows(harmonised: HarmonisedStatistics, effect: SummaryStatistics) -> HarmonisedStatistics:
    """Where the outcome's row of a variant was there and could not be used, say so instead of that there is none."""
    lost = effect.dropped.drop_nulls("SNP").unique("SNP", keep="first").select("SNP", why="reason")
    absent = harmonised.absent.join(lost, on="SNP", how="left", maintain_order="left")
    said = pl.when(pl.col("why").is_not_null()).then(pl.format("its row in the outcome file: {}", "why"))
    return replace(harmonised, absent=absent.with_columns(reason=said.otherwise("reason")).drop("why"))


def write_two_sample_study(
    exposure: Path,
    outcome: Path,
    out: Path,
    settings: TwoSampleSettings,
    *,
    reading: Reading | None = None,
    within: WithinFamily | None = None,
) -> TwoSampleStudy:
    """Read two files, run the study, and write its tables, `provenance.json` and `report.html`, all or nothing."""
    inputs = [
        exposure,
        outcome,
        *(() if within is None else within.files),
        *([] if settings.clump is None else genotype_files(settings.clump)),
    ]
    with new_folder(out, kind="two-sample", command="mr", inputs=inputs) as workspace:
        recorded = [fingerprint(path) for path in inputs if path.is_file()]
        reading = reading or Reading()
        population = read_pair(
            exposure, outcome, reading, p_value=settings.p_value, bidirectional=settings.bidirectional
        )
        study = two_sample_study(*population, settings)
        if within is not None:
            kept = study.harmonised.filter(pl.col("mr_keep") & pl.col("id.exposure").is_in(population[0].ids))["SNP"]
            table = compare_within_family(
                kept, population, within, settings.methods, mode=settings.mode, seed=settings.seed
            )
            lost = said_of_files(within.exposure, within.outcome, listed=False)
            study = replace(
                study, within_family=table, notes=(*study.notes, *(f"within families, {it}" for it in lost))
            )
        told = Disclosure(settings.smallest_count)
        tables = {
            "harmonised.tsv": study.harmonised,
            "sensitivity.tsv": study.sensitivity,
            "mr.tsv": study.estimates,
            "details.tsv": study.details,
            "variants.tsv": study.variants,
        }
        if study.clumping is not None:
            tables["clumping.tsv"] = study.clumping
        if study.within_family is not None:
            tables["within_family.tsv"] = study.within_family
        for name, table in tables.items():
            write_table(workspace.path / name, told.frame(table))
        write_json(workspace.path / "provenance.json", _provenance(settings, reading, study, recorded))
        check_unwritten(recorded)
        if settings.report:
            write_text(workspace.path / "report.html", two_sample_page(workspace.path))
    return study


def _provenance(
    settings: TwoSampleSettings, reading: Reading, study: TwoSampleStudy, inputs: list[dict[str, Any]]
) -> dict[str, Any]:
    said = {entry.name: getattr(settings, entry.name) for entry in fields(settings) if entry.name != "seed"}
    said["methods"] = [method.method for method in resolve_methods(settings.methods)]
    said["clump"] = None if settings.clump is None else str(settings.clump)
    said["reading"] = asdict(reading)
    said["clump_settings"] = asdict(settings.clump_settings)
    about = describe_run(settings=said, seed=settings.seed, inputs=inputs, version=__version__)
    return {**about, "notes": list(study.notes)}
