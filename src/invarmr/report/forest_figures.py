"""Forest plots: every estimate, every environment alone, combined and left out, and every negative control."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import blended_transform_factory

from invarmr.report.archive import Archive, EstimateRow
from invarmr.report.figures import BLACK, BLUE, GREY, PALE, VERMILLION, WIDTH, Drawing, blank_figure, draw, quiet_axes
from invarmr.report.numbers import show_effect
from invarmr.report.wording import SET_NAMES

__all__ = [
    "environment_forest",
    "estimate_forest",
    "Interval",
    "forest_axes",
    "interval_mark",
    "interval_text",
    "negative_control_forest",
    "rule",
    "span_of",
]

MARKERS = {"OLS": "o", "2SLS": "s", "LIML": "D", "Fuller": "^", "PO(V)-LIML": "P"}
ROW = 0.235  # inches
Interval = tuple[float | None, float | None, float | None]


def estimate_forest(archive: Archive) -> Drawing:
    """Draw all estimates under the name of their instrument set."""
    rows = [row for row in archive.estimates if row.estimate is not None]
    title = f"Every estimate of the effect of {archive.headline.exposure} on {archive.headline.outcome}"
    if not rows:
        return Drawing("forest", title, reason="no estimator gave a number")
    reading = (
        "each mark is an estimate with its confidence interval; the closer two sets of instruments agree, the less "
        "the answer hangs on the assumption in which they differ"
    )
    if not archive.verdict.interpretable:
        reading += ". The hollow mark is the headline that must not be interpreted"
    return draw("forest", title, reading + ".", lambda: _plot_estimates(archive, rows))


def forest_axes(n_rows: int, *, row: float = ROW) -> tuple[Figure, Axes]:
    """Leave room for names on the left and numbers on the right, whatever their length."""
    height = row * n_rows + 0.75
    figure = Figure(figsize=(WIDTH, height))
    return figure, figure.add_axes((0.315, 0.47 / height, 0.415, row * n_rows / height))


def _plot_estimates(archive: Archive, rows: Sequence[EstimateRow]) -> Figure:
    figure, axes = forest_axes(len(rows))
    span = span_of([(row.estimate, row.ci_lower, row.ci_upper) for row in rows], archive.true_effect,
                 archive.headline.ci_lower, archive.headline.ci_upper)  # fmt: skip
    close = archive.true_effect is not None and abs(archive.true_effect) < 0.3 * (span[1] - span[0])
    rule(axes, 0.0, label="no effect", style="solid", span=span, right=close and (archive.true_effect or 0.0) >= 0)
    if archive.true_effect is not None:
        rule(axes, archive.true_effect, label="true effect (simulated)", style="dashed", span=span)
    page = blended_transform_factory(figure.transFigure, axes.transData)
    for y, row in enumerate(rows):
        if y == 0 or row.instruments != rows[y - 1].instruments:
            name = SET_NAMES.get(row.instruments, row.instruments)
            axes.text(0, y, name, transform=page, ha="left", va="center", size=8)
            axes.plot([0, 1], [y - 0.5, y - 0.5], transform=page, color=PALE, lw=0.6, clip_on=False, zorder=0)
        _estimate_line(axes, y, row, span=span, interpretable=archive.verdict.interpretable)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_yticks([])
    axes.locator_params(axis="x", nbins=6)
    axes.set_xlim(*span)
    axes.set_xlabel(f"effect on {archive.headline.outcome} per unit of {archive.headline.exposure}")
    quiet_axes(axes, keep=("bottom",))
    return figure


def _estimate_line(axes: Axes, y: int, row: EstimateRow, *, span: tuple[float, float], interpretable: bool) -> None:
    colour = (BLUE if interpretable else VERMILLION) if row.headline else BLACK
    weight = "bold" if row.headline else "normal"
    if row.headline:
        axes.axhspan(y - 0.5, y + 0.5, color="#eef4f9" if interpretable else "#fbeee6", zorder=0, lw=0)
    hollow = row.headline and not interpretable
    interval_mark(axes, y, (row.estimate, row.ci_lower, row.ci_upper), span=span, colour=colour,
              marker=MARKERS.get(row.method, "o"), hollow=hollow, bold=row.headline)  # fmt: skip
    place = axes.get_yaxis_transform()
    axes.text(-0.02, y, row.method, transform=place, ha="right", va="center", weight=weight, size=8)
    text = interval_text(row.estimate, row.ci_lower, row.ci_upper, row.std_error)
    axes.text(1.03, y, text, transform=place, ha="left", va="center", weight=weight, size=8)


def interval_text(estimate: float | None, lower: float | None, upper: float | None, error: float | None) -> str:
    """An estimate and its interval as text."""
    shown, low, high = show_effect(estimate, lower, upper, error)
    return f"{shown}  ({low} to {high})" if lower is not None and upper is not None else shown


def span_of(intervals: Sequence[Interval], *others: float | None) -> tuple[float, float]:
    """Limits that show every estimate, and each interval as far as it does not squeeze the others."""
    points = [value for value, _, _ in intervals if value is not None and math.isfinite(value)]
    centres = [*points, 0.0, *(value for value in others if value is not None and math.isfinite(value))]
    low, high = min(centres), max(centres)
    reach = 0.6 * (high - low) or 1.0
    ends = [end for _, *pair in intervals for end in pair if end is not None and math.isfinite(end)]
    low = min([low, *(max(end, low - reach) for end in ends)])
    high = max([high, *(min(end, high + reach) for end in ends)])
    margin = 0.04 * (high - low)
    return low - margin, high + margin


def rule(axes: Axes, value: float, *, label: str, style: str, span: tuple[float, float], right: bool = False) -> None:
    """Draw a vertical line with its name on top."""
    axes.axvline(value, color=GREY, lw=0.9, ls=style, zorder=1)
    side, shift = ("right", 3) if right or value > span[0] + 0.75 * (span[1] - span[0]) else ("left", -3)
    axes.annotate(label, (value, 1.0), xycoords=("data", "axes fraction"), xytext=(shift, 4), ha=side, va="bottom",
                  textcoords="offset points", size=7.5, color=GREY)  # fmt: skip


def interval_mark(
    axes: Axes, y: float, values: Interval, *, span: tuple[float, float], colour: str, marker: str,
    hollow: bool = False, bold: bool = False,
) -> None:  # fmt: skip
    """Draw one estimate and its interval, cut at the limits with arrows."""
    estimate, lower, upper = values
    if lower is not None and upper is not None:
        left, right = max(lower, span[0]), min(upper, span[1])
        axes.plot([left, right], [y, y], color=colour, lw=2.2 if bold else 1.1, ls=(0, (4, 1.5)) if hollow else "-",
                  solid_capstyle="butt", zorder=2)  # fmt: skip
        for end, edge, arrow in ((lower, span[0], "<"), (upper, span[1], ">")):
            if (end < edge) if arrow == "<" else (end > edge):
                axes.plot([edge], [y], marker=arrow, color=colour, ms=5, clip_on=False, zorder=3)
    if estimate is not None:
        axes.plot([estimate], [y], marker=marker, ms=7.5 if bold else 5, mfc="white" if hollow else colour, mec=colour,
                  mew=1.4, ls="none", zorder=4)  # fmt: skip


def environment_forest(archive: Archive) -> Drawing:
    """Draw the estimate in each environment alone, and from all others when it is left out."""
    title = "The headline estimate in each environment alone, and when each is left out"
    frame = archive.environments
    if frame is None or not frame["estimate"].count() + frame["left_out_estimate"].count():
        return Drawing("environment-forest", title, reason="no estimates by environment were made")
    reading = (
        "the shaded band is the headline interval from everyone; a mark on the left that stands far from it, or a "
        "mark on the right that moves when one environment is left out, says that this environment drives the answer."
    )
    combined = _combined(archive)
    if combined:
        reading += " Diamonds combine the environments: one effect for all, and effects that vary at random."
    return draw("environment-forest", title, reading, lambda: _plot_environments(archive, frame, combined))


def _combined(archive: Archive) -> list[tuple[str, Interval]]:
    """Combined estimates with the headline's instruments, by name."""
    if archive.meta_analysis is None:
        return []
    rows = archive.meta_analysis.filter(pl.col("instruments") == archive.headline.instruments)
    return [
        (f"all, {row['model']} effects", (row["estimate"], row["ci_lower"], row["ci_upper"]))
        for row in rows.iter_rows(named=True)
    ]


