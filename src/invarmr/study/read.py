"""READ: from the files of a study to a cohort, with an account of everything that was lost on the way."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from invarmr.arrays import FloatArray, IntArray
from invarmr.data.cohort import Account, Cohort
from invarmr.data.genotypes import GenotypeReader
from invarmr.data.instrument_source import ArrayInstruments, GenotypeInstruments, InstrumentSource, StackedInstruments
from invarmr.diagnostics.negative_controls import ControlTrait, Role
from invarmr.errors import InputError, first_few
from invarmr.genetics.ancestry import principal_components
from invarmr.genetics.thinning import thin_variants
from invarmr.io.delimited import existing_file
from invarmr.io.instrument_list import read_instrument_list
from invarmr.io.plink import open_genotypes
from invarmr.io.sample_ids import Ids, match_ids
from invarmr.io.tables import read_table, require_columns
from invarmr.study.config import StudyConfig
from invarmr.study.people_tables import GENOTYPE_ID, ids_of
from invarmr.study.phenotypes import ENVIRONMENT, Lost, Phenotypes, columns_of, encode, read_phenotypes
from invarmr.study.progress import Progress
from invarmr.study.variants import SettledVariants, settle_variants

__all__ = ["ReadStudy", "open_instruments", "read_cohort", "read_study"]

_INDEX = "__file_index__"
_FEWEST_FOR_COMPONENTS = 50


@dataclass(frozen=True, eq=False)
class ReadStudy:
    """A cohort, and what is needed to open its instruments again.

    Parameters
    ----------
    cohort
        The cohort.
    sample_index
        (n,) index of each sample in the genotype file; empty without genotypes.
    variants
        The settled variants; None without genotypes.
    scores
        (n, s) instruments that are columns of the phenotype table.
    negative_controls
        Negative controls, NaN where missing.
    """

    cohort: Cohort
    sample_index: IntArray
    variants: SettledVariants | None
    scores: FloatArray
    negative_controls: tuple[ControlTrait, ...] = ()


def read_cohort(study: str | Path | StudyConfig) -> Cohort:
    """Read the cohort of a study file.

    Parameters
    ----------
    study
        Path of `study.toml`, or its settings.

    Returns
    -------
    Cohort
        Instruments are read from the genotype file in blocks, whenever they are needed; `cohort.account` says
        what was dropped, and why.

    Raises
    ------
    InputError
        Anything that cannot be used as it is, in one message.
    """
    config = study if isinstance(study, StudyConfig) else StudyConfig.from_toml(study)
    return read_study(config).cohort


def read_study(config: StudyConfig, progress: Progress | None = None) -> ReadStudy:
    """Read everything a study file names; see `read_cohort`."""
    progress = progress or Progress()
    phenotypes, reader = _both_files(config)
    frame, lost = _match(config, phenotypes, reader)
    _say(progress, lost)
    codes, labels = encode(frame[ENVIRONMENT])
    lost += [Lost("used", label, int((codes == code).sum()), "") for code, label in enumerate(labels)]
    _check_sizes(config, codes, labels)
    index = frame[_INDEX].to_numpy().astype(np.intp) if reader is not None else np.zeros(0, dtype=np.intp)
    variants = None
    if reader is not None and config.instruments.variants is not None:
        variants = settle_variants(config, reader, samples=index, environment=codes, environments=labels)
    scores = columns_of(frame, phenotypes.score_names)
    components, component_names = _components(config, phenotypes, frame, reader, index, variants, progress)
    truth, truth_names = _truth(config, frame)
    settings = config.phenotypes
    cohort = Cohort(
        instruments=open_instruments(reader, variants, index, codes, scores),
        instrument_names=(*(variants.names if variants else ()), *phenotypes.score_names),
        instrument_kind="genotype" if scores.shape[1] == 0 else "score",
        exposure=frame[settings.exposure].to_numpy().astype(np.float64),
        outcome=frame[settings.outcome].to_numpy().astype(np.float64),
        environment=codes,
        environments=labels,
        sample_ids=frame[settings.sample_id].to_numpy().astype(str),
        covariates=columns_of(frame, phenotypes.covariate_names),
        covariate_names=phenotypes.covariate_names,
        components=components,
        component_names=component_names,
        truth=truth,
        truth_names=truth_names,
        weights=variants.weights if variants and scores.shape[1] == 0 else None,
        cluster=None if settings.cluster is None else encode(frame[settings.cluster])[0],
        exposure_name=settings.exposure,
        outcome_name=settings.outcome,
        environment_name=settings.environment_name,
        account=Account(
            variants=variants.account if variants else pl.DataFrame(),
            samples=pl.DataFrame(
                [(item.stage, item.environment, item.n_samples, item.reason) for item in lost],
                schema=["stage", "environment", "n_samples", "reason"],
                orient="row",
            ),
        ),
    )
    return ReadStudy(cohort, index, variants, scores, _negative_controls(config, frame))


def _negative_controls(config: StudyConfig, frame: pl.DataFrame) -> tuple[ControlTrait, ...]:
    asked = config.negative_controls
    roles: tuple[tuple[Role, tuple[str, ...]], ...] = (("outcome", asked.outcomes), ("exposure", asked.exposures))
    return tuple(
        ControlTrait(name, role, frame[name].cast(pl.Float64).fill_null(np.nan).to_numpy())
        for role, names in roles
        for name in names
    )


def open_instruments(
    reader: GenotypeReader | None,
    variants: SettledVariants | None,
    samples: IntArray,
    environment: IntArray,
    scores: FloatArray,
) -> InstrumentSource:
    """The instruments of a study as one source: variants of the file, scores of the table, or both side by side."""
    if reader is None or variants is None:
        return ArrayInstruments(scores)
    genotypes = GenotypeInstruments(
        reader,
        variants=variants.file_index,
        flip=variants.flip,
        samples=samples,
        environment=environment,
        imputed=variants.imputed,
    )
    return genotypes if scores.shape[1] == 0 else StackedInstruments(genotypes, ArrayInstruments(scores))


def _both_files(config: StudyConfig) -> tuple[Phenotypes, GenotypeReader | None]:
    """The phenotype table and the genotype file, opened at the same time; a fault of the first is told first."""
    if config.genotypes is None:
        return read_phenotypes(config), None
    with ThreadPoolExecutor(max_workers=1) as other:
        opening = other.submit(open_genotypes, config.genotypes.path)
        return read_phenotypes(config), opening.result()


def _match(
    config: StudyConfig, phenotypes: Phenotypes, reader: GenotypeReader | None
) -> tuple[pl.DataFrame, list[Lost]]:
    """Rows of samples that are in both files, in the genotype file's order."""
    frame, lost = phenotypes.frame, list(phenotypes.lost)
    if reader is None:
        return frame, lost
    name = GENOTYPE_ID if GENOTYPE_ID in frame.columns else config.phenotypes.sample_id
    families = None if reader.family_ids is None else pl.Series(reader.family_ids.tolist())
    ids = pl.Series(reader.sample_ids.tolist(), dtype=pl.String)
    matching = match_ids(ids_of(frame, name, "the phenotype table"), Ids(ids, families, "the genotype file"))
    if not len(matching.left):
        raise InputError(
            f"No sample is in both files: {frame.height} in the phenotype table ({first_few(frame[name])}), {len(ids)} "
            f"in the genotype file ({first_few(ids)}). Name the column that holds the genotype file's ids in "
            "[phenotypes] sample_id, or give a table of both ids in [phenotypes] crosswalk."
        )
    matched = frame[matching.left].with_columns(pl.Series(_INDEX, matching.right))
    if not matching.exact:
        lost.append(Lost("matched", "", matched.height, f"by {matching.rule}"))
    if matched.height < frame.height:
        out = np.ones(frame.height, dtype=bool)
        out[matching.left] = False
        absent = frame.filter(out).group_by(ENVIRONMENT).len().sort(ENVIRONMENT)
        lost += [Lost("dropped", str(label), int(n), "not in the genotype file") for label, n in absent.iter_rows()]
    unused = len(ids) - matched.height
    if unused:
        lost.append(Lost("dropped", "", unused, "in the genotype file without a complete row in the phenotype table"))
    return matched, lost


