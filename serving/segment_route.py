"""A shopper's segment over HTTP, with the state of now."""

import time
from typing import Protocol

from fastapi import FastAPI, Response

from endcap.segments import Segment, state_at
from endcap.serving.answers import SegmentShown, answer
from endcap.serving.list_routes import Id
from endcap.serving.openapi import answered, ref
from endcap.serving.problems import problem

_EXAMPLE = {
    "user_id": "1364",
    "state": "active",
    "segment": {
        "version": 131,
        "at_ms": 1764000000000,
        "visits": 14,
        "first_ms": 1756500000000,
        "last_ms": 1764000000000,
        "spend": 402.5,
        "spend_per_visit": 27.9,
        "expected_visits": 4.1,
        "churn_risk": 0.03,
        "value": 1490.2,
        "tier": "high",
        "lapsing_from_ms": 1765300000000,
        "lapsed_from_ms": 1766800000000,
        "discount_share": 0.51,
        "seeks_discounts": False,
        "categories": [{"name": "Fluid Milk Products", "share": 0.11}],
        "brands": [{"name": "National", "share": 0.7}],
    },
}


class SegmentReader(Protocol):
    """Where segments are read."""

    async def segment(self, user_id: str) -> Segment | None:
        """One shopper's."""
        ...


def add_segments(app: FastAPI, segments: SegmentReader | None) -> None:
    """The route."""

    @app.get(
        "/v1/users/{user}/segment",
        tags=["people"],
        responses=answered(ref(SegmentShown), _EXAMPLE, 404, 422, 503),
    )
    async def segment(user: Id) -> Response:
        """What marketing knows of a shopper: visits, value, risk, likings, and the state of now.
        There is one where `endcap segments follow` runs and something was bought."""
        held = None if segments is None else await segments.segment(user)
        if held is None:
            return problem(
                404,
                "No segment",
                "This shopper bought nothing yet, or `endcap segments follow` does not run.",
            )
        return answer(SegmentShown(user, state_at(held, int(time.time() * 1000)), held))
