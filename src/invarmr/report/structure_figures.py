"""Figures of population structure: people on principal components, and how far instruments follow structure."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from invarmr.arrays import FloatArray
from invarmr.report.archive import Archive
from invarmr.report.figures import (
    BLACK,
    BLUE,
    GREY,
    VERMILLION,
    Drawing,
    Marks,
    blank_figure,
    draw,
    log_scale,
    marks_of,
    quiet_axes,
)

__all__ = ["SET_MARKS", "balance_plot", "component_map", "log_floor"]

SET_MARKS = {"observed": Marks(VERMILLION, "o", hollow=True), "learned": Marks(BLUE, "D")}
MANY_ROWS = 30
PANELS = {
    "environment": "environment labels",
    "components": "principal components",
}


def component_map(archive: Archive) -> Drawing:
    """Draw how many people lie where on the first four principal components, by environment."""
    title = "People on the principal components of the genotypes, by environment"
    frame = archive.components
    if frame is None:
        return Drawing("components", title, reason="the study has no principal components")
    reading = (
        "each mark is a cell of a grid, its area the number of people there (cells of few people are left out); "
        "environments that lie apart differ in ancestry, and instruments that follow ancestry are confounded wherever "
        "ancestry goes with the outcome."
    )
    return draw("components", title, reading, lambda: _plot_components(frame))


def _plot_components(frame: pl.DataFrame) -> Figure:
    pairs = frame.select("across", "up").unique(maintain_order=True).rows()
    figure, panels = blank_figure(3.6, len(pairs))
    groups = sorted(frame["environment"].unique().to_list())
    marks = marks_of(groups)
    most = float(frame["n_samples"].cast(pl.Float64).max() or 1)  # type: ignore[arg-type]  # a number: the column is
    for axes, (across, up) in zip(panels, pairs, strict=True):
        for name in groups:
            cells, mark = frame.filter(environment=name, across=across, up=up), marks[name]
            area = 3 + 60 * cells["n_samples"].to_numpy() / most
            axes.scatter(cells["x"].to_numpy(), cells["y"].to_numpy(), s=area, marker=mark.marker, alpha=0.65,
                         facecolor=mark.face, edgecolor=mark.colour, linewidth=0.4, label=f"{name}")  # fmt: skip
        axes.set_xlabel(across)
        axes.set_ylabel(up)
        quiet_axes(axes)
        axes.locator_params(nbins=5)
    handles, labels = panels[0].get_legend_handles_labels()
    legend = figure.legend(handles, labels, loc="outside upper left", ncols=min(len(groups), 6))
    for handle in legend.legend_handles:
        if handle is not None:
            handle.set_alpha(1)
            handle.set_sizes([24.0])  # type: ignore[attr-defined]  # a PathCollection
    return figure


def log_floor(values: FloatArray, *, smallest: float = 1e-5) -> tuple[FloatArray, float]:
    """Lift values that a logarithmic axis cannot show to its lower edge: the lifted values, and the edge."""
    positive = values[np.isfinite(values) & (values > 0)]
    edge = max(smallest, 10 ** math.floor(math.log10(positive.min()))) if positive.size else smallest
    return np.maximum(values, edge), edge  # NaN stays NaN and is not drawn


def balance_plot(archive: Archive) -> Drawing:
    """Draw how much of each instrument's variance environment labels and components explain (a Love plot)."""
    title = "Balance: how far the instruments follow environment and ancestry, before and after learning"
    if archive.balance is None:
        return Drawing("balance", title, reason="balance of the instruments was not measured in this run")
    frame = archive.balance
    reading = (
        "each mark is one instrument, placed by the share of its variance that labels or components explain in "
        "held-out people; marks at or left of the dotted line are as balanced as chance allows."
    )
    return draw("balance", title, reading, lambda: _plot_balance(frame))


def _plot_balance(frame: pl.DataFrame) -> Figure:
    sets = [name for name in ("observed", "learned") if name in frame["set"].to_list()]
    relations = [name for name in PANELS if frame[f"r2_{name}"].count()]
    named = frame.height <= MANY_ROWS
    height = 0.17 * frame.height + 1.2 if named else 1.0 + 0.75 * len(sets)
    figure, panels = blank_figure(height, max(len(relations), 1))
    for axes, relation in zip(panels, relations, strict=False):
        if named:
            _named_rows(axes, frame, relation, sets)
        else:
            _strips(axes, frame, relation, sets)
        _chance(axes, frame, relation)
        log_scale(axes, "x", per_cent=True)
        axes.set_xlabel("share of variance explained (log scale)")
        axes.set_title(f"explained by {PANELS[relation]}")
        quiet_axes(axes, keep=("bottom",))
    for axes in panels[1:]:
        axes.set_yticks([])
    return figure


def _shares(frame: pl.DataFrame, relation: str) -> tuple[FloatArray, float]:
    return log_floor(frame[f"r2_{relation}"].cast(pl.Float64).to_numpy().astype(np.float64))


def _named_rows(axes: Axes, frame: pl.DataFrame, relation: str, sets: Sequence[str]) -> None:
    values, edge = _shares(frame, relation)
    order = sorted(range(frame.height), key=lambda row: (sets.index(frame["set"][row]), row))
    for y, row in enumerate(order):
        mark = SET_MARKS[frame["set"][row]]
        axes.plot([edge, values[row]], [y, y], color="#e4e4e4", lw=0.7, zorder=0)
        axes.plot([values[row]], [y], ls="none", marker=mark.marker, mfc=mark.face, mec=mark.colour, ms=5)
    axes.set_yticks(range(len(order)), [f"{frame['instrument'][row]} ({frame['set'][row]})" for row in order])
    axes.set_ylim(len(order) - 0.5, -0.5)


def _strips(axes: Axes, frame: pl.DataFrame, relation: str, sets: Sequence[str]) -> None:
    """One strip a set; marks are spread up and down evenly, in the order of the instruments, so that all are seen."""
    values, _ = _shares(frame, relation)
    labels = frame["set"].to_numpy()
    for y, name in enumerate(sets):
        own, mark = values[labels == name], SET_MARKS[name]
        spread = (np.arange(own.size) * 0.618034) % 1 - 0.5  # golden-ratio steps fill a strip evenly
        axes.plot(own, y + 0.62 * spread, ls="none", marker=mark.marker, mfc=mark.face, mec=mark.colour, ms=3, mew=0.6,
                  alpha=0.8)  # fmt: skip
        middle = float(np.nanmedian(own)) if np.isfinite(own).any() else math.nan
        axes.plot([middle, middle], [y - 0.42, y + 0.42], color=BLACK, lw=2, solid_capstyle="butt")
    axes.set_yticks(range(len(sets)), sets)
    axes.set_ylim(len(sets) - 0.5, -0.6)


def _chance(axes: Axes, frame: pl.DataFrame, relation: str) -> None:
    level = frame[f"chance_{relation}"].median()
    if isinstance(level, float) and level > 0:
        axes.axvline(level, color=GREY, lw=1, ls="dotted", zorder=0)
        axes.annotate("chance", (level, 1), xycoords=("data", "axes fraction"), xytext=(3, -2),
                      textcoords="offset points", va="top", size=7.5, color=GREY)  # fmt: skip
