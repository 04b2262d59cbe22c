"""The Methods paragraph for a paper, filled with the study's numbers; its references; and a short glossary."""

from __future__ import annotations

from collections.abc import Mapping

from invarmr.archive.disclosure import Disclosure
from invarmr.report.archive import Archive, EstimateRow
from invarmr.report.numbers import show_effect, show_many, show_number, show_p, show_share
from invarmr.report.wording import METHOD_NAMES, SET_PHRASES

__all__ = ["GLOSSARY", "methods_text", "references"]

REFERENCES: Mapping[str, str] = {
    "Anderson and Rubin 1949": "Anderson TW, Rubin H (1949). Estimation of the parameters of a single equation in a "
    "complete system of stochastic equations. Annals of Mathematical Statistics 20, 46–63.",
    "Auton et al. 2015": "Auton A, et al., The 1000 Genomes Project Consortium (2015). A global reference for human "
    "genetic variation. Nature 526, 68–74.",
    "Bekker 1994": "Bekker PA (1994). Alternative approximations to the distributions of instrumental variable "
    "estimators. Econometrica 62, 657–681.",
    "von Bünau et al. 2009": "von Bünau P, Meinecke FC, Király FC, Müller K-R (2009). Finding stationary subspaces in "
    "multivariate time series. Physical Review Letters 103, 214101.",
    "Hansen et al. 2008": "Hansen C, Hausman J, Newey W (2008). Estimation with many instrumental variables. Journal "
    "of Business & Economic Statistics 26, 398–422.",
    "Hara et al. 2012": "Hara S, Kawahara Y, Washio T, von Bünau P, Tokunaga T, Yumoto K (2012). Separation of "
    "stationary and non-stationary sources with a generalized eigenvalue problem. Neural Networks 33, 7–20.",
    "Huang et al. 2026": "Huang, Robinson, Locatello (2026). Addressing instrument-outcome confounding in Mendelian "
    "randomization through representation learning. arXiv 2602.19782.",
}

GLOSSARY: Mapping[str, str] = {
    "variance x, for learning": "The factor by which the variance of the estimate was multiplied because the "
    "instruments were learned from the same people. It can be below 1: learning balances the instruments on ancestry "
    "in this sample, as adjusting for it would. It holds to first order, less well in small samples.",
    "Confounder": "Something not measured that acts on both exposure and outcome, such as ancestry or place.",
    "Environment": "A label that splits people into groups whose confounding differs: a site, an ancestry, a cohort.",
    "Exposure, outcome": "What may be the cause, and what may be its consequence.",
    "Instrument": "A genetic variant or score that moves the exposure and should touch the outcome in no other way.",
    "Latent instrument": "A combination of instruments whose distribution is the same in every environment.",
    "Confounded part": "The combinations that differ between environments; they are set aside.",
    "Invariance": "Having the same distribution in every environment.",
    "First-stage F": "How much the instruments say about the exposure, per instrument; below 10 they are weak.",
    "Confidence interval": "Values of the effect that the data do not reject at the stated level.",
    "Verdict": "Whether the effect may be read as an effect: identified, weak, not identified or rejected.",
}


LEARNERS: Mapping[str, str] = {
    "polynomial": ", after undoing a polynomial mixture{degree} by degree filtration,",
    "flow": ", after undoing a smooth mixture by a normalising flow fitted by maximum likelihood,",
    "autoencoder": ", from the code of an autoencoder with losses for invariance, independence and entropy,",
}
"""What the learners for mixtures that are not linear do before the closed form."""


def methods_text(archive: Archive, *, counts: Disclosure) -> list[str]:
    """Paragraphs that a paper could take over.

    Parameters
    ----------
    archive
        The run.
    counts
        How counts of people are shown.
    """
    paragraphs = [_data(archive, counts), _learning(archive), _estimation(archive), _result(archive)]
    return [text for text in paragraphs if text]


def references(archive: Archive) -> list[str]:
    """The works cited by `methods_text`, in the order of their authors."""
    text = " ".join(methods_text(archive, counts=Disclosure()))
    return [full for key, full in REFERENCES.items() if _citation(key) in text]


def _citation(key: str) -> str:
    return key.replace(" 1", ", 1").replace(" 2", ", 2")


