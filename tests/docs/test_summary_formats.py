"""The page of layouts is written from the code, and every layout is known by its own header."""

import importlib.util
from pathlib import Path

import pytest

from invarmr.errors import InputError
from invarmr.io.summary_columns import recognise
from invarmr.io.summary_formats import FORMATS

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_the_page_has_every_layout_with_its_source():
    spec = importlib.util.spec_from_file_location("summary_formats", DOCS / "summary_formats.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    table, headers = module.tables(), module.headers()
    for entry in FORMATS:
        assert f"| {entry.name} |" in table
        assert f"`{entry.header}`" in headers
        assert entry.source
        assert entry.effect_allele
    assert "{summary-formats}" in (DOCS / "methods" / "summary" / "formats.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("entry", FORMATS, ids=[entry.name for entry in FORMATS])
def test_a_layout_is_known_by_the_header_that_its_tool_writes(entry):
    if entry.name == "OpenGWAS VCF":
        return  # its columns are those that FORMAT is expanded into
    if entry.refused:
        with pytest.raises(InputError, match="does not state any allele"):
            recognise(entry.header.split(), source="a file")
        return
    for header in (entry.header.split(), entry.header.upper().split(), entry.header.lower().split()):
        found = recognise(header, source="a file")
        assert found.layout.name == entry.name
        assert set(found.columns) >= {"effect_allele"} or "variant" in found.columns
