"""Jobs of the autoencoder and their data, standardised once for all jobs that share them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from invarmr.arrays import FloatArray, IntArray
from invarmr.errors import InputError
from invarmr.instruments.autoencoder_encoder import Encoder
from invarmr.instruments.autoencoder_settings import AutoencoderSettings, Units
from invarmr.linalg.symmetric import RANK_TOLERANCE
from invarmr.nn.batches import StackData
from invarmr.nn.networks import Architecture

__all__ = ["AutoencoderJob", "PreparedJobs", "by_environment", "standard_units"]


@dataclass(frozen=True, eq=False, kw_only=True)
class AutoencoderJob:
    """One model to train.

    Jobs that give the same array objects share them: data are prepared once.

    Parameters
    ----------
    instrument, environment
        (n, d) and (n,) codes 0..E-1 of the training people. Instruments are centred and put into the settings' units
        (of these people) before training; what does not vary is left out.
    validation_instrument, validation_environment
        The same of the validation people.
    settings
        What the model is and how it is trained.
    seed
        Of its start and its batches.
    exposure
        (n,) of the training people, in the units in which `lambda_relevance` weighs its squared error; needed only
        where that is positive.
    start
        (P,) parameters to start from; None: random.
    """

    instrument: FloatArray
    environment: IntArray
    validation_instrument: FloatArray
    validation_environment: IntArray
    settings: AutoencoderSettings
    seed: int
    exposure: FloatArray | None = None
    start: FloatArray | None = None


class PreparedJobs:
    """Data sets standardised once for all jobs that share them.

    Parameters
    ----------
    data
        The data sets, as `train_stack` takes them.
    """

    def __init__(self) -> None:
        self.data: list[StackData] = []
        self._units: list[tuple[FloatArray, FloatArray]] = []
        self._known: dict[tuple[int | str, ...], int] = {}

    def add(self, job: AutoencoderJob) -> StackData:
        """The data of a job, prepared unless they are; its settings are checked against them."""
        key = self._key(job)
        if key not in self._known:
            self._known[key] = len(self.data)
            data, units = _standardised(job)
            self.data.append(data)
            self._units.append(units)
        data = self.data[self._known[key]]
        job.settings.check_against(data.Z.shape[1], data.sizes)
        return data

    def index(self, job: AutoencoderJob) -> int:
        """Position of the data of a job in `data`."""
        return self._known[self._key(job)]

    def encoder(self, job: AutoencoderJob, architecture: Architecture, flat: FloatArray) -> Encoder:
        """The encoder among the parameters (P,) of a trained model, with the units of its data."""
        center, units = self._units[self.index(job)]
        weights, start = {}, 0
        for name, (rows, columns) in architecture.shapes.items():
            if name.startswith("encoder."):
                weights[name] = flat[start : start + rows * columns].reshape(rows, columns).astype(np.float64)
            start += rows * columns
        return Encoder(
            kind=architecture.encoder,
            degree=architecture.encoder_degree,
            bounded=architecture.bounded,
            n_latent=architecture.n_latent,
            n_confounded=architecture.n_confounded,
            center=center,
            units=units,
            weights=weights,
        )

    @staticmethod
    def _key(job: AutoencoderJob) -> tuple[int | str, ...]:
        arrays = (job.instrument, job.environment, job.validation_instrument, job.validation_environment, job.exposure)
        needs = job.settings.lambda_relevance > 0
        return (*(id(array) for array in arrays[:4]), id(arrays[4]) if needs else 0, job.settings.units)


def _standardised(job: AutoencoderJob) -> tuple[StackData, tuple[FloatArray, FloatArray]]:
    Z = np.asarray(job.instrument, dtype=np.float64)
    validation = np.asarray(job.validation_instrument, dtype=np.float64)
    center, units = standard_units(Z, job.settings.units)
    order, sizes = by_environment(job.environment)
    validation_order, validation_sizes = by_environment(job.validation_environment)
    if len(sizes) != len(validation_sizes):
        raise InputError(
            f"Training and validation people must come from the same environments, but {len(sizes)} and "
            f"{len(validation_sizes)} came."
        )
    exposure = None
    if job.settings.lambda_relevance > 0:
        if job.exposure is None:
            raise InputError("lambda_relevance is positive, but the job has no exposure. Give it, or set it to 0.")
        exposure = np.asarray(job.exposure, dtype=np.float64)[order].astype(np.float32)
    data = StackData(
        Z=((Z[order] - center) @ units).astype(np.float32),
        sizes=sizes,
        validation=((validation[validation_order] - center) @ units).astype(np.float32),
        validation_sizes=validation_sizes,
        exposure=exposure,
    )
    return data, (center, units)


_CONSTANT = 1e-9
"""Share of its mean below which an instrument's spread is rounding."""


def standard_units(Z: FloatArray, units: Units) -> tuple[FloatArray, FloatArray]:
    """Means (d,) of instruments (n, d), and the map (d, k) from centred instruments to the encoder's units."""
    center = Z.mean(axis=0)
    centred = Z - center
    scale = np.sqrt(np.square(centred).mean(axis=0))
    used = scale > _CONSTANT * np.maximum(np.abs(center), 1e-300)
    if units == "centred":
        return center, np.eye(len(center))[:, used]
    standard = np.diag(1 / np.where(used, scale, 1.0))[:, used]
    if units == "standardised":
        return center, np.asarray(standard)
    standardised = centred @ standard
    values, vectors = np.linalg.eigh(standardised.T @ standardised / len(centred))
    kept = values > RANK_TOLERANCE * values[-1]
    return center, np.asarray(standard @ (vectors[:, kept] / np.sqrt(values[kept])))


def by_environment(environment: IntArray) -> tuple[IntArray, tuple[int, ...]]:
    """The order (n,) that sorts rows by environment, and how many each has."""
    codes = np.asarray(environment)
    sizes = np.bincount(codes)
    if (sizes == 0).any():
        raise InputError(
            f"Every environment 0..{len(sizes) - 1} must have people, but {np.flatnonzero(sizes == 0)} have none."
        )
    return np.argsort(codes, kind="stable"), tuple(int(size) for size in sizes)
