"""docs/security.md and docs/privacy.md name what is there: tests, rights, commands."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from endcap.deploy.cli import app
from endcap.deploy.rights_table import rights_table
from endcap.deploy.settings import Settings

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
FILES = re.compile(r"tests/[\w/]+\.py\b")
NAMED = re.compile(r"(tests/[\w/]+\.py)::(\w+)")


@pytest.mark.parametrize("page", ["security.md", "privacy.md"])
def test_the_pages_of_security_and_privacy_name_tests(page: str) -> None:
    assert NAMED.search((DOCS / page).read_text())


def test_every_test_that_any_page_names_exists() -> None:
    texts = {page: page.read_text() for page in (ROOT / "README.md", *DOCS.rglob("*.md"))}
    for page, text in texts.items():
        for path in FILES.findall(text):
            assert (ROOT / path).is_file(), f"{page} names {path}"
    for path, test in sorted(set(NAMED.findall("\n".join(texts.values())))):
        text = (ROOT / path).read_text()
        assert re.search(rf"^(async )?def {test}\(", text, re.MULTILINE), f"{path}::{test}"


def test_each_threat_has_a_test() -> None:
    text = (DOCS / "security.md").read_text().partition("## Threats")[2].partition("\n## ")[0]
    rows = [line for line in text.splitlines() if line.startswith("| ")][1:]
    assert rows
    assert [row for row in rows if "::test_" not in row] == []


def test_the_table_of_rights_is_the_one_that_the_command_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert rights_table(Settings()) in (DOCS / "security.md").read_text()
    printed = CliRunner().invoke(app, ["topics", "acls"]).stdout.splitlines()
    assert len(printed) == rights_table(Settings()).count("\n") - 2
    for line in printed:
        assert line.startswith("kafka-acls.sh --bootstrap-server localhost:9092 --add")


def test_every_command_that_the_page_of_privacy_names_is_one() -> None:
    commands = set(re.findall(r"`endcap ([a-z]+(?: [a-z-]+)?)", (DOCS / "privacy.md").read_text()))
    assert commands
    for command in commands:
        asked = CliRunner().invoke(app, [*command.split(), "--help"])
        assert asked.exit_code == 0, command
