"""The manual against the code: what is shown must exist, and what exists must be shown."""

import importlib.util
import re
import tomllib
from pathlib import Path

import pytest

import invarmr
from invarmr.archive.schema import FILES
from invarmr.study.config import StudyConfig

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
METHOD_PAGES = sorted((DOCS / "methods").glob("*.md"))
PAGES = [ROOT / "README.md", *(page for page in sorted(DOCS.rglob("*.md")) if "_build" not in page.parts)]


def load(name):
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read(path):
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def runner():
    import sys

    spec = importlib.util.spec_from_file_location("run_examples", DOCS / "run_examples.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["run_examples"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    yield module
    del sys.modules["run_examples"]


def test_readme_opens_with_two_commands(runner):
    first = runner.blocks_of(read(ROOT / "README.md"))[0]
    assert first.language == "console"
    assert first.text.splitlines() == ["$ make demo", "$ make test"]


def test_the_two_commands_are_targets():
    targets = re.findall(r"^([a-z]+):", read(ROOT / "Makefile"), flags=re.MULTILINE)
    assert {"demo", "test"} <= set(targets)


def test_every_study_key_has_a_row_with_a_meaning():
    found = {(section, key): meaning for section, key, _, _, meaning in load("study_file").rows()}
    wanted = {
        (section, key)
        for section, field in StudyConfig.model_fields.items()
        for model in (field.annotation, *getattr(field.annotation, "__args__", ()))
        for key in getattr(model, "model_fields", ())
    }
    assert set(found) == wanted
    assert [place for place, meaning in found.items() if not meaning] == []


def test_meanings_name_keys_that_exist():
    module = load("study_file")
    assert set(module.MEANINGS) <= {(section, key) for section, key, *_ in module.rows()}
    assert "{study-file}" in read(DOCS / "study-file.md")


def test_study_files_shown_are_valid(runner, tmp_path):
    shown = [block.text for page in PAGES for block in runner.blocks_of(read(page)) if block.language == "toml"]
    assert shown
    for text in shown:
        tomllib.loads(text)
        (tmp_path / "study.toml").write_text(text, encoding="utf-8")
        StudyConfig.from_toml(tmp_path / "study.toml")


def test_every_name_of_the_front_door_has_an_entry():
    entries = re.findall(r"^\.\. (?:auto\w+|data):: (\w+)", read(DOCS / "api.md"), flags=re.MULTILINE)
    assert sorted(entries) == sorted(invarmr.__all__)


def test_every_output_is_in_the_archive_page():
    page = read(DOCS / "archive.md")
    assert [name for name in FILES if f"`{name}`" not in page] == []


@pytest.mark.parametrize("page", METHOD_PAGES, ids=lambda page: page.stem)
def test_method_page_has_its_parts(page, runner):
    text = read(page)
    for part in ("## Assumes", "## When not to use", "## Symbols and code", "## References"):
        assert part in text, part
    assert any(block.language == "python" for block in runner.blocks_of(text))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_page_names_files_that_exist(page):
    rooms = "cli|study|report|diagnostics|instruments|estimators|inference|simulate|genetics|io|data|linalg"
    named = re.findall(rf"`((?:{rooms})/\w+\.py)`", read(page))
    assert [name for name in named if not (ROOT / "src" / "invarmr" / name).exists()] == []


def test_readme_links_exist():
    links = re.findall(r"\]\((?!http)([^)#]+)", read(ROOT / "README.md"))
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_references_agree_with_the_bibliography():
    years = re.findall(r"year = \{(\d{4})\}", read(DOCS / "references.bib"))
    shown = re.findall(r"^- .*?\((\d{4})\)", read(DOCS / "references.md"), flags=re.MULTILINE)
    assert shown == years


def test_citation_file():
    text = read(ROOT / "CITATION.cff")
    for key in ("cff-version: 1.2.0", "message:", "title: invarmr", "authors:", f"version: {invarmr.__version__}"):
        assert key in text
    assert "arXiv:2602.19782" in text
    yaml = pytest.importorskip("yaml")
    content = yaml.safe_load(text)
    assert content["type"] == "software"
    assert content["license"] == "MIT"
    paper = content["preferred-citation"]
    assert [person["family-names"] for person in paper["authors"]] == ["Huang", "Robinson", "Locatello"]
    assert paper["year"] == 2026


def test_changelog_has_this_version():
    assert f"## [{invarmr.__version__}]" in read(ROOT / "CHANGELOG.md")


@pytest.mark.parametrize(
    ("printed", "shown", "agree"),
    [
        ("effect 1.0091  (se 0.0168)", "effect 1.0092 (se 0.0168)", True),
        ("effect 1.0091", "effect 1.0095", False),
        ("200 people", "201 people", False),
        ("took 2.1 s", "took 9.9 s", True),
        ("p 3e-16", "p 4e-16", True),
        ("p 3e-16", "p 3e-10", False),
        ("a\nb\nc", "a\n...\nc", True),
        ("a\nb\nc", "a\n...", True),
        ("a\nb\nc", "a\n...\nd", False),
        ("a\nb", "a", False),
        ("a", "a\nb", False),
        ("verdict: weak", "verdict: identified", False),
    ],
)
def test_shown_output_is_compared(runner, printed, shown, agree):
    assert (runner.differences(printed, shown) == "") is agree


def test_failures_name_file_and_line(runner, tmp_path, monkeypatch):
    page = tmp_path / "page.md"
    page.write_text("Text.\n\n```python\nx = 1\nraise ValueError('no')\n```\n", encoding="utf-8")
    monkeypatch.setattr(runner, "ROOT", tmp_path)
    ran, failures = runner.run_page(page)
    assert (ran, failures) == (1, ["page.md:5: ValueError: no"])
    page.write_text("```python\nprint(1)\n```\n\n```text\n2\n```\n", encoding="utf-8")
    assert runner.run_page(page)[1][0].startswith("page.md:6: the output differs")
