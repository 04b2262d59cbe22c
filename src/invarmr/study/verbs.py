"""The five verbs on an archive: each reads what the one before it wrote, and writes what the next one needs."""

from __future__ import annotations

import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from invarmr.data.cohort import Cohort
from invarmr.data.latent_instruments import LatentInstruments, Verdict
from invarmr.data.moments import merge_moments
from invarmr.diagnostics.battery import diagnose
from invarmr.diagnostics.sensitivity import dependence_sensitivity
from invarmr.estimators.estimate import Estimate
from invarmr.instruments.automatic import AutomaticInstruments
from invarmr.instruments.base import Learner, assign_folds
from invarmr.instruments.registry import build_learner
from invarmr.instruments.stationary import StationaryInstruments
from invarmr.io.plink import genotype_files
from invarmr.report.html import write_report
from invarmr.study.archive import Archive
from invarmr.study.config import StudyConfig
from invarmr.study.cross_fitting import cross_fit_study
from invarmr.study.estimates import all_estimates, headline_design
from invarmr.study.families import read_families
from invarmr.study.family_checks import with_families
from invarmr.study.family_estimates import family_estimates
from invarmr.study.layout import STRATIFICATION, forget_after, write_json, write_table
from invarmr.study.progress import Progress
from invarmr.study.read import read_study
from invarmr.study.stratification import stratify_archive
from invarmr.study.tables import (
    balance_table,
    components_table,
    diagnostics_table,
    eigenvalue_table,
    environment_table,
    estimate_table,
    loading_table,
    sensitivity_table,
    verdict_content,
    write_instruments,
)

__all__ = [
    "describe",
    "describe_latent",
    "diagnose_archive",
    "estimate_archive",
    "learn_archive",
    "read_archive",
    "report_archive",
]

N_FOLDS = 10


def read_archive(config: StudyConfig, archive: Archive, progress: Progress) -> None:
    """READ: files to cohort, moments per fold and environment, principal components."""
    study = read_study(config, progress)
    families = None if config.families is None else read_families(config, study)
    if families is not None:
        account = replace(study.cohort.account, samples=families.account(study.cohort.account.samples))
        study = replace(study, cohort=replace(study.cohort, account=account))
    cohort = study.cohort
    seed = config.run.seed
    forget_after(archive.folder, "read")
    archive.save_study(study, config, _inputs(config))
    if families is not None:
        families.save(archive.folder)
    fold = assign_folds(cohort.environment, n_folds=N_FOLDS, seed=seed, sample_ids=cohort.sample_ids)
    archive.save_moments(cohort.folded_moments(fold, track=partial(progress.track, doing="moments")), fold)
    if cohort.components.shape[1]:
        write_table(archive.folder / "components.tsv", components_table(cohort, seed=seed))
    if config.truth is not None:
        shutil.copyfile(config.truth.path, archive.folder / "truth.json")


def _inputs(config: StudyConfig) -> list[Path]:
    paths: list[Path | str | None] = [config.phenotypes.path]
    if config.genotypes is not None:
        paths += genotype_files(config.genotypes.path)
        paths += [config.components.variants] if config.components.count else []
    paths.append(config.instruments.variants)
    if config.families is not None:
        paths += [config.families.pedigree, config.families.kin0, config.families.parents]
    if config.truth is not None:
        paths += [config.truth.path, config.truth.samples]
    return list(dict.fromkeys(path for path in paths if isinstance(path, Path)))


def learn_archive(archive: Archive) -> LatentInstruments | None:
    """LEARN: moments to latent instruments."""
    latent = _learn(archive)
    forget_after(archive.folder, "learn")
    if latent is not None:
        write_table(archive.folder / "eigenvalues.tsv", eigenvalue_table(latent))
        if not latent.feature_names:
            write_table(archive.folder / "loadings.tsv", loading_table(latent, _effect_alleles(archive)))
        write_instruments(archive.folder / "instruments.parquet", archive.cohort.represented(latent), latent)
    archive.save_latent(latent)
    return latent


def _shared(archive: Archive) -> dict[str, Any]:
    """Settings that every learner has."""
    settings = archive.config.learn
    held_out = min(max(round(settings.held_out * N_FOLDS), 2), N_FOLDS - 2)
    return {"n_latent": settings.n_latent, "n_folds": N_FOLDS, "n_held_out": held_out}


def _learner(archive: Archive) -> Learner:
    return build_learner(archive.config.learn.method, **(_shared(archive) | archive.config.learn.options))


