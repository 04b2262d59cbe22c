"""Exchangeability: how much of each instrument environments and principal components of ancestry explain.

Symbols: R2 of instrument j on environment labels = between / total sum of squares; on components C =
s_jC S_CC^-1 s_Cj / s_jj. Under no relation R2 is (E - 1) / (n - 1) and k / (n - 1) on average.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from invarmr.arrays import FloatArray
from invarmr.data.latent_instruments import LatentInstruments
from invarmr.data.moments import EnvironmentMoments
from invarmr.diagnostics.check import Check, not_applicable
from invarmr.linalg.symmetric import solve_on_range

__all__ = ["Balance", "balance", "balance_checks"]


@dataclass(frozen=True, eq=False)
class Balance:
    """Balance of a set of instruments on environment and on principal components.

    Parameters
    ----------
    instrument_set
        `observed` or `learned`.
    names
        One per instrument.
    r2_environment, r2_components
        (p,) shares of variance; components NaN where there are none.
    chance_environment, chance_components
        Their expectation under no relation.
    """

    instrument_set: str
    names: tuple[str, ...]
    r2_environment: FloatArray
    r2_components: FloatArray
    chance_environment: float
    chance_components: float


def balance(moments: EnvironmentMoments, latent: LatentInstruments | None = None) -> Balance:
    """Balance of the observed instruments, or of the learned ones with `latent`, from moments.

    `moments` should be those of held-out people: the learned instruments are made to balance on the others. Directions
    learned without these people are used.
    """
    n = moments.n_total
    instruments, components = moments.index("instrument"), moments.index("component")
    trained = None if latent is None else latent.trained_loadings
    B = np.eye(len(instruments)) if trained is None else trained
    within, total = moments.within(), moments.total()
    sums = np.einsum("ij,ik,kj->j", B, total[np.ix_(instruments, instruments)], B, optimize=True)
    inside = np.einsum("ij,ik,kj->j", B, within[np.ix_(instruments, instruments)], B, optimize=True)
    safe = np.where(sums > 0, sums, 1.0)
    r2_components = np.full(B.shape[1], np.nan)
    if len(components):
        cross = total[np.ix_(components, instruments)] @ B
        fitted, _ = solve_on_range(total[np.ix_(components, components)], cross)
        r2_components = np.einsum("cj,cj->j", cross, fitted) / safe
    names = (
        tuple(name.split(":", 1)[1] for name in (moments.columns[i] for i in instruments))
        if trained is None
        else tuple(f"latent{j + 1}" for j in range(B.shape[1]))
    )
    return Balance(
        instrument_set="observed" if trained is None else "learned",
        names=names,
        r2_environment=np.clip(1.0 - inside / safe, 0.0, 1.0),
        r2_components=np.clip(r2_components, 0.0, 1.0),
        chance_environment=(len(moments.environments) - 1) / (n - 1),
        chance_components=len(components) / (n - 1),
    )


def balance_checks(item: Balance, n_environments: int, n_components: int) -> tuple[Check, ...]:
    """Two descriptions: mean R2 on environment and on components, beside what chance gives."""
    out = []
    for what, r2, chance, count in (
        ("environment", item.r2_environment, item.chance_environment, n_environments - 1),
        ("principal components", item.r2_components, item.chance_components, n_components),
    ):
        verb = "explain" if what.endswith("s") else "explains"
        test = f"balance on {what}, {item.instrument_set} instruments"
        null = f"{what} {verb} no more of the instruments than chance"
        if count == 0:
            out.append(not_applicable("exchangeability", test, null, "no principal components were given or computed"))
            continue
        mean = float(np.mean(r2))
        out.append(
            Check(
                assumption="exchangeability",
                test=test,
                null=null,
                statistic=mean,
                df=str(count),
                conclusion=(
                    f"{what} {verb} {100 * mean:.2g} % of an instrument on average, "
                    f"at most {100 * float(np.max(r2)):.2g} %; chance gives {100 * chance:.2g} %"
                ),
                reason="held-out people; a description, not a test",
            )
        )
    return tuple(out)
