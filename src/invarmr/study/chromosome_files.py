"""Genotype files that belong together: one a chromosome, written as a pattern with {chrom}."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

__all__ = ["grouped", "without_companions"]

CHROMOSOMES = (*(str(number) for number in range(1, 27)), "X", "Y", "XY", "MT", "M", "PAR1", "PAR2")
_LETTERS = r"(?:XY|X|Y|MT|M|PAR[12])(?![A-Za-z])"
_TOKEN = re.compile(rf"\d+|(?<![A-Za-z]){_LETTERS}|(?<=chr){_LETTERS}|(?<=_c){_LETTERS}")
_COMPANIONS = {
    ".bed": (".bim", ".fam", ".log", ".nosex"),
    ".pgen": (".pvar", ".pvar.zst", ".pvar.gz", ".psam", ".bim", ".fam", ".log"),
    ".bgen": (".bgen.bgi", ".sample", ".log"),
    ".vcf.gz": (".vcf.gz.tbi", ".vcf.gz.csi"),
    ".bcf": (".bcf.csi",),
}


def without_companions(paths: Sequence[Path]) -> list[Path]:
    """The files without those that only stand beside a genotype file: .bim, .fam, .psam, an index.

    A companion without its calls, and a .fam or .sample that stands for itself, remain.

    Examples
    --------
    >>> [path.name for path in without_companions([Path("a.bed"), Path("a.bim"), Path("a.fam"), Path("b.fam")])]
    ['a.bed', 'b.fam']
    """
    names = {str(path) for path in paths}
    beside = {
        name.removesuffix(ending) + companion
        for name in names
        for ending, companions in _COMPANIONS.items()
        if name.endswith(ending)
        for companion in companions
    }
    return [path for path in paths if str(path) not in beside]


def grouped(paths: Sequence[Path]) -> list[tuple[str, tuple[Path, ...]]]:
    """Genotype files as sets: those of one folder whose names differ by the chromosome alone, and the others alone.

    Returns
    -------
    list
        Of each set its name (a path, or a pattern with {chrom}) and its files, in the order of the chromosomes.

    Examples
    --------
    >>> grouped([Path("c/chr1.bed"), Path("c/chr10.bed"), Path("c/chr2.bed"), Path("c/cases.bed")])[0]
    ('c/chr{chrom}.bed', (PosixPath('c/chr1.bed'), PosixPath('c/chr2.bed'), PosixPath('c/chr10.bed')))
    """
    sets: dict[Path, dict[str, Path]] = {}
    for path in paths:
        for token in _TOKEN.finditer(path.name):
            chromosome = token.group().lstrip("0")
            if chromosome in CHROMOSOMES:
                name = f"{path.name[: token.start()]}{{chrom}}{path.name[token.end() :]}"
                sets.setdefault(path.parent / name, {})[chromosome] = path
    found: list[tuple[str, tuple[Path, ...]]] = []
    left = list(paths)
    for pattern, files in sorted(sets.items(), key=lambda item: -len(item[1])):
        members = tuple(files[name] for name in CHROMOSOMES if name in files and files[name] in left)
        if len(members) > 1:
            found.append((str(pattern), members))
            left = [path for path in left if path not in members]
    return [*found, *((str(path), (path,)) for path in left)]
