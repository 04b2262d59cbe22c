"""Which allele is the effect allele: a request settled against what a genotype file holds.

The only place where alleles are oriented. A variant that cannot be settled is dropped with its reason, never guessed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from invarmr.errors import InputError

__all__ = ["complement", "palindromic", "settle_alleles"]

OTHER_STRAND = str.maketrans("ACGT", "TGCA")
SCHEMA = {
    "variant": pl.String,
    "chromosome": pl.String,
    "position": pl.Int64,
    "effect_allele": pl.String,
    "other_allele": pl.String,
    "file_index": pl.Int64,
    "flip": pl.Boolean,
    "strand_flipped": pl.Boolean,
    "status": pl.String,
    "reason": pl.String,
}


def complement(allele: str) -> str:
    """Read an allele on the other strand: bases paired (A-T, C-G) and, for more than one base, in reverse order.

    Anything but A, C, G, T (I, D, codes) stays as it is.

    Examples
    --------
    >>> complement("A"), complement("ACC"), complement("I")
    ('T', 'GGT', 'I')
    """
    return allele.translate(OTHER_STRAND)[::-1] if set(allele) <= set("ACGT") else allele


def palindromic(first: str, second: str) -> bool:
    """Whether two alleles of one base are each other's complement (A/T, C/G), so the strand cannot be read off.

    Examples
    --------
    >>> palindromic("A", "T"), palindromic("A", "G")
    (True, False)
    """
    return len(first) == 1 and first != second and complement(first) == second


def settle_alleles(
    requested: pl.DataFrame | None,
    available: pl.DataFrame,
    *,
    palindrome_low: float = 0.42,
    palindrome_high: float = 0.58,
) -> pl.DataFrame:
    """Find each requested variant in the genotype file and orient its effect allele, or say why not.

    Rules, in order. (1) A variant asked for again is dropped, the first request stays. (2) A variant that the file
    does not have is dropped. (3) The alleles must match as stated, swapped, or (single bases) on the other strand;
    with no other allele asked, the effect allele alone must match. (4) Where the file repeats the id, exactly one of
    its variants must match. (5) A palindromic pair (A/T, C/G) is taken on the file's strand. That is safe for
    individual-level genotypes alone, where orientation is only a sign. With an external `weight` it is not: the
    variant is dropped where the effect allele's frequency lies in [`palindrome_low`, `palindrome_high`], turned
    where the frequency asked and the frequency in the file lie on opposite sides, and otherwise kept with a note.

    Parameters
    ----------
    requested
        `variant, effect_allele`, optional `other_allele, weight, effect_allele_frequency` (null where unknown);
        None asks for every variant of the file with the counted allele as effect allele.
    available
        `variant, chromosome, position, counted_allele, other_allele`, row i for file index i; optional
        `counted_allele_frequency` (0 to 1, null or NaN where unknown).
    palindrome_low, palindrome_high
        Frequencies between which a palindromic pair cannot be told from its complement.

    Returns
    -------
    polars.DataFrame
        One row per request, in its order: `variant, chromosome, position, effect_allele, other_allele` (as the file
        spells them; as asked where dropped), `file_index` (null where dropped), `flip` (the effect allele is the
        file's other allele: dosage is 2 - copies), `strand_flipped`, `status` ("kept" or "dropped"), `reason` (empty
        for a plain match). Kept rows have unique `variant` and `file_index`.

    Raises
    ------
    InputError
        Bounds that are not 0 <= low <= high <= 1.

    References
    ----------
    Hartwig et al. (2016), Int J Epidemiol 45:1717 (palindromic variants in two-sample MR).

    Examples
    --------
    >>> asked = pl.DataFrame({"variant": ["rs1"], "effect_allele": ["G"], "other_allele": ["A"]})
    >>> file = pl.DataFrame({"variant": ["rs1"], "chromosome": ["1"], "position": [5],
    ...                      "counted_allele": ["A"], "other_allele": ["G"]})
    >>> settle_alleles(asked, file)["flip"].to_list()
    [True]
    """
    if not 0 <= palindrome_low <= palindrome_high <= 1:
        raise InputError(
            "palindrome_low and palindrome_high must be frequencies with low <= high, but they are "
            f"{palindrome_low} and {palindrome_high}."
        )
    if requested is None:
        return _settle_all(available)
    rows = [
        request.dropped("asked for more than once: the first request was kept")
        if repeated
        else _settle_one(request, candidates, palindrome_low, palindrome_high)
        for request, candidates, repeated in _pairs(requested, available)
    ]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


@dataclass(frozen=True)
class _Candidate:
    file_index: int
    chromosome: str
    position: int
    counted: str
    other: str
    frequency: float | None  # of the counted allele

    @property
    def pair(self) -> str:
        return f"{self.counted}/{self.other}"


@dataclass(frozen=True)
class _Request:
    variant: str
    effect: str
    other: str | None
    weighted: bool
    frequency: float | None  # of the effect allele, in the study that the weight comes from

    @property
    def pair(self) -> str:
        return f"{self.effect}/{self.other or 'any'}"

    def dropped(self, reason: str, chromosome: str | None = None, position: int | None = None) -> tuple[Any, ...]:
        place = (self.variant, chromosome, position)
        return (*place, self.effect, self.other, None, None, None, "dropped", reason)

    def kept(self, file: _Candidate, flip: bool, strand: bool, reason: str) -> tuple[Any, ...]:
        effect, other = (file.other, file.counted) if flip else (file.counted, file.other)
        place = (self.variant, file.chromosome, file.position)
        return (*place, effect, other, file.file_index, flip, strand, "kept", reason)


def _pairs(requested: pl.DataFrame, available: pl.DataFrame) -> Iterator[tuple[_Request, list[_Candidate], bool]]:
    """Walk the requests: each with the file's variants of that id, and whether the id was asked for before."""
    found: dict[str, list[_Candidate]] = defaultdict(list)
    columns = ["chromosome", "position", "counted_allele", "other_allele"]
    inside = _with_optional(available.with_row_index("file_index"), {"counted_allele_frequency": pl.Float64})
    inside = inside.filter(pl.col("variant").is_in(requested["variant"].unique().to_list()))
    for name, *row in inside.select("variant", "file_index", *columns, "counted_allele_frequency").iter_rows():
        found[name].append(_Candidate(*row))
    optional = {"other_allele": pl.String, "weight": pl.Float64, "effect_allele_frequency": pl.Float64}
    asked = _with_optional(requested, optional)
    seen: set[str] = set()
    for variant, effect, *rest in asked.select("variant", "effect_allele", *optional).iter_rows():
        other, weight, frequency = rest
        yield _Request(variant, effect, other, weight is not None, frequency), found[variant], variant in seen
        seen.add(variant)


