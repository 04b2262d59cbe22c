"""From arrays in memory to every estimate and robust set, against ivmodels and linearmodels, as ratios in one run.

    python benchmarks/inference_from_arrays.py [--samples 100000] [--instruments 100] [--threads 2] [--repeats 3]

invarmr: cohort from arrays (checks included), moments, OLS, 2SLS, LIML and Fuller, and the AR, LM, LR and CLR sets.
ivmodels: the same estimates and sets. linearmodels: the same estimates; it has no such sets. Their LIML alone (ivmodels
with the AR and CLR sets) is timed too, and set against all that invarmr does. Each in a process of its own with the
same number of threads, the best of the repeats, after a small warm-up. The answers are compared too: a fast wrong
number is worth nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
import warnings

import numpy as np

NAMES = ("invarmr", "ivmodels", "linearmodels")


def main() -> None:
    options = parse()
    if options.part:
        warnings.simplefilter("ignore")
        print(json.dumps({"invarmr": ours, "ivmodels": ivmodels, "linearmodels": linearmodels}[options.part](options)))
        return
    answers = {name: measure(name, options) for name in NAMES}
    print(f"{options.samples:,} people x {options.instruments} instruments, {options.threads} threads")
    for name, answer in answers.items():
        print(f"{name:13s} {answer['seconds']:8.3f} s   LIML {answer['liml']:.6f}   {answer['what']}")
        if "part" in answer:
            print(f"{'':13s} {answer['part']:8.3f} s   of which {answer['which']}")
    mine = answers["invarmr"]
    print(f"  of which moments {mine['moments']:.3f} s, estimates {mine['estimates']:.3f} s, sets {mine['sets']:.3f} s")
    for name in NAMES[1:]:
        whole, part = (answers[name][key] / mine["seconds"] for key in ("seconds", "part"))
        print(f"ratio, {name} / invarmr: {whole:.1f}; its {answers[name]['which']} / all of invarmr: {part:.1f}")
        if abs(answers[name]["liml"] / mine["liml"] - 1) > 1e-6:
            sys.exit(f"{name} has another LIML estimate: {answers[name]['liml']!r} against {mine['liml']!r}")
    for kind in ("ar", "clr"):
        gap = max(abs(np.subtract(mine[kind], answers["ivmodels"][kind])))
        print(f"largest difference of the {kind.upper()} set from that of ivmodels: {gap:.1e}")
        if gap > 1e-5:
            sys.exit("the sets differ")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=100_000)
    parser.add_argument("--instruments", type=int, default=100)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--part", choices=NAMES, help=argparse.SUPPRESS)
    return parser.parse_args()


def measure(part: str, options: argparse.Namespace) -> dict:
    """Run one part in a fresh process with fixed thread counts."""
    threads = {name: str(options.threads) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")}
    command = [sys.executable, __file__, "--part", part]
    for name in ("samples", "instruments", "repeats"):
        command += [f"--{name}", str(getattr(options, name))]
    done = subprocess.run(command, env={**os.environ, **threads}, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def draw(n: int, k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Instruments, exposure, outcome and two covariates; first-stage F about 10 at 100,000 x 100."""
    rng = np.random.default_rng(1)
    Z, C, shared = rng.normal(size=(n, k)), rng.normal(size=(n, 2)), rng.normal(size=n)
    D = Z @ np.full(k, 0.015) + C.sum(axis=1) + shared + rng.normal(size=n)
    return Z, D, 0.5 * D + C.sum(axis=1) + shared + rng.normal(size=n), C


def best(function, options: argparse.Namespace) -> dict:
    """The fastest of the repeats on the full data, after a warm-up on a small part."""
    function(*draw(1_000, 5))
    data = draw(options.samples, options.instruments)
    return min((function(*data) for _ in range(options.repeats)), key=lambda answer: answer["seconds"])


