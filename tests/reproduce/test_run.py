import pytest

from invarmr.errors import InputError
from invarmr.reproduce import replicate, run
from invarmr.reproduce.items import chosen_items
from invarmr.reproduce.plan import units_of
from invarmr.reproduce.run import run_units, unfinished
from invarmr.reproduce.tidy_table import Store


def table(path):
    frame = Store(path).replicates.drop("seconds")
    return frame.sort(frame.columns)


def test_a_broken_run_goes_on_and_gives_the_same_table(tmp_path, small):
    units = units_of(chosen_items(("figure1",)), ["none", "stationary"], small)
    whole, broken = Store(tmp_path / "whole"), Store(tmp_path / "broken")
    for store in (whole, broken):
        store.out.mkdir()
    run_units(units, whole, small)

    class Kill(Exception):
        pass

    ended = []

    def stop(line):
        ended.append(line)
        if len(ended) == 1:
            raise Kill

    with pytest.raises(Kill):
        run_units(units, broken, small, say=stop)
    left = unfinished(units, Store(broken.out), small)
    assert len(left) == len(units) - 1
    run_units(left, Store(broken.out), small)
    assert table(whole.out).equals(table(broken.out))
    assert unfinished(units, Store(broken.out), small) == []


def test_worker_processes_give_the_same_table(tmp_path, small):
    units = units_of(chosen_items(("figure1",)), ["none"], small)[:4]
    lines = []
    for name, workers in (("one", 1), ("two", 2)):
        (tmp_path / name).mkdir()
        run_units(units, Store(tmp_path / name), small, workers=workers, say=lines.append)
    assert table(tmp_path / "one").equals(table(tmp_path / "two"))
    assert lines[-1].startswith("4 of 4 replicates (none,")


def test_autoencoders_go_in_whole_units_and_leave_no_checkpoint(tmp_path, small, fake_grid, monkeypatch):
    monkeypatch.setattr(replicate, "measure", lambda *_, **__: None)
    units = units_of(chosen_items(("figure1", "figure2")), ["autoencoder"], small)
    store = Store(tmp_path)
    run_units(units, store, small, models_at_once=8)
    assert sum(len(jobs) for jobs in fake_grid) == 2 * (4 * 4 + 3 * 2)
    assert max(len(jobs) for jobs in fake_grid) <= 8
    first = fake_grid[0]
    assert len({job.seed for job in first}) == 2  # neighbouring seeds of one design together
    assert len({job.instrument.shape[1] for job in first}) == 1
    assert unfinished(units, Store(tmp_path), small) == []
    assert {path.name for path in tmp_path.iterdir()} == {"replicates.tsv", "models.tsv"}


def test_on_a_gpu_everything_is_one_call(tmp_path, small, fake_grid, monkeypatch):
    monkeypatch.setattr(replicate, "measure", lambda *_, **__: None)
    units = units_of(chosen_items(("figure2",)), ["autoencoder"], small)
    run_units(units, Store(tmp_path), small, device="cuda:0")
    assert len(fake_grid) == 1


def test_a_grid_that_grew_is_trained_anew(tmp_path, small, fake_grid):
    units = units_of(chosen_items(("table2",)), ["autoencoder"], small)
    run_units(units, Store(tmp_path), small)
    larger = type(small)(**{**vars(small), "lambda_invariance": (1.0, 5.0, 10.0)})
    assert unfinished(units, Store(tmp_path), larger) == units


def test_threads_are_as_before(tmp_path, small, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    with run._one_thread_each():
        assert run.os.environ["OMP_NUM_THREADS"] == "1"
    assert run.os.environ["OMP_NUM_THREADS"] == "7"
    assert "MKL_NUM_THREADS" not in run.os.environ
    with pytest.raises(InputError, match="workers must be at least 1"):
        run_units([], Store(tmp_path), small, workers=0)
