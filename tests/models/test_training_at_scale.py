"""Killed, shared among processes, larger than memory: training ends as it would have."""

import hashlib
import json
import os
import re
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import msgspec
import numpy as np
import pytest
from aisle_clicks import write_clicks
from command_line import ENDCAP, Ended, endcap

from endcap.bundle import load_bundle
from endcap.errors import SettingsError
from endcap.events import EventType
from endcap.export.data.interactions import Interactions
from endcap.export.windows import EpochOfWindows

torch = pytest.importorskip("torch", reason="torch is missing: pip install 'endcap[export]'")

from aisle_shop import OPTIONS, Quiet, shop  # noqa: E402

from endcap.export.checkpoint import Halfway  # noqa: E402
from endcap.export.data.protocols import split  # noqa: E402
from endcap.export.fit_transformer import fit_transformer  # noqa: E402
from endcap.export.options_file import store_options, with_seed  # noqa: E402
from endcap.export.ranks import ranks_here  # noqa: E402

pytestmark = pytest.mark.models

_LONG_S = 150
_ENVIRONMENT = {"OMP_NUM_THREADS": "1", "COLUMNS": "200"}
_EPOCH = re.compile(r"epoch (\d)/3: loss ([\d.]+), validation HR@20 ([\d.]+)")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clicks of sixty shoppers, each along one of ten aisles, and options of many small steps."""
    found = tmp_path_factory.mktemp("scale")
    write_clicks(found / "clicks.csv", seed=11)
    fit = msgspec.structs.replace(OPTIONS.fit, positions=64)
    store_options(found / "options.json", msgspec.structs.replace(OPTIONS, fit=fit))
    return found


@pytest.fixture(scope="module")
def whole(folder: Path) -> Ended:
    """A run that nobody interrupted."""
    done = _run(folder, "whole")
    assert done.returncode == 0, done.stderr
    return done


def test_training_killed_in_mid_epoch_ends_with_the_weights_of_a_run_that_was_not(
    folder: Path, whole: Ended
) -> None:
    checkpoint = folder / "killed" / "checkpoint.pt"
    with subprocess.Popen(
        [*ENDCAP, *_train("killed", "--checkpoint-every", "0")],
        cwd=folder,
        env=os.environ | _ENVIRONMENT,
        stderr=subprocess.DEVNULL,
    ) as process:
        _wait_for_a_step_of_the_second_epoch(checkpoint, process)
        process.kill()
    assert not (folder / "killed" / "model.onnx").exists()

    again = _run(folder, "killed")
    assert again.returncode == 0, again.stderr
    assert re.search(r"going on after epoch [12] and \d+ steps?,", again.stderr), again.stderr
    assert _weights(folder / "killed") == _weights(folder / "whole")
    assert json.loads(again.stdout)["metrics"] == json.loads(whole.stdout)["metrics"]
    assert not list((folder / "killed").glob("checkpoint*"))


def test_a_checkpoint_of_another_training_is_refused_with_what_to_do(tmp_path: Path) -> None:
    class Stopped(Quiet):
        def say(self, sentence: str) -> None:
            super().say(sentence)
            if sentence.startswith("epoch 2/"):
                raise KeyboardInterrupt

    data, halfway = shop(), Halfway(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        fit_transformer(split(data, "time"), data.items, OPTIONS, Stopped(), halfway)

    wider = msgspec.structs.replace(OPTIONS.encoder, dim=32)
    another = shop(seed=4)
    others = {
        "the options of training": (data, with_seed(OPTIONS, 8)),
        "the Transformer's size": (data, msgspec.structs.replace(OPTIONS, encoder=wider)),
        "the events or items that it learns from": (another, OPTIONS),
        "the events or items": (data._replace(items=data.items[::-1]), OPTIONS),
    }
    for name, (asked, options) in others.items():
        with pytest.raises(SettingsError, match=f"{name}.*delete .* or choose another --out"):
            fit_transformer(split(asked, "time"), asked.items, options, Quiet(), halfway)
    (tmp_path / "checkpoint.pt").write_bytes(b"not one")
    with pytest.raises(SettingsError, match="cannot be read as a checkpoint"):
        fit_transformer(split(data, "time"), data.items, OPTIONS, Quiet(), halfway)


def test_a_fit_that_ended_early_is_not_gone_on_with(tmp_path: Path) -> None:
    """Killed after it, while the blend is learned, the next run must not train an epoch more."""
    data, halfway = shop(), Halfway(tmp_path)
    fit = msgspec.structs.replace(OPTIONS.fit, patience=0)
    options, parts = msgspec.structs.replace(OPTIONS, fit=fit), split(data, "time")
    first = fit_transformer(parts, data.items, options, Quiet(), halfway)
    assert len(first.curve) == 1 < fit.epochs
    again = fit_transformer(parts, data.items, options, Quiet(), halfway)
    assert again.curve == first.curve
    for name, weights in first.last.items():
        assert torch.equal(again.last[name], weights)


def test_two_processes_share_the_steps_and_learn_what_one_learns(
    folder: Path, whole: Ended
) -> None:
    done = _torchrun(folder, "-m", "endcap.deploy.cli", *_train("shared"))
    assert done.returncode == 0, done.stderr
    assert "training on the CPU, 2 processes" in done.stderr
    alone, shared = _EPOCH.findall(whole.stderr), _EPOCH.findall(done.stderr)
    assert [row[0] for row in shared] == ["1", "2", "3"] * 2, "on train, then on what came first"
    for one, two in zip(alone, shared, strict=True):
        assert float(two[1]) == pytest.approx(float(one[1]), rel=0.02)
        assert float(two[2]) == pytest.approx(float(one[2]), abs=0.1)
    (line,) = done.stdout.splitlines()
    ours, theirs = json.loads(line)["metrics"], json.loads(whole.stdout)["metrics"]
    assert ours["hr_at_10"] == pytest.approx(theirs["hr_at_10"], abs=0.05)
    assert load_bundle(folder / "shared").manifest.vocabulary_size == 120
    assert {path.name for path in (folder / "shared").iterdir()} == {
        path.name for path in (folder / "whole").iterdir()
    }


def test_a_process_that_fails_ends_all_and_says_why(folder: Path) -> None:
    write_clicks(folder / "another.csv", seed=13)
    (folder / "one_differs.py").write_text(
        "import os, sys\n"
        "from endcap.deploy.cli import main\n"
        "if os.environ['RANK'] == '1':\n"
        "    sys.argv[2] = 'another.csv'\n"
        "main()\n"
    )
    done = _torchrun(folder, "one_differs.py", *_train("failed"))
    assert done.returncode != 0
    assert "Process 1 read other data or options than process 0" in done.stderr
    assert not (folder / "failed" / "model.onnx").exists()


def test_a_device_that_is_not_there_is_refused() -> None:
    assert ranks_here("cpu").device.type == "cpu"
    with pytest.raises(SettingsError, match="auto, cpu or cuda"):
        ranks_here("tpu")
    if torch.cuda.is_available():
        assert ranks_here("auto").device.type == "cuda"
        return
    assert ranks_here("auto").device.type == "cpu"
    with pytest.raises(SettingsError, match="finds no GPU here"):
        ranks_here("cuda")


def test_an_epoch_holds_each_event_once_and_a_batch_needs_no_other_before_it() -> None:
    events = shop().interactions
    windows = _epoch(events)
    batches = [windows.batch(n, np.random.default_rng([1, n])) for n in range(windows.n_batches)]
    read = np.concatenate([batch.items[batch.items > 0] for batch in batches])
    np.testing.assert_array_equal(np.sort(read), np.sort(events.items))
    last = windows.n_batches - 1
    alone = _epoch(events).batch(last, np.random.default_rng([1, last]))
    for ours, theirs in zip(alone, batches[last], strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_lines_of_one_purchase_come_in_any_order_and_their_purchases_in_their_own() -> None:
    events = Interactions(
        np.array([0, 5, 8]),
        np.array([1, 2, 3, 4, 5, 6, 7, 8], dtype=np.int32),
        np.array([EventType.PURCHASE.code] * 5 + [EventType.VIEW_ITEM.code] * 3, dtype=np.int8),
        np.array([10, 10, 10, 20, 20, 30, 30, 30]),
        np.array([1, 1, 1, 2, 2, 3, 3, 3], dtype=np.int32),
    )
    firsts = set()
    for seed in range(20):
        batch = _epoch(events).batch(0, np.random.default_rng(seed))
        bought, viewed = sorted(batch.items.tolist())
        assert sorted(bought[:3]) == [1, 2, 3]
        assert sorted(bought[3:]) == [4, 5]
        assert viewed == [6, 7, 8, 0, 0]
        firsts.add(tuple(bought))
    assert len(firsts) > 5


def test_an_epoch_over_mapped_events_takes_less_memory_than_one_of_their_columns(
    tmp_path: Path,
) -> None:
    n, of_each = 1_000_000, 25
    columns = {
        "items": np.arange(n, dtype=np.int32) % 5000 + 1,
        "types": np.full(n, EventType.PURCHASE.code, dtype=np.int8),
        "times_ms": np.arange(n, dtype=np.int64) // 3,
        "sessions": np.arange(n, dtype=np.int32) // of_each,
    }
    for name, column in columns.items():
        np.save(tmp_path / f"{name}.npy", column)
    mapped = {name: np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in columns}
    events = Interactions(np.arange(0, n + 1, of_each, dtype=np.int64), **mapped)
    tracemalloc.start()
    try:
        windows = _epoch(events, positions=4096)
        for number in range(0, windows.n_batches, 20):
            windows.batch(number, np.random.default_rng(number))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < columns["times_ms"].nbytes


def _epoch(events: Interactions, positions: int = 512) -> EpochOfWindows:
    return EpochOfWindows(events, 51, positions, np.random.default_rng(5))


def _train(out: str, *more: str) -> list[str]:
    return ["train", "clicks.csv", "--options", "options.json", "--out", out, "--json", *more]


def _run(folder: Path, out: str) -> Ended:
    return endcap(*_train(out), cwd=folder, timeout_s=_LONG_S, **_ENVIRONMENT)


def _torchrun(folder: Path, *arguments: str) -> Ended:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    return subprocess.run(
        [*command, "--nproc-per-node", "2", *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        env=os.environ | _ENVIRONMENT,
        timeout=_LONG_S,
    )


def _wait_for_a_step_of_the_second_epoch(
    checkpoint: Path, process: subprocess.Popen[bytes]
) -> None:
    until = time.monotonic() + _LONG_S
    while time.monotonic() < until:
        assert process.poll() is None, "it ended before it could be killed"
        if checkpoint.exists():
            held = torch.load(checkpoint, weights_only=True)
            if held["curve"] and held["part"][0] > 0:
                return
        time.sleep(0.01)
    pytest.fail(f"{checkpoint} never came to the second epoch")


def _weights(bundle: Path) -> str:
    return hashlib.sha256((bundle / "model.onnx").read_bytes()).hexdigest()
