"""What all figures share: palette, type, and the way to a small, deterministic SVG with real text.

Colours are those of Okabe and Ito; whatever colour says, a marker, a fill or a place says too, so that nothing is lost
in print without colour.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import matplotlib as mpl
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

__all__ = [
    "BLACK", "BLUE", "GREEN", "GREY", "ORANGE", "PALE", "VERMILLION", "WIDTH", "Drawing", "Marks", "blank_figure",
    "draw", "log_scale", "marks_of", "quiet_axes",
]  # fmt: skip

BLACK, GREY, PALE = "#1b1b1b", "#6b6b6b", "#d9d9d9"
BLUE, VERMILLION, GREEN, ORANGE, PURPLE, SKY = "#0072b2", "#d55e00", "#009e73", "#e69f00", "#cc79a7", "#56b4e9"
OLIVE = "#8c7b00"  # stands for the palette's yellow, which is too pale on white
WIDTH = 7.6  # inches, the width of the text column

FAMILY = "'DejaVu Sans', sans-serif"  # as matplotlib writes it; always installed with it, so sizes never change

STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "invarmr",
    "text.parse_math": False,
    "axes.unicode_minus": True,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 8.5,
    "axes.labelsize": 8.5,
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.linewidth": 0.6,
    "axes.edgecolor": GREY,
    "axes.labelcolor": BLACK,
    "text.color": BLACK,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": BLACK,
    "ytick.labelcolor": BLACK,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "lines.linewidth": 1.2,
}


@dataclass(frozen=True)
class Drawing:
    """A figure ready for the page, or the reason why it is not there.

    Parameters
    ----------
    slug
        Its id on the page.
    title
        What it shows; also read aloud by screen readers.
    reading
        How to read it, one sentence.
    svg
        The picture; None where it is not available.
    reason
        Why it is not available.
    """

    slug: str
    title: str
    reading: str = ""
    svg: Markup | None = None
    reason: str = ""


@dataclass(frozen=True)
class Marks:
    """Colour, shape and fill of one group of points."""

    colour: str
    marker: str
    hollow: bool = False

    @property
    def face(self) -> str:
        """Colour of the inside."""
        return "white" if self.hollow else self.colour


def marks_of(groups: Sequence[str]) -> dict[str, Marks]:
    """Give each group its own pair of colour and shape; filled first, hollow when the shapes are used up."""
    colours = (BLUE, VERMILLION, GREEN, ORANGE, PURPLE, SKY, OLIVE, BLACK, GREY)
    markers = "os^DvP*X"
    return {
        name: Marks(colours[k % len(colours)], markers[k % len(markers)], hollow=(k // len(markers)) % 2 == 1)
        for k, name in enumerate(groups)
    }


def blank_figure(
    height: float, columns: int = 1, *, width: float = WIDTH, one_scale: bool = False
) -> tuple[Figure, list[Axes]]:
    """Start a figure with `columns` axes beside each other, with one vertical scale if asked; sizes in inches."""
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(1, columns, squeeze=False, sharey=one_scale)
    return figure, list(axes[0])


def quiet_axes(axes: Axes, *, keep: Sequence[str] = ("bottom", "left")) -> None:
    """Leave only the spines that carry a scale."""
    for side, spine in axes.spines.items():
        spine.set_visible(side in keep)
    axes.tick_params(length=3, width=0.6)
    if "left" not in keep:
        axes.tick_params(axis="y", length=0)


def log_scale(axes: Axes, side: Literal["x", "y"], *, per_cent: bool = False) -> None:
    """Make one side logarithmic, with powers of ten written out."""
    if side == "x":
        axes.set_xscale("log")
    else:
        axes.set_yscale("log")
    axis, (low, high) = (axes.xaxis, axes.get_xlim()) if side == "x" else (axes.yaxis, axes.get_ylim())
    if high < 50 * low:  # powers of ten alone would leave one label or none
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g} %" if per_cent else f"{value:g}"))


def draw(slug: str, title: str, reading: str, plot: Callable[[], Figure]) -> Drawing:
    """Run `plot` in the report's style and keep what it drew as inline SVG."""
    with mpl.rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from")  # the reader's browser draws the text
        figure = plot()
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return Drawing(slug, title, reading, _inline(buffer.getvalue(), slug, title, reading))


def _inline(text: str, slug: str, title: str, reading: str) -> Markup:
    """Make a matplotlib SVG part of a page: no header, ids of its own, the page's typeface, short numbers."""
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    text = text.replace("xlink:href=", "href=")
    text = _short_ids(text, slug)
    text = re.sub(r"<[^>]*>", _short_tag, text)
    text = re.sub(r">\s+<", "><", text)
    text = re.sub(r'<use [^>]*? style="([^"]*)"/>(?:<use [^>]*? style="\1"/>)+', _said_once, text)
    box = re.search(r'viewBox="([^"]*)"', text)
    body = text[text.index(">") + 1 :]
    limits = box[1] if box else ""
    share = float(limits.split()[2]) / (72 * WIDTH) if box else 1.0
    narrow = f' style="min-width:0;max-width:{100 * share:.0f}%"' if share < 0.99 else ""
    opening = (
        f'<svg class="drawing" viewBox="{limits}"{narrow} role="img" '
        f'aria-labelledby="{slug}-title {slug}-reading">'
        f'<title id="{slug}-title">{escape(title)}</title><desc id="{slug}-reading">{escape(reading)}</desc>'
    )
    return Markup(opening + body)  # drawn here; the two texts are escaped


def _short_tag(tag: re.Match[str]) -> str:
    """Cut coordinates to hundredths of a point, and leave the typeface to the page."""
    short = re.sub(r"(-?\d+\.\d{2})\d+", r"\1", tag[0])
    return short.replace(f"font-family: {FAMILY}; ", "").replace(FAMILY, "var(--sans)")


def _said_once(run: re.Match[str]) -> str:
    """Say the style of a run of equal marks once, for all of them."""
    return f'<g style="{run[1]}">' + run[0].replace(f' style="{run[1]}"', "") + "</g>"


def _short_ids(text: str, slug: str) -> str:
    """Drop ids that nothing refers to, and number the others under the figure's own name."""
    used = re.findall(r'(?:href="#|url\(#)([^")]+)', text)
    names = {name: f"{slug}-{number}" for number, name in enumerate(dict.fromkeys(used))}
    text = re.sub(r'(href="#|url\(#)([^")]+)', lambda found: found[1] + names[found[2]], text)
    return re.sub(r' id="([^"]*)"', lambda found: f' id="{names[found[1]]}"' if found[1] in names else "", text)
