"""Wire the process that keeps segments up to date, and run it until it is told to stop."""

from endcap.deploy.campaign_data import needs_marketing
from endcap.deploy.processes import serve_metrics
from endcap.deploy.segments_cli import opened_model
from endcap.deploy.settings import Settings
from endcap.deploy.stopping import run_on_the_fastest_loop, run_together
from endcap.lists import list_version
from endcap.segments import Segment
from endcap.serving.segment_store import SegmentStore
from endcap.sessions import Session
from endcap.streams.segment_worker import SegmentWorker


def run_segments(settings: Settings) -> None:
    """Sessions to segments in Redis, with /metrics."""

    async def main() -> None:
        store = SegmentStore(settings.store)
        try:
            worker = segment_worker(settings, store)
            serve_metrics(settings)
            await run_together([worker])
        finally:
            await store.close()

    run_on_the_fastest_loop(main)


def segment_worker(settings: Settings, store: SegmentStore) -> SegmentWorker:
    """The worker that the settings describe.

    Raises:
        DataError: there is no segment model, or an extra is missing.
    """
    needs_marketing()
    from endcap.marketing.segment_model import segment_of

    model = opened_model(settings)

    def make(session: Session, now_ms: int) -> Segment | None:
        version = list_version(settings.generation, session.events_folded)
        return segment_of(session, model, now_ms, version)

    topic, group = settings.topics.sessions.name, settings.group("segments")
    return SegmentWorker(settings.broker, topic, group, make, store)
