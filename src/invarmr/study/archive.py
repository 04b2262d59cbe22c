"""An archive: the folder of one study, and the objects that its files hold, loaded when they are asked for.

What later verbs need of the people is read again from the study's inputs, which must be the same byte by byte; only
with `[output] people` does the archive keep it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from invarmr import __version__
from invarmr.archive.disclosure import Disclosure
from invarmr.archive.files import read_json, read_table, write_arrays, write_json, write_table
from invarmr.archive.folder import Workspace, changed_folder
from invarmr.archive.schema import FILES, TABLES, files_after, files_of, people_files
from invarmr.arrays import FloatArray, IntArray
from invarmr.data.cohort import Cohort
from invarmr.data.folds import assign_folds
from invarmr.data.latent_instruments import DimensionStep, LadderStep, LatentInstruments, Leak
from invarmr.data.moments import EnvironmentMoments, merge_moments
from invarmr.data.representation import RepresentedInstruments
from invarmr.diagnostics.negative_controls import ControlTrait, Role
from invarmr.errors import InputError
from invarmr.io.plink import open_genotypes
from invarmr.provenance import check_fingerprint, check_unwritten, describe_run
from invarmr.study.config import StudyConfig, with_changes
from invarmr.study.families import StudyFamilies, read_families
from invarmr.study.family_estimates import FamilyEstimates, family_estimates
from invarmr.study.learning import N_FOLDS, learn_study
from invarmr.study.phenotypes import columns_of
from invarmr.study.progress import Progress
from invarmr.study.read import ReadStudy, open_instruments, read_study
from invarmr.study.variants import VARIANT_COLUMNS, SettledVariants

__all__ = ["Archive", "changed_archive"]


@contextmanager
def changed_archive(folder: Path | str, verb: str, *, smallest_count: int | None = None) -> Iterator[Archive]:
    """Hold an archive, verified, and let a verb write its files; all of them appear at the end, or none.

    Parameters
    ----------
    folder
        That `read` or `run` wrote.
    verb
        Who writes. Its earlier files and those of later verbs are gone afterwards.
    smallest_count
        Mask small counts from here on, in the files that are there too.

    Raises
    ------
    InputError
        As `changed_folder`.
    """
    Disclosure(smallest_count)  # a count that cannot be is told before anything is looked at
    with changed_folder(folder, kind="study", command=verb) as workspace:
        archive = Archive(workspace.path, workspace)
        if smallest_count is not None:
            archive.mask(smallest_count)
        yield archive


class Archive:
    """What a study left on disk, as objects.

    Parameters
    ----------
    folder
        The archive.
    workspace
        To write there; None: for reading alone.
    """

    def __init__(self, folder: Path, workspace: Workspace | None = None) -> None:
        self.folder = folder
        self._workspace = workspace
        if workspace is not None:
            workspace.people |= people_files()

    @cached_property
    def provenance(self) -> dict[str, Any]:
        """Content of `provenance.json`."""
        return read_json(self.require("provenance.json"))

    @cached_property
    def config(self) -> StudyConfig:
        """The study's settings, as they were resolved when it was read."""
        return StudyConfig.model_validate(self.provenance["settings"])

    @property
    def disclosure(self) -> Disclosure:
        """How counts of people are written."""
        return Disclosure(self.config.disclosure.smallest_count)

    @cached_property
    def study(self) -> ReadStudy:
        """The people and their instruments, from what the archive keeps or from the study's inputs.

        Raises
        ------
        InputError
            Not read yet, or an input changed since.
        """
        for recorded in self.provenance["inputs"]:
            check_fingerprint(recorded)
        if not (self.folder / "state/cohort.parquet").exists():
            study = read_study(self.config, Progress())
            for recorded in self.provenance["inputs"]:
                check_fingerprint(recorded)
            return study
        frame = pl.read_parquet(self.folder / "state/cohort.parquet")
        with np.load(self.require("state/instruments.npz")) as stored:
            return _study(self.config, frame, dict(stored))

    @cached_property
    def families(self) -> StudyFamilies | None:
        """Trios and sibships, checked against genotypes; None where the study names none."""
        return None if self.config.families is None else read_families(self.config, self.study)

    @cached_property
    def family_estimates(self) -> FamilyEstimates | None:
        """What families add to the estimates; None where the study names none."""
        return family_estimates(self, self.latent)

    @property
    def cohort(self) -> Cohort:
        """The cohort, its instruments read from the genotype file."""
        return self.study.cohort

    @property
    def negative_controls(self) -> tuple[ControlTrait, ...]:
        """Negative controls of the people; none where the study names none."""
        return self.study.negative_controls

    @cached_property
    def fold(self) -> IntArray:
        """Fold of each sample."""
        cohort = self.cohort
        return assign_folds(
            cohort.environment, n_folds=N_FOLDS, seed=self.config.run.seed, sample_ids=cohort.sample_ids
        )

    @cached_property
    def moments(self) -> tuple[EnvironmentMoments, ...]:
        """Moments of each fold."""
        path = self.folder / "state/moments.npz"
        if not path.exists():
            return tuple(self.cohort.folded_moments(self.fold))
        with np.load(path) as stored:
            columns, environments = tuple(stored["columns"].tolist()), tuple(stored["environments"].tolist())
            parts = zip(stored["n_samples"], stored["mean"], stored["crossproduct"], strict=True)
            return tuple(EnvironmentMoments(columns, environments, *part) for part in parts)

    @cached_property
    def pooled(self) -> EnvironmentMoments:
        """Moments of all samples."""
        return merge_moments(self.moments)

    @cached_property
    def latent(self) -> LatentInstruments | None:
        """The learned instruments; None where the study asked for none.

        What is not linear in the instruments has a value per person. Where the archive keeps no such values, it is
        learned again from the same people with the same seed.
        """
        self.require("eigenvalues.tsv" if self.config.learn.compares_environments else "provenance.json")
        path = self.folder / "state/latent.json"
        if not path.exists():
            return learn_study(self.config, self.cohort, self.moments, self.fold)
        meta = read_json(path)
        if not meta:
            return None
        with np.load(self.require("state/latent.npz")) as stored:
            arrays = dict(stored)
        if meta["feature_names"] and "features" not in arrays:
            return learn_study(self.config, self.cohort, self.moments, self.fold)
        source = RepresentedInstruments(arrays["features"]) if "features" in arrays else self.cohort.instruments
        return _latent(meta, arrays).with_people(source=source, fold=self.fold)

    def require(self, name: str) -> Path:
        """Path of a file of the archive.

        Raises
        ------
        InputError
            It is not there.
        """
        path = self.folder / name
        if not path.exists():
            raise InputError(f"{self._shown} has no {name}: run `invarmr {FILES[name].verb}` on it first.")
        return path

    @property
    def _shown(self) -> Path:
        return self.folder if self._workspace is None else self._workspace.out

    def begin(self, verb: str) -> None:
        """Forget what `verb` and later verbs wrote before."""
        if self._workspace is not None:
            self._workspace.forget((*files_of(verb), *files_after(verb)))

    def put_table(self, name: str, frame: pl.DataFrame) -> None:
        """Write a table, with the columns that the schema has, small counts masked where the study asks for it."""
        file = TABLES[name]
        own = [column for column in frame.columns if file.others is None or column in (file.columns or {})]
        if own != list(file.columns or {}):
            raise RuntimeError(f"{name} is declared with the columns {list(file.columns or {})}, but has {own}")
        told = self.disclosure.table(name, frame)
        if told is not None:
            write_table(self.folder / name, told)

    def put_json(self, name: str, content: Mapping[str, Any]) -> None:
        """Write JSON, small counts masked where the study asks for it."""
        write_json(self.folder / name, self.disclosure.content(content))

    def save_study(
        self, study: ReadStudy, config: StudyConfig, inputs: list[dict[str, Any]], progress: Progress
    ) -> None:
        """Write what `read` leaves; `inputs` are the fingerprints that its files had before."""
        self.config, self.study = config, study
        families = self.families  # named in one message what is wrong with them, before anything is written
        settings = json.loads(config.to_json())
        about = describe_run(settings=settings, seed=config.run.seed, inputs=inputs, version=__version__)
        self._put_provenance(about)
        cohort = study.cohort
        samples = cohort.account.samples
        self.put_table("samples.tsv", samples if families is None else families.account(samples))
        self.put_table("variants.tsv", _variants_table(cohort.account.variants))
        self.moments = tuple(cohort.folded_moments(self.fold, track=partial(progress.track, doing="moments")))
        check_unwritten(inputs)
        if self.disclosure.masks:
            return
        write_arrays(self.folder / "state" / "moments.npz", _moment_arrays(self.moments))
        if config.output.people:
            _frame(study).write_parquet(self.folder / "state" / "cohort.parquet")
            write_arrays(self.folder / "state" / "instruments.npz", _instrument_arrays(study))

    def save_latent(self, latent: LatentInstruments | None) -> None:
        """Write the learned instruments, for later verbs."""
        self.latent = latent
        if self.disclosure.masks:
            return
        if latent is not None:
            arrays = _latent_arrays(latent, people=self.config.output.people)
            write_arrays(self.folder / "state" / "latent.npz", arrays)
        write_json(self.folder / "state" / "latent.json", {} if latent is None else _latent_meta(latent))

    def add_seconds(self, seconds: Mapping[str, float]) -> None:
        """Record how long verbs took."""
        self.provenance["seconds"].update(seconds)
        self._put_provenance(self.provenance)

    def _put_provenance(self, about: dict[str, Any]) -> None:
        """Write `provenance.json`; sizes of inputs tell how many people they hold, and go where counts are masked."""
        if self.disclosure.masks:
            inputs = [
                {key: value for key, value in item.items() if key not in ("bytes", "stamp")} for item in about["inputs"]
            ]
            about = {**about, "inputs": inputs}
        self.provenance = about
        write_json(self.folder / "provenance.json", about)

    def mask(self, smallest_count: int) -> None:
        """Mask small counts in all that is there, and in what will be written.

        Raises
        ------
        InputError
            A count below 2.
        """
        Disclosure(smallest_count)
        before = self.config.disclosure.smallest_count
        if before is not None and before >= smallest_count:
            return
        self.config = with_changes(self.config, smallest_count=smallest_count, people=False)
        tables = {
            name: table
            for name, file in TABLES.items()
            if (table := read_table(self.folder / name, file.columns or {}, others=file.others or pl.String))
            is not None
        }
        texts = {name: read_json(self.folder / name) for name in _CONTENTS if (self.folder / name).exists()}
        provenance = {**self.provenance, "settings": json.loads(self.config.to_json())}
        if self._workspace is not None:
            self._workspace.forget((*TABLES, *texts, *_UNTOLD))
        for name, table in tables.items():
            self.put_table(name, table)
        for name, content in texts.items():
            self.put_json(name, content)
        self._put_provenance(provenance)


