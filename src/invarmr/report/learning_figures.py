"""Figures of learning: which directions were kept, what that did to invariance, and what the latent instruments are."""

from __future__ import annotations

import numpy as np
import polars as pl
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from invarmr.arrays import FloatArray
from invarmr.report.archive import Archive
from invarmr.report.figures import (
    BLACK,
    BLUE,
    GREY,
    PALE,
    VERMILLION,
    WIDTH,
    Drawing,
    blank_figure,
    draw,
    log_scale,
    quiet_axes,
)
from invarmr.report.numbers import show_many
from invarmr.report.structure_figures import SET_MARKS, log_floor

__all__ = ["eigenvalue_plot", "invariance_plot", "loading_plot", "loading_values"]

SMALL = 30


def eigenvalue_plot(archive: Archive) -> Drawing:
    """Draw how much each direction varies between environments, and where the line was drawn."""
    title = "How much each direction of the instruments differs between environments"
    if archive.eigenvalues is None:
        return Drawing("eigenvalues", title, reason="no latent instruments were learned by a linear method in this run")
    frame = archive.eigenvalues.sort("direction")
    reading = (
        "filled marks left of the line were kept as latent instruments, hollow ones right of it differ too much "
        "between environments and were set aside; a wide step at the line is a clear decision."
    )
    return draw("eigenvalues", title, reading, lambda: _plot_eigenvalues(frame))


def _plot_eigenvalues(frame: pl.DataFrame) -> Figure:
    figure, (axes,) = blank_figure(2.5)
    direction = frame["direction"].to_numpy()
    values, _ = log_floor(frame["eigenvalue"].to_numpy().astype(np.float64), smallest=1e-12)
    kept = frame["kept"].fill_null(False).to_numpy()
    size = 5 if len(values) <= SMALL else 3
    for chosen, marker, colour, label in ((kept, "o", BLUE, "kept"), (~kept, "s", VERMILLION, "set aside")):
        axes.plot(direction[chosen], values[chosen], ls="none", marker=marker, ms=size, mec=colour,
                  mfc=colour if label == "kept" else "white", label=f"{label} ({int(chosen.sum())})")  # fmt: skip
    border = int(kept.sum()) + 0.5
    axes.axvline(border, color=BLACK, lw=0.9, ls="dashed")
    axes.annotate(show_many(int(kept.sum()), "latent instrument"), (border, 0.97), xycoords=("data", "axes fraction"),
                  xytext=(-4 if border > len(values) / 2 else 4, 0), textcoords="offset points", size=8, va="top",
                  ha="right" if border > len(values) / 2 else "left")  # fmt: skip
    log_scale(axes, "y")
    axes.set_xlabel("direction, from the most to the least invariant")
    axes.set_ylabel("eigenvalue (log scale)")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(loc="center right" if border < len(values) / 2 else "upper left")
    quiet_axes(axes)
    return figure


def invariance_plot(archive: Archive) -> Drawing:
    """Draw the sorted shares of variance that environment labels explain, before and after learning."""
    title = "Invariance before and after learning"
    frame = archive.balance
    if frame is None or not frame["r2_environment"].count():
        return Drawing("invariance", title, reason="invariance on held-out people was not measured in this run")
    reading = (
        "each line sorts the instruments by how much environment labels tell of them in held-out people; after "
        "learning the line should lie around the level of chance."
    )
    return draw("invariance", title, reading, lambda: _plot_invariance(frame))


def _plot_invariance(frame: pl.DataFrame) -> Figure:
    figure, (axes,) = blank_figure(2.6)
    shares, _ = log_floor(frame["r2_environment"].to_numpy().astype(np.float64))
    labels = frame["set"].to_numpy()
    for name, mark in SET_MARKS.items():
        own = np.sort(shares[(labels == name) & np.isfinite(shares)])[::-1]
        if own.size:
            few = own.size <= SMALL
            axes.plot(np.arange(1, own.size + 1), own, color=mark.colour, marker=mark.marker if few else "", ms=5,
                      mfc=mark.face, lw=0.8 if few else 1.8, ls=(0, (5, 1.5)) if mark.hollow else "-",
                      label=f"{name} instruments ({own.size})")  # fmt: skip
    chance = frame["chance_environment"].median()
    if isinstance(chance, float) and chance > 0:
        axes.axhline(chance, color=GREY, ls="dotted", lw=1.2, label="expected by chance")
    log_scale(axes, "y", per_cent=True)
    axes.set_xlabel("instruments, from the least to the most invariant")
    axes.set_ylabel("share explained (log scale)")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(loc="upper right")
    quiet_axes(axes)
    return figure


