"""What the session worker counts. No user or item id is ever a label."""

from prometheus_client import Counter, Gauge, Histogram

EVENTS = Counter("endcap_events_total", "Records read from the events topic", ["outcome"])
DEAD_LETTERS = Counter("endcap_dead_letters_total", "Records sent to the dead letters", ["reason"])
HANDOVERS = Counter(
    "endcap_handovers_total", "What a login moves between partitions, as it is opened", ["outcome"]
)
ERASED = Counter("endcap_sessions_erased_total", "Erasures carried out, of devices too")
SWEPT = Counter("endcap_erasures_swept_total", "Erasures whose dead letters and lists were removed")
SWEEP_RETRIES = Counter("endcap_erasure_sweep_retries_total", "Sweeps tried again")
EXPIRED = Counter(
    "endcap_sessions_expired_total", "Sessions ended because their shopper was not seen for long"
)
MISPLACED = Counter(
    "endcap_stream_misplaced_batches_total", "Batches of events keyed by something else"
)
INGESTED = Counter(
    "endcap_ingest_records_total",
    "Records of the sources, by what became of them",
    ["source", "outcome"],
)
INGEST_SECONDS = Histogram("endcap_ingest_batch_seconds", "From a batch's read to its commit")
REGISTRY = Counter(
    "endcap_registry_requests_total", "Schemas asked of the schema registry", ["outcome"]
)
SNAPSHOTS = Counter("endcap_snapshots_total", "Session snapshots written")
NATIVE_FOLD = Gauge("endcap_stream_native_fold", "1 where the fold has its compiled path, else 0")
NATIVE_EVENTS = Counter("endcap_stream_native_events_total", "Events that took the compiled path")
BATCH = Histogram(
    "endcap_stream_batch_events", "Records per batch", buckets=(1, 4, 16, 64, 256, 1024, 4096)
)
FOLD_SECONDS = Histogram("endcap_stream_fold_seconds", "One batch's fold, without its commit")
COMMIT_SECONDS = Histogram(
    "endcap_stream_commit_seconds", "One transaction, from its begin to its commit"
)
ACQUIRED = Counter("endcap_stream_acquired_total", "Partitions taken over, its own again too")
RESTORED = Counter("endcap_sessions_restored_total", "Sessions read back on assignment")
RETRIES = Counter("endcap_stream_retries_total", "Partitions acquired anew after Kafka failed")
FENCED = Counter("endcap_stream_fenced_total", "Times another process had taken a partition over")
SESSIONS = Gauge("endcap_sessions_held", "Sessions in the stores of the owned partitions")
EVENT_AGE = Histogram(
    "endcap_event_age_at_fold_seconds",
    "From a record's broker timestamp to its fold",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60),
)
