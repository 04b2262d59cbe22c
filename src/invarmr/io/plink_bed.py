"""Calls of a .bed, eight at a time through a table.

A .bed holds variant after variant, four calls to a byte, the first in the lowest bits: 00 two copies of A1, 01 missing,
10 one copy, 11 none. Only the bytes between the first and the last sample wanted are read, so blocks of neighbouring
samples cost what they hold; pgenlib reads every variant whole, whichever samples are wanted.
"""

from __future__ import annotations

import os
import weakref
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from invarmr.arrays import IntArray
from invarmr.data.genotypes import MISSING_CALL

__all__ = ["HEADER_BYTES", "BedCalls"]

HEADER_BYTES = 3
COPIES = np.array([2, MISSING_CALL, 1, 0], dtype=np.int8)
"""By two-bit code."""
PER_BYTE, PER_WORD = 4, 8


@final
class BedCalls:
    """The calls of one .bed file, which stays open. Any number of threads may share it.

    Parameters
    ----------
    path
        A .bed that has been checked against its tables.
    n_samples
        Samples in the file.
    """

    def __init__(self, path: Path, n_samples: int) -> None:
        self._file = path.open("rb", buffering=0)
        self._width = -(-n_samples // PER_BYTE)
        self._lock = Lock()
        weakref.finalize(self, self._file.close)

    def read(self, variants: IntArray, samples: IntArray) -> NDArray[np.int8]:
        """Copies of A1, (len(variants), len(samples)), -9 where missing; samples strictly increasing.

        Raises
        ------
        OSError
            The file has become shorter, or cannot be read.
        """
        out = np.empty((len(variants), len(samples)), dtype=np.int8)
        if out.size == 0:
            return out
        first = int(samples[0]) // PER_BYTE
        n_bytes = int(samples[-1]) // PER_BYTE + 1 - first
        packed = np.zeros(n_bytes + n_bytes % 2, dtype=np.uint8)
        words, table = packed.view("<u2"), _eight_calls()
        unpacked = np.empty(len(words), dtype=table.dtype)
        calls, places = unpacked.view(np.int8), np.asarray(samples - first * PER_BYTE, dtype=np.intp)
        neighbours = places[-1] - places[0] + 1 == len(places)
        for variant, row in zip(np.asarray(variants).tolist(), out, strict=True):
            self._load(HEADER_BYTES + variant * self._width + first, packed[:n_bytes])
            np.take(table, words, out=unpacked, mode="clip")
            if neighbours:
                row[:] = calls[places[0] : places[-1] + 1]
            else:
                np.take(calls, places, out=row, mode="clip")
        return out

    def _load(self, start: int, target: NDArray[np.uint8]) -> None:
        with self._lock:
            self._file.seek(start, os.SEEK_SET)
            found = self._file.readinto(target)  # type: ignore[arg-type]  # an array is a buffer
        if found != len(target):
            raise OSError(f"{len(target)} bytes expected at byte {start}, but {found} found")


@cache
def _eight_calls() -> NDArray[Any]:
    """The eight calls of every two bytes as one number, (65536,) uint64: its bytes are the calls in their order."""
    codes = np.arange(2**16)[:, None] >> (2 * np.arange(PER_WORD)) & 3
    return np.asarray(COPIES[codes].view(np.uint64)[:, 0])
