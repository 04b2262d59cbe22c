"""Archives of runs that never happened: four studies as a run would leave them on disk."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from invarmr.archive.folder import seal

SITES = ("Accra", "Boston", "Chennai", "Oslo")
ESTIMATE_COLUMNS = [
    "method", "instruments", "exposure", "outcome", "estimate", "std_error", "ci_lower", "ci_upper", "p_value",
    "level", "n_samples", "n_instruments", "first_stage_f", "headline", "seed", "note",
]  # fmt: skip
ENVIRONMENT_COLUMNS = [
    "environment", "n_samples", "estimate", "std_error", "ci_lower", "ci_upper", "first_stage_f",
    "left_out_estimate", "left_out_std_error", "left_out_ci_lower", "left_out_ci_upper", "level",
]  # fmt: skip


def write_tsv(path, columns, rows):
    def field(value):
        if value is None:
            return ""
        return str(value).lower() if isinstance(value, bool) else str(value)

    lines = ["\t".join(columns), *("\t".join(field(value) for value in row) for row in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_json(path, content):
    path.write_text(json.dumps(content, indent=1), encoding="utf-8")


def estimate_row(names, method, instruments, value, error, *, n, k, f=None, p=1e-5, headline=False, note=""):
    interval = (value - 1.96 * error, value + 1.96 * error)
    return (method, instruments, *names, value, error, *interval, p, 0.95, n, k, f, headline, 1, note)


def step(n_latent, smallest, detail, *, rejected):
    return {
        "n_latent": n_latent, "mean_p": smallest, "covariance_p": min(1, 40 * smallest), "independence_p": 0.41,
        "smallest_p": smallest, "rejected": rejected, "detail": detail,
    }  # fmt: skip


def write_environments(folder, rng, *, centre, error, sizes):
    rows = []
    for site, n in zip(SITES, sizes, strict=False):
        alone, rest = error * 2, error * 1.15
        a, b = centre + alone * rng.standard_normal(), centre + rest * 0.4 * rng.standard_normal()
        rows.append((site, n, a, alone, a - 1.96 * alone, a + 1.96 * alone, 9.3, b, rest, b - 1.96 * rest,
                     b + 1.96 * rest, 0.95))  # fmt: skip
    write_tsv(folder / "environments.tsv", ENVIRONMENT_COLUMNS, rows)


def write_samples(folder, sizes, *, dropped=13):
    rows = []
    for site, n in zip(SITES, sizes, strict=False):
        rows += [("read", site, n + 41 + dropped, ""), ("matched", site, n + dropped, "")]
        rows += [("dropped", site, dropped, "outcome missing"), ("used", site, n, "")]
    rows.append(("dropped", "", 27, "no site given"))
    write_tsv(folder / "samples.tsv", ["stage", "environment", "n_samples", "reason"], rows)


def write_balance(folder, rng, *, observed, learned, shift):
    rows = []
    for name, count, scale in (("observed", observed, shift), ("learned", learned, 0.0)):
        for k in range(count):
            noise = rng.chisquare(3, 2) * 5e-5
            real = scale * rng.beta(0.7, 6, 2)
            label = f"rs{1000 + k}" if name == "observed" else f"latent{k + 1}"
            rows.append((name, label, *(noise + real), 1.5e-4, 5e-4))
    write_tsv(
        folder / "balance.tsv",
        ["set", "instrument", "r2_environment", "r2_components", "chance_environment", "chance_components"],
        rows,
    )


def write_sensitivity(folder, *, centre, error):
    rows = []
    for strength in (0.0, 0.001, 0.01, 0.1):
        bias = 60 * error * strength**0.5
        ends = (centre - bias, centre + bias, centre - bias - 2 * error, centre + bias + 2 * error)
        rows.append((strength, *ends, 0.4, 0.02, 0.08, 0.06))
    write_tsv(
        folder / "sensitivity.tsv",
        ["strength", "lower", "upper", "ci_lower", "ci_upper", "confounder_share", "needed", "robustness_value",
         "robustness_value_interval"],
        rows,
    )  # fmt: skip


def write_eigenvalues(folder, rng, *, kept, total):
    values = np.sort(np.concatenate([rng.chisquare(60, kept) / 6e4, 0.02 * 10 ** rng.uniform(0, 1.3, total - kept)]))
    rows = [(k + 1, value, k < kept) for k, value in enumerate(values.tolist())]
    write_tsv(folder / "eigenvalues.tsv", ["direction", "eigenvalue", "kept"], rows)


def write_components(folder, rng, *, cells):
    centres = rng.standard_normal((len(SITES), 4)) * (1.6, 1.1, 0.5, 0.3)
    rows = []
    for _ in range(cells):
        site = rng.integers(len(SITES))
        place = (centres[site] + rng.standard_normal(4) * (0.6, 0.5, 0.5, 0.5)).round(5).tolist()
        rows.append((SITES[site], "PC1", "PC2", *place[:2], int(rng.integers(5, 60))))
        rows.append((SITES[site], "PC3", "PC4", *place[2:], int(rng.integers(5, 60))))
    rows.sort(key=lambda row: row[1])
    write_tsv(folder / "components.tsv", ["environment", "across", "up", "x", "y", "n_samples"], rows)


def write_variants(folder, rng, *, kept, dropped):
    rows = []
    reasons = (
        "minor allele frequency 0.0042 over all environments (at least 0.01 required)",
        "call rate 0.912 in Oslo (at least 0.95 required)",
        "alleles A/T cannot be told apart by strand",
        "not in the genotype file",
    )
    for k in range(kept + dropped):
        status, reason = ("kept", "") if k < kept else ("dropped", reasons[k % len(reasons)])
        rows.append((f"rs{1000 + k}", 1 + k % 22, 10_000 * (k + 1), "A", "G", status, reason,
                     round(float(rng.uniform(0.05, 0.95)), 4), 0.997, 0.3, 7 + k % 9))  # fmt: skip
    columns = [
    "variant", "chromosome", "position", "effect_allele", "other_allele", "status", "reason",
    "effect_allele_frequency", "min_call_rate", "hardy_weinberg_p", "n_imputed",
]  # fmt: skip
    write_tsv(folder / "variants.tsv", columns, rows)


def write_loadings(folder, rng, *, variants, latent):
    orthogonal = np.linalg.qr(rng.standard_normal((variants, variants)))[0][:, :latent].round(5)
    rows = [(f"rs{1000 + k}", "A", *row) for k, row in enumerate(orthogonal.tolist())]
    write_tsv(folder / "loadings.tsv", ["variant", "effect_allele", *(f"latent{k + 1}" for k in range(latent))], rows)


def write_stratification(folder, rng):
    """The tables of the battery, with a negative control that 17 people lack."""
    joint = [("observed", "environment", "Wilks' Lambda (Rao's F)", 125.2, "600, 59389", 0.0, 0.0082, 0.00015, 19_960,
              "everyone"),
             ("learned", "components", "HSIC by permutation", 0.04, None, 0.47, 0.04, 0.041, 6_000,
              "2,000 people; most with PC8")]  # fmt: skip
    columns = ["instruments", "against", "test", "statistic", "df", "p_value", "share", "chance", "n_samples", "reason"]
    write_tsv(folder / "stratification.tsv", columns, joint)
    numbers = ["estimate", "std_error", "ci_lower", "ci_upper", "p_value", "level"]
    strength = ["n_samples", "n_instruments", "first_stage_f"]

    def around(value, error, p=1e-9):
        return (value, error, value - 1.96 * error, value + 1.96 * error, p, 0.95)

    curve = [("none", "OLS", 1.2), ("observed", "2SLS", 1.3), ("observed", "LIML", 1.35),
             ("observed+environment", "LIML", 0.7), ("learned", "LIML", 0.5)]  # fmt: skip
    rows = [
        (k, name, method, *around(0.5 + (value - 0.5) * 0.5**k, 0.02), 19_960, 197, 30.0)
        for name, method, value in curve
        for k in range(5)
    ]
    write_tsv(folder / "component_counts.tsv", ["n_components", "instruments", "method", *numbers, *strength], rows)
    meta = [
        (name, model, *around(value, 0.03, 1e-60), 4, q, 3, 0.4, 0.0, 0.0)
        for name, value, q in (("learned", 0.51, 2.9), ("observed", 0.9, 119.0))
        for model in ("fixed", "random")
    ]
    write_tsv(
        folder / "meta_analysis.tsv",
        ["instruments", "model", *numbers, "n_environments", "q", "q_df", "q_p_value", "i2", "tau2"],
        meta,
    )
    controls = [
        (name, role, label, "OLS" if label == "none" else "LIML", *around(value, 0.02, 0.4), n,
         0 if label == "none" else 197, None if label == "none" else 31.0, None if label == "none" else 1.1,
         None if label == "none" else "197, 19800",
         None if label == "none" else 0.31, label == "learned")
        for name, role, n in (("tanning", "outcome", 19_943), ("birth order", "exposure", 19_960))
        for label, value in (("none", 0.7), ("observed", 0.9), ("learned", 0.01))
    ]  # fmt: skip
    write_tsv(
        folder / "negative_controls.tsv",
        ["control", "role", "instruments", "method", *numbers, *strength, "joint_f", "joint_df",
         "joint_p_value", "headline"],
        controls,
    )  # fmt: skip
    values = np.linspace(0.35, 0.65, 61)
    z = (values - 0.504) / 0.027
    p = np.exp(-(z**2) / 2)
    write_tsv(
        folder / "effect_curve.tsv",
        ["value", "wald_p", "anderson_rubin_p", "conditional_likelihood_ratio_p"],
        list(zip(values, p, 0.6 * p, p, strict=True)),
    )
    sets = [("Wald", "learned", 0.95, 1, 0.451, 0.557, "[0.451, 0.557]"),
            ("Anderson-Rubin", "learned", 0.95, 1, None, None, "empty"),
            ("conditional likelihood ratio", "learned", 0.95, 1, "-inf", 0.4, "(-inf, 0.4] U [0.45, inf)"),
            ("conditional likelihood ratio", "learned", 0.95, 2, 0.45, "inf", "(-inf, 0.4] U [0.45, inf)")]  # fmt: skip
    columns = ["test", "instruments", "level", "piece", "lower", "upper", "shown"]
    write_tsv(folder / "confidence_sets.tsv", columns, sets)


def diagnostics(folder, *, j_p, invariance_p, applies=True):
    rows = [
        ("relevance", "first-stage F", "the instruments say nothing about the exposure", 31.4, "197", 0.0, True,
         "strong: F is above 10", ""),
        ("exclusion", "over-identification J", "all instruments agree on one effect", 203.1 if applies else None,
         "196" if applies else "", j_p if applies else None, applies,
         ("the instruments agree" if j_p > 0.05 else "the instruments disagree") if applies else "",
         "" if applies else "there are as many instruments as exposures"),
        ("exchangeability", "balance on components", "instruments unrelated to components", 1.21, "10, 19000", 0.28,
         True, "no relation found", ""),
        ("invariance", "equal means, held out", "means equal in all environments", 589.3, "591", invariance_p, True,
         "no difference found" if invariance_p > 0.05 else "the environments differ", ""),
        ("independence", "covariance with the part set aside", "no covariance in any environment", 8.8, "9", 0.46, True,
         "no relation found", ""),
        ("stability", "heterogeneity Q between environments", "one effect in all environments", 2.9, "3", 0.41, True,
         "the environments agree", ""),
        ("exchangeability", "joint test against environment labels, observed instruments (Wilks)", "unrelated", 125.0,
         "600, 59389", 0.0, True, "they follow", ""),
        ("exchangeability", "joint test against principal components", "unrelated", None, "", None, False,
         "not applicable", "no principal components were given or computed"),
        ("exchangeability", "even- and odd-chromosome scores, over everyone", "unrelated", -0.01, "19995", 0.3, True,
         "no correlation", "external weights"),
    ]  # fmt: skip
    columns = [
    "assumption", "test", "null", "statistic", "df", "p_value", "applies", "conclusion", "reason",
]  # fmt: skip
    write_tsv(folder / "diagnostics.tsv", columns, rows)


def provenance(folder, *, exposure, outcome, environment="site", covariates=("age", "sex"), learn="stationary"):
    inputs = [
        {"path": f"study/{name}", "sha256": hashlib.sha256(name.encode()).hexdigest(), "bytes": size}
        for name, size in (("cohort.bed", 10_002_503), ("phenotypes.tsv", 912_331), ("instruments.tsv", 9_120))
    ]
    settings = {
        "genotypes": {"path": "study/cohort.bed"},
        "phenotypes": {
            "path": "study/phenotypes.tsv", "sample_id": "IID", "exposure": exposure, "outcome": outcome,
            "environment": environment, "covariates": list(covariates),
        },
        "instruments": {"variants": "study/instruments.tsv", "columns": []},
        "learn": {"method": learn, "n_latent": None, "held_out": 0.2},
        "estimate": {"level": 0.95, "std_errors": "many-instrument"},
        "run": {"seed": 1},
    }  # fmt: skip
    content = {
        "command": "invarmr demo --out demo --seed 1", "version": "0.1.0", "settings": settings, "seed": 1,
        "versions": {"python": "3.11.7", "numpy": "2.4.1", "scipy": "1.17.0"}, "inputs": inputs,
        "seconds": {"read": 3.21, "learn": 0.84, "estimate": 0.22, "diagnose": 1.93},
        "started": "2026-01-05T10:00:00+00:00",
    }  # fmt: skip
    write_json(folder / "provenance.json", content)


def verdict(folder, status, reasons, *, n_latent, n_confounded, path, **more):
    content = {"status": status, "reasons": reasons, "n_latent": n_latent, "n_confounded": n_confounded, "path": path,
               "shift_rank": 3, "covariance_informative": True, "saturated": False, **more}  # fmt: skip
    write_json(folder / "verdict.json", content)


def identified(folder):
    """197 of 200 latent instruments, four sites, simulated."""
    rng, names, sizes = np.random.default_rng(1), ("ldl", "sbp"), (5_012, 4_988, 5_030, 4_930)
    n = sum(sizes)
    rows = [
        estimate_row(names, "OLS", "none", 1.196, 0.006, n=n, k=0, p=0.0),
        estimate_row(names, "2SLS", "observed", 1.338, 0.0151, n=n, k=200, f=77.1, p=0.0),
        estimate_row(names, "LIML", "observed", 1.361, 0.0155, n=n, k=200, f=77.1, p=0.0),
        estimate_row(names, "2SLS", "observed+environment", 0.712, 0.0241, n=n, k=200, f=40.2, p=1e-190),
        estimate_row(names, "LIML", "observed+environment", 0.706, 0.0249, n=n, k=200, f=40.2, p=1e-176),
        estimate_row(names, "2SLS", "observed+pcs", 0.531, 0.0261, n=n, k=200, f=31.8, p=1e-91),
        estimate_row(names, "LIML", "observed+pcs", 0.511, 0.0268, n=n, k=200, f=31.8, p=1e-80),
        estimate_row(names, "2SLS", "allele_score", 1.301, 0.016, n=n, k=1, f=13_210.0, p=0.0),
        estimate_row(names, "2SLS", "learned", 0.5294, 0.02655, n=n, k=197, f=31.4, p=1e-88,
                     note="many instruments bias 2SLS toward least squares"),
        estimate_row(names, "LIML", "learned", 0.5043, 0.02714, n=n, k=197, f=31.4, p=4.2e-77, headline=True,
                     note="interval without the error of learning"),
        estimate_row(names, "Fuller", "learned", 0.5046, 0.02713, n=n, k=197, f=31.4, p=4.0e-77),
        estimate_row(names, "LIML", "learned+environment", 0.5079, 0.0273, n=n, k=197, f=31.2, p=3.0e-77),
        estimate_row(names, "LIML", "oracle", 0.4982, 0.0201, n=n, k=200, f=41.9, p=0.0),
    ]  # fmt: skip
    write_tsv(folder / "estimates.tsv", ESTIMATE_COLUMNS, rows)
    diagnostics(folder, j_p=0.347, invariance_p=0.512)
    path = [
        step(200, 0.0, "means of the least invariant direction differ between environments", rejected=True),
        step(199, 3.1e-91, "means of the least invariant direction differ between environments", rejected=True),
        step(198, 2.2e-8, "covariances of the 2 least invariant directions differ between environments", rejected=True),
        step(197, 0.21, "means of the 4 least invariant directions differ between environments", rejected=False),
    ]
    reasons = [
        "Held-out people do not reject that the 197 latent instruments are distributed alike in all four sites.",
        "The instruments agree on one effect (J test, p = 0.347) and are strong (first-stage F = 31.4).",
        "The sites agree with each other, and leaving one out changes nothing of weight.",
    ]
    ladder = [
        {"learner": "stationary", "n_latent": 0, "passed": False, "reason": "Held-out people reject it."},
        {"learner": "polynomial", "n_latent": 197, "passed": True, "reason": "Held-out people do not reject it."},
    ]
    verdict(folder, "identified", reasons, n_latent=197, n_confounded=3, path=path, learner="polynomial", ladder=ladder)
    write_environments(folder, rng, centre=0.504, error=0.027, sizes=sizes)
    write_samples(folder, sizes)
    write_balance(folder, rng, observed=200, learned=197, shift=0.06)
    write_sensitivity(folder, centre=0.5, error=0.027)
    write_eigenvalues(folder, rng, kept=197, total=200)
    write_components(folder, rng, cells=300)
    write_variants(folder, rng, kept=200, dropped=9)
    write_loadings(folder, rng, variants=200, latent=197)
    write_stratification(folder, rng)
    provenance(folder, exposure="ldl", outcome="sbp")
    write_json(
        folder / "truth.json",
        {"effect": 0.5, "scale": "linear", "simulator": "admixture", "design": {"n_samples": 20_000, "n_sites": 4}},
    )


def not_identified(folder):
    """Mean shifts alone, saturated; twelve score columns, so the loadings are drawn as squares; real data."""
    rng, names, sizes = np.random.default_rng(2), ("body mass index", "blood <pressure> & $x$"), (3_011, 2_955, 17)
    n = sum(sizes)
    rows = [
        estimate_row(names, "OLS", "none", 0.412, 0.011, n=n, k=0, p=0.0),
        estimate_row(names, "LIML", "observed", 0.533, 0.061, n=n, k=12, f=22.0),
        estimate_row(names, "LIML", "observed+environment", 0.391, 0.082, n=n, k=12, f=14.0),
        estimate_row(names, "2SLS", "learned", 0.288, 0.093, n=n, k=10, f=11.0, p=0.002),
        estimate_row(names, "LIML", "learned", 0.271, 0.098, n=n, k=10, f=11.0, p=0.0057, headline=True),
    ]
    write_tsv(folder / "estimates.tsv", ESTIMATE_COLUMNS, rows)
    diagnostics(folder, j_p=0.51, invariance_p=0.33)
    worst = "means of the least invariant direction differ"
    path = [step(k, 0.1 ** (2 * (k - 9)), worst, rejected=True) for k in range(25, 10, -1)]
    path.append(step(10, 0.31, worst, rejected=False))
    reasons = [
        "The three environments differ in means alone, in two directions, the most that three can show: 17 people at "
        "Chennai are too few to show more.",
        "A further environment with another mean could reveal more confounding.",
    ]
    verdict(folder, "not identified", reasons, n_latent=10, n_confounded=2, path=path, shift_rank=2,
            covariance_informative=False, saturated=True)  # fmt: skip
    write_environments(folder, rng, centre=0.27, error=0.1, sizes=sizes)
    write_samples(folder, sizes)
    write_balance(folder, rng, observed=12, learned=10, shift=0.05)
    write_eigenvalues(folder, rng, kept=10, total=12)
    write_loadings(folder, rng, variants=12, latent=10)
    provenance(folder, exposure=names[0], outcome=names[1], covariates=())


def rejected(folder):
    """No latent instruments: the headline is another row, with an unbounded interval."""
    rng, names, sizes = np.random.default_rng(3), ("ldl", "sbp"), (2_000, 2_000)
    n = sum(sizes)
    rows = [
        estimate_row(names, "OLS", "none", 0.8, 0.01, n=n, k=0, p=0.0),
        ("LIML", "observed", *names, 1.31, 3.2, "-inf", "inf", 0.9, 0.95, n, 40, 1.2, False, 1, ""),
        estimate_row(names, "LIML", "observed+environment", 0.62, 0.05, n=n, k=40, f=18.0, headline=True),
    ]
    write_tsv(folder / "estimates.tsv", ESTIMATE_COLUMNS, rows)
    diagnostics(folder, j_p=1e-12, invariance_p=0.0)
    path = [step(k, 0.0, f"means of the {k} directions together differ", rejected=True) for k in range(40, 0, -1)]
    verdict(folder, "rejected", ["Every number of latent instruments was rejected on held-out people."], n_latent=0,
            n_confounded=40, path=path, shift_rank=1)  # fmt: skip
    write_environments(folder, rng, centre=0.62, error=0.05, sizes=sizes)
    write_samples(folder, sizes)
    write_balance(folder, rng, observed=40, learned=0, shift=0.2)
    write_eigenvalues(folder, rng, kept=0, total=40)
    write_variants(folder, rng, kept=40, dropped=0)
    provenance(folder, exposure="ldl", outcome="sbp")


def tiny(folder):
    """Two score columns, one latent instrument, weak; no components, no variants, no environments table."""
    rng, names = np.random.default_rng(4), ("score_a", "y")
    rows = [
        estimate_row(names, "OLS", "none", -0.0002, 0.0004, n=412, k=0, p=0.6),
        estimate_row(names, "2SLS", "observed", -0.00031, 0.0021, n=412, k=2, f=3.1, p=0.9),
        estimate_row(names, "2SLS", "learned", 0.00052, 0.0034, n=412, k=1, f=2.31, p=0.88, headline=True),
    ]
    write_tsv(folder / "estimates.tsv", ESTIMATE_COLUMNS, rows)
    diagnostics(folder, j_p=1.0, invariance_p=0.8, applies=False)
    path = [step(2, 1e-4, "means of the least invariant direction differ", rejected=True),
            step(1, 0.6, "one direction left", rejected=False)]  # fmt: skip
    verdict(folder, "weak", ["The one latent instrument is weak (first-stage F = 2.31)."], n_latent=1, n_confounded=1,
            path=path)  # fmt: skip
    write_eigenvalues(folder, rng, kept=1, total=2)
    write_loadings(folder, rng, variants=2, latent=1)
    provenance(folder, exposure="score_a", outcome="y", environment="cohort", covariates=("age",))


STUDIES = {"identified": identified, "not identified": not_identified, "rejected": rejected, "weak": tiny}


@pytest.fixture
def archive_of(tmp_path) -> Callable[[str], Path]:
    """`archive_of(status)`: the folder of a finished run with that verdict."""

    def build(status):
        folder = tmp_path / status.replace(" ", "-")
        folder.mkdir()
        STUDIES[status](folder)
        seal(folder, kind="study")
        return folder

    return build
