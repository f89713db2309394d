"""The timelines that a batch has opened, from the snapshots of the batches before it."""

from endcap.sessions import Session
from endcap.streams.batch_erasures import BatchErasures
from endcap.timeline import OpenTimeline, Timeline


class BatchTimelines:
    """All by user id: `open`; `done`, the offset up to which a snapshot holds their events;
    `touched`, the offset of the last event folded, and when it arrived."""

    def __init__(self, erasures: BatchErasures) -> None:
        self._erasures = erasures
        self.open: dict[str, OpenTimeline] = {}
        self.done: dict[str, int] = {}
        self.touched: dict[str, tuple[int, int]] = {}

    def of(self, user_id: str, offset: int = -1) -> OpenTimeline:
        """A shopper's, opened where it was not. `offset` is that of the record which needs it."""
        timeline = self.open.get(user_id)
        if timeline is None:
            past = self._erasures.past(user_id)
            timeline = OpenTimeline(past.timeline if past else Timeline(Session(user_id)))
            if past is not None and past.source_offset >= offset:
                self.done[user_id] = past.source_offset
            self.open[user_id] = timeline
            self._erasures.meet(user_id)
        return timeline

    def touch_by_parcel(self, user_id: str, arrived_ms: int) -> None:
        """The timeline is another now, by what is no event of this partition."""
        self.touched[user_id] = self.done.get(user_id, -1), arrived_ms
