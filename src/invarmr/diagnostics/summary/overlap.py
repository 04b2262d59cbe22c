"""What people shared by the two studies do to the estimate: the statement on sample overlap.

Symbols: pi share of the outcome study's people who are in the exposure study too; F mean F of the variants; theta the
effect, beta the observational association, slope of the outcome on the exposure among these people. The errors of the
two associations of a variant have covariance pi beta sigma_X^2, so that to first order

    bias of the inverse-variance weighted estimate = (pi beta - theta) / F:

toward the observational association where people are shared, toward no effect where they are not.
Source: Burgess, Davies & Thompson (2016), Genetic Epidemiology 40:597, for studies of equal size.
"""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from invarmr.data.harmonised import Associations, HarmonisedStatistics
from invarmr.diagnostics.summary.rows import Row, rows_of_pairs
from invarmr.diagnostics.summary.strength import mean_f
from invarmr.errors import InputError

__all__ = ["sample_overlap"]


def sample_overlap(harmonised: HarmonisedStatistics, *, overlap: float | None = None) -> pl.DataFrame:
    """State, for every pair, how far shared people or their lack pull the inverse-variance weighted estimate.

    Parameters
    ----------
    harmonised
        Rows with `mr_keep` are used.
    overlap
        Share of the outcome study's people who are in the exposure study too, 0 to 1; None: not known.

    Returns
    -------
    polars.DataFrame
        `id.exposure, id.outcome, outcome, exposure, mean_f, overlap, toward_observational, toward_null, statement`: the
        share of the observational association that is added (where the overlap is not known, if all were shared), and
        the share of the effect that is taken away.

    Raises
    ------
    InputError
        A share outside [0, 1].

    References
    ----------
    Burgess, Davies & Thompson (2016). Genetic Epidemiology 40, 597.
    """
    if overlap is not None and not 0 <= overlap <= 1:
        raise InputError(f"overlap must be a share between 0 and 1, or None where it is not known, but is {overlap!r}.")

    def measure(data: Associations, _: pl.DataFrame) -> Iterable[Row]:
        f = mean_f(data)
        added = (1.0 if overlap is None else overlap) / f
        yield {
            "mean_f": f,
            "overlap": overlap,
            "toward_observational": added,
            "toward_null": 1.0 / f,
            "statement": _statement(overlap, added, 1.0 / f),
        }

    columns = dict.fromkeys(("mean_f", "overlap", "toward_observational", "toward_null"), pl.Float64)
    return rows_of_pairs(harmonised, measure, {**columns, "statement": pl.String})


def _statement(overlap: float | None, added: float, taken: float) -> str:
    away = f"{100 * taken:.2g} % of the effect is taken away"
    if overlap is None:
        return (
            f"sample overlap not stated: {away}, and between 0 and {100 * added:.2g} % of the observational "
            "association is added, from no to all people shared"
        )
    return (
        f"{100 * overlap:.3g} % of the outcome study's people are in the exposure study: {away}, and "
        f"{100 * added:.2g} % of the observational association is added"
    )