def _say(progress: Progress, lost: Sequence[Lost]) -> None:
    """Tell what was decided about the people: ids matched otherwise than as written, codes read as missing, recoded."""
    for item in lost:
        if item.stage not in ("read", "dropped", "used"):
            progress.say(f"  {item.stage}: {item.n_samples} people, {item.reason}")


def _check_sizes(config: StudyConfig, codes: IntArray, labels: tuple[str, ...]) -> None:
    if config.learn.compares_environments and len(labels) < 2:
        raise InputError(
            f"At least two environments are required, but after matching only {first_few(labels)} is left "
            f"({len(codes)} samples). See whether the other environments' samples are in the genotype file."
        )


def _components(
    config: StudyConfig,
    phenotypes: Phenotypes,
    frame: pl.DataFrame,
    reader: GenotypeReader | None,
    samples: IntArray,
    variants: SettledVariants | None,
    progress: Progress,
) -> tuple[FloatArray, tuple[str, ...]]:
    settings = config.components
    if phenotypes.component_names:
        return columns_of(frame, phenotypes.component_names), phenotypes.component_names
    none = np.zeros((frame.height, 0)), ()
    if settings.count == 0 or reader is None:
        return none
    candidates = np.arange(reader.variants.height)
    if settings.variants != "all":
        wanted = read_instrument_list(settings.variants)["variant"]
        candidates = np.flatnonzero(reader.variants["variant"].is_in(wanted.implode()).to_numpy())
    exclude = None if variants is None else variants.file_index
    if len(candidates) - (0 if exclude is None else len(exclude)) < _FEWEST_FOR_COMPONENTS:
        progress.say("  no principal components: fewer than 50 variants besides the instruments")
        return none
    chosen = thin_variants(reader, candidates, samples=samples, exclude=exclude, max_variants=settings.max_variants)
    if len(chosen) < _FEWEST_FOR_COMPONENTS:
        progress.say("  no principal components: fewer than 50 common, unlinked variants besides the instruments")
        return none
    count = min(settings.count, len(chosen) - 1)
    found = principal_components(reader, samples=samples, variants=chosen, count=count)
    return found.scores, tuple(f"PC{k + 1}" for k in range(found.scores.shape[1]))


def _truth(config: StudyConfig, frame: pl.DataFrame) -> tuple[FloatArray, tuple[str, ...]]:
    none = np.zeros((frame.height, 0)), ()
    if config.truth is None:
        return none
    _check_truth(config.truth.path)
    if config.truth.samples is None:
        return none
    name = config.phenotypes.sample_id
    path = config.truth.samples
    table = read_table(path, string_columns=[name])
    require_columns(table, [name], path)
    table = table.unique(subset=name, keep="first")
    names = tuple(column for column in table.columns if column not in (name, "confounder"))
    joined = frame.select(name).join(table, on=name, how="left", maintain_order="left")
    if joined.select(pl.any_horizontal(pl.all().is_null()).any()).item():
        raise InputError(f"{path}: every sample of the study must be there, but some are not. Simulate the study anew.")
    return columns_of(joined, names), names


def _check_truth(path: Path) -> None:
    try:
        content = json.loads(existing_file(path, "[truth] file").read_text(encoding="utf-8"))
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: JSON was required for the truth, but this is not valid: {error}.") from error
    if not isinstance(content, dict) or not isinstance(content.get("effect"), int | float):
        raise InputError(f'{path}: a JSON object with a number under "effect" was required for the truth.')
