"""The commands as a person at a terminal meets them: help, output, exit statuses, interruption."""

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from invarmr import __version__
from invarmr.archive.files import write_json, write_table
from invarmr.archive.folder import seal
from invarmr.cli import main
from invarmr.cli.outcome import finish
from invarmr.cli.table import print_estimates
from invarmr.data.latent_instruments import Verdict

SIZES = ("--n-samples", "1200", "--n-instruments", "20", "--n-variants", "200")
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}


@pytest.fixture
def invarmr(capsys):
    def call(*arguments):
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return ended.value.code, out, err

    return call


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cohort") / "study"
    with pytest.raises(SystemExit):
        main(["simulate", "admixture", "--out", str(folder), "--quiet", *SIZES])
    return folder / "study.toml"


def subprocess_python(code, *arguments, cwd):
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True, check=False
    )


COMMANDS = [
    "demo",
    "demo families",
    "run",
    "simulate",
    "simulate admixture",
    "simulate latent",
    "simulate families",
    "reproduce",
    "read",
    "learn",
    "estimate",
    "diagnose",
    "report",
]


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help(invarmr, command):
    status, printed, message = invarmr(*command.split(), "--help")
    assert (status, message) == (0, "")
    assert printed.startswith(f"Usage: invarmr {command}".rstrip())
    if command not in ("", "simulate"):
        lines = [line for line in printed.splitlines() if "--" in line and "Usage" not in line]
        assert lines
        assert all("  " in line.strip("│ *") for line in lines)  # every option says what it is


def test_version_and_bare_command(invarmr):
    assert invarmr("--version") == (0, f"{__version__}\n", "")
    status, printed, _ = invarmr()
    assert status == 0
    assert "run " in printed