def ours(options: argparse.Namespace) -> dict:
    import invarmr
    from invarmr.inference.anderson_rubin import anderson_rubin_set
    from invarmr.inference.lagrange_multiplier import lagrange_multiplier_set
    from invarmr.inference.likelihood_ratio import conditional_likelihood_ratio_set, likelihood_ratio_set

    estimators = [
        invarmr.OrdinaryLeastSquares(),
        invarmr.TwoStageLeastSquares(),
        invarmr.LimitedInformationML(),
        invarmr.Fuller(),
    ]
    inversions = [anderson_rubin_set, lagrange_multiplier_set, likelihood_ratio_set, conditional_likelihood_ratio_set]

    def run(Z, D, Y, C) -> dict:
        environment = np.arange(len(D)) % 2
        clock = [time.perf_counter()]
        cohort = invarmr.Cohort.from_arrays(instrument=Z, exposure=D, outcome=Y, covariates=C, environment=environment)
        design = invarmr.IVDesign.from_cohort(cohort)
        design.moments.total()
        clock.append(time.perf_counter())
        estimates = [estimator.fit(design) for estimator in estimators]
        clock.append(time.perf_counter())
        sets = [invert(design) for invert in inversions]
        clock.append(time.perf_counter())
        parts = dict(zip(("moments", "estimates", "sets"), np.diff(clock).tolist(), strict=True))
        return {
            "seconds": clock[-1] - clock[0],
            "liml": estimates[2].estimate,
            "ar": sets[0].intervals[0],
            "clr": sets[3].intervals[0],
            "what": "moments, OLS, 2SLS, LIML, Fuller, AR, LM, LR and CLR sets",
            **parts,
        }

    return best(run, options)


def ivmodels(options: argparse.Namespace) -> dict:
    from ivmodels import KClass
    from ivmodels.confidence_set import ConfidenceSet
    from ivmodels.tests import (
        inverse_anderson_rubin_test,
        inverse_conditional_likelihood_ratio_test,
        inverse_lagrange_multiplier_test,
        inverse_likelihood_ratio_test,
    )

    def run(Z, D, Y, C) -> dict:
        given = {"Z": Z, "X": D[:, None], "y": Y, "C": C}
        clock = [time.perf_counter()]
        model = KClass(kappa="liml").fit(**given)
        ar = inverse_anderson_rubin_test(**given, critical_values="f")
        clr = inverse_conditional_likelihood_ratio_test(**given)
        clock.append(time.perf_counter())
        for kappa in ("ols", "tsls", "fuller"):
            KClass(kappa=kappa).fit(**given)
        inverse_lagrange_multiplier_test(**given)
        inverse_likelihood_ratio_test(**given)
        clock.append(time.perf_counter())
        bounds = [[float(end) for end in found.boundaries[0]] for found in (ConfidenceSet.from_quadric(ar), clr)]
        return {
            "seconds": clock[2] - clock[0],
            "part": clock[1] - clock[0],
            "which": "LIML, AR and CLR sets",
            "liml": float(model.coef_[0]),
            "ar": bounds[0],
            "clr": bounds[1],
            "what": "OLS, 2SLS, LIML, Fuller, AR, LM, LR and CLR sets",
        }

    return best(run, options)


def linearmodels(options: argparse.Namespace) -> dict:
    from linearmodels.iv import IV2SLS, IVLIML

    def run(Z, D, Y, C) -> dict:
        clock = [time.perf_counter()]
        controls = np.column_stack([np.ones(len(Y)), C])
        liml = IVLIML(Y, controls, D, Z).fit(cov_type="unadjusted")
        clock.append(time.perf_counter())
        IV2SLS(Y, np.column_stack([controls, D]), None, None).fit(cov_type="unadjusted")
        IV2SLS(Y, controls, D, Z).fit(cov_type="unadjusted")
        IVLIML(Y, controls, D, Z, fuller=1).fit(cov_type="unadjusted")
        clock.append(time.perf_counter())
        return {
            "seconds": clock[2] - clock[0],
            "part": clock[1] - clock[0],
            "which": "LIML",
            "liml": float(liml.params["endog"]),
            "what": "OLS, 2SLS, LIML, Fuller",
        }

    return best(run, options)


if __name__ == "__main__":
    main()
