"""The published and the asymmetric design side by side, from a finished table: what the manual's page prints."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self, final

from invarmr.errors import InputError
from invarmr.reproduce.collect import Rule, Series, collect, mean, spread
from invarmr.reproduce.items import chosen_items
from invarmr.reproduce.plan import FULL, LEARNERS, NEURAL, Scale
from invarmr.reproduce.tidy_table import Store, parse_settings

__all__ = ["FinishedStudy", "scale_of", "text_table"]


@final
@dataclass(frozen=True, eq=False)
class FinishedStudy:
    """A folder of `invarmr reproduce`, opened to be read.

    Parameters
    ----------
    store
        Its tables.
    scale
        At which it was run.
    """

    store: Store
    scale: Scale

    @classmethod
    def open(cls, folder: str | Path) -> Self:
        """Read `replicates.tsv`, `models.tsv` and `provenance.json` of a folder.

        Raises
        ------
        InputError
            One of them is not there.
        """
        folder = Path(folder)
        for name in ("replicates.tsv", "models.tsv", "provenance.json"):
            if not (folder / name).exists():
                raise InputError(f"{folder} has no {name}: run `invarmr reproduce all --out {folder}` first.")
        runs = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))["runs"]
        return cls(Store(folder), scale_of(runs))

    def seeds(self) -> str:
        """How many seeds each learner was run for, over all designs that it was run on."""
        frame = self.store.replicates
        rows = []
        for learner in LEARNERS:
            own = frame.filter(frame["learner"] == learner)
            models = self.store.models.filter(self.store.models["learner"] == learner).height
            rows.append({"learner": learner, "seeds": own["seed"].n_unique(), "models": models, "rows": own.height})
        return text_table(rows)

    def rows(self, item: str, *, learners: Sequence[str] = LEARNERS, rule: Rule = "published") -> list[dict[str, Any]]:
        """One row per estimator of an item: bias in both designs, recovery, leakage, tests."""
        found = collect(chosen_items((item,)), self.store, self.scale, learners, rule=rule)
        pairs: dict[tuple[str, ...], dict[bool, Series]] = {}
        for own in found:
            key = (own.mixing, own.variant, own.learner, own.estimator)
            pairs.setdefault(key, {})[own.symmetric] = own
        return [_row(key, pair) for key, pair in pairs.items()]

    def show(self, item: str, *, learners: Sequence[str] = LEARNERS, rule: Rule = "published") -> str:
        """The rows of an item as text; columns that say nothing are left out."""
        return text_table(self.rows(item, learners=learners, rule=rule))

    def ladder(self) -> str:
        """Where the automatic choice ended, and with which verdict, by design: how many seeds."""
        models = self.store.models.filter(self.store.models["learner"] == "auto")
        counts: dict[tuple[Any, ...], int] = {}
        for row in models.sort("environments", "mixing", "settings", "seed").to_dicts():
            asked, found = parse_settings(row["settings"]), parse_settings(row["resolved"])
            ended = found.get("ladder", "").split(">")[-1] or "no learner passed"
            key = (row["environments"], row["mixing"], asked["n_latent"], ended, found.get("verdict", "none"))
            counts[key] = counts.get(key, 0) + 1
        names = ("environments", "mixing", "p^", "last learner", "verdict")
        return text_table([{**dict(zip(names, key, strict=True)), "seeds": count} for key, count in counts.items()])


def scale_of(runs: Sequence[Mapping[str, Any]]) -> Scale:
    """The scale of several runs into one folder: all their seeds, and the grid of the last one with an autoencoder."""
    seeds = sorted({seed for run in runs for seed in run["settings"]["seeds"]})
    scale = replace(FULL, seeds=tuple(seeds) or FULL.seeds)
    for run in runs:
        settings = run["settings"]
        scale = replace(scale, n_samples=settings["n_samples"])
        if set(NEURAL) & set(settings["learners"]):
            scale = replace(
                scale,
                lambda_invariance=tuple(settings["lambda_invariance"]),
                lambda_independence=tuple(settings["lambda_independence"]),
                training=settings["training"],
            )
    return scale


def _row(key: tuple[str, ...], pair: Mapping[bool, Series]) -> dict[str, Any]:
    mixing, variant, learner, estimator = key
    first = pair[True] if True in pair else pair[False]
    p_values = first.values("gcm_p")
    return {
        "mixing": mixing,
        "variant": variant,
        "learner": learner,
        "estimator": estimator,
        "seeds": max(len(own.rows) for own in pair.values()),
        "published": _bias(pair.get(True)),
        "asymmetric": _bias(pair.get(False)),
        "R2(W|W^)": _share(first.values("recovery")),
        "R2(V|W^)": _share(first.values("leakage")),
        "nonlinear": _share(first.values("leakage_nonlinear")),
        "GCM p<.05": f"{sum(p < 0.05 for p in p_values)}" if p_values else "",
    }


def _bias(series: Series | None) -> str:
    if series is None or not series.values("bias"):
        return ""
    values = series.values("bias")
    sd = spread(values)
    return f"{mean(values):+.3f}" + ("" if sd is None else f" ({sd:.3f})")


def _share(values: Sequence[float]) -> str:
    middle = mean(values)
    return "" if middle is None else f"{middle:.3f}"


def text_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as aligned text; columns that are empty everywhere are left out.

    Examples
    --------
    >>> print(text_table([{"a": 1, "b": "", "c": "x"}, {"a": 22, "b": "", "c": "y"}]))
    a   c
    1   x
    22  y
    """
    names = [name for name in (rows[0] if rows else ()) if any(str(row[name]) for row in rows)]
    widths = [max(len(name), *(len(str(row[name])) for row in rows)) for name in names]
    lines = [dict(zip(names, names, strict=True)), *rows]
    return "\n".join(
        "  ".join(str(line[name]).ljust(width) for name, width in zip(names, widths, strict=True)).rstrip()
        for line in lines
    )
