"""Learning curves of the autoencoder where its published settings miss the published bias, beside this package's.

    python validation/learning_curves.py [--seed 1] [--epochs 400] [--out docs/reproduce]

Two mixings (Poly 3, invertible MLP), two environments of 10,000 people, lambdas 1 and 1 as published against
`AutoencoderSettings.improved()`. Writes `learning-curves.tsv` (every term of the objective before its weight, and the
MMD of W^ on validation people, as it is and whitened) and `learning-curves.svg`.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np

import invarmr
from invarmr.instruments.autoencoder_grid import train_grid
from invarmr.instruments.autoencoder_jobs import AutoencoderJob
from invarmr.instruments.autoencoder_settings import AutoencoderSettings
from invarmr.nn.objective import LossParts

DECODERS = {"poly3": {"decoder": "polynomial", "decoder_degree": 3}, "mlp": {"decoder": "mlp"}}
SHOWN = (("reconstruction", "reconstruction"), ("validation_mmd_whitened", "MMD of whitened W^, validation people"))


def main() -> None:
    options = parse()
    names, jobs = [], []
    for mixing, decoder in DECODERS.items():
        design = invarmr.LatentDesign(mixing=mixing)
        train = invarmr.simulate_latent(design, seed=options.seed, part="training")
        check = invarmr.simulate_latent(design, seed=options.seed, part="validation")
        for name, make in (("published", AutoencoderSettings), ("improved", AutoencoderSettings.improved)):
            changes = {"epochs": options.epochs} if name == "published" else {}
            names.append((mixing, name))
            jobs.append(
                AutoencoderJob(
                    instrument=train.instrument,
                    environment=train.cohort.environment,
                    validation_instrument=check.instrument,
                    validation_environment=check.cohort.environment,
                    settings=make(**decoder, **changes),
                    seed=options.seed,
                )
            )
    trained = train_grid(jobs)
    rows = [row for name, model in zip(names, trained, strict=True) for row in curve(*name, model)]
    out = Path(options.out)
    with (out / "learning-curves.tsv").open("w", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter="\t", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    draw(rows, out / "learning-curves.svg")
    for name in names:
        last = [row for row in rows if (row["mixing"], row["settings"]) == name][-1]
        print(*name, {key: last[key] for key in ("epoch", "reconstruction", "invariance", "validation_mmd_whitened")})


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=400, help="of the published settings")
    parser.add_argument("--out", default="docs/reproduce")
    return parser.parse_args()


def curve(mixing: str, settings: str, model: object) -> list[dict[str, object]]:
    """One row per epoch at which validation people were measured."""
    history = model.history
    rows = []
    for epoch in np.flatnonzero(np.isfinite(history.validation_mmd[:, 0])).tolist():
        row: dict[str, object] = {"mixing": mixing, "settings": settings, "epoch": epoch + 1}
        row |= {name: f"{history.parts[epoch, k, 0]:.5g}" for k, name in enumerate(LossParts._fields)}
        row["validation_mmd"] = f"{history.validation_mmd[epoch, 0]:.5g}"
        row["validation_mmd_whitened"] = f"{history.validation_mmd_whitened[epoch, 0]:.5g}"
        rows.append(row)
    return rows


def draw(rows: list[dict[str, object]], path: Path) -> None:
    """A panel for each mixing and measure; solid published, dashed improved."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "invarmr"
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(2, 2, figsize=(7, 4.6), layout="constrained")
    for line, mixing in zip(axes, DECODERS, strict=True):
        for panel, (key, label) in zip(line, SHOWN, strict=True):
            for settings, style in (("published", "-"), ("improved", "--")):
                own = [row for row in rows if (row["mixing"], row["settings"]) == (mixing, settings)]
                panel.plot([row["epoch"] for row in own], [float(row[key]) for row in own], style, label=settings)
            panel.set(yscale="log", title=f"{mixing}: {label}", xlabel="epoch")
            panel.title.set_fontsize(8)
            panel.legend(fontsize=7)
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    main()
