"""`endcap models`: each step, what it prints, and what it refuses without changing anything."""

import json
from pathlib import Path
from typing import Any

import pytest
from command_line import Ended, endcap
from other_bundle import bundle_without_numbers, damaged_bundle, other_bundle

from endcap.bundle import read_manifest
from endcap.deploy.settings import DEMO_BUNDLE


class Desk:
    """A working directory with a bundle of another season."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "runs" / "models.json"
        self.spring = other_bundle(folder / "spring", "spring")

    def models(self, *words: object) -> Any:
        ended = self.tried(*words, "--json")
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout)

    def tried(self, *words: object) -> Ended:
        return endcap("models", *words, cwd=self.folder)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_use_and_rollback_and_what_is_shown_agree(desk: Desk) -> None:
    demo = read_manifest(DEMO_BUNDLE).name
    before = desk.models("show")
    assert (before["current"]["name"], before["previous"], before["shadow"]) == (demo, None, None)
    assert not desk.file.exists()
    used = desk.models("use", "spring")
    assert used == desk.models("show")
    assert (used["current"]["name"], used["previous"]["name"]) == ("spring", demo)
    assert used["current"]["bundle"] == str(desk.spring.resolve())
    back = desk.models("rollback")
    assert (back["current"]["name"], back["previous"]["name"]) == (demo, "spring")


def test_a_shadow_is_set_with_its_share_and_taken_off(desk: Desk) -> None:
    cast = desk.models("shadow", "spring", "--share", 0.25)
    assert (cast["shadow"]["name"], cast["shadow_share"]) == ("spring", 0.25)
    assert cast["current"]["bundle"] == str(DEMO_BUNDLE)
    off = desk.models("shadow", "--off")
    assert (off["shadow"], off["shadow_share"]) == (None, 0.0)
    assert "--off" in desk.tried("shadow").stderr


def test_what_cannot_serve_is_refused_and_nothing_is_changed(desk: Desk, tmp_path: Path) -> None:
    desk.models("use", "spring")
    before = desk.file.read_bytes()
    damaged_bundle(tmp_path / "damaged")
    bundle_without_numbers(tmp_path / "no-numbers")
    for words, says in (
        (("use", "damaged"), "generators.npz is not the file"),
        (("shadow", "damaged"), "generators.npz is not the file"),
        (("use", "no-numbers"), "scores that are no numbers"),
        (("use", "nowhere"), "cannot be read"),
    ):
        ended = desk.tried(*words)
        assert ended.returncode == 1
        assert says in ended.stderr
        assert desk.file.read_bytes() == before


def test_a_way_back_to_what_is_another_model_by_now_is_refused(desk: Desk) -> None:
    desk.models("use", "spring")
    desk.models("use", other_bundle(desk.folder / "summer", "summer"))
    before = desk.file.read_bytes()
    manifest = desk.spring / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"spring"', '"spring anew"'))
    ended = desk.tried("rollback")
    assert ended.returncode == 1
    assert "is not the bundle that was named" in ended.stderr
    assert desk.file.read_bytes() == before
    assert "problem" in desk.models("show")["previous"]


def test_doctor_says_which_model_the_file_names(desk: Desk) -> None:
    desk.models("use", "spring")
    desk.models("shadow", DEMO_BUNDLE)
    ended = endcap(
        "doctor",
        "--json",
        cwd=desk.folder,
        ENDCAP_KAFKA_BOOTSTRAP_SERVERS="localhost:1",
        ENDCAP_REDIS_URL="redis://localhost:1/0",
    )
    found = {row["part"]: row for row in json.loads(ended.stdout)}
    assert found["Model"]["ok"]
    assert found["Model"]["says"].startswith("spring on ")
    assert "models.json names it" in found["Model"]["says"]
    assert "for 10% of the shoppers" in found["Shadow"]["says"]
