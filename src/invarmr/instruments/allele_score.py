"""`allele_score`: the weighted sum of the instruments, the field's usual single instrument; learns nothing.

Symbols: w_j external weight of instrument j per unit: score = sum_j w_j Z_j. Source: Burgess & Thompson (2013),
International Journal of Epidemiology 42:1134.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from invarmr.data.cohort import Cohort
from invarmr.data.latent_instruments import LatentInstruments
from invarmr.data.moments import EnvironmentMoments
from invarmr.errors import InputError
from invarmr.instruments.base import Learner

__all__ = ["AlleleScore"]


@final
@dataclass(frozen=True)
class AlleleScore(Learner):
    """The weighted allele score of a cohort, as one instrument.

    Uses the cohort's external weights; without them every instrument counts alike, which is sensible only where the
    effect alleles are those that raise the exposure. Assumes that the score is unrelated to every confounder, ancestry
    included.
    """

    name: ClassVar[str] = "allele_score"

    def fit(self, data: Cohort | Sequence[EnvironmentMoments], *, seed: int = 1) -> LatentInstruments:
        """The score of a cohort; `seed` has no effect.

        Raises
        ------
        InputError
            Moments in place of a cohort, or weights that are all zero.
        """
        if not isinstance(data, Cohort):
            raise InputError("An allele score needs the cohort, which holds the weights; moments alone do not.")
        weights = np.ones(data.n_instruments) if data.weights is None else data.weights
        if not np.any(weights):
            raise InputError("The weights of the allele score are all zero.")
        return LatentInstruments(
            learner=self.name,
            instrument_names=data.instrument_names,
            center=np.zeros(data.n_instruments),
            loadings=weights[:, None] / np.sqrt(np.sum(weights**2)),
            confounded_loadings=np.zeros((data.n_instruments, 0)),
            eigenvalues=np.zeros(0),
            settings={"method": self.name, "weighted": data.weights is not None},
            source=data.instruments,
        )
