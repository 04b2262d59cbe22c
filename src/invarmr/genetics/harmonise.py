"""Harmonise two studies' summary statistics: the outcome's effects restated for the exposure's effect alleles.

Symbols: (A1, A2) effect and other allele in the exposure study, (B1, B2) in the outcome study; f_A, f_B frequencies of
A1 and B1. Sources: Hartwig et al. (2016), Int J Epidemiol 45:1717; the rules are those of TwoSampleMR's
`harmonise_data` (Hemani et al. 2018, eLife 7:e34408).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

from invarmr.arrays import BoolArray, FloatArray, IntArray
from invarmr.data.harmonised import HarmonisedStatistics
from invarmr.data.summary_statistics import SummaryStatistics
from invarmr.errors import InputError
from invarmr.genetics.same_variant import LISTED_AS, named_as, why_no_common

__all__ = ["HarmoniseMode", "harmonise"]

HarmoniseMode = Literal["forward", "infer", "drop", 1, 2, 3]
_ACTIONS: dict[object, int] = {"forward": 1, "infer": 2, "drop": 3, 1: 1, 2: 2, 3: 3}
_ALLELES = ("effect_allele.exposure", "other_allele.exposure", "effect_allele.outcome", "other_allele.outcome")


def harmonise(
    exposure: SummaryStatistics,
    outcome: SummaryStatistics,
    mode: HarmoniseMode = "infer",
    *,
    palindrome_low: float = 0.42,
    palindrome_high: float = 0.58,
) -> HarmonisedStatistics:
    """Put every exposure-outcome pair on the same alleles, and say which variants cannot be.

    Alleles match as stated, swapped (the outcome's effect changes sign, its frequency becomes 1 - f), or, single bases
    only, so on the other strand; a pair of alleles I/D is read as longer/shorter. Variants are the same by id, else by
    chromosome, position and alleles (`named_as`); `reason` then says the id that the outcome study has. Where one
    study states the effect allele alone, frequencies must confirm the match. A palindromic pair (A/T, C/G) fits either
    strand:

    * "forward" or 1: all kept, as both studies report the forward strand;
    * "infer" or 2: turned where frequencies lie on opposite sides of 0.5, dropped where one is ambiguous or missing;
    * "drop" or 3: all dropped.

    Parameters
    ----------
    exposure, outcome
        Each may hold several traits: all pairs are harmonised.
    mode
        As above.
    palindrome_low, palindrome_high
        Frequencies strictly between which a palindromic pair's strand cannot be told.

    Returns
    -------
    HarmonisedStatistics
        Sorted by pair and variant, so that answers do not depend on the order of the input.

    Raises
    ------
    InputError
        Another mode, bounds that are not 0 <= low <= 0.5 <= high <= 1, or no variant in common.

    Examples
    --------
    >>> def table(effect, other, beta):
    ...     rows = {"SNP": ["rs1"], "effect_allele": [effect], "other_allele": [other], "beta": [beta], "se": [0.1]}
    ...     return SummaryStatistics.from_frame(pl.DataFrame(rows))
    >>> harmonise(table("A", "G", 0.5), table("C", "T", 0.2)).frame["beta.outcome"].item()
    -0.2
    """
    if mode not in _ACTIONS:
        raise InputError(f"mode must be 'forward', 'infer' or 'drop' (or 1, 2, 3), but is {mode!r}.")
    if not 0.0 <= palindrome_low <= 0.5 <= palindrome_high <= 1.0:
        raise InputError(
            "palindrome_low and palindrome_high must be frequencies on either side of 0.5, but they are "
            f"{palindrome_low} and {palindrome_high}."
        )
    left = _suffixed(exposure.frame, "exposure")
    right = named_as(outcome.frame, exposure.frame)
    joined = left.join(_suffixed(right, "outcome"), on="SNP", how="inner")
    if joined.height == 0:
        raise InputError(
            f"the two studies must have variants in common, but none of the exposure's {exposure.n_variants} ids is "
            f"among the outcome's {outcome.n_variants}. {why_no_common(exposure.frame, outcome.frame)}"
        )
    joined = joined.sort("id.exposure", "id.outcome", "SNP")
    outcomes = pl.DataFrame({"id.outcome": outcome.ids})
    absent = (
        left.select("SNP", "id.exposure")
        .join(outcomes, how="cross")
        .join(joined, on=["SNP", "id.exposure", "id.outcome"], how="anti")
        .with_columns(pl.lit("not in the outcome study").alias("reason"))
    )
    codes, other_strand, base, names = _encode(joined)
    match = _match(
        codes,
        other_strand,
        base,
        _column(joined, "eaf.exposure"),
        _column(joined, "eaf.outcome"),
        palindrome_low,
        palindrome_high,
    )
    return HarmonisedStatistics(_settled(joined, match, names, _ACTIONS[mode]), absent)


def _suffixed(frame: pl.DataFrame, role: str) -> pl.DataFrame:
    frame = frame.rename({"Phenotype": "trait"})
    renamed = frame.rename({name: f"{name}.{role}" for name in frame.columns if name != "SNP"})
    return renamed.rename({f"trait.{role}": role})


def _column(frame: pl.DataFrame, name: str) -> FloatArray:
    return frame[name].fill_null(np.nan).to_numpy()


@dataclass(frozen=True, eq=False)
class _Match:
    """How each row's alleles fit: all (rows,)."""

    effect: IntArray  # codes of the alleles after matching
    other: IntArray
    swapped: BoolArray
    turned: BoolArray  # read on the other strand
    palindromic: BoolArray
    ambiguous: BoolArray
    remove: BoolArray
    opposite: BoolArray  # frequencies on opposite sides of 0.5, after matching


def _encode(joined: pl.DataFrame) -> tuple[IntArray, IntArray, BoolArray, list[str]]:
    """Alleles as integers (rows, 4), -1 missing; the code of each on the other strand; which are single bases."""
    table = _sequences_for_codes(joined.select(_ALLELES))
    found = table.unpivot()["value"].drop_nulls().unique()
    names = sorted({"A", "C", "G", "T", *found.to_list()})
    place = {name: code for code, name in enumerate(names)}
    codes = np.column_stack(
        [
            table[name].replace_strict(place, default=-1, return_dtype=pl.Int64).fill_null(-1).to_numpy()
            for name in _ALLELES
        ]
    )
    strand = np.arange(len(names) + 1)  # the last entry serves the code -1
    for one, two in (("A", "T"), ("T", "A"), ("C", "G"), ("G", "C")):
        strand[place[one]] = place[two]
    strand[-1] = -1
    base = np.array([name in ("A", "C", "G", "T") for name in names] + [True])
    return codes, strand, base, names


def _sequences_for_codes(table: pl.DataFrame) -> pl.DataFrame:
    """Where one study writes I/D and the other sequences of unequal length, write the sequences for both."""
    for here, there in (("exposure", "outcome"), ("outcome", "exposure")):
        effect, other = f"effect_allele.{here}", f"other_allele.{here}"
        first, second = pl.col(f"effect_allele.{there}"), pl.col(f"other_allele.{there}")
        coded = pl.col(effect).is_in(["I", "D"]) & pl.col(other).is_in(["I", "D"])
        unequal = first.str.len_chars() != second.str.len_chars()
        first_longer = first.str.len_chars() > second.str.len_chars()
        take_first = first_longer == (pl.col(effect) == "I")
        use = (coded & unequal).fill_null(False)
        table = table.with_columns(
            pl.when(use).then(pl.when(take_first).then(first).otherwise(second)).otherwise(effect).alias(effect),
            pl.when(use).then(pl.when(take_first).then(second).otherwise(first)).otherwise(other).alias(other),
        )
    return table


def _match(
    codes: IntArray, strand: IntArray, base: BoolArray, f_A: FloatArray, f_B: FloatArray, low: float, high: float
) -> _Match:
    A1, A2, B1, B2 = codes.T
    known_A, known_B = A2 >= 0, B2 >= 0
    palindromic = (strand[A1] == A2) & (A1 != A2) & known_A
    palindromic |= (strand[B1] == B2) & (B1 != B2) & known_B & ~known_A
    single = base[codes].all(axis=1) & ~palindromic

    def fits(x1: IntArray, x2: IntArray) -> BoolArray:
        """A1/A2 equal x1/x2 as far as both are known; one known pair at least must hold the other's effect allele."""
        return np.asarray((x1 == A1) & ((x2 == A2) | ~known_A | ~known_B))

    def swaps(x1: IntArray, x2: IntArray) -> BoolArray:
        both = (x2 == A1) & (x1 == A2)
        return np.asarray(np.where(known_A & known_B, both, (known_B & (x2 == A1)) | (known_A & (x1 == A2))))

    fit, swap = fits(B1, B2), swaps(B1, B2)
    swap &= ~fit
    again = ~fit & ~swap & single & (known_A | known_B)
    turned_fit = again & fits(strand[B1], strand[B2])
    turned_swap = again & ~turned_fit & swaps(strand[B1], strand[B2])
    turned, swapped = turned_fit | turned_swap, swap | turned_swap
    matched = fit | swap | turned
    half_A, half_B = np.nan_to_num(f_A, nan=0.5), np.nan_to_num(np.where(swapped, 1.0 - f_B, f_B), nan=0.5)
    unsure = ((half_A > low) & (half_A < high)) | ((half_B > low) & (half_B < high))
    same_side = ((half_A < low) & (half_B < low)) | ((half_A > high) & (half_B > high))
    complete = known_A & known_B
    ambiguous = np.where(complete, unsure & palindromic, matched & (~same_side | turned))
    other = np.where(known_A, A2, np.where(swapped, B1, B2))
    return _Match(
        effect=A1,
        other=np.where(turned & ~known_A, strand[other], other),
        swapped=swapped,
        turned=turned,
        palindromic=palindromic,
        ambiguous=ambiguous,
        remove=~matched | (palindromic & ~complete),
        opposite=((half_A < 0.5) & (half_B > 0.5)) | ((half_A > 0.5) & (half_B < 0.5)),
    )


def _settled(joined: pl.DataFrame, match: _Match, names: list[str], action: int) -> pl.DataFrame:
    by_frequency = match.opposite & match.palindromic & ~match.remove & (action == 2)
    sign = np.where((match.swapped & ~match.remove) ^ by_frequency, -1.0, 1.0)
    has_effects = (joined["beta.exposure"].is_not_null() & joined["beta.outcome"].is_not_null()).to_numpy()
    keep = ~match.remove & has_effects
    if action >= 2:
        keep &= ~match.ambiguous
    if action == 3:
        keep &= ~match.palindromic
    original = joined.select(
        pl.concat_str("effect_allele.exposure", pl.lit("/"), pl.col("other_allele.exposure").fill_null("?")).alias("A"),
        pl.concat_str("effect_allele.outcome", pl.lit("/"), pl.col("other_allele.outcome").fill_null("?")).alias("B"),
    )
    states = {
        "palindromic": match.palindromic,
        "ambiguous": match.ambiguous,
        "remove": match.remove,
        "mr_keep": keep,
        "_turned": match.turned,
        "_by_frequency": by_frequency,
        "_sign": sign,
        "_has": has_effects,
    }
    text = pl.Series(names)
    effect, other = _names(text, match.effect), _names(text, match.other)
    kept = ~pl.col("remove")
    return (
        pl.concat([joined, original], how="horizontal")
        .with_columns(**{name: pl.Series(values) for name, values in states.items()}, _effect=effect, _other=other)
        .with_columns(pl.concat_str(_listed(), _reason(action)).str.strip_chars_end("; ").alias("reason"))
        .with_columns(
            pl.when(kept).then("_effect").otherwise(name).alias(name)
            for name in ("effect_allele.exposure", "effect_allele.outcome")
        )
        .with_columns(
            pl.when(kept).then("_other").otherwise(name).alias(name)
            for name in ("other_allele.exposure", "other_allele.outcome")
        )
        .with_columns(
            (pl.col("beta.outcome") * pl.col("_sign")),
            pl.when(pl.col("_sign") < 0)
            .then(1.0 - pl.col("eaf.outcome"))
            .otherwise("eaf.outcome")
            .alias("eaf.outcome"),
        )
        .drop("A", "B", "^_.*$")
    )


def _names(text: pl.Series, codes: IntArray) -> pl.Series:
    places = pl.Series(codes, dtype=pl.Int64)
    return text.gather(places.set(places < 0, None))


def _listed() -> pl.Expr:
    """Under which other name the outcome study has the variant."""
    name = pl.col(f"{LISTED_AS}.outcome")
    return (
        pl.when(name.is_not_null()).then(pl.format("{} in the outcome, the same variant; ", name)).otherwise(pl.lit(""))
    )


def _reason(action: int) -> pl.Expr:
    def shown(name: str) -> pl.Expr:
        return pl.col(name).round(3).cast(pl.String).fill_null("unknown")

    frequencies = pl.format("frequencies {} and {}", shown("eaf.exposure"), shown("eaf.outcome"))
    ambiguous = pl.col("ambiguous") & pl.lit(action >= 2)
    return (
        pl.when(~pl.col("_has"))
        .then(pl.lit("no effect in one of the studies"))
        .when(pl.col("remove") & pl.col("palindromic"))
        .then(pl.format("palindromic {} in the exposure, {} in the outcome: cannot be matched", "A", "B"))
        .when("remove")
        .then(pl.format("alleles {} in the exposure, {} in the outcome", "A", "B"))
        .when(pl.col("palindromic") & pl.lit(action == 3))
        .then(pl.format("palindromic {}", "A"))
        .when(ambiguous & pl.col("palindromic"))
        .then(pl.format("palindromic {} with {}: the strand cannot be told", "A", frequencies))
        .when(ambiguous)
        .then(pl.format("alleles {} and {} with {}: not enough to match", "A", "B", frequencies))
        .when("_by_frequency")
        .then(pl.format("palindromic {}: strand turned by the frequency", "A"))
        .when("_turned")
        .then(pl.format("matched on the other strand: {} in the outcome", "B"))
        .otherwise(pl.lit(""))
    )
