"""The report's plain words: what each set of instruments assumes, what a verdict means, what could be wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from invarmr.report.archive import Archive
from invarmr.report.numbers import show_number

__all__ = [
    "ASSUMPTIONS", "METHOD_NAMES", "SET_NAMES", "SET_PHRASES", "STATUS_WORDS", "Assumption", "StatusWords", "doubts",
]  # fmt: skip


@dataclass(frozen=True)
class Assumption:
    """What the estimates of one instrument set need, and when that fails."""

    needs: str
    fails: str


@dataclass(frozen=True)
class StatusWords:
    """How a verdict is printed: the badge, a sign that survives without colour, and one sentence."""

    badge: str
    sign: str
    meaning: str


SET_NAMES: Mapping[str, str] = {
    "none": "No instruments",
    "observed": "Observed",
    "observed+environment": "Observed, within environments",
    "observed+pcs": "Observed, given components",
    "allele_score": "Allele score",
    "learned": "Learned",
    "learned+environment": "Learned, within environments",
    "mendelian": "Mendelian (families)",
    "learned+mendelian": "Learned and Mendelian, combined",
    "learned (families)": "Learned, people in families",
    "observed (families)": "Observed, people in families",
    "observed+pcs (families)": "Observed, given components, people in families",
    "oracle": "Oracle (simulated truth)",
}

SET_PHRASES: Mapping[str, str] = {
    "none": "no instruments",
    "observed": "the observed instruments",
    "observed+environment": "the observed instruments within environments",
    "observed+pcs": "the observed instruments given principal components",
    "allele_score": "the allele score",
    "learned": "the learned instruments",
    "learned+environment": "the learned instruments within environments",
    "mendelian": "what children inherited at random",
    "learned+mendelian": "the learned instruments and what children inherited, combined",
    "oracle": "the simulated truth",
}

METHOD_NAMES: Mapping[str, str] = {
    "OLS": "ordinary least squares",
    "2SLS": "two-stage least squares",
    "LIML": "limited-information maximum likelihood",
    "PO(V)-LIML": "limited-information maximum likelihood, the directions set aside partialled out",
    "bootstrap LIML": "limited-information maximum likelihood, with an interval from learning again in each replicate",
    "cross-fitted LIML": "limited-information maximum likelihood, instruments learned from other people",
    "Fuller": "Fuller's modified limited-information maximum likelihood",
}

ASSUMPTIONS: Mapping[str, Assumption] = {
    "none": Assumption(
        "No unmeasured confounding at all: whatever acts on both exposure and outcome is among the covariates, and "
        "the outcome does not act on the exposure.",
        "Any common cause was not measured, or measured with error.",
    ),
    "observed": Assumption(
        "The instruments are unrelated to every other cause of the outcome, ancestry and place included.",
        "Allele frequencies follow ancestry, place or mating, and so does the outcome.",
    ),
    "observed+environment": Assumption(
        "Within each environment the instruments are unrelated to every other cause of the outcome.",
        "Ancestry or place still varies within environments.",
    ),
    "observed+pcs": Assumption(
        "The principal components capture all population structure that matters for exposure and outcome.",
        "Structure is finer than the components see (recent, local, familial), or the variants for them are too few.",
    ),
    "allele_score": Assumption(
        "As for the observed instruments, taken for their weighted sum; the weights come from other people.",
        "As for the observed instruments; or the weights were chosen in the same people.",
    ),
    "learned": Assumption(
        "Every confounded combination of the instruments is distributed differently in some environments, so that "
        "what looks the same everywhere is unrelated to the confounders.",
        "Some confounding is spread alike in all environments, or there are too few environments to show it.",
    ),
    "learned+environment": Assumption(
        "As for the learned instruments; a shift between environments that the learner missed does no harm, because "
        "only differences within environments are used.",
        "Some confounding is spread alike in all environments and acts within them.",
    ),
    "mendelian": Assumption(
        "Given the parents, or the siblings, what a child inherits is random; parents are who the pedigree says.",
        "Siblings act on each other (sibships alone), or taking part depends on what was inherited.",
    ),
    "learned+mendelian": Assumption(
        "Learned and Mendelian instruments are both valid; families did not object, as far as their power went.",
        "A bias of the learned instruments too small for the families at hand to show.",
    ),
    "learned (families)": Assumption("As for the learned instruments.", "As for the learned instruments."),
    "observed (families)": Assumption(
        "As for the observed instruments within environments.", "As for the observed instruments within environments."
    ),
    "observed+pcs (families)": Assumption(
        "As for the observed instruments given components.", "As for the observed instruments given components."
    ),
    "oracle": Assumption(
        "Uses the simulated truth. It cannot be had in practice; it shows what the best analysis could reach.",
        "Never in this simulation; it exists in no real study.",
    ),
}

STATUS_WORDS: Mapping[str, StatusWords] = {
    "identified": StatusWords(
        "Identified", "✓", "The tests that enter the verdict were made, and none of them spoke against this effect."
    ),
    "weak": StatusWords(
        "Weak", "△", "Nothing speaks against the instruments, but they say too little about the exposure to be exact."
    ),
    "not identified": StatusWords(
        "Not identified",
        "?",
        "These environments cannot tell confounded from valid instruments, so the number computed may be far off.",
    ),
    "rejected": StatusWords(
        "Rejected",
        "✕",
        "The data contradict an assumption that the number computed needs; do not read it as an effect.",
    ),
}

PLEIOTROPY = (
    "Variants that act on {outcome} by another way than through {exposure} (pleiotropy). Disagreement between "
    "instruments can show it, agreement does not exclude it."
)
SELECTION = (
    "Who takes part depends on both {exposure} and {outcome}, or the outcome acts back on the exposure: no choice of "
    "instruments among these people mends that."
)


def doubts(archive: Archive) -> list[str]:
    """Sentences on what would make the headline wrong, the most specific first.

    Parameters
    ----------
    archive
        The run.
    """
    headline = archive.headline
    names = {"exposure": headline.exposure, "outcome": headline.outcome}
    own = _learned_doubts(archive) if headline.instruments.startswith("learned") else [_set_doubt(archive)]
    found = [*own, *_strength(archive)]
    if headline.instruments != "none":
        found.append(PLEIOTROPY.format(**names))
    return [*found, SELECTION.format(**names)]


def _set_doubt(archive: Archive) -> str:
    known = ASSUMPTIONS.get(archive.headline.instruments)
    return known.fails if known else "The instruments are related to other causes of the outcome."


def _learned_doubts(archive: Archive) -> list[str]:
    return [
        "Confounding that looks the same in every environment. Only what differs between environments was set aside; "
        "what is spread alike in all of them cannot be seen. " + _what_environments_show(archive)
    ]


def _what_environments_show(archive: Archive) -> str:
    verdict = archive.verdict
    if verdict.covariance_informative and not verdict.saturated:
        return (
            "Here some directions differ in spread and not in their means alone, which shows more of them than means "
            "could."
        )
    if verdict.saturated:
        return (
            "Here directions that differ in their means alone are as many as so many environments can show: a further "
            "environment could reveal more."
        )
    if verdict.shift_rank is not None:
        directions = "one direction" if verdict.shift_rank == 1 else f"{verdict.shift_rank} directions"
        return f"Here the means differ in {directions}, fewer than so many environments could show."
    return ""


def _strength(archive: Archive) -> list[str]:
    f = archive.headline.first_stage_f
    if f is None:
        return []
    if f < 10:
        return [
            f"Weak instruments: the first-stage F is {show_number(f)}, below 10, where intervals can be too short and "
            "2SLS leans toward the confounded answer."
        ]
    return []
