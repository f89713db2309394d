"""What the rescorer counts. No user or item id is ever a label."""

from prometheus_client import Counter, Gauge, Histogram, Info

from endcap.histogram_buckets import (
    FROM_A_TENTH_MS_S,
    UP_TO_A_FIFTH_S,
    UP_TO_A_MINUTE_S,
    UP_TO_A_WEEK_S,
)
from endcap.serving.loop_histogram import LoopHistogram

LISTS = Counter("endcap_lists_written_total", "Lists that Redis has accepted", ["outcome"])
BATCH = Histogram(
    "endcap_rescore_batch_users", "Users per batch", buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256)
)
INFERENCE_SECONDS = Histogram(
    "endcap_inference_seconds", "From candidates to scores, a batch", buckets=FROM_A_TENTH_MS_S
)
CANDIDATES = Histogram(
    "endcap_candidates", "Candidates per user", buckets=(50, 100, 150, 200, 250, 300)
)
EVENT_TO_LIST_SECONDS = Histogram(
    "endcap_event_to_list_seconds",
    "From the newest event's arrival in Kafka to its list in Redis",
    buckets=UP_TO_A_MINUTE_S,
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
UNREADABLE = Counter(
    "endcap_snapshots_unreadable_total", "Records of the sessions topic that cannot be read"
)
LAG = Gauge(
    "endcap_rescore_lag_records",
    "Records of the sessions topic not read yet, by partition",
    ["partition"],
)
UNFINISHED = Gauge("endcap_lists_unfinished", "Shoppers whose list waits, is made or is written")
BATCH_BOUND = Gauge("endcap_rescore_batch_bound", "The largest batch, as calibrated at start")
WAIT_SECONDS = Histogram(
    "endcap_list_wait_seconds",
    "From a snapshot's arrival in the rescorer to its batch",
    buckets=FROM_A_TENTH_MS_S,
)
RESCORE_SECONDS = Histogram(
    "endcap_rescore_seconds",
    "Candidates, inference and policy of a batch, the way to the thread and back included",
    buckets=UP_TO_A_MINUTE_S,
)
WRITE_SECONDS = Histogram(
    "endcap_list_write_seconds",
    "From a batch's scores to Redis' answer",
    buckets=FROM_A_TENTH_MS_S,
)
READ_SECONDS = LoopHistogram(
    "endcap_redis_read_seconds",
    "From a question to Redis' answer, or to its giving up",
    buckets=FROM_A_TENTH_MS_S,
)
REDIS_FAILURES = Counter(
    "endcap_redis_failures_total",
    "Calls not carried out: away, read_only, not_allowed, out_of_memory, cannot_save",
    ["reason"],
)
SHOWN_AGE_SECONDS = LoopHistogram(
    "endcap_shown_list_age_seconds",
    "How long ago a shopper's own list was made when it was asked for",
    buckets=UP_TO_A_WEEK_S,
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
    buckets=(0.00025, 0.0005, 0.00075, *UP_TO_A_FIFTH_S),
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
LISTS_EMPTY = Counter("endcap_lists_empty_total", "Lists made with no item in them")
JUDGED = Counter(
    "endcap_online_judged_total",
    "Lists judged: their shopper has touched an item that did not lie in the cart before",
)
HITS = Counter(
    "endcap_online_hits_total",
    "Of these, those with such an item among the first ten; popular: ten best sellers instead",
    ["ranker"],
)
LISTED = Counter("endcap_online_listed_items_total", "Items among the first ten of lists made")
LISTED_POPULAR = Counter(
    "endcap_online_listed_popular_items_total", "Of these, those among the 100 best sellers"
)
COVERAGE = Gauge(
    "endcap_online_coverage",
    "Share of the model's items among the first ten of the last 5,000 to 10,000 lists",
)