_CONTENTS = ("verdict.json",)
_UNTOLD = (*(name for name in FILES if name.startswith("state/")), *people_files(), "truth.json", "report.html")
"""Files that are not kept where counts are masked: they hold exact numbers, or are drawn again."""


def _moment_arrays(moments: tuple[EnvironmentMoments, ...]) -> dict[str, Any]:
    return {
        "columns": np.array(moments[0].columns, dtype=np.str_),
        "environments": np.array(moments[0].environments, dtype=np.str_),
        "n_samples": np.stack([part.n_samples for part in moments]),
        "mean": np.stack([part.mean for part in moments]),
        "crossproduct": np.stack([part.crossproduct for part in moments]),
    }


def _variants_table(account: pl.DataFrame) -> pl.DataFrame:
    if account.width:
        return account
    return pl.DataFrame(schema=dict.fromkeys(VARIANT_COLUMNS, pl.String))


def _frame(study: ReadStudy) -> pl.DataFrame:
    cohort = study.cohort
    labels = np.array(cohort.environments)
    columns: dict[str, Any] = {
        "sample_id": cohort.sample_ids,
        "environment": labels[cohort.environment],
        "exposure": cohort.exposure,
        "outcome": cohort.outcome,
    }
    for role, values, names in _groups(cohort, study.scores):
        columns |= {f"{role}:{name}": values[:, i] for i, name in enumerate(names)}
    columns |= {f"negative_control:{item.role}:{item.name}": item.values for item in study.negative_controls}
    if cohort.cluster is not None:
        columns["cluster"] = cohort.cluster
    if len(study.sample_index):
        columns["file_index"] = study.sample_index
    return pl.DataFrame(columns)


