"""What `endcap doctor` finds in a deployment: topics, lag, memory, clocks, files, and the door."""

import json
import os
import shutil
import time
import urllib.error
import urllib.request
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from endcap.counted import counted
from endcap.deploy.finding import Finding
from endcap.deploy.settings import Settings
from endcap.errors import EndcapError
from endcap.serving.store_state import StoreState, store_state
from endcap.streams.clients import single_partitions, topic_configs
from endcap.streams.topic_states import Lag, TopicState, group_lag, is_ahead, topic_states
from endcap.topics import Topic

_CLOCK_S = 1.0
_FULL = 0.85
_FREE_BYTES = 1 << 30
_DOOR_TIMEOUT_S = 5.0
_SET = ("cleanup.policy", "message.timestamp.type", "retention.ms", "max.message.bytes")


async def examine_deployment(settings: Settings, max_lag: int) -> list[Finding]:
    """From inside: what the brokers, the store and this machine say."""
    return [
        *await _topics(settings),
        *await _lags(settings, max_lag),
        *await _store(settings),
        _files(settings.data_dir),
    ]


async def _topics(settings: Settings) -> list[Finding]:
    try:
        states = await topic_states(settings.broker, settings.topics)
        ahead = settings.topics.events in states and await is_ahead(
            settings.broker, settings.topics.events.name
        )
    except EndcapError as error:
        return [Finding("Topics", False, str(error))]
    wrong = [
        *(line for topic in states for line in _wrong_with(topic, states[topic], settings)),
        *_uneven(states, settings),
    ]
    found = [Finding("Topics", False, line) for line in wrong]
    if not found and states:
        events = states.get(settings.topics.events)
        says = f"{counted(len(states), 'topic')}, kept as they have to be"
        if events is not None:
            says += f"; events in {counted(events.partitions, 'partition')}"
        found = [Finding("Topics", True, says)]
    if ahead:
        says = "the broker stamps records more than 5 s ahead of this clock; let both follow NTP"
        found.append(Finding("Clock of Kafka", False, says))
    return found


def _wrong_with(topic: Topic, state: TopicState, settings: Settings) -> list[str]:
    wrong = []
    wanted = topic_configs(
        topic, settings.topics, settings.events_retention_days, settings.kept_days
    )
    for name in _SET:
        held = state.configs.get(name)
        if name in wanted and held is not None and not _is_enough(name, held, wanted[name]):
            wrong.append(
                f"{topic.name} has {name}={held}, it needs {wanted[name]}: "
                + _alter(topic, name, wanted[name])
            )
    if "cleanup.policy" not in wanted and "compact" in state.configs.get("cleanup.policy", ""):
        wrong.append(
            f"{topic.name} is compacted, so events of one shopper would be lost: "
            + _alter(topic, "cleanup.policy", "delete")
        )
    if topic in single_partitions(settings.topics) and state.partitions != 1:
        wrong.append(
            f"{topic.name} has {state.partitions} partitions, one process has to read it whole: "
            "delete it, then `endcap topics create`"
        )
    if state.replicas < settings.replication:
        wrong.append(
            f"{topic.name} has {counted(state.replicas, 'replica')}, replication is "
            f"{settings.replication}: kafka-reassign-partitions.sh adds some, or set replication"
        )
    if state.behind:
        wrong.append(
            f"{topic.name}: {counted(state.behind, 'partition')} with a replica that is not in "
            "sync; see which broker is away, and start it"
        )
    return wrong


def _alter(topic: Topic, name: str, value: str) -> str:
    """What to run."""
    whose = f"--entity-type topics --entity-name {topic.name}"
    return f"kafka-configs.sh --alter {whose} --add-config {name}={value}"


def _is_enough(name: str, held: str, wanted: str) -> bool:
    """Whether what is set is at least what endcap relies on; longer retention is no fault."""
    if name == "retention.ms":
        return int(held) == -1 or (wanted != "-1" and int(held) >= int(wanted))
    if name == "max.message.bytes":
        return int(held) >= int(wanted)
    return held == wanted


def _uneven(states: dict[Topic, TopicState], settings: Settings) -> list[str]:
    """A shopper's records lie in the same partition of these four: they have equally many."""
    topics = settings.topics
    four = (topics.events, topics.handovers, topics.sessions, topics.erasures)
    counts = {topic.name: states[topic].partitions for topic in four if topic in states}
    if len(set(counts.values())) <= 1:
        return []
    said = ", ".join(f"{name} {count}" for name, count in counts.items())
    return [
        f"these need as many partitions as each other, and have: {said}. Delete those of the "
        "generation that is not in use and make them anew, or `endcap rebuild` into another one"
    ]


async def _lags(settings: Settings, max_lag: int) -> list[Finding]:
    topics = settings.topics
    followed = (
        ("stream", topics.events, "endcap stream"),
        ("rescore", topics.sessions, "endcap rescore"),
    )
    found = []
    for role, topic, command in followed:
        try:
            if topic not in await topic_states(settings.broker, [topic]):
                continue  # said of the topics already
            lag = await group_lag(settings.broker, settings.group(role), topic.name)
        except EndcapError as error:
            found.append(Finding(f"Lag of {role}", False, str(error)))
            continue
        found.append(_lag(role, topic, command, lag, max_lag))
    return found


def _lag(role: str, topic: Topic, command: str, lag: Lag, max_lag: int) -> Finding:
    part = f"Lag of {role}"
    if lag.committed == 0 and lag.written:
        says = f"nobody has read {topic.name} yet, which has {lag.written:,}: start `{command}`"
        return Finding(part, False, says)
    if lag.records > max_lag:
        says = (
            f"{lag.records:,} records of {topic.name} wait: see whether `{command}` runs, and add "
            f"some; up to {lag.partitions} share the work"
        )
        return Finding(part, False, says)
    return Finding(part, True, f"{counted(lag.records, 'record')} of {topic.name} wait")


