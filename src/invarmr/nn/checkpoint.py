"""The state of a training run on disk: safetensors, with a JSON file beside it that says what it is of."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from invarmr.errors import InputError

__all__ = ["load_checkpoint", "save_checkpoint"]


def save_checkpoint(path: Path, state: Mapping[str, Tensor], fingerprint: Mapping[str, object], epochs: int) -> None:
    """Write the state after `epochs` epochs: whole or not at all, also where the writing is killed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    described = json.dumps({"epochs": epochs, "of": fingerprint}, indent=1, sort_keys=True)
    unfinished = path.with_name(path.name + ".unfinished")
    save_file({name: value.contiguous() for name, value in state.items()}, unfinished, {"run": described})
    os.replace(unfinished, path)
    beside = path.with_suffix(".json")
    unfinished.write_text(described + "\n")
    os.replace(unfinished, beside)


def load_checkpoint(path: Path, state: Mapping[str, Tensor], fingerprint: Mapping[str, object]) -> int:
    """Copy a checkpoint into the tensors of `state`; the number of epochs it has behind it.

    Raises
    ------
    InputError
        It is not a checkpoint, or one of other settings, seeds or data.
    """
    try:
        with safe_open(path, framework="pt") as stored:
            run = json.loads(stored.metadata()["run"])
            if run["of"] != json.loads(json.dumps(fingerprint)):
                different = [
                    key for key, value in fingerprint.items() if run["of"].get(key) != json.loads(json.dumps(value))
                ]
                raise InputError(
                    f"The checkpoint {path} is of another run (other {', '.join(different)}). Name another file, or "
                    "delete it to start anew."
                )
            with torch.no_grad():
                for name, value in state.items():
                    kept = stored.get_tensor(name)
                    if kept.shape != value.shape:
                        raise InputError(
                            f"The checkpoint {path} has another shape of '{name}' ({tuple(kept.shape)}, not "
                            f"{tuple(value.shape)}). Delete it to start anew."
                        )
                    value.copy_(kept)
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{path} is not a checkpoint of invarmr: {error}. Delete it to start anew.") from error
    return int(run["epochs"])
