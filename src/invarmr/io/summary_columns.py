"""Which layout a table of summary statistics has, and which of its columns is what, from its header alone."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from invarmr.data.summary_statistics import COLUMNS
from invarmr.errors import InputError, first_few
from invarmr.io.summary_formats import FORMATS
from invarmr.io.summary_names import COMMON, GROUPS, PAIRS, SummaryFormat

__all__ = ["FIELDS", "Recognised", "nearest_format", "recognise"]

FIELDS = (*COLUMNS, "odds_ratio", "ci_lower", "ci_upper", "z", "minus_log10_p", "variant", "test")
"""What the columns of a table may be said to be."""

_SUFFIX = re.compile(r"^(?!id\.)(.+)\.(exposure|outcome)$", re.IGNORECASE)
_STATED = SummaryFormat(
    name="columns as stated", header="", requires=(), effect_allele="as stated", source="whoever ran the command"
)
_EFFECTS = ("beta", "odds_ratio", "z")


@dataclass(frozen=True, kw_only=True)
class Recognised:
    """What a header says.

    Parameters
    ----------
    layout
        The layout.
    columns
        Our field to the column of the table, as it is spelled there.
    group
        Ancestry group of Pan-UKB whose columns are read; None elsewhere.
    """

    layout: SummaryFormat
    columns: Mapping[str, str]
    group: str | None = None


def recognise(
    header: Sequence[str],
    *,
    source: str,
    columns: Mapping[str, str] | None = None,
    group: str | None = None,
) -> Recognised:
    """Find the layout of a table, and what each of its columns is.

    Parameters
    ----------
    header
        Names of the columns, in order.
    source
        What to call the table in messages.
    columns
        What the user says: a name of `FIELDS` to a column; before everything else.
    group
        Ancestry group, where the table has columns for several (`GROUPS`).

    Raises
    ------
    InputError
        `columns` names what is not there; no layout fits, or the header does not say which allele is counted; a
        layout that cannot be read; no effect, or nothing to make a standard error from; a group that is not there, or
        several and none chosen.

    Examples
    --------
    >>> found = recognise("ID ALLELE0 ALLELE1 GENPOS A1FREQ BETA SE LOG10P".split(), source="a file")
    >>> found.layout.name, found.columns["effect_allele"]
    ('regenie', 'ALLELE1')
    """
    stated = _stated(columns or {}, header, source)
    present = _present(header)
    layout = next((entry for entry in FORMATS if _fits(entry, present)), None)
    pair = _undecided(present)
    if layout is not None and layout.name == "one allele alone" and pair is not None:
        layout = None
    if "effect_allele" in stated:
        layout = layout or _STATED
        if "other_allele" not in stated and pair is not None and stated["effect_allele"] in pair:
            stated["other_allele"] = pair[1 - pair.index(stated["effect_allele"])]
    elif layout is None:
        raise InputError(_unknown(header, present, pair, source))
    if layout.refused and "effect_allele" not in stated:
        raise InputError(f"{source}: {layout.refused}.")
    chosen = _group(layout, present, group, source)
    found = _found(layout, present, chosen)
    if "effect_allele" in stated:
        _forget_alleles(found, stated["effect_allele"])
    found |= stated
    _require(found, layout, header, source)
    return Recognised(layout=layout, columns=found, group=chosen)


def nearest_format(header: Sequence[str]) -> str:
    """Which known layout is nearest to a header, and what it has that this one lacks, in words; empty where none is."""
    present = _present(header)

    def shared(entry: SummaryFormat) -> float:
        names = {name.lower().lstrip("#") for name in entry.header.split()}
        return len(names & set(present)) / len(names | set(present))

    layout = max(FORMATS, key=shared)
    if shared(layout) == 0:
        return ""
    lacking = [" or ".join(names[:3]) for names in layout.requires if not any(_at(name, present) for name in names)]
    return f"{layout.name} ({layout.header}), which also has {' and '.join(lacking) or 'other columns'}"


def _stated(columns: Mapping[str, str], header: Sequence[str], source: str) -> dict[str, str]:
    for ours, there in columns.items():
        if ours not in FIELDS or there not in header:
            raise InputError(
                f"{source}: columns must map a name of ours ({', '.join(FIELDS)}) to a column of the table "
                f"({first_few(header, 20)}), but {ours!r} is mapped to {there!r}."
            )
    return dict(columns)


def _present(header: Sequence[str]) -> dict[str, str]:
    """Lower-case name, without a suffix, to the column; the first of several wins."""
    names = {_SUFFIX.sub(r"\1", column).lower().lstrip("#"): column for column in reversed(header)}
    return names | {column.lower().lstrip("#"): column for column in reversed(header)}


def _at(name: str, present: Mapping[str, str]) -> str | None:
    if "*" not in name:
        return present.get(name)
    return next((column for there, column in present.items() if fnmatch.fnmatchcase(there, name)), None)


def _fits(layout: SummaryFormat, present: Mapping[str, str]) -> bool:
    return all(any(_at(name, present) for name in names) for names in layout.requires)


def _undecided(present: Mapping[str, str]) -> tuple[str, str] | None:
    return next(((present[one], present[two]) for one, two in PAIRS if one in present and two in present), None)


def _group(layout: SummaryFormat, present: Mapping[str, str], asked: str | None, source: str) -> str | None:
    if not any("{group}" in name for names in layout.columns.values() for name in names):
        if asked is not None:
            raise InputError(f"{source}: an ancestry group ({asked}) was asked for, but the table has no such columns.")
        return None
    there = [group for group in GROUPS if f"beta_{group}" in present]
    if asked is not None and asked.lower() in there:
        return asked.lower()
    if asked is None and len(there) == 1:
        return there[0]
    came = f"but {asked!r} is none of them" if asked is not None else "and none was chosen"
    raise InputError(
        f"{source}: this {layout.name} table has columns for {', '.join(there)}, {came}. Say which: --exposure-group "
        f"or --outcome-group {there[0]}, say (group= in Python)."
    )


def _found(layout: SummaryFormat, present: Mapping[str, str], group: str | None) -> dict[str, str]:
    found: dict[str, str] = {}
    for ours in dict.fromkeys((*layout.columns, *COMMON)):
        if layout.columns.get(ours) == ():
            continue
        own = (name.replace("{group}", group or "") for name in layout.columns.get(ours, ()))
        columns = (_at(name, present) for name in (*own, *COMMON.get(ours, ())))
        column = next((name for name in columns if name and not (ours == "SNP" and name == found.get("variant"))), None)
        if column is not None:
            found[ours] = column
    if "id" not in found and "id" in present and present["id"] != found.get("SNP"):
        found["id"] = present["id"]
    return found


def _forget_alleles(found: dict[str, str], effect_allele: str) -> None:
    """Nothing that goes by the tool's own effect allele remains where another was stated."""
    same = found.get("effect_allele") == effect_allele
    for name in ("effect_allele", "other_allele", "ref", "alt", "minor_allele", "minor_frequency"):
        if not (same and name == "other_allele"):
            found.pop(name, None)
    if not same and not found.get("eaf", "eaf").lower().startswith(("eaf", "effect")):
        del found["eaf"]


