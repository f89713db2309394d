"""What the demo learns for its back office: once, whole or not at all, and never in the way."""

import asyncio
import sys
from pathlib import Path

import pytest

from endcap.deploy.demo_office import OfficeFiles, office_files, prepare

WRITES = [sys.executable, "-c", "import sys; open(sys.argv[-1], 'w').write(sys.argv[1])"]
FAILS = [sys.executable, "-c", "raise SystemExit('no such data')"]
WAITS = [sys.executable, "-c", "import time; time.sleep(600)"]


class Demo:
    """Hears what is said, and counts how often segments were followed."""

    def __init__(self, folder: Path) -> None:
        self.files = OfficeFiles(folder / "cache" / "p.npz", folder / "cache" / "s.json")
        self.folder = folder
        self.said: list[str] = []
        self.spoke = asyncio.Event()
        self.followed = 0

    def hear(self, sentence: str) -> None:
        self.said.append(sentence)
        self.spoke.set()

    async def follow(self) -> None:
        assert self.files.segments.exists()
        self.followed += 1

    async def run(self, command: list[str]) -> None:
        await prepare(self.files, command, self.folder, self.hear, self.follow)


@pytest.fixture
def demo(tmp_path: Path) -> Demo:
    return Demo(tmp_path)


async def test_what_was_learned_is_kept_for_the_next_time(demo: Demo) -> None:
    await demo.run(WRITES)
    assert demo.files.segments.read_text() == "segments"
    assert demo.files.evidence.read_text() == "price"
    assert len([said for said in demo.said if said.startswith("Learning")]) == 2
    demo.said.clear()
    await demo.run(FAILS)
    assert demo.said == ["The back office has its prices and segments"]
    assert demo.followed == 2


async def test_what_cannot_be_learned_is_said_and_leaves_nothing(demo: Demo) -> None:
    await demo.run(FAILS)
    assert "no such data" in demo.said[-1]
    assert list(demo.files.segments.parent.iterdir()) == []
    assert demo.followed == 0


async def test_the_end_of_the_demo_ends_the_learning(demo: Demo) -> None:
    learning = asyncio.create_task(demo.run(WAITS))
    await demo.spoke.wait()
    learning.cancel()
    with pytest.raises(asyncio.CancelledError):
        await learning
    assert list(demo.files.segments.parent.iterdir()) == []


def test_files_are_named_by_the_code_that_learns(tmp_path: Path) -> None:
    first, again = office_files(tmp_path), office_files(tmp_path)
    assert first == again
    assert first.evidence.parent == tmp_path / "office"
