"""How old is what shoppers see, and why."""

from endcap.deploy.monitoring.panels import Board, Panel, Query, number, part, quantiles

OVERVIEW = Board(
    "overview",
    "endcap: overview",
    "How old is what shoppers see, and why; is it good; does anything stand still.",
    (
        number(
            "Event to list, p99 of 5 min",
            "From a shopper's event in Kafka to their new list in Redis. Above 5 s: the panel "
            "*Why* says which part takes it. 60 s means a minute or more.",
            "s",
            "endcap:event_to_list_seconds:p99_5m",
            width=5,
        ),
        number(
            "Shown lists were made before",
            "Median of 15 minutes: how long before a page got it a list was made. A shopper who "
            "comes back after a day is shown a list of a day: high is not wrong while event to "
            "list is low.",
            "s",
            "endcap:shown_list_age_seconds:p50_15m",
            width=5,
        ),
        number(
            "Hit rate of lists, of an hour",
            "Of lists whose shopper then touched something, the share that had it among the first "
            "ten. Empty until twenty were judged.",
            "percentunit",
            'endcap:online_hit_rate:ratio_1h{ranker="endcap"}',
            width=5,
        ),
        number(
            "Processes not answering",
            "Of those that Prometheus was told of.",
            "none",
            "count(up) - sum(up)",
            width=5,
        ),
        number(
            "Alerts firing",
            "0: none. Nothing at all: Prometheus has not read the rules.",
            "none",
            'sum(ALERTS{alertstate="firing"}) or 0 * endcap:rules:loaded',
            width=4,
        ),
        Panel(
            "How late lists are, by the minute",
            "From event to list, of the last minute. No line: nothing came. Above 5 s is too late.",
            "s",
            quantiles("endcap_event_to_list_seconds", 0.5, 0.99, over="1m"),
            log=True,
        ),
        Panel(
            "Why: p99 of each part, by the minute",
            "The way of an event, part by part: waiting to be folded, the transaction, waiting for "
            "the rescorer, scoring, writing. The tallest line is the answer.",
            "s",
            (
                part("endcap_event_age_at_fold_seconds", "1 event to fold"),
                part("endcap_stream_commit_seconds", "2 transaction"),
                part("endcap_list_wait_seconds", "3 wait in the rescorer"),
                part("endcap_rescore_seconds", "4 scoring of a batch"),
                part("endcap_list_write_seconds", "5 write to Redis"),
            ),
            log=True,
        ),
        Panel(
            "What waits, in records",
            "By who has them still to read; of rescore, too, the shoppers whose list waits or is "
            "being made. A backlog that shrinks mends itself; one that grows needs more workers.",
            "none",
            (
                Query("endcap:ingest_lag_records:sum", "ingest: {{source}}"),
                Query("endcap:stream_lag_records:sum", "stream: {{topic}}"),
                Query("sum(endcap_rescore_lag_records)", "rescore: sessions"),
                Query("sum(endcap_lists_unfinished)", "rescore: shoppers"),
            ),
        ),
        Panel(
            "Events and lists, a second",
            "By the minute. Lists follow events; several events of a shopper may come to one list.",
            "cps",
            (
                Query('sum(rate(endcap_events_total{outcome="folded"}[1m]))', "events folded"),
                Query(
                    'sum(rate(endcap_lists_written_total{outcome="written"}[1m]))', "lists written"
                ),
                Query("sum(rate(endcap_dead_letters_total[1m]))", "dead letters"),
            ),
        ),
        Panel(
            "Alerts that fire",
            "Each has a page under docs/runbooks.",
            "none",
            (Query('sum by (alertname) (ALERTS{alertstate="firing"})', "{{alertname}}"),),
        ),
        Panel(
            "Processes: 1 answers, 0 does not",
            "By job, the worst of its processes.",
            "none",
            (Query("min by (job) (up)", "{{job}}"),),
        ),
    ),
)
