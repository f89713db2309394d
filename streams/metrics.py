"""What the session worker counts. No user or item id is ever a label."""

from prometheus_client import Counter, Gauge, Histogram

from endcap.histogram_buckets import EVENT_AGE_S, FROM_A_TENTH_MS_S, UP_TO_A_MINUTE_S

EVENTS = Counter("endcap_events_total", "Records read from the events topic", ["outcome"])
BY_TYPE = Counter(
    "endcap_events_by_type_total", "Events folded or handed over, by type", ["event_name"]
)
DEAD_LETTERS = Counter("endcap_dead_letters_total", "Records sent to the dead letters", ["reason"])
HANDOVERS = Counter(
    "endcap_handovers_total", "What a login moves between partitions, as it is opened", ["outcome"]
)
ERASED = Counter("endcap_sessions_erased_total", "Erasures carried out, of devices too")
SWEPT = Counter("endcap_erasures_swept_total", "Erasures whose dead letters and lists were removed")
SWEEP_OPEN_SINCE = Gauge(
    "endcap_erasure_open_since_timestamp_seconds",
    "When the oldest erasure was asked for whose dead letters and lists are still there; 0: none",
)
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
INGEST_SECONDS = Histogram(
    "endcap_ingest_batch_seconds",
    "From a batch's read to its commit",
    buckets=UP_TO_A_MINUTE_S,
)
INGEST_LAG = Gauge(
    "endcap_ingest_lag_records",
    "Records of the sources not read yet, as of the last answer of the broker",
    ["source", "partition"],
)
REGISTRY = Counter(
    "endcap_registry_requests_total", "Schemas asked of the schema registry", ["outcome"]
)
SNAPSHOTS = Counter("endcap_snapshots_total", "Session snapshots written")
NATIVE_FOLD = Gauge("endcap_stream_native_fold", "1 where the fold has its compiled path, else 0")
NATIVE_EVENTS = Counter("endcap_stream_native_events_total", "Events that took the compiled path")
BATCH = Histogram(
    "endcap_stream_batch_events", "Records per batch", buckets=(1, 4, 16, 64, 256, 1024, 4096)
)
FOLD_SECONDS = Histogram(
    "endcap_stream_fold_seconds",
    "One batch's fold, without its commit",
    buckets=FROM_A_TENTH_MS_S,
)
COMMIT_SECONDS = Histogram(
    "endcap_stream_commit_seconds",
    "One transaction, from its begin to its commit",
    buckets=FROM_A_TENTH_MS_S,
)
ACQUIRED = Counter("endcap_stream_acquired_total", "Partitions taken over, its own again too")
RESTORED = Counter("endcap_sessions_restored_total", "Sessions read back on assignment")
RESTORE_LEFT = Gauge(
    "endcap_restore_records_left",
    "Records of the sessions topic still to be read back, by partition; 0: it is restored",
    ["partition"],
)
LAG = Gauge(
    "endcap_stream_lag_records",
    "Records not read yet, by the topic's role and partition, as of the last answer of the broker",
    ["topic", "partition"],
)
RETRIES = Counter("endcap_stream_retries_total", "Partitions acquired anew after Kafka failed")
FENCED = Counter("endcap_stream_fenced_total", "Times another process had taken a partition over")
SESSIONS = Gauge("endcap_sessions_held", "Sessions in the stores of the owned partitions")
EVENT_AGE = Histogram(
    "endcap_event_age_at_fold_seconds",
    "From a record's broker timestamp to its fold",
    buckets=EVENT_AGE_S,
)
