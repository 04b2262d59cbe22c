"""Whether genotypes agree with the pedigree: Mendelian inconsistencies of trios, and kinship inside sibships.

Symbols: a trio is inconsistent at a variant where the child has an allele that neither parent can have given: fewer
copies than parents with two, or more than parents with any. Kinship of a pair with calls x, y, by the
within-family form of KING:

    phi = (N[both heterozygous] - 2 N[0 against 2]) / (N[x heterozygous] + N[y heterozygous])

full siblings 1/4, half-siblings 1/8, strangers 0. Source: Manichaikul et al. (2010), Bioinformatics 26:2867.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from invarmr.arrays import BoolArray, IntArray, StrArray
from invarmr.data.families import CallSource, Families
from invarmr.data.pedigree import Fault

__all__ = ["CheckedFamilies", "check_families"]

LARGEST_SHARE = 0.02
"""Share of a trio's called variants that may be inconsistent: call errors make far fewer, a wrong parent far more."""
FEWEST = 2
"""Inconsistent variants that a trio must have to fail."""
LEAST_KINSHIP = 0.10
"""Below it two people are not taken for full siblings."""
ENOUGH_VARIANTS = 200
"""Variants heterozygous in either that kinship must rest on."""
_BLOCK = 2_048


@dataclass(frozen=True, eq=False)
class CheckedFamilies:
    """Families that passed, and what was found.

    Parameters
    ----------
    families
        Without the trios and sibships that failed.
    faults
        One per trio and per sibship left out.
    variants
        `variant, n_trios, n_inconsistent` of the variants checked, before anything was left out.
    trio_errors, trio_called
        (n,) inconsistent and compared variants of each person's trio; 0 outside trios.
    """

    families: Families
    faults: tuple[Fault, ...]
    variants: pl.DataFrame
    trio_errors: IntArray
    trio_called: IntArray


def check_families(
    families: Families, sample_ids: StrArray, names: Sequence[str], *, calls: CallSource | None = None
) -> CheckedFamilies:
    """Count Mendelian inconsistencies per trio and variant, and leave out what genotypes contradict.

    Parameters
    ----------
    families, sample_ids
        Families of n people, and their ids.
    names
        Of the variants checked.
    calls
        Genotypes to check on, with the same rows as those of the families; default theirs. More variants tell more.

    Returns
    -------
    CheckedFamilies
        A trio fails with two or more inconsistent variants that are over 2 % of those compared; a sibship where a pair
        has a kinship below 0.10 on at least 200 informative variants. Identical twins pass, and weigh nothing alone.
    """
    source = families.calls if calls is None else calls
    errors, called = np.zeros((2, len(families.own)), dtype=np.int64)
    per_variant = np.zeros((2, source.n_variants), dtype=np.int64)
    trios = np.flatnonzero(families.trio)
    for start in range(0, len(trios), _BLOCK):
        block = trios[start : start + _BLOCK]
        wrong, compared = _inconsistent(source, families, block)
        errors[block], called[block] = wrong.sum(axis=1), compared.sum(axis=1)
        per_variant += np.stack([compared.sum(axis=0), wrong.sum(axis=0)])
    failed = (errors >= FEWEST) & (errors > LARGEST_SHARE * called)
    faults = [
        Fault(
            str(sample_ids[k]),
            "Mendelian inconsistency",
            f"{sample_ids[k]} has alleles its parents cannot have given at {errors[k]} of {called[k]} variants; "
            "the trio was left out",
        )
        for k in np.flatnonzero(failed)
    ]
    strangers, found = _strangers(source, families, sample_ids)
    failed[strangers] = True
    return CheckedFamilies(
        families=families.without(failed) if failed.any() else families,
        faults=(*faults, *found),
        variants=pl.DataFrame({"variant": list(names), "n_trios": per_variant[0], "n_inconsistent": per_variant[1]}),
        trio_errors=errors,
        trio_called=called,
    )


def _inconsistent(source: CallSource, families: Families, people: IntArray) -> tuple[BoolArray, BoolArray]:
    child, mother, father = (
        np.rint(source.read(rows[people])) for rows in (families.own, families.mother, families.father)
    )
    compared = np.isfinite(child) & np.isfinite(mother) & np.isfinite(father)
    least = (mother == 2).astype(np.int8) + (father == 2)
    most = (mother > 0).astype(np.int8) + (father > 0)
    return np.asarray(compared & ((child < least) | (child > most))), np.asarray(compared)


def _strangers(source: CallSource, families: Families, sample_ids: StrArray) -> tuple[IntArray, list[Fault]]:
    """One member of every sibship in which a pair are not full siblings, and the faults."""
    order = np.argsort(families.sibship, kind="stable")
    order = order[families.sibship[order] >= 0]
    code = families.sibship[order]
    left, right = [], []
    for step in range(1, int(np.bincount(code).max(initial=1))):
        same = code[step:] == code[:-step]
        left.append(order[:-step][same])
        right.append(order[step:][same])
    if not left:
        return np.zeros(0, dtype=np.intp), []
    first, second = np.concatenate(left), np.concatenate(right)
    kinship, enough = np.zeros(len(first)), np.zeros(len(first), dtype=bool)
    for start in range(0, len(first), _BLOCK):
        block = slice(start, start + _BLOCK)
        x, y = (np.rint(source.read(families.own[people[block]])) for people in (first, second))
        both = np.isfinite(x) & np.isfinite(y)
        one, other = (x == 1) & both, (y == 1) & both
        informative = one.sum(axis=1) + other.sum(axis=1)
        opposite = ((np.abs(x - y) == 2) & both).sum(axis=1)
        kinship[block] = ((one & other).sum(axis=1) - 2 * opposite) / np.maximum(informative, 1)
        enough[block] = (one | other).sum(axis=1) >= ENOUGH_VARIANTS
    wrong = np.flatnonzero(enough & (kinship < LEAST_KINSHIP))
    faults = [
        Fault(
            str(sample_ids[first[k]]),
            "not siblings",
            f"{sample_ids[first[k]]} and {sample_ids[second[k]]} have a kinship of {kinship[k]:.2f}, full siblings "
            "0.25; the sibship was left out",
        )
        for k in wrong
    ]
    return first[wrong], faults
