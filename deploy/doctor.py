"""`endcap doctor`: each part that must answer, and what to do where it does not."""

from typing import NamedTuple

from endcap.bundle import load_bundle
from endcap.deploy.processes import DEFAULT_BOOTSTRAP, DEFAULT_REDIS
from endcap.deploy.settings import Settings
from endcap.errors import EndcapError
from endcap.serving.onnx_session import OnnxScorer
from endcap.serving.redis_store import RedisStore
from endcap.streams.clients import started_producer
from endcap.topics import topics_with_prefix


class Finding(NamedTuple):
    """One part's state."""

    part: str
    ok: bool
    says: str


async def examine(settings: Settings) -> list[Finding]:
    """Look at the broker, the store, the bundle and the provider."""
    return [await _broker(settings), await _store(settings), _model(settings)]


async def _broker(settings: Settings) -> Finding:
    where = settings.kafka_bootstrap_servers or DEFAULT_BOOTSTRAP
    try:
        producer = await started_producer(where)
    except EndcapError as error:
        return Finding("Kafka", False, str(error))
    try:
        known = set((await producer.client.fetch_all_metadata()).topics())
    finally:
        await producer.stop()
    missing = {topic.name for topic in topics_with_prefix(settings.topic_prefix)} - known
    if missing:
        return Finding("Kafka", False, f"{where} lacks topics; run `endcap topics create`.")
    return Finding("Kafka", True, f"{where} answers and has the topics")


async def _store(settings: Settings) -> Finding:
    store = RedisStore(settings.redis_url or DEFAULT_REDIS)
    try:
        return Finding("Redis", True, await store.server())
    except EndcapError as error:
        return Finding("Redis", False, str(error))
    finally:
        await store.close()


def _model(settings: Settings) -> Finding:
    try:
        bundle = load_bundle(settings.bundle)
        scorer = OnnxScorer(bundle, settings.provider)
    except EndcapError as error:
        return Finding("Model", False, str(error))
    name, wanted = bundle.manifest.name, settings.provider
    if wanted == "cuda" and scorer.provider != "CUDAExecutionProvider":
        return Finding(
            "Model", False, f"cuda was asked for, {scorer.provider} is in use: install endcap[gpu]."
        )
    return Finding("Model", True, f"{name} on {scorer.provider}")
