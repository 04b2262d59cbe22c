"""A first study file from files that were looked at: every line says what to check, and it runs when that is right."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from invarmr.archive.files import write_text
from invarmr.errors import InputError
from invarmr.io.sample_ids import ID_NAMES
from invarmr.study.inspect import Seen
from invarmr.study.inspect_tables import Column

__all__ = ["Roles", "first_study_file", "proposed_roles", "write_first_study_file"]

_COVARIATE = re.compile(
    r"^(?:age|sex|gender|male|female|bmi_age|yob|birth_?year|year_of_birth|height|smok\w*)(?:\d|_|$)", re.I
)
_COMPONENT = re.compile(r"^(?:pc|pca|ev|u|c|component)_?\d+(?:_avg)?$", re.I)
_ENVIRONMENT = re.compile(
    r"site|cent(?:er|re)|batch|array|cohort|region|ancestr|popul|country|assess|hospital|wave|chip|birthplace", re.I
)
_SCORE = re.compile(r"^(?:(?:prs|grs|pgs|score)\w*|\w*(?:score\d*)_(?:avg|sum))$", re.I)
_IGNORED = re.compile(r"^(?:pat|mat|phenotype|allele_ct|named_allele_dosage_sum|\w*_sum)$", re.I)
_MOST_ENVIRONMENTS = 50
_ALL_VARIANTS = 5_000


@dataclass(frozen=True, kw_only=True)
class Roles:
    """What each column of the tables is taken for, until somebody says otherwise.

    Parameters
    ----------
    exposure, outcome, environment
        Names; empty where no column could be it.
    covariates, categorical, components, scores
        Names.
    numbers
        Every column that could be the exposure or the outcome.
    groups
        Every column that could be the environment.
    """

    exposure: str
    outcome: str
    environment: str
    covariates: tuple[str, ...]
    categorical: tuple[str, ...]
    components: tuple[str, ...]
    scores: tuple[str, ...]
    numbers: tuple[str, ...]
    groups: tuple[str, ...]


def proposed_roles(tables: Sequence[Sequence[Column]]) -> Roles:
    """Give every column a role by its name and its values.

    Parameters
    ----------
    tables
        Columns of each table of people, the first of them with the traits.

    Examples
    --------
    >>> def column(name, kind="numbers", n_levels=900):
    ...     return Column(name, kind, n_levels, 0, 0)
    >>> here = [column("ldl"), column("sbp"), column("site", "text", 4), column("age"), column("sex", "text", 2)]
    >>> roles = proposed_roles([here])
    >>> roles.exposure, roles.outcome, roles.environment, roles.covariates, roles.categorical
    ('ldl', 'sbp', 'site', ('age', 'sex'), ('sex',))
    """
    flat = [column for table in tables for column in table if column.kind != "id" and not _IGNORED.match(column.name)]
    components = tuple(column.name for column in flat if _COMPONENT.match(column.name) and column.kind == "numbers")
    scores = tuple(column.name for column in flat if _SCORE.match(column.name) and column.kind == "numbers")
    used = {*components, *scores}
    groups = [column for column in flat if column.name not in used and 2 <= column.n_levels <= _MOST_ENVIRONMENTS]
    named = [column for column in groups if _ENVIRONMENT.search(column.name)]
    texts = [column for column in groups if column.kind == "text" and not _COVARIATE.match(column.name)]
    environment = next((column.name for column in (*named, *texts)), "")
    used.add(environment)
    later = {column.name for table in tables[1:] for column in table}
    covariates = [
        column
        for column in flat
        if column.name not in used
        and (_COVARIATE.match(column.name) or column.name in later)
        and (column.kind == "numbers" or 2 <= column.n_levels <= _MOST_ENVIRONMENTS)
    ]
    used |= {column.name for column in covariates}
    numbers = [column.name for column in flat if column.kind == "numbers" and column.name not in used]
    return Roles(
        exposure=numbers[0] if numbers else "",
        outcome=numbers[1] if len(numbers) > 1 else "",
        environment=environment,
        covariates=tuple(column.name for column in covariates),
        categorical=tuple(column.name for column in covariates if column.kind == "text"),
        components=components,
        scores=scores,
        numbers=tuple(numbers),
        groups=tuple(column.name for column in groups),
    )


def first_study_file(seen: Sequence[Seen], folder: Path) -> str:
    """The text of a study file for the files that were looked at.

    Parameters
    ----------
    seen
        Genotypes (optional where the tables have scores), tables of people in the order in which they were named, and
        a list of instruments (optional).
    folder
        Where the file will lie: paths are written from there.

    Raises
    ------
    InputError
        No table of people, or neither genotypes nor scores.
    """
    genotypes = [item for item in seen if item.kind == "genotypes"]
    people = [item for item in seen if item.kind == "phenotypes"]
    if not people:
        raise InputError(
            "a study file needs a table of people (with a column IID, say), but none of the files is one. Name it too."
        )
    roles = proposed_roles([item.columns for item in people])
    if not genotypes and not roles.scores:
        raise InputError(
            "a study file needs genotypes, or a table of people with scores (score1, PRS_AVG), but none of the files "
            "has them. Name the genotype file too."
        )
    parts = [_HEAD]
    if genotypes:
        parts.append(_genotypes(genotypes, folder))
    parts += [_phenotypes(people, roles, folder), _instruments(seen, genotypes, roles, folder)]
    if roles.components:
        shown = _list(roles.components)
        parts.append(
            f"[components]\ncolumns = {shown}  # components of ancestry in the tables; none are computed then\n"
        )
    parts.append(_learn(roles))
    return "\n".join(parts)


def write_first_study_file(seen: Sequence[Seen], out: Path) -> Path:
    """Write `first_study_file` where no file is.

    Raises
    ------
    InputError
        `out` exists; or as `first_study_file`.
    """
    if out.exists():
        raise InputError(f"{out}: there is a file already, and it is not overwritten. Name another with --out.")
    write_text(out, first_study_file(seen, out.parent))
    return out


_HEAD = """\
# A first study file, written by `invarmr inspect` from what the files look like.
# Lines marked CHECK were guessed from names and values. Then: invarmr run study.toml --out result
"""


def _genotypes(seen: Sequence[Seen], folder: Path) -> str:
    paths = [_path(item.name, folder) for item in seen]
    n_files = sum(len(item.paths) for item in seen)
    n_people = 0 if seen[0].ids is None else seen[0].ids.within.len()
    said = f"{n_files} file{'s' if n_files > 1 else ''}, {sum(item.n_variants for item in seen):,} variants"
    said += f", {n_people:,} people" if n_people else "; CHECK: could not be opened, see above"
    value = json.dumps(paths[0]) if len(paths) == 1 else _list(paths)
    return f"[genotypes]\npath = {value}  # {said}\n"


def _phenotypes(seen: Sequence[Seen], roles: Roles, folder: Path) -> str:
    paths = [_path(item.name, folder) for item in seen]
    lines = ["[phenotypes]", f"path = {json.dumps(paths[0]) if len(paths) == 1 else _list(paths)}"]
    sample_id = _sample_id(seen[0].columns)
    if sample_id != "IID":
        lines.append(f"sample_id = {json.dumps(sample_id)}")
    lines.append(_trait("exposure", roles.exposure, roles.numbers))
    lines.append(_trait("outcome", roles.outcome, roles.numbers))
    if roles.environment:
        others = [name for name in roles.groups if name != roles.environment]
        also = f"; could also be {', '.join(others[:8])}" if others else ""
        lines.append(
            f"environment = {json.dumps(roles.environment)}  # CHECK: what separates people by ancestry, place or "
            f"recruitment{also}"
        )
    else:
        lines.append('# environment = "site"  # no column looks like one; without it nothing is learned, see [learn]')
    if roles.covariates:
        lines.append(f"covariates = {_list(roles.covariates)}  # CHECK: what acts on the outcome, not what it acts on")
    if roles.categorical:
        lines.append(f"categorical = {_list(roles.categorical)}")
    if any("decimal commas" in problem for item in seen for problem in item.problems):
        lines.append("decimal_comma = true")
    if any('missing_codes = ["-9"]' in problem for item in seen for problem in item.problems):
        lines.append('missing_codes = ["-9"]  # CHECK: -9 occurs, and would be a number otherwise')
    return "\n".join(lines) + "\n"


def _trait(role: str, name: str, numbers: Sequence[str]) -> str:
    others = [other for other in numbers if other != name]
    if not name:
        return f'{role} = "EDIT"  # CHECK: no column of numbers is left for it; name one'
    also = f"; could also be {', '.join(others[:8])}" if others else ""
    return f"{role} = {json.dumps(name)}  # CHECK{also}"


def _instruments(seen: Sequence[Seen], genotypes: Sequence[Seen], roles: Roles, folder: Path) -> str:
    lists = [item for item in seen if item.kind == "instruments"]
    lists += [item for item in seen if item.kind == "summary statistics"]
    lines = ["[instruments]"]
    if genotypes and lists:
        said = dict(lists[0].facts).get("in genotypes", "")
        lines.append(f"variants = {json.dumps(_path(lists[0].name, folder))}{f'  # {said}' if said else ''}")
    elif genotypes:
        n = sum(item.n_variants for item in genotypes)
        if n <= _ALL_VARIANTS:
            lines.append(f'variants = "all"  # all {n:,} variants; or a table with SNP and effect_allele')
        else:
            lines.append('variants = "instruments.tsv"  # CHECK: name a table with SNP and effect_allele here')
    if roles.scores:
        beside = "# " if genotypes else ""
        lines.append(f"{beside}columns = {_list(roles.scores)}  # scores in the tables")
    return "\n".join(lines) + "\n"


def _learn(roles: Roles) -> str:
    if roles.environment:
        return (
            '[learn]\nmethod = "auto"  # the simplest learner that held-out people do not reject\n\n[run]\nseed = 1\n'
        )
    return '[learn]\nmethod = "none"  # no environment to compare; "auto" with one\n\n[run]\nseed = 1\n'


def _sample_id(columns: Sequence[Column]) -> str:
    ids = {column.name.lower(): column.name for column in columns if column.kind == "id"}
    return next((ids[name] for name in ID_NAMES if name in ids), "IID")


def _path(name: str, folder: Path) -> str:
    """A path as the study file has it: from its folder where it lies there, else absolute."""
    whole, here = os.path.abspath(name), os.path.abspath(folder)
    inside = os.path.relpath(whole, here)
    return Path(whole if inside.startswith("..") else inside).as_posix()


def _list(names: Sequence[str]) -> str:
    return json.dumps(list(names), ensure_ascii=False)