def _with_optional(frame: pl.DataFrame, columns: dict[str, Any]) -> pl.DataFrame:
    absent = [pl.lit(None, kind).alias(name) for name, kind in columns.items() if name not in frame.columns]
    return frame.with_columns(absent).cast(pl.Schema(columns)).fill_nan(None)


def _settle_one(request: _Request, candidates: Sequence[_Candidate], low: float, high: float) -> tuple[Any, ...]:
    if not candidates:
        return request.dropped("not in the genotype file")
    matches = [(file, *match) for file in candidates if (match := _match(request, file))]
    stated = [match for match in matches if not match[2]]
    if len(stated) == 1:
        matches = stated
    place = (candidates[0].chromosome, candidates[0].position) if len(candidates) == 1 else (None, None)
    if not matches:
        pairs = " and ".join(file.pair for file in candidates)
        several = " (more than one other allele: split it first)" if "," in pairs else ""
        return request.dropped(f"alleles {request.pair} asked, {pairs} in the genotype file{several}", *place)
    if len(matches) > 1:
        return request.dropped(
            f"the id occurs {len(candidates)} times in the genotype file and the alleles {request.pair} fit "
            f"{len(matches)} of them"
        )
    file, flip, strand = matches[0]
    if palindromic(file.counted, file.other):
        return _settle_palindrome(request, file, flip, low, high)
    reason = f"matched on the other strand: {request.pair} asked" if strand else ""
    return request.kept(file, flip, strand, reason)


def _match(request: _Request, file: _Candidate) -> tuple[bool, bool] | None:
    """Return (flip, on the other strand) if the alleles fit."""
    effect, other = request.effect, request.other
    turned = len(effect) == 1 and (other is None or len(other) == 1)
    for strand in (False, True) if turned else (False,):
        if strand:
            effect, other = complement(effect), complement(other) if other else None
        for flip, here, there in ((False, file.counted, file.other), (True, file.other, file.counted)):
            if effect == here and other in (None, there):
                return flip, strand
    return None


def _settle_palindrome(request: _Request, file: _Candidate, flip: bool, low: float, high: float) -> tuple[Any, ...]:
    unverified = f"palindromic {file.pair}, strand not verifiable"
    if not request.weighted:
        return request.kept(file, flip, False, unverified)
    here = file.frequency if file.frequency is None or not flip else 1 - file.frequency
    for frequency, where in ((here, "in the genotype file"), (request.frequency, "where the weight comes from")):
        if frequency is not None and low <= frequency <= high:
            reason = f"palindromic {file.pair} with frequency {frequency:.3f} {where}: the strand cannot be told"
            return request.dropped(f"{reason} between {low} and {high}", file.chromosome, file.position)
    if here is None or request.frequency is None:
        return request.kept(file, flip, False, unverified)
    if (here > high) == (request.frequency > high):
        return request.kept(file, flip, False, f"palindromic {file.pair}, strand agrees with the frequency")
    return request.kept(file, not flip, True, f"palindromic {file.pair}, strand turned by the frequency")


def _settle_all(available: pl.DataFrame) -> pl.DataFrame:
    """Keep every variant of the file, effect allele = counted allele, that its id and alleles make usable."""
    times = pl.len().over("variant")
    several = pl.col("other_allele").str.contains(",") | pl.col("counted_allele").str.contains(",")
    pair = pl.concat_str("counted_allele", pl.lit("/"), "other_allele")
    reason = (
        pl.when(times > 1)
        .then(pl.format("the id occurs {} times in the genotype file", times))
        .when(several)
        .then(pl.format("alleles {}: more than two, split the variant first", pair))
        .otherwise(pl.lit(""))
    )
    frame = available.with_row_index("file_index").with_columns(reason=reason, effect_allele="counted_allele")
    kept = pl.col("reason") == ""
    return frame.with_columns(
        file_index=pl.when(kept).then("file_index"),
        flip=pl.when(kept).then(False),
        strand_flipped=pl.when(kept).then(False),
        status=pl.when(kept).then(pl.lit("kept")).otherwise(pl.lit("dropped")),
    ).select(pl.col(name).cast(kind) for name, kind in SCHEMA.items())
