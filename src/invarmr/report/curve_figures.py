"""Curves: the p-value of every value of the effect, and estimates against the number of principal components."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from invarmr.report.archive import Archive
from invarmr.report.figures import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    PALE,
    VERMILLION,
    WIDTH,
    Drawing,
    blank_figure,
    draw,
    quiet_axes,
)
from invarmr.report.forest_figures import Interval, span_of
from invarmr.report.numbers import show_share
from invarmr.report.wording import SET_NAMES

__all__ = ["component_count_plot", "effect_curve_plot"]


@dataclass(frozen=True)
class _Line:
    colour: str
    style: str
    marker: str = ""
    hollow: bool = False
    width: float = 1.3


TESTS: Mapping[str, tuple[str, str, _Line]] = {
    "Anderson-Rubin": ("anderson_rubin_p", "Anderson-Rubin", _Line(VERMILLION, "dashed")),
    "conditional likelihood ratio": (
        "conditional_likelihood_ratio_p",
        "conditional likelihood ratio",
        _Line(BLUE, "solid", width=2.6),
    ),
    "Wald": ("wald_p", "Wald", _Line(BLACK, "dotted", width=1.4)),
}
SERIES: Mapping[tuple[str, str], _Line] = {
    ("none", "OLS"): _Line(GREY, "dotted", "o", hollow=True),
    ("observed", "2SLS"): _Line(VERMILLION, "dashed", "s", hollow=True),
    ("observed", "LIML"): _Line(VERMILLION, "solid", "o"),
    ("observed+environment", "LIML"): _Line(GREEN, "dashdot", "^"),
    ("learned", "LIML"): _Line(BLUE, "solid", "D", width=2.0),
}


def effect_curve_plot(archive: Archive) -> Drawing:
    """Draw the p-values of three tests against the value of the effect, with the sets they give."""
    title = "Every value of the effect, and how well the data bear it"
    if archive.effect_curve is None or archive.confidence_sets is None:
        return Drawing("effect-curve", title, reason="there is no error variance to test against, or an older run")
    curve, sets = archive.effect_curve, archive.confidence_sets
    reading = (
        "a value of the effect is rejected where a curve lies below the horizontal line; the bars are the values that "
        "are not. The Anderson-Rubin and the conditional likelihood ratio test hold their level however weak the "
        "instruments are; where they agree with the Wald curve, strength is no worry. The peak of the Anderson-Rubin "
        "curve falls below 1 as the instruments disagree"
    )
    if not archive.verdict.interpretable:
        reading += ". The verdict says that these values must not be read as effects"
    return draw("effect-curve", title, reading + ".", lambda: _plot_curve(archive, curve, sets))


def _plot_curve(archive: Archive, curve: pl.DataFrame, sets: pl.DataFrame) -> Figure:
    figure = Figure(figsize=(WIDTH, 3.6), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    values = curve["value"].to_numpy()
    span = float(values[0]), float(values[-1])
    level = float(sets["level"][0])
    for column, name, line in TESTS.values():
        upper.plot(values, curve[column].to_numpy(), color=line.colour, ls=line.style, lw=line.width, label=name)
    upper.axhline(1 - level, color=BLACK, lw=0.7)
    upper.annotate(f"{1 - level:.2g}", (1.0, 1 - level), xycoords=("axes fraction", "data"), xytext=(3, 0), va="center",
                   textcoords="offset points", size=7.5, color=GREY)  # fmt: skip
    _marks(upper, archive, span)
    upper.set_ylim(0, 1.02)
    upper.set_ylabel("p-value")
    figure.legend(loc="outside upper left", ncols=3)
    quiet_axes(upper)
    upper.tick_params(axis="x", labelbottom=False)
    for y, (test, (_, _, line)) in enumerate(TESTS.items()):
        for low, high in sets.filter(pl.col("test") == test).select("lower", "upper").iter_rows():
            _bar(lower, y, (low, high), span=span, line=line)
    lower.set_yticks(range(len(TESTS)), [f"{test}, {show_share(level)} set" for test in TESTS])
    lower.set_ylim(len(TESTS) - 0.5, -0.5)
    lower.set_xlim(*span)
    lower.set_xlabel(f"effect on {archive.headline.outcome} per unit of {archive.headline.exposure}")
    quiet_axes(lower, keep=("bottom",))
    return figure


def _marks(axes: Axes, archive: Archive, span: tuple[float, float]) -> None:
    """No effect, and the simulated effect, where they lie in the picture."""
    for value, name, style in ((0.0, "no effect", "solid"), (archive.true_effect, "true effect (simulated)", "dashed")):
        if value is not None and span[0] <= value <= span[1]:
            axes.axvline(value, color=GREY, lw=0.9, ls=style, zorder=1)
            axes.annotate(name, (value, 1.0), xycoords="data", xytext=(-2, 0), textcoords="offset points", rotation=90,
                          size=7.5, color=GREY, va="top", ha="right")  # fmt: skip


def _bar(
    axes: Axes, y: float, ends: tuple[float | None, float | None], *, span: tuple[float, float], line: _Line
) -> None:
    low, high = ends
    if low is None or high is None:
        axes.text(sum(span) / 2, y, "empty: no value is borne", ha="center", va="center", size=7.5, color=line.colour)
        return
    left, right = max(low, span[0]), min(high, span[1])
    if left > right:
        return
    axes.plot([left, right], [y, y], color=line.colour, lw=4, solid_capstyle="butt")
    for end, edge, arrow in ((low, span[0], "<"), (high, span[1], ">")):
        if (end < edge) if arrow == "<" else (end > edge):
            axes.plot([edge], [y], marker=arrow, color=line.colour, ms=6, clip_on=False)


def component_count_plot(archive: Archive) -> Drawing:
    """Draw the estimates against the number of principal components that are partialled out."""
    title = "Estimates against the number of principal components held fixed"
    frame = archive.component_counts
    if frame is None:
        return Drawing("component-counts", title, reason="the study has no principal components")
    reading = (
        "an estimate that moves as components are added leans on them to describe ancestry; one that stays where it is "
        "does not need them. The shaded band is the headline interval."
    )
    return draw("component-counts", title, reading, lambda: _plot_counts(archive, frame))


def _plot_counts(archive: Archive, frame: pl.DataFrame) -> Figure:
    figure, (axes,) = blank_figure(3.3)
    headline = archive.headline
    intervals: list[Interval] = list(frame.select("estimate", "ci_lower", "ci_upper").iter_rows())
    span = span_of([*intervals, (headline.estimate, headline.ci_lower, headline.ci_upper)], archive.true_effect)
    if headline.ci_lower is not None and headline.ci_upper is not None:
        axes.axhspan(max(headline.ci_lower, span[0]), min(headline.ci_upper, span[1]), color=PALE, lw=0, zorder=0)
    shown = [key for key in SERIES if frame.filter(instruments=key[0], method=key[1]).height]
    for place, key in enumerate(shown):
        _count_line(axes, frame.filter(instruments=key[0], method=key[1]), key, shift=0.07 * (place - len(shown) / 2))
    for value, name, style in ((0.0, "no effect", "solid"), (archive.true_effect, "true effect (simulated)", "dashed")):
        if value is not None:
            axes.axhline(value, color=GREY, lw=0.9, ls=style, zorder=1)
            axes.annotate(name.replace(" (", "\n("), (1, value), xycoords=("axes fraction", "data"), xytext=(4, 0),
                          va="center", textcoords="offset points", size=7.5, color=GREY)  # fmt: skip
    largest = int(frame["n_components"].max() or 0)  # type: ignore[arg-type]  # whole numbers
    axes.set_xticks(range(0, largest + 1, max(1, math.ceil(largest / 12))))
    axes.set_xlim(-0.5, largest + 0.5)
    axes.set_ylim(*span)
    axes.set_xlabel("principal components held fixed")
    axes.set_ylabel(f"effect on {headline.outcome}\nper unit of {headline.exposure}")
    figure.legend(loc="outside upper left", ncols=3)
    quiet_axes(axes)
    return figure


def _count_line(axes: Axes, rows: pl.DataFrame, key: tuple[str, str], *, shift: float) -> None:
    line = SERIES[key]
    x, y = rows["n_components"].to_numpy() + shift, rows["estimate"].to_numpy()
    lower, upper = rows["ci_lower"].to_numpy(), rows["ci_upper"].to_numpy()
    axes.vlines(x, lower, upper, color=line.colour, lw=0.8, zorder=2)
    axes.plot(x, y, color=line.colour, ls=line.style, lw=line.width, marker=line.marker, ms=4.5, mec=line.colour,
              mfc="white" if line.hollow else line.colour, zorder=3,
              label=f"{SET_NAMES.get(key[0], key[0])}, {key[1]}")  # fmt: skip
