"""What `endcap doctor` says of the sources: settings, topics, registries."""

from endcap.counted import counted
from endcap.deploy.finding import Finding
from endcap.deploy.settings import Settings
from endcap.deploy.sources import OpenSources, open_sources
from endcap.errors import EndcapError
from endcap.streams.clients import partition_counts
from endcap.topics import Topic


async def examine_sources(settings: Settings) -> list[Finding]:
    """One finding for each source, and one for each registry; one where the settings are wrong."""
    try:
        opened = open_sources(settings)
    except EndcapError as error:
        return [Finding("Sources", False, str(error))]
    try:
        return await _topics(settings, opened) + await _registries(opened)
    finally:
        await opened.close()


async def _topics(settings: Settings, opened: OpenSources) -> list[Finding]:
    topics = {source.topic: Topic(source.topic, compacted=False) for source in opened.sources}
    try:
        counts = await partition_counts(settings.broker, topics.values())
    except EndcapError as error:
        return [Finding(f"Source {s.name}", False, str(error)) for s in opened.sources]
    findings = []
    for source in opened.sources:
        partitions = counts[topics[source.topic]]
        says = (
            f"{source.topic} has {counted(partitions, 'partition')}"
            if partitions
            else f"there is no topic {source.topic}; create it, or mend `topic` in endcap.toml"
        )
        findings.append(Finding(f"Source {source.name}", partitions > 0, says))
    return findings


async def _registries(opened: OpenSources) -> list[Finding]:
    findings = []
    for registry in opened.registries.values():
        try:
            await registry.check()
        except EndcapError as error:
            findings.append(Finding("Schema registry", False, str(error)))
        else:
            findings.append(Finding("Schema registry", True, f"{registry.shown} answers"))
    return findings
