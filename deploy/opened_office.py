"""The back office behind `/office`, over the functions that the command line calls."""

from endcap.deploy.office_conversations import Conversations
from endcap.deploy.office_prices import Prices
from endcap.deploy.office_segments import Segments
from endcap.deploy.office_status import Status
from endcap.deploy.settings import Settings
from endcap.serving.list_reader import ListReader
from endcap.serving.office_desks import Office
from endcap.serving.segment_store import SegmentStore


def opened_office(settings: Settings, lists: ListReader, segments: SegmentStore) -> Office | None:
    """Its desks; None where it is not switched on. Nothing is read before somebody asks."""
    if not settings.http_office:
        return None
    return Office(
        Prices(settings),
        Segments(settings, segments),
        Conversations(settings),
        Status(settings, lists),
    )
