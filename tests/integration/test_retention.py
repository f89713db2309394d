"""How long the broker keeps each kind of record, as the settings say."""

from pathlib import Path
from uuid import uuid4

import pytest
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from endcap.deploy.local_stack import LocalStack
from endcap.deploy.settings import load_settings
from endcap.streams.clients import create_topics, started_admin

_DAY_MS = 86_400_000


async def test_each_kind_of_record_is_kept_as_long_as_its_setting_says(
    stack: LocalStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = load_settings(
        topic_prefix=f"t{uuid4().hex[:8]}",
        events_retention_days=20,
        impressions_retention_days=5,
        conversations_retention_days=0,
        dead_letters_retention_days=7,
    )
    topics = settings.topics
    bootstrap = stack.bootstrap_servers
    await create_topics(bootstrap, topics, 1, 1, settings.events_retention_days, settings.kept_days)
    admin = await started_admin(bootstrap)
    try:
        said = {}
        for topic in topics:
            resource = ConfigResource(ConfigResourceType.TOPIC, topic.name)
            (answer,) = await admin.describe_configs([resource])
            configs = {row[0]: row[1] for row in answer.resources[0][4]}
            said[topic] = configs["cleanup.policy"], int(configs["retention.ms"])
    finally:
        await admin.close()
    assert said[topics.events] == ("delete", 20 * _DAY_MS)
    assert said[topics.campaigns] == ("compact,delete", 20 * _DAY_MS)
    assert said[topics.impressions] == ("delete", 5 * _DAY_MS)
    assert said[topics.conversations] == ("delete", -1)
    assert said[topics.dead_letters] == ("compact,delete", 7 * _DAY_MS)
    assert said[topics.sessions][0] == "compact"
    assert said[topics.item_deltas] == ("delete", -1)
