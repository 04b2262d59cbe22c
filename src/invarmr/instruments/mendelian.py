"""`mendelian`: what a child inherited less what was expected of its parents or siblings; valid by design.

Symbols: W = z - E[z | family] as in `data.families`: mid-parent in trios, sibship mean in sibships. Given the parents,
the child's genotype is random (Mendel's first law), so W is independent of ancestry, of the parents' traits and of
how they chose each other, whatever the environments do. Siblings' effects on each other remain in sibships.
Sources: Brumpton et al. (2020), Nature Communications 11:3519; Davies et al. (2019), Human Molecular Genetics 28:R170.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from invarmr.data.cohort import Cohort
from invarmr.data.families import Deviations
from invarmr.data.latent_instruments import MENDELIAN, LatentInstruments
from invarmr.data.moments import EnvironmentMoments
from invarmr.errors import InputError
from invarmr.instruments.base import Learner

__all__ = ["MendelianInstruments"]


@final
@dataclass(frozen=True)
class MendelianInstruments(Learner):
    """Instruments that Mendel's law makes valid, for cohorts that know their families (`Cohort.with_families`).

    Nothing is tuned and nothing is learned from exposure or outcome: one latent instrument per variant, zero for people
    outside trios and sibships. Assumes that the parents are the parents, and that missing calls do not depend on what
    was inherited. `family_design` is the design to estimate on; an `IVDesign` on these instruments gives the same 2SLS.

    Parameters
    ----------
    n_latent
        None, or the number of variants: there is nothing to choose.

    Examples
    --------
    >>> import numpy as np, invarmr
    >>> rng = np.random.default_rng(1)
    >>> parents = rng.integers(0, 3, (2, 400, 3)).astype(float)
    >>> child = rng.binomial(1, parents / 2).sum(axis=0)
    >>> exposure = child @ [1.0, 1.0, 1.0] + rng.normal(size=400)
    >>> cohort = invarmr.Cohort.from_arrays(
    ...     instrument=child, exposure=exposure, outcome=exposure + rng.normal(size=400), environment=[0, 1] * 200)
    >>> names = [f"{who}{k}" for who in "mf" for k in range(400)]
    >>> pedigree = invarmr.Pedigree.from_columns(cohort.sample_ids, mother=names[:400], father=names[400:])
    >>> calls = np.vstack([child, *parents])
    >>> cohort = cohort.with_families(pedigree, calls=calls, sample_ids=[*cohort.sample_ids, *names])
    >>> MendelianInstruments().fit(cohort).n_latent
    3
    """

    n_latent: int | None = None
    name: ClassVar[str] = MENDELIAN

    def fit(self, data: Cohort | Sequence[EnvironmentMoments], *, seed: int = 1) -> LatentInstruments:
        """The instruments of a cohort; `seed` has no effect.

        Raises
        ------
        InputError
            Moments in place of a cohort, a cohort that knows no families, or one without any trio or sibship.
        """
        if not isinstance(data, Cohort) or data.families is None:
            raise InputError(
                "Mendelian instruments need a cohort that knows its families: Cohort.with_families(pedigree, ...), or "
                "[families] in the study file."
            )
        if not data.families.informative.any():
            raise InputError(
                f"Mendelian instruments need trios or sibships, but there are none among {data.n_samples} people: "
                f"{data.families.counts}."
            )
        d = data.n_instruments
        if self.n_latent not in (None, d):
            raise InputError(
                f"Mendelian instruments are one per variant, {d} here, and n_latent = {self.n_latent} was asked for: "
                "leave n_latent out."
            )
        return LatentInstruments(
            learner=self.name,
            instrument_names=data.instrument_names,
            center=np.zeros(d),
            loadings=np.eye(d),
            confounded_loadings=np.zeros((d, 0)),
            eigenvalues=np.zeros(0),
            settings={"method": self.name, **data.families.counts},
            source=Deviations(data.families),
            feature_names=tuple(f"within family {name}" for name in data.instrument_names),
        )
