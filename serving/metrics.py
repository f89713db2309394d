"""What the rescorer counts. No user or item id is ever a label."""

from prometheus_client import Counter, Gauge, Histogram, Info

_MILLISECONDS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 65, 80, 100, 130, 160, 200)
_SECONDS = (0.25, 0.3, 0.4, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 30, 60)

LISTS = Counter("endcap_lists_written_total", "Lists that Redis has accepted", ["outcome"])
BATCH = Histogram(
    "endcap_rescore_batch_users", "Users per batch", buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256)
)
INFERENCE_SECONDS = Histogram("endcap_inference_seconds", "From candidates to scores, a batch")
CANDIDATES = Histogram(
    "endcap_candidates", "Candidates per user", buckets=(50, 100, 150, 200, 250, 300)
)
EVENT_TO_LIST_SECONDS = Histogram(
    "endcap_event_to_list_seconds",
    "From the newest event's arrival in Kafka to its list in Redis",
    buckets=(*(ms / 1000 for ms in _MILLISECONDS), *_SECONDS),
)
COALESCED = Counter(
    "endcap_snapshots_coalesced_total", "Snapshots replaced by a newer one unserved"
)
SKIPPED = Counter(
    "endcap_snapshots_skipped_total", "Snapshots read back that the fold had handed over already"
)
LEFT_TO_TOPIC = Counter(
    "endcap_snapshots_left_to_topic_total",
    "Snapshots of the fold dropped from a full waiting room: the topic brings them again",
)
SHED = Counter(
    "endcap_lists_shed_total", "Lists not made: theirs were the stalest in a full waiting room"
)
READ = Counter("endcap_snapshots_read_total", "Records read from the sessions topic")
UNFINISHED = Gauge("endcap_lists_unfinished", "Shoppers whose list waits, is made or is written")
BATCH_BOUND = Gauge("endcap_rescore_batch_bound", "The largest batch, as calibrated at start")
WAIT_SECONDS = Histogram(
    "endcap_list_wait_seconds",
    "From a snapshot's arrival in the rescorer to its batch",
    buckets=(*(ms / 1000 for ms in (0.1, 0.3, *_MILLISECONDS)), *_SECONDS),
)
RESCORE_SECONDS = Histogram(
    "endcap_rescore_seconds",
    "Candidates, inference and policy of a batch, the way to the thread and back included",
    buckets=(*(ms / 1000 for ms in _MILLISECONDS), *_SECONDS),
)
WRITE_SECONDS = Histogram(
    "endcap_list_write_seconds",
    "From a batch's scores to Redis' answer",
    buckets=(*(ms / 1000 for ms in (0.1, 0.3, *_MILLISECONDS)), *_SECONDS),
)
LISTS_DELETED = Counter("endcap_lists_deleted_total", "Lists of shoppers whose session has ended")
REDIS_RETRIES = Counter("endcap_redis_retries_total", "Writes to Redis tried again")
MODEL = Info("endcap_model", "The bundle and the execution provider in use")
CPU_FALLBACK = Gauge("endcap_provider_fell_back", "1 where a GPU was asked for and is not used")
CUDA_BUCKETS = Gauge("endcap_cuda_buckets", "Shapes in which the graph is held ready on a GPU")
CUDA_GRAPHS = Gauge("endcap_cuda_graphs", "Of these, those that run as a CUDA graph")
NATIVE_SCORING = Gauge(
    "endcap_rescore_native", "1 where candidates and scores have their compiled path, else 0"
)
MODEL_SWAPS = Counter(
    "endcap_model_swaps_total",
    "Models put in the place of the running one; refused: the running one went on",
    ["outcome"],
)
SHADOW_MODEL = Info("endcap_shadow_model", "The bundle that is tried unseen")
SHADOW_SHARE = Gauge("endcap_shadow_share", "The share of shoppers that the shadow scores")
SHADOW_LISTS = Counter(
    "endcap_shadow_lists_total",
    "Chosen shoppers: compared; skipped, since others waited; failed",
    ["outcome"],
)
SHADOW_OVERLAP = Histogram(
    "endcap_shadow_overlap",
    "Share of the first 20 items that the shown model and its shadow have in common",
    buckets=tuple(tenth / 10 for tenth in range(11)),
)
SHADOW_SECONDS = Histogram(
    "endcap_shadow_seconds",
    "One shopper alone, by either model, in the same minute",
    ["model"],
    buckets=tuple(ms / 1000 for ms in (0.25, 0.5, 0.75, *_MILLISECONDS)),
)
VARIANT_LISTS = Counter(
    "endcap_variant_lists_total",
    "Lists made, by experiment and variant",
    ["experiment", "variant"],
)
VARIANT_FAILURES = Counter(
    "endcap_variant_failures_total", "Lists that a variant's model could not make", ["variant"]
)
EXPERIMENTS = Gauge("endcap_experiments_running", "Experiments that run now")
EXPERIMENT_CHANGES = Counter(
    "endcap_experiments_changes_total",
    "Changes of the experiments file: followed; refused, and the old ones went on",
    ["outcome"],
)
RETRIEVAL_ITEMS = Gauge("endcap_retrieval_items", "Items of the table that is searched")
RETRIEVAL_RECALL = Gauge(
    "endcap_retrieval_recall", "Share of the exact answer found, on the sample, when last opened"
)
