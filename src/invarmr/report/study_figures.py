"""Figures of a simulation study: boxplots of bias over seeds, and below each box how much of V leaked into W^."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from invarmr.report.figures import BLACK, GREY, PALE, STYLE, WIDTH, marks_of, quiet_axes

__all__ = ["Box", "Panel", "draw_study"]

_FARTHEST = 1.0
_PANEL_HEIGHT = 3.6  # inches


@dataclass(frozen=True)
class Box:
    """One box: its label, the group that gives it its colour, biases over seeds, and leakages (none for baselines)."""

    label: str
    group: str
    bias: Sequence[float]
    leakage: Sequence[float] = ()


@dataclass(frozen=True)
class Panel:
    """Boxes side by side under one title."""

    title: str
    boxes: Sequence[Box]


def draw_study(panels: Sequence[Panel], *, groups: Sequence[str], title: str, note: str = "") -> tuple[str, bytes]:
    """Draw panels, two in a row, as SVG and PNG; the same bytes for the same numbers.

    Parameters
    ----------
    panels
        With at least one box each.
    groups
        Every group there can be: its place decides its colour, in this figure and the next.
    title, note
        Above the figure, and below it.
    """
    colours = {name: marks.colour for name, marks in marks_of(groups).items()}
    with mpl.rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from")
        figure = _plot(panels, colours, title, note)
        svg, png = io.StringIO(), io.BytesIO()
        figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
        figure.savefig(png, format="png", dpi=150, metadata={"Software": None})
    return svg.getvalue(), png.getvalue()


def _plot(panels: Sequence[Panel], colours: dict[str, str], title: str, note: str) -> Figure:
    columns = 1 if len(panels) == 1 else 2
    rows = -(-len(panels) // columns)
    labels = max(len(box.label) for panel in panels for box in panel.boxes)
    height = _PANEL_HEIGHT + 0.055 * labels
    figure = Figure(figsize=(WIDTH, rows * height + 0.6), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left", fontsize=10, fontweight="bold")
    grid = figure.add_gridspec(2 * rows, columns, height_ratios=[3.0, 1.0] * rows)
    low, high = _limits(panels)
    for number, panel in enumerate(panels):
        row, column = divmod(number, columns)
        upper = figure.add_subplot(grid[2 * row, column])
        lower = figure.add_subplot(grid[2 * row + 1, column], sharex=upper)
        _bias(upper, panel, colours, low, high)
        _leakage(lower, panel, colours)
        if column == 0:
            upper.set_ylabel("estimate \N{MINUS SIGN} truth")
            lower.set_ylabel("R\N{SUPERSCRIPT TWO}(V | W\N{MODIFIER LETTER CIRCUMFLEX ACCENT})")
    if note:
        figure.supxlabel(note, fontsize=7.5, color=GREY)
    return figure


def _limits(panels: Sequence[Panel]) -> tuple[float, float]:
    everything = np.array([value for panel in panels for box in panel.boxes for value in box.bias] + [0.0])
    low, high = max(everything.min(), -_FARTHEST), min(everything.max(), _FARTHEST)
    room = 0.06 * (high - low) + 0.01
    return float(low - room), float(high + room)


def _bias(axes: Axes, panel: Panel, colours: dict[str, str], low: float, high: float) -> None:
    axes.axhline(0.0, color=BLACK, lw=0.8, zorder=1)
    for place, box in enumerate(panel.boxes):
        colour = colours[box.group]
        values = np.asarray(box.bias, dtype=np.float64)
        if values.size >= 5:
            axes.boxplot(
                values,
                positions=[place],
                widths=0.6,
                showfliers=False,
                boxprops={"color": colour},
                whiskerprops={"color": colour},
                capprops={"color": colour},
                medianprops={"color": colour, "lw": 1.8},
                manage_ticks=False,
                zorder=2,
            )
        inside = values[(values >= low) & (values <= high)]
        axes.plot(
            place + _aside(inside.size), inside, ls="", marker="o", ms=2.2, mew=0, color=colour, alpha=0.6, zorder=3
        )
        if beyond := values.size - inside.size:
            axes.annotate(f"{beyond} beyond", (place, high), ha="center", va="top", fontsize=6.5, color=colour)
    axes.set_ylim(low, high)
    axes.set_xlim(-0.6, len(panel.boxes) - 0.4)
    axes.set_title(panel.title)
    axes.tick_params(axis="x", bottom=False, labelbottom=False)
    quiet_axes(axes, keep=("left",))
    axes.grid(axis="y", color=PALE, lw=0.5, zorder=0)
    axes.set_axisbelow(True)


def _leakage(axes: Axes, panel: Panel, colours: dict[str, str]) -> None:
    for place, box in enumerate(panel.boxes):
        values = np.asarray(box.leakage, dtype=np.float64)
        if values.size == 0:
            continue
        axes.plot(
            place + _aside(values.size), values, ls="", marker="o", ms=2.2, mew=0, color=colours[box.group], alpha=0.6
        )
        axes.plot([place - 0.3, place + 0.3], [np.median(values)] * 2, color=colours[box.group], lw=1.8)
    axes.set_ylim(-0.03, 1.03)
    axes.set_yticks([0, 0.5, 1])
    axes.set_xticks(range(len(panel.boxes)), [box.label for box in panel.boxes], rotation=90, fontsize=7)
    for label, box in zip(axes.get_xticklabels(), panel.boxes, strict=True):
        label.set_color(colours[box.group])
    quiet_axes(axes)
    axes.grid(axis="y", color=PALE, lw=0.5)


def _aside(count: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Where points beside each other stand, in the order of the seeds."""
    return np.linspace(-0.18, 0.18, count) if count > 1 else np.zeros(count)
