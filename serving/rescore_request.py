"""What a shop asks for that keeps its shoppers' sessions itself: events in, a list out."""

from typing import Annotated

import msgspec
from msgspec import Meta

from endcap.events import MAX_ID_LENGTH, EventType
from endcap.lists import ListItem, RecommendationList
from endcap.policy import Policy
from endcap.rules import DEFAULT_PLACEMENT
from endcap.serving.bodies import decoded, refuse_the_future
from endcap.sessions import Act, Session, fold_acts

MAX_BODY_BYTES = 256 * 1024
MAX_EVENTS = 500
MAX_CANDIDATES = 1000
MAX_SIZE = 100
# Of everything that was scored, a shop chooses itself: nothing is held back for variety.
_ALL = Policy(size=1 << 20, per_category=1 << 20, is_mixed=False)

_Id = Annotated[str, Meta(min_length=1, max_length=MAX_ID_LENGTH)]


class Touched(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """An event of the session; `timestamp_ms` in Unix milliseconds UTC."""

    item_id: _Id
    event_name: EventType
    timestamp_ms: Annotated[int, Meta(gt=0)]


class RescoreRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`events` in any order; `candidates`: the only items wanted, else the model's own; `size`: of
    the list; `placement`: whose rules hold."""

    events: Annotated[tuple[Touched, ...], Meta(max_length=MAX_EVENTS)]
    candidates: Annotated[tuple[_Id, ...], Meta(max_length=MAX_CANDIDATES)] = ()
    size: Annotated[int, Meta(ge=1, le=MAX_SIZE)] = 20
    placement: Annotated[str, Meta(min_length=1, max_length=64)] = DEFAULT_PLACEMENT


_decoder = msgspec.json.Decoder(RescoreRequest)


def parse_request(body: bytes, now_ms: int) -> RescoreRequest:
    """Decode and validate.

    Raises:
        InvalidEventError: with a sentence that says what is wrong.
    """
    request = decoded(_decoder, body, "/docs")
    for number, event in enumerate(request.events):
        refuse_the_future(event.timestamp_ms, now_ms, f" of event {number}")
    return request


def session_of(request: RescoreRequest) -> Session:
    """The session as the stream would have folded it."""
    acts = [
        Act(event.timestamp_ms, event.event_name.code, number.to_bytes(8), (event.item_id,))
        for number, event in enumerate(request.events)
    ]
    return fold_acts(Session(""), sorted(acts))


def policy_of(request: RescoreRequest) -> Policy:
    """The shop's rules; with candidates of its own, all that was scored."""
    policy = _ALL if request.candidates else Policy(size=request.size)
    return policy._replace(placement=request.placement)


def chosen_of(request: RescoreRequest, ready: RecommendationList) -> RecommendationList:
    """The list, of the wanted candidates alone where some are named."""
    if not request.candidates:
        return ready
    wanted = frozenset(request.candidates)
    kept: list[ListItem] = [item for item in ready.items if item.id in wanted]
    return msgspec.structs.replace(ready, items=tuple(kept[: request.size]))


def unscored(request: RescoreRequest, trending: RecommendationList | None) -> RecommendationList:
    """The list where no model is there: what trends. Of named candidates those that trend come
    first, the others follow as they were named, with score 0."""
    if trending is None:
        trending = RecommendationList(0, "", 0, ())
    rows = trending.items
    if request.candidates:
        by_id = {item.id: item for item in rows}
        wanted = dict.fromkeys(request.candidates)
        rows = tuple(item for item in rows if item.id in wanted) + tuple(
            ListItem(item_id, 0.0, "") for item_id in wanted if item_id not in by_id
        )
    return msgspec.structs.replace(trending, items=rows[: request.size])