def _plot_environments(archive: Archive, frame: pl.DataFrame, combined: Sequence[tuple[str, Interval]]) -> Figure:
    n_rows = frame.height + len(combined)
    figure, panels = blank_figure(ROW * n_rows + 0.95, 2, one_scale=True)
    headings = ("in this environment alone", "when this environment is left out")
    for axes, prefix, heading in zip(panels, ("", "left_out_"), headings, strict=True):
        columns = [frame[prefix + name].to_list() for name in ("estimate", "ci_lower", "ci_upper")]
        intervals: list[Interval] = list(zip(*columns, strict=True))
        own = [values for _, values in combined] if prefix == "" else []
        _environment_panel(axes, intervals, own, archive.headline)
        axes.set_title(heading)
    panels[0].set_yticks(range(n_rows), [*frame["environment"].to_list(), *(name for name, _ in combined)])
    panels[0].set_ylim(n_rows - 0.5, -0.5)
    figure.supxlabel(f"effect on {archive.headline.outcome} per unit of {archive.headline.exposure}", size=8.5)
    return figure


def _environment_panel(
    axes: Axes, intervals: Sequence[Interval], combined: Sequence[Interval], headline: EstimateRow
) -> None:
    span = span_of([*intervals, *combined, (headline.estimate, headline.ci_lower, headline.ci_upper)])
    if headline.ci_lower is not None and headline.ci_upper is not None:
        axes.axvspan(max(headline.ci_lower, span[0]), min(headline.ci_upper, span[1]), color=PALE, lw=0, zorder=0)
    if headline.estimate is not None:
        axes.axvline(headline.estimate, color=BLUE, lw=1, zorder=1)
    axes.axvline(0, color=GREY, lw=0.8, zorder=1)
    for y, values in enumerate(intervals):
        interval_mark(axes, y, values, span=span, colour=BLACK, marker="s")
    if combined:
        axes.axhline(len(intervals) - 0.5, color=PALE, lw=0.8, zorder=0)
    for y, values in enumerate(combined, start=len(intervals)):
        interval_mark(axes, y, values, span=span, colour=BLUE, marker="D", bold=True)
    axes.locator_params(axis="x", nbins=5)
    axes.set_xlim(*span)
    quiet_axes(axes, keep=("bottom",))


