"""`endcap train` and `endcap evaluate` as a person types them."""

import json
from pathlib import Path

import pytest
from aisle_clicks import write_clicks
from command_line import endcap

from endcap.bundle import load_bundle
from endcap.deploy.settings import DEMO_BUNDLE

pytest.importorskip("torch", reason="torch is missing: pip install 'endcap[export]'")
pytestmark = pytest.mark.models


@pytest.fixture(scope="module")
def clicks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An events file with a shop's own names of the columns."""
    file = tmp_path_factory.mktemp("shop") / "clicks.csv"
    write_clicks(file, seed=11, columns=("visitor", "sku", "event_type", "ts"))
    return file


def test_one_command_trains_compares_reports_and_keeps_the_bundle(
    clicks: Path, tmp_path: Path
) -> None:
    mapped = [f"--column={pair}" for pair in ("user_id=visitor", "item_id=sku", "timestamp=ts")]
    done = endcap(
        *("evaluate", str(clicks), *mapped, "--epochs", "3", "--trials", "2", "--json"),
        *("--opponents", "pop,co-visitation", "--out", "kept", "--report", "page"),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["protocol"] == "time"
    assert found["opponents"].keys() == {"pop", "co-visitation"}
    assert found["metrics"]["hr_at_10"] > found["opponents"]["pop"]["hr_at_10"]
    assert found["seconds_to_train"] > 0
    assert found["users_per_s"] > 0
    files = [file for file in (tmp_path / "kept").rglob("*") if file.is_file()]
    assert {file.stat().st_mode for file in files} == {clicks.stat().st_mode}
    bundle = load_bundle(tmp_path / "kept")
    assert bundle.manifest.vocabulary_size == 120
    assert bundle.manifest.command.startswith("endcap evaluate")
    assert json.loads((tmp_path / "page" / "report.json").read_text()) == found
    assert "co-visitation" in (tmp_path / "page" / "report.html").read_text()

    again = endcap(
        *("evaluate", str(clicks), *mapped, "--bundle", "kept", "--json"),
        *("--opponents", "co-visitation,pop", "--trials", "2"),
        cwd=tmp_path,
    )
    assert again.returncode == 0, again.stderr
    assert again.stderr.count("as an earlier run tuned it") == 2
    assert not (tmp_path / "runs").exists()
    table = json.loads(again.stdout)
    assert table["metrics"] == found["metrics"]
    assert table["opponents"] == found["opponents"]

    tuned_more = endcap(
        *("evaluate", str(clicks), *mapped, "--bundle", "kept", "--out", "kept", "--json"),
        *("--opponents", "pop", "--trials", "3"),
        cwd=tmp_path,
    )
    assert tuned_more.returncode == 0, tuned_more.stderr
    assert "as an earlier run tuned it" not in tuned_more.stderr


def test_a_file_with_other_columns_is_refused_with_what_to_do(clicks: Path, tmp_path: Path) -> None:
    done = endcap("train", str(clicks), cwd=tmp_path)
    assert done.returncode == 1
    assert "user_id" in done.stderr
    assert "--column" in done.stderr
    assert "Traceback" not in done.stderr


def test_opponents_answers_are_not_put_into_the_installed_bundle(
    clicks: Path, tmp_path: Path
) -> None:
    done = endcap("evaluate", str(clicks), "--bundle", str(DEMO_BUNDLE), cwd=tmp_path)
    assert done.returncode == 1
    assert "by --out" in " ".join(done.stderr.split())


def test_an_unknown_format_is_answered_with_the_nearest(clicks: Path, tmp_path: Path) -> None:
    done = endcap("train", str(clicks), "--format", "srgnn", cwd=tmp_path)
    assert done.returncode == 1
    assert "There is no format 'srgnn'. Did you mean sr-gnn?" in " ".join(done.stderr.split())


def test_an_unknown_opponent_is_named_before_anything_is_read(tmp_path: Path) -> None:
    done = endcap("evaluate", "nowhere.csv", "--opponents", "vmisknn", cwd=tmp_path)
    assert done.returncode == 1
    assert "There is no opponent 'vmisknn'. Did you mean vmis-knn?" in " ".join(done.stderr.split())
    assert "co-visitation" in done.stderr