async def _store(settings: Settings) -> list[Finding]:
    try:
        state = await store_state(settings.store)
    except EndcapError as error:
        return [Finding("Memory of Redis", False, str(error))]
    return [memory_finding(state), clock_finding("Clock of Redis", state.ahead_s)]


def memory_finding(state: StoreState) -> Finding:
    """Whether lists fit, and whether rules are safe where they do not."""
    part, used = "Memory of Redis", f"{state.used_bytes / (1 << 20):,.0f} MiB used"
    if state.policy.startswith("allkeys"):
        says = (
            f"maxmemory-policy {state.policy} may evict rules, which cannot be made again: "
            "CONFIG SET maxmemory-policy volatile-ttl"
        )
        return Finding(part, False, says)
    if not state.limit_bytes:
        says = f"{used}, without a limit; set maxmemory, or the kernel ends it when memory is out"
        return Finding(part, True, says)
    share = state.used_bytes / state.limit_bytes
    says = f"{used}, {share:.0%} of maxmemory, {state.policy}"
    if share < _FULL:
        return Finding(part, True, says)
    then = "writes are refused" if state.policy == "noeviction" else "lists are evicted"
    return Finding(part, False, f"{says}: at 100 % {then}; raise maxmemory, or add shards")


def clock_finding(part: str, ahead_s: float) -> Finding:
    """Lists expire and events are judged "in the future" by these clocks."""
    if abs(ahead_s) < _CLOCK_S:
        return Finding(part, True, f"{ahead_s * 1000:+.0f} ms to this machine's")
    return Finding(part, False, f"{ahead_s:+.1f} s to this machine's; let both follow NTP")


def _files(folder: Path) -> Finding:
    """Whether the local stores have a place."""
    there = next(each for each in (folder, *folder.resolve().parents) if each.exists())
    free = shutil.disk_usage(there).free
    if not os.access(there, os.W_OK):
        says = f"{there} cannot be written to; mount a volume there, or set data_dir"
        return Finding("Files", False, says)
    says = f"{free / (1 << 30):,.1f} GiB free for {folder}"
    if free < _FREE_BYTES:
        return Finding("Files", False, f"{says}: make room, a million sessions take .5 GiB")
    return Finding("Files", True, says)


def examine_door(url: str, key: str | None = None) -> list[Finding]:
    """From outside, over HTTP as a page comes: alive, ready, a list for whoever comes, its clock.

    `key`: an API key of a reader, where keys are on.
    """
    base = url.rstrip("/")
    findings: list[Finding] = []
    for part, path in (("HTTP", "/healthz"), ("HTTP ready", "/readyz")):
        status, body, headers = _ask(base + path, None)
        if status != 200:
            return [*findings, Finding(part, False, f"{base}{path} {body}; {_what_to_do(path)}")]
        findings.append(Finding(part, True, f"{base}{path} answers"))
    findings += _clock_of(headers)
    status, body, _ = _ask(f"{base}/v1/trending", key)
    return [*findings, _trending(status, body)]


def _what_to_do(path: str) -> str:
    return (
        "start `endcap serve`, or see what stands between it and here"
        if path == "/healthz"
        else "it runs without a list to show: see the findings on Redis"
    )


def _trending(status: int, body: str) -> Finding:
    part = "A list for everybody"
    if status == 401:
        return Finding(part, False, "it wants a key: give a reader's by --key-file")
    if status != 200:
        return Finding(part, False, f"/v1/trending {body}; see the findings on Redis")
    try:
        items = len(json.loads(body)["items"])
    except (ValueError, KeyError, TypeError):
        return Finding(part, False, "/v1/trending is not endcap's; is the address right?")
    if not items:
        says = "it is empty: start `endcap rescore` once, or publish a catalogue with stock"
        return Finding(part, False, says)
    return Finding(part, True, f"{counted(items, 'item')} by /v1/trending")


def _clock_of(headers: Any) -> list[Finding]:
    """A Date header has whole seconds: half of one is nothing."""
    said = headers.get("Date")
    if said is None:
        return []
    ahead = parsedate_to_datetime(said).timestamp() + 0.5 - time.time()
    return [clock_finding("Clock of HTTP", ahead if abs(ahead) > 2 * _CLOCK_S else 0.0)]


def _ask(url: str, key: str | None) -> tuple[int, str, Any]:
    """Status, body, headers; 0 where nothing answers, the body says why.

    Redirects are not followed: they would take the key along, to whatever host they name.
    """
    if not url.startswith(("http://", "https://")):
        return 0, "is no address: write http:// or https:// before it", {}
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    request = urllib.request.Request(url, headers=headers)  # noqa: S310
    try:
        with _DOOR.open(request, timeout=_DOOR_TIMEOUT_S) as answer:
            return answer.status, answer.read(1 << 20).decode(errors="replace"), answer.headers
    except urllib.error.HTTPError as error:
        led = f" to {error.headers['Location']}: is that the address?" if _leads(error) else ""
        return error.code, f"answers {error.code}{led}", error.headers
    except OSError as error:
        return 0, f"does not answer ({getattr(error, 'reason', error)})", {}


def _leads(answer: urllib.error.HTTPError) -> bool:
    return 300 <= answer.code < 400 and "Location" in answer.headers


class _Unled(urllib.request.HTTPRedirectHandler):
    """Answers a redirect as what it is."""

    def redirect_request(self, *_: Any) -> None:
        """None: whoever asked is told."""


_DOOR = urllib.request.build_opener(_Unled)