def _groups(cohort: Cohort, scores: FloatArray) -> list[tuple[str, FloatArray, tuple[str, ...]]]:
    score_names = cohort.instrument_names[cohort.n_instruments - scores.shape[1] :] if scores.shape[1] else ()
    return [
        ("covariate", cohort.covariates, cohort.covariate_names),
        ("component", cohort.components, cohort.component_names),
        ("truth", cohort.truth, cohort.truth_names),
        ("score", scores, score_names),
    ]


def _instrument_arrays(study: ReadStudy) -> dict[str, Any]:
    variants = study.variants
    out: dict[str, Any] = {"environments": np.array(study.cohort.environments, dtype=np.str_)}
    if variants is None:
        return out
    out |= {
        "names": np.array(variants.names, dtype=np.str_),
        "effect_alleles": np.array(variants.effect_alleles, dtype=np.str_),
        "file_index": variants.file_index,
        "flip": variants.flip,
        "imputed": variants.imputed,
    }
    return out if variants.weights is None else out | {"weights": variants.weights}


def _study(config: StudyConfig, frame: pl.DataFrame, stored: Mapping[str, Any]) -> ReadStudy:
    def group(role: str) -> tuple[FloatArray, tuple[str, ...]]:
        names = [name for name in frame.columns if name.startswith(f"{role}:")]
        return columns_of(frame, names), tuple(name.split(":", 1)[1] for name in names)

    environments = tuple(stored["environments"].tolist())
    codes = np.searchsorted(np.array(environments), frame["environment"].to_numpy().astype(str))
    variants = None
    if "names" in stored:
        variants = SettledVariants(
            names=tuple(stored["names"].tolist()),
            effect_alleles=tuple(stored["effect_alleles"].tolist()),
            file_index=stored["file_index"],
            flip=stored["flip"],
            imputed=stored["imputed"],
            weights=stored.get("weights"),
            account=pl.DataFrame(),
        )
    reader = open_genotypes(config.genotypes.path) if config.genotypes is not None and variants is not None else None
    index = frame["file_index"].to_numpy() if "file_index" in frame.columns else np.zeros(0, dtype=np.intp)
    scores, score_names = group("score")
    (covariates, covariate_names), (components, component_names), (truth, truth_names) = (
        group(role) for role in ("covariate", "component", "truth")
    )
    cohort = Cohort(
        instruments=open_instruments(reader, variants, index, codes, scores),
        instrument_names=(*(variants.names if variants else ()), *score_names),
        instrument_kind="genotype" if not score_names else "score",
        exposure=frame["exposure"].to_numpy(),
        outcome=frame["outcome"].to_numpy(),
        environment=codes,
        environments=environments,
        sample_ids=frame["sample_id"].to_numpy().astype(str),
        covariates=covariates,
        covariate_names=covariate_names,
        components=components,
        component_names=component_names,
        truth=truth,
        truth_names=truth_names,
        weights=stored.get("weights") if not score_names else None,
        cluster=frame["cluster"].to_numpy() if "cluster" in frame.columns else None,
        exposure_name=config.phenotypes.exposure,
        outcome_name=config.phenotypes.outcome,
        environment_name=config.phenotypes.environment_name,
    )
    return ReadStudy(cohort, index, variants, scores, _controls(config, frame))


