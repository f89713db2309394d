"""Prometheus' own tool, from Debian's `prometheus` package, and what PromQL names."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from endcap.deploy.monitoring import PROMETHEUS

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None,
    reason="promtool is missing: apt-get install prometheus",
)
RULES = tuple(sorted((PROMETHEUS / "rules").glob("*.yml")))
_NAME = re.compile(r"\bendcap[a-z0-9_:]*")
_SUFFIX = re.compile(r"_(total|bucket|sum|count|info)$")


def promtool(*words: object, text: str | None = None, cwd: Path | None = None) -> str:
    """What it says; it must be content."""
    ended = subprocess.run(
        ["promtool", *map(str, words)],
        input=text,
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout + ended.stderr


def rules() -> Iterator[dict[str, str]]:
    """Recording rules and alerts of the files that are shipped."""
    for path in RULES:
        for group in yaml.safe_load(path.read_text())["groups"]:
            yield from group["rules"]


def names_in(promql: str) -> set[str]:
    """Metrics that a query asks for, without what their kind adds to the name; recorded ones too.

    >>> sorted(names_in('rate(endcap_a_seconds_bucket{job="endcap-x"}[5m]) > endcap:b:sum'))
    ['endcap:b:sum', 'endcap_a_seconds']
    """
    unquoted = re.sub(r'"[^"]*"', '""', promql)
    return {_SUFFIX.sub("", name) for name in _NAME.findall(unquoted)}
