"""A study from files: phenotypes and scores in one table, a study file, a run, the headline and the verdict.

Three clinics, six scores, LDL cholesterol and blood pressure; everything is simulated, and the true effect is 0.5.
Files go to the folder given as argument, or else to `own_files` in the working directory.
"""

import sys
from pathlib import Path

import numpy as np
import polars as pl

import invarmr

STUDY = """\
[phenotypes]
path = "people.tsv"
sample_id = "person"
exposure = "ldl"
outcome = "sbp"
environment = "clinic"
covariates = ["age", "sex"]

[instruments]
columns = ["score1", "score2", "score3", "score4", "score5", "score6"]

[run]
seed = 1
"""


def simulate_people(seed: int, n: int = 6000) -> pl.DataFrame:
    """Draw a table of people: two of six components of the scores carry the confounder."""
    rng = np.random.default_rng(seed)
    clinic = rng.integers(0, 3, n)
    confounder = rng.normal(np.array([0.0, 1.0, -1.0])[clinic], np.array([1.0, 1.5, 2.0])[clinic])
    confounded = rng.normal(size=(n, 2)) + confounder[:, None] * np.array([1.0, 0.5])
    valid = rng.normal(size=(n, 4))
    scores = np.hstack([confounded, valid]) @ rng.normal(size=(6, 6))
    age, sex = rng.normal(55, 8, n).round(1), rng.integers(1, 3, n)
    ldl = 3 + 0.3 * (confounded.sum(axis=1) + valid.sum(axis=1) + confounder) + 0.01 * age + rng.normal(size=n)
    sbp = 110 + 0.5 * ldl + 1.5 * confounder + 0.2 * age + 2 * sex + rng.normal(size=n)
    columns = {f"score{j + 1}": scores[:, j] for j in range(6)}
    names = np.array(["a", "b", "c"])[clinic]
    ids = [f"P{i:05d}" for i in range(1, n + 1)]
    return pl.DataFrame({"person": ids, "clinic": names, "age": age, "sex": sex, "ldl": ldl, "sbp": sbp, **columns})


def main(folder: Path) -> None:
    """Write the files, run the study, print what it found."""
    folder.mkdir(parents=True, exist_ok=True)
    simulate_people(seed=1).write_csv(folder / "people.tsv", separator="\t")
    (folder / "study.toml").write_text(STUDY, encoding="utf-8")

    result = invarmr.run_study(folder / "study.toml", out=folder / "result")

    table = pl.read_csv(folder / "result" / "estimates.tsv", separator="\t")
    for row in table.iter_rows(named=True):
        mark = "  <- headline" if row["headline"] else ""
        print(f"{row['instruments']:22s}{row['method']:8s}{row['estimate']:8.3f} (se {row['std_error']:.3f}){mark}")
    print(f"verdict: {result.verdict.status}")
    for reason in result.verdict.reasons:
        print(f"  {reason}")
    print(f"report: {result.report}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("own_files"))
