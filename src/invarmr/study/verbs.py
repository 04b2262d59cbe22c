"""The five verbs on an archive: each reads what the one before it wrote, and writes what the next one needs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from invarmr.archive.files import read_json, write_json, write_table, write_text
from invarmr.data.cohort import Cohort
from invarmr.data.latent_instruments import LatentInstruments, Verdict
from invarmr.data.moments import merge_moments
from invarmr.diagnostics.battery import diagnose
from invarmr.diagnostics.sensitivity import dependence_sensitivity
from invarmr.estimators.estimate import Estimate
from invarmr.io.plink import genotype_files
from invarmr.provenance import fingerprint
from invarmr.report.html import report_page
from invarmr.study.archive import Archive
from invarmr.study.config import StudyConfig
from invarmr.study.cross_fitting import cross_fit_study
from invarmr.study.estimates import all_estimates, headline_design
from invarmr.study.family_checks import with_families
from invarmr.study.learning import learn_study, learner_of
from invarmr.study.progress import Progress
from invarmr.study.read import read_study
from invarmr.study.stratification import stratify_archive
from invarmr.study.tables import (
    balance_table,
    component_table,
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
    "inputs_of",
    "learn_archive",
    "read_archive",
    "report_archive",
]


def read_archive(config: StudyConfig, archive: Archive, progress: Progress) -> None:
    """READ: files to cohort, moments per fold and environment, principal components."""
    if config.learn.compares_environments:
        learner_of(config.learn)  # what is wrong with its options is told before anything is read
    inputs = [fingerprint(path) for path in inputs_of(config) if path.is_file()]  # others are refused as they are read
    study = read_study(config, progress)
    archive.begin("read")
    archive.save_study(study, config, inputs, progress)
    if archive.families is not None:
        archive.put_table("mendelian_errors.tsv", archive.families.variants)
        if config.output.people:
            write_table(archive.folder / "pedigree.tsv", archive.families.fault_table())
    if study.cohort.components.shape[1]:
        archive.put_table("components.tsv", component_table(study.cohort))
    if config.truth is not None:
        truth = read_json(config.truth.path)
        kept = {"effect": truth["effect"]} if archive.disclosure.masks else truth
        write_json(archive.folder / "truth.json", kept)


def inputs_of(config: StudyConfig) -> list[Path]:
    """Every file that a study reads."""
    paths: list[Path | str | None] = [*config.phenotypes.files]
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
    latent = learn_study(archive.config, archive.cohort, archive.moments, archive.fold)
    archive.begin("learn")
    if latent is not None:
        archive.put_table("eigenvalues.tsv", eigenvalue_table(latent))
        if not latent.feature_names:
            archive.put_table("loadings.tsv", loading_table(latent, _effect_alleles(archive)))
        if archive.config.output.people:
            write_instruments(archive.folder / "instruments.parquet", archive.cohort.represented(latent), latent)
    archive.save_latent(latent)
    return latent


def _effect_alleles(archive: Archive) -> list[str]:
    variants = archive.study.variants
    return [] if variants is None else list(variants.effect_alleles)


def estimate_archive(archive: Archive, progress: Progress | None = None) -> list[Estimate]:
    """ESTIMATE: every estimator on every instrument set."""
    settings, seed, latent = archive.config.estimate, archive.config.run.seed, archive.latent
    cross_fitted = None
    if settings.cross_fitting and latent is not None and latent.n_latent:
        cross_fitted = cross_fit_study(
            archive.cohort, learner_of(archive.config.learn), settings, seed=seed, progress=progress or Progress()
        )
    estimates, headline = all_estimates(
        archive.cohort, archive.pooled, latent, settings, seed=seed, cross_fitted=cross_fitted
    )
    families = archive.family_estimates
    if families is not None:
        estimates, headline = families.joined(estimates, headline, archive.config.learn.method)
    archive.begin("estimate")
    archive.put_table("estimates.tsv", estimate_table(estimates, headline, archive.cohort, seed))
    if families is not None:
        archive.put_table("families.tsv", families.table())
    if cross_fitted is not None and cross_fitted.table is not None:
        archive.put_table("cross_fitting.tsv", cross_fitted.table)
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
    battery = stratify_archive(archive, design, estimator, estimate, found.environments)
    found = with_families(archive, replace(found, checks=found.checks + battery.checks))
    archive.begin("diagnose")
    for name, table in battery.tables().items():
        archive.put_table(name, table)
    archive.put_table("diagnostics.tsv", diagnostics_table(found))
    archive.put_table("environments.tsv", environment_table(found.environments))
    archive.put_table("balance.tsv", balance_table(found.balance))
    if latent is not None and latent.n_latent:
        archive.put_table("sensitivity.tsv", sensitivity_table(dependence_sensitivity(design, estimate)))
    archive.put_json("verdict.json", verdict_content(found, latent))
    return found.verdict


def report_archive(archive: Archive) -> None:
    """REPORT: the archive as one page."""
    archive.begin("report")
    write_text(archive.folder / "report.html", report_page(archive.folder))


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
