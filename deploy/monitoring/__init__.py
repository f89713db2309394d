"""Dashboards, rules and alerts: what an operator's Prometheus and Grafana are given."""

from pathlib import Path

FOLDER = Path(__file__).parent
PROMETHEUS = FOLDER / "prometheus"
GRAFANA = FOLDER / "grafana"
