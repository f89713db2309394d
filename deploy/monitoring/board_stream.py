"""Events to sessions."""

from endcap.deploy.monitoring.panels import Board, Panel, Query, quantiles, rate

STREAM = Board(
    "stream",
    "endcap: stream",
    "Events to sessions: what comes in, what is refused, how far behind each partition is.",
    (
        Panel(
            "Events by outcome",
            "What became of each record that was read.",
            "cps",
            (rate("endcap_events_total", "outcome"),),
        ),
        Panel(
            "Events by type",
            "Of those that were folded.",
            "cps",
            (rate("endcap_events_by_type_total", "event_name"),),
        ),
        Panel(
            "Lag by partition",
            "One that stands out has a shopper or a worker of its own.",
            "none",
            (Query('endcap_stream_lag_records{topic="events"}', "{{partition}}"),),
        ),
        Panel(
            "Age of events at their fold",
            "From the broker's clock to the fold.",
            "s",
            quantiles("endcap_event_age_at_fold_seconds", 0.5, 0.99),
            log=True,
        ),
        Panel(
            "Dead letters by reason",
            "`endcap dead-letters list` shows them.",
            "cps",
            (rate("endcap_dead_letters_total", "reason"),),
        ),
        Panel(
            "Records a batch",
            "Large while a backlog is worked off.",
            "none",
            quantiles("endcap_stream_batch_events", 0.5, 0.99),
        ),
        Panel(
            "Fold and transaction",
            "Of a batch.",
            "s",
            (
                *quantiles("endcap_stream_fold_seconds", 0.99),
                Query(quantiles("endcap_stream_commit_seconds", 0.99)[0].promql, "p99 transaction"),
            ),
        ),
        Panel(
            "Restoring",
            "Records still to be read back by who has taken a partition over.",
            "none",
            (Query("endcap_restore_records_left", "{{partition}}"),),
        ),
        Panel(
            "Sessions held",
            "In the stores of the workers.",
            "none",
            (Query("sum(endcap_sessions_held)", "sessions"),),
        ),
        Panel(
            "Ownership",
            "Partitions taken over, fenced by another, acquired anew. Steady rises: a "
            "worker is too slow for its session timeout.",
            "none",
            (
                Query("sum(increase(endcap_stream_acquired_total[5m]))", "taken over"),
                Query("sum(increase(endcap_stream_fenced_total[5m]))", "fenced"),
                Query("sum(increase(endcap_stream_retries_total[5m]))", "acquired anew"),
            ),
        ),
        Panel(
            "Records of sources",
            "What `endcap ingest` made of them; ignored: none of endcap's events.",
            "cps",
            (
                Query(
                    "sum by (source, outcome) (rate(endcap_ingest_records_total[5m]))",
                    "{{source}} {{outcome}}",
                ),
            ),
        ),
        Panel(
            "Lag by source",
            "Records that `endcap ingest` has not read. It stands still while a schema registry is "
            "away.",
            "none",
            (
                Query("endcap:ingest_lag_records:sum", "{{source}}"),
                Query(
                    'sum(increase(endcap_registry_requests_total{outcome="failed"}[5m]))',
                    "schemas not had, 5 min",
                ),
            ),
        ),
        Panel(
            "Time of a batch of sources",
            "From its read to its commit.",
            "s",
            quantiles("endcap_ingest_batch_seconds", 0.5, 0.99),
            log=True,
        ),
        Panel(
            "Lists of the item side",
            "What the trends app writes, and what waits there.",
            "none",
            (
                Query(
                    "sum by (kind) (rate(endcap_item_lists_written_total[5m]))", "{{kind}} a second"
                ),
                Query("sum(endcap_item_lists_waiting)", "waiting"),
            ),
        ),
        Panel(
            "Erasures",
            "Carried out, and swept of dead letters and lists.",
            "none",
            (
                Query("sum(increase(endcap_sessions_erased_total[1h]))", "sessions erased, 1 h"),
                Query("sum(increase(endcap_erasures_swept_total[1h]))", "swept, 1 h"),
            ),
        ),
    ),
)
