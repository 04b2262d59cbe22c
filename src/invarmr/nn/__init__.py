"""Torch blocks that know nothing of genetics: kernels, networks, the objective and the only training loop.

Tensors are features before rows, (..., features, rows): rows are then contiguous in every operation on narrow layers.
"""

from __future__ import annotations

import importlib.util

from invarmr.errors import InputError

if importlib.util.find_spec("torch") is None:  # pragma: no cover - the tests have torch
    raise InputError("Neural learners need torch, which is not installed: pip install 'invarmr[neural]'.")
