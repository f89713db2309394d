"""Dashboards, rules and alerts as files: they are what their sources say, and each alert is
explained."""

import json
import re
from pathlib import Path

import pytest
import yaml
from prometheus_client import REGISTRY
from promtool import RULES, names_in, needs_promtool, promtool, rules

import endcap.serving.metrics
import endcap.streams.metrics  # noqa: F401 - each registers its metrics
from endcap.deploy.monitoring import GRAFANA, PROMETHEUS
from endcap.deploy.monitoring.cli import dashboards
from endcap.deploy.monitoring.dashboards import BOARDS, dashboard_json
from endcap.deploy.monitoring.targets import write_targets
from endcap.errors import EndcapError

DOCS = Path(__file__).parents[2] / "docs"
ALERTS = [rule for rule in rules() if "alert" in rule]


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_the_committed_dashboard_is_the_one_that_its_source_makes(board) -> None:
    committed = (GRAFANA / f"endcap-{board.name}.json").read_text()
    assert committed == dashboard_json(board), "python -m endcap.deploy.monitoring.dashboards"


def test_no_dashboard_is_left_of_an_older_source() -> None:
    names = {path.name for path in GRAFANA.glob("*.json")}
    assert names == {f"endcap-{board.name}.json" for board in BOARDS}


@needs_promtool
def test_prometheus_takes_the_settings_the_rules_and_every_panels_query(tmp_path: Path) -> None:
    promtool("check", "config", PROMETHEUS / "prometheus.yml")
    queries = [q.promql for board in BOARDS for panel in board.panels for q in panel.queries]
    asked = [{"record": f"panel:{n}", "expr": promql} for n, promql in enumerate(queries)]
    file = tmp_path / "panels.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": asked}]}))
    promtool("check", "rules", *RULES, file)


@needs_promtool
def test_each_alert_fires_when_it_should_and_not_in_a_shop_that_is_well() -> None:
    promtool("test", "rules", "alerts.yml", cwd=PROMETHEUS / "tests")


def test_each_alert_is_tried_in_the_tests_of_the_rules() -> None:
    tests = yaml.safe_load((PROMETHEUS / "tests" / "alerts.yml").read_text())["tests"]
    fired = {
        each["alertname"]
        for test in tests
        for each in test.get("alert_rule_test", ())
        if each.get("exp_alerts")
    }
    assert fired == {rule["alert"] for rule in ALERTS}


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_each_alert_has_a_runbook_that_names_it_and_says_what_to_do(rule) -> None:
    page = DOCS.parent / rule["annotations"]["runbook"]
    text = page.read_text()
    assert rule["alert"] in text
    headings = re.findall(r"^## (.+)$", text, re.M)
    assert headings == ["What it means", "How to see it", "What to do"]


def test_each_runbook_belongs_to_an_alert_and_is_on_the_page_of_monitoring() -> None:
    pages = {path.name for path in (DOCS / "runbooks").glob("*.md")}
    assert pages == {Path(rule["annotations"]["runbook"]).name for rule in ALERTS}
    monitoring = (DOCS / "monitoring.md").read_text()
    assert all(f"runbooks/{page}" in monitoring for page in pages)


def test_what_rules_and_panels_take_from_a_recording_rule_is_recorded() -> None:
    queries = [q.promql for board in BOARDS for panel in board.panels for q in panel.queries]
    asked = set().union(*map(names_in, (*queries, *(rule["expr"] for rule in rules()))))
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    assert {name for name in asked if ":" in name} <= recorded


def test_an_operator_is_given_the_files_as_they_are_shipped(tmp_path: Path) -> None:
    dashboards(tmp_path / "monitoring", as_json=True)
    for source in (GRAFANA, PROMETHEUS):
        for path in source.rglob("*.*"):
            copied = tmp_path / "monitoring" / source.name / path.relative_to(source)
            if "tests" not in path.relative_to(source).parts:
                assert copied.read_bytes() == path.read_bytes()
    with pytest.raises(EndcapError, match="Name a folder"):
        dashboards(tmp_path / "monitoring" / "grafana" / "endcap-stream.json")


def test_targets_are_told_as_prometheus_reads_them(tmp_path: Path) -> None:
    write_targets(tmp_path / "a" / "t.json", "127.0.0.1", {"serve": 1, "segments follow": 2})
    assert json.loads((tmp_path / "a" / "t.json").read_text()) == [
        {"targets": ["127.0.0.1:1"], "labels": {"job": "endcap-serve"}},
        {"targets": ["127.0.0.1:2"], "labels": {"job": "endcap-segments"}},
    ]


def test_no_metric_has_a_label_that_tells_shoppers_or_items_apart() -> None:
    labels = {
        label
        for collector in list(REGISTRY._collector_to_names)
        for label in getattr(collector, "_labelnames", getattr(collector, "labelnames", ()))
    }
    assert labels.isdisjoint({"user", "user_id", "shopper", "item", "item_id", "session"})
