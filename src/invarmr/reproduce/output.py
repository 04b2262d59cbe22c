"""Write what the tidy table says: figures as SVG and PNG, tables as TSV and Markdown, each for both designs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from invarmr.report.study_figures import Box, Panel, draw_study
from invarmr.reproduce.collect import Series, collect, mean, spread, summary_rows
from invarmr.reproduce.items import Item
from invarmr.reproduce.plan import Scale
from invarmr.reproduce.tidy_table import Store, write_whole

__all__ = ["markdown", "write_items"]

DESIGNS = {"published": True, "asymmetric": False}
_GROUPS = ("autoencoder", "autoencoder_improved", "oracle", "polynomial", "flow", "stationary", "auto", "baselines")
_MIXING = {"poly1": "Poly 1", "poly2": "Poly 2", "poly3": "Poly 3", "mlp": "Inv. MLP"}


def write_items(items: Sequence[Item], store: Store, scale: Scale, learners: Sequence[str]) -> list[Path]:
    """Write `summary.tsv` and every figure and table; the paths, in order. Items without a replicate are left out."""
    written = []
    series = collect(items, store, scale, learners)
    neural = [name for name in learners if name == "autoencoder"]
    other = collect(items, store, scale, neural, rule="scale-invariant")
    rows = summary_rows([*series, *other])
    if rows:
        path = store.out / "summary.tsv"
        frame = pl.DataFrame(rows, infer_schema_length=None).with_columns(pl.col(pl.String).replace("", None))
        write_whole(path, frame.write_csv(separator="\t", float_precision=6))
        written.append(path)
    for item in items:
        for design, symmetric in DESIGNS.items():
            own = [one for one in series if one.item == item.name and one.symmetric == symmetric]
            if own:
                stem = store.out / f"{item.name}-{design}"
                written += _figure(item, own, stem, design, scale) if item.kind == "boxes" else _table(item, own, stem)
    return written


def _figure(item: Item, series: Sequence[Series], stem: Path, design: str, scale: Scale) -> list[Path]:
    panels = [panel for panel in _panels(item, series) if panel.boxes]
    if not panels:
        return []
    fewest, most = min(len(own.rows) for own in series), max(len(own.rows) for own in series)
    seeds = f"{most} seed{'s' * (most != 1)}" if fewest == most else f"{fewest} to {most} seeds"
    svg, png = draw_study(
        panels,
        groups=_GROUPS,
        title=f"{item.name.replace('figure', 'Figure ')}, {design} design: {item.title}",
        note=f"{seeds}; {scale.n_samples:,} rows per environment; below: share of V that W^ predicts",
    )
    write_whole(stem.with_suffix(".svg"), svg)
    write_whole(stem.with_suffix(".png"), png)
    return [stem.with_suffix(".svg"), stem.with_suffix(".png")]


def _panels(item: Item, series: Sequence[Series]) -> Iterator[Panel]:
    """One panel per mixing, all estimators beside each other; where settings are compared, one per learner too."""
    for mixing in item.mixings:
        own = [one for one in series if one.mixing == mixing]
        if len(item.variants) == 1:
            shown = [one for one in own if one.estimator not in ("OLS", "PO(K one-hot)-2SLS(Z)")]
            order = sorted(shown, key=lambda one: (one.learner == "none", one.learner == "oracle"))
            yield Panel(_MIXING[mixing], [_box(one, _named(one)) for one in order])
            continue
        for learner in dict.fromkeys(one.learner for one in own if one.learner not in ("none", "oracle")):
            boxes = [_box(one, f"{one.estimator}, {one.variant}") for one in own if one.learner == learner]
            yield Panel(f"{_MIXING[mixing]}, {learner}", boxes)


def _named(series: Series) -> str:
    if series.learner == "none":
        return series.estimator
    if series.learner == "oracle":
        return series.estimator.replace("W^", "true W").replace("V^", "true V")
    return f"{series.estimator}, {series.learner}"


def _box(series: Series, label: str) -> Box:
    group = "baselines" if series.learner == "none" else series.learner
    return Box(label, group, series.values("bias"), series.values("leakage_nonlinear"))


def _table(item: Item, series: Sequence[Series], stem: Path) -> list[Path]:
    rows = {"table1": _kernel_rows, "table2": _estimator_rows, "table3": _test_rows}[item.name](series)
    if not rows:
        return []
    frame = pl.DataFrame(rows, infer_schema_length=None).with_columns(pl.col(pl.String).replace("", None))
    write_whole(stem.with_suffix(".tsv"), frame.write_csv(separator="\t"))
    write_whole(stem.with_suffix(".md"), markdown(rows))
    return [stem.with_suffix(".tsv"), stem.with_suffix(".md")]


def _kernel_rows(series: Sequence[Series]) -> list[dict[str, Any]]:
    """Independence kernels down, invariance kernels across."""
    rows: dict[tuple[str, str, str], dict[str, Any]] = {}
    for own in series:
        down, across = own.variant.split(", ")
        key = (own.learner, own.estimator, down)
        row = rows.setdefault(
            key, {"learner": own.learner, "estimator": own.estimator, "": down, "seeds": len(own.rows)}
        )
        row[across] = _mean_sd(own)
    return list(rows.values())


def _estimator_rows(series: Sequence[Series]) -> list[dict[str, Any]]:
    """Estimators down, without and with V^ across."""
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for own in series:
        if own.learner == "none":
            continue
        name = own.estimator.removeprefix("PO(V^)-").split("(")[0]
        with_v = "V^" in own.estimator
        key = (own.learner, name)
        row = rows.setdefault(
            key, {"learner": own.learner, "estimator": name, "seeds": len(own.rows), "W^": "", "(W^, V^)": ""}
        )
        row["(W^, V^)" if with_v else "W^"] = _mean_sd(own)
    return list(rows.values())


def _test_rows(series: Sequence[Series]) -> list[dict[str, Any]]:
    """Numbers of latent instruments down; the published columns, then ours."""
    rows = []
    for own in series:
        if own.learner in ("none", "oracle") or own.estimator != "2SLS(W^)":
            continue
        validation = own.values("validation")
        rows.append(
            {
                "learner": own.learner,
                "p^": own.variant.removeprefix("p^ = "),
                "seeds": len(own.rows),
                "GCM p < .05": sum(p < 0.05 for p in own.values("gcm_p")),
                "validation MMD mean": _number(mean(validation)),
                "min": _number(min(validation, default=None)),
                "max": _number(max(validation, default=None)),
                "R2(W|W^)": _number(mean(own.values("recovery"))),
                "R2(V|W^)": _number(mean(own.values("leakage"))),
                "R2(V|W^) nonlinear": _number(mean(own.values("leakage_nonlinear"))),
                "bias": _mean_sd(own),
            }
        )
    return rows


def _mean_sd(series: Series) -> str:
    values = series.values("bias")
    if not values:
        return "none"
    sd = spread(values)
    failed = f", {series.n_failed} failed" if series.n_failed else ""
    return f"{mean(values):.3f}" + (f" ({sd:.3f})" if sd is not None else "") + failed


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def markdown(rows: Sequence[dict[str, Any]]) -> str:
    """A Markdown table.

    Examples
    --------
    >>> print(markdown([{"a": 1, "b": "x"}]), end="")
    | a | b |
    |---|---|
    | 1 | x |
    """
    columns = list(dict.fromkeys(name for row in rows for name in row))
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(str(row.get(name, "")).replace("|", "\\|") for name in columns) + " |" for row in rows]
    return "\n".join(line.replace("R2(W|W^)", "R2(W\\|W^)").replace("R2(V|W^)", "R2(V\\|W^)") for line in lines) + "\n"
