"""`endcap bench footprint` sends the demo's events as another system would tell them."""

import json

from endcap.adapters.segment import segment
from endcap.deploy.bench.source_footprint import segment_call
from endcap.deploy.replay import events_of
from endcap.export.basket_events import Basket


def test_each_call_becomes_the_event_that_the_demo_sends() -> None:
    basket = Basket("1364", "b1", 1_764_000_000_123, ("milk", "eggs"), (2.5, 3.0), (1, 2))
    for event in events_of(basket):
        assert segment(json.loads(segment_call(event))) == event
