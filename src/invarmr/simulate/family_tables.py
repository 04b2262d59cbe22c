"""Simulated families as tables: who is whose child, who is in the file, and everybody's calls in that order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from invarmr.arrays import FloatArray, IntArray
from invarmr.simulate.families_design import FamiliesDesign
from invarmr.simulate.inheritance import Haplotypes

__all__ = ["Line", "People", "assembled"]


@dataclass(frozen=True, eq=False)
class People:
    """People of one environment: haplotypes, ancestry (n, K), exposure and outcome (n, 2), confounder (n,)."""

    haplotypes: Haplotypes
    ancestry: FloatArray
    traits: FloatArray
    confounder: FloatArray

    def part(self, chosen: slice | IntArray) -> People:
        """Some of them."""
        first, second = self.haplotypes
        return People(
            (first[:, chosen], second[:, chosen]), self.ancestry[chosen], self.traits[chosen], self.confounder[chosen]
        )


@dataclass(frozen=True, eq=False)
class Line:
    """The last generation of an environment and its parents.

    Parameters
    ----------
    children, women, men
        People; women and men are the parents.
    partner
        (couples,) man of each woman.
    couple
        (children,) couple of each child, increasing: trios first, then sibships, then single people.
    """

    children: People
    women: People
    men: People
    partner: IntArray
    couple: IntArray

    def mates(self) -> dict[str, float]:
        """Correlations of the mates' traits as they came out; across traits the mean of both directions."""
        table = np.corrcoef(self.women.traits.T, self.men.traits[self.partner].T)[:2, 2:]
        return {
            "exposure_exposure": float(table[0, 0]),
            "exposure_outcome": float((table[0, 1] + table[1, 0]) / 2),
            "outcome_outcome": float(table[1, 1]),
        }


def assembled(design: FamiliesDesign, lines: Sequence[Line], *, rng: np.random.Generator) -> dict[str, Any]:
    """Calls, pedigree, phenotypes, parents, ancestry and confounder; people with phenotypes first, then the parents."""
    width, labels = len(str(design.n_samples)), design.labels()
    tables, start = [], 0
    for e, line in enumerate(lines):
        tables.append(_children(line, design.families()[e], labels[e], start, width, rng))
        start += len(line.couple)
    mothers = [line.women.part(np.arange(trios)) for line, trios in _with_trios(design, lines)]
    fathers = [line.men.part(line.partner[:trios]) for line, trios in _with_trios(design, lines)]
    people = pl.concat(tables)
    trio = people.filter(pl.col("father") != "0")
    parents = [
        trio.select("FID", pl.col(role).alias("IID"), pl.lit("0").alias("father"), pl.lit("0").alias("mother"), sex)
        for role, sex in (("mother", pl.lit(2, pl.Int64).alias("sex")), ("father", pl.lit(1, pl.Int64).alias("sex")))
    ]
    everyone = [line.children for line in lines]
    traits = np.vstack([part.traits for part in (*mothers, *fathers)])
    return {
        "calls": np.hstack([part.haplotypes[0] + part.haplotypes[1] for part in (*everyone, *mothers, *fathers)]),
        "pedigree": pl.concat([people.select("FID", "IID", "father", "mother", "sex"), *parents]),
        "phenotypes": people.select("IID", "cohort", "sibship", "exposure", "outcome", "sex"),
        "parents": pl.concat(parents).select(
            "IID", pl.Series("exposure", traits[:, 0]), pl.Series("outcome", traits[:, 1])
        ),
        "ancestry": np.vstack([part.ancestry for part in everyone]),
        "confounder": np.concatenate([part.confounder for part in everyone]),
    }


def _with_trios(design: FamiliesDesign, lines: Sequence[Line]) -> list[tuple[Line, int]]:
    return list(zip(lines, design.families()[:, 0].tolist(), strict=True))


def _children(
    line: Line, families: IntArray, label: str, start: int, width: int, rng: np.random.Generator
) -> pl.DataFrame:
    """The children of an environment: ids, family, parents where they are in the file, traits."""
    n = len(line.couple)
    number = np.char.zfill(np.arange(start + 1, start + n + 1).astype(np.str_), width)
    kind = np.repeat(np.arange(3), families)[line.couple]
    sibship = np.char.add(f"{label}_", line.couple.astype(np.str_))
    own = np.char.add("C", number)
    return pl.DataFrame(
        {
            "FID": np.where(kind == 0, np.char.add("T", number), np.where(kind == 1, sibship, own)),
            "IID": own,
            "father": np.where(kind == 0, np.char.add("F", number), "0"),
            "mother": np.where(kind == 0, np.char.add("M", number), "0"),
            "sex": rng.integers(1, 3, n),
            "cohort": np.full(n, label),
            "sibship": np.where(kind == 1, sibship, "NA"),
            "exposure": line.children.traits[:, 0],
            "outcome": line.children.traits[:, 1],
        }
    ).with_columns(pl.col("sibship").replace("NA", None))
