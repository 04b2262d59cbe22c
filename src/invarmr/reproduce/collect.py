"""From the tidy table to what an item shows: for every box or cell, its replicates."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from invarmr.reproduce.items import Item, Variant
from invarmr.reproduce.plan import Scale, Unit, unit_of
from invarmr.reproduce.selection import chosen_index
from invarmr.reproduce.tidy_table import Store, settings_text

__all__ = ["RULES", "Rule", "Series", "collect", "summary_rows"]

Rule = Literal["published", "scale-invariant"]
RULES: Mapping[Rule, str] = {"published": "validation", "scale-invariant": "validation_whitened"}
"""How a model is chosen from the grid: by validation MMD as trained, or of whitened W^."""
_Row = Mapping[str, Any]


@dataclass(frozen=True)
class Series:
    """Replicates of one estimator in one panel.

    Parameters
    ----------
    item, symmetric, mixing, variant, learner, rule, estimator
        Whose.
    rows
        Of the tidy table, one per seed that has been run.
    """

    item: str
    symmetric: bool
    mixing: str
    variant: str
    learner: str
    rule: Rule
    estimator: str
    rows: tuple[_Row, ...]

    def values(self, column: str) -> list[float]:
        """The numbers of a column, those that are known."""
        return [float(row[column]) for row in self.rows if row[column] is not None]

    @property
    def n_failed(self) -> int:
        """Seeds without an estimate."""
        return len(self.rows) - len(self.values("bias"))


@dataclass(frozen=True)
class _Lookup:
    rows: Mapping[tuple[Any, ...], _Row]
    models: Mapping[tuple[Any, ...], _Row]

    @classmethod
    def of(cls, store: Store) -> _Lookup:
        rows = {
            tuple(row[name] for name in (
                "design", "environments", "mixing", "symmetric", "seed", "learner", "settings", "estimator",
            )): row
            for row in store.replicates.to_dicts()
        }  # fmt: skip
        models = {
            tuple(row[name] for name in (
                "design", "environments", "mixing", "trained_on", "seed", "learner", "settings",
            )): row
            for row in store.models.to_dicts()
        }  # fmt: skip
        return cls(rows, models)

    def row(
        self, unit: Unit, scale: Scale, settings: Mapping[str, Any], symmetric: bool, estimator: str
    ) -> _Row | None:
        key = (
            scale.design, unit.environments, unit.mixing, symmetric, unit.seed, unit.learner, settings_text(settings),
            estimator,
        )  # fmt: skip
        return self.rows.get(key)

    def chosen(self, unit: Unit, scale: Scale, rule: Rule, independence: bool) -> Mapping[str, Any] | None:
        """Settings of the chosen model of a unit whose whole grid is there."""
        grid = unit.settings(scale)
        if len(grid) == 1 and "lambda_independence" not in grid[0]:
            return grid[0]
        key = (scale.design, unit.environments, unit.mixing, unit.trained_on, unit.seed, unit.learner)
        found = [self.models.get((*key, settings_text(settings))) for settings in grid]
        if any(model is None for model in found):
            return None
        criterion = [None if model is None else model[RULES[rule]] for model in found]
        index = chosen_index(grid, criterion, independence=independence)
        return grid[index] if index >= 0 else None


def collect(
    items: Iterable[Item], store: Store, scale: Scale, learners: Sequence[str], *, rule: Rule = "published"
) -> list[Series]:
    """Every series of some items that has at least one replicate."""
    lookup = _Lookup.of(store)
    return [
        series
        for item in items
        for symmetric in (True, False)
        for series in _of_item(item, lookup, scale, learners, symmetric, rule)
        if series.rows
    ]


def _of_item(
    item: Item, lookup: _Lookup, scale: Scale, learners: Sequence[str], symmetric: bool, rule: Rule
) -> Iterator[Series]:
    effects = "symmetric" if symmetric else "asymmetric"
    for mixing in item.mixings:
        for learner in learners:
            variants = item.variants if learner not in ("none", "oracle") else item.variants[:1]
            for variant in variants:
                for estimator in _estimators(item, learner):
                    rows = []
                    for seed in scale.seeds:
                        units = unit_of(item, _plain(variant, learner), learner, mixing, seed)
                        for unit in (unit for unit in units if effects in unit.effects):
                            settings = lookup.chosen(unit, scale, rule, variant.independence)
                            if settings is not None:
                                rows.append(lookup.row(unit, scale, settings, symmetric, estimator))
                    yield Series(
                        item.name,
                        symmetric,
                        mixing,
                        "" if learner in ("none", "oracle") else variant.label,
                        learner,
                        rule,
                        estimator,
                        tuple(row for row in rows if row is not None),
                    )


def _plain(variant: Variant, learner: str) -> Variant:
    """What `none` and `oracle` see of any variant."""
    return Variant(label="") if learner in ("none", "oracle") else variant


def _estimators(item: Item, learner: str) -> tuple[str, ...]:
    if learner == "none":
        return (*item.baselines, "PO(K one-hot)-2SLS(Z)", "OLS") if item.baselines else ()
    if learner == "oracle" and not item.baselines and item.name != "table2":
        return ()
    return item.learned


def summary_rows(series: Sequence[Series]) -> list[dict[str, Any]]:
    """One row per series: seeds, bias, and what was measured."""
    return [
        {
            "item": own.item,
            "design": "published" if own.symmetric else "asymmetric",
            "mixing": own.mixing,
            "variant": own.variant,
            "learner": own.learner,
            "rule": own.rule if own.learner == "autoencoder" else "",
            "estimator": own.estimator,
            "seeds": len(own.rows),
            "failed": own.n_failed,
            "bias_mean": mean(own.values("bias")),
            "bias_sd": spread(own.values("bias")),
            "bias_median": median(own.values("bias")),
            "recovery": mean(own.values("recovery")),
            "leakage": mean(own.values("leakage")),
            "leakage_nonlinear": mean(own.values("leakage_nonlinear")),
            "gcm_below_05": sum(p < 0.05 for p in own.values("gcm_p")) if own.values("gcm_p") else None,
            "validation_mean": mean(own.values("validation")),
            "validation_min": min(own.values("validation"), default=None),
            "validation_max": max(own.values("validation"), default=None),
        }
        for own in series
    ]


def mean(values: Sequence[float]) -> float | None:
    """Their mean; None where there are none."""
    return statistics.fmean(values) if values else None


def median(values: Sequence[float]) -> float | None:
    """Their median; None where there are none."""
    return statistics.median(values) if values else None


def spread(values: Sequence[float]) -> float | None:
    """Their standard deviation; None for fewer than two."""
    return statistics.stdev(values) if len(values) > 1 else None
