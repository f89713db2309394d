"""The rescorer as the settings describe it, for a process of its own or beside the fold."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

from aiokafka.coordinator.assignors.range import RangePartitionAssignor

from endcap.deploy.experiment_watch import open_variants
from endcap.deploy.model_watch import open_slot
from endcap.deploy.rules_watch import open_rules
from endcap.deploy.settings import Settings
from endcap.deploy.stopping import Part
from endcap.serving.redis_store import RedisStore
from endcap.serving.rescorer import Rescorer, popular_list
from endcap.serving.ruled_lists import RuledLists
from endcap.serving.waiting_room import WaitingRoom
from endcap.streams.clients import started_consumer
from endcap.streams.group_member import heartbeat_ms
from endcap.streams.sweeper import Sweeper
from endcap.streams.topic_view import catalogue_view

_NOTHING: Mapping[str, Any] = {}


@asynccontextmanager
async def opened_rescorer(
    settings: Settings, room: WaitingRoom, reading: Mapping[str, Any] = _NOTHING
) -> AsyncIterator[list[Part]]:
    """The rescorer of this room, what sweeps up after erasures, and what follows the rules and the
    files of models and of experiments; to be run together.

    `reading`: settings of the consumer of sessions.
    """
    bootstrap, topics = settings.broker, settings.topics
    slot, watch = open_slot(settings)
    shop, rules_watch = open_rules(settings)
    await rules_watch.start()
    async with AsyncExitStack() as closing:
        store = RedisStore(settings.store)
        closing.push_async_callback(store.close)
        # What is blocked or sold out is not in the lists of a holdout either.
        variants, experiments = open_variants(settings, RuledLists(store, shop).trending)
        catalogue = catalogue_view(bootstrap, topics)
        closing.push_async_callback(catalogue.stop)
        worker = Rescorer(
            partial(
                started_consumer,
                bootstrap,
                topics.sessions.name,
                group_id=settings.group("rescore"),
                partition_assignment_strategy=(RangePartitionAssignor,),
                group_instance_id=settings.group_instance_id,
                session_timeout_ms=settings.session_timeout_s * 1000,
                heartbeat_interval_ms=heartbeat_ms(settings.session_timeout_s * 1000),
                **reading,
            ),
            store,
            slot,
            catalogue=catalogue,
            generation=settings.generation,
            room=room,
            variants=variants,
            shop=shop,
        )
        sweeper = Sweeper(bootstrap, topics, settings.group("sweep"), store.delete_lists)
        popular = popular_list(slot.current.bundle, messages=shop.messages)
        await store.write_trending(popular, only_if_absent=True)
        await experiments.start()
        await catalogue.start()
        yield [worker, sweeper, watch, experiments, rules_watch]


def at_leisure(settings: Settings, client_id: str) -> dict[str, Any]:
    """How sessions are read where the fold hands them over as well: seldom, much at a time.

    Named as the session worker is in its group, it gets the partitions whose sessions that folds.
    """
    return {
        "client_id": client_id,
        "fetch_min_bytes": 256 * 1024,
        "fetch_max_wait_ms": 200,
    }
