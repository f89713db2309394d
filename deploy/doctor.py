"""`endcap doctor`: each part that must answer, and what to do where it does not."""

from endcap.bundle import load_bundle
from endcap.deploy.finding import Finding
from endcap.deploy.settings import Settings
from endcap.deploy.source_report import examine_sources
from endcap.errors import EndcapError
from endcap.serving.onnx_session import OnnxScorer
from endcap.serving.redis_store import RedisStore
from endcap.streams import native
from endcap.streams.clients import started_producer


async def examine(settings: Settings) -> list[Finding]:
    """Look at the broker, the store, the bundle and the provider, the fold, and each source."""
    findings = [await _broker(settings), await _store(settings), _model(settings), _fold(settings)]
    return findings + (await examine_sources(settings) if settings.sources else [])


async def _broker(settings: Settings) -> Finding:
    try:
        producer = await started_producer(settings.broker)
    except EndcapError as error:
        return Finding("Kafka", False, str(error))
    try:
        known = set((await producer.client.fetch_all_metadata()).topics())
    finally:
        await producer.stop()
    missing = {topic.name for topic in settings.topics} - known
    if missing:
        return Finding(
            "Kafka", False, f"{settings.broker} lacks topics; run `endcap topics create`."
        )
    return Finding("Kafka", True, f"{settings.broker} answers and has the topics")


async def _store(settings: Settings) -> Finding:
    store = RedisStore(settings.store)
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
    if scorer.fell_back:
        return Finding(
            "Model",
            False,
            f"{settings.provider} was asked for, {scorer.provider} is in use: install endcap[gpu].",
        )
    return Finding("Model", True, f"{bundle.manifest.name} on {scorer.provider}")


def _fold(settings: Settings) -> Finding:
    """Slower is not broken: what was asked for is right."""
    natively = settings.compiled_fold and native.IS_BUILT
    return Finding("Fold", natively or not settings.compiled_fold, native.describe(natively))
