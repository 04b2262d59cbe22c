"""The table of summary-statistics layouts, written from `FORMATS` when the manual is built, so that it cannot go stale.

The directive `{summary-formats}` is replaced by a section per layout: its header, the effect allele, its source.
"""

from __future__ import annotations

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from invarmr.io import summary_formats, summary_names
from invarmr.io.summary_formats import FORMATS


def tables() -> str:
    """The table as Markdown."""
    out = ["| layout | known by | effect allele | source |", "|---|---|---|---|"]
    for entry in FORMATS:
        known = " and ".join(" or ".join(f"`{name}`" for name in names[:3]) for names in entry.requires)
        if entry.name == "OpenGWAS VCF":
            known = "a VCF with FORMAT `ES`"
        allele = entry.effect_allele if not entry.refused else f"refused: {entry.refused}"
        out.append(f"| {entry.name} | {known} | {_plain(allele)} | {_plain(entry.source)} |")
    return "\n".join(out)


def headers() -> str:
    """A header of each layout, as the tool writes it."""
    return "\n".join(f"- {entry.name}: `{entry.header}`" for entry in FORMATS)


def _plain(text: str) -> str:
    return text.replace("|", "\\|").replace("*", "\\*")


class SummaryFormats(SphinxDirective):
    """`{summary-formats}`."""

    def run(self) -> list[nodes.Node]:
        """Parse the table in place."""
        for module in (summary_formats, summary_names):
            self.env.note_dependency(module.__file__)
        return self.parse_text_to_nodes(f"{tables()}\n\n{headers()}\n")


def setup(app: Sphinx) -> dict[str, bool]:
    """Tell Sphinx."""
    app.add_directive("summary-formats", SummaryFormats)
    return {"parallel_read_safe": True}
