"""The training loop: against torch's own optimiser, alone and in a stack, twice, and after a kill."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from invarmr.errors import InputError
from invarmr.nn.adamw import StackedAdamW
from invarmr.nn.batches import EpochBatches, steps_per_epoch
from invarmr.nn.networks import Architecture
from invarmr.nn.objective import Objective
from invarmr.nn.training import Plan, StackTask, resolve_device, train_stack

ARCHITECTURE = Architecture(n_instruments=4, n_latent=2, n_confounded=2, width=8)
PLAN = Plan(epochs=4, batch=100, n_last=2, validate_every=2)
TASKS = [
    StackTask(data=0, seed=1, invariance=1.0, independence=1.0),
    StackTask(data=0, seed=1, invariance=10.0, independence=5.0),
    StackTask(data=1, seed=2, invariance=5.0, independence=0.0, entropy=0.1),
    StackTask(data=1, seed=2, invariance=1.0, independence=1.0),
]


def test_stacked_adamw_is_torchs_with_every_models_own_clip() -> None:
    start = torch.randn(3, 10, generator=torch.Generator().manual_seed(0))
    target = torch.tensor([[1.0], [30.0], [-2.0]])
    stacked = StackedAdamW(start, learning_rate=0.01, weight_decay=0.1, clip=1.5)
    single = [start[i].clone().requires_grad_() for i in range(3)]
    optimisers = [torch.optim.AdamW([x], lr=0.01, weight_decay=0.1) for x in single]
    for _ in range(20):
        loss = (stacked.theta - target).square().sum()
        stacked.step(torch.autograd.grad(loss, [stacked.theta])[0])
        for x, goal, optimiser in zip(single, target, optimisers, strict=True):
            optimiser.zero_grad()
            (x - goal).square().sum().backward()
            torch.nn.utils.clip_grad_norm_([x], 1.5)
            optimiser.step()
    assert torch.allclose(stacked.theta, torch.stack(single), atol=1e-6)


def test_models_train_alone_as_in_a_stack(small_data) -> None:
    data = [small_data(0), small_data(1)]
    together = train_stack(ARCHITECTURE, Objective(), PLAN, data, TASKS)
    for i, task in enumerate(TASKS):
        alone = train_stack(ARCHITECTURE, Objective(), PLAN, data, [task])
        assert np.abs(alone.parameters[0] - together.parameters[i]).max() < 1e-5
        assert alone.history.total[:, 0] == pytest.approx(together.history.total[:, i], rel=1e-4)
    uneven = train_stack(ARCHITECTURE, Objective(), PLAN, data, TASKS[:3])  # 2 models on one data set, 1 on the other
    assert np.abs(uneven.parameters - together.parameters[:3]).max() < 1e-5
    assert np.abs(together.parameters[0] - together.parameters[1]).max() > 1e-3  # the lambdas do something


def test_two_runs_give_identical_bytes(small_data) -> None:
    runs = [train_stack(ARCHITECTURE, Objective(), PLAN, [small_data(0), small_data(1)], TASKS) for _ in range(2)]
    assert runs[0].parameters.tobytes() == runs[1].parameters.tobytes()
    for name, array in runs[0].history.arrays().items():
        assert array.tobytes() == runs[1].history.arrays()[name].tobytes()


@pytest.mark.parametrize("schedule", ["constant", "plateau", "cosine"])
def test_a_killed_run_goes_on_as_if_it_had_not_been(small_data, tmp_path, schedule) -> None:
    class Killed(Exception):
        pass

    def kill(epoch: int, _: int) -> None:
        if epoch == 3:
            raise Killed

    data, plan, file = (
        [small_data(0), small_data(1)],
        replace(PLAN, epochs=6, schedule=schedule),
        tmp_path / "run" / "a.st",
    )
    unbroken = train_stack(ARCHITECTURE, Objective(), plan, data, TASKS)
    with pytest.raises(Killed):
        train_stack(ARCHITECTURE, Objective(), plan, data, TASKS, checkpoint=file, checkpoint_every=2, progress=kill)
    described = json.loads(file.with_suffix(".json").read_text())
    assert described["epochs"] == 2
    seen: list[int] = []
    resumed = train_stack(
        ARCHITECTURE, Objective(), plan, data, TASKS, checkpoint=file, progress=lambda epoch, _: seen.append(epoch)
    )
    assert seen == [3, 4, 5, 6]
    assert resumed.parameters.tobytes() == unbroken.parameters.tobytes()
    assert resumed.history.total.tobytes() == unbroken.history.total.tobytes()
    finished = train_stack(ARCHITECTURE, Objective(), plan, data, TASKS, checkpoint=file)
    assert finished.parameters.tobytes() == unbroken.parameters.tobytes()


def test_a_checkpoint_of_another_run_is_refused(small_data, tmp_path) -> None:
    file = tmp_path / "a.st"
    train_stack(ARCHITECTURE, Objective(), PLAN, [small_data(0)], TASKS[:1], checkpoint=file)
    with pytest.raises(InputError, match="another run \\(other plan\\)"):
        train_stack(ARCHITECTURE, Objective(), replace(PLAN, epochs=9), [small_data(0)], TASKS[:1], checkpoint=file)
    with pytest.raises(InputError, match="another run \\(other data\\)"):
        train_stack(ARCHITECTURE, Objective(), PLAN, [small_data(3)], TASKS[:1], checkpoint=file)
    warm = replace(TASKS[0], start=np.zeros(ARCHITECTURE.n_parameters, dtype=np.float32))
    with pytest.raises(InputError, match="another run \\(other starts\\)"):
        train_stack(ARCHITECTURE, Objective(), PLAN, [small_data(0)], [warm], checkpoint=file)
    file.write_bytes(b"not a checkpoint")
    with pytest.raises(InputError, match="is not a checkpoint"):
        train_stack(ARCHITECTURE, Objective(), PLAN, [small_data(0)], TASKS[:1], checkpoint=file)


def test_the_loss_falls_and_every_term_is_recorded(small_data) -> None:
    plan = replace(PLAN, epochs=12, learning_rate=1e-2)
    architecture = replace(ARCHITECTURE, relevance=True)
    task = [StackTask(data=0, seed=1, relevance=0.1)]
    history = train_stack(architecture, Objective(), plan, [small_data(0, exposure=True)], task).history
    assert history.total[-1, 0] < 0.6 * history.total[0, 0]
    parts = history.parts[:, :, 0]
    weighted = parts @ np.array([1.0, 1.0, 1.0, 0.1, -0.01])
    assert history.total[:, 0] == pytest.approx(weighted, rel=1e-4)
    assert (parts[:, 3] > 0).all()
    measured = np.isfinite(history.validation_mmd[:, 0])
    assert np.flatnonzero(measured).tolist() == [1, 3, 5, 7, 9, 10, 11]
    raw, whitened = history.last_validation()
    assert raw[0] == pytest.approx(history.validation_mmd[-2:, 0].mean())
    assert whitened[0] > 0


def test_penalties_come_in_after_the_delay(small_data) -> None:
    plan = replace(PLAN, epochs=8, penalty_delay=0.25)
    strong = [StackTask(data=0, seed=1, invariance=100.0, independence=100.0, entropy=0.0)]
    history = train_stack(ARCHITECTURE, Objective(), plan, [small_data(0)], strong).history
    penalty = history.parts[:, 1, 0] + history.parts[:, 2, 0]
    shares = (history.total[:, 0] - history.parts[:, 0, 0]) / (100 * penalty)
    assert shares == pytest.approx([0, 0, 0, 0.5, 1, 1, 1, 1], abs=1e-4)


def test_a_loss_that_is_not_finite_is_named_and_spares_the_other_models(small_data) -> None:
    bad = small_data(0)
    plan = replace(PLAN, clip=1e12)
    tasks = [TASKS[0], StackTask(data=0, seed=1, start=np.full(ARCHITECTURE.n_parameters, 1e30, dtype=np.float32))]
    fit = train_stack(ARCHITECTURE, Objective(), plan, [bad], tasks)
    assert list(fit.failures) == [1]
    assert "stopped being finite in epoch 1 of 4 (" in fit.failures[1]
    assert np.isfinite(fit.parameters[0]).all()
    alone = train_stack(ARCHITECTURE, Objective(), plan, [bad], tasks[:1])
    assert np.abs(alone.parameters[0] - fit.parameters[0]).max() < 1e-5


def test_batches_see_every_row_once_and_small_environments_more_often(small_data) -> None:
    data = replace(small_data(0), sizes=(400, 200))
    batches = EpochBatches([data], [(0, 7)], 100, torch.device("cpu"))
    assert batches.steps == steps_per_epoch((400, 200), 100) == 4
    seen = torch.cat([Z[0] for Z, _ in batches.draw(0)], dim=1).numpy()
    first = np.concatenate([seen[0, s * 200 : s * 200 + 100] for s in range(4)])
    assert sorted(first.tolist()) == sorted(data.Z[:400, 0].tolist())
    second = np.concatenate([seen[0, s * 200 + 100 : (s + 1) * 200] for s in range(4)])
    assert sorted(second.tolist()) == sorted(2 * data.Z[400:, 0].tolist())
    again = torch.cat([Z[0] for Z, _ in batches.draw(0)], dim=1).numpy()
    other = torch.cat([Z[0] for Z, _ in batches.draw(1)], dim=1).numpy()
    assert np.array_equal(seen, again)
    assert not np.array_equal(seen, other)


def test_a_stack_of_unequal_data_is_refused(small_data) -> None:
    with pytest.raises(InputError, match="equally many environments"):
        train_stack(ARCHITECTURE, Objective(), PLAN, [small_data(0), small_data(1, 3)], TASKS)


def test_a_batch_larger_than_an_environment_is_refused() -> None:
    with pytest.raises(InputError, match=r"batch must not exceed .* but is 500 and the environments have 900, 300"):
        steps_per_epoch((900, 300), 500)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_where_none_is_ends_in_one_message() -> None:
    with pytest.raises(InputError, match=r"torch sees 0 GPUs here\. Use device='cpu'"):
        resolve_device("cuda")


@pytest.mark.parametrize("name", ["tpu9", "meta"])
def test_unknown_devices_are_refused(name) -> None:
    with pytest.raises(InputError, match="device must be 'cpu' or 'cuda'"):
        resolve_device(name)
