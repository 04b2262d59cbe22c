"""Mendelian randomization when the genetic instruments are themselves confounded with the outcome.

Five verbs: read a cohort, learn latent instruments, estimate the effect, diagnose the assumptions, report.

>>> import invarmr
>>> sorted(invarmr.__all__)[:2]
['AdmixtureDesign', 'AlleleScore']
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_HOME = {
    "Cohort": "data.cohort",
    "EnvironmentMoments": "data.moments",
    "merge_moments": "data.moments",
    "EnvironmentSummary": "data.moments_from_summary",
    "moments_from_summary": "data.moments_from_summary",
    "LatentInstruments": "data.latent_instruments",
    "Verdict": "data.latent_instruments",
    "Pedigree": "data.pedigree",
    "IVDesign": "data.design",
    "SeveralExposures": "data.several_exposures",
    "read_cohort": "study.read",
    "StationaryInstruments": "instruments.stationary",
    "AutomaticInstruments": "instruments.automatic",
    "MendelianInstruments": "instruments.mendelian",
    "PolynomialInstruments": "instruments.polynomial",
    "FlowInstruments": "instruments.flow",
    "AutoencoderInstruments": "instruments.autoencoder",
    "AlleleScore": "instruments.allele_score",
    "OrdinaryLeastSquares": "estimators.kclass",
    "TwoStageLeastSquares": "estimators.kclass",
    "LimitedInformationML": "estimators.kclass",
    "Fuller": "estimators.kclass",
    "SeveralExposuresKClass": "estimators.several_exposures",
    "TwoStageResidualInclusion": "estimators.residual_inclusion",
    "Estimate": "estimators.estimate",
    "ConfidenceSet": "inference.confidence_set",
    "anderson_rubin_set": "inference.anderson_rubin",
    "conditional_likelihood_ratio_set": "inference.likelihood_ratio",
    "bootstrap_effect": "inference.bootstrap",
    "BootstrapInterval": "inference.bootstrap",
    "cross_fit": "estimators.cross_fitting",
    "CrossFitted": "estimators.cross_fitting",
    "diagnose": "diagnostics.battery",
    "Diagnostics": "diagnostics.battery",
    "dependence_sensitivity": "diagnostics.sensitivity",
    "DependenceSensitivity": "diagnostics.sensitivity",
    "read_summary_statistics": "io.summary_statistics",
    "harmonise": "genetics.harmonise",
    "associate": "genetics.association",
    "open_genotypes": "io.plink",
    "clump": "genetics.clumping",
    "mr": "estimators.summary.table",
    "sensitivity": "diagnostics.summary.battery",
    "AdmixtureDesign": "simulate.admixture",
    "simulate_admixture": "simulate.admixture",
    "FamiliesDesign": "simulate.families",
    "simulate_families": "simulate.families",
    "LatentDesign": "simulate.latent",
    "simulate_latent": "simulate.latent",
    "StudyConfig": "study.config",
    "run_study": "study.run",
    "write_report": "report.html",
    "InputError": "errors",
    "InvarmrWarning": "errors",
}

__all__ = [*_HOME, "__version__"]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - the type of a lazily imported name is its own
    """Import a public name from its room when it is first used (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module 'invarmr' has no attribute {name!r}")
    return getattr(importlib.import_module(f"invarmr.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    """Names of the front door."""
    return sorted(__all__)
