"""What a command prints when a study is done, and its exit status."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from invarmr.data.latent_instruments import Verdict

__all__ = ["finish", "reasons_told", "status_of"]


def status_of(verdict: Verdict) -> int:
    """0, or 3 where the effect must not be interpreted."""
    return 0 if verdict.interpretable else 3


def reasons_told(folder: Path) -> list[str]:
    """The verdict's reasons as the archive tells them: small counts masked where the study asks for it."""
    from invarmr.archive.files import read_json

    return [str(reason) for reason in read_json(folder / "verdict.json")["reasons"]]


def finish(folder: Path, verdict: Verdict, *, quiet: bool) -> int:
    """Print the estimates, the verdict and where the report is (the path alone when quiet); return the exit status."""
    report = folder / "report.html"
    if quiet:
        print(report)
        return status_of(verdict)
    from invarmr.cli.table import print_estimates

    print_estimates(folder)
    print(f"\nverdict: {verdict.status}")
    for reason in reasons_told(folder):
        print(f"  {reason}")
    if not verdict.interpretable and not verdict.mendelian_headline:
        print("  The headline is not interpretable as a causal effect.")
    print(f"\nreport: {report}")
    return status_of(verdict)
