"""What is in a file, told by its content: genotypes, phenotypes, summary statistics, a list of variants, a study file.

Nothing is computed and nothing guessed silently: what could not be told is a problem, in words.
"""

from __future__ import annotations

import re
import struct
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import polars as pl

from invarmr.data.genotypes import GenotypeReader
from invarmr.errors import InputError, first_few
from invarmr.io.delimited import existing_file
from invarmr.io.plink import open_genotypes
from invarmr.io.sample_ids import ID_NAMES, Ids, match_ids
from invarmr.io.summary_columns import nearest_format, recognise
from invarmr.io.summary_vcf import is_vcf
from invarmr.io.table_format import file_kind
from invarmr.io.text_blocks import TextTable
from invarmr.study.chromosome_files import grouped, without_companions
from invarmr.study.config import StudyConfig
from invarmr.study.inspect_tables import Column, instrument_facts, phenotype_table, summary_facts

__all__ = ["Kind", "Seen", "inspect_files", "kind_of"]

Kind = Literal["genotypes", "phenotypes", "summary statistics", "instruments", "study file", "unknown"]
_BINARY: dict[bytes, str] = {b"\x6c\x1b": "PLINK", b"BCF\x02": "BCF"}
_GENOTYPE_ENDINGS = (".bed", ".pgen", ".bgen", ".bcf", ".zarr", ".vcz")