def _require(found: Mapping[str, str], layout: SummaryFormat, header: Sequence[str], source: str) -> None:
    def lacks(what: str) -> InputError:
        return InputError(
            f"{source}: summary statistics ({layout.name}) must have {what}. It has: {first_few(header, 20)}. Name "
            "columns that are called otherwise: --exposure-columns or --outcome-columns beta=COLUMN, say "
            "(columns= in Python)."
        )

    if not any(name in found for name in _EFFECTS):
        raise lacks("an effect: beta, an odds ratio, or Z with its sample size and frequency")
    if "beta" not in found and "odds_ratio" not in found:
        short = [name for name in ("eaf", "samplesize") if name not in found]
        if "minor_frequency" in found or not short:
            return
        if not ("samplesize" in short and "ncase" in found and "ncontrol" in found and len(short) == 1):
            raise lacks(f"{' and '.join(short)} beside Z, from which alone no effect follows")
    elif not any({*need} <= found.keys() for need in _ERRORS):
        raise lacks("a standard error, or an interval, Z or p-value to make it from")
    if "SNP" not in found and "variant" not in found and not {"chr", "pos"} <= found.keys():
        raise lacks("variant ids, or chromosome and position")


_ERRORS = (("se",), ("ci_lower", "ci_upper"), ("z",), ("pval",), ("minus_log10_p",), ("ln_p",))


def _unknown(header: Sequence[str], present: Mapping[str, str], pair: tuple[str, str] | None, source: str) -> str:
    shown = " ".join(header)
    shown = repr(shown if len(shown) <= 300 else f"{shown[:300]}…")
    say = "--exposure-columns or --outcome-columns effect_allele={0} other_allele={1} (columns= in Python)"
    if pair is not None:
        return (
            f"{source}: the columns {pair[0]} and {pair[1]} do not say which allele the effect refers to (PLINK, GCTA "
            "and LDSC count the first of two, SAIGE, SNPTEST and others the second), and the first line, "
            f"{shown}, is no known tool's. Look it up in the file's description, and say {say.format(*pair)}."
        )
    nearest = nearest_format(header)
    known = f" The nearest known is {nearest}." if nearest else ""
    return (
        f"{source}: this is no known layout of summary statistics. Its first line reads {shown}.{known} Name the "
        f"columns: {say.format('COLUMN', 'COLUMN')}."
    )