def _cite(*keys: str) -> str:
    return "(" + "; ".join(_citation(key) for key in keys) + ")"


def _data(archive: Archive, counts: Disclosure) -> str:
    headline, label = archive.headline, archive.setting("phenotypes", "environment")
    people = counts.show(headline.n_samples)
    text = f"We estimated the effect of {headline.exposure} on {headline.outcome} in {people} people"
    if archive.n_environments and label:
        text += f" from {archive.n_environments} environments ({label})"
    text += "."
    covariates = archive.setting("phenotypes", "covariates", [])
    if covariates:
        text += f" Covariates were {_listed(covariates)}."
    if _on_reference_genotypes(archive):
        text += (
            " The study is simulated: people were admixed from real genotypes of the 1000 Genomes Project "
            f"{_cite('Auton et al. 2015')}, and exposure and outcome were drawn with a known effect."
        )
    elif archive.truth is not None:
        text += " The study is simulated with a known effect."
    return text


def _on_reference_genotypes(archive: Archive) -> bool:
    return bool(archive.truth and archive.truth.get("simulator") == "admixture")


def _learning(archive: Archive) -> str:
    verdict, method = archive.verdict, archive.setting("learn", "method", "none")
    if method == "none":
        return ""
    learner = verdict.learner or method
    text = (
        "Latent instruments, the combinations of instruments that are distributed alike in every environment, were "
        f"learned {_cite('Huang et al. 2026')}"
    )
    if verdict.degree != 1:
        text += LEARNERS.get(learner, "").format(degree=f" of degree {verdict.degree}" if verdict.degree else "")
    text += (
        " in closed form by a generalised eigenvalue problem on the means and covariances of the environments "
        f"{_cite('Hara et al. 2012', 'von Bünau et al. 2009')}"
    )
    held_out = archive.setting("learn", "held_out")
    people = f"on {show_share(held_out)} of the people, held out," if held_out else "on held-out people"
    text += (
        f". Their number was chosen {people} as the largest for which equality of means and covariances between "
        "environments and independence of the part set aside were not rejected: "
    )
    if verdict.n_latent == 0:
        return text + "every number was rejected, so no latent instruments were used."
    rest = "" if verdict.n_confounded is None else f"; {show_many(verdict.n_confounded, 'direction')} set aside"
    return text + f"{show_many(verdict.n_latent, 'latent instrument')} kept{rest}."


def _estimation(archive: Archive) -> str:
    headline = archive.headline
    text = f"The effect was estimated by {METHOD_NAMES.get(headline.method, headline.method)}"
    if headline.method in ("LIML", "Fuller"):
        text += f" {_cite('Anderson and Rubin 1949')}"
    if headline.instruments != "none":
        text += f" with {SET_PHRASES.get(headline.instruments, headline.instruments)}"
    errors = archive.setting("estimate", "std_errors")
    if errors == "many-instrument" and headline.instruments != "none":
        text += " and standard errors that stay right with many instruments "
        text += _cite("Bekker 1994", "Hansen et al. 2008")
        if "for learning" in headline.note:
            text += ", multiplied to first order for the error with which the instruments were learned"
    elif errors:
        text += f" and {errors} standard errors"
    return text + f". Intervals are at the level {show_share(headline.level)}."


def _result(archive: Archive) -> str:
    headline = archive.headline
    if not archive.verdict.interpretable:
        return (
            f"The verdict was “{archive.verdict.status}”: the estimate is not interpretable as an effect and is not "
            "reported as one."
        )
    return f"The estimate was {_numbers(headline)}; the verdict on identification was “{archive.verdict.status}”."


def _numbers(row: EstimateRow) -> str:
    estimate, lower, upper = show_effect(row.estimate, row.ci_lower, row.ci_upper, row.std_error)
    interval = f"{show_share(row.level)} confidence interval {lower} to {upper}"
    text = f"{estimate} (standard error {show_number(row.std_error)}, {interval}"
    p = show_p(row.p_value)
    text += f", p {p if p.startswith('<') else '= ' + p}"
    if row.first_stage_f is not None:
        text += f", first-stage F {show_number(row.first_stage_f)}"
    return text + ")"


def _listed(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]