def negative_control_forest(archive: Archive) -> Drawing:
    """Draw every negative control with every instrument set."""
    title = "Negative controls: traits on which no effect can show"
    frame = archive.negative_controls
    if frame is None:
        return Drawing("negative-control-forest", title, reason="the study names no negative controls")
    reading = (
        "each mark is the estimated effect on a negative-control outcome, or of a negative-control exposure, with one "
        "set of instruments; the truth is 0, so a mark away from the line is bias that this set would bring to the "
        "answer too."
    )
    return draw("negative-control-forest", title, reading, lambda: _plot_controls(archive, frame))


def _plot_controls(archive: Archive, frame: pl.DataFrame) -> Figure:
    rows = frame.rows(named=True)
    lines: list[dict[str, Any] | str] = []
    for row, before in zip(rows, [None, *rows], strict=False):
        if before is None or row["control"] != before["control"]:
            lines.append(f"{row['control']}, for the {row['role']}")
        lines.append(row)
    figure, axes = forest_axes(len(lines))
    span = span_of([(row["estimate"], row["ci_lower"], row["ci_upper"]) for row in rows])
    rule(axes, 0.0, label="no effect: the truth", style="solid", span=span)
    page = blended_transform_factory(figure.transFigure, axes.transData)
    for y, line in enumerate(lines):
        if isinstance(line, str):
            axes.text(0, y, line, transform=page, ha="left", va="center", size=8, weight="bold")
            axes.plot([0, 1], [y - 0.5, y - 0.5], transform=page, color=PALE, lw=0.6, clip_on=False, zorder=0)
        else:
            _control_line(axes, y, line, span=span)
    axes.set_ylim(len(lines) - 0.5, -0.5)
    axes.set_yticks([])
    axes.locator_params(axis="x", nbins=6)
    axes.set_xlim(*span)
    roles = frame["role"].unique().to_list()
    unit = f"effect per unit of {archive.headline.exposure}" if roles == ["outcome"] else "estimated effect"
    axes.set_xlabel(unit)
    quiet_axes(axes, keep=("bottom",))
    return figure


def _control_line(axes: Axes, y: int, row: Mapping[str, Any], *, span: tuple[float, float]) -> None:
    lead = bool(row["headline"])
    values = (row["estimate"], row["ci_lower"], row["ci_upper"])
    interval_mark(axes, y, values, span=span, colour=BLUE if lead else BLACK, marker=MARKERS.get(row["method"], "o"),
                  bold=lead)  # fmt: skip
    place, weight = axes.get_yaxis_transform(), "bold" if lead else "normal"
    name = f"{SET_NAMES.get(row['instruments'], row['instruments'])}, {row['method']}"
    axes.text(-0.02, y, name, transform=place, ha="right", va="center", weight=weight, size=8)
    text = interval_text(*values, row["std_error"])
    axes.text(1.03, y, text, transform=place, ha="left", va="center", weight=weight, size=8)
