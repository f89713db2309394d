"""What was measured, each figure once, with the command that prints it again."""

from typing import NamedTuple


class Constant(NamedTuple):
    """A measured figure. `source`: the command; the day and the machine are in the docs."""

    value: float
    unit: str
    source: str
    says: str


class Constants(NamedTuple):
    """Two shared cores without a GPU, 27 November 2026: docs/performance.md, docs/capacity.md."""

    fold_events_per_core_s: Constant = Constant(
        250_688, "events/s", "endcap bench throughput", "one session worker on one core"
    )
    score_us_per_list: Constant = Constant(
        336, "us", "endcap bench rescore", "session to list, batches of 128, 4 events known"
    )
    score_batch_s: Constant = Constant(
        0.0029,
        "s a batch",
        "endcap bench latency --rate 300",
        "scoring 3.8 ms for batches of 1.3, less 1.3 lists of long histories (.667 ms each)",
    )
    fold_batch_s: Constant = Constant(
        0.0002, "s a batch", "endcap bench latency --rate 300", "folding one of few events"
    )
    read_s: Constant = Constant(
        0.0023, "s", "endcap bench latency --rate 300", "a record's way out of a topic"
    )
    produce_s: Constant = Constant(0.0015, "s", "endcap bench latency --rate 300", "and into one")
    hand_over_s: Constant = Constant(
        0.0009, "s", "endcap bench latency --rate 300", "to the scoring thread"
    )
    write_s: Constant = Constant(
        0.0009, "s", "endcap bench latency --rate 300", "lists to Redis and its answer"
    )
    retrieval_us_at_1m: Constant = Constant(
        800, "us", "endcap bench catalogue", "a request's CPU where a million items are searched"
    )
    retrieval_us_at_10m: Constant = Constant(
        1740, "us", "endcap bench catalogue", "the same for ten million"
    )
    retrieval_us_at_100k: Constant = Constant(
        720, "us", "endcap bench catalogue", "the same for a hundred thousand, .55 to .89 ms"
    )
    index_mib_per_million: Constant = Constant(
        147, "MiB", "endcap bench catalogue", "(1,688 - 368) MiB for nine million items"
    )
    trends_us_per_event: Constant = Constant(
        9.2, "us", "endcap bench sizes", "the trends app, item deltas that lie ready"
    )
    redis_lists_per_core_s: Constant = Constant(
        45_669, "lists/s", "endcap bench http", "one writer, one server, batches of 64"
    )
    http_lists_per_core_s: Constant = Constant(
        6_600, "lists/s", "endcap bench http", "ready lists by HTTP from one core"
    )
    broker_events_per_core_s: Constant = Constant(
        250_688,
        "events/s",
        "endcap bench throughput",
        "one broker on one core kept up with one worker: a lower bound, in large batches",
    )
    event_json_bytes: Constant = Constant(
        146, "bytes", "endcap bench sizes", "an event as a producer sends it"
    )
    event_log_bytes: Constant = Constant(
        20.6,
        "bytes",
        "endcap bench sizes",
        "an event in the events topic, by zstd; made-up ids pack closer than a shop's",
    )
    snapshot_log_bytes_per_event: Constant = Constant(
        30.7, "bytes", "endcap bench sizes", "what an event brings to the sessions topic, by zstd"
    )
    delta_log_bytes_per_event: Constant = Constant(
        7.7, "bytes", "endcap bench sizes", "what an event brings to the item deltas, by zstd"
    )
    snapshot_bytes: Constant = Constant(
        294, "bytes", "endcap bench recovery", "a session of eight events in its topic, unpacked"
    )
    store_bytes_per_session: Constant = Constant(
        528, "bytes", "endcap bench recovery", "504 MiB on the worker's disk for a million"
    )
    memory_bytes_per_session: Constant = Constant(
        520, "bytes", "endcap bench recovery", "496 MiB for a million, session_store = memory"
    )
    restore_s_per_million: Constant = Constant(
        3.5, "s", "endcap bench recovery", "an empty local store is filled from the topic"
    )
    redis_list_bytes: Constant = Constant(
        2304, "bytes", "endcap bench sizes", "a list of 20 items in Valkey, key and all"
    )
    redis_item_bytes: Constant = Constant(
        234, "bytes", "endcap bench sizes", "an item's hash in Valkey, key and all"
    )
    stream_mib: Constant = Constant(
        172, "MiB", "endcap bench footprint", "a session worker, sessions apart"
    )
    rescore_mib: Constant = Constant(188, "MiB", "endcap bench footprint", "a rescorer")
    trends_mib: Constant = Constant(400, "MiB", "endcap bench footprint", "the trends app")
    serve_mib: Constant = Constant(537, "MiB", "endcap bench footprint", "an HTTP server")


MEASURED = Constants()
