"""Run every example of the manual, and compare what it prints with what the page shows.

Pages: `README.md`, every `docs/**/*.md`, every `examples/*.py`. On a page,

* a `python` block runs; all blocks of a page share one namespace and one empty working directory;
* a `console` block followed by a `text` block runs too: its lines that begin with `$ ` go to the shell, one by one;
* a `text` block right after either is what must be printed. Words must be equal, white space between them aside.
  Numbers may differ by one unit of the last digit shown (libraries of linear algebra differ in the last bits), seconds
  (`2.1 s`) by anything, and a line that is `...` stands for any lines.

A page may be given as argument; without one all of them run. Exit status 1 names file and line of every failure.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FENCE = re.compile(r"^(`{3,})\s*([^\s`]*)\s*$")
NUMBER = re.compile(r"-?\d+(?:,\d{3})*(?:\.\d+)?(?:e[+-]?\d+)?")
SECONDS = re.compile(r"\d+(?:\.\d+)? s\b")


@dataclass(frozen=True)
class Block:
    """One fenced block: its language, the line its content begins at, its content, and where it ends."""

    language: str
    line: int
    text: str
    end: int


@dataclass(frozen=True)
class Example:
    """Code, and what it must print (None: anything)."""

    code: Block
    shown: Block | None


def blocks_of(text: str) -> list[Block]:
    """All fenced blocks of a Markdown page."""
    found, fence, language, start, content = [], "", "", 0, []
    for number, line in enumerate(text.splitlines(), start=1):
        match = FENCE.match(line)
        if not fence and match:
            fence, language, start, content = match[1], match[2], number + 1, []
        elif fence and line.strip() == fence:
            found.append(Block(language, start, "\n".join(content) + "\n", number))
            fence = ""
        elif fence:
            content.append(line)
    return found


def examples_of(text: str) -> Iterator[Example]:
    """The blocks that run, each with the `text` block right after it, where there is one."""
    lines, blocks = text.splitlines(), blocks_of(text)
    for block, after in pairwise([*blocks, None]):
        gap = [] if after is None else lines[block.end : after.line - 2]
        shown = after if after is not None and after.language == "text" and not any(map(str.strip, gap)) else None
        if block.language == "python" or (block.language == "console" and shown is not None):
            yield Example(block, shown)


def differences(printed: str, shown: str) -> str:
    """What differs between the printed and the shown text, in words; empty where they agree."""
    have = [line for line in map(_squeeze, printed.splitlines()) if line]
    want = [line for line in map(_squeeze, shown.splitlines()) if line]
    place = 0
    for number, line in enumerate(want):
        if line == "...":
            rest = want[number + 1 :]
            place = next((i for i in range(place, len(have) + 1) if not rest or _agree(have[i : i + 1], rest[0])), None)
            if place is None:
                return f"after '...' no line was printed like: {rest[0]}"
            continue
        if not _agree(have[place : place + 1], line):
            return f"shown:   {line}\n    printed: {have[place] if place < len(have) else '(nothing more)'}"
        place += 1
    if place < len(have) and (not want or want[-1] != "..."):
        return f"printed but not shown: {have[place]}"
    return ""


def _squeeze(line: str) -> str:
    return SECONDS.sub("0 s", " ".join(line.split()))


def _agree(have: list[str], want: str) -> bool:
    if not have:
        return False
    if have[0] == want:
        return True
    if NUMBER.sub("#", have[0]) != NUMBER.sub("#", want):
        return False
    numbers = zip(NUMBER.findall(have[0]), NUMBER.findall(want), strict=True)
    return all(_close(printed, shown) for printed, shown in numbers)


def _close(printed: str, shown: str) -> bool:
    mantissa, _, exponent = shown.replace(",", "").partition("e")
    if "." not in mantissa and not exponent:
        return printed == shown
    unit = 10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2]))
    return abs(float(printed.replace(",", "")) - float(shown.replace(",", ""))) <= 1.01 * unit


def run_page(path: Path) -> tuple[int, list[str]]:
    """Run the examples of one page; how many ran, and the failures in words."""
    name = path.relative_to(ROOT)
    text = path.read_text(encoding="utf-8")
    examples = [Example(Block("python", 1, text, 0), None)] if path.suffix == ".py" else list(examples_of(text))
    failures: list[str] = []
    namespace: dict[str, object] = {"__name__": "__main__"}
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            for example in examples:
                printed, error = _run(example.code, namespace, str(name))
                if error:
                    failures.append(error)
                    break
                if example.shown is not None and (said := differences(printed, example.shown.text)):
                    failures.append(f"{name}:{example.shown.line}: the output differs\n    {said}\n{printed}")
        finally:
            os.chdir(before)
    return len(examples), failures


def _run(block: Block, namespace: dict[str, object], name: str) -> tuple[str, str]:
    """What a block prints, and the error it ends with, if any."""
    if block.language == "console":
        return _run_console(block, name)
    printed = io.StringIO()
    try:
        code = compile("\n" * (block.line - 1) + block.text, name, "exec")
        with contextlib.redirect_stdout(printed):
            exec(code, namespace)
    except Exception as error:
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == name]
        line = frames[-1].lineno if frames else getattr(error, "lineno", block.line)
        return printed.getvalue(), f"{name}:{line}: {type(error).__name__}: {error}"
    return printed.getvalue(), ""


def _run_console(block: Block, name: str) -> tuple[str, str]:
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    printed = ""
    for number, line in enumerate(block.text.splitlines(), start=block.line):
        if not line.startswith("$ "):
            continue
        done = subprocess.run(
            ["sh", "-c", line[2:]], env=environment, capture_output=True, text=True, timeout=300, check=False
        )
        printed += done.stdout
        if done.returncode not in (0, 3):
            return printed, f"{name}:{number}: exit status {done.returncode}: {done.stderr.strip()}"
    return printed, ""


def pages() -> list[Path]:
    """Every page with examples."""
    built = ROOT / "docs" / "_build"
    manual = [page for page in sorted((ROOT / "docs").rglob("*.md")) if built not in page.parents]
    return [ROOT / "README.md", *manual, *sorted((ROOT / "examples").glob("*.py"))]


def main(arguments: list[str]) -> int:
    """Run all pages, or those named."""
    chosen = [Path(argument).resolve() for argument in arguments] or pages()
    started, count, failures = time.perf_counter(), 0, []
    for page in chosen:
        began = time.perf_counter()
        ran, wrong = run_page(page)
        count += ran
        failures += wrong
        if ran:
            took = time.perf_counter() - began
            print(f"{page.relative_to(ROOT)}: {ran} examples, {took:.1f} s{', FAILED' if wrong else ''}")
    print(f"{count} examples on {len(chosen)} pages, {time.perf_counter() - started:.1f} s, {len(failures)} failed")
    for failure in failures:
        print(f"\n{failure}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
