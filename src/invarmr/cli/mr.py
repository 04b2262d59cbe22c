"""`invarmr mr EXPOSURE OUTCOME --out DIR`."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

if TYPE_CHECKING:
    from invarmr.study.two_sample import TwoSampleStudy

__all__ = ["mr"]


def mr(
    exposure: Path,
    outcome: Path,
    *,
    out: Path,
    mode: Literal["forward", "infer", "drop"] = "infer",
    methods: Annotated[list[str] | None, Parameter(negative="", consume_multiple=True)] = None,
    exposure_name: str | None = None,
    outcome_name: str | None = None,
    exposure_columns: Annotated[list[str] | None, Parameter(negative="", consume_multiple=True)] = None,
    outcome_columns: Annotated[list[str] | None, Parameter(negative="", consume_multiple=True)] = None,
    exposure_group: str | None = None,
    outcome_group: str | None = None,
    decimal_comma: Annotated[bool, Parameter(negative="")] = False,
    strict: Annotated[bool, Parameter(negative="")] = False,
    p_value: float | None = None,
    clump: Path | None = None,
    clump_r2: float = 0.001,
    clump_kb: float = 10_000,
    bidirectional: Annotated[bool, Parameter(negative="")] = False,
    overlap: float | None = None,
    steiger: Annotated[bool, Parameter(negative="")] = False,
    report: bool = True,
    binary_exposure: Annotated[bool, Parameter(negative="")] = False,
    binary_outcome: Annotated[bool, Parameter(negative="")] = False,
    within_family: tuple[Path, Path] | None = None,
    within_family_correlation: float | None = None,
    within_family_overlap: float | None = None,
    smallest_count: int | None = None,
    seed: int = 1,
    quiet: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Two-sample MR from summary statistics: harmonise, estimate, sensitivity analyses.

    Parameters
    ----------
    exposure
        Summary statistics of the exposure, the independent instruments only (or see --p-value).
    outcome
        Summary statistics of the outcome.
    out
        Folder for report.html, mr.tsv, details.tsv, harmonised.tsv, variants.tsv, sensitivity.tsv, clumping.tsv and
        provenance.json: a new or empty one, or that of an earlier run, which is replaced as a whole.
    mode
        Palindromic variants: forward (all on the forward strand), infer (by frequency) or drop.
    methods
        Methods, such as mr_ivw or "MR Egger"; the five of TwoSampleMR by default.
    exposure_name
        Name of the exposure where its file states none; the file's name by default.
    outcome_name
        Name of the outcome, likewise.
    exposure_columns
        What the header of the exposure's file does not say: effect_allele=A1 other_allele=A2 beta=my_effect.
    outcome_columns
        The same of the outcome's file.
    exposure_group
        Ancestry group of a file with columns for several (Pan-UKB): eur, afr, meta.
    outcome_group
        The same of the outcome's file.
    decimal_comma
        1,5 is one and a half, in both files.
    strict
        Refuse a file for one bad row; otherwise such rows are dropped, each with its reason in variants.tsv.
    p_value
        Use exposure variants with a p-value below this only.
    clump
        Genotypes (.bed, .pgen) whose LD clumps the variants; without it they must be independent already.
    clump_r2
        Squared correlation above which a variant is dropped beside a more significant one.
    clump_kb
        Distance in which that is looked at, in 1,000 base pairs (PLINK: 0.5 within 250).
    bidirectional
        Also take the outcome as the exposure, with variants from its own file; needs --p-value.
    overlap
        Share of the outcome study's people who are in the exposure study too, for the statement on overlap.
    steiger
        Drop variants that explain more of the outcome than of the exposure; needs sample sizes.
    report
        Also write report.html.
    binary_exposure
        The exposure's effects are log odds ratios.
    binary_outcome
        The outcome's effects are log odds ratios.
    within_family
        Associations of the same variants within families, exposure and outcome: both estimates and their difference
        by every method, in within_family.tsv.
    within_family_correlation
        Of the population and the within-family estimate; 0 unless this or the overlap is given.
    within_family_overlap
        Share of the within-family study's people who are in the population study; gives the correlation.
    smallest_count
        Mask counts of people below this number.
    seed
        Of the bootstraps.
    quiet
        Print nothing but the path of the page (or of the table).
    """
    from invarmr.genetics.clumping import ClumpSettings
    from invarmr.study.config import check_seed
    from invarmr.study.summary_files import Reading, SummaryFile, parse_columns
    from invarmr.study.two_sample import TwoSampleSettings, write_two_sample_study
    from invarmr.study.within_family import read_within_family

    check_seed(seed)
    settings = TwoSampleSettings(
        mode=mode,
        p_value=p_value,
        clump=clump,
        clump_settings=ClumpSettings(max_r2=clump_r2, window_kb=clump_kb),
        bidirectional=bidirectional,
        binary_exposure=binary_exposure,
        binary_outcome=binary_outcome,
        overlap=overlap,
        steiger=steiger,
        report=report,
        smallest_count=smallest_count,
        seed=seed,
    )
    if methods:
        settings = replace(settings, methods=tuple(methods))
    within = None
    if within_family is not None:
        within = read_within_family(within_family, correlation=within_family_correlation, overlap=within_family_overlap)
    reading = Reading(
        exposure=SummaryFile(
            name=exposure_name,
            columns=parse_columns(exposure_columns, "--exposure-columns"),
            group=exposure_group,
        ),
        outcome=SummaryFile(
            name=outcome_name, columns=parse_columns(outcome_columns, "--outcome-columns"), group=outcome_group
        ),
        strict=strict,
        decimal_comma=decimal_comma,
    )
    study = write_two_sample_study(exposure, outcome, out, settings, reading=reading, within=within)
    if not quiet:
        _say(study)
    print(out / ("report.html" if report else "mr.tsv"))
    return 0


def _say(study: TwoSampleStudy) -> None:
    from invarmr.estimators.summary.result import show_p_value

    for row in study.details.iter_rows(named=True):
        spread = f"{100 * row['level']:g} % set {row['set']}" if math.isnan(row["se"]) else f"se {row['se']:.4f}"
        print(
            f"{row['exposure']} on {row['outcome']}, {row['method']} ({row['nsnp']} variants): "
            f"{row['b']:.4f} ({spread}, p {show_p_value(row['pval'], row['log10_pval'])})"
        )
    for note in study.notes:
        print(note)
    if study.within_family is not None:
        for row in study.within_family.iter_rows(named=True):
            print(
                f"within families, {row['method']} ({row['nsnp']} variants): {row['b_within_family']:.4f} (se "
                f"{row['se_within_family']:.4f}), population less within {row['difference']:+.4f} (se "
                f"{row['se_difference']:.4f}, p {row['p_difference']:.2g}; {row['detectable']:.3g} would have been "
                "seen with 80 % power)"
            )
    if study.clumping is not None:
        clumped = int((~study.clumping["kept"]).sum())
        print(f"{clumped} of {study.clumping.height} variants clumped away, each with its reason in clumping.tsv")
    n_dropped = int((~study.harmonised["mr_keep"]).sum())
    if n_dropped:
        print(f"{n_dropped} variants dropped, each with its reason in variants.tsv")
    stated = study.sensitivity.filter(analysis="sample overlap", quantity="toward the observational association")
    for name in stated["note"].unique(maintain_order=True).head(1):
        print(name)
