"""`invarmr mr EXPOSURE OUTCOME --out DIR`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

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
    p_value: float | None = None,
    binary_exposure: Annotated[bool, Parameter(negative="")] = False,
    binary_outcome: Annotated[bool, Parameter(negative="")] = False,
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
        Folder for mr.tsv, harmonised.tsv and sensitivity.tsv; files of an earlier run in it are replaced.
    mode
        Palindromic variants: forward (all on the forward strand), infer (by frequency) or drop.
    methods
        Methods, such as mr_ivw or "MR Egger"; the five of TwoSampleMR by default.
    exposure_name
        Name of the exposure where its file states none; the file's name by default.
    outcome_name
        Name of the outcome, likewise.
    p_value
        Use exposure variants with a p-value below this only. They must be independent already.
    binary_exposure
        The exposure's effects are log odds ratios.
    binary_outcome
        The outcome's effects are log odds ratios.
    seed
        Of the bootstraps.
    quiet
        Print nothing but the table's path.
    """
    import polars as pl

    from invarmr.data.summary_statistics import SummaryStatistics
    from invarmr.diagnostics.summary.battery import sensitivity
    from invarmr.errors import InputError
    from invarmr.estimators.summary.table import DEFAULT_METHODS, resolve_methods
    from invarmr.estimators.summary.table import mr as estimate
    from invarmr.genetics.harmonise import harmonise
    from invarmr.io.summary_statistics import read_summary_statistics
    from invarmr.study.config import check_seed
    from invarmr.study.layout import staged_folder, write_table

    check_seed(seed)
    chosen = resolve_methods(methods or DEFAULT_METHODS)
    left = read_summary_statistics(exposure, name=exposure_name)
    if p_value is not None:
        strong = left.frame.filter(pl.col("pval") < p_value)
        if strong.height == 0:
            raise InputError(f"{exposure}: no variant has a p-value below {p_value:g}. Raise --p-value.")
        left = SummaryStatistics(strong)
    harmonised = harmonise(left, read_summary_statistics(outcome, name=outcome_name), mode)
    table = estimate(harmonised, chosen, seed=seed)
    if table.height == 0:
        reasons = harmonised.dropped["reason"].value_counts(sort=True).head(3)
        shown = "; ".join(f"{count} x {reason}" for reason, count in reasons.iter_rows())
        raise InputError(f"no variant is left to estimate with: {shown}." if shown else "no method applies.")
    checks = sensitivity(harmonised, binary_exposure=binary_exposure, binary_outcome=binary_outcome)
    absent = harmonised.absent.with_columns(mr_keep=pl.lit(False))
    with staged_folder(out) as part:
        write_table(part / "harmonised.tsv", pl.concat([harmonised.frame, absent], how="diagonal"))
        write_table(part / "sensitivity.tsv", checks)
        write_table(part / "mr.tsv", table)
    _say(out / "mr.tsv", table.rows(named=True), len(harmonised.dropped), quiet=quiet)
    return 0


def _say(path: Path, rows: list[dict[str, object]], n_dropped: int, *, quiet: bool) -> None:
    for row in [] if quiet else rows:
        print(
            f"{row['exposure']} on {row['outcome']}, {row['method']} ({row['nsnp']} variants): "
            f"{row['b']:.4f} (se {row['se']:.4f}, p {row['pval']:.3g})"
        )
    if not quiet and n_dropped:
        print(f"{n_dropped} variants dropped, each with its reason in harmonised.tsv")
    print(path)
