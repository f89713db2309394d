"""What every store of an owned partition's sessions promises: in memory, and on disk."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import lmdb
import pytest

from endcap.streams import disk_sessions
from endcap.streams.disk_sessions import DiskSessions, StoreInUseError
from endcap.streams.session_store import MemorySessions, SessionStore, rows_of

Open = Callable[[], SessionStore]


@pytest.fixture(params=["memory", "disk"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> SessionStore:
    return MemorySessions() if request.param == "memory" else DiskSessions(tmp_path)


def test_it_gives_back_the_newest(store: SessionStore) -> None:
    assert store.position == 0
    store.put({"ann": b"1", "ben": b"2"}, 2)
    store.put({"ann": b"3"}, 3)
    assert (store.get("ann"), store.get("ben"), store.get("eve")) == (b"3", b"2", None)
    assert store.position == 3


def test_none_removes(store: SessionStore) -> None:
    store.put({"ann": b"1"}, 1)
    store.put({"ann": None}, 2)
    assert store.get("ann") is None
    assert store.position == 2


def test_clear_forgets_everything(store: SessionStore) -> None:
    store.put({"ann": b"1"}, 7)
    store.clear()
    assert store.get("ann") is None
    assert store.position == 0
    store.put({"ann": b"2"}, 1)
    assert store.get("ann") == b"2"


def test_a_walk_meets_every_row_and_begins_anew(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk_sessions, "WRITE_AT_ROWS", 1)
    store.put({f"u{n}": b"%d" % n for n in range(100)}, 100)
    met = Counter(row for _ in range(50) for row in store.next_rows(7))
    assert met.keys() == {b"%d" % n for n in range(100)}
    assert set(met.values()) <= {3, 4}  # 50 steps of 7, less the ends of rounds


def test_ids_of_any_length_and_script_are_apart(store: SessionStore) -> None:
    ids = ["a" * 256, "a" * 255 + "b", "ü" * 256, "ü" * 255, "店" * 256, "店" * 255 + "舗", "\x00"]
    store.put({user: user.encode() for user in ids}, 1)
    assert [store.get(user) for user in ids] == [user.encode() for user in ids]


def test_what_was_closed_is_there_again(tmp_path: Path) -> None:
    first = DiskSessions(tmp_path)
    first.put({f"u{n}": b"x" * n for n in range(1000)}, 1000)
    first.close()
    again = DiskSessions(tmp_path)
    assert again.position == 1000
    assert again.get("u999") == b"x" * 999
    assert len(again) == 1000
    again.close()


def test_after_a_kill_rows_and_position_belong_together(tmp_path: Path) -> None:
    """Rows that waited are gone, and so is the position: the topic's tail is read again."""
    program = (
        "import sys, os\n"
        "from pathlib import Path\n"
        "from endcap.streams import disk_sessions\n"
        "disk_sessions.WRITE_AT_ROWS = 100\n"
        "store = disk_sessions.DiskSessions(Path(sys.argv[1]))\n"
        "for n in range(1050):\n"
        "    store.put({f'u{n}': str(n).encode()}, n + 1)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    killed = subprocess.run([sys.executable, "-c", program, str(tmp_path)])
    assert killed.returncode == -9
    store = DiskSessions(tmp_path)
    assert store.position == 1000
    assert [store.get(f"u{n}") for n in (0, 999, 1000)] == [b"0", b"999", None]
    store.close()


def test_it_grows_beyond_its_first_map(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk_sessions, "_FIRST_MAP_BYTES", 1 << 20)
    store = DiskSessions(tmp_path)
    store.put({f"u{n}": os.urandom(1000) for n in range(20_000)}, 1)
    assert len(store) == 20_000
    store.close()


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    store = DiskSessions(tmp_path)
    with pytest.raises(StoreInUseError, match="ENDCAP_DATA_DIR"):
        DiskSessions(tmp_path)
    store.close()
    DiskSessions(tmp_path).close()


def reopened_position(tmp_path: Path) -> int:
    store = DiskSessions(tmp_path)
    position = store.position
    store.close()
    return position


def test_a_file_older_than_tombstones_live_is_not_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = DiskSessions(tmp_path)
    store.put({"erased": b"1"}, 5)
    store.close()
    assert reopened_position(tmp_path) == 5
    monkeypatch.setattr(disk_sessions, "TRUSTED_FOR_S", -1.0)
    assert reopened_position(tmp_path) == 0


def test_a_file_open_when_the_machine_went_down_is_not_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk_sessions, "WRITE_AT_ROWS", 1)
    store = DiskSessions(tmp_path)
    store.put({"ann": b"1"}, 5)
    store._env.close()  # as a power cut leaves it: open, and another boot id afterwards
    store._lock.close()
    monkeypatch.setattr(disk_sessions, "_boot_id", lambda: b"another")
    assert reopened_position(tmp_path) == 0


def test_a_broken_file_is_read_back_from_the_topic(tmp_path: Path) -> None:
    store = DiskSessions(tmp_path)
    store.put({"ann": b"1"}, 5)
    store.close()
    (tmp_path / "sessions" / "data.mdb").write_bytes(b"rubbish" * 2000)
    with pytest.raises(lmdb.Error):
        lmdb.open(str(tmp_path / "sessions"))
    assert reopened_position(tmp_path) == 0


class _Record(NamedTuple):
    key: bytes | None
    value: bytes | None
    topic: str = "sessions"


def test_a_key_that_names_nobody_is_passed_over() -> None:
    records = [
        _Record(b"u", b"1"),
        _Record(b"\xff", b"2"),
        _Record(None, b"3"),
        _Record(b"v", None),
    ]
    assert rows_of(records) == {"u": b"1", "v": None}
