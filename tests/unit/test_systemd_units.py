"""The units for a plain machine: systemd reads them, they are confined, endcap knows them."""

import configparser
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from endcap.deploy.cli import app

UNITS = Path("deploy/systemd")
SERVICES = sorted(UNITS.glob("*.service"))


def analyze(*words: object) -> subprocess.CompletedProcess[str]:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed: Debian's package systemd has it")
    return subprocess.run(
        ["systemd-analyze", *map(str, words)], capture_output=True, text=True, timeout=60
    )


def test_systemd_has_nothing_to_say_against_the_units(tmp_path: Path) -> None:
    for file in UNITS.iterdir():
        # It insists on a program that is there.
        text = file.read_text().replace("/opt/endcap/bin/endcap", sys.executable)
        (tmp_path / file.name).write_text(text)
    ended = analyze("verify", *sorted(tmp_path.iterdir()))
    assert ended.stdout + ended.stderr == ""
    assert ended.returncode == 0


def test_each_service_is_confined() -> None:
    """Exposure in tenths, by systemd's own weights; 100 is a service without any option."""
    ended = analyze("security", "--offline=true", "--threshold=20", *SERVICES)
    if "nrecognized option" in ended.stderr:
        pytest.skip("this systemd-analyze is too old for --offline: it came with version 250")
    assert ended.returncode == 0, ended.stdout[-500:]


@pytest.mark.parametrize("service", SERVICES, ids=lambda path: path.stem)
def test_endcap_knows_the_command_of_the_unit(service: Path) -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(service.read_text())
    words = unit["Service"]["ExecStart"].split()[1:]
    command = [word for word in words if not re.fullmatch(r"--.*|\d+", word)]
    shown = CliRunner().invoke(app, [*command, "--help"], env={"COLUMNS": "120"})
    assert shown.exit_code == 0, shown.output
    for option in (word for word in words if word.startswith("--")):
        assert option in re.sub(r"\x1b\[[0-9;]*m", "", shown.output)


def test_the_target_starts_only_services_that_there_are() -> None:
    text = (UNITS / "endcap.target").read_text()
    assert set(re.findall(r"endcap-\w+\.service", text)) <= {each.name for each in SERVICES}
