"""The instruments of a study that are variants: settled, filtered, and counted environment by environment."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from invarmr.arrays import BoolArray, FloatArray, IntArray
from invarmr.data.cohort import BLOCK
from invarmr.data.genotypes import MISSING_CALL, GenotypeReader
from invarmr.errors import InputError, first_few
from invarmr.genetics.alleles import settle_alleles
from invarmr.genetics.quality_control import variant_filters
from invarmr.io.instrument_list import read_instrument_list
from invarmr.study.config import StudyConfig

__all__ = ["VARIANT_COLUMNS", "SettledVariants", "settle_variants"]

VARIANT_COLUMNS = (
    "variant",
    "chromosome",
    "position",
    "effect_allele",
    "other_allele",
    "status",
    "reason",
    "effect_allele_frequency",
    "min_call_rate",
    "hardy_weinberg_p",
    "n_imputed",
)
"""Columns of `variants.tsv`."""


@dataclass(frozen=True, eq=False)
class SettledVariants:
    """Kept variants, and the account of all that were asked for.

    Parameters
    ----------
    names, effect_alleles
        Of the kept variants, in order.
    file_index, flip
        (d,) where each stands in the file, and whether its effect allele is the one the file does not count.
    imputed
        (E, d) mean copies of the effect allele in each environment.
    weights
        (d,) external weight per copy of the effect allele, or None where any is missing.
    account
        `variants.tsv`.
    """

    names: tuple[str, ...]
    effect_alleles: tuple[str, ...]
    file_index: IntArray
    flip: BoolArray
    imputed: FloatArray
    weights: FloatArray | None
    account: pl.DataFrame


def settle_variants(
    config: StudyConfig,
    reader: GenotypeReader,
    *,
    samples: IntArray,
    environment: IntArray,
    environments: tuple[str, ...],
) -> SettledVariants:
    """Find the variants asked for, settle their effect alleles, filter them, and take their means per environment.

    Parameters
    ----------
    samples, environment
        (n,) file indices of the study's samples, increasing, and their environment codes.

    Raises
    ------
    InputError
        A malformed list, more variants than samples, or none left.
    """
    asked = config.instruments.variants
    requested = None if asked == "all" or asked is None else read_instrument_list(asked)
    available = reader.variants
    smallest = int(np.bincount(environment).min())
    if requested is None and available.height >= smallest:
        raise InputError(
            f'[instruments] variants = "all" asks for {available.height} instruments, but the smallest environment has '
            f"{smallest} samples, and every environment must have more samples than instruments. Name fewer variants."
        )
    ids = available["variant"] if requested is None else requested["variant"]
    candidates = np.flatnonzero(available["variant"].is_in(ids.implode()).to_numpy())
    counts, copies = _counts(reader, candidates, samples, environment, len(environments))
    frequency = np.full(available.height, np.nan)
    frequency[candidates] = _frequency(counts.sum(axis=0), copies.sum(axis=0))
    settled = settle_alleles(
        requested, available.with_columns(pl.Series("counted_allele_frequency", frequency, nan_to_null=True))
    )
    found = settled["file_index"].is_not_null().to_numpy()
    row = np.full(available.height, -1)
    row[candidates] = np.arange(len(candidates))
    position = row[settled["file_index"].drop_nulls().to_numpy().astype(np.intp)]
    counts, copies = counts[:, position], copies[:, position]
    account, kept = _filter(config, settled, found, counts, environments, _frequency(counts.sum(0), copies.sum(0)))
    if not kept.any():
        reasons = account["reason"].value_counts(sort=True)
        shown = first_few(f"{reason} ({count})" for reason, count in reasons.iter_rows())
        raise InputError(
            f"No instrument is left of the {account.height} variants asked for. Why they were dropped: {shown}. "
            "Check variant ids and alleles against the genotype file, and the bounds in [quality_control]."
        )
    chosen = account.with_columns(settled["file_index"], settled["flip"]).filter(pl.Series(kept))
    flip = chosen["flip"].to_numpy().astype(bool)
    means = 2 * _frequency(counts, copies)[:, kept[found]]
    means = np.where(np.isfinite(means), means, 2 * _frequency(counts.sum(0), copies.sum(0))[kept[found]])
    return SettledVariants(
        names=tuple(chosen["variant"]),
        effect_alleles=tuple(chosen["effect_allele"]),
        file_index=chosen["file_index"].to_numpy().astype(np.intp),
        flip=flip,
        imputed=np.where(flip, 2 - means, means),
        weights=_weights(requested, tuple(chosen["variant"])),
        account=account,
    )


def _counts(
    reader: GenotypeReader, variants: IntArray, samples: IntArray, environment: IntArray, size: int
) -> tuple[IntArray, FloatArray]:
    """Samples with 0, 1, 2 copies (to the nearest whole number) and missing, (E, m, 4); sum of all copies, (E, m)."""
    groups = [samples[environment == code] for code in range(size)]
    if not reader.has_dosages:
        counts = np.stack([reader.counts(variants, group) for group in groups])
        return counts, (counts[..., 1] + 2 * counts[..., 2]).astype(np.float64)
    out = np.zeros((size, len(variants), 4), dtype=np.int64)
    total = np.zeros((size, len(variants)))
    for code, group in enumerate(groups):
        for start in range(0, len(group), BLOCK):
            calls = reader.read(variants, group[start : start + BLOCK])
            nearest = np.rint(calls)
            for copies in range(3):
                out[code, :, copies] += (nearest == copies).sum(axis=1)
            missing = calls == MISSING_CALL
            out[code, :, 3] += missing.sum(axis=1)
            total[code] += np.where(missing, 0, calls).sum(axis=1, dtype=np.float64)
    return out, total


def _frequency(counts: IntArray, copies: FloatArray) -> FloatArray:
    """Frequency of the counted allele, (...), NaN where nobody is called; from dosages where the file has them."""
    called = 2.0 * counts[..., :3].sum(axis=-1)
    return np.asarray(np.divide(copies, called, out=np.full(copies.shape, np.nan), where=called > 0))


def _filter(
    config: StudyConfig,
    settled: pl.DataFrame,
    found: BoolArray,
    counts: IntArray,
    environments: tuple[str, ...],
    frequency: FloatArray,
) -> tuple[pl.DataFrame, BoolArray]:
    bounds = config.quality_control
    judged = variant_filters(
        counts,
        environments,
        min_call_rate=bounds.min_call_rate,
        min_allele_frequency=bounds.min_allele_frequency,
        min_hardy_weinberg_p=bounds.min_hardy_weinberg_p,
    )
    flip = settled["flip"].to_numpy().astype(bool)[found]
    passed = judged["status"].to_numpy() == "kept"
    kept = np.zeros(settled.height, dtype=bool)
    kept[found] = passed
    reasons = settled["reason"].to_numpy().astype(object)
    reasons[found] = np.where(passed, reasons[found], judged["reason"].to_numpy())

    def spread(values: FloatArray | IntArray) -> pl.Series:
        whole = np.full(settled.height, np.nan)
        whole[found] = values
        return pl.Series(whole, nan_to_null=True)

    account = settled.with_columns(
        pl.Series("status", np.where(kept, "kept", "dropped")),
        pl.Series("reason", reasons.astype(str)),
        spread(np.where(flip, 1 - frequency, frequency)).alias("effect_allele_frequency"),
        spread(judged["call_rate"].to_numpy()).alias("min_call_rate"),
        spread(judged["heterozygote_excess_p"].to_numpy()).alias("hardy_weinberg_p"),
        spread(np.where(passed, counts[:, :, 3].sum(axis=0), 0)).cast(pl.Int64).alias("n_imputed"),
    )
    return account.select(VARIANT_COLUMNS), kept


def _weights(requested: pl.DataFrame | None, names: tuple[str, ...]) -> FloatArray | None:
    if requested is None or "weight" not in requested.columns:
        return None
    first = requested.unique(subset="variant", keep="first", maintain_order=True)
    known = dict(zip(first["variant"].to_list(), first["weight"].to_list(), strict=True))
    values = [known[name] for name in names]
    return None if any(value is None for value in values) else np.array(values, dtype=np.float64)
