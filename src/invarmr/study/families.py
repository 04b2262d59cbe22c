"""The families of a study: read and checked once, kept in the archive, and opened again from there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from scipy import sparse
from scipy.sparse import csgraph

from invarmr.arrays import FloatArray, StrArray
from invarmr.data.cohort import Cohort
from invarmr.data.families import Families, FileCalls
from invarmr.data.pedigree import Fault, Pedigree
from invarmr.errors import InputError, first_few
from invarmr.genetics.mendel import check_families
from invarmr.io.pedigree import read_kinship, read_pedigree
from invarmr.io.plink import open_genotypes
from invarmr.io.tables import read_table, require_columns
from invarmr.study.config import FamiliesConfig, StudyConfig
from invarmr.study.read import ReadStudy

__all__ = ["StudyFamilies", "parents_traits", "read_families"]

CHECKED_VARIANTS = 500
"""Variants beside the instruments on which the pedigree is checked against genotypes."""


@dataclass(frozen=True, eq=False)
class StudyFamilies:
    """Families as they were read: the families that passed, every fault, and inconsistencies by variant."""

    families: Families
    faults: tuple[Fault, ...]
    variants: pl.DataFrame

    def account(self, samples: pl.DataFrame) -> pl.DataFrame:
        """`samples.tsv` with the counts of families below."""
        counts = self.families.counts
        rows = [
            (counts["trios"], "children of trios: both parents genotyped"),
            (counts["siblings"], f"in {counts['sibships']} sibships"),
            (counts["duos"], "one parent genotyped: not used within families"),
            (counts["singletons"], "no parent and no sibling at hand"),
        ]
        for kind in sorted({fault.kind for fault in self.faults}):
            rows.append((sum(fault.kind == kind for fault in self.faults), f"fault of the pedigree: {kind}"))
        table = pl.DataFrame(
            [("families", "", n, reason) for n, reason in rows],
            schema={"stage": pl.String, "environment": pl.String, "n_samples": pl.Int64, "reason": pl.String},
            orient="row",
        )
        return pl.concat([samples.cast(table.schema), table])

    def fault_table(self) -> pl.DataFrame:
        """`pedigree.tsv`: one row per fault."""
        faults = [(fault.sample_id, fault.kind, fault.reason) for fault in self.faults]
        return pl.DataFrame(faults, schema=dict.fromkeys(("sample_id", "fault", "reason"), pl.String), orient="row")


def read_families(config: StudyConfig, study: ReadStudy) -> StudyFamilies:
    """Find the families among a study's people, and check them against their genotypes.

    Raises
    ------
    InputError
        A file or column that is not there or cannot be used, or `[families]` that names nobody of the study.
    """
    asked, variants = config.families, study.variants
    if asked is None or variants is None or config.genotypes is None:
        raise InputError("[families] needs a section [families], and variants of a genotype file as instruments.")
    reader = open_genotypes(config.genotypes.path)
    ids = study.cohort.sample_ids
    pedigree = _pedigree(asked, config, ids)
    calls = FileCalls(reader, variants.file_index, variants.flip)
    families = Families.of(pedigree, ids, calls, reader.sample_ids)
    families = replace(families, own=study.sample_index)
    if not (families.informative.any() or families.duo.any()):
        raise InputError(
            f"[families] names no trio, sibship or parent among the {len(ids)} people of the study "
            f"({first_few(ids)}). Are its ids those of the genotype file?"
        )
    others = np.setdiff1d(np.arange(reader.variants.height), variants.file_index)
    others = others[:: max(1, len(others) // CHECKED_VARIANTS)][:CHECKED_VARIANTS]
    checked = np.concatenate([variants.file_index, others])
    flip = np.concatenate([variants.flip, np.zeros(len(others), dtype=bool)])
    names = reader.variants["variant"].gather(checked).to_list()
    found = check_families(families, ids, names, calls=FileCalls(reader, checked, flip))
    known = {*ids.tolist()}
    own_faults = tuple(fault for fault in pedigree.faults if fault.sample_id in known)
    return StudyFamilies(found.families, (*own_faults, *found.faults), found.variants)


def _pedigree(asked: FamiliesConfig, config: StudyConfig, ids: StrArray) -> Pedigree:
    """All sources together: the pedigree file, the sibship column, and relatives found from genotypes."""
    frame = pl.DataFrame({"sample_id": ids})
    empty = {"father": pl.String, "mother": pl.String, "sex": pl.Int64, "age": pl.Float64, "sibship": pl.String}
    if asked.pedigree is not None:
        read = read_pedigree(asked.pedigree)
        others = frame.join(read, on="sample_id", how="anti")
        frame = pl.concat([read, others], how="diagonal")
    else:
        frame = frame.with_columns(pl.lit(None, kind).alias(name) for name, kind in empty.items())
    if asked.sibship is not None:
        frame = _with_sibship(frame, asked.sibship, config)
    relatives: tuple[tuple[str, str], ...] = ()
    if asked.kin0 is not None:
        pairs = read_kinship(asked.kin0)
        relatives = tuple(pairs.select("first", "second").iter_rows())
        known = (~frame["father"].fill_null("0").is_in(["0", "", "NA"])) | frame["sibship"].is_not_null()
        found = _sibships(pairs.filter(pl.col("siblings")))
        labels = frame["sample_id"].replace_strict(found, default=None, return_dtype=pl.String)
        frame = frame.with_columns(sibship=pl.when(known).then(pl.col("sibship")).otherwise(labels))
    return Pedigree.from_columns(
        frame["sample_id"].to_list(),
        father=frame["father"].to_list(),
        mother=frame["mother"].to_list(),
        sibship=frame["sibship"].to_list(),
        sex=frame["sex"].fill_null(0).to_numpy(),
        age=frame["age"].fill_null(np.nan).to_numpy(),
        relatives=relatives,
    )


def _with_sibship(frame: pl.DataFrame, column: str, config: StudyConfig) -> pl.DataFrame:
    key = config.phenotypes.sample_id
    for table in config.phenotypes.tables:
        read = read_table(table, string_columns=[key, column], missing_codes=config.phenotypes.missing_codes or ())
        if {key, column} <= set(read.columns):
            break
    require_columns(read, [key, column], table)
    labels = read.select(pl.col(key).alias("sample_id"), pl.col(column).alias("__label__")).unique("sample_id")
    joined = frame.join(labels, on="sample_id", how="left", maintain_order="left")
    return joined.with_columns(sibship=pl.coalesce("__label__", "sibship")).drop("__label__")


def _sibships(pairs: pl.DataFrame) -> dict[str, str]:
    """Label of everybody in a set of people who are full siblings pair by pair; sets with a gap are left out."""
    ids = np.unique(np.concatenate([pairs["first"].to_numpy(), pairs["second"].to_numpy()]).astype(np.str_))
    left, right = (np.searchsorted(ids, pairs[name].to_numpy().astype(np.str_)) for name in ("first", "second"))
    graph = sparse.coo_array((np.ones(len(left)), (left, right)), shape=(len(ids), len(ids)))
    component = csgraph.connected_components(graph, directed=False)[1]
    size = np.bincount(component)
    links = np.bincount(component[left], minlength=len(size))
    complete = links == size * (size - 1) // 2
    return {str(ids[k]): f"kin0 {component[k]}" for k in range(len(ids)) if complete[component[k]]}


def parents_traits(config: StudyConfig, cohort: Cohort) -> Mapping[str, FloatArray]:
    """`exposure` and `outcome` of mother and father of each person, (n, 2), NaN where unknown."""
    if config.families is None or config.families.parents is None or config.genotypes is None:
        return {}
    families, path, settings = cohort.families, config.families.parents, config.phenotypes
    if families is None:
        return {}
    table = read_table(path, string_columns=[settings.sample_id], missing_codes=settings.missing_codes or ())
    require_columns(table, [settings.sample_id, settings.exposure, settings.outcome], path)
    ids = open_genotypes(config.genotypes.path).sample_ids
    places = pl.DataFrame({settings.sample_id: ids})
    joined = places.join(table.unique(settings.sample_id), on=settings.sample_id, how="left", maintain_order="left")
    out = {}
    for role, name in (("exposure", settings.exposure), ("outcome", settings.outcome)):
        values = joined[name].cast(pl.Float64, strict=False).fill_null(np.nan).to_numpy()
        out[role] = np.stack(
            [np.where(rows >= 0, values[rows], np.nan) for rows in (families.mother, families.father)], axis=1
        )
    return out
