"""Numbers as the report prints them: three significant digits, p-values never 0."""

from __future__ import annotations

import math
import re

__all__ = ["NOTHING", "show_effect", "show_many", "show_number", "show_p", "show_share"]

NOTHING = "–"
SMALLEST_P = 1e-300


def show_number(value: float | None, digits: int = 3) -> str:
    """Show a number with `digits` significant digits.

    Examples
    --------
    >>> [show_number(x) for x in (0.51234, 31.2, 20000.0, 0.0000123, -2.5e9, None, float("inf"))]
    ['0.512', '31.2', '20,000', '1.23e-5', '−2.50e9', '–', '∞']
    """
    if value is None or math.isnan(value):
        return NOTHING
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value == 0:
        return "0"
    magnitude = math.floor(math.log10(abs(float(f"{value:.{digits - 1}e}"))))
    if -4 <= magnitude < 6:
        return _true_minus(f"{value:,.{max(0, digits - 1 - magnitude)}f}")
    return _true_minus(re.sub(r"e([+-])0*", lambda sign: "e-" if sign[1] == "-" else "e", f"{value:.{digits - 1}e}"))


def show_p(value: float | None, log10: float | None = None) -> str:
    """Show a p-value; below 1e-300 from its decimal logarithm, or else as a bound: a float can hold no less.

    Examples
    --------
    >>> show_p(0.0312), show_p(1.234e-8), show_p(0.0), show_p(None), show_p(0.0, -412.345)
    ('0.0312', '1.23e-8', '< 1e-300', '–', '4.52e-413')
    """
    if value is None or math.isnan(value):
        return NOTHING
    if value < SMALLEST_P and log10 is not None and math.isfinite(log10):
        power = math.floor(log10)
        return f"{10.0 ** (log10 - power):.2f}e{power}"
    if value < SMALLEST_P:
        return "< 1e-300"
    if value < 1e-3:
        return re.sub(r"e-0*", "e-", f"{value:.2e}")
    return show_number(value)


def show_share(value: float | None) -> str:
    """Show a share of 1 in per cent.

    Examples
    --------
    >>> show_share(0.0123), show_share(0.95)
    ('1.23 %', '95 %')
    """
    if value is None:
        return NOTHING
    return f"{100 * value:.3g} %"


def show_many(count: int, noun: str) -> str:
    """Show how many there are of something.

    Examples
    --------
    >>> show_many(1, "latent instrument"), show_many(197, "latent instrument")
    ('1 latent instrument', '197 latent instruments')
    """
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def show_effect(
    estimate: float | None, lower: float | None, upper: float | None, std_error: float | None
) -> tuple[str, str, str]:
    """Show an estimate and the ends of its interval with the same number of decimals.

    As many as give the largest of them three significant digits, or more where the standard error is smaller.

    Examples
    --------
    >>> show_effect(1.0203, 0.98117, 1.05943, 0.0201)
    ('1.02', '0.98', '1.06')
    >>> show_effect(1.1964, 1.1846, 1.2082, 0.006)
    ('1.196', '1.185', '1.208')
    >>> show_effect(0.5, -math.inf, math.inf, None)
    ('0.500', '−∞', '∞')
    """
    values = (estimate, lower, upper)
    finite = [abs(value) for value in values if value is not None and math.isfinite(value)]
    largest = max(finite, default=0.0)
    needed = [2 - math.floor(math.log10(largest))] if largest > 0 else [2]
    if std_error is not None and 0 < std_error < math.inf:
        needed.append(-math.floor(math.log10(std_error)))
    decimals = max(0, *needed)
    if decimals > 6 or largest >= 1e6:
        return tuple(show_number(value) for value in values)  # type: ignore[return-value]
    return tuple(_fixed(value, decimals) for value in values)  # type: ignore[return-value]


def _fixed(value: float | None, decimals: int) -> str:
    if value is None or not math.isfinite(value):
        return show_number(value)
    text = f"{value:,.{decimals}f}"
    return text.removeprefix("-") if float(text.replace(",", "")) == 0 else _true_minus(text)


def _true_minus(text: str) -> str:
    return "−" + text[1:] if text.startswith("-") else text