def test_help_loads_nothing_heavy(tmp_path):
    code = (
        "import sys\nfrom invarmr.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print(sorted({'matplotlib', 'torch', 'polars', 'scipy', 'numpy', 'pgenlib', 'jinja2'} & set(sys.modules)))"
    )
    done = subprocess_python(code, cwd=tmp_path)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["rum"], 'Unknown command "rum". Did you mean "run"?'),
        (["run", "study.toml"], "--out"),
        (["run", "--out", "out"], "STUDY"),
        (["run", "study.toml", "--out", "out", "--sed", "1"], "Did you mean --seed? (see invarmr run --help)"),
        (["run", "study.toml", "--out", "out", "--seed", "one"], 'unable to convert "one" into int'),
        (["run", "study.toml", "--out", "out", "--seed", "-1"], "seed must be a whole number from 0 up"),
        (["run", "study.toml", "--out", "out", "--seed", str(2**63)], "seed must be a whole number from 0 up"),
        (["run", "none.toml", "--out", "out"], "none.toml: the study file could not be read"),
        (["run", ".", "--out", "out"], "Is a directory"),
        (["run", "study.toml", "--out", "study.toml"], "--out must be a folder, but study.toml is a file"),
        (["run", "study.toml", "--out", "study.toml/out"], "nothing can be written there (Not a directory)"),
        (["run", "study.toml", "--out", "/proc"], "/proc holds files that invarmr did not write there"),
        (["read", "study.toml", "--out", "study.toml"], "is a file"),
        (["simulate", "admixture"], "--out"),
        (["simulate", "other"], "Available commands: admixture"),
        (["simulate", "admixture", "--out", "out", "--n-sites", "1"], "n_sites must lie between 2 and 26, but is 1"),
        (["simulate", "admixture", "--out", "out", "--seed", "-1"], "seed must be"),
        (["simulate", "admixture", "--out", "out", "--n-samples", "10"], "n_samples must be at least 40"),
        (["simulate", "admixture", "--out", "out", "--outcome", "survival"], "Choose from"),
        (["simulate", "admixture", "--out", "study.toml", *SIZES], "is a file"),
        (
            ["simulate", "admixture", "--out", "study.toml/out", *SIZES],
            "nothing can be written there (Not a directory)",
        ),
        (["demo", "--out", "out", "--seed", "-1"], "seed must be"),
        (["learn", "nowhere"], "nowhere: the folder of a finished run was required"),
        (["report", "nowhere"], "nowhere: the folder of a finished run was required"),
        (["report", ".", "--smallest-count", "1"], "smallest_count must be 2 or more"),
    ],
)
def test_wrong_usage(invarmr, study, tmp_path, monkeypatch, arguments, expected):
    shutil.copytree(study.parent, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    status, printed, message = invarmr(*arguments)
    assert (status, printed) == (2, "")
    assert message.startswith("invarmr: ")
    assert message.count("\n") == 1
    assert expected in message
    assert sorted(tmp_path.iterdir()) == before


def test_simulate_says_where_the_study_is(invarmr, tmp_path):
    out = tmp_path / "a" / "study"
    status, printed, told = invarmr("simulate", "admixture", "--out", out, *SIZES)
    assert (status, printed) == (0, f"{out / 'study.toml'}\n")
    assert "1,200 people at 4 sites" in told
    first = {path.name: path.read_bytes() for path in out.iterdir()}
    assert invarmr("simulate", "admixture", "--out", out, "--quiet", *SIZES) == (0, printed, "")
    assert {path.name: path.read_bytes() for path in out.iterdir()} == first
    invarmr("simulate", "admixture", "--out", out, "--quiet", "--seed", "2", *SIZES)
    assert (out / "phenotypes.tsv").read_bytes() != first["phenotypes.tsv"]


def test_run_from_another_folder(invarmr, study, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    relative = os.path.relpath(study, tmp_path)
    status, printed, told = invarmr("run", relative, "--out", "out")
    record = json.loads((tmp_path / "out" / "verdict.json").read_text())
    assert status == (0 if record["status"] in ("identified", "weak") else 3)
    assert "effect of exposure on outcome (true effect 1)" in printed
    assert printed.count("<- headline") == 1
    assert f"verdict: {record['status']}" in printed
    assert "report: out/report.html" in printed
    assert [line.split()[0] for line in told.splitlines() if line[2:3] != " "] == [
        "read", "learn", "estimate", "diagnose", "report",
    ]  # fmt: skip
    provenance = json.loads((tmp_path / "out" / "provenance.json").read_text())
    assert all(os.path.isabs(item["path"]) for item in provenance["inputs"])
    quiet = invarmr("run", relative, "--out", "out", "--quiet", "--seed", "5")
    assert quiet == (json_status(tmp_path / "out"), "out/report.html\n", "")
    assert pl.read_csv(tmp_path / "out" / "estimates.tsv", separator="\t")["seed"].unique().to_list() == [5]


def json_status(out):
    return 0 if json.loads((out / "verdict.json").read_text())["status"] in ("identified", "weak") else 3


def test_verbs_can_be_quiet(invarmr, study, tmp_path):
    out = tmp_path / "out"
    assert invarmr("read", study, "--out", out, "--seed", "4", "--quiet") == (0, "", "")
    assert invarmr("learn", out, "--quiet") == (0, "", "")
    assert invarmr("estimate", out, "--quiet") == (0, "", "")
    assert invarmr("diagnose", out, "--quiet") == (json_status(out), "", "")
    assert invarmr("report", out, "--quiet") == (0, "", "")
    status, printed, _ = invarmr("report", out)
    assert (status, printed) == (0, f"{out / 'report.html'}\n")
    assert set(json.loads((out / "provenance.json").read_text())["seconds"]) == {
        "read", "learn", "estimate", "diagnose",
    }  # fmt: skip


def test_demo(invarmr, tmp_path, monkeypatch):
    """The demo's own steps, on a smaller cohort."""
    from invarmr.simulate import admixture

    design = admixture.AdmixtureDesign(n_samples=1200, n_instruments=20, n_variants=200)
    whole = admixture.simulate_admixture
    monkeypatch.setattr(admixture, "simulate_admixture", lambda *, seed: whole(design, seed=seed))
    out = tmp_path / "demo"
    status, printed, told = invarmr("demo", "--out", out, "--seed", "3")
    assert status == json_status(out)
    assert "true effect 1" in printed
    assert told.strip().startswith("simulate")
    assert (out / "study" / "study.toml").exists()
    assert invarmr("demo", "--out", out, "--seed", "3", "--quiet") == (status, f"{out / 'report.html'}\n", "")


def test_demo_families(invarmr, tmp_path, monkeypatch):
    """The second demo's own steps, on a smaller cohort: families correct what environments cannot see."""
    from invarmr.simulate import families

    whole = families.simulate_families

    def small(design, *, seed):
        return whole(replace(design, n_samples=4_000, n_instruments=20, n_outcome_variants=20), seed=seed)

    monkeypatch.setattr(families, "simulate_families", small)
    out = tmp_path / "demo"
    status, printed, _ = invarmr("demo", "families", "--out", out)
    assert status == 3
    assert "the headline is not interpretable" not in printed.lower()
    assert "The headline is the Mendelian estimate" in printed
    assert "true effect 0.2" in printed
    assert (out / "study" / "parents.tsv").exists()


@pytest.mark.parametrize(
    ("verdict", "status"), [("identified", 0), ("weak", 0), ("not identified", 3), ("rejected", 3)]
)
def test_exit_status_of_a_verdict(tmp_path, capsys, verdict, status):
    assert finish(tmp_path, Verdict(verdict, ("why",)), quiet=True) == status
    assert capsys.readouterr().out == f"{tmp_path / 'report.html'}\n"
    write_table(tmp_path / "estimates.tsv", estimates())
    write_json(tmp_path / "verdict.json", {"reasons": ["why"]})
    assert finish(tmp_path, Verdict(verdict, ("why",)), quiet=False) == status
    printed = capsys.readouterr().out
    assert f"verdict: {verdict}\n  why" in printed
    assert ("not interpretable" in printed) == (status == 3)


def estimates():
    row = {
        "method": "LIML", "instruments": "learned", "exposure": "ldl [mmol/l]", "outcome": "sbp", "estimate": 0.5,
        "std_error": 0.1, "ci_lower": -np.inf, "ci_upper": np.inf, "p_value": 0.1, "level": 0.9, "n_samples": 10,
        "n_instruments": 2, "first_stage_f": None, "headline": True, "seed": 1, "note": "",
    }  # fmt: skip
    return pl.DataFrame([row, row | {"headline": False, "ci_lower": 0.3, "first_stage_f": 12.0}])


def test_names_with_brackets_and_unbounded_sets(tmp_path, capsys):
    write_table(tmp_path / "estimates.tsv", estimates())
    print_estimates(tmp_path)
    printed = capsys.readouterr().out
    assert "effect of ldl [mmol/l] on sbp" in printed
    assert "-inf to inf" in printed
    assert "90 % set" in printed


def test_an_interrupt_leaves_nothing(study, tmp_path):
    """SIGINT in the middle of a run: exit status 130, an earlier archive untouched, no new folder."""
    code = (
        "import signal, sys, time\nimport invarmr.study.run as run\nfrom invarmr.cli import main\n"
        # a shell's background job hands down an ignored SIGINT; a person at a keyboard has this handler
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "def slow(*_):\n    print('reached', flush=True)\n    time.sleep(300)\n"
        "run.estimate_archive = slow\nmain(sys.argv[1:])"
    )
    for name in ("fresh", "earlier"):
        out = tmp_path / name / "out"
        if name == "earlier":
            out.mkdir(parents=True)
            (out / "estimates.tsv").write_text("before")
            seal(out, kind="study")
        process = subprocess.Popen(
            [sys.executable, "-c", code, "run", str(study), "--out", str(out), "--quiet"],
            env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert process.stdout.readline() == "reached\n"
        process.send_signal(signal.SIGINT)
        try:
            _, message = process.communicate(timeout=60)
        finally:
            process.kill()
        assert process.returncode == 130, message
        assert message == "interrupted; nothing half written was left\n"
    assert not (tmp_path / "fresh").exists()
    assert sorted(path.name for path in out.iterdir()) == ["estimates.tsv", "manifest.json"]
    assert [path.name for path in out.parent.iterdir()] == ["out"]
    assert (out / "estimates.tsv").read_text() == "before"


def test_runs_side_by_side(study, tmp_path):
    """Two runs at once, into folders of their own, give the same tables."""
    code = "import sys\nfrom invarmr.cli import main\nmain(sys.argv[1:])"
    running = [
        subprocess.Popen(
            [sys.executable, "-c", code, "run", str(study), "--out", str(tmp_path / name), "--quiet"],
            env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )
        for name in ("one", "two")
    ]  # fmt: skip
    assert [process.communicate(timeout=60)[1] for process in running] == ["", ""]
    assert all(process.returncode in (0, 3) for process in running)
    assert (tmp_path / "one" / "estimates.tsv").read_bytes() == (tmp_path / "two" / "estimates.tsv").read_bytes()


def test_a_reader_that_has_read_enough(study, tmp_path):
    """`invarmr simulate ... | head -0`: no traceback."""
    code = "import sys\nfrom invarmr.cli import main\nmain(sys.argv[1:])"
    read_end, write_end = os.pipe()
    os.close(read_end)
    done = subprocess.run(
        [sys.executable, "-c", code, "simulate", "admixture", "--out", str(tmp_path / "study"), "--quiet", *SIZES],
        env=ENVIRONMENT, stdout=write_end, stderr=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    os.close(write_end)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "study" / "study.toml").exists()


def test_a_run_in_a_thread(study, tmp_path):
    """Signals belong to the main thread; a run in another one does without."""
    from threading import Thread

    from invarmr.study.run import run_study

    thread = Thread(target=run_study, args=(study,), kwargs={"out": tmp_path / "out"})
    thread.start()
    thread.join()
    assert (tmp_path / "out" / "report.html").exists()


def test_progress_on_a_terminal(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    from invarmr.study.progress import Progress

    assert list(Progress(quiet=False).track([1, 2, 3], "moments")) == [1, 2, 3]
    assert "moments" in capsys.readouterr().err


def test_an_interrupt_in_this_process(invarmr, study, tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("invarmr.study.run.estimate_archive", interrupted)
    expected = (130, "", "interrupted; nothing half written was left\n")
    assert invarmr("run", study, "--out", tmp_path / "out", "--quiet") == expected
    assert not (tmp_path / "out").exists()


def test_a_disk_that_fails(invarmr, study, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device", "estimates.tsv")

    monkeypatch.setattr("invarmr.study.run.estimate_archive", full)
    status, _, message = invarmr("run", study, "--out", tmp_path / "out", "--quiet")
    assert status == 2
    assert message.startswith("invarmr: estimates.tsv: No space left on device. Check")
    assert not (tmp_path / "out").exists()


def test_a_fault_of_the_program_is_one_line(invarmr, study, tmp_path, monkeypatch):
    def broken(*_):
        raise ZeroDivisionError("\x1b[31mdeep\n" + "x" * 5_000)

    monkeypatch.setattr("invarmr.study.run.estimate_archive", broken)
    status, printed, message = invarmr("run", study, "--out", tmp_path / "out", "--quiet")
    assert (status, printed) == (70, "")
    assert message.startswith("invarmr: a fault of invarmr (ZeroDivisionError: \\x1b[31mdeep")
    assert message.count("\n") == 1
    assert len(message) < 1_100
    assert not (tmp_path / "out").exists()
    monkeypatch.setenv("INVARMR_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        main(["run", str(study), "--out", str(tmp_path / "out"), "--quiet"])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_stop_leaves_nothing(study, tmp_path, number):
    code = (
        "import sys, time\nimport invarmr.study.run as run\nfrom invarmr.cli import main\n"
        "def slow(*_):\n    print('reached', flush=True)\n    time.sleep(300)\n"
        "run.estimate_archive = slow\nmain(sys.argv[1:])"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, "run", str(study), "--out", str(tmp_path / "new" / "out"), "--quiet"],
        env=ENVIRONMENT, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout.readline() == "reached\n"
    process.send_signal(number)
    assert process.wait(120) == 128 + number
    process.stdout.close()
    assert list(tmp_path.iterdir()) == []
