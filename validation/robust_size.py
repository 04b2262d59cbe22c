"""Size of the weak-instrument-robust tests: rejection at the true effect, over strengths, against binomial bands.

    python validation/robust_size.py [--replicates 2000] [--out validation/robust_size]

Designs: k = 2, 10 or 30 instruments, 300 people, confounding 0.9, first-stage F about 1, 4 or 30; one exposure (AR, LM,
conditional LR; robust AR on errors of unequal variance, 6,000 people) and two (subset AR and conditional LR of the
first).
`<out>.json` has every rate at 5 %, its 99.9 % binomial band and a verdict: `passes` where the rate is not above the
band
(nor below it, but for subset and robust tests, which may reject less), `fails` else. Contrasts are printed that must
not be trusted: Wald's test of 2SLS, and robust AR with few people per instrument. Exit status 1 where a test fails.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy import stats

import invarmr
from invarmr.data.several_exposures import SeveralExposures
from invarmr.inference.anderson_rubin import anderson_rubin_test
from invarmr.inference.lagrange_multiplier import lagrange_multiplier_test
from invarmr.inference.likelihood_ratio import conditional_likelihood_ratio_test
from invarmr.inference.several_exposures import subset_test

SIZE, N, MANY, EFFECT = 0.05, 300, 6_000, 0.5
EXACT = ("AR", "LM", "CLR")
CONTRASTS = ("Wald", "robust AR, 300 people")


def draw(rng: np.random.Generator, k: int, f: float, *, unequal: bool = False, n: int = N) -> invarmr.IVDesign:
    """One exposure; the first stage's population F is about `f`."""
    Z, h = rng.normal(size=(n, k)), rng.normal(size=n)
    D = np.sqrt(max(f - 1.0, 0.0) / n) * Z.sum(axis=1) + 0.9 * h + 0.436 * rng.normal(size=n)
    spread = np.exp(0.4 * Z[:, 0]) if unequal else 1.0
    Y = EFFECT * D + (h + 0.4 * rng.normal(size=n)) * spread
    cohort = invarmr.Cohort.from_arrays(instrument=Z, exposure=D, outcome=Y, environment=np.zeros(n))
    return invarmr.IVDesign.from_cohort(cohort)


def draw_two(rng: np.random.Generator, k: int, f: float) -> SeveralExposures:
    """Two exposures moved by different instruments, both confounded."""
    Z, h = rng.normal(size=(N, k)), rng.normal(size=(N, 1))
    pi = np.zeros((k, 2))
    pi[: k // 2, 0], pi[k // 2 :, 1] = 1.0, 1.0
    X = np.sqrt(2.0 * max(f - 1.0, 0.0) / N) * Z @ pi + 0.9 * h + 0.436 * rng.normal(size=(N, 2))
    Y = X @ [EFFECT, 1.0] + h[:, 0] + 0.4 * rng.normal(size=N)
    return SeveralExposures.from_arrays(instrument=Z, exposures=X, outcome=Y, exposure_names=["first", "second"])


def wald(on: invarmr.IVDesign) -> float:
    """P-value of 2SLS at the true effect."""
    fitted = invarmr.TwoStageLeastSquares().fit(on)
    return float(2 * stats.norm.sf(abs(fitted.estimate - EFFECT) / fitted.std_error))


TESTS: dict[str, Callable[[invarmr.IVDesign], float | None]] = {
    "AR": lambda on: anderson_rubin_test(on, EFFECT).p_value,
    "LM": lambda on: lagrange_multiplier_test(on, EFFECT).p_value,
    "CLR": lambda on: conditional_likelihood_ratio_test(on, EFFECT).p_value,
    "Wald": wald,
}


def rates(k: int, f: float, replicates: int) -> dict[str, float]:
    """Shares rejected at 5 %."""
    subset = ("AR", "CLR") if k > 2 else ("AR",)
    rejected = dict.fromkeys((*TESTS, "robust AR", "robust AR, 300 people", *(f"subset {name}" for name in subset)), 0)
    for seed in range(replicates):
        rng = np.random.default_rng([seed, k, round(f)])
        on = draw(rng, k, f)
        for name, test in TESTS.items():
            rejected[name] += int((test(on) or 0.0) < SIZE)
        for name, n in (("robust AR", MANY), ("robust AR, 300 people", N)):
            p = anderson_rubin_test(draw(rng, k, f, unequal=True, n=n), EFFECT, std_errors="robust").p_value
            rejected[name] += int((p or 0.0) < SIZE)
        two = draw_two(rng, k, f)
        for name in subset:
            rejected[f"subset {name}"] += int((subset_test(two, {"first": EFFECT}, name).p_value or 0.0) < SIZE)
    return {name: count / replicates for name, count in rejected.items()}


def main(arguments: list[str]) -> int:
    """Run all designs, write the JSON, print the verdicts."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--replicates", type=int, default=2000)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(""))
    given = parser.parse_args(arguments)
    low, high = (stats.binom.ppf([0.0005, 0.9995], given.replicates, SIZE) / given.replicates).tolist()
    rows = []
    for k in (2, 10, 30):
        for f in (1.0, 4.0, 30.0):
            for name, rate in rates(k, f, given.replicates).items():
                right = (low <= rate if name in EXACT else True) and rate <= high
                verdict = "contrast" if name in CONTRASTS else "passes" if right else "fails"
                rows.append({"k": k, "F": f, "test": name, "rate": rate, "band": [low, high], "verdict": verdict})
                print(f"k {k:2d}, F {f:4.0f}, {name:22s}: {rate:.4f}  {verdict}", flush=True)
    given.out.with_suffix(".json").write_text(json.dumps({"replicates": given.replicates, "rows": rows}, indent=1))
    return int(any(row["verdict"] == "fails" for row in rows))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