def loading_values(loadings: pl.DataFrame) -> tuple[list[str], FloatArray]:
    """The latent columns of `loadings.tsv`: their names, and the (variants, latent) matrix with 0 for empty fields."""
    names = [name for name in loadings.columns if name.startswith("latent")]
    return names, loadings.select(names).fill_null(0.0).to_numpy().astype(np.float64)


def loading_plot(archive: Archive) -> Drawing:
    """Draw the loadings themselves where they are few, else how evenly the variants carry the latent instruments."""
    title = "What the latent instruments are made of"
    loadings = archive.loadings
    if loadings is None or not loading_values(loadings)[0]:
        return Drawing("loadings", title, reason="no latent instruments were kept, or the learner has no loadings")
    if loadings.height <= SMALL:
        reading = (
            "a square is the weight of one instrument in one latent instrument: its area the size, filled for positive "
            "and hollow for negative."
        )
        return draw("loadings", title, reading, lambda: _plot_squares(loadings))
    reading = (
        "variants sorted by their share of all squared loadings; a line near the dotted one means that every variant "
        "carries about as much, a steep start that few variants carry the result."
    )
    return draw("loadings", title, reading, lambda: _plot_shares(loadings))


def _plot_squares(loadings: pl.DataFrame) -> Figure:
    names, weights = loading_values(loadings)
    names, weights = names[:SMALL], weights[:, :SMALL]
    rows, columns = weights.shape
    figure, (axes,) = blank_figure(0.24 * rows + 0.7, width=min(WIDTH, 2.0 + 0.28 * columns))
    side = np.sqrt(np.abs(weights) / (np.abs(weights).max() or 1.0))
    for row, column in np.ndindex(rows, columns):
        half = 0.45 * side[row, column]
        positive = weights[row, column] > 0
        axes.fill(column + half * np.array([-1, 1, 1, -1]), row + half * np.array([-1, -1, 1, 1]),
                  fc=BLUE if positive else "white", ec=BLUE if positive else VERMILLION, lw=0.9)  # fmt: skip
    axes.set_xticks(range(columns), [str(k + 1) for k in range(columns)])
    axes.set_yticks(range(rows), loadings["variant"].to_list())
    axes.set_xlim(-0.6, columns - 0.4)
    axes.set_ylim(rows - 0.4, -0.6)
    axes.set_xlabel("latent instrument")
    axes.set_aspect("equal")
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_color(PALE)
    return figure


def _plot_shares(loadings: pl.DataFrame) -> Figure:
    squared = np.sum(loading_values(loadings)[1] ** 2, axis=1)
    share = np.sort(squared / (squared.sum() or 1.0))[::-1]
    figure, (axes,) = blank_figure(2.2)
    place = np.arange(1, share.size + 1)
    axes.fill_between(place, 0, share, color=BLUE, alpha=0.25, lw=0, step="mid")
    axes.step(place, share, where="mid", color=BLUE, lw=1.2)
    axes.axhline(1 / share.size, color=GREY, ls="dotted", lw=1.2)
    axes.annotate("all variants alike", (share.size, 1 / share.size), xytext=(0, 3), textcoords="offset points",
                  ha="right", size=7.5, color=GREY)  # fmt: skip
    axes.set_xlim(1, share.size)
    axes.set_ylim(0, None)
    axes.set_xlabel("variants, from the largest share")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g} %"))
    axes.set_ylabel("share of squared loadings")
    quiet_axes(axes)
    return figure