def _learn(archive: Archive) -> LatentInstruments | None:
    seed = archive.config.run.seed
    if not archive.config.learn.compares_environments:
        return None
    learner = _learner(archive)
    linear = isinstance(learner, AutomaticInstruments) and learner.ladder[:1] == (StationaryInstruments.name,)
    if not linear and not isinstance(learner, StationaryInstruments):
        return learner.fit(archive.cohort, seed=seed)
    # linear learning needs no second look at the people: the moments of their folds are at hand
    within = archive.cohort.instrument_kind == "genotype"
    stationary = learner if isinstance(learner, StationaryInstruments) else StationaryInstruments(**_shared(archive))
    latent = replace(stationary, scale_within_environment=within).fit(archive.moments, seed=seed)
    latent = latent.with_people(source=archive.cohort.instruments, fold=archive.fold)
    return learner.climb(archive.cohort, latent, seed=seed) if isinstance(learner, AutomaticInstruments) else latent


def _effect_alleles(archive: Archive) -> list[str]:
    with np.load(archive.folder / "state" / "instruments.npz") as stored:
        return list(stored["effect_alleles"].tolist()) if "effect_alleles" in stored else []


def estimate_archive(archive: Archive, progress: Progress | None = None) -> list[Estimate]:
    """ESTIMATE: every estimator on every instrument set; nothing is written before all of them are done."""
    settings, seed, latent = archive.config.estimate, archive.config.run.seed, archive.latent
    cross_fitted = None
    if settings.cross_fitting and latent is not None and latent.n_latent:
        cross_fitted = cross_fit_study(
            archive.cohort, _learner(archive), settings, seed=seed, progress=progress or Progress()
        )
    estimates, headline = all_estimates(
        archive.cohort, archive.pooled, latent, settings, seed=seed, cross_fitted=cross_fitted
    )
    families = family_estimates(archive, latent)
    if families is not None:
        estimates, headline = families.joined(estimates, headline, archive.config.learn.method)
    table = estimate_table(estimates, headline, archive.cohort, seed)
    forget_after(archive.folder, "estimate")
    write_table(archive.folder / "estimates.tsv", table)
    if families is not None:
        write_table(archive.folder / "families.tsv", families.table())
    if cross_fitted is not None and cross_fitted.table is not None:
        write_table(archive.folder / "cross_fitting.tsv", cross_fitted.table)
    else:
        (archive.folder / "cross_fitting.tsv").unlink(missing_ok=True)
    return estimates


def diagnose_archive(archive: Archive) -> Verdict:
    """DIAGNOSE: the assumptions of the headline, and the verdict."""
    cohort, latent = archive.cohort, archive.latent
    design, estimator = headline_design(cohort, archive.pooled, latent, archive.config.estimate)
    held_out = None
    if latent is not None and latent.held_out:
        held_out = merge_moments([archive.moments[k] for k in latent.held_out])
    estimate = estimator.fit(design)
    found = diagnose(
        design,
        estimate,
        seed=archive.config.run.seed,
        held_out_moments=held_out,
        latent=latent,
    )
    battery = stratify_archive(archive, design, estimate, found.environments)
    found = with_families(archive, replace(found, checks=found.checks + battery.checks))
    tables = battery.tables()
    forget_after(archive.folder, "diagnose")
    for name in STRATIFICATION:
        if name in tables:
            write_table(archive.folder / name, tables[name])
        else:
            (archive.folder / name).unlink(missing_ok=True)
    write_table(archive.folder / "diagnostics.tsv", diagnostics_table(found))
    write_table(archive.folder / "environments.tsv", environment_table(found.environments))
    write_table(archive.folder / "balance.tsv", balance_table(found.balance))
    if latent is not None and latent.n_latent:
        curve = sensitivity_table(dependence_sensitivity(design, estimate))
        write_table(archive.folder / "sensitivity.tsv", curve)
    else:
        (archive.folder / "sensitivity.tsv").unlink(missing_ok=True)
    write_json(archive.folder / "verdict.json", verdict_content(found, latent))
    return found.verdict


def report_archive(archive: Archive) -> Path:
    """REPORT: the archive as one page."""
    return write_report(archive.folder)


def describe(cohort: Cohort) -> str:
    """One line on a cohort."""
    environments, instruments = len(cohort.environments), cohort.n_instruments
    return (
        f"{cohort.n_samples:,} people in {environments} environment{'s' * (environments != 1)}, {instruments} "
        f"instrument{'s' * (instruments != 1)}"
    )


def describe_latent(latent: LatentInstruments | None) -> str:
    """One line on what was learned."""
    if latent is None:
        return "nothing, as the study file asks: the observed instruments are used as they are"
    aside = latent.n_confounded
    left = [step.learner for step in latent.ladder if not step.passed]
    found = f"{latent.n_latent} latent instrument{'s' * (latent.n_latent != 1)}"
    rest = f"{aside} direction{'s' * (aside != 1)} set aside"
    return f"{found}, {rest}, by {latent.learner}" + (f" (rejected: {', '.join(left)})" if left else "")
