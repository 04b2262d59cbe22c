"""Torch blocks that know nothing of genetics: kernels, networks, the objective and the only training loop.

Tensors are features before rows, (..., features, rows): rows are then contiguous in every operation on narrow layers.
"""

from __future__ import annotations

from invarmr.errors import InputError

try:
    import torch as _torch  # noqa: F401 - only whether it is there
except ImportError as error:
    raise InputError("Neural learners need torch, which is not installed: pip install 'invarmr[neural]'.") from error
