"""The study file: every setting of a run, from TOML, checked before anything is read."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, ValidationError, model_validator

from invarmr.data.latent_instruments import MENDELIAN
from invarmr.errors import InputError, first_few
from invarmr.instruments.registry import LEARNERS
from invarmr.study.families_config import FamiliesConfig
from invarmr.study.output_config import DisclosureConfig, OutputConfig
from invarmr.study.people_settings import PhenotypesConfig
from invarmr.study.presets import PresetName, with_preset
from invarmr.study.sections import ColumnName, Section, Share, StudyPath
from invarmr.study.setting_faults import faults

__all__ = [
    "ComponentsConfig",
    "DisclosureConfig",
    "EstimateConfig",
    "FamiliesConfig",
    "GenotypesConfig",
    "InstrumentsConfig",
    "LearnConfig",
    "NegativeControlsConfig",
    "OutputConfig",
    "PhenotypesConfig",
    "QualityControlConfig",
    "RunConfig",
    "StudyConfig",
    "TruthConfig",
    "check_seed",
    "with_changes",
]


class GenotypesConfig(Section):
    """`[genotypes]`: the file of calls."""

    path: StudyPath
    """.bed or .pgen."""


class InstrumentsConfig(Section):
    """`[instruments]`: variants of the genotype file, allele scores of the phenotype table, or both."""

    variants: Literal["all"] | StudyPath | None = None
    """A table of variants with their effect alleles, or "all"."""
    columns: tuple[ColumnName, ...] = ()
    """Scores already in the phenotype table."""

    @model_validator(mode="after")
    def _something_asked(self) -> Self:
        if self.variants is None and not self.columns:
            raise ValueError('name the instruments: variants = "instruments.tsv" or "all", or columns = [...]')
        repeated = sorted({name for name in self.columns if self.columns.count(name) > 1})
        if repeated:
            raise ValueError(f"columns names {first_few(repeated)} more than once")
        return self


class QualityControlConfig(Section):
    """`[quality_control]`: bounds that a variant must hold."""

    min_call_rate: Share = 0.95
    """In every environment; 0 switches off."""
    min_allele_frequency: Annotated[float, Field(ge=0, le=0.5)] = 0.01
    """Pooled minor allele frequency; 0 switches off."""
    min_hardy_weinberg_p: Share = 1e-6
    """For too many heterozygotes, in every environment; 0 switches off."""


class ComponentsConfig(Section):
    """`[components]`: principal components of ancestry, computed or given."""

    count: Annotated[int, Field(ge=0)] = 10
    """How many to compute; 0 for none."""
    columns: tuple[ColumnName, ...] = ()
    """Components already in the phenotype table; none are computed then."""
    variants: Literal["all"] | StudyPath = "all"
    """Which variants to compute them from: "all", or a table of variants."""
    max_variants: Annotated[int, Field(ge=1)] = 2000


def _known_learner(name: str) -> str:
    if name not in (*LEARNERS, "none"):
        raise ValueError(f"must be one of {', '.join(LEARNERS)} or none, but is {json.dumps(name)}")
    return name


_NEURAL = ("autoencoder", "flow")


class LearnConfig(Section):
    """`[learn]`: how latent instruments are found."""

    method: Annotated[str, AfterValidator(_known_learner)] = "auto"
    """A learner by name, or "none"."""
    n_latent: Annotated[int, Field(ge=1)] | None = None
    """Chosen from the data where not given."""
    held_out: Annotated[float, Field(gt=0, lt=1)] = 0.3
    """Share of the samples that test what the others learned, rounded to tenths."""
    options: dict[str, Any] = {}  # noqa: RUF012 - pydantic copies a default
    """Further settings of the learner, by the names they have in Python."""

    @property
    def compares_environments(self) -> bool:
        """Whether anything is learned from differences between environments."""
        return self.method not in ("none", MENDELIAN)


class EstimateConfig(Section):
    """`[estimate]`: how intervals are made."""

    level: Annotated[float, Field(gt=0, lt=1)] = 0.95
    std_errors: Literal["many-instrument", "homoskedastic", "robust", "clustered"] = "many-instrument"
    bootstrap: Annotated[int, Field(ge=0)] = 0
    """Replicates of a bootstrap that learns the instruments again, 20 or more (200, say): one more row; 0 for none."""
    cross_fitting: Annotated[int, Field(ge=0)] = 0
    """Parts of the people, 2 or more, for each of which the instruments are learned from all others: one more row, and
    a table; the learning takes that many times longer. 0 for none."""

    @model_validator(mode="after")
    def _enough_replicates(self) -> Self:
        if 0 < self.bootstrap < 20:
            raise ValueError(f"bootstrap must be 0, or 20 replicates or more (200, say), but is {self.bootstrap}")
        if self.cross_fitting == 1:
            raise ValueError(
                "cross_fitting must be 0, or 2 parts or more, so that somebody is left to learn from, but is 1"
            )
        return self


class NegativeControlsConfig(Section):
    """`[negative_controls]`: columns of the phenotype table that share the confounders and cannot show an effect."""

    outcomes: tuple[ColumnName, ...] = ()
    """Traits with the outcome's confounders that the exposure cannot change."""
    exposures: tuple[ColumnName, ...] = ()
    """Traits with the exposure's confounders that cannot change the outcome."""

    @model_validator(mode="after")
    def _each_named_once(self) -> Self:
        names = (*self.outcomes, *self.exposures)
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(f"negative controls must be named once, but {first_few(repeated)} comes more than once")
        return self


