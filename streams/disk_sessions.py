"""An owned partition's snapshots in a file, so that a restart reads the topic's tail alone.

LMDB (https://www.symas.com/lmdb): one memory-mapped B+ tree. It was compared with RocksDB and
SQLite, see docs/decisions/0009. The file is a copy of the sessions topic, never its master: where
it cannot be trusted it is thrown away and read back.
"""

import fcntl
import logging
import shutil
import struct
import time
from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path

import lmdb

from endcap.errors import EndcapError

log = logging.getLogger(__name__)

WRITE_AT_ROWS = 20_000
WRITE_AFTER_S = 5.0
"""Rows wait in memory so long: a busy shopper is written once, and what a crash takes with it is
read from the topic again."""
TRUSTED_FOR_S = 12 * 3600
"""Kafka drops a tombstone after `delete.retention.ms` (a day). A file that slept through one would
bring an erased shopper back: an older file is not used."""
_FORMAT = b"2"
_FIRST_MAP_BYTES = 1 << 28
_LONGEST_KEY = 480
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class StoreInUseError(EndcapError):
    """Another process of this machine has the folder open."""


class DiskSessions:
    """Implements `SessionStore` in a folder. Only one process has it open at a time.

    Raises:
        StoreInUseError: another process has.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._lock = (folder / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock.close()
            raise StoreInUseError(
                f"Another process has the sessions in {folder} open. Give each worker of a "
                "machine a data_dir of its own (ENDCAP_DATA_DIR)."
            ) from error
        self._waiting: dict[str, bytes | None] = {}
        self._walked_to = b""
        self._written_at = time.monotonic()
        try:
            self._open()
            why = self._distrust()
        except lmdb.Error as error:
            why = f"it cannot be opened ({error})"
        if why:
            log.warning("the sessions in %s are read back from the topic: %s", folder, why)
            self._start_anew()
        with self._env.begin(write=True) as writing:
            writing.put(b"clean", b"", db=self._facts)

    @property
    def position(self) -> int:
        """See `SessionStore`."""
        return self._position

    def get(self, user_id: str) -> bytes | None:
        """See `SessionStore`."""
        if user_id in self._waiting:
            return self._waiting[user_id]
        with self._env.begin(db=self._rows) as reading:
            found: bytes | None = reading.get(_key(user_id))
        return found

    def put(self, rows: Mapping[str, bytes | None], position: int) -> None:
        """See `SessionStore`. On disk after `WRITE_AFTER_S` or `WRITE_AT_ROWS`."""
        self._waiting.update(rows)
        self._position = position
        if (
            len(self._waiting) >= WRITE_AT_ROWS
            or time.monotonic() - self._written_at > WRITE_AFTER_S
        ):
            self._write()

    def next_rows(self, count: int) -> list[bytes]:
        """See `SessionStore`."""
        met: list[bytes] = []
        with self._env.begin(db=self._rows) as reading, reading.cursor() as cursor:
            more = cursor.set_range(self._walked_to) if self._walked_to else cursor.first()
            while more and len(met) < count:
                met.append(cursor.value())
                more = cursor.next()
            self._walked_to = cursor.key() if more else b""
        return met

    def __len__(self) -> int:
        """Those on disk; rows that wait are counted when they are written."""
        with self._env.begin() as reading:
            count: int = reading.stat(self._rows)["entries"]
        return count

    def close(self) -> None:
        """Write what waits, make it safe from a power cut, and give the folder back."""
        self._write(clean=True)
        self._env.sync(True)
        self._env.close()
        self._lock.close()

    def _open(self) -> None:
        # Safe from a kill without syncing: the pages are the kernel's. From a power cut they are
        # not, hence the boot id beside them.
        self._env = lmdb.open(
            str(self._folder / "sessions"),
            map_size=_FIRST_MAP_BYTES,
            max_dbs=2,
            sync=False,
            metasync=False,
            readahead=False,
            lock=False,
        )
        self._rows = self._env.open_db(b"rows")
        self._facts = self._env.open_db(b"facts")
        with self._env.begin(db=self._facts) as reading:
            self._position = int(reading.get(b"position") or 0)

    def _distrust(self) -> str:
        """Why the file must not be used; empty where it may."""
        with self._env.begin(db=self._facts) as reading:
            if reading.get(b"position") is None:
                return ""  # a new one
            if reading.get(b"format") != _FORMAT:
                return "another version of endcap wrote it"
            if reading.get(b"boot") != _boot_id() and reading.get(b"clean") != b"yes":
                return "the machine went down while it was open"
            (touched_s,) = struct.unpack(">d", reading.get(b"touched") or bytes(8))
        if time.time() - touched_s > TRUSTED_FOR_S:
            return f"it was last used {(time.time() - touched_s) / 3600:.0f} hours ago"
        return ""

    def clear(self) -> None:
        """Forget everything: the topic is not the one that this was read from."""
        self._waiting.clear()
        self._start_anew()

    def _start_anew(self) -> None:
        if hasattr(self, "_env"):
            self._env.close()
        shutil.rmtree(self._folder / "sessions", ignore_errors=True)
        self._open()

    def _write(self, *, clean: bool = False) -> None:
        while True:
            try:
                self._write_once(clean)
            except lmdb.MapFullError:
                self._env.set_mapsize(2 * self._env.info()["map_size"])
            else:
                break
        self._waiting.clear()
        self._written_at = time.monotonic()

    def _write_once(self, clean: bool) -> None:
        with self._env.begin(write=True) as writing:
            # In the order of the keys, so that neighbours share a page's copy.
            for user_id in sorted(self._waiting):
                raw = self._waiting[user_id]
                if raw is None:
                    writing.delete(_key(user_id), db=self._rows)
                else:
                    writing.put(_key(user_id), raw, db=self._rows)
            facts = {
                b"position": str(self._position).encode(),
                b"format": _FORMAT,
                b"boot": _boot_id(),
                b"touched": struct.pack(">d", time.time()),
                b"clean": b"yes" if clean else b"",
            }
            for name, fact in facts.items():
                writing.put(name, fact, db=self._facts)


def _key(user_id: str) -> bytes:
    """LMDB's keys have at most 511 bytes; longer ids by their digest."""
    key = user_id.encode()
    return key if len(key) <= _LONGEST_KEY else b"\x00" + blake2b(key, digest_size=32).digest()


def _boot_id() -> bytes:
    """Another after each start of the machine; empty where the system does not say."""
    try:
        return _BOOT_ID.read_bytes().strip()
    except OSError:
        return b""
