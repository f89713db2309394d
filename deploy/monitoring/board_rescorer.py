"""Sessions to lists."""

from endcap.deploy.monitoring.panels import Board, Panel, Query, number, quantiles, rate

RESCORER = Board(
    "rescorer",
    "endcap: rescorer",
    "Sessions to lists: batches, the model and its provider, candidates, Redis.",
    (
        number(
            "Event to list, p50",
            "Of the last five minutes.",
            "s",
            "endcap:event_to_list_seconds:p50_5m",
        ),
        number(
            "Fell back to the CPU",
            "Processes that were to score on a GPU and do not.",
            "none",
            "sum(endcap_provider_fell_back)",
        ),
        Panel(
            "Model in use",
            "Name, provider and path, by process.",
            "none",
            (
                Query(
                    "count by (name, provider, path) (endcap_model_info)",
                    "{{name}} {{provider}} {{path}}",
                ),
            ),
        ),
        Panel(
            "Event to list",
            "From the newest event's arrival in Kafka to its list in Redis.",
            "s",
            quantiles("endcap_event_to_list_seconds", 0.5, 0.99),
            log=True,
        ),
        Panel(
            "Shoppers a batch",
            "A batch is who waits. At the bound: the rescorer is full.",
            "none",
            (
                *quantiles("endcap_rescore_batch_users", 0.5, 0.99),
                Query("max(endcap_rescore_batch_bound)", "bound"),
            ),
        ),
        Panel(
            "Scoring",
            "A batch: all of it, and the model alone.",
            "s",
            (
                Query(quantiles("endcap_rescore_seconds", 0.99)[0].promql, "p99 batch"),
                Query(quantiles("endcap_inference_seconds", 0.99)[0].promql, "p99 model"),
            ),
        ),
        Panel(
            "Lag by partition",
            "Of the sessions topic, not read yet.",
            "none",
            (Query("endcap_rescore_lag_records", "{{partition}}"),),
        ),
        Panel(
            "Candidates by source",
            "Share of what the sources name, of a sample. `popular`: named by nobody else.",
            "percentunit",
            (
                Query(
                    "sum by (source) (rate(endcap_candidates_by_source_total[5m])) / "
                    "on () group_left sum(rate(endcap_candidates_by_source_total[5m]))",
                    "{{source}}",
                ),
            ),
        ),
        Panel("Candidates a shopper", "", "none", quantiles("endcap_candidates", 0.5, 0.99)),
        Panel(
            "Redis: time",
            "Writes of a batch, and single reads of the HTTP servers.",
            "s",
            (
                Query(quantiles("endcap_list_write_seconds", 0.99)[0].promql, "p99 write"),
                Query(quantiles("endcap_redis_read_seconds", 0.99)[0].promql, "p99 read"),
            ),
        ),
        Panel(
            "Redis: failures and retries",
            "By reason; writes are tried again until they succeed.",
            "cps",
            (
                rate("endcap_redis_failures_total", "reason"),
                Query("sum(rate(endcap_redis_retries_total[5m]))", "writes tried again"),
            ),
        ),
        Panel(
            "Given up or replaced",
            "Shed: lists that were not made. Coalesced: replaced by a newer "
            "session before their turn, which is well.",
            "cps",
            (
                Query("sum(rate(endcap_lists_shed_total[5m]))", "shed"),
                Query("sum(rate(endcap_snapshots_coalesced_total[5m]))", "coalesced"),
            ),
        ),
    ),
)