@dataclass(frozen=True, eq=False)
class Seen:
    """One file, or the files of one kind that belong together.

    Parameters
    ----------
    name
        The file, or the pattern of several: `chr{chrom}.bed`.
    paths
        The files.
    kind
        What they are.
    facts
        What is in them: label and text.
    problems
        What stands in the way, each with what to do.
    reader
        Of the first genotype file.
    n_variants
        In all genotype files.
    columns
        Of a phenotype table.
    ids
        Sample ids, for matching; None where there are none.
    variants
        Ids of a list of instruments.
    """

    name: str
    paths: tuple[Path, ...]
    kind: Kind
    facts: list[tuple[str, str]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    reader: GenotypeReader | None = None
    n_variants: int = 0
    columns: tuple[Column, ...] = ()
    ids: Ids | None = None
    variants: pl.Series | None = None


def inspect_files(paths: Sequence[str | Path]) -> list[Seen]:
    """Look at files, or at all files of a folder, and at how they fit each other.

    Parameters
    ----------
    paths
        Files of any kind and folders. One genotype file a chromosome counts as one.

    Raises
    ------
    InputError
        A path that is not there, or a folder without a file that can be read.
    """
    files = without_companions(_listed(paths))
    kinds = {path: kind_of(path) for path in files}
    seen = []
    genotypes = [path for path in files if kinds[path] == "genotypes"]
    for name, members in grouped(genotypes):
        seen.append(_genotypes(name, members))
    seen += [_one(path, kinds[path]) for path in files if kinds[path] != "genotypes"]
    _fit(seen)
    return seen


def _listed(paths: Sequence[str | Path]) -> list[Path]:
    found: list[Path] = []
    for item in (path for asked in map(Path, paths) for path in _expanded(asked)):
        if item.is_dir() and item.suffix not in (".zarr", ".vcz"):
            inside = sorted(path for path in item.iterdir() if not path.name.startswith("."))
            files = [path for path in inside if path.is_file() or path.suffix in (".zarr", ".vcz")]
            if not files:
                raise InputError(f"{item}: this folder holds no file. Name the files, or another folder.")
            found += files
        elif item.exists():
            found.append(item)
        else:
            raise InputError(f"{item}: there is no such file or folder. Check the path.")
    return list(dict.fromkeys(found))


def _expanded(path: Path) -> list[Path]:
    """A pattern as a study file has it, chr{chrom}.bed or chr*.bed, as its files."""
    pattern = path.name.replace("{chrom}", "*")
    return sorted(path.parent.glob(pattern)) or [path] if "*" in pattern and not path.exists() else [path]


def kind_of(path: Path) -> Kind:
    """What a file is, by its first bytes or its header; "unknown" where neither says."""
    if path.is_dir() or path.suffix in _GENOTYPE_ENDINGS:
        return "genotypes"
    with path.open("rb") as file:
        start = file.read(20)
    if any(start.startswith(magic) for magic in _BINARY) or start[16:20] == b"bgen":
        return "genotypes"
    if path.suffix == ".toml":
        return "study file"
    try:
        header = _header(path)
    except (InputError, struct.error):
        return "unknown"
    if is_vcf(header):
        return "summary statistics" if _has_effects(path) else "genotypes"
    return _kind_of_table([name.lower().lstrip("#") for name in header], header, path)


def _header(path: Path) -> tuple[str, ...]:
    kind = file_kind(path)
    if kind in ("parquet", "arrow"):
        return tuple(pl.read_parquet_schema(path) if kind == "parquet" else pl.read_ipc_schema(path))
    return TextTable.open(path).header


def _has_effects(path: Path) -> bool:
    lines = TextTable.open(path).first_lines[1:]
    return any(re.search(r"\tES(?::|\t)|:ES(?::|\t)", line) for line in lines)


def _kind_of_table(names: Sequence[str], header: Sequence[str], path: Path) -> Kind:
    people = {"fid", "iid"} & set(names)
    alleles = {"ref", "alt", "a1", "allele1", "effect_allele", "ea"} & set(names)
    if not alleles and (people or names[0] in ID_NAMES):
        return "phenotypes"
    try:
        recognise(header, source=str(path))
    except InputError as error:
        said = str(error)
        named = {"variant", "snp", "rsid", "id", "variant_id", "markername"} & set(names)
        if named and {"effect_allele", "ea", "a1", "alt"} & set(names) and "do not say" not in said:
            return "instruments" if "no known layout" in said or "must have an effect" in said else "summary statistics"
        return "unknown" if "no known layout" in said else "summary statistics"
    return "summary statistics"


def _one(path: Path, kind: Kind) -> Seen:
    try:
        existing_file(path, "file")
        if kind == "phenotypes":
            facts, problems, columns, ids = phenotype_table(path)
            return Seen(str(path), (path,), kind, facts, problems, columns=columns, ids=ids)
        if kind == "summary statistics":
            facts, problems, variants = summary_facts(path)
            return Seen(str(path), (path,), kind, facts, problems, variants=variants)
        if kind == "instruments":
            facts, problems, variants = instrument_facts(path)
            return Seen(str(path), (path,), kind, facts, problems, variants=variants)
        if kind == "study file":
            return _study_file(path)
        return _unknown(path)
    except InputError as error:
        return Seen(str(path), (path,), kind, problems=[str(error)])


def _study_file(path: Path) -> Seen:
    try:
        sections = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        return Seen(str(path), (path,), "study file", problems=[f"this is not valid TOML: {error}"])
    config = StudyConfig.from_toml(path)
    facts = [
        ("sections", ", ".join(sections)),
        ("effect", f"of {config.phenotypes.exposure} on {config.phenotypes.outcome}"),
        ("environment", config.phenotypes.environment_name),
    ]
    return Seen(str(path), (path,), "study file", facts)


def _unknown(path: Path) -> Seen:
    table = TextTable.open(path)
    nearest = nearest_format(table.header)
    line = table.first_lines[0]
    shown = repr(line if len(line) <= 200 else f"{line[:200]}…")
    problem = (
        f"the first line reads {shown}, which is no header that is known. A table of people has a column IID; a "
        "list of instruments has SNP and effect_allele"
    )
    if nearest:
        problem += f"; the nearest layout of summary statistics is {nearest}"
    return Seen(str(path), (path,), "unknown", problems=[problem])


def _genotypes(name: str, paths: tuple[Path, ...]) -> Seen:
    facts: list[tuple[str, str]] = []
    problems: list[str] = []
    first: GenotypeReader | None = None
    tables = []
    for path in paths:
        try:
            reader = open_genotypes(path)
        except InputError as error:
            problems.append(str(error))
            continue
        tables.append(reader.variants.select("variant", "chromosome", "counted_allele", "other_allele"))
        if first is None:
            first = reader
        elif reader.sample_ids.tolist() != first.sample_ids.tolist():
            problems.append(
                f"{path}: the people, or their order, are not those of {paths[0]} ({len(reader.sample_ids):,} and "
                f"{len(first.sample_ids):,} people). Every file must have the same people"
            )
    if first is None:
        return Seen(name, paths, "genotypes", facts, problems)
    variants = pl.concat(tables)
    if len(paths) > 1:
        facts.append(("files", f"{len(paths)}, one a chromosome"))
    facts += [
        ("people", f"{len(first.sample_ids):,}, ids like {first_few(first.sample_ids[:3])}"),
        ("variants", f"{variants.height:,} on chromosome {_chromosomes(variants['chromosome'])}"),
        ("calls", "dosages" if first.has_dosages else "hard calls"),
    ]
    problems += _variant_problems(variants)
    ids = Ids(pl.Series(first.sample_ids.astype(str)), _families(first), "the genotype file")
    return Seen(name, paths, "genotypes", facts, problems, reader=first, n_variants=variants.height, ids=ids,
                variants=variants["variant"])  # fmt: skip


def _families(reader: GenotypeReader) -> pl.Series | None:
    return None if reader.family_ids is None else pl.Series(reader.family_ids.astype(str))


def _chromosomes(column: pl.Series) -> str:
    found = column.unique(maintain_order=True).to_list()
    return ", ".join(found) if len(found) <= 4 else f"{found[0]} to {found[-1]} ({len(found)} chromosomes)"


def _variant_problems(variants: pl.DataFrame) -> list[str]:
    problems = []
    repeated = variants.height - variants["variant"].n_unique()
    if repeated:
        problems.append(
            f"{repeated:,} variant ids are repeated; an instrument of such an id is dropped with its reason"
        )
    letters = r"^(?:[ACGT]+|[ID])$"
    odd = variants.filter(
        ~(pl.col("counted_allele").str.contains(letters) & pl.col("other_allele").str.contains(letters))
    )
    if odd.height:
        problems.append(
            f"{odd.height:,} variants have alleles that are not of A, C, G, T (like {odd['counted_allele'][0]}/"
            f"{odd['other_allele'][0]}): the list of instruments must state them in the same coding"
        )
    return problems


def _fit(seen: Sequence[Seen]) -> None:
    """How files fit each other: people of tables in the genotypes, instruments in the variants."""
    genotypes = next((item for item in seen if item.kind == "genotypes" and item.ids is not None), None)
    if genotypes is None or genotypes.ids is None or genotypes.variants is None:
        return
    for item in seen:
        if item.kind == "phenotypes" and item.ids is not None:
            try:
                found = match_ids(item.ids, genotypes.ids)
            except InputError as error:
                item.problems.append(str(error))
                continue
            n, of = len(found.left), item.ids.within.len()
            item.facts.append(("in genotypes", f"{n:,} of {of:,} people, by {found.rule}" if n else "nobody"))
            if not n:
                item.problems.append(
                    f"no id is that of a person in {genotypes.name}; a cross-walk table can map them ([phenotypes] "
                    "crosswalk)"
                )
        elif item.kind in ("instruments", "summary statistics") and item.variants is not None:
            n = int(item.variants.is_in(genotypes.variants.implode()).sum())
            item.facts.append(("in genotypes", f"{n:,} of {item.variants.len():,} variants looked at, by id"))
