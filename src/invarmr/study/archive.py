"""An archive: the folder of one study, and the objects that its files hold, loaded when they are asked for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from invarmr import __version__
from invarmr.arrays import FloatArray, IntArray
from invarmr.data.cohort import Cohort
from invarmr.data.latent_instruments import DimensionStep, LadderStep, LatentInstruments, Leak
from invarmr.data.moments import EnvironmentMoments, merge_moments
from invarmr.data.representation import RepresentedInstruments
from invarmr.diagnostics.negative_controls import ControlTrait, Role
from invarmr.errors import InputError
from invarmr.io.plink import open_genotypes
from invarmr.provenance import check_fingerprint, describe_run, fingerprint
from invarmr.study.config import StudyConfig
from invarmr.study.layout import require, write_arrays, write_json, write_table
from invarmr.study.phenotypes import columns_of
from invarmr.study.read import ReadStudy, open_instruments
from invarmr.study.variants import VARIANT_COLUMNS, SettledVariants

__all__ = ["Archive"]


class Archive:
    """What a study left on disk, as objects.

    Parameters
    ----------
    folder
        The archive.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @cached_property
    def provenance(self) -> dict[str, Any]:
        """Content of `provenance.json`."""
        return dict(json.loads(require(self.folder, "provenance.json", "read").read_text(encoding="utf-8")))

    @cached_property
    def config(self) -> StudyConfig:
        """The study's settings, as they were resolved when it was read."""
        return StudyConfig.model_validate(self.provenance["settings"])

    @cached_property
    def cohort(self) -> Cohort:
        """The cohort, its instruments read from the genotype file again.

        Raises
        ------
        InputError
            Not read yet, or an input changed since.
        """
        frame = pl.read_parquet(require(self.folder, "state/cohort.parquet", "read"))
        for recorded in self.provenance["inputs"]:
            check_fingerprint(recorded)
            _check_content(recorded, since=self.provenance["started"])
        with np.load(require(self.folder, "state/instruments.npz", "read")) as stored:
            return _cohort(self.config, frame, dict(stored))

    @cached_property
    def negative_controls(self) -> tuple[ControlTrait, ...]:
        """Negative controls of the people; none where the study names none."""
        frame = pl.read_parquet(require(self.folder, "state/cohort.parquet", "read"))
        asked = self.config.negative_controls
        roles: tuple[tuple[Role, tuple[str, ...]], ...] = (("outcome", asked.outcomes), ("exposure", asked.exposures))
        return tuple(
            ControlTrait(name, role, frame[f"negative_control:{role}:{name}"].to_numpy())
            for role, names in roles
            for name in names
        )

    @cached_property
    def moments(self) -> tuple[EnvironmentMoments, ...]:
        """Moments of each fold."""
        with np.load(require(self.folder, "state/moments.npz", "read")) as stored:
            columns, environments = tuple(stored["columns"].tolist()), tuple(stored["environments"].tolist())
            parts = zip(stored["n_samples"], stored["mean"], stored["crossproduct"], strict=True)
            return tuple(EnvironmentMoments(columns, environments, *part) for part in parts)

    @cached_property
    def fold(self) -> IntArray:
        """Fold of each sample."""
        with np.load(require(self.folder, "state/moments.npz", "read")) as stored:
            return np.asarray(stored["fold"])

    @cached_property
    def pooled(self) -> EnvironmentMoments:
        """Moments of all samples."""
        return merge_moments(self.moments)

    @cached_property
    def latent(self) -> LatentInstruments | None:
        """The learned instruments; None where the study asked for none."""
        meta = json.loads(require(self.folder, "state/latent.json", "learn").read_text(encoding="utf-8"))
        if meta is None:
            return None
        with np.load(require(self.folder, "state/latent.npz", "learn")) as stored:
            arrays = dict(stored)
            latent = _latent(meta, arrays)
        source = RepresentedInstruments(arrays["features"]) if "features" in arrays else self.cohort.instruments
        return latent.with_people(source=source, fold=self.fold)

    def save_study(self, study: ReadStudy, config: StudyConfig, inputs: list[Path]) -> None:
        """Write what `read` leaves."""
        cohort = study.cohort
        write_table(self.folder / "samples.tsv", cohort.account.samples)
        write_table(self.folder / "variants.tsv", _variants_table(cohort.account.variants))
        settings = json.loads(config.to_json())
        about = describe_run(settings=settings, seed=config.run.seed, inputs=inputs, version=__version__)
        write_json(self.folder / "provenance.json", about)
        (self.folder / "state").mkdir(exist_ok=True)
        _frame(study).write_parquet(self.folder / "state" / "cohort.parquet")
        write_arrays(self.folder / "state" / "instruments.npz", _instrument_arrays(study))
        self.provenance, self.config, self.cohort = about, config, cohort

    def save_moments(self, moments: tuple[EnvironmentMoments, ...], fold: IntArray) -> None:
        """Write the moments of each fold."""
        arrays = {
            "columns": np.array(moments[0].columns, dtype=np.str_),
            "environments": np.array(moments[0].environments, dtype=np.str_),
            "n_samples": np.stack([part.n_samples for part in moments]),
            "mean": np.stack([part.mean for part in moments]),
            "crossproduct": np.stack([part.crossproduct for part in moments]),
            "fold": fold,
        }
        write_arrays(self.folder / "state" / "moments.npz", arrays)
        self.moments, self.fold = moments, fold

    def save_latent(self, latent: LatentInstruments | None) -> None:
        """Write the learned instruments."""
        meta = None if latent is None else _latent_meta(latent)
        if latent is not None:
            write_arrays(self.folder / "state" / "latent.npz", _latent_arrays(latent))
        write_json(self.folder / "state" / "latent.json", meta)  # type: ignore[arg-type]  # null is valid JSON
        self.latent = latent

    def add_seconds(self, seconds: Mapping[str, float]) -> None:
        """Record how long verbs took."""
        self.provenance["seconds"].update(seconds)
        write_json(self.folder / "provenance.json", self.provenance)


def _check_content(recorded: Mapping[str, Any], *, since: str) -> None:
    """Make sure that an input of the same size, but written after the study was read, is the same byte by byte."""
    path = Path(recorded["path"])
    later = path.stat().st_mtime >= datetime.fromisoformat(since).timestamp()
    if later and fingerprint(path)["sha256"] != recorded["sha256"]:
        raise InputError(f"{path} was changed after the study was read. Put it back, or read again.")


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


def _cohort(config: StudyConfig, frame: pl.DataFrame, stored: Mapping[str, Any]) -> Cohort:
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
    return Cohort(
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


_LATENT_ARRAYS = ("center", "loadings", "confounded_loadings", "eigenvalues", "trained_loadings", "learning_error")


def _latent_arrays(latent: LatentInstruments) -> dict[str, Any]:
    out = {name: value for name in _LATENT_ARRAYS if (value := getattr(latent, name)) is not None}
    if latent.feature_names and latent.source is not None:
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
