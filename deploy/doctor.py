"""`endcap doctor`: each part that must answer, and what to do where it does not."""

import time

from endcap.counted import counted
from endcap.deploy.doctor_deployment import examine_deployment
from endcap.deploy.experiments_file import read_experiments
from endcap.deploy.finding import Finding
from endcap.deploy.models_file import Named, named, read_models
from endcap.deploy.ready_model import checked_model
from endcap.deploy.rules_watch import rules_source
from endcap.deploy.settings import Settings
from endcap.deploy.source_report import examine_sources
from endcap.errors import EndcapError
from endcap.rules import parse_rules
from endcap.serving.redis_store import RedisStore
from endcap.streams import native
from endcap.streams.clients import started_producer

MAX_LAG = 10_000
"""Records: four seconds of a rescorer's work."""


async def examine(settings: Settings, max_lag: int = MAX_LAG) -> list[Finding]:
    """Look at the broker, the store, the rules, the bundle and the provider, the experiments, the
    fold, each source, and how what runs is deployed."""
    findings = [await _broker(settings), await _store(settings), await _rules(settings)]
    findings += [*_models(settings), *_experiments(settings), _fold(settings)]
    findings += await examine_sources(settings) if settings.sources else []
    if findings[0].ok and findings[1].ok:  # what does not answer has been said
        findings += await examine_deployment(settings, max_lag)
    return findings


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


async def _rules(settings: Settings) -> Finding:
    """Those that are to be in force."""
    source = rules_source(settings)
    try:
        found = await source.newest()
        if found is None:
            return Finding("Rules", True, "none; `endcap rules apply FILE --who NAME`")
        count = len(parse_rules(found.text, f"The rules {found.said} cannot be used").rules)
        return Finding("Rules", True, f"{counted(count, 'rule')}, {found.said}")
    except EndcapError as error:
        return Finding("Rules", False, str(error))
    finally:
        await source.close()


def _models(settings: Settings) -> list[Finding]:
    """The bundle that is to score, and the one in its shadow."""
    try:
        models = read_models(settings.models_path)
        current = models.current or named(settings.bundle)
    except EndcapError as error:
        return [Finding("Model", False, str(error))]
    findings = [_model("Model", current, settings)]
    if models.current is not None and findings[0].ok:
        says = f"{findings[0].says}, as {settings.models_path} names it"
        findings = [findings[0]._replace(says=says)]
    if models.shadow is not None:
        shadow = _model("Shadow", models.shadow, settings)
        says = f"{shadow.says}, for {models.shadow_share:.0%} of the shoppers"
        findings.append(shadow._replace(says=says) if shadow.ok else shadow)
    return findings


def _experiments(settings: Settings) -> list[Finding]:
    """Nothing where there are none."""
    path = settings.experiments_path
    try:
        shop = read_experiments(path)
    except EndcapError as error:
        return [Finding("Experiments", False, str(error))]
    if not shop.experiments:
        return []
    running = len(shop.running(int(time.time() * 1000)))
    says = f"{counted(len(shop.experiments), 'experiment')} in {path}, {running} running now"
    return [Finding("Experiments", True, says)]


def _model(part: str, wanted: Named, settings: Settings) -> Finding:
    try:
        model = checked_model(wanted, settings)
    except EndcapError as error:
        return Finding(part, False, str(error))
    scorer = model.scorer
    if scorer.fell_back:
        return Finding(
            part,
            False,
            f"{settings.provider} was asked for, {scorer.provider} is in use: install endcap[gpu].",
        )
    return Finding(part, True, f"{model.bundle.manifest.name} on {scorer.provider}")


def _fold(settings: Settings) -> Finding:
    """Slower is not broken: what was asked for is right."""
    natively = settings.compiled_fold and native.IS_BUILT
    return Finding("Fold", natively or not settings.compiled_fold, native.describe(natively))
