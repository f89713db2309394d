"""How old is what shoppers see, and why."""

from endcap.deploy.monitoring.panels import Board, Panel, Query, number, quantiles

OVERVIEW = Board(
    "overview",
    "endcap: overview",
    "How old is what shoppers see, and why; is it good; does anything stand still.",
    (
        number(
            "Event to list, p99",
            "From a shopper's event in Kafka to their new list in Redis. Above 5 s: the panel "
            "below says which part takes it.",
            "s",
            "endcap:event_to_list_seconds:p99_5m",
        ),
        number(
            "Age of shown lists, median",
            "How long ago the list was made that a shopper was shown. A shopper who comes back "
            "after a day sees a list of a day: high is not wrong while event to list is low.",
            "s",
            "endcap:shown_list_age_seconds:p50_15m",
        ),
        number(
            "Hit rate of lists",
            "Of lists whose shopper then touched something, the share that had it among the first "
            "ten; over an hour.",
            "percentunit",
            'endcap:online_hit_rate:ratio_1h{ranker="endcap"}',
        ),
        number("Processes up", "Of those that Prometheus was told of.", "none", "sum(up)"),
        Panel(
            "Why lists are as old as they are",
            "The way of an event, part by part (p99): waiting to be folded, the transaction, "
            "waiting for the rescorer, scoring, writing. The tallest line is the answer.",
            "s",
            (
                Query(
                    quantiles("endcap_event_age_at_fold_seconds", 0.99)[0].promql, "1 event to fold"
                ),
                Query(quantiles("endcap_stream_commit_seconds", 0.99)[0].promql, "2 transaction"),
                Query(
                    quantiles("endcap_list_wait_seconds", 0.99)[0].promql, "3 wait in the rescorer"
                ),
                Query(quantiles("endcap_rescore_seconds", 0.99)[0].promql, "4 scoring of a batch"),
                Query(quantiles("endcap_list_write_seconds", 0.99)[0].promql, "5 write to Redis"),
            ),
            log=True,
        ),
        Panel(
            "What waits",
            "Records not read yet. A backlog that shrinks mends itself; one that grows needs more "
            "workers.",
            "none",
            (
                Query("endcap:ingest_lag_records:sum", "{{source}}, by ingest"),
                Query("endcap:stream_lag_records:sum", "{{topic}}, by the stream"),
                Query("sum(endcap_rescore_lag_records)", "sessions, by the rescorer"),
                Query("sum(endcap_lists_unfinished)", "lists in the making"),
            ),
        ),
        Panel(
            "Events and lists",
            "A second. Lists follow events; several events of a shopper may come to one list.",
            "cps",
            (
                Query('sum(rate(endcap_events_total{outcome="folded"}[5m]))', "events folded"),
                Query(
                    'sum(rate(endcap_lists_written_total{outcome="written"}[5m]))', "lists written"
                ),
                Query("sum(rate(endcap_dead_letters_total[5m]))", "dead letters"),
            ),
        ),
        Panel(
            "Alerts that fire",
            "Each has a page under docs/runbooks.",
            "none",
            (Query('sum by (alertname) (ALERTS{alertstate="firing"})', "{{alertname}}"),),
        ),
    ),
)
