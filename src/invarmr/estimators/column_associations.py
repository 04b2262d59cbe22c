"""Summary-data estimators on individual-level data: each instrument's associations, from the design's moments.

Symbols: z_j instrument j, D exposure, Y outcome, all partialled of the controls; G their cross-product; n samples, c
controls with the constant:

    gamma_j = z_j'D / z_j'z_j,    sigma_j^2 = (D'D - gamma_j z_j'D) / (n - c - 1) / z_j'z_j,    likewise Gamma_j for Y

so every column of Z is regressed on alone, as a genome-wide association study would. Given to MR-Egger this is MR-Egger
as the published experiments run it on individual-level data; with the environment among the controls, PO(K)-Egger.
"""

from __future__ import annotations

import numpy as np

from invarmr.data.design import IVDesign
from invarmr.data.harmonised import Associations
from invarmr.errors import InputError

__all__ = ["column_associations"]


def column_associations(design: IVDesign, *, correlated: bool = False) -> Associations:
    """Associations of every instrument of a design with exposure and outcome, given the design's controls.

    Parameters
    ----------
    design
        Any design; instruments without variance given the controls are left out.
    correlated
        Hand on the instruments' correlation, for estimators that take it; otherwise they are treated as independent.

    Raises
    ------
    InputError
        No instrument varies, or the exposure or the outcome is an exact multiple of an instrument.

    Examples
    --------
    >>> import invarmr
    >>> from invarmr.estimators.summary.egger import Egger
    >>> sample = invarmr.simulate_latent(invarmr.LatentDesign(mixing="poly2"), seed=1)
    >>> associations = column_associations(invarmr.IVDesign.from_cohort(sample.cohort))
    >>> associations.n_variants
    15
    >>> answer = Egger().fit(associations)
    """
    G, _, rank = design.crossproduct
    k = G.shape[0] - 2
    own = np.diag(G)[:k]
    used = np.flatnonzero(own > 0)
    if used.size == 0:
        raise InputError(f"None of the {k} instruments ({design.instrument_set}) varies given the controls.")
    constants = len(design.moments.environments) if design.environment_effects else 1
    free = design.moments.n_total - rank - constants - 1
    outcome, exposure = (
        (G[used, column] / own[used], (G[column, column] - G[used, column] ** 2 / own[used]) / free / own[used])
        for column in (k, k + 1)
    )
    if min(outcome[1].min(), exposure[1].min()) <= 0:
        raise InputError("Exposure or outcome is an exact multiple of an instrument: it has no error to measure.")
    spread = np.sqrt(own[used])
    names = _instrument_names(design, k)
    return Associations.from_arrays(
        exposure=exposure[0],
        exposure_std_error=np.sqrt(exposure[1]),
        outcome=outcome[0],
        outcome_std_error=np.sqrt(outcome[1]),
        variants=[names[j] for j in used],
        correlation=G[np.ix_(used, used)] / np.outer(spread, spread) if correlated else None,
    )


def _instrument_names(design: IVDesign, count: int) -> list[str]:
    if design.loadings is not None:
        return [f"w{j + 1}" for j in range(count)]
    return [design.moments.columns[i].split(":", 1)[1] for i in design.moments.index("instrument")]
