"""Models, experiments and lists, for the back office."""

import asyncio
import time
from pathlib import Path
from typing import Any

import msgspec
from prometheus_client import REGISTRY

from endcap.bundle import read_manifest
from endcap.deploy.experiments_file import find_experiment, read_experiments
from endcap.deploy.models_file import read_models
from endcap.deploy.models_in_use_cli import told as told_models
from endcap.deploy.settings import Settings
from endcap.errors import EndcapError
from endcap.experiments import encode_report, report_of
from endcap.lists import decode_list
from endcap.serving.list_reader import ListReader
from endcap.serving.office_desks import Told
from endcap.streams.experiment_records import count_experiment

_SHOPPERS = 40
_SHOWN = ("endcap", "pop")
"""The bundle's own figures, and the first of its baselines; the manifest has the others."""


class Status:
    """Implements the server's `StatusDesk`."""

    def __init__(self, settings: Settings, lists: ListReader) -> None:
        self._settings = settings
        self._lists = lists
        self._counting = asyncio.Lock()

    async def now(self) -> Told:
        """The models file, the figures of the bundle in use, experiments and lists.

        A file that cannot be read is told as a `problem` in its part: the others stand.

        Raises:
            StoreUnavailableError: Redis does not answer.
        """
        return {
            "models": _or_problem(self._models),
            "experiments": _or_problem(self._experiments),
            "lists": await self._freshness(),
            "process": _process(),
        }

    async def experiment(self, name: str) -> Told:
        """As `endcap experiment report`.

        Raises:
            SettingsError: there is none of this name.
            BrokerUnavailableError: no broker answers.
        """
        settings, now_ms = self._settings, _now_ms()
        shop = read_experiments(settings.experiments_path)
        found = find_experiment(shop, name, settings.experiments_path)
        async with self._counting:
            counted = await count_experiment(settings.broker, settings.topics, found, now_ms)
        report: Told = msgspec.json.decode(encode_report(report_of(found, counted, now_ms)))
        return report

    def _models(self) -> Told:
        found = told_models(self._settings, read_models(self._settings.models_path))
        made = read_manifest(Path(found["current"]["bundle"]))
        return found | {
            "command": made.command,
            "data": made.data,
            "items": made.vocabulary_size,
            "figures": {name: made.metrics[name] for name in _SHOWN if name in made.metrics},
        }

    def _experiments(self) -> Told:
        shop, now_ms = read_experiments(self._settings.experiments_path), _now_ms()
        return {
            "file": str(self._settings.experiments_path),
            "experiments": [
                {
                    "experiment": each.name,
                    "state": each.state(now_ms),
                    "start": each.start,
                    "end": each.end,
                    "shares": dict(each.shares),
                }
                for each in shop.experiments
            ],
        }

    async def _freshness(self) -> Told:
        """When lists were made: the newest of some shoppers', and everybody's."""
        users = await self._lists.some_users(_SHOPPERS)
        raw = await asyncio.gather(*(self._lists.raw_list(user) for user in users))
        made = [decode_list(each).generated_at for each in raw if each is not None]
        trending = await self._lists.trending()
        return {
            "looked_at": len(made),
            "newest_ms": max(made, default=None),
            "oldest_ms": min(made, default=None),
            "trending_ms": None if trending is None else trending.generated_at,
        }


def _process() -> Told:
    """This server's own metrics: since when it runs, what it answered, which model it scores with
    (none, where `http_rescore` is off)."""
    model: dict[str, str] = {}
    answered, seconds = 0.0, 0.0
    changes = 0.0
    for family in REGISTRY.collect():
        for sample in family.samples:
            if sample.name == "endcap_model_info":
                model = dict(sample.labels)
            elif sample.name == "endcap_http_request_seconds_count":
                answered += sample.value
            elif sample.name == "endcap_http_request_seconds_sum":
                seconds += sample.value
            elif sample.name == "endcap_list_changes_total":
                changes += sample.value
    return {
        "model": model,
        "requests": int(answered),
        "mean_ms": round(1000 * seconds / answered, 2) if answered else None,
        "list_changes": int(changes),
    }


def _or_problem(ask: Any) -> Told:
    try:
        found: Told = ask()
    except EndcapError as error:
        return {"problem": str(error)}
    return found


def _now_ms() -> int:
    return int(time.time() * 1000)
