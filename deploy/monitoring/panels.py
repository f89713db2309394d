"""What is on the dashboards: questions that operators ask, each answered by PromQL."""

from typing import NamedTuple


class Query(NamedTuple):
    """PromQL, and the name of what it draws."""

    promql: str
    legend: str = ""


class Panel(NamedTuple):
    """One picture. `says`: how to read it. `unit`: Grafana's name of it. `is_number`: the newest
    value alone, large. `width`: of 24 columns. `log`: a logarithmic scale."""

    title: str
    says: str
    unit: str
    queries: tuple[Query, ...]
    is_number: bool = False
    width: int = 12
    log: bool = False


class Board(NamedTuple):
    """A dashboard; its file is `endcap-<name>.json`."""

    name: str
    title: str
    says: str
    panels: tuple[Panel, ...]


def quantiles(histogram: str, *of: float, by: str = "") -> tuple[Query, ...]:
    """Quantiles of a histogram over five minutes."""
    labels = f"le, {by}" if by else "le"
    return tuple(
        Query(
            f"histogram_quantile({q}, sum by ({labels}) (rate({histogram}_bucket[5m])))",
            f"p{round(q * 100)}" + (f" {{{{{by}}}}}" if by else ""),
        )
        for q in of
    )


def rate(counter: str, by: str = "") -> Query:
    """A counter's rate a second over five minutes."""
    inner = f"rate({counter}[5m])"
    return Query(
        f"sum by ({by}) ({inner})" if by else f"sum({inner})", f"{{{{{by}}}}}" if by else ""
    )


def number(title: str, says: str, unit: str, promql: str, width: int = 6) -> Panel:
    """A large number."""
    return Panel(title, says, unit, (Query(promql),), is_number=True, width=width)


OVERVIEW = Board(
    "overview",
    "endcap: overview",
    "How old is what shoppers see, and why; is it good; does anything stand still.",
    (
        number(
            "Event to list, p99",
            "From a shopper's event in Kafka to their new list in Redis. Above 5 s: look at the row "
            "below for the part that takes it.",
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
            "The way of an event, part by part (p99): waiting to be folded, the transaction, waiting "
            "for the rescorer, scoring, writing. The tallest line is the answer.",
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
                Query("endcap:stream_lag_records:sum", "{{topic}}, by the stream"),
                Query("endcap:rescore_lag_records:sum", "sessions, by the rescorer"),
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
            "Of the sessions topic.",
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

QUALITY = Board(
    "quality",
    "endcap: quality",
    "Are the lists good, for whom, and is the model still asked what it was trained on.",
    (
        Panel(
            "Hit rate beside best sellers",
            "Of lists whose shopper then touched an item that was "
            "not in the cart: the share that had it among the first ten. What a list is worth is the "
            "distance between the lines. Not an experiment: docs/experiments.md has those.",
            "percentunit",
            (Query("endcap:online_hit_rate:ratio_1h", "{{ranker}}"),),
        ),
        Panel(
            "Lists judged",
            "In an hour. Below a few hundred the hit rate means little.",
            "none",
            (Query("endcap:online_judged:increase_1h", "judged"),),
        ),
        Panel(
            "Coverage",
            "Share of the model's items on the last 5,000 to 10,000 lists, by process.",
            "percentunit",
            (Query("endcap_online_coverage", "{{instance}}"),),
        ),
        Panel(
            "Share of best sellers",
            "Of the first ten items, those among the 100 best sellers. Near "
            "1: everybody sees the same.",
            "percentunit",
            (Query("endcap:online_popular_share:ratio_1h", "popular"),),
        ),
        Panel(
            "Empty lists",
            "Rules or stock leave nothing.",
            "percentunit",
            (Query("endcap:lists_empty:ratio_15m", "empty"),),
        ),
        Panel(
            "Drift",
            "Population stability index of what is asked against what was trained on: below "
            "0.1 nothing has moved, above 0.25 much has.",
            "none",
            (Query("endcap:model_input_drift:psi_1h", "{{model}} {{feature}}"),),
        ),
        Panel(
            "Newest item, now and in training",
            "By fifths of all events from the best sellers on; `unmet`: the model never saw it.",
            "percentunit",
            (
                Query('endcap:model_input_share:ratio_1h{feature="newest_item"}', "{{bin}} now"),
                Query(
                    'max by (bin) (endcap_model_input_reference_share{feature="newest_item"})',
                    "{{bin}} trained",
                ),
            ),
        ),
        Panel(
            "Can drift be told",
            "0: the bundle holds no figures; `endcap inputs`, or train it again.",
            "none",
            (Query("min by (model) (endcap_model_input_reference_known)", "{{model}}"),),
        ),
        Panel(
            "Shadow",
            "Share of the first 20 items that the shown model and its shadow have in common.",
            "percentunit",
            quantiles("endcap_shadow_overlap", 0.5),
        ),
    ),
)

BUSINESS = Board(
    "business",
    "endcap: business",
    "What shoppers do, and what they are shown.",
    (
        Panel(
            "Purchases, carts and views",
            "A minute.",
            "cpm",
            (
                Query(
                    "60 * sum by (event_name) (rate(endcap_events_by_type_total{event_name=~"
                    '"purchase|add_to_cart|view_item"}[5m]))',
                    "{{event_name}}",
                ),
            ),
        ),
        Panel(
            "Purchases for each item put into a cart",
            "Over an hour; baskets count once.",
            "percentunit",
            (
                Query(
                    'sum(rate(endcap_events_by_type_total{event_name="purchase"}[1h])) / '
                    'sum(rate(endcap_events_by_type_total{event_name="add_to_cart"}[1h]))',
                    "share",
                ),
            ),
        ),
        Panel("Requests", "By route.", "reqps", (rate("endcap_http_requests_total", "route"),)),
        Panel(
            "Answers that failed",
            "5xx, by route.",
            "reqps",
            (
                Query(
                    'sum by (route) (rate(endcap_http_requests_total{status=~"5.."}[5m]))',
                    "{{route}}",
                ),
            ),
        ),
        Panel(
            "Time to answer",
            "p99, by route.",
            "s",
            quantiles("endcap_http_request_seconds", 0.99, by="route"),
        ),
        Panel(
            "Age of lists that are shown",
            "When a page asks for a shopper's own list.",
            "s",
            quantiles("endcap_shown_list_age_seconds", 0.5, 0.9),
            log=True,
        ),
        Panel(
            "Lists that were not the shopper's own",
            "Where they came from instead.",
            "cps",
            (rate("endcap_http_fallback_lists_total", "source"),),
        ),
        Panel(
            "Rules", "Rules in force.", "none", (Query("max(endcap_rules_in_force)", "in force"),)
        ),
    ),
)

BOARDS = (OVERVIEW, STREAM, RESCORER, QUALITY, BUSINESS)