def _controls(config: StudyConfig, frame: pl.DataFrame) -> tuple[ControlTrait, ...]:
    asked = config.negative_controls
    roles: tuple[tuple[Role, tuple[str, ...]], ...] = (("outcome", asked.outcomes), ("exposure", asked.exposures))
    return tuple(
        ControlTrait(name, role, frame[f"negative_control:{role}:{name}"].to_numpy())
        for role, names in roles
        for name in names
    )


_LATENT_ARRAYS = ("center", "loadings", "confounded_loadings", "eigenvalues", "trained_loadings", "learning_error")


def _latent_arrays(latent: LatentInstruments, *, people: bool) -> dict[str, Any]:
    out = {name: value for name in _LATENT_ARRAYS if (value := getattr(latent, name)) is not None}
    if people and latent.feature_names and latent.source is not None:
        out["features"] = latent.source.read(np.arange(latent.source.n_samples))
    if latent.leak is not None:
        leak = latent.leak
        out |= {"leak_a": leak.mean_map, "leak_b": leak.covariance_map, "leak_covariance": leak.covariance}
    return out


def _latent_meta(latent: LatentInstruments) -> dict[str, Any]:
    return {
        "learner": latent.learner,
        "instrument_names": list(latent.instrument_names),
        "path": [vars(step) for step in latent.path],
        "saturated": latent.saturated,
        "shift_rank": latent.shift_rank,
        "covariance_informative": latent.covariance_informative,
        "means_alone": list(latent.means_alone),
        "n_null": latent.n_null,
        "held_out": list(latent.held_out),
        "settings": dict(latent.settings),
        "feature_names": list(latent.feature_names),
        "ladder": [vars(step) for step in latent.ladder],
    }


def _latent(meta: dict[str, Any], stored: Mapping[str, Any]) -> LatentInstruments:
    leak = None
    if "leak_a" in stored:
        leak = Leak(stored["leak_a"], stored["leak_b"], stored["leak_covariance"])
    return LatentInstruments(
        learner=meta["learner"],
        instrument_names=tuple(meta["instrument_names"]),
        center=stored["center"],
        loadings=stored["loadings"],
        confounded_loadings=stored["confounded_loadings"],
        eigenvalues=stored["eigenvalues"],
        path=tuple(DimensionStep(**step) for step in meta["path"]),
        saturated=meta["saturated"],
        shift_rank=meta["shift_rank"],
        covariance_informative=meta["covariance_informative"],
        means_alone=tuple(meta["means_alone"]),
        n_null=meta["n_null"],
        trained_loadings=stored.get("trained_loadings"),
        learning_error=stored.get("learning_error"),
        leak=leak,
        held_out=tuple(meta["held_out"]),
        settings=meta["settings"],
        feature_names=tuple(meta["feature_names"]),
        ladder=tuple(LadderStep(**step) for step in meta["ladder"]),
    )
