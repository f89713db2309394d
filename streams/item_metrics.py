"""What the trends app counts. No item, store or category is ever a label."""

from prometheus_client import Counter, Gauge

ITEM_RECORDS = Counter(
    "endcap_item_records_total",
    "What the trends app read, by what became of it",
    ["outcome"],
)
GIVEN_UP = Counter(
    "endcap_item_side_given_up_total", "What was not counted because a bound was reached", ["what"]
)
HELD = Gauge("endcap_item_side_held", "What the trends app holds in memory", ["what"])
LISTS_WAITING = Gauge("endcap_item_lists_waiting", "Lists that changed and are not written yet")
LISTS_WRITTEN = Counter("endcap_item_lists_written_total", "Lists written, by kind", ["kind"])
PRICE_CHANGES = Counter("endcap_price_changes_total", "Price changes written to their topic")
