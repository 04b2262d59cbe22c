"""Figure of sensitivity: what remains of the effect if the instruments carried part of the confounder."""

from __future__ import annotations

import polars as pl
from matplotlib.figure import Figure

from invarmr.report.archive import Archive
from invarmr.report.figures import (
    BLACK,
    BLUE,
    GREY,
    PALE,
    VERMILLION,
    Drawing,
    blank_figure,
    draw,
    log_scale,
    quiet_axes,
)
from invarmr.report.numbers import show_share

__all__ = ["sensitivity_plot"]


def sensitivity_plot(archive: Archive) -> Drawing:
    """Draw the range of the estimate, and of its interval, against the strength of the confounder."""
    title = "What would remain of the effect if the latent instruments carried part of the confounder"
    if archive.sensitivity is None:
        return Drawing("sensitivity", title, reason="no latent instruments were learned in this run")
    frame = archive.sensitivity.sort("strength")
    share = show_share(frame["confounder_share"][0])
    reading = (
        "the dark band is where the estimate could lie, the pale one its interval, if a confounder that explains "
        f"{share} of the error of the outcome explained as much of the instruments as the axis says. Where the pale "
        "band reaches the line of no effect, the conclusion is lost."
    )
    return draw("sensitivity", title, reading, lambda: _plot(archive, frame))


def _plot(archive: Archive, frame: pl.DataFrame) -> Figure:
    figure, (axes,) = blank_figure(2.6)
    shown = frame.filter(pl.col("strength") > 0)
    strength = shown["strength"].to_numpy()
    axes.fill_between(strength, shown["ci_lower"].to_numpy(), shown["ci_upper"].to_numpy(), color=PALE, lw=0)
    axes.fill_between(strength, shown["lower"].to_numpy(), shown["upper"].to_numpy(), color=BLUE, alpha=0.35, lw=0)
    axes.axhline(0.0, color=BLACK, lw=0.8)
    axes.axhline(frame["lower"][0], color=GREY, lw=0.8, ls="dotted")
    needed = float(frame["needed"][0])
    if strength[0] <= needed <= strength[-1]:
        axes.axvline(needed, color=VERMILLION, lw=1.0, ls="dashed")
        axes.annotate(f"interval reaches no effect at {100 * needed:.2g} %", (needed, 0.97),
                      xycoords=("data", "axes fraction"), xytext=(-4, 0), textcoords="offset points", size=8, va="top",
                      ha="right")  # fmt: skip
    log_scale(axes, "x")
    axes.set_xlim(strength[0], strength[-1])
    axes.set_xlabel("share of the instruments' variance that the confounder explains (log scale)")
    axes.set_ylabel(f"effect on {archive.headline.outcome}")
    quiet_axes(axes)
    return figure