class TruthConfig(Section):
    """`[truth]`: what was simulated, in simulated studies only."""

    path: StudyPath
    samples: StudyPath | None = None
    """Table with the oracle's columns for each sample."""


class RunConfig(Section):
    """`[run]`: what makes a run repeatable."""

    seed: Annotated[int, Field(ge=0, lt=2**63)] = 1


class StudyConfig(Section):
    """All settings of one study; read it with `StudyConfig.from_toml`.

    Attributes
    ----------
    preset
        The cohort whose files these are; its settings stand where the file gave none.
    genotypes, phenotypes, instruments, quality_control, components, learn, estimate, negative_controls, families,
    truth, output, disclosure, run
        The sections of the study file. `genotypes` is None where the instruments are columns of the phenotype
        table, `families` where none are named, `truth` outside simulated studies; the others have defaults.
    """

    preset: PresetName | None = None
    genotypes: GenotypesConfig | None = None
    phenotypes: PhenotypesConfig
    instruments: InstrumentsConfig
    quality_control: QualityControlConfig = QualityControlConfig()
    components: ComponentsConfig = ComponentsConfig()
    learn: LearnConfig = LearnConfig()
    estimate: EstimateConfig = EstimateConfig()
    negative_controls: NegativeControlsConfig = NegativeControlsConfig()
    families: FamiliesConfig | None = None
    truth: TruthConfig | None = None
    output: OutputConfig = OutputConfig()
    disclosure: DisclosureConfig = DisclosureConfig()
    run: RunConfig = RunConfig()

    @model_validator(mode="after")
    def _sections_agree(self) -> Self:
        if self.genotypes is None and self.instruments.variants is not None:
            raise ValueError(
                '[instruments] variants needs genotypes: add a section [genotypes] with path = "cohort.bed", or give '
                "[instruments] columns alone"
            )
        if self.learn.method == MENDELIAN and self.families is None:
            raise ValueError(
                '[learn] method = "mendelian" needs families: add a section [families] with pedigree, sibship or kin0'
            )
        if self.families is not None and (self.genotypes is None or self.instruments.columns):
            raise ValueError(
                "[families] needs the calls of variants: [genotypes] path, and [instruments] without columns"
            )
        if self.learn.compares_environments and not self.phenotypes.environments:
            raise ValueError(
                f'[learn] method = "{self.learn.method}" compares environments: name the column in [phenotypes] '
                'environment, or set [learn] method = "none"'
            )
        if self.estimate.std_errors == "clustered" and self.phenotypes.cluster is None:
            raise ValueError('[estimate] std_errors = "clustered" needs the column in [phenotypes] cluster')
        if self.output.people and self.disclosure.smallest_count is not None:
            raise ValueError(
                "[output] people writes a row per person, and [disclosure] smallest_count tells nothing of few people; "
                "leave one of them out"
            )
        self._cross_fitting_has_a_learner()
        self._scores_have_no_other_role()
        return self

    def _cross_fitting_has_a_learner(self) -> None:
        method = self.learn.method
        if self.estimate.cross_fitting and not self.learn.compares_environments:
            raise ValueError(
                f'[estimate] cross_fitting learns in every part, but [learn] method is "{method}"; name a learner there'
            )
        if self.estimate.cross_fitting and self.estimate.bootstrap and method in _NEURAL:
            raise ValueError(
                f'[estimate] bootstrap takes the network of "{method}" as known, and cross_fitting trains it again: '
                "their intervals do not answer the same question; ask for cross_fitting alone"
            )

    def _scores_have_no_other_role(self) -> None:
        table = self.phenotypes
        others = (table.sample_id, table.exposure, table.outcome, *table.environments, *table.covariates)
        controls = (*self.negative_controls.outcomes, *self.negative_controls.exposures)
        scores = (*self.instruments.columns, *self.components.columns)
        for place, names in (
            ("instruments", self.instruments.columns),
            ("components", self.components.columns),
            ("negative_controls", controls),
        ):
            taken = [name for name in names if name in others]
            if taken:
                key = "" if place == "negative_controls" else " columns"
                raise ValueError(
                    f"[{place}]{key} names {first_few(taken)}, which has another role in [phenotypes]; name each "
                    "column once"
                )
        both = [name for name in controls if name in scores]
        if both:
            raise ValueError(f"[negative_controls] names {first_few(both)}, which is an instrument or a component")

    @classmethod
    def from_toml(cls, path: str | Path) -> Self:
        """Read a study file.

        Parameters
        ----------
        path
            TOML. Relative paths in it are taken from the folder of the file.

        Returns
        -------
        StudyConfig
            Settings with every default filled in and every path absolute, so that the archive can be taken up from
            any working directory.

        Raises
        ------
        InputError
            No such file, a line that is not TOML, an unknown section or key (with the nearest known one), a missing
            key, or a value of the wrong kind; everything found wrong is named at once.
        """
        path = Path(path)
        try:
            raw = tomllib.loads(path.read_text(encoding="utf-8-sig"))
        except OSError as error:
            raise InputError(f"{path}: the study file could not be read ({error.strerror}). Check the path.") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise InputError(f"{path}: this is not valid TOML: {error}. Mend this place.") from error
        raw = with_preset(raw, path.parent, sections=cls.model_fields)
        try:  # through JSON, where strictness tells text from numbers but still knows lists and paths
            return cls.model_validate_json(json.dumps(raw, default=str), strict=True, context={"folder": path.parent})
        except ValidationError as error:
            raise InputError(f"{path}: {faults(cls, [dict(item) for item in error.errors()])}.") from error

    def to_json(self) -> str:
        """Write all settings, defaults included, as JSON."""
        return self.model_dump_json(indent=1, by_alias=True)


def check_seed(seed: int) -> int:
    """The seed, if it is one that every part of a study takes.

    Raises
    ------
    InputError
        A negative seed, or one of more than 63 bits.
    """
    if not 0 <= seed < 2**63:
        raise InputError(f"seed must be a whole number from 0 up, below 2^63, but is {seed}.")
    return seed


def with_changes(
    config: StudyConfig, *, seed: int | None = None, smallest_count: int | None = None, people: bool | None = None
) -> StudyConfig:
    """The same settings with those of a command line in their place; None leaves a setting as it is.

    Raises
    ------
    InputError
        A seed that `check_seed` refuses, a count below 2, or settings that exclude each other.
    """
    changes: dict[str, Any] = {}
    if seed is not None:
        changes["run"] = {"seed": check_seed(seed)}
    if smallest_count is not None:
        changes["disclosure"] = {"smallest_count": smallest_count}
    if people is not None:
        changes["output"] = {"people": people}
    if not changes:
        return config
    try:
        return StudyConfig.model_validate(config.model_dump(by_alias=True) | changes)
    except ValidationError as error:
        raise InputError(f"{faults(StudyConfig, [dict(item) for item in error.errors()])}.") from error
