"""Wire the process that keeps segments up to date, and run it until it is told to stop."""

from functools import partial

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
    needs_marketing()
    from endcap.marketing.segment_model import SegmentModel, segment_of

    model = opened_model(settings)

    def make(model: SegmentModel, session: Session, now_ms: int) -> Segment | None:
        version = list_version(settings.generation, session.events_folded)
        return segment_of(session, model, now_ms, version)

    async def main() -> None:
        serve_metrics(settings)
        store = SegmentStore(settings.store)
        worker = SegmentWorker(
            settings.broker,
            settings.topics.sessions.name,
            settings.group("segments"),
            partial(make, model),
            store,
        )
        try:
            await run_together([worker])
        finally:
            await store.close()

    run_on_the_fastest_loop(main)
